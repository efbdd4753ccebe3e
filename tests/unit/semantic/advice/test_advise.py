"""What is proposed answers what it promises: pasted into the model and built, with equal rows."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
import yaml

from api.shapes import write_shape
from semantic.advice.advise import Advice, Advisor, Limits
from semantic.advice.document import describe, write_yaml
from semantic.advice.shapes import AskedShape, find_type, read_shapes
from semantic.catalog.load import load_catalog_from_text
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer
from tests.unit.semantic.rollups.build import build_rollups

NOW = datetime(2024, 7, 1, tzinfo=UTC)
ANYBODY = SecurityContext()
MODEL = """
cubes:
  - name: sales
    sql_table: gold.sales
    joins:
      - {name: shops, sql: "{CUBE}.shop_id = {shops.id}", relationship: many_to_one}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: status, type: string, sql: status}
      - {name: colour, type: string, sql: colour}
      - {name: sold_at, type: time, sql: sold_at}
    measures:
      - {name: count, type: count}
      - {name: amount, type: sum, sql: amount}
      - {name: buyers, type: count_distinct, sql: buyer}
      - {name: mean, type: number, sql: "{amount} * 1.0 / nullif({count}, 0)"}
      - {name: middle, type: number_agg, sql: "median(amount)"}
    segments:
      - {name: dear, sql: "{CUBE}.amount > 50"}
  - name: shops
    sql_table: gold.shops
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
    measures:
      - {name: shops, type: count}
  - name: returns
    sql_table: gold.returns
    joins:
      - {name: shops, sql: "{CUBE}.shop_id = {shops.id}", relationship: many_to_one}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
    measures:
      - {name: returned, type: count}
views:
  - name: overview
    cubes:
      - {join_path: sales, includes: [count, amount, status, sold_at, mean]}
      - {join_path: sales.shops, includes: [city]}
"""
SEED = """
CREATE TABLE gold.shops AS SELECT i AS id, 'city ' || i % 4 AS city FROM range(8) r(i);
CREATE TABLE gold.sales AS SELECT i AS id, i % 8 AS shop_id, 'status ' || i % 3 AS status,
  CASE WHEN i % 7 = 0 THEN NULL ELSE 'colour ' || i % 5 END AS colour, i % 100 AS amount,
  i % 31 AS buyer, TIMESTAMP '2024-01-01' + INTERVAL (i % 4000) HOUR AS sold_at FROM range(20000) r(i);
