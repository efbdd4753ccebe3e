"""Gold: the two fact tables and four dimensions that the cubes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ibis

from flows.pipeline import Transform

from .silver import weather_key

if TYPE_CHECKING:
    import ibis.expr.types as ir

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def fct_flights(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per scheduled departure, with the key of its hour of weather.

    The hour is that of the schedule, at the origin. That the weather's day is the flight's day
    is part of the match: it always holds for rows that agree with themselves, and it makes the
    days that new weather touches exactly its own.
    """
    flights = tables["stg_flights"]
    flights = flights.mutate(hour_key=weather_key(flights.origin, flights.scheduled_departure_utc))
    weather = tables["stg_weather_hourly"].select("weather_key", "observed_date")
    joined = flights.left_join(
        weather,
        [
            flights.hour_key == weather.weather_key,
            flights.flight_date == weather.observed_date,
        ],
    )
    return joined.select(
        "flight_key",
        "flight_date",
        "scheduled_departure_utc",
        "scheduled_departure_local",
        "departure_utc",
        "departure_local",
        "scheduled_hour",
        "carrier",
        "flight_number",
        "tail_number",
        "origin",
        "destination",
        "departure_delay_minutes",
        "arrival_delay_minutes",
        "air_time_minutes",
        "distance_miles",
        "is_cancelled",
        "is_diverted",
        "weather_key",
        route=joined.origin.concat("-", joined.destination),
    ).relocate("route", after="destination")


def fct_weather_hourly(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per airport and hour that was observed."""
    return tables["stg_weather_hourly"]


def dim_airline(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per carrier."""
    return tables["stg_airlines"]


def dim_airport(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per airport; those that only flights or weather name are inferred."""
    known, flights = tables["stg_airports"], tables["stg_flights"]
    seen = ibis.union(
        ibis.union(
            flights.select(airport_code=flights.origin),
            flights.select(airport_code=flights.destination),
            distinct=True,
        ),
        tables["stg_weather_hourly"].select(airport_code=ibis._.origin),
        distinct=True,
    )
    inferred = seen.filter(seen.airport_code.notnull()).anti_join(known, "airport_code")
    return ibis.union(
        known.mutate(is_inferred=ibis.literal(value=False)),
        inferred.select(
            "airport_code",
            name=ibis.null("string"),
            latitude=ibis.null("float64"),
            longitude=ibis.null("float64"),
            altitude_feet=ibis.null("int64"),
            time_zone=ibis.null("string"),
            is_inferred=ibis.literal(value=True),
        ),
    )


def dim_plane(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per plane; those that only flights name are inferred."""
    known, flights = tables["stg_planes"], tables["stg_flights"]
    seen = flights.select("tail_number").distinct()
    inferred = seen.filter(seen.tail_number.notnull()).anti_join(known, "tail_number")
    return ibis.union(
        known.mutate(is_inferred=ibis.literal(value=False)),
        inferred.select(
            "tail_number",
            year_built=ibis.null("int64"),
            type=ibis.null("string"),
            manufacturer=ibis.null("string"),
            model=ibis.null("string"),
            engines=ibis.null("int64"),
            seats=ibis.null("int64"),
            speed_mph=ibis.null("int64"),
            engine=ibis.null("string"),
            is_inferred=ibis.literal(value=True),
        ),
    )


def dim_date(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Return one row per day from the first to the last flight, days without flights too."""
    flights = tables["stg_flights"]
    bounds = flights.agg(first=flights.flight_date.min(), last=flights.flight_date.max())
    numbered = _count(bounds)
    days = numbered.mutate(
        date=(numbered["first"].cast("timestamp") + numbered.number.as_interval("D")).cast("date")
    )
    days = days.filter(days.date <= days["last"])
    date = days.date
    weekday = date.day_of_week.index().cast("int64") + 1
    month = date.month().cast("int64")
    return days.select(
        date=date,
        year=date.year().cast("int64"),
        quarter=date.quarter().cast("int64"),
        month=month,
        day=date.day().cast("int64"),
        month_name=_name(month, MONTHS),
        day_of_week=weekday,
        day_name=_name(weekday, WEEKDAYS),
        iso_week=date.week_of_year().cast("int64"),
        is_weekend=weekday >= 6,  # noqa: PLR2004 - Saturday
    )


def _count(bounds: ir.Table) -> ir.Table:
    """Return the row of `bounds` for each of the numbers from 0 to 99,999 (273 years of days).

    Not every engine unnests a range, but all join: five digits, each from 0 to 9.
    """
    digit = ibis.union(
        *(bounds.select(digit=ibis.literal(number, "int64")) for number in range(10))
    )
    rows = bounds.mutate(number=ibis.literal(0, "int64"))
    for _place in range(5):
        pairs = rows.cross_join(digit)
        rows = pairs.select("first", "last", number=pairs.number * 10 + pairs.digit)
    return rows


def _name(number: ir.Value, names: tuple[str, ...]) -> ir.Value:
    return ibis.cases(
        *((number == position, name) for position, name in enumerate(names, start=1)),
        else_=ibis.null("string"),
    )


GOLD = (
    Transform(
        name="fct_flights",
        inputs=("stg_flights", "stg_weather_hourly"),
        build=fct_flights,
        key=("flight_key",),
        day_column="flight_date",
        touches={"stg_flights": "flight_date", "stg_weather_hourly": "observed_date"},
        event_time="scheduled_departure_utc",
    ),
    Transform(
        name="fct_weather_hourly",
        inputs=("stg_weather_hourly",),
        build=fct_weather_hourly,
        key=("weather_key",),
        day_column="observed_date",
        touches={"stg_weather_hourly": "observed_date"},
        event_time="observed_at_utc",
    ),
    Transform("dim_airline", ("stg_airlines",), dim_airline, ("carrier",)),
    Transform(
        "dim_airport",
        ("stg_airports", "stg_flights", "stg_weather_hourly"),
        dim_airport,
        ("airport_code",),
    ),
    Transform("dim_plane", ("stg_planes", "stg_flights"), dim_plane, ("tail_number",)),
    Transform("dim_date", ("stg_flights",), dim_date, ("date",)),
)
