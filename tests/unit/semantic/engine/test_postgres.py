"""The PostgreSQL engine answers exactly, reads only, stops what runs too long, and survives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from semantic.catalog.load import ModelLoader
from semantic.compile.compiled import CompiledQuery
from semantic.engine.postgres import PostgresEngine, _values
from semantic.engine.postgres_values import make_table
from semantic.engine.query_engine import QueryEngine
from semantic.engine.result import Result
from semantic.errors import (
    EngineError,
    QueryCancelledError,
    QueryTimeoutError,
    SourceUnavailableError,
)
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.conformance.server import start_postgres
from tests.golden.queries.layer import write_project

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: orders
    sql_table: shop.orders
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: paid, type: boolean, sql: paid}
      - {name: at, type: time, sql: placed_at}
      - {name: day, type: time, sql: day}
      - {name: zoned, type: time, sql: zoned}
      - {name: reference, type: string, sql: reference}
      - {name: details, type: string, sql: details}
      - {name: weight, type: number, sql: weight}
    measures:
      - {name: count, type: count}
      - {name: ids, type: sum, sql: id}
      - {name: amount, type: sum, sql: amount}
      - {name: average_id, type: avg, sql: id}
      - {name: huge, type: sum, sql: "id * 9000000000000000000::numeric"}
      - {name: latest, type: max, sql: id}
  - name: slow
    sql: "SELECT 1 AS id, pg_sleep(30)::text AS nothing"
    dimensions: [{name: nothing, type: string, sql: nothing}]
  - name: absent
    sql_table: shop.absent
    measures: [{name: count, type: count}]
  - name: writing
    sql: "SELECT shop.write() AS id"
    measures: [{name: count, type: sum, sql: id}]
  - name: broken
    sql: "SELECT 'x' AS id"
    measures: [{name: count, type: sum, sql: "CAST(id AS integer)"}]
"""
SEED = """
DROP SCHEMA IF EXISTS shop CASCADE;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id bigint, paid boolean, placed_at timestamp, day date,
  zoned timestamptz, reference uuid, details jsonb, weight double precision, amount numeric(10, 2));
INSERT INTO shop.orders VALUES
  (1, true, '2024-01-01 03:00:00.123456', '2024-01-01', '2024-01-01 03:00+00',
   '00000000-0000-0000-0000-000000000001', '{"a": 1}', 0.5, 10.50),
  (2, false, '2024-07-01 12:00', '2024-07-01', '2024-07-01 12:00+00',
   '00000000-0000-0000-0000-000000000002', '[1, 2]', 1.5, 0.25),
  (3, null, null, null, null, null, null, null, null);
CREATE FUNCTION shop.write() RETURNS integer LANGUAGE sql AS
  $$ INSERT INTO shop.orders (id) VALUES (99) RETURNING 1 $$;
"""

Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def address() -> str:
    found = start_postgres()
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(SEED)
    return found


def open_postgres(folder: Path, address: str, **options: Any) -> SemanticLayer:
    engine: QueryEngine = PostgresEngine(address, **{"timeout_seconds": 30.0, **options})
    return SemanticLayer(ModelLoader(write_project(folder, MODEL).model), engine)


