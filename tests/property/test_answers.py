"""Random small tables, random queries: the answer is that of loops over rows in plain Python.

Tables: shops (one) → orders (many) → lines (many), and orders → clerks (one), joined by keys that
are often null or point nowhere. The naive evaluator joins by nested loops and counts each row of a
measure's table once in each group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semantic.catalog.load import load_catalog_from_text
from semantic.compile.statement import compile_plan
from semantic.engine.served import DISABLED_OPTIMIZERS
from semantic.plan.build import build
from semantic.query.bind import bind
from semantic.query.from_json import parse_json

NOW = datetime(2024, 6, 15, tzinfo=UTC)
MODEL = """
cubes:
  - name: shops
    sql_table: shops
    joins: [{name: orders, relationship: one_to_many, sql: "{CUBE}.id = {orders}.shop_id"}]
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: label, type: string, sql: label}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: ones, type: sum, sql: "1"}
  - name: orders
    sql_table: orders
    joins:
      - {name: lines, relationship: one_to_many, sql: "{CUBE}.id = {lines}.order_id"}
      - {name: clerks, relationship: many_to_one, sql: "{CUBE}.clerk_id = {clerks}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: label, type: string, sql: label}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: ones, type: sum, sql: "1"}
      - {name: largest, type: max, sql: amount}
  - name: lines
    sql_table: lines
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: label, type: string, sql: label}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
  - name: clerks
    sql_table: clerks
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: label, type: string, sql: label}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
"""
CATALOG = load_catalog_from_text({"model.yml": MODEL})
# table, its foreign keys, and the hops: (source column, target table, target column)
TABLES = {"shops": [], "orders": ["shop_id", "clerk_id"], "lines": ["order_id"], "clerks": []}
HOPS = {
    "orders": ("shops", "id", "shop_id"),
    "lines": ("orders", "id", "order_id"),
    "clerks": ("orders", "clerk_id", "id"),
}
Row = dict[str, Any]
Data = dict[str, list[Row]]
LABELS = st.sampled_from(["a", "b", None])
AMOUNTS = st.one_of(st.none(), st.integers(-3, 3).map(lambda cents: Decimal(cents) / 4))
KEYS = st.one_of(st.none(), st.integers(0, 5))
DIMENSIONS = ["shops.label", "orders.label", "lines.label", "clerks.label"]
MEASURES = [f"{cube.name}.{name}" for cube in CATALOG.cubes.values() for name in cube.measures]


@st.composite
def tables(draw: st.DrawFn) -> Data:
    return {
        name: [
            {
                "id": number,
                "label": draw(LABELS),
                "amount": draw(AMOUNTS),
                **{column: draw(KEYS) for column in columns},
            }
            for number in range(draw(st.integers(0, 5)))
        ]
        for name, columns in TABLES.items()
    }


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(
        ":memory:", config={"threads": 1, "disabled_optimizers": DISABLED_OPTIMIZERS}
    )
    for name, columns in TABLES.items():
        keys = "".join(f", {column} BIGINT" for column in columns)
        connection.execute(
            f"CREATE TABLE {name} (id BIGINT, label VARCHAR, amount DECIMAL(10, 2){keys})"
        )
    yield connection
    connection.close()


def fill(database: duckdb.DuckDBPyConnection, data: Data) -> None:
    for name, rows in data.items():
        database.execute(f"DELETE FROM {name}")
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            database.executemany(
                f"INSERT INTO {name} VALUES ({marks})", [list(row.values()) for row in rows]
            )


def answer(
    database: duckdb.DuckDBPyConnection,
    measures: Sequence[str],
    dimensions: Sequence[str],
    filters: Sequence[dict[str, Any]] = (),
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    query = parse_json(
        {"measures": measures, "dimensions": dimensions, "filters": filters, "order": []}
    )
    plan = build(CATALOG, bind(CATALOG, query, now=NOW))
    compiled = compile_plan(CATALOG, plan)
    rows = database.execute(compiled.sql, list(compiled.values)).fetchall()
    found = {row[: len(dimensions)]: row[len(dimensions) :] for row in rows}
    assert len(found) == len(rows), "a group came twice"
    return found


def naive(
    data: Data,
    measures: Sequence[str],
    dimensions: Sequence[str],
    keep: Callable[[dict[str, Row | None]], bool] = lambda _: True,
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    cubes = {member.partition(".")[0] for member in (*measures, *dimensions)}
    joined = [row for row in join(data, cubes) if keep(row)]
    groups: dict[tuple[Any, ...], list[dict[str, Row | None]]] = {} if dimensions else {(): []}
    for row in joined:
        key = tuple(cell(row, dimension) for dimension in dimensions)
        groups.setdefault(key, []).append(row)
    return {
        key: tuple(evaluate(measure, rows) for measure in measures) for key, rows in groups.items()
    }


def join(data: Data, cubes: set[str]) -> list[dict[str, Row | None]]:
    """Join by loops. The root is the only cube asked from which all the others are reached."""
    needed = set(cubes)
    root = next(name for name in ("shops", "orders", "lines", "clerks") if name in cubes)
    if root in {"lines", "clerks"} and len(cubes) > 1:
        raise AssertionError(cubes)
    if root == "shops" and needed & {"lines", "clerks"}:
        needed.add("orders")
    rows: list[dict[str, Row | None]] = [{root: row} for row in data[root]]
    for target in ("orders", "lines", "clerks"):
        if target not in needed or target == root:
            continue
        source, left, right = HOPS[target]
        grown: list[dict[str, Row | None]] = []
        for row in rows:
            origin = row[source]
            matches = [
                candidate
                for candidate in data[target]
                if origin is not None
                and origin[left] is not None
                and origin[left] == candidate[right]
            ]
            grown += [{**row, target: match} for match in matches] or [{**row, target: None}]
        rows = grown
    return rows


def cell(row: dict[str, Row | None], member: str) -> Any:
    cube, _, column = member.partition(".")
    found = row[cube]
    return None if found is None else found[column]


def evaluate(measure: str, rows: Sequence[dict[str, Row | None]]) -> Any:
    cube, _, name = measure.partition(".")
    distinct = {found["id"]: found for row in rows if (found := row[cube]) is not None}
    amounts = [found["amount"] for found in distinct.values() if found["amount"] is not None]
    match name:
        case "count":
            return len(distinct)
        case "ones":
            return len(distinct) or None
        case "total":
            return sum(amounts) if amounts else None
        case _:
            return max(amounts, default=None)


MEMBERS = st.tuples(
    st.lists(st.sampled_from(MEASURES), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(DIMENSIONS), max_size=3, unique=True),
).filter(lambda pair: joinable([*pair[0], *pair[1]]))


def joinable(members: Sequence[str]) -> bool:
    cubes = {member.partition(".")[0] for member in members}
    return len(cubes) == 1 or bool(cubes & {"shops", "orders"})


QUICK = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUICK
@given(data=tables(), members=MEMBERS)
def test_answers_are_those_of_loops_over_rows(
    database: duckdb.DuckDBPyConnection, data: Data, members: tuple[list[str], list[str]]
) -> None:
    fill(database, data)
    assert answer(database, *members) == naive(data, *members)


@QUICK
@given(data=tables(), members=MEMBERS, label=st.sampled_from(["a", "b", None]))
def test_a_filter_is_applied_before_anything_is_counted(
    database: duckdb.DuckDBPyConnection,
    data: Data,
    members: tuple[list[str], list[str]],
    label: str | None,
) -> None:
    measures, dimensions = members
    if not dimensions:
        dimensions = [f"{measures[0].partition('.')[0]}.label"]
    fill(database, data)
    wanted = {"member": dimensions[0], "operator": "equals", "values": [label]}
    expected = naive(
        data, measures, dimensions, lambda row: bool(cell(row, dimensions[0]) == label)
    )
    assert answer(database, measures, dimensions, [wanted]) == expected


@QUICK
@given(data=tables(), members=MEMBERS, other=st.sampled_from(MEASURES))
def test_another_measure_of_the_tree_never_changes_the_others_nor_the_groups(
    database: duckdb.DuckDBPyConnection,
    data: Data,
    members: tuple[list[str], list[str]],
    other: str,
) -> None:
    """The root stays: a measure of a cube above it would ask about other rows."""
    measures, dimensions = members
    cubes = {member.partition(".")[0] for member in (*measures, *dimensions)}
    root = next(name for name in TABLES if name in cubes)
    if other.partition(".")[0] not in CATALOG.join_graph.reachable(root):
        return
    fill(database, data)
    alone = answer(database, measures, dimensions)
    more = [*dict.fromkeys([*measures, other])]
    together = answer(database, more, dimensions)
    assert {key: row[: len(measures)] for key, row in together.items()} == alone


@QUICK
@given(
    data=tables(),
    dimensions=st.lists(st.sampled_from(DIMENSIONS[1:2] + DIMENSIONS[3:]), unique=True),
)
def test_a_dimension_of_the_one_side_never_changes_an_additive_total(
    database: duckdb.DuckDBPyConnection, data: Data, dimensions: list[str]
) -> None:
    fill(database, data)
    ((total, count),) = answer(database, ["orders.total", "orders.count"], []).values()
    parts = answer(database, ["orders.total", "orders.count"], dimensions).values()
    assert sum(part[1] for part in parts) == count
    assert sum(part[0] for part in parts if part[0] is not None) == (total or 0)


@QUICK
@given(data=tables())
def test_a_join_to_many_never_inflates_a_total_of_one_group(
    database: duckdb.DuckDBPyConnection, data: Data
) -> None:
    fill(database, data)
    ((total, _),) = answer(database, ["orders.total", "lines.count"], []).values()
    amounts = [row["amount"] for row in data["orders"] if row["amount"] is not None]
    assert total == (sum(amounts) if amounts else None)
