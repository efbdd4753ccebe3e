"""The package's files as Arrow tables, cut to the days that the demo plays.

The package is found, not imported: importing it needs `pkg_resources`, which newer setuptools no
longer bring.
"""

from __future__ import annotations

import io
import zipfile
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from deploy.demo.metrics import FIRST_DAY, find_package_data


def read_raw(name: str) -> pa.Table:
    """Return one of `flights`, `weather`, `airports`, `airlines`, `planes`, whole."""
    folder = find_package_data()
    if name == "flights":
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            inside = next(item for item in archive.namelist() if item.endswith("flights.csv"))
            content = archive.read(inside)
    else:
        content = (folder / f"{name}.csv").read_bytes()
    options = pacsv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    return pacsv.read_csv(io.BytesIO(content), convert_options=options)


def number_days(rows: pa.Table, days: int) -> tuple[pa.Table, pa.Array]:
    """Return the rows of the first `days` local days, and the number of each row's day, from 0."""
    numbers = {}
    for offset in range(days):
        day = FIRST_DAY + timedelta(days=offset)
        numbers[_code(day)] = offset
    codes = pc.add(
        pc.add(pc.multiply(rows["year"], 10_000), pc.multiply(rows["month"], 100)), rows["day"]
    )
    position = pc.index_in(codes, value_set=pa.array(list(numbers), pa.int64()))
    kept = pc.is_valid(position)
    return rows.filter(kept), position.filter(kept).combine_chunks()


def _code(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
