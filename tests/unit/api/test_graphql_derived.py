"""Measures that a GraphQL query makes, compared with SQL written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Server, Site

MONTH = 'where: { sales: { sold_at: { inDateRange: ["2024-02-01", "2024-02-29"] } } }'
COUNTS = (
    "SELECT count(*) FILTER (WHERE sold_at >= '2024-02-01' AND sold_at < '2024-03-01'), "
    "count(*) FILTER (WHERE sold_at < '2024-02-01'), "
    "count(*) FILTER (WHERE sold_at >= '2024-03-01' AND sold_at < '2024-04-01') FROM gold.fct_sale"
)


def ask(server: Server, fields: str, **variables: Any) -> Any:
    head = "query ($by: String) " if variables else ""
    return server.graphql(f"{head}{{ cube({MONTH}) {{ sales {{ {fields} }} }} }}", **variables)


def test_fields_are_shifted_and_compared(server: Server, site: Site) -> None:
    ((now, before, after),) = site.ask(COUNTS)
    body = ask(
        server,
        'count before: count(shift: $by) again: count(shift: "1 month") '
        'after: count(shift: "1 month", direction: next) '
        'previous: count(compareTo: "previous period") '
        'change: count(compareTo: "previous period", show: change)',
        by="1 month",
    )
    assert body["data"]["cube"] == [
        {
            "sales": {
                "count": now, "before": before, "again": before, "after": after,
                "previous": before, "change": now - before,
            }
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ('count(shift: "1 month", compareTo: "1 month")', "either shifted or compared"),
        ("count(show: change)", "either shifted or compared"),
        ('count(shift: "soon")', "is no interval"),
        ('count(shift: "1 month", show: change)', "show goes with compareTo"),
        ('count(compareTo: "1 month", direction: next)', "direction goes with shift"),
        ('a: count(compareTo: "1 month") b: count(compareTo: "1 year")', "one earlier time"),
        ('count(shift: "1 month", timeDimension: "sales.nothing")', "nothing"),
    ],
)
def test_what_does_not_go_together_is_refused(server: Server, fields: str, words: str) -> None:
    (error,) = ask(server, fields)["errors"]
    assert words in error["message"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
