"""Pages, limits and totals: every row once, whatever ties, and a cut that is always told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from semantic.catalog.load import ModelLoader
from semantic.engine.postgres import PostgresEngine
from semantic.engine.result import Result
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.conformance.engines import make_database
from tests.golden.queries.layer import open_layer, write_project

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: events
    sql_table: events
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: kind, type: string, sql: kind}
      - {name: place, type: string, sql: place}
      - {name: happened_at, type: time, sql: happened_at}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: kinds, type: sum, sql: "{total}", multi_stage: true, grain: {exclude: [place]}}
      - {name: recent, type: sum, sql: amount, rolling_window: {trailing: 2 day}}
  - name: numbers
    sql_table: numbers
    dimensions:
      - {name: n, type: number, sql: n, primary_key: true, public: true}
    measures:
      - {name: count, type: count}
"""
SEED = """
CREATE TABLE events AS
SELECT n AS id, CASE WHEN n % 7 = 0 THEN NULL ELSE 'k' || (n % 5) END AS kind,
       CASE WHEN n % 11 = 0 THEN NULL ELSE 'p' || (n % 13) END AS place, 1 AS amount,
       TIMESTAMP '2024-01-01' + (n % 20) * INTERVAL '1 day' AS happened_at
FROM generate_series(1, 1000) AS t(n);
CREATE TABLE numbers AS SELECT n FROM generate_series(1, 10001) AS t(n);
"""


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def layer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SemanticLayer]:
    folder = tmp_path_factory.mktemp("paging")
    if request.param == "duckdb":
        opened = open_layer(folder, MODEL, SEED)
    else:
        loader = ModelLoader(write_project(folder, MODEL).model, dialect="postgres")
        engine = PostgresEngine(make_database(SEED), timeout_seconds=60, connections=1)
        opened = SemanticLayer(loader, engine)
    yield opened
    opened.close()


def ask(layer: SemanticLayer, **query: Any) -> Result:
    return layer.load(parse_json(query), SecurityContext(), now=NOW)


def rows(result: Result) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in result.table.to_pylist()]


DAILY = [{"dimension": "events.happened_at", "granularity": "day", "dateRange": ["2024-01-01", "2024-01-20"]}]  # fmt: skip
QUERIES: dict[str, dict[str, Any]] = {
    "ties in the first measure": {"measures": ["events.count"], "dimensions": ["events.kind", "events.place"]},
    "an order by one of two keys": {
        "measures": ["events.count"], "dimensions": ["events.kind", "events.place"], "order": {"events.kind": "desc"},
    },
    "no order": {"measures": ["events.count"], "dimensions": ["events.place", "events.kind"], "order": []},
    "groups without measures": {"dimensions": ["events.place", "events.kind"]},
    "times": {"measures": ["events.total"], "dimensions": ["events.kind"], "timeDimensions": DAILY},
    "stages": {"measures": ["events.kinds"], "dimensions": ["events.kind", "events.place"]},
    "windows": {"measures": ["events.recent"], "dimensions": ["events.kind"], "timeDimensions": DAILY},
    "comparisons": {
        "measures": ["events.total"], "dimensions": ["events.kind"], "timeDimensions": DAILY, "compare": {"to": "3 day"},
    },
    "an order by a change": {
        "measures": ["events.total"], "dimensions": ["events.kind"], "timeDimensions": DAILY,
        "compare": {"to": "3 day"}, "order": [["events.total__change", "desc"]],
    },
    "rows": {"dimensions": ["events.kind", "events.place"], "measures": ["events.total"], "ungrouped": True, "limit": 300},
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_pages_put_together_are_the_whole_answer_in_its_order(
    layer: SemanticLayer, name: str
) -> None:
    whole = ask(layer, **QUERIES[name], total=True)
    assert whole.table.num_rows == min(whole.total or 0, QUERIES[name].get("limit", 10_000))
    pages: list[tuple[Any, ...]] = []
    size = 61
    for offset in range(0, whole.table.num_rows, size):
        limit = min(size, whole.table.num_rows - offset)
        page = ask(layer, **QUERIES[name] | {"limit": limit, "offset": offset, "total": True})
        assert (page.total, page.truncated) == (whole.total, False)
        pages += rows(page)
    assert pages == rows(whole)


@pytest.mark.parametrize("name", QUERIES)
def test_the_total_is_that_of_all_pages_beyond_the_end_too(layer: SemanticLayer, name: str) -> None:
    plain = {key: value for key, value in QUERIES[name].items() if key != "limit"}
    count = ask(layer, **plain).table.num_rows
    for limit, offset in ((0, 0), (5, count), (5, count + 1_000), (5, count - 1), (50_000, 3)):
        found = ask(layer, **plain | {"limit": limit, "offset": offset, "total": True})
        assert found.total == count
        assert found.table.num_rows == min(limit, max(0, count - offset))
        assert not found.truncated


def test_nulls_stay_where_they_were_and_ties_follow_the_other_keys(layer: SemanticLayer) -> None:
    found = rows(
        ask(
            layer,
            dimensions=["events.kind", "events.place"],
            order={"events.kind": "desc"},
            limit=15,
        )
    )
    assert [kind for kind, _ in found] == [None] * 14 + ["k4"]
    places = [place for _, place in found[:14]]
    assert places == [*sorted(place for place in places if place is not None), None]


@pytest.mark.parametrize(
    ("most", "fetched", "truncated"), [(10_000, 10_000, False), (10_001, 10_000, True), (9_999, 9_999, False)]
)  # fmt: skip
def test_our_limit_cuts_only_what_is_beyond_it_and_says_so(
    layer: SemanticLayer, most: int, fetched: int, *, truncated: bool
) -> None:
    upto = {"member": "numbers.n", "operator": "lte", "values": [str(most)]}
    found = ask(layer, dimensions=["numbers.n"], filters=[upto], total=True)
    assert (found.table.num_rows, found.truncated, found.total) == (fetched, truncated, most)
    assert rows(found)[-1][0] == fetched


def test_our_limit_counts_from_the_offset(layer: SemanticLayer) -> None:
    found = ask(layer, dimensions=["numbers.n"], offset=1, total=True)
    assert (found.table.num_rows, found.truncated, found.total) == (10_000, False, 10_001)
    assert rows(found)[0][0] == 2


def test_a_filter_on_groups_is_part_of_the_total(layer: SemanticLayer) -> None:
    many = {"member": "events.count", "operator": "gt", "values": ["15"]}
    query: dict[str, Any] = {"measures": ["events.count"], "dimensions": ["events.kind", "events.place"]}  # fmt: skip
    every = [row for row in rows(ask(layer, **query)) if row[2] > 15]
    found = ask(layer, **query, filters=[many], limit=2, total=True)
    assert found.total == len(every)
    assert rows(found) == every[:2]
