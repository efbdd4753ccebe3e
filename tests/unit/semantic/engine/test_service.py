"""The engine serves what is published, stops what runs too long, and reaches nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from semantic.engine.execute import Engine
from semantic.engine.result import Result
from semantic.engine.served import ServedDatabase
from semantic.errors import (
    EngineError,
    ModelError,
    QueryCancelledError,
    QueryTimeoutError,
    SnapshotError,
    SourceUnavailableError,
)
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from semantic.snapshot import MANIFEST, QualityState, write_checks
from tests.golden.queries.layer import BUILT_AT, PASSED, open_layer, publish, write_project

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: numbers
    sql_table: gold.numbers
    dimensions:
      - {name: n, type: number, sql: n, primary_key: true, public: true}
      - {name: secret, type: string, sql: n, public: false}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: n}
      - {name: huge, type: sum, sql: "n * 9000000000000000000::HUGEINT"}
      - {name: money, type: sum, sql: "n::DECIMAL(10, 2)"}
      - {name: slow, type: sum, sql: "(SELECT count(*) FROM range(2000000) AS r(i) WHERE hash(r.i + {CUBE}.n) = 1)"}
      - {name: broken, type: sum, sql: "CAST('x' || {CUBE}.n AS INTEGER)"}
  - name: passwords
    sql: "SELECT * FROM read_text('/etc/hostname')"
    dimensions: [{name: content, type: string, sql: content}]
  - name: absent
    sql_table: gold.absent
    measures: [{name: count, type: count}]
  - name: other
    sql_table: gold.other
    measures: [{name: count, type: count}]
"""
SEED = """
CREATE TABLE gold.numbers AS SELECT range AS n FROM range({count});
CREATE TABLE gold.other AS SELECT 1 AS i;
"""


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[SemanticLayer]:
    opened = open_layer(tmp_path, MODEL, SEED.format(count=20_000), timeout_seconds=1.0)
    yield opened
    opened.close()


def ask(layer: SemanticLayer, *measures: str, **more: object) -> Result:
    query = parse_json({"measures": list(measures), **more})
    return layer.load(query, SecurityContext(), now=NOW)


def count_rows(layer: SemanticLayer) -> object:
    return ask(layer, "numbers.count").table.column(0)[0].as_py()


def test_our_limit_says_that_it_cut_and_the_callers_does_not(layer: SemanticLayer) -> None:
    ours = ask(layer, dimensions=["numbers.n"], total=True)
    assert (ours.table.num_rows, ours.truncated, ours.total) == (10_000, True, 20_000)
    theirs = ask(layer, dimensions=["numbers.n"], limit=7, offset=3, total=True)
    assert theirs.table.column(0).to_pylist() == list(range(3, 10))
    assert (theirs.truncated, theirs.total) == (False, 20_000)
    assert ask(layer, dimensions=["numbers.n"], limit=0).table.num_rows == 0


def test_columns_are_named_and_typed(layer: SemanticLayer) -> None:
    result = ask(layer, "numbers.total", "numbers.huge", "numbers.money")
    assert result.table.schema.names == [column.name for column in result.columns]
    assert result.table.schema.types == [pa.int64(), pa.decimal128(38, 0), pa.decimal128(38, 2)]
    total = sum(range(20_000))
    assert result.table.to_pylist()[0] == {
        "numbers.total": total,
        "numbers.huge": Decimal(total * 9 * 10**18),
        "numbers.money": Decimal(total),
    }


def get_served(layer: SemanticLayer) -> ServedDatabase:
    assert isinstance(layer._engine, Engine)
    return layer._engine._served