CREATE TABLE gold.returns AS SELECT i AS id, i % 8 AS shop_id FROM range(3000) r(i);
"""
MONTHS = [{"dimension": "sales.sold_at", "granularity": "month"}]
DAYS = [
    {"dimension": "sales.sold_at", "granularity": "day", "dateRange": ["2024-02-03", "2024-03-07"]}
]
QUERIES: dict[str, dict[str, Any]] = {
    "by status": {"measures": ["sales.count"], "dimensions": ["sales.status"]},
    "by month": {"measures": ["sales.amount"], "timeDimensions": MONTHS},
    "by city": {"measures": ["sales.mean"], "dimensions": ["shops.city"]},
    "distinct": {"measures": ["sales.buyers"], "dimensions": ["sales.status"], "timeDimensions": DAYS},
    "filtered": {
        "measures": ["sales.count", "sales.amount"],
        "filters": [
            {"or": [
                {"member": "sales.colour", "operator": "equals", "values": ["colour 1"]},
                {"member": "sales.status", "operator": "contains", "values": ["2"]},
            ]},
            {"member": "sales.sold_at", "operator": "beforeDate", "values": ["2024-03-01"]},
            {"member": "sales.amount", "operator": "gt", "values": ["5"]},
        ],
    },
    "segment": {"measures": ["sales.count"], "segments": ["sales.dear"]},
    "view": {"measures": ["overview.mean"], "dimensions": ["overview.city", "overview.status"]},
    "two facts": {"measures": ["sales.count", "returns.returned"], "dimensions": ["shops.city"]},
    "compare": {
        "measures": ["sales.amount"],
        "timeDimensions": [
            {"dimension": "sales.sold_at", "granularity": "month", "dateRange": ["2024-02-01", "2024-04-30"]}
        ],
        "compare": {"to": "1 month"},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SemanticLayer, Path]]:
    folder = tmp_path_factory.mktemp("advice")
    layer = open_layer(folder, MODEL, SEED)
    yield layer, folder
    layer.close()


def log_of(queries: list[dict[str, Any]], path: Path, seconds: float = 1.0) -> Path:
    """Write a query log as the server does, the earlier queries a little slower."""
    with path.open("wb") as stream:
        for place, query in enumerate(queries):
            shape = write_shape(parse_json(query), NOW)
            line = {
                "time": "2024-07-01T00:00:00.000Z",
                "seconds": seconds - place / 1000,
                "shapes": [shape],
            }
            stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return path


def advise(
    raw: tuple[SemanticLayer, Path], queries: list[dict[str, Any]], tmp_path: Path, **limits: Any
) -> tuple[Advice, list[AskedShape]]:
    layer, folder = raw
    type_of = partial(find_type, layer.catalog)
    asked, unread = read_shapes([log_of(queries, tmp_path / "log")], type_of)
    assert unread == 0
    [file] = (folder / "serving").glob("gold-*.duckdb")
    with duckdb.connect(str(file), read_only=True) as database:

        def count(sql: str) -> int:
            [(rows,)] = database.execute(f"SELECT count(*) FROM ({sql}) r").fetchall()
            return int(rows)

        settings = Limits(**{"share": 1.0, **limits})
        return Advisor(layer.catalog, layer.known(), count).advise(asked, settings), asked


def rolled_layer(folder: Path, advice: Advice) -> SemanticLayer:
    """Return a layer whose model has the proposals, pasted from the YAML, built."""
    document = yaml.safe_load(MODEL)
    for part in write_yaml(advice).split("# Add to the cube ")[1:]:
        name = part.partition(":")[0]
        [cube] = [item for item in document["cubes"] if item["name"] == name]
        cube |= yaml.safe_load(part.partition("\n")[2])
    layer = open_layer(folder, yaml.safe_dump(document, sort_keys=False), SEED)
    build_rollups(layer, folder / "serving", ("UTC",))
    return layer


def test_pasted_and_built_they_answer_what_was_asked_with_equal_rows(
    raw: tuple[SemanticLayer, Path], tmp_path: Path
) -> None:
    advice, _ = advise(raw, list(QUERIES.values()), tmp_path, largest=0.2)
    assert [item.why for item in advice.unhelped] == []
    assert sum(item.seconds for item in advice.proposals) > 0
    rolled = rolled_layer(tmp_path, advice)
    try:
        for name, document in QUERIES.items():
            query = parse_json(document)
            found = rolled.load(query, ANYBODY, now=NOW)
            expected = raw[0].load(query, ANYBODY, now=NOW)
            assert rolled.compile(query, ANYBODY, now=NOW).only_rollups, name
            key = [f"{row}" for row in found.table.to_pylist()]
            assert sorted(key) == sorted(f"{row}" for row in expected.table.to_pylist()), name
    finally:
        rolled.close()


def test_the_rows_of_each_are_those_of_its_table(
    raw: tuple[SemanticLayer, Path], tmp_path: Path
) -> None:
    advice, _ = advise(raw, list(QUERIES.values()), tmp_path, largest=0.2)
    rolled = rolled_layer(tmp_path, advice)
    try:
        built = {item.rollup.name: item.rollup.rows for item in rolled.known().stored}
    finally:
        rolled.close()
    assert built == {f"{item.need.cube}.{item.name}": item.rows for item in advice.proposals}


def test_the_set_is_the_smallest_that_answers_all(
    raw: tuple[SemanticLayer, Path], tmp_path: Path
) -> None:
    """Two coarse questions about one small cube need one table, and one of each of two facts."""
    one = [QUERIES["by status"], QUERIES["by city"], QUERIES["view"]]
    advice, _ = advise(raw, one, tmp_path)
    assert [item.rows for item in advice.proposals] == [12]  # 4 cities and 3 states
    assert len(advice.proposals[0].shapes) == 3
    both, _ = advise(raw, [*one, QUERIES["two facts"]], tmp_path)
    assert sorted(item.need.cube for item in both.proposals) == ["returns", "sales"]


def test_what_no_rollup_can_answer_is_said_with_the_reason(
    raw: tuple[SemanticLayer, Path], tmp_path: Path
) -> None:
    unhelped: dict[str, dict[str, Any]] = {
        "rows": {"dimensions": ["sales.id"], "ungrouped": True},
        "too fine": {"measures": ["sales.count"], "dimensions": ["sales.id"]},
    }
    advice, _ = advise(raw, list(unhelped.values()), tmp_path)
    assert advice.proposals == ()
    rows, fine = (item.why for item in advice.unhelped)
    assert "asks for rows" in rows
    assert fine == "its rollup would have 20,000 rows, of 20,000 of sales"


def test_a_measure_that_cannot_be_merged_gets_a_table_of_its_own(
    raw: tuple[SemanticLayer, Path], tmp_path: Path
) -> None:
    median = {"measures": ["sales.middle"], "dimensions": ["sales.status"]}
    advice, _ = advise(raw, [median, QUERIES["by city"]], tmp_path)
    assert sorted(item.rows for item in advice.proposals) == [3, 4]


def test_what_is_answered_from_a_rollup_already_is_not_proposed_again(
    raw: tuple[SemanticLayer, Path], tmp_path: Path
) -> None:
    advice, asked = advise(raw, [QUERIES["by status"]], tmp_path)
    rolled = rolled_layer(tmp_path, advice)
    try:
        again = Advisor(rolled.catalog, rolled.known(), lambda _: 1).advise(asked, Limits(1.0))
    finally:
        rolled.close()
    assert (again.proposals, again.answered) == ((), again.seconds)


def test_only_the_slowest_share_and_the_most_useful_are_proposed(
    raw: tuple[SemanticLayer, Path], tmp_path: Path
) -> None:
    queries = [QUERIES["two facts"], QUERIES["by status"], QUERIES["by month"]]
    advice, _ = advise(raw, queries, tmp_path, share=0.3)
    assert [len(item.shapes) for item in advice.proposals] == [1, 1]
    advice, _ = advise(raw, [QUERIES["by status"], QUERIES["two facts"]], tmp_path, most=1)
    assert len(advice.proposals) == 1
    assert [item.why for item in advice.unhelped] == [
        "its rollup is not among the most useful ones"
    ]


def test_yaml_of_a_proposal_is_the_rollup_that_was_planned_with(
    raw: tuple[SemanticLayer, Path], tmp_path: Path
) -> None:
    for name, query in QUERIES.items():
        folder = tmp_path / name
        folder.mkdir()
        advice, _ = advise(raw, [query], folder, largest=0.2)
        assert advice.proposals, name
        for item in advice.proposals:
            document = yaml.safe_load(MODEL)
            [cube] = [part for part in document["cubes"] if part["name"] == item.need.cube]
            cube["pre_aggregations"] = [describe(item.name, item.need)]
            catalog = load_catalog_from_text({"model.yml": yaml.safe_dump(document)})
            [found] = catalog.cubes[item.need.cube].pre_aggregations
            assert found.name == item.name
            assert len(found.dimensions) == len(item.need.dimensions)
            assert {time.granularity for time in found.times} == {cut for _, cut in item.need.times}


CUTS = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("cut", CUTS)
def test_a_shape_read_back_has_the_same_shape(cut: str, zone: str) -> None:
    """Whatever the values were: the shape of the query that is made of a shape is that shape."""
    shape = {
        "measures": ["a.m"],
        "dimensions": ["a.d"],
        "timeDimensions": [{"dimension": "a.t", "granularity": "day", "cut": cut}],
        "segments": ["a.s"],
        "filters": [
            {"or": [
                {"member": "a.d", "operator": "equals"},
                {"and": [{"member": "a.d", "operator": "notSet"}, {"member": "a.m", "operator": "gt"}]},
            ]},
            {"member": "a.t", "operator": "inDateRange", "cut": cut},
        ],
        "timezone": zone,
    }  # fmt: skip
    line = orjson.dumps({"time": "2024-07-01T00:00:00Z", "seconds": 1, "shapes": [shape]})
    query = next(iter(_read(line))).query
    assert write_shape(query, NOW) == shape


def _read(line: bytes) -> list[AskedShape]:
    path = Path(f"/proc/self/fd/{_memory(line)}")
    asked, unread = read_shapes([path], lambda _: "number")
    assert unread == 0
    return asked


def _memory(content: bytes) -> int:
    number = os.memfd_create("log")
    os.write(number, content)
    os.lseek(number, 0, os.SEEK_SET)
    return number


@pytest.mark.parametrize(
    ("dates", "cut"),
    [
        (["2024-01-01", "2024-12-31"], "year"),
        (["2024-04-01", "2024-09-30"], "quarter"),
        (["2024-02-01", "2024-02-29"], "month"),
        (["2024-02-05", "2024-02-11"], "week"),
        (["2024-02-05", "2024-02-12"], "day"),
        (["2024-02-05T01:00:00", "2024-02-05T02:59:59.999"], "hour"),
        ("last month", "month"),
        ("last 7 days", "day"),
        ("this year", "year"),
        ("today", "day"),
        ("last 24 hours", "hour"),
        ("from 2 months ago to now", "second"),
    ],
)
def test_dates_are_kept_as_the_period_that_they_are_made_of(dates: Any, cut: str) -> None:
    time = {"dimension": "a.t", "dateRange": dates}
    shape = write_shape(parse_json({"measures": ["a.m"], "timeDimensions": [time]}), NOW)
    assert shape["timeDimensions"] == [{"dimension": "a.t", "cut": cut}]


def test_no_value_is_in_a_shape() -> None:
    query = QUERIES["filtered"] | {"limit": 7, "order": [["sales.count", "desc"]], "total": True}
    text = orjson.dumps(write_shape(parse_json(query), NOW)).decode()
    assert "colour 1" not in text
    assert not any(word in text for word in ("2024", "limit", "order", "total", "values"))


def test_lines_that_cannot_be_read_are_counted_and_old_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    good = log_of([QUERIES["by status"]], path).read_bytes()
    bad = [b"{", b"[]", b'{"shapes":[{}]}', b'{"seconds":1,"time":"x","shapes":[{}]}']
    unknown = good.replace(b"timezone", b"tomezine")
    path.write_bytes(
        b"\n".join(
            [*bad, unknown.strip(), good.strip(), b'{"seconds":1,"time":"2024-07-01T00:00:00Z"}']
        )
    )
    asked, unread = read_shapes([path], lambda _: "string")
    assert ([item.count for item in asked], unread) == ([1], 5)
    assert read_shapes([path], lambda _: "string", datetime(2024, 7, 2, tzinfo=UTC))[0] == []


def test_equal_shapes_are_one_whatever_their_values(tmp_path: Path) -> None:
    queries = [
        {
            "measures": ["sales.count"],
            "filters": [{"member": "sales.status", "operator": "equals", "values": [value]}],
        }
        for value in ("a", "b", "c")
    ]
    asked, _ = read_shapes([log_of(queries, tmp_path / "log")], lambda _: "string")
    assert [item.count for item in asked] == [3]
    assert asked[0].seconds == pytest.approx(2.997)
    assert list(itertools.chain.from_iterable(item.query.measures for item in asked)) == [
        "sales.count"
    ]
