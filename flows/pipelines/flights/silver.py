"""Silver: what the four sources say, typed, named, one row per record, the newest delivery wins.

The source writes clock times of the origin as HHMM numbers (2400 is midnight) and the scheduled
hour in UTC as well. Local times are computed from the local parts and UTC times from the UTC
hour, so no zone has to be converted and no daylight saving rule is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ibis

from flows.pipeline import Transform
from flows.records import cleaned_text, newest_records, utc_timestamp

if TYPE_CHECKING:
    import ibis.expr.types as ir

MINUTES_OF_DAY = 1440


def local_day(rows: ir.Table) -> ir.Value:
    """Return the local calendar day of rows that carry it as year, month and day."""
    return ibis.date(rows.year.cast("int64"), rows.month.cast("int64"), rows.day.cast("int64"))


def clock_minutes(hhmm: ir.Value) -> ir.Value:
    """Return the minutes since midnight of an HHMM number; 2400 is midnight."""
    number = hhmm.cast("int64")
    return (number // 100 * 60 + number % 100) % MINUTES_OF_DAY


def stg_flights(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per scheduled departure."""
    rows = newest_records(
        tables["flights.flights"],
        ["year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"],
    )
    day = local_day(rows)
    carrier = cleaned_text(rows.carrier)
    origin = cleaned_text(rows.origin)
    scheduled = rows.sched_dep_time.cast("int64")
    midnight = ibis.timestamp(
        rows.year.cast("int64"), rows.month.cast("int64"), rows.day.cast("int64"), 0, 0, 0
    )
    delay = rows.dep_delay.cast("int64")
    minutes_local = clock_minutes(scheduled)
    # The clock reading nearest to schedule plus delay. It differs from that sum only where the
    # clocks were changed in between.
    expected = minutes_local + delay
    off = (
        clock_minutes(rows.dep_time) - expected + 10 * MINUTES_OF_DAY + MINUTES_OF_DAY // 2
    ) % MINUTES_OF_DAY - MINUTES_OF_DAY // 2
    scheduled_utc = utc_timestamp(rows.time_hour) + (scheduled % 100).as_interval("m")
    flown = rows.dep_time.notnull()
    return rows.select(
        flight_key=day.cast("string").concat(
            "|",
            carrier,
            "|",
            rows.flight.cast("int64").cast("string"),
            "|",
            origin,
            "|",
            scheduled.cast("string").lpad(4, "0"),
        ),
        flight_date=day,
        scheduled_departure_utc=scheduled_utc,
        scheduled_departure_local=midnight + minutes_local.as_interval("m"),
        departure_utc=flown.ifelse(scheduled_utc + delay.as_interval("m"), ibis.null("timestamp")),
        departure_local=flown.ifelse(
            midnight + (expected + off).as_interval("m"), ibis.null("timestamp")
        ),
        scheduled_hour=minutes_local // 60,
        carrier=carrier,
        flight_number=rows.flight.cast("int64"),
        tail_number=cleaned_text(rows.tailnum),
        origin=origin,
        destination=cleaned_text(rows.dest),
        departure_delay_minutes=delay,
        arrival_delay_minutes=rows.arr_delay.cast("int64"),
        air_time_minutes=rows.air_time.cast("int64"),
        distance_miles=rows.distance.cast("int64"),
        is_cancelled=~flown,
        is_diverted=flown & rows.arr_delay.isnull(),
    )


def stg_weather_hourly(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per airport and hour that was observed."""
    rows = newest_records(tables["flights.weather"], ["origin", "time_hour"])
    origin = cleaned_text(rows.origin)
    observed = utc_timestamp(rows.time_hour)
    return rows.select(
        weather_key=weather_key(origin, observed),
        origin=origin,
        observed_at_utc=observed,
        observed_at_local=ibis.timestamp(
            rows.year.cast("int64"),
            rows.month.cast("int64"),
            rows.day.cast("int64"),
            rows.hour.cast("int64"),
            0,
            0,
        ),
        observed_date=local_day(rows),
        temperature_f=measured(rows.temp),
        dew_point_f=measured(rows.dewp),
        humidity_percent=measured(rows.humid),
        wind_direction_degrees=measured(rows.wind_dir),
        wind_speed_mph=measured(rows.wind_speed),
        wind_gust_mph=measured(rows.wind_gust),
        precipitation_inches=measured(rows.precip),
        pressure_millibars=measured(rows.pressure),
        visibility_miles=measured(rows.visib),
    )


def weather_key(origin: ir.Value, moment: ir.Value) -> ir.Value:
    """Return the key of an hour of weather: airport and hour in UTC, `EWR|2013-01-01T10`."""
    hour = moment.hour().cast("string").lpad(2, "0")
    return origin.concat("|", moment.date().cast("string"), "T", hour)


def measured(column: ir.Value) -> ir.Value:
    """Return a reading as a double; what is not a number was not read."""
    number = column.cast("float64")
    return ibis.cases((number.isnan(), ibis.null("float64")), else_=number)


def stg_airlines(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per carrier."""
    rows = newest_records(tables["flights.airlines"], ["carrier"])
    return rows.select(carrier=cleaned_text(rows.carrier), name=cleaned_text(rows.name))


def stg_airports(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per airport that the airports API knows."""
    rows = newest_records(tables["flights.airports"], ["faa"])
    return rows.select(
        airport_code=cleaned_text(rows.faa),
        name=cleaned_text(rows.name),
        latitude=measured(rows.lat),
        longitude=measured(rows.lon),
        altitude_feet=rows.alt.cast("int64"),
        time_zone=cleaned_text(rows.tzone),
    )


def stg_planes(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per plane that the register knows."""
    rows = newest_records(tables["flights.planes"], ["tailnum"])
    return rows.select(
        tail_number=cleaned_text(rows.tailnum),
        year_built=rows.year.cast("int64"),
        type=cleaned_text(rows.type),
        manufacturer=cleaned_text(rows.manufacturer),
        model=cleaned_text(rows.model),
        engines=rows.engines.cast("int64"),
        seats=rows.seats.cast("int64"),
        speed_mph=rows.speed.cast("int64"),
        engine=cleaned_text(rows.engine),
    )


SILVER = (
    Transform(
        name="stg_flights",
        inputs=("flights.flights",),
        build=stg_flights,
        key=("flight_key",),
        day_column="flight_date",
        touches={"flights.flights": local_day},
        event_time="scheduled_departure_utc",
    ),
    Transform(
        name="stg_weather_hourly",
        inputs=("flights.weather",),
        build=stg_weather_hourly,
        key=("weather_key",),
        day_column="observed_date",
        touches={"flights.weather": local_day},
        event_time="observed_at_utc",
    ),
    Transform("stg_airlines", ("flights.airlines",), stg_airlines, ("carrier",)),
    Transform("stg_airports", ("flights.airports",), stg_airports, ("airport_code",)),
    Transform("stg_planes", ("flights.planes",), stg_planes, ("tail_number",)),
)
