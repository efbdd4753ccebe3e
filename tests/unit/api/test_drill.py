"""Drill-down: `measureFilter` chooses the rows that a measure counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Server


def drill(server: Server, member: str, **more: Any) -> Any:
    query = {"filters": [{"member": member, "operator": "measureFilter"}], **more}
    return server.load(query)["data"]


@pytest.mark.parametrize("owner", ["sales", "shop_sales"])
def test_the_rows_are_those_that_the_measure_counts(server: Server, owner: str) -> None:
    rows = drill(server, f"{owner}.online", dimensions=[f"{owner}.sale_id"], limit=1000)
    found = sorted(int(row[f"{owner}.sale_id"]) for row in rows)
    expected = server.site.ask("SELECT sale_id FROM gold.fct_sale WHERE is_online ORDER BY 1")
    assert found == [row[0] for row in expected]


def test_a_measure_without_filters_counts_all_rows(server: Server) -> None:
    assert drill(server, "sales.count", measures=["sales.count"]) == [{"sales.count": "400"}]


def test_other_conditions_hold_beside_it(server: Server) -> None:
    rows = drill(server, "sales.online", measures=["sales.count"], segments=["sales.heavy"])
    ((count,),) = server.site.ask(
        "SELECT count(*) FROM gold.fct_sale WHERE is_online AND weight > 100"
    )
    assert rows == [{"sales.count": str(count)}]


@pytest.mark.parametrize(
    "filters",
    [
        [{"member": "sales.is_online", "operator": "measureFilter"}],
        [{"member": "sales.online", "operator": "measureFilter", "values": ["1"]}],
        [{"or": [{"member": "sales.online", "operator": "measureFilter"}]}],
        [{"member": "secrets.hidden_count", "operator": "measureFilter"}],
        [{"member": "sales.nope", "operator": "measureFilter"}],
    ],
)
def test_what_is_no_measure_or_not_alone_is_refused(server: Server, filters: Any) -> None:
    query = {"measures": ["sales.count"], "filters": filters}
    refused = server.client.post("/cubejs-api/v1/load", json={"query": query})
    assert refused.status_code in {400, 501}
