"""Late, repeated and reordered batches end in the same gold as batches that came in order."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from tests.faults.transform import platform
from tests.unit.flows import flights_data as data

Batch = tuple[str, pa.Table]


def batches() -> list[Batch]:
    days = [platform.FIRST + timedelta(days=number) for number in range(3)]
    found = [
        (source, data.days(source, day, day)) for day in days for source in ("flights", "weather")
    ]
    return [
        *found,
        *((source, data.table(source)) for source in ("airlines", "airports", "planes")),
    ]


def arrive(folder: Path, order: list[Batch], *, run_after: set[int]) -> None:
    for number, (source, rows) in enumerate(order):
        data.deliver(platform.lake(folder), source, rows, number)
        if number in run_after:
            platform.run(folder)
    platform.run(folder)


def test_any_order_with_repeats_gives_the_same_gold(tmp_path: Path) -> None:
    in_order = batches()
    arrive(tmp_path / "calm", in_order, run_after=set())
    backwards = in_order[::-1]
    arrive(tmp_path / "backwards", backwards, run_after={4})
    repeated = [*in_order[2:5], *in_order, *in_order[::2]]
    arrive(tmp_path / "repeated", repeated, run_after={6})
    expected = platform.served(tmp_path / "calm")
    assert len(expected["fct_flights"]) == 842 + 943 + 914
    assert platform.served(tmp_path / "backwards") == expected
    assert platform.served(tmp_path / "repeated") == expected