def test_new_tables_are_served_at_once_and_old_ones_to_the_end(
    layer: SemanticLayer, tmp_path: Path
) -> None:
    assert count_rows(layer) == 20_000
    first = layer.state().snapshot
    with get_served(layer).session() as session:
        publish(tmp_path / "serving", SEED.format(count=3), version=2)
        assert count_rows(layer) == 3
        assert layer.state().snapshot != first
        # The query that began before still reads the tables that it began with.
        row = session.connection.execute("SELECT count(*) FROM gold.numbers").fetchone()
        assert row == (20_000,)
        assert session.snapshot.id == first
    assert count_rows(layer) == 3


def test_nothing_in_service_is_said_and_mended_by_publishing(tmp_path: Path) -> None:
    layer = SemanticLayer.open(write_project(tmp_path, MODEL), serving=tmp_path / "serving")
    with pytest.raises(SnapshotError):
        count_rows(layer)
    publish(tmp_path / "serving", SEED.format(count=5))
    assert count_rows(layer) == 5
    layer.close()


def test_a_served_file_that_is_gone_is_said(tmp_path: Path) -> None:
    publish(tmp_path / "serving", SEED.format(count=5))
    (tmp_path / "serving" / "gold-1.duckdb").unlink()
    layer = SemanticLayer.open(write_project(tmp_path, MODEL), serving=tmp_path / "serving")
    with pytest.raises(SourceUnavailableError, match="does not exist"):
        count_rows(layer)
    layer.close()


def test_a_query_past_its_deadline_is_stopped_and_the_next_is_not(layer: SemanticLayer) -> None:
    with pytest.raises(QueryTimeoutError, match="1 seconds"):
        ask(layer, "numbers.slow")
    assert count_rows(layer) == 20_000


def test_a_query_whose_caller_went_away_is_stopped(layer: SemanticLayer) -> None:
    cancelled = threading.Event()
    threading.Timer(0.1, cancelled.set).start()
    query = parse_json({"measures": ["numbers.slow"]})
    with pytest.raises(QueryCancelledError):
        layer.load(query, SecurityContext(), now=NOW, cancelled=cancelled)
    with pytest.raises(QueryCancelledError):
        layer.load(query, SecurityContext(), now=NOW, cancelled=cancelled)
    assert count_rows(layer) == 20_000


def test_sql_of_the_model_cannot_read_files(layer: SemanticLayer) -> None:
    with pytest.raises(EngineError):
        ask(layer, dimensions=["passwords.content"])


def test_a_table_that_is_not_served_is_named(layer: SemanticLayer) -> None:
    with pytest.raises(SourceUnavailableError, match="absent"):
        ask(layer, "absent.count")


def test_a_database_error_carries_its_text_without_the_sql(layer: SemanticLayer) -> None:
    with pytest.raises(EngineError) as failed:
        ask(layer, "numbers.broken")
    assert "Could not convert" in failed.value.message
    assert "SELECT" not in failed.value.message


def test_the_state_is_that_of_the_tables_read(tmp_path: Path) -> None:
    layer = open_layer(tmp_path, MODEL, SEED.format(count=5))
    serving = tmp_path / "serving"
    state = ask(layer, "numbers.count").state
    assert [table.name for table in state.tables] == ["numbers"]
    assert state.quality == PASSED
    assert state.newest_check == ()
    failed = QualityState("failed", BUILT_AT + timedelta(hours=1), ("3 nulls",))
    old = QualityState("failed", BUILT_AT - timedelta(hours=1), ("2 nulls",))
    write_checks(serving, {"numbers": failed, "other": old})
    assert ask(layer, "numbers.count").state.newest_check == (("numbers", failed),)
    assert ask(layer, "other.count").state.newest_check == ()
    assert [table.name for table in layer.state().tables] == ["numbers", "other"]
    publish(serving, SEED.format(count=5), version=2, quality=failed)
    assert layer.state(("gold.numbers",)).quality.state == "failed"
    assert layer.state(("gold.unheard",)).quality.state == "unknown"
    layer.close()


