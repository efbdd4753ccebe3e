"""Streamed answers: the rows and types of `load`, piece by piece, and nothing held afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from semantic.engine.execute import Engine
from semantic.engine.served import ServedDatabase
from semantic.engine.stream import BATCH_ROWS, WINDOW_ROWS, ResultStream
from semantic.errors import EngineError, QueryCancelledError, QueryTimeoutError, UnknownMemberError
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer, publish

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
ROWS = 500_000
MODEL = """
cubes:
  - name: numbers
    sql_table: gold.numbers
    dimensions:
      - {name: n, type: number, sql: n, primary_key: true, public: true}
      - {name: late_error, type: number, sql: "CASE WHEN n = 499999 THEN error('broken') ELSE n END"}
      - {name: slow, type: string, sql: "(n < 300000 OR hash(n % 7) = 1)::VARCHAR || sha256(repeat('x', CASE WHEN n < 300000 THEN 0 ELSE 100000 END))"}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: n}
      - {name: huge, type: sum, sql: "CASE WHEN n = 499999 THEN n::HUGEINT * 9000000000000000000 ELSE n END"}
      - {name: money, type: sum, sql: "n::DECIMAL(10, 2)"}
"""
SEED = "CREATE TABLE gold.numbers AS SELECT range AS n FROM range({count})"


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    folder = tmp_path_factory.mktemp("stream")
    opened = open_layer(folder, MODEL, SEED.format(count=ROWS), timeout_seconds=5.0)
    yield opened
    opened.close()


def stream(
    layer: SemanticLayer,
    *measures: str,
    cancelled: threading.Event | None = None,
    wide: bool = False,
    **more: object,
) -> ResultStream:
    asked = {"measures": list(measures), "dimensions": ["numbers.n"], "order": [], **more}
    query = parse_json(asked, unlimited=True)
    return layer.stream(query, SecurityContext(), now=NOW, cancelled=cancelled, wide=wide)


def read_all(rows: ResultStream) -> pa.Table:
    batches = []
    while (batch := rows.read()) is not None:
        assert 0 < batch.num_rows <= BATCH_ROWS
        batches.append(batch)
    return pa.Table.from_batches(batches, rows.schema)


def get_served(layer: SemanticLayer) -> ServedDatabase:
    assert isinstance(layer._engine, Engine)
    return layer._engine._served


def count_users(layer: SemanticLayer) -> int:
    current = get_served(layer)._current
    return 0 if current is None else current.users


def test_a_long_answer_has_every_row_once_and_the_types_of_load(layer: SemanticLayer) -> None:
    rows = stream(layer, "numbers.total", "numbers.money", "numbers.count", total=True)
    assert count_users(layer) == 1
    assert rows.head.table.num_rows == 0
    assert (rows.head.total, rows.head.truncated) == (ROWS, False)
    table = read_all(rows)
    assert not rows.is_held
    assert rows.read() is None
    assert table.schema.types == [pa.int64(), pa.int64(), pa.decimal128(38, 2), pa.int64()]
    assert sorted(table["numbers.n"].to_pylist()) == list(range(ROWS))
    assert pc.sum(table["numbers.total"]).as_py() == sum(range(ROWS))
    assert table["numbers.total"] == table["numbers.n"]
    assert count_users(layer) == 0


def test_an_order_is_kept(layer: SemanticLayer) -> None:
    table = read_all(stream(layer, "numbers.total", order={"numbers.n": "desc"}))
    assert table["numbers.n"].to_pylist() == list(range(ROWS - 1, -1, -1))


def test_a_sum_is_wide_if_any_of_its_values_is_even_the_last(layer: SemanticLayer) -> None:
    rows = stream(layer, "numbers.huge", "numbers.total", order={"numbers.n": "asc"})
    assert rows.schema.types == [pa.int64(), pa.decimal128(38, 0), pa.int64()]
    table = read_all(rows)
    assert int(table["numbers.huge"][-1].as_py()) == 499_999 * 9 * 10**18
    short = stream(layer, "numbers.huge", limit=10, order={"numbers.n": "asc"})
    assert short.schema.types == [pa.int64(), pa.int64()]


@pytest.mark.parametrize("limit", [0, 3, None])
def test_wide_types_follow_from_the_query_alone(layer: SemanticLayer, limit: int | None) -> None:
    rows = stream(layer, "numbers.total", wide=True, limit=limit)
    assert rows.schema.types == [pa.int64(), pa.decimal128(38, 0)]
    assert read_all(rows).num_rows == (ROWS if limit is None else limit)


@pytest.mark.parametrize("limit", [1, BATCH_ROWS, BATCH_ROWS + 1, WINDOW_ROWS - 1])
def test_a_short_answer_is_read_at_once_and_holds_nothing(layer: SemanticLayer, limit: int) -> None:
    rows = stream(layer, "numbers.total", limit=limit)
    assert not rows.is_held
    assert count_users(layer) == 0
    assert read_all(rows).num_rows == limit


@pytest.mark.parametrize("limit", [WINDOW_ROWS, WINDOW_ROWS + 1, 100_000])
def test_a_limit_that_was_asked_is_kept(layer: SemanticLayer, limit: int) -> None:
    assert read_all(stream(layer, limit=limit)).num_rows == limit


def test_our_own_limit_says_that_it_cut(layer: SemanticLayer) -> None:
    query = parse_json({"dimensions": ["numbers.n"]})
    rows = layer.stream(query, SecurityContext(), now=NOW)
    assert rows.head.truncated
    assert read_all(rows).num_rows == 10_000


def test_a_refused_query_is_refused_before_any_row(layer: SemanticLayer) -> None:
    with pytest.raises(UnknownMemberError):
        stream(layer, "numbers.cuont")
    assert count_users(layer) == 0


def test_a_failure_after_many_rows_is_raised_and_ends_the_stream(layer: SemanticLayer) -> None:
    rows = stream(layer, dimensions=["numbers.late_error"], ungrouped=True)
    with pytest.raises(EngineError, match="broken"):
        read_all(rows)
    assert rows.read() is None
    assert not rows.is_held
    assert count_users(layer) == 0


def test_a_closed_stream_gives_its_connection_back(layer: SemanticLayer) -> None:
    with stream(layer, "numbers.total") as rows:
        assert count_users(layer) == 1
        assert rows.read() is not None
    assert (rows.is_held, rows.read(), count_users(layer)) == (False, None, 0)
    rows.close()
    again = layer.load(parse_json({"measures": ["numbers.count"]}), SecurityContext(), now=NOW)
    assert again.table.column(0).to_pylist() == [ROWS]


def test_a_reader_that_goes_away_stops_the_engine(layer: SemanticLayer) -> None:
    cancelled = threading.Event()
    rows = stream(layer, cancelled=cancelled)
    assert rows.read() is not None
    cancelled.set()
    with pytest.raises(QueryCancelledError):
        read_all(rows)
    assert count_users(layer) == 0


def test_the_deadline_ends_a_stream_whose_engine_works_too_long(layer: SemanticLayer) -> None:
    engine = layer._engine
    assert isinstance(engine, Engine)
    engine._timeout = 0.3
    try:
        rows = stream(layer, dimensions=["numbers.slow"], ungrouped=True)
        with pytest.raises(QueryTimeoutError):
            read_all(rows)
    finally:
        engine._timeout = 5.0
    assert count_users(layer) == 0


def test_a_stream_goes_on_over_the_tables_that_it_began_with(tmp_path: Path) -> None:
    layer = open_layer(tmp_path, MODEL, SEED.format(count=ROWS))
    try:
        rows = stream(layer)
        publish(tmp_path / "serving", SEED.format(count=3), version=2)
        later = stream(layer)
        assert later.head.state.snapshot != rows.head.state.snapshot
        assert read_all(later).num_rows == 3
        assert read_all(rows).num_rows == ROWS
    finally:
        layer.close()
