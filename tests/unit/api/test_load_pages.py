"""`total`, `truncated` and pages in each form that `load` answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.api.conftest import Server

FORMS = ("default", "compact", "columnar")
EACH: dict[str, Any] = {
    "measures": ["sales.count"],
    "dimensions": ["sales.sale_id"],
    "total": True,
}
SALES = 400


def read_rows(data: Any, form: str) -> list[tuple[Any, ...]]:
    match form:
        case "default":
            return [tuple(row.values()) for row in data]
        case "compact":
            return [tuple(row) for row in data["dataset"]]
        case _:
            return list(zip(*data["columns"], strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("limit", "offset", "fetched"),
    [(0, 0, 0), (7, 0, 7), (7, SALES - 3, 3), (7, SALES, 0), (7, SALES + 9, 0), (SALES, 0, SALES), (SALES + 1, 0, SALES)],
)  # fmt: skip
def test_a_total_counts_every_row_whatever_page_is_asked(
    server: Server, form: str, limit: int, offset: int, fetched: int
) -> None:
    body = server.load({**EACH, "limit": limit, "offset": offset, "responseFormat": form})
    assert len(read_rows(body["data"], form)) == fetched
    assert body["total"] == SALES
    assert body["ducat"]["truncated"] is False


@pytest.mark.parametrize("form", FORMS)
def test_pages_of_ties_hold_each_row_once_in_every_form(server: Server, form: str) -> None:
    query = {**EACH, "order": {"sales.count": "desc"}, "responseFormat": form}
    pages: list[tuple[Any, ...]] = []
    for offset in range(0, SALES, 150):
        body = server.load({**query, "limit": 150, "offset": offset})
        pages += read_rows(body["data"], form)
    assert pages == read_rows(server.load(query)["data"], form)
    assert len(set(pages)) == SALES


@pytest.mark.parametrize("form", FORMS)
def test_a_comparison_is_the_same_in_every_form(server: Server, form: str) -> None:
    query = {
        "measures": ["sales.amount"],
        "timeDimensions": [
            {
                "dimension": "sales.sold_at",
                "granularity": "month",
                "dateRange": ["2024-02-01", "2024-03-31"],
            }
        ],
        "compare": {"to": "1 month"},
        "total": True,
    }
    plain = server.load(query)
    body = server.load({**query, "responseFormat": form})
    assert read_rows(body["data"], form) == read_rows(plain["data"], "default")
    assert body["total"] == len(plain["data"]) == 2
    text = json.dumps(body["annotation"]["measures"])
    assert text == json.dumps(plain["annotation"]["measures"])
