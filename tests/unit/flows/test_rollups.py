"""Rollups are built from the tables in service: what changed, whole, and one beside the other."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import orjson
import pytest
import yaml
from click.testing import CliRunner

from flows.errors import RollupError
from flows.rollups import BuildLimits, build_rollups, drop_rollup
from flows.rollups_cli import describe_rollups, rollups
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.rollups import FOLDER, ROLLUPS, read_rollups
from semantic.service import SemanticLayer
from semantic.snapshot import publish_snapshot, read_snapshot
from tests.golden.queries.layer import open_layer, publish, write_project

NOW = datetime(2024, 7, 1, tzinfo=UTC)
MODEL = """
cubes:
  - name: sales
    sql_table: gold.sales
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
      - {name: sold_at, type: time, sql: sold_at}
    measures:
      - {name: count, type: count}
      - {name: amount, type: sum, sql: amount}
    pre_aggregations:
      - {name: by_city, measures: [count, amount], dimensions: [city]}
      - {name: by_day, measures: [count, amount], time_dimension: sold_at, granularity: day,
         partition_granularity: month}
"""
SEED = """
CREATE TABLE gold.sales AS SELECT i AS id, CASE WHEN i % 3 = 0 THEN 'Rome' ELSE 'Oslo' END AS city,
  TIMESTAMP '2024-01-01 22:00:00' + to_hours(i) AS sold_at, i AS amount FROM range({rows}) r(i);
