"""`pivotQuery` names the columns that the rows have, also those that the query makes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Server

TIMES = [
    {
        "dimension": "sales.sold_at",
        "granularity": "month",
        "dateRange": ["2024-02-01", "2024-03-31"],
    }
]
SHIFTED = {"measure": "sales.amount", "shift": "1 month", "as": "before"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            {"measures": ["sales.count", SHIFTED], "timeDimensions": TIMES},
            ["sales.count", "sales.before"],
        ),
        (
            {
                "measures": ["sales.count", "sales.amount", SHIFTED],
                "timeDimensions": TIMES,
                "compare": {"to": "1 month", "measures": ["sales.amount"], "show": ["previous"]},
            },
            ["sales.count", "sales.amount", "sales.amount__previous", "sales.before"],
        ),
        (
            {
                "measures": ["sales.count", SHIFTED],
                "timeDimensions": TIMES,
                "compare": {"to": "1 month", "show": ["change_percent", "change"]},
            },
            ["sales.count", "sales.count__change_percent", "sales.count__change", "sales.before"],
        ),
    ],
)
def test_a_pivot_has_the_measures_that_the_rows_have(
    query: dict[str, Any], expected: list[str], server: Server
) -> None:
    body = server.load(query, queryType="multi")
    assert body["pivotQuery"]["measures"] == expected
    rows = body["results"][0]["data"]
    assert [key for key in rows[0] if not key.startswith("sales.sold_at")] == expected
    dried = server.client.post("/cubejs-api/v1/dry-run", json={"query": query}).json()
    assert dried["pivotQuery"]["measures"] == expected


def test_blended_queries_may_shift(server: Server) -> None:
    other = {
        "measures": ["shop_sales.count"],
        "timeDimensions": [TIMES[0] | {"dimension": "shop_sales.sold_at"}],
    }
    body = server.load([{"measures": [SHIFTED], "timeDimensions": TIMES}, other], queryType="multi")
    assert body["pivotQuery"]["measures"] == ["sales.before", "shop_sales.count"]
