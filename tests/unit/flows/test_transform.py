"""Silver: touched days only, whatever the order in which batches arrive, and nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from flows.errors import PipelineError, TransformError
from flows.lake import Lake
from flows.pipeline import Pipeline, Schedule, TableRun, Transform
from flows.records import newest_records
from flows.transform import transform_silver
from tests.unit.flows import flights_data as data

if TYPE_CHECKING:
    import ibis.expr.types as ir

FIRST, SECOND, THIRD = date(2013, 1, 1), date(2013, 1, 2), date(2013, 1, 3)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def run(lake: Lake, **options: Any) -> dict[str, TableRun]:
    runs = transform_silver(data.pipeline(), lake=lake, now=data.NOW, **options)
    return {each.table: each for each in runs}


def rows(lake: Lake, table: str) -> list[dict[str, Any]]:
    opened = lake.open("silver", table)
    assert opened is not None
    return sorted(opened.to_pyarrow_table().to_pylist(), key=repr)


def test_a_rerun_without_new_batches_makes_no_version(lake: Lake) -> None:
    data.deliver_days(lake, FIRST, SECOND)
    first = run(lake)
    again = run(lake)
    assert {name: each.version for name, each in again.items()} == dict.fromkeys(first, 0)
    assert {each.note for each in again.values()} == {"up to date"}
    assert first["stg_flights"].days == (FIRST, SECOND)
    assert first["stg_flights"].rows_written == 842 + 943  # flights of these days in the source


def test_only_the_days_of_a_new_batch_are_replaced(lake: Lake) -> None:
    data.deliver_days(lake, FIRST, SECOND)
    run(lake)
    data.deliver(lake, "flights", data.days("flights", THIRD, THIRD), 1)
    done = run(lake)
    assert done["stg_flights"].days == (THIRD,)
    assert done["stg_flights"].rows_written == 914
    assert done["stg_weather_hourly"].note == "up to date"
    assert len(rows(lake, "stg_flights")) == 842 + 943 + 914


def test_a_delivery_repeated_under_another_id_changes_no_row_and_is_seen_once(lake: Lake) -> None:
    data.deliver_days(lake, FIRST, SECOND)
    run(lake)
    before = rows(lake, "stg_flights")
    data.deliver(lake, "flights", data.days("flights", SECOND, SECOND), 1)
    seen = run(lake)["stg_flights"]
    assert (seen.rows_written, seen.days, seen.note) == (0, (), "no row changed")
    assert rows(lake, "stg_flights") == before
    assert run(lake)["stg_flights"].note == "up to date"


def test_the_later_of_two_deliveries_of_a_record_wins(lake: Lake) -> None:
    data.deliver_days(lake, FIRST, SECOND)
    run(lake)
    corrected = data.changed(data.days("flights", FIRST, FIRST).slice(0, 1), arr_delay=12_345)
    data.deliver(lake, "flights", corrected, 1)
    assert run(lake)["stg_flights"].days == (FIRST,)
    found = [row for row in rows(lake, "stg_flights") if row["arrival_delay_minutes"] == 12_345]
    assert [row["flight_key"] for row in found] == ["2013-01-01|UA|1545|EWR|0515"]
    assert len(rows(lake, "stg_flights")) == 842 + 943


def test_days_that_are_asked_for_are_computed_again_and_written_only_if_they_differ(
    lake: Lake,
) -> None:
    data.deliver_days(lake, FIRST, SECOND)
    run(lake)
    done = run(lake, days=frozenset({FIRST}))["stg_flights"]
    assert (done.rows_in, done.rows_written, done.version) == (842, 0, 0)


def test_a_day_lost_from_silver_comes_back_when_it_is_asked_for(lake: Lake) -> None:
    data.deliver_days(lake, FIRST, SECOND)
    run(lake)
    before = rows(lake, "stg_flights")
    table = lake.open("silver", "stg_flights")
    assert table is not None
    table.delete("flight_date = '2013-01-01'")
    done = run(lake, days=frozenset({FIRST}))["stg_flights"]
    assert done.days == (FIRST,)
    assert rows(lake, "stg_flights") == before


def test_batches_in_any_order_give_the_same_silver(tmp_path: Path) -> None:
    parts = [data.days("flights", FIRST + timedelta(n), FIRST + timedelta(n)) for n in range(3)]
    found = []
    for name, order in (("a", (0, 1, 2)), ("b", (2, 0, 1)), ("c", (1, 2, 0))):
        lake = Lake(str(tmp_path / name))
        for number, position in enumerate(order):
            data.deliver(lake, "flights", parts[position], number)
            run(lake)
        data.deliver(lake, "flights", parts[1], 3)
        run(lake)
        found.append(rows(lake, "stg_flights"))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 842 + 943 + 914


def test_a_source_that_delivered_nothing_yet_gives_an_empty_table(lake: Lake) -> None:
    data.deliver(lake, "flights", data.days("flights", FIRST, FIRST), 0)
    assert run(lake)["stg_planes"].rows_written == 0
    assert rows(lake, "stg_planes") == []
    data.deliver(lake, "planes", data.table("planes"), 0)
    assert run(lake)["stg_planes"].rows_written == 3322


def test_a_compacted_bronze_table_changes_nothing(lake: Lake) -> None:
    for number, day in enumerate((FIRST, SECOND)):
        data.deliver(lake, "flights", data.days("flights", day, day), number)
    run(lake)
    bronze = lake.open("bronze", "flights", "flights")
    assert bronze is not None
    bronze.optimize.compact()
    assert run(lake)["stg_flights"].rows_written == 0


def test_a_compacted_and_vacuumed_bronze_table_is_read_whole(lake: Lake, tmp_path: Path) -> None:
    """The files that silver saw last are gone, so nobody can say what has come since."""
    undisturbed = Lake(str(tmp_path / "undisturbed"))
    for each in (lake, undisturbed):
        data.deliver_days(each, FIRST, FIRST)
        run(each)
        data.deliver(each, "flights", data.days("flights", SECOND, SECOND), 1)
    bronze = lake.open("bronze", "flights", "flights")
    assert bronze is not None
    bronze.optimize.compact()
    removed = bronze.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert len(removed) == 2
    for each in (lake, undisturbed):
        assert run(each)["stg_flights"].rows_written == 943
    assert rows(lake, "stg_flights") == rows(undisturbed, "stg_flights")


def test_a_bronze_table_that_was_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    data.deliver(lake, "flights", data.days("flights", FIRST, FIRST), 0)
    run(lake)
    folder = Path(lake.uri("bronze", "flights", "flights"))
    folder.rename(tmp_path / "old")
    data.deliver(lake, "flights", data.days("flights", SECOND, SECOND), 0)
    done = run(lake)["stg_flights"]
    assert done.days == (FIRST, SECOND)
    assert {row["flight_date"] for row in rows(lake, "stg_flights")} == {SECOND}


# A small pipeline of its own, for records that move and transforms that break their promise.

EVENTS = pa.schema([("id", pa.int64()), ("day", pa.date32()), ("value", pa.int64())])


def newest_events(tables: Mapping[str, ir.Table]) -> ir.Table:
    return newest_records(tables["small.events"], ["id"])


def every_event(tables: Mapping[str, ir.Table]) -> ir.Table:
    return tables["small.events"].select("id", "day", "value")


def small(**changes: Any) -> Pipeline:
    source = replace(data.pipeline().sources[0], name="events", schema=EVENTS, key=("id",))
    transform = Transform(
        "stg_events",
        ("small.events",),
        newest_events,
        ("id",),
        day_column="day",
        touches={"small.events": "day"},
    )
    return Pipeline(
        "small", "Small", (source,), (replace(transform, **changes),), (), Schedule("0 * * * *")
    )


def deliver_events(lake: Lake, number: int, *events: tuple[int | None, date | None, int]) -> None:
    columns = list(zip(*events, strict=True))
    rows = pa.table([pa.array(c, f.type) for c, f in zip(columns, EVENTS, strict=True)], EVENTS)
    batch = data.with_metadata("events", rows, number)
    lake.commit(
        lake.open("bronze", "small", "events"), batch, "bronze", "small", "events", mode="append"
    )


def events(lake: Lake) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows(lake, "stg_events")]


def test_a_record_that_moves_to_another_day_leaves_the_day_it_was_in(lake: Lake) -> None:
    deliver_events(lake, 0, (1, FIRST, 10), (2, FIRST, 20))
    transform_silver(small(), lake=lake, now=data.NOW)
    deliver_events(lake, 1, (1, THIRD, 11))
    (done,) = transform_silver(small(), lake=lake, now=data.NOW)
    assert done.days == (FIRST, THIRD)
    assert events(lake) == [(1, THIRD, 11), (2, FIRST, 20)]


def test_an_older_version_of_a_moved_record_does_not_bring_it_back(lake: Lake) -> None:
    deliver_events(lake, 5, (1, THIRD, 11))
    transform_silver(small(), lake=lake, now=data.NOW)
    deliver_events(lake, 1, (1, FIRST, 10), (2, FIRST, 20))
    transform_silver(small(), lake=lake, now=data.NOW)
    assert events(lake) == [(1, THIRD, 11), (2, FIRST, 20)]


def test_rows_without_a_key_or_a_day_are_refused_and_the_table_stays(lake: Lake) -> None:
    deliver_events(lake, 0, (1, FIRST, 10))
    transform_silver(small(), lake=lake, now=data.NOW)
    deliver_events(lake, 1, (2, SECOND, 20), (3, None, 30))
    with pytest.raises(TransformError, match="1 rows have no id or no day"):
        transform_silver(small(), lake=lake, now=data.NOW)
    assert events(lake) == [(1, FIRST, 10)]


def test_a_key_that_occurs_twice_is_refused(lake: Lake) -> None:
    deliver_events(lake, 0, (1, FIRST, 10), (1, FIRST, 11))
    with pytest.raises(TransformError, match="occurs more than once"):
        transform_silver(small(build=every_event), lake=lake, now=data.NOW)


def test_a_transform_that_was_changed_computes_every_day_again(lake: Lake) -> None:
    deliver_events(lake, 0, (1, FIRST, 10), (2, SECOND, 20))
    transform_silver(small(), lake=lake, now=data.NOW)

    def doubled(tables: Mapping[str, ir.Table]) -> ir.Table:
        found = newest_events(tables)
        return found.mutate(value=found.value * 2)

    (done,) = transform_silver(small(build=doubled), lake=lake, now=data.NOW)
    assert done.days == (FIRST, SECOND)
    assert events(lake) == [(1, FIRST, 20), (2, SECOND, 40)]
    (back,) = transform_silver(small(), lake=lake, now=data.NOW)
    assert back.days == (FIRST, SECOND)
    assert events(lake) == [(1, FIRST, 10), (2, SECOND, 20)]


def test_a_column_that_is_added_or_goes_away_is_written_for_every_row(lake: Lake) -> None:
    deliver_events(lake, 0, (1, FIRST, 10))
    transform_silver(small(), lake=lake, now=data.NOW)

    def wider(tables: Mapping[str, ir.Table]) -> ir.Table:
        found = newest_events(tables)
        return found.mutate(negative=-found.value)

    transform_silver(small(build=wider), lake=lake, now=data.NOW)
    assert events(lake) == [(1, FIRST, 10, -10)]
    transform_silver(small(), lake=lake, now=data.NOW)
    assert events(lake) == [(1, FIRST, 10)]


def test_an_unknown_input_is_refused_by_name(lake: Lake) -> None:
    with pytest.raises(PipelineError, match=r"reads small\.nothing"):
        transform_silver(small(inputs=("small.nothing",)), lake=lake, now=data.NOW)


def test_a_timestamp_with_a_zone_is_refused(lake: Lake) -> None:
    deliver_events(lake, 0, (1, FIRST, 10))

    def zoned(tables: Mapping[str, ir.Table]) -> ir.Table:
        return tables["small.events"].select("id", "day", "_loaded_at")

    with pytest.raises(TransformError, match="_loaded_at"):
        transform_silver(small(build=zoned), lake=lake, now=data.NOW)
