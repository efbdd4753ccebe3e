"""Rollups come and go beside the tables in service; the answers stay those of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from semantic.catalog.load import ModelLoader
from semantic.compile.rollup import rollup_builds
from semantic.project import Project
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.rollups import FOLDER, ROLLUPS, read_rollups
from semantic.service import SemanticLayer
from semantic.snapshot import read_snapshot
from tests.golden.queries.layer import open_layer, publish, write_project
from tests.unit.semantic.rollups.build import build_rollups

NOW = datetime(2024, 7, 1, tzinfo=UTC)
MODEL = """
cubes:
  - name: sales
    sql_table: gold.sales
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city, mask: "somewhere"}
      - {name: shop, type: string, sql: shop}
    measures:
      - {name: count, type: count}
      - {name: amount, type: sum, sql: "amount * 1"}
    pre_aggregations:
      - {name: by_city, measures: [count, amount], dimensions: [city, shop]}
    access_policy:
      - {group: all}
      - group: masked
        member_level: {includes: "*", excludes: [city]}
        member_masking: {includes: [city]}
      - group: shop_one
        row_level: {filters: [{member: shop, operator: equals, values: ["one"]}]}
      - group: keyed
        row_level: {filters: [{member: id, operator: lt, values: ["10"]}]}
"""
SEED = """
CREATE TABLE gold.sales AS SELECT i AS id, CASE WHEN i % 3 = 0 THEN 'Rome' ELSE 'Oslo' END AS city,
  CASE WHEN i % 2 = 0 THEN 'one' ELSE 'two' END AS shop, i AS amount FROM range({rows}) r(i);
"""
BY_CITY = {"measures": ["sales.count", "sales.amount"], "dimensions": ["sales.city"]}
EVERYBODY = SecurityContext("ann", ("all",))


def ask(
    layer: SemanticLayer, context: SecurityContext = EVERYBODY, **query: Any
) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the rows in order, and whether a rollup was read."""
    result = layer.load(parse_json(query or BY_CITY), context, now=NOW)
    return sorted(tuple(row.values()) for row in result.table.to_pylist()), bool(result.rollups)


def expect(rows: int, shop: str | None = None, below: int | None = None) -> list[tuple[Any, ...]]:
    """Return the rows by city: counted in a loop."""
    found: dict[str, list[int]] = {}
    for number in range(rows):
        if shop is not None and (number % 2 == 0) != (shop == "one"):
            continue
        if below is not None and number >= below:
            continue
        found.setdefault("Rome" if number % 3 == 0 else "Oslo", []).append(number)
    return sorted((city, len(ids), sum(ids)) for city, ids in found.items())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def layer(folder: Path) -> Iterator[SemanticLayer]:
    found = open_layer(folder, MODEL, SEED.format(rows=100))
    yield found
    found.close()


def test_a_rollup_is_read_as_soon_as_it_is_built(layer: SemanticLayer, folder: Path) -> None:
    assert ask(layer) == (expect(100), False)
    build_rollups(layer, folder / "serving")
    assert ask(layer) == (expect(100), True)


def test_other_tables_are_asked_until_it_is_built_anew(layer: SemanticLayer, folder: Path) -> None:
    build_rollups(layer, folder / "serving")
    assert ask(layer) == (expect(100), True)
    publish(folder / "serving", SEED.format(rows=101), version=2)
    assert ask(layer) == (expect(101), False)
    [note] = layer.explain(parse_json(BY_CITY), EVERYBODY, now=NOW)["preAggregations"]
    assert note["why"] == (
        "it would fit, but rows changed since it was built (sales): run `ducat rollups build`"
    )
    build_rollups(layer, folder / "serving", run="b")
    assert ask(layer) == (expect(101), True)


def test_another_definition_is_another_rollup(layer: SemanticLayer, folder: Path) -> None:
    build_rollups(layer, folder / "serving")
    assert ask(layer)[1]
    write_project(folder, MODEL.replace("amount * 1", "amount * 2"))
    layer.reload()
    doubled = [(city, count, amount * 2) for city, count, amount in expect(100)]
    assert ask(layer) == (doubled, False)
    [note] = layer.explain(parse_json(BY_CITY), EVERYBODY, now=NOW)["preAggregations"]
    assert "the model defines it otherwise" in note["why"]


