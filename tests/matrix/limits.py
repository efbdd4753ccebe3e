"""What a door has no words for, and why. Each entry is strict: its probe must be refused.

A *probe* is how the door's language would say it if it could. When the server one day answers one,
the entry fails, and the questions are to be asked there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """A feature of the query JSON that a door cannot say."""

    door: str
    feature: str
    reason: str
    probes: tuple[str, ...]


SQL_CUBES: Final = "a table is one cube or view; what joins cubes, and how, is said by a view"
SQL_MADE: Final = (
    "a column is a member of the model; earlier rows are to be had by a window over the answer"
)
GRAPHQL_COUNTS: Final = "Cube's GraphQL filters have no such operator"

SQL_PROBES: Final = {
    "members of two cubes": (
        SQL_CUBES,
        (
            "SELECT accounts.region, MEASURE(entries.count) FROM entries CROSS JOIN accounts GROUP BY 1",
            "SELECT accounts.region, MEASURE(entries.count) FROM entries, accounts GROUP BY 1",
            "SELECT a.region, MEASURE(e.count) FROM entries e JOIN accounts a ON e.k = a.k GROUP BY 1",
            "SELECT accounts.region, MEASURE(count) FROM entries GROUP BY 1",
        ),
    ),
    "measures of the query": (
        SQL_MADE,
        (
            "SELECT MEASURE(total_price, '1 month') FROM entries",
            "SELECT MEASURE(total_price__previous) FROM entries",
        ),
    ),
    "the rows that a measure counts": (
        "a condition of WHERE is about columns, as in PostgreSQL",
        (
            "SELECT flight_number FROM flights WHERE MEASURE(cancelled_count)",
            "SELECT flight_number FROM flights WHERE MEASURE(cancelled_count) + 0 = 1",
            "SELECT flight_number FROM flights WHERE MEASURE(cancelled_count) > 0",
            "SELECT flight_number FROM flights WHERE cancelled_count > 0",
        ),
    ),
}
LIMITS: Final = (
    *(
        Limit(door, feature, reason, probes)
        for door in ("wire text", "wire binary", "flight")
        for feature, (reason, probes) in SQL_PROBES.items()
    ),
    Limit(
        "graphql",
        "the rows that a measure counts",
        GRAPHQL_COUNTS,
        (
            "{ cube(where: { flights: { cancelled_count: { measureFilter: true } } }) { flights { carrier } } }",
        ),
    ),
)