CHAIN = """
cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: lines, relationship: one_to_many, sql: "{CUBE}.id = {lines}.order_id"}
      - {name: clerks, relationship: many_to_one, sql: "{CUBE}.clerk_id = {clerks}.id"}
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
    measures: [{name: count, type: count}]
  - name: lines
    sql_table: lines
    dimensions: [{name: label, type: string, sql: label}]
  - name: clerks
    sql_table: clerks
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
    measures: [{name: total, type: sum, sql: amount}]
"""
CHAIN_SEED = """
CREATE TABLE orders (id BIGINT, clerk_id BIGINT);
CREATE TABLE lines (id BIGINT, label VARCHAR, order_id BIGINT);
CREATE TABLE clerks (id BIGINT, amount DECIMAL(10, 2));
INSERT INTO orders SELECT i, NULL FROM range(3) AS r(i);
INSERT INTO lines SELECT i, 'a', i FROM range(3) AS r(i);
INSERT INTO clerks SELECT i, NULL FROM range(2) AS r(i);
DELETE FROM orders; DELETE FROM lines; DELETE FROM clerks;
INSERT INTO orders VALUES (0, NULL);
"""


def test_stages_that_repeat_a_join_are_answered_right(tmp_path: Path) -> None:
    """DuckDB 1.5.5 counts 0 orders here unless its sharing of common sub-plans is off."""
    layer = open_layer(tmp_path, CHAIN, CHAIN_SEED)
    result = ask(layer, "orders.count", "clerks.total", dimensions=["lines.label"])
    assert [tuple(row.values()) for row in result.table.to_pylist()] == [(None, 1, None)]
    with get_served(layer).session() as session:
        row = session.connection.execute("SELECT current_setting('disabled_optimizers')").fetchone()
    assert row is not None
    assert set(row[0].split(",")) == {"common_subplan", "compressed_materialization"}
    layer.close()


def test_many_threads_ask_at_once(layer: SemanticLayer) -> None:
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda: answers.append(count_rows(layer))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [20_000] * 16


def test_a_changed_model_is_read_again_and_a_broken_one_is_not_taken(tmp_path: Path) -> None:
    layer = open_layer(tmp_path, MODEL, SEED.format(count=5))
    before = layer.catalog.version
    assert layer.reload() is False
    write_project(tmp_path, "cubes: [{name: numbers}]")
    with pytest.raises(ModelError):
        layer.reload()
    assert layer.catalog.version == before
    assert count_rows(layer) == 5
    write_project(tmp_path, MODEL.replace("name: total", "name: summed"))
    assert layer.reload() is True
    assert ask(layer, "numbers.summed").table.column(0).to_pylist() == [10]
    layer.close()


def test_hidden_members_are_not_visible_but_usable_inside(layer: SemanticLayer) -> None:
    visible = layer.visible(SecurityContext())
    assert "secret" not in visible.cubes["numbers"].dimensions
    assert "secret" in layer.catalog.cubes["numbers"].dimensions


def test_explain_shows_plan_sql_values_and_tables(layer: SemanticLayer) -> None:
    query = parse_json(
        {
            "measures": ["numbers.count"],
            "filters": [{"member": "numbers.n", "operator": "gt", "values": ["4"]}],
        }
    )
    shown = layer.explain(query, SecurityContext(), now=NOW)
    assert shown["values"] == [4]
    assert shown["tables"] == ["gold.numbers"]
    assert "$1" in shown["sql"]
    assert "numbers.count" in shown["plan"]
    assert (tmp := layer.compile(query, SecurityContext(), now=NOW)).sql == shown["sql"]
    assert tmp.values == (4,)


def test_the_manifest_is_the_only_thing_that_is_watched(
    layer: SemanticLayer, tmp_path: Path
) -> None:
    """Rewriting the manifest for the same file keeps the file open and takes the new description."""
    assert count_rows(layer) == 20_000
    manifest = tmp_path / "serving" / MANIFEST
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("passed", "failed"))
    assert layer.state().quality.state == "failed"
    assert count_rows(layer) == 20_000