@pytest.fixture(scope="module")
def layer(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    opened = open_postgres(tmp_path_factory.mktemp("project"), address)
    yield opened
    opened.close()


def ask(layer: SemanticLayer, cancelled: threading.Event | None = None, **query: Any) -> Result:
    return layer.load(parse_json(query), SecurityContext(), now=NOW, cancelled=cancelled)


def test_measures_stay_exact(layer: SemanticLayer) -> None:
    """Sums of integers are integers, money keeps its cents, and what is too large is a decimal."""
    names = ("count", "ids", "amount", "average_id", "huge", "latest")
    found = ask(layer, measures=[f"orders.{name}" for name in names])
    assert found.table.to_pylist() == [
        {
            "orders.count": 3,
            "orders.ids": 6,
            "orders.amount": Decimal("10.75"),
            "orders.average_id": Decimal(2),
            "orders.huge": Decimal(54_000_000_000_000_000_000),
            "orders.latest": 3,
        }
    ]
    types = {field.name: field.type for field in found.table.schema}
    assert types["orders.count"] == types["orders.ids"] == types["orders.latest"] == pa.int64()
    assert types["orders.amount"] == pa.decimal128(38, 2)
    assert types["orders.huge"] == pa.decimal128(38, 0)


def test_dimensions_have_their_types(layer: SemanticLayer) -> None:
    """Times are the zone's wall clock, a day is not moved, and a uuid or JSON is text."""
    names = ("id", "paid", "reference", "details", "weight", "at", "day", "zoned")
    found = ask(
        layer,
        dimensions=[f"orders.{name}" for name in names],
        order=[["orders.id", "asc"]],
        timezone="America/New_York",
    )
    rows = [tuple(row.values()) for row in found.table.to_pylist()]
    assert rows == [
        (1, True, "00000000-0000-0000-0000-000000000001", '{"a": 1}', 0.5,
         datetime(2023, 12, 31, 22, 0, 0, 123456), datetime(2024, 1, 1), datetime(2023, 12, 31, 22)),  # noqa: DTZ001
        (2, False, "00000000-0000-0000-0000-000000000002", "[1, 2]", 1.5,
         datetime(2024, 7, 1, 8), datetime(2024, 7, 1), datetime(2024, 7, 1, 8)),  # noqa: DTZ001
        (3, None, None, None, None, None, None, None),
    ]  # fmt: skip
    assert found.table.schema.field("orders.at").type == pa.timestamp("us")


def test_a_date_range_is_bound_for_days_and_for_instants(layer: SemanticLayer) -> None:
    """The 31st in New York holds the instant of 03:00 UTC, and not the calendar day after it."""
    for member, count in (("at", 1), ("zoned", 1), ("day", 0)):
        times = [{"dimension": f"orders.{member}", "dateRange": ["2023-12-31", "2023-12-31"]}]
        found = ask(
            layer,
            measures=["orders.count"],
            timeDimensions=times,
            timezone="America/New_York",
        )
        assert found.table.to_pylist() == [{"orders.count": count}], member


def test_values_of_filters_are_bound(layer: SemanticLayer) -> None:
    """A uuid is compared as one, and text that looks like SQL is only text."""
    reference = "00000000-0000-0000-0000-000000000002"
    asked = {"member": "orders.reference", "operator": "equals", "values": [reference]}
    assert ask(layer, measures=["orders.ids"], filters=[asked]).table.to_pylist() == [
        {"orders.ids": 2}
    ]
    hostile = "x'; DROP TABLE shop.orders; --"
    asked = {"member": "orders.details", "operator": "contains", "values": [hostile]}
    assert ask(layer, measures=["orders.count"], filters=[asked]).table.to_pylist() == [
        {"orders.count": 0}
    ]


def test_total_counts_all_rows_and_no_rows_have_types_too(layer: SemanticLayer) -> None:
    found = ask(layer, dimensions=["orders.id"], limit=1, total=True)
    assert (found.total, found.table.num_rows, found.truncated) == (3, 1, False)
    nobody = {"member": "orders.id", "operator": "equals", "values": ["77"]}
    empty = ask(layer, dimensions=["orders.id"], measures=["orders.amount"], filters=[nobody])
    assert empty.table.num_rows == 0
    assert empty.table.schema.names == ["orders.id", "orders.amount"]


def test_the_state_says_that_nothing_is_known(layer: SemanticLayer) -> None:
    before = datetime.now(UTC)
    for state in (ask(layer, measures=["orders.count"]).state, layer.state()):
        assert (state.snapshot, state.tables, state.quality.state) == ("", (), "unknown")
        assert abs((state.built_at - before).total_seconds()) < 60


def test_what_runs_too_long_is_stopped_and_the_next_query_is_not(
    address: str, tmp_path: Path
) -> None:
    layer = open_postgres(tmp_path, address, timeout_seconds=0.5, connections=1)
    try:
        with pytest.raises(QueryTimeoutError, match=r"0\.5 seconds"):
            ask(layer, dimensions=["slow.nothing"])
        assert ask(layer, measures=["orders.count"]).table.num_rows == 1
    finally:
        layer.close()


def test_a_query_whose_caller_went_away_is_stopped_in_the_database(
    address: str, tmp_path: Path
) -> None:
    layer = open_postgres(tmp_path, address, connections=1)
    cancelled = threading.Event()
    timer = threading.Timer(0.3, cancelled.set)
    timer.start()
    try:
        with pytest.raises(QueryCancelledError):
            ask(layer, cancelled, dimensions=["slow.nothing"])
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()"
        with psycopg.connect(address) as other:
            assert other.execute(running).fetchone() == (0,)
        assert ask(layer, measures=["orders.count"]).table.num_rows == 1
    finally:
        timer.join()
        layer.close()


def test_waiting_for_a_connection_ends_when_the_caller_goes(address: str, tmp_path: Path) -> None:
    """The pool is bounded: while its one connection is busy, others wait, not for ever."""
    layer = open_postgres(tmp_path, address, connections=1)
    first, second = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def hold() -> None:
        try:
            ask(layer, first, dimensions=["slow.nothing"])
        except QueryCancelledError as stopped:
            errors.append(stopped)

    holder = threading.Thread(target=hold)
    holder.start()
    time.sleep(0.3)
    threading.Timer(0.2, second.set).start()
    try:
        with pytest.raises(QueryCancelledError):
            ask(layer, second, measures=["orders.count"])
    finally:
        first.set()
        holder.join()
        layer.close()
    assert len(errors) == 1


def test_many_threads_share_few_connections(address: str, tmp_path: Path) -> None:
    layer = open_postgres(tmp_path, address, connections=2)
    found: list[Any] = []

    def work() -> None:
        found.extend(ask(layer, measures=["orders.ids"]).table.to_pylist())

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"orders.ids": 6}] * 12
    layer.close()


