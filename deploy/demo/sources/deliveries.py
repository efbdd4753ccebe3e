"""The files of two systems: hourly weather, and daily batches of flights that misbehave.

The flights arrive as a real feed does. The number in front of a file's name is the order of
arrival; which days misbehave is fixed, so that every run plays the same story:

    every 7th day    arrives three days late
    every 10th day   arrives twice, the second time as a file of its own
    every 13th day   arrives without its last twenty rows, which follow five days later
"""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from deploy.demo.metrics import FIRST_DAY
from deploy.demo.sources.raw import number_days, read_raw

LATE_DAYS: Final = 3
STRAGGLER_DAYS: Final = 5
STRAGGLERS: Final = 20


def deliver_weather(folder: Path, days: int) -> int:
    """Write a CSV file for each hour of the first `days` days; return how many."""
    rows, _ = number_days(read_raw("weather"), days)
    hours = rows["time_hour"].to_numpy(zero_copy_only=False).astype("datetime64[h]")
    order = np.argsort(hours, kind="stable")
    rows, hours = rows.take(order), hours[order]
    starts = np.flatnonzero(np.r_[True, hours[1:] != hours[:-1]])
    ends = np.r_[starts[1:], len(hours)]
    for start, end in zip(starts, ends, strict=True):
        hour = str(hours[start])
        day = folder / hour[:4] / hour[5:7] / hour[8:10]
        day.mkdir(parents=True, exist_ok=True)
        _write_csv(rows.slice(start, end - start), day / f"weather-{hour.replace('-', '')}.csv")
    return len(starts)


def deliver_flights(folder: Path, days: int) -> int:
    """Write the daily batches of the first `days` days in their order of arrival; return how many."""
    rows, numbers = number_days(read_raw("flights"), days)
    order = np.argsort(numbers.to_numpy(), kind="stable")
    rows, sorted_numbers = rows.take(order), numbers.to_numpy()[order]
    edges = np.searchsorted(sorted_numbers, np.arange(days + 1))
    folder.mkdir(parents=True, exist_ok=True)
    arrivals: list[tuple[int, int, pa.Table]] = []
    for day in range(days):
        batch = rows.slice(edges[day], edges[day + 1] - edges[day])
        late = LATE_DAYS if day % 7 == 3 else 0  # noqa: PLR2004
        if day % 13 == 5 and batch.num_rows > STRAGGLERS:  # noqa: PLR2004
            whole = batch.num_rows - STRAGGLERS
            arrivals.append((day + late, day, batch.slice(0, whole)))
            arrivals.append((day + late + STRAGGLER_DAYS, day, batch.slice(whole)))
        else:
            arrivals.append((day + late, day, batch))
        if day % 10 == 8:  # noqa: PLR2004
            arrivals.append((day + late + 1, day, batch))
    arrivals.sort(key=lambda arrival: arrival[:2])
    for number, (_, day, batch) in enumerate(arrivals):
        date = FIRST_DAY + timedelta(days=day)
        _write_parquet(batch, folder / f"{number:06d}_flights_{date}.parquet")
    return len(arrivals)


def _write_csv(rows: pa.Table, path: Path) -> None:
    content = io.BytesIO()
    pacsv.write_csv(rows, content)
    _deliver(content.getvalue(), path)


def _write_parquet(rows: pa.Table, path: Path) -> None:
    content = io.BytesIO()
    pq.write_table(rows, content)
    _deliver(content.getvalue(), path)


def _deliver(content: bytes, path: Path) -> None:
    # Played again, nothing is delivered again: a file that is written anew is a new delivery.
    if path.is_file() and path.read_bytes() == content:
        return
    # Under a hidden name until it is complete, as a careful sender does.
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(content)
    temporary.replace(path)