"""
COMMENT = 'COMMENT ON TABLE gold.sales IS \'{{"delta": "{0}"}}\';'


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving"


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[SemanticLayer]:
    found = open_layer(tmp_path, MODEL, SEED.format(rows=2000))
    yield found
    found.close()


def build(layer: SemanticLayer, serving: Path, *names: str, force: bool = False) -> list[str]:
    """Return what became of each rollup."""
    runs = build_rollups(
        serving, layer.rollup_builds(("UTC", "Asia/Tokyo")), names=names, force=force
    )
    return [f"{run.outcome} {run.name} {run.timezone}" for run in runs]


def ask(layer: SemanticLayer, **query: object) -> tuple[list[dict[str, object]], tuple[str, ...]]:
    result = layer.load(parse_json(query), SecurityContext(), now=NOW)
    return result.table.to_pylist(), result.rollups


ALL = ["sales.by_city UTC", "sales.by_day UTC", "sales.by_day Asia/Tokyo"]


def test_each_is_built_once_for_each_zone_that_it_needs(
    layer: SemanticLayer, serving: Path
) -> None:
    assert build(layer, serving) == [f"built {name}" for name in ALL]
    assert build(layer, serving) == [f"kept {name}" for name in ALL]
    assert build(layer, serving, force=True) == [f"built {name}" for name in ALL]
    stored = {(item.name, item.timezone): item for item in read_rollups(serving)}
    assert stored["sales.by_city", "UTC"].rows == 2
    day = stored["sales.by_day", "UTC"]
    [(days,)] = duckdb.sql(
        "SELECT count(DISTINCT CAST(TIMESTAMP '2024-01-01 22:00:00' + to_hours(i) AS DATE)) "
        "FROM range(2000) r(i)"
    ).fetchall()
    assert day.rows == days
    assert [part.start for part in day.partitions] == [
        datetime(2024, month, 1)  # noqa: DTZ001 -- on a wall clock
        for month in (1, 2, 3)
    ]
    assert sum(part.rows for part in day.partitions) == day.rows
    build(layer, serving)  # until then a reader may open what was named before
    assert {path.name for path in (serving / FOLDER).glob("*.duckdb")} == {
        item.file for item in stored.values()
    }


def test_answers_come_from_what_was_built(layer: SemanticLayer, serving: Path) -> None:
    query = {"measures": ["sales.amount"], "dimensions": ["sales.city"]}
    before, used = ask(layer, **query)
    assert not used
    build(layer, serving)
    assert ask(layer, **query) == (before, ("sales.by_city",))
    expected = {"Rome": sum(range(0, 2000, 3))}
    expected["Oslo"] = sum(range(2000)) - expected["Rome"]
    assert {row["sales.city"]: row["sales.amount"] for row in before} == expected


def test_sums_are_stored_in_64_bits_where_they_fit(layer: SemanticLayer, serving: Path) -> None:
    build(layer, serving, "sales.by_city")
    [stored] = read_rollups(serving)
    with duckdb.connect(str(serving / FOLDER / stored.file), read_only=True) as connection:
        kinds = {row[0]: row[1] for row in connection.execute("DESCRIBE rollup").fetchall()}
    assert kinds == {"_k0": "VARCHAR", "_v0": "BIGINT", "_v1": "BIGINT"}


def test_a_sum_that_does_not_fit_stays_wide(tmp_path: Path) -> None:
    seed = SEED.format(rows=3) + "UPDATE gold.sales SET amount = 9223372036854775807;"
    layer = open_layer(tmp_path, MODEL, seed)
    try:
        query = {"measures": ["sales.amount"]}
        before, _ = ask(layer, **query)
        build(layer, tmp_path / "serving")
        after, used = ask(layer, **query)
        assert after == before
        assert int(str(after[0]["sales.amount"])) == 3 * (2**63 - 1)
        assert used
    finally:
        layer.close()


def test_other_tables_of_known_origin_are_the_same_rows(
    layer: SemanticLayer, serving: Path
) -> None:
    """A publish that changed other tables only keeps the rollup, and names it for the new file."""
    publish(serving, SEED.format(rows=2000) + COMMENT.format("a"), version=2)
    assert build(layer, serving)[0] == "built sales.by_city UTC"
    again = (
        SEED.format(rows=2000) + COMMENT.format("a") + "CREATE TABLE gold.other AS SELECT 1 AS a;"
    )
    snapshot = publish(serving, again, version=3)
    tables = tuple(
        dataclasses.replace(table, version=2) if table.name == "sales" else table
        for table in snapshot.tables
    )
    publish_snapshot(serving, dataclasses.replace(snapshot, tables=tables))
    assert ask(layer, measures=["sales.count"])[1] == ()
    assert build(layer, serving) == [f"kept {name}" for name in ALL]
    assert ask(layer, measures=["sales.count"])[1] == ("sales.by_city",)


def test_the_same_version_of_a_lake_made_anew_is_not_the_same(
    layer: SemanticLayer, serving: Path
) -> None:
    publish(serving, SEED.format(rows=2000) + COMMENT.format("a"), version=2)
    build(layer, serving)
    snapshot = publish(serving, SEED.format(rows=1999) + COMMENT.format("b"), version=3)
    tables = tuple(dataclasses.replace(table, version=2) for table in snapshot.tables)
    publish_snapshot(serving, dataclasses.replace(snapshot, tables=tables))
    assert ask(layer, measures=["sales.count"]) == ([{"sales.count": 1999}], ())
    assert build(layer, serving) == [f"built {name}" for name in ALL]
    assert ask(layer, measures=["sales.count"]) == ([{"sales.count": 1999}], ("sales.by_city",))


def test_what_the_model_no_longer_declares_leaves_service(
    layer: SemanticLayer, serving: Path, tmp_path: Path
) -> None:
    build(layer, serving)
    write_project(tmp_path, MODEL[: MODEL.index("      - {name: by_day")])
    layer.reload()
    assert build(layer, serving) == ["kept sales.by_city UTC"]
    assert [item.name for item in read_rollups(serving)] == ["sales.by_city"]
    assert len(list((serving / FOLDER).glob("*.duckdb"))) <= 3  # a reader may open what was named
    build(layer, serving)
    assert len(list((serving / FOLDER).glob("*.duckdb"))) == 1


def test_one_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    """The model is right; its tables lack a column."""
    serving = tmp_path / "serving"
    model = MODEL.replace(
        "{name: city, type: string, sql: city}", "{name: city, type: string, sql: town}"
    )
    layer = open_layer(tmp_path, model, SEED.format(rows=10))
    try:
        builds = layer.rollup_builds(("UTC",))
        runs = {run.name: run for run in build_rollups(serving, builds)}
        assert runs["sales.by_city"].outcome == "failed"
        assert "town" in runs["sales.by_city"].note
        assert runs["sales.by_day"].outcome == "built"
        assert [item.name for item in read_rollups(serving)] == ["sales.by_day"]
        states = {
            item["name"]: item["state"]
            for item in describe_rollups(builds, read_rollups(serving), read_snapshot(serving))
        }
        assert states == {"sales.by_city": "not built", "sales.by_day": "built"}
    finally:
        layer.close()


def test_one_that_takes_too_long_is_stopped(layer: SemanticLayer, serving: Path) -> None:
    [build, *_] = layer.rollup_builds(("UTC",))
    endless = dataclasses.replace(build, sql="SELECT 1 AS _k0, sum(a.i * b.i) AS _v0 FROM "
                                  "range(10000000) a(i), range(10000000) b(i) GROUP BY 1")  # fmt: skip
    [run] = build_rollups(serving, [endless], limits=BuildLimits(seconds=0.3))
    assert run.outcome == "failed"
    assert "took longer than 0.3 seconds" in run.note
    assert list((serving / FOLDER).glob("*")) == [serving / FOLDER / ".publish.lock"]


def test_a_name_that_there_is_not(layer: SemanticLayer, serving: Path) -> None:
    with pytest.raises(RollupError, match=r"no pre-aggregation 'sales\.by_town'") as unknown:
        build(layer, serving, "sales.by_town")
    assert unknown.value.suggestion == "did you mean sales.by_city?"
    with pytest.raises(RollupError, match=r"no rollup 'sales\.by_city' is built"):
        drop_rollup(serving, "sales.by_city")


def test_dropped_is_gone_until_it_is_built_again(layer: SemanticLayer, serving: Path) -> None:
    build(layer, serving)
    assert drop_rollup(serving, "sales.by_day") == 2
    assert [item.name for item in read_rollups(serving)] == ["sales.by_city"]
    query = {"measures": ["sales.count"], "timeDimensions": [
        {"dimension": "sales.sold_at", "granularity": "month"}]}  # fmt: skip
    before = ask(layer, **query)
    assert not before[1]
    build(layer, serving)
    assert ask(layer, **query) == (before[0], ("sales.by_day",))


def test_leftovers_and_a_broken_manifest_are_swept(layer: SemanticLayer, serving: Path) -> None:
    build(layer, serving)
    (serving / FOLDER / ".building-1-x.duckdb").write_bytes(b"half")
    (serving / FOLDER / ".building-1-x.duckdb.wal").write_bytes(b"half")
    (serving / FOLDER / "old.duckdb").write_bytes(b"old")
    (serving / ROLLUPS).write_text("{")
    assert build(layer, serving) == [f"built {name}" for name in ALL]
    left = {path.name for path in (serving / FOLDER).iterdir()} - {".publish.lock"}
    assert left == {item.file for item in read_rollups(serving)}


@pytest.mark.parametrize("damage", [b"", b"not a database", None])
def test_a_damaged_file_is_built_anew(
    layer: SemanticLayer, serving: Path, damage: bytes | None
) -> None:
    build(layer, serving, "sales.by_city")
    [stored] = read_rollups(serving)
    path = serving / FOLDER / stored.file
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    assert build(layer, serving, "sales.by_city") == ["built sales.by_city UTC"]
    assert ask(layer, measures=["sales.count"]) == ([{"sales.count": 2000}], ("sales.by_city",))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT city AS _k0, sum((amount + 99)::TINYINT) AS _v0 FROM gold.sales GROUP BY 1",
        "SELECT city AS _k0, sum(sqrt(-1 - amount)) AS _v0 FROM gold.sales GROUP BY 1",
        "SELECT city AS _k0, sum(CAST(city AS INTEGER)) AS _v0 FROM gold.sales GROUP BY 1",
    ],
    ids=["too large", "out of range", "no number"],
)
def test_rows_that_its_sql_cannot_take_fail_one_and_no_other(
    layer: SemanticLayer, serving: Path, sql: str
) -> None:
    first, *others = layer.rollup_builds(("UTC",))
    runs = build_rollups(serving, [dataclasses.replace(first, sql=sql), *others])
    assert [run.outcome for run in runs] == ["failed", "built"]
    assert "Error" in runs[0].note
    assert "\n" not in runs[0].note
    assert [item.name for item in read_rollups(serving)] == ["sales.by_day"]


@pytest.mark.parametrize("scale", [2, 18, 19, 36])
def test_sums_of_any_scale_are_built(tmp_path: Path, scale: int) -> None:
    """A sum with more than 18 decimals has no type of 64 bits."""
    kind = f"DECIMAL(38,{scale})"
    seed = SEED.format(rows=9).replace("i AS amount", f"CAST(i AS {kind}) AS amount")
    layer = open_layer(tmp_path, MODEL, seed)
    try:
        query = {"measures": ["sales.amount"]}
        before, _ = ask(layer, **query)
        assert build(layer, tmp_path / "serving") == [f"built {name}" for name in ALL]
        assert ask(layer, **query) == (before, ("sales.by_city",))
    finally:
        layer.close()


def test_what_is_refreshed_by_hand_stays_when_the_others_are(tmp_path: Path) -> None:
    serving = tmp_path / "serving"
    by_hand = MODEL.replace("dimensions: [city]}", "dimensions: [city], scheduled_refresh: false}")
    layer = open_layer(tmp_path, by_hand, SEED.format(rows=10))
    try:
        builds = layer.rollup_builds(("UTC",))
        runs = build_rollups(serving, builds, scheduled=True)
        assert [run.name for run in runs] == ["sales.by_day"]
        build_rollups(serving, builds)
        for _ in range(2):  # files that are no longer named go one build later
            build_rollups(serving, builds, scheduled=True)
        assert {item.name for item in read_rollups(serving)} == {"sales.by_city", "sales.by_day"}
        query = {"measures": ["sales.amount"], "dimensions": ["sales.city"]}
        assert ask(layer, **query)[1] == ("sales.by_city",)
    finally:
        layer.close()


def test_a_build_with_little_memory_writes_nothing_where_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That folder may be anybody's; whether DuckDB spills at all is for it to decide."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    serving = tmp_path / "serving"
    model = MODEL.replace("dimensions: [city]}", "dimensions: [id, city, sold_at]}")
    layer = open_layer(tmp_path, model, SEED.format(rows=400_000))
    try:
        seen: set[str] = set()
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                seen.update(path.name.rpartition(".")[2] for path in (serving / FOLDER).iterdir())
                seen.update(path.name for path in here.iterdir())

        (serving / FOLDER).mkdir()
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            [run] = build_rollups(
                serving,
                layer.rollup_builds(("UTC",)),
                names=["sales.by_city"],
                limits=BuildLimits("40MB"),
            )
        finally:
            done.set()
            watcher.join()
        assert (run.outcome, run.rows) == ("built", 400_000)
        assert ".tmp" not in seen
        left = {path.name for path in (serving / FOLDER).iterdir()} - {".publish.lock"}
        assert left == {item.file for item in read_rollups(serving)}
    finally:
        layer.close()


def test_spilled_rows_of_a_killed_build_are_swept(layer: SemanticLayer, serving: Path) -> None:
    spilled = serving / FOLDER / ".building-1-x.spill"
    spilled.mkdir(parents=True)
    (spilled / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"half")
    build(layer, serving)
    assert not spilled.exists()


def test_a_file_that_went_away_is_not_said_to_be_built(
    layer: SemanticLayer, serving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCAT_SERVING", str(serving))
    build(layer, serving, "sales.by_city")
    for expected in ("built", "not built"):
        told = CliRunner().invoke(rollups, ["status", "--json"], obj=tmp_path)
        assert told.exit_code == 0, told.output
        states = {item["name"]: item["state"] for item in orjson.loads(told.stdout)}
        assert states["sales.by_city"] == expected
        [stored] = read_rollups(serving)
        (serving / FOLDER / stored.file).unlink(missing_ok=True)


def test_rollups_are_proposed_from_the_query_log_of_a_project(
    layer: SemanticLayer, serving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The YAML stands alone on standard output; what was looked at is said beside it."""
    query = {"measures": ["sales.amount"], "dimensions": ["sales.city"], "timezone": "UTC"}
    times = [{"dimension": "sales.sold_at", "granularity": "month"}]
    slow = {"time": "2026-01-02T00:00:00.000Z", "seconds": 2.5}
    log = tmp_path / "query-log.ndjson"
    log.write_bytes(orjson.dumps(slow | {"shapes": [query | {"timeDimensions": times}]}) + b"\n{\n")
    gone = {"measures": ["gone.count"], "timezone": "UTC"}
    others = [orjson.dumps(slow | {"shapes": [shape]}) for shape in (query, gone)]
    (tmp_path / "query-log-2.ndjson.1").write_bytes(b"\n".join(others))
    monkeypatch.setenv("DUCAT_SERVING", str(serving))
    monkeypatch.setenv("DUCAT_QUERY_LOG", str(log))
    told = CliRunner().invoke(rollups, ["suggest", "--share", "1", "--largest", "1"], obj=tmp_path)
    assert told.exit_code == 0, told.output
    [found] = yaml.safe_load(told.stdout)["pre_aggregations"]
    assert found == {
        "name": "by_city_month",
        "measures": ["amount"],
        "dimensions": ["city"],
        "time_dimension": "sold_at",
        "granularity": "month",
    }
    assert "2 query logs, 7.5 s of queries" in told.stderr
    assert "answers it when it is built: run `ducat rollups build`" in told.stderr
    assert "1 lines could not be read" in told.stderr
    assert "not helped: gone.count" in told.stderr
    out = tmp_path / "suggested.yml"
    told = CliRunner().invoke(
        rollups, ["suggest", str(log), "--json", "--out", str(out), "--largest", "1"], obj=tmp_path
    )
    assert told.exit_code == 0, told.output
    answer = orjson.loads(told.stdout)
    assert (answer["seconds"], answer["unreadLines"]) == (2.5, 1)
    assert answer["rollups"][0]["definition"] == found
    assert yaml.safe_load(out.read_text())["pre_aggregations"] == [found]