def test_names_and_texts_of_the_model_do_not_make_another_rollup(
    layer: SemanticLayer, folder: Path
) -> None:
    build_rollups(layer, folder / "serving")
    write_project(folder, "# a comment\n" + MODEL.replace("type: count}", "type: count, title: N}"))
    layer.reload()
    assert ask(layer) == (expect(100), True)


@pytest.mark.parametrize("damage", ["truncated", "scrambled", "empty", "gone", "header"])
def test_a_damaged_file_costs_time_and_never_an_answer(
    layer: SemanticLayer, folder: Path, damage: str
) -> None:
    build_rollups(layer, folder / "serving")
    [stored] = read_rollups(folder / "serving")
    path = folder / "serving" / FOLDER / stored.file
    content = bytearray(path.read_bytes())
    match damage:
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "scrambled":
            for place in range(4096 * 3, len(content), 97):
                content[place] ^= 0xFF
            path.write_bytes(content)
        case "header":
            path.write_bytes(b"\0" * 64 + content[64:])
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
    assert ask(layer)[0] == expect(100)
    assert ask(layer)[0] == expect(100)
    build_rollups(layer, folder / "serving", run="b")
    assert ask(layer) == (expect(100), True)


@pytest.mark.parametrize("text", ["", "{", '{"format": 9}', '{"format": 1, "rollups": [{"name": 1}]}',
                                  '{"format": 1, "rollups": [{"file": "../gold-1.duckdb"}]}'])  # fmt: skip
def test_a_damaged_manifest_is_as_if_nothing_was_built(
    layer: SemanticLayer, folder: Path, text: str
) -> None:
    build_rollups(layer, folder / "serving")
    (folder / "serving" / ROLLUPS).write_text(text)
    assert ask(layer) == (expect(100), False)
    build_rollups(layer, folder / "serving", run="b")
    assert ask(layer) == (expect(100), True)


def test_policies_hold_over_rollups(layer: SemanticLayer, folder: Path) -> None:
    build_rollups(layer, folder / "serving")
    one = SecurityContext("bob", ("shop_one",))
    assert ask(layer, one) == (expect(100, shop="one"), True)
    keyed = SecurityContext("cyd", ("keyed",))  # by what the rollup does not have
    assert ask(layer, keyed) == (expect(100, below=10), False)
    masked = SecurityContext("dot", ("masked",))
    assert ask(layer, masked) == ([("somewhere", 100, sum(range(100)))], False)
    total = {"measures": ["sales.amount"]}
    assert ask(layer, masked, **total) == ([(sum(range(100)),)], True)


def test_sql_that_reads_the_clock_is_not_built(folder: Path) -> None:
    model = MODEL.replace(
        "sql: shop}", "sql: \"CASE WHEN now() > DATE '2020-01-01' THEN shop END\"}"
    )
    layer = open_layer(folder, model, SEED.format(rows=100))
    try:
        [build] = build_rollups(layer, folder / "serving")
        assert build.problem == "its SQL says something else each time that it runs"
        assert ask(layer) == (expect(100), False)
    finally:
        layer.close()


def test_what_is_built_is_what_the_snapshot_says(layer: SemanticLayer, folder: Path) -> None:
    """Each entry names the versions of all tables, so that none can change unseen."""
    build_rollups(layer, folder / "serving")
    [stored] = read_rollups(folder / "serving")
    snapshot = read_snapshot(folder / "serving")
    assert stored.find_change(snapshot) is None
    publish(folder / "serving", SEED.format(rows=100), version=2)
    assert stored.find_change(read_snapshot(folder / "serving")) == "sales"


def test_a_model_without_rollups_reads_none(folder: Path) -> None:
    model = MODEL[: MODEL.index("    pre_aggregations")]
    publish(folder / "serving", SEED.format(rows=10))
    layer = SemanticLayer.open(write_project(folder, model), serving=folder / "serving")
    try:
        assert ask(layer) == (expect(10), False)
        assert layer.rollup_builds(("UTC",)) == ()
    finally:
        layer.close()


def test_a_definition_names_no_machine(folder: Path) -> None:
    """The digest follows from the model alone: a builder and a server agree on it anywhere."""
    one = write_project(folder / "one", MODEL)
    other = write_project(folder / "other", MODEL)
    digests = {_digest(project) for project in (one, other)}
    assert len(digests) == 1


def _digest(project: Project) -> str:

    [build] = rollup_builds(ModelLoader(project.model).load(), ("UTC",))
    return build.definition
