"""The right answers to the questions of `js/questions.mjs`, by SQL written by hand."""

from __future__ import annotations

from typing import Any

from tests.clients.site import Site

JANUARY = "flight_date BETWEEN '2013-01-01' AND '2013-01-31'"
MONTHS = ("2013-01-01T00:00:00.000", "2013-02-01T00:00:00.000")


class Expected:
    """The answers over the tables of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def by_carrier(self) -> list[tuple[str, int, int]]:
        """Carrier, flights and miles (of those that left) of January."""
        return self._site.ask(
            "SELECT carrier, count(*), (sum(distance_miles) FILTER (NOT is_cancelled))::BIGINT "
            "FROM gold.fct_flights "
            f"WHERE {JANUARY} GROUP BY 1 ORDER BY 1"
        )

    def by_month_and_origin(self) -> list[tuple[str, str, int]]:
        """Month, origin and flights."""
        return self._site.ask(
            "SELECT strftime(date_trunc('month', flight_date), '%Y-%m-%dT%H:%M:%S.000'), origin, "
            "count(*) FROM gold.fct_flights GROUP BY 1, 2 ORDER BY 1, 2"
        )

    def months(self) -> list[int]:
        """Flights of each month."""
        rows = self._site.ask(
            "SELECT count(*) FROM gold.fct_flights GROUP BY month(flight_date) "
            "ORDER BY month(flight_date)"
        )
        return [count for (count,) in rows]

    def observations(self) -> int:
        """Hours of January in which weather was observed, by UTC."""
        ((count,),) = self._site.ask(
            "SELECT count(*) FROM gold.fct_weather_hourly WHERE observed_at_utc >= '2013-01-01' "
            "AND observed_at_utc < '2013-02-01'"
        )
        return int(count)

    def by_origin(self) -> list[list[str]]:
        """Origin and flights, as `cubesql` writes them."""
        rows = self._site.ask("SELECT origin, count(*) FROM gold.fct_flights GROUP BY 1 ORDER BY 1")
        return [[origin, str(count)] for origin, count in rows]

    def count(self, condition: str = "true") -> int:
        """Flights that fulfil a condition."""
        ((count,),) = self._site.ask(f"SELECT count(*) FROM gold.fct_flights WHERE {condition}")
        return int(count)

    def run(self, sql: list[Any]) -> list[tuple[Any, ...]]:
        """Run a statement that the server wrote, with its values."""
        import duckdb  # noqa: PLC0415

        with duckdb.connect(str(self._site.database), read_only=True) as connection:
            return connection.execute(sql[0], sql[1]).fetchall()


def read_carriers(rows: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Return the rows of `byCarrier` as the SQL gives them."""
    return [
        (row["flights.carrier"], int(row["flights.count"]), int(row["flights.total_distance"]))
        for row in rows
    ]


def read_count(rows: list[dict[str, Any]]) -> int:
    """Return the one number of `counted`."""
    (row,) = rows
    return int(row["flights.count"])