def test_sql_of_the_model_cannot_write(layer: SemanticLayer) -> None:
    with pytest.raises(EngineError, match="read-only transaction"):
        ask(layer, measures=["writing.count"])


def test_a_failed_query_leaves_the_connection_usable(layer: SemanticLayer) -> None:
    with pytest.raises(EngineError, match="invalid input syntax"):
        ask(layer, measures=["broken.count"])
    with pytest.raises(SourceUnavailableError, match=r"shop\.absent"):
        ask(layer, measures=["absent.count"])
    assert ask(layer, measures=["orders.ids"]).table.to_pylist() == [{"orders.ids": 6}]


def test_a_connection_that_the_server_ended_is_replaced(address: str, tmp_path: Path) -> None:
    layer = open_postgres(tmp_path, address, connections=1)
    ask(layer, measures=["orders.count"])
    with psycopg.connect(address, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'ducat' AND pid <> pg_backend_pid()"
        )
    assert ask(layer, measures=["orders.count"]).table.num_rows == 1
    layer.close()


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    layer = open_postgres(tmp_path, "postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(SourceUnavailableError) as refused:
        ask(layer, measures=["orders.count"])
    assert "secret" not in str(refused.value)
    with pytest.raises(SourceUnavailableError):
        layer.state()
    layer.close()


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (["1", None, "-9223372036854775808"], pa.int64(), [1, None, -(2**63)]),
        (["9223372036854775808"], pa.decimal128(38, 0), [Decimal(2**63)]),
        (["1.50", "2"], pa.decimal128(38, 2), [Decimal("1.50"), Decimal("2.00")]),
        (["1E+3"], pa.int64(), [1000]),
        (["1" * 40 + ".5"], pa.decimal256(76, 1), [Decimal("1" * 40 + ".5")]),
        (["Infinity", "1.5"], pa.float64(), [float("inf"), 1.5]),
        ([None], pa.int64(), [None]),
        ([], pa.int64(), []),
    ],
)
def test_numerics_are_as_narrow_as_they_are_exact(
    values: list[str | None], type_: pa.DataType, expected: list[object]
) -> None:
    numeric = psycopg.adapters.types["numeric"].oid
    rows = [(None if value is None else Decimal(value),) for value in values]
    column = make_table(["n"], [numeric], rows).column("n")
    assert column.type == type_
    assert column.to_pylist() == expected


def test_one_value_is_read_as_each_column_wants_it(layer: SemanticLayer) -> None:
    """A uuid and a text are compared with the same value, in the answer and in the count."""
    value = "00000000-0000-0000-0000-000000000002"
    either = [
        {"member": "orders.reference", "operator": "equals", "values": [value]},
        {"member": "orders.details", "operator": "contains", "values": [value, '"a"']},
    ]
    found = ask(layer, dimensions=["orders.id"], filters=[{"or": either}], total=True)
    assert sorted(found.table.column(0).to_pylist()) == [1, 2]
    assert found.total == 2


def test_a_value_that_stands_nowhere_in_the_sql_is_no_error(address: str) -> None:
    """PostgreSQL finds no type for such a text; the count of all rows may leave some out."""
    compiled = CompiledQuery(
        sql="SELECT CAST($1 AS text) || $3 AS x WHERE CAST($4 AS integer) = 7",
        values=("a", "unused", "b", 7),
        columns=(),
        tables=(),
        total="SELECT count(*) FROM (SELECT 1 WHERE CAST($4 AS integer) = 7) AS t",
    )
    with psycopg.connect(address) as connection:
        for sql, expected in ((compiled.sql, ("ab",)), (compiled.total or "", (1,))):
            cursor = psycopg.RawCursor(connection)
            cursor.execute(sql.encode(), _values(sql, compiled.values))
            assert cursor.fetchone() == expected
