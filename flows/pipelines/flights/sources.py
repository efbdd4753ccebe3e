"""The four systems that the flights come from, each read the way such a system is read.

FLIGHTS_DATABASE_URL   PostgreSQL: airlines, planes
FLIGHTS_API_URL        REST: airports, in pages
FLIGHTS_WEATHER_URL    folder or s3://: an hourly file of weather
FLIGHTS_BATCHES_URL    folder or s3://: daily batches of flights, late, twice and out of order
"""

import pyarrow as pa

from flows.pipeline import Source
from flows.sources.files import DroppedFiles
from flows.sources.postgres import PostgresTable
from flows.sources.rest import RestList

TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
MOMENT = pa.timestamp("us", tz="UTC")

FLIGHTS = pa.schema(
    [
        ("year", WHOLE),
        ("month", WHOLE),
        ("day", WHOLE),
        ("dep_time", WHOLE),
        ("sched_dep_time", WHOLE),
        ("dep_delay", WHOLE),
        ("arr_time", WHOLE),
        ("sched_arr_time", WHOLE),
        ("arr_delay", WHOLE),
        ("carrier", TEXT),
        ("flight", WHOLE),
        ("tailnum", TEXT),
        ("origin", TEXT),
        ("dest", TEXT),
        ("air_time", WHOLE),
        ("distance", WHOLE),
        ("hour", WHOLE),
        ("minute", WHOLE),
        ("time_hour", MOMENT),
    ]
)
WEATHER = pa.schema(
    [
        ("origin", TEXT),
        ("year", WHOLE),
        ("month", WHOLE),
        ("day", WHOLE),
        ("hour", WHOLE),
        ("temp", REAL),
        ("dewp", REAL),
        ("humid", REAL),
        ("wind_dir", WHOLE),
        ("wind_speed", REAL),
        ("wind_gust", REAL),
        ("precip", REAL),
        ("pressure", REAL),
        ("visib", REAL),
        ("time_hour", MOMENT),
    ]
)
AIRPORTS = pa.schema(
    [
        ("faa", TEXT),
        ("name", TEXT),
        ("lat", REAL),
        ("lon", REAL),
        ("alt", WHOLE),
        ("tz", WHOLE),
        ("dst", TEXT),
        ("tzone", TEXT),
    ]
)
AIRLINES = pa.schema([("carrier", TEXT), ("name", TEXT), ("updated_at", MOMENT)])
PLANES = pa.schema(
    [
        ("tailnum", TEXT),
        ("year", WHOLE),
        ("type", TEXT),
        ("manufacturer", TEXT),
        ("model", TEXT),
        ("engines", WHOLE),
        ("seats", WHOLE),
        ("speed", WHOLE),
        ("engine", TEXT),
        ("updated_at", MOMENT),
    ]
)

SOURCES = (
    Source(
        name="flights",
        system="files",
        schema=FLIGHTS,
        key=("year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"),
        extract=DroppedFiles("FLIGHTS_BATCHES_URL", FLIGHTS).extract,
    ),
    Source(
        name="weather",
        system="files",
        schema=WEATHER,
        key=("origin", "time_hour"),
        extract=DroppedFiles("FLIGHTS_WEATHER_URL", WEATHER).extract,
    ),
    Source(
        name="airports",
        system="rest",
        schema=AIRPORTS,
        key=("faa",),
        extract=RestList("FLIGHTS_API_URL", "/airports", items="airports").extract,
    ),
    Source(
        name="airlines",
        system="postgres",
        schema=AIRLINES,
        key=("carrier",),
        extract=PostgresTable("FLIGHTS_DATABASE_URL", "airlines").extract,
    ),
    Source(
        name="planes",
        system="postgres",
        schema=PLANES,
        key=("tailnum",),
        extract=PostgresTable("FLIGHTS_DATABASE_URL", "planes").extract,
    ),
)
