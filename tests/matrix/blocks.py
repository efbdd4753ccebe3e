"""Building blocks of queries, each with the SQL that means the same, written by hand.

`{zone}` in SQL is the query's time zone. Texts of times are local to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Subject:
    """What queries are about: a cube or view, its tables, and the blocks that it has."""

    name: str
    tables: str
    measures: dict[str, str]
    dimensions: dict[str, str]
    times: dict[str, tuple[str, dict[str, str]]]  # name: SQL of the local time, and of each cut
    ranges: tuple[tuple[Any, str, str], ...]  # the range, its start, and the first moment after it
    filters: tuple[tuple[str, str, tuple[str, ...], str], ...]
    having: tuple[tuple[str, str, tuple[str, ...], str], ...]
    segments: dict[str, str]
    zones: tuple[str, ...]


PLAIN: Final = {
    name: f"date_trunc('{name}', {{time}})"
    for name in ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
}
OWN: Final = {
    "fiscal_year": "date_trunc('year', {time} - INTERVAL 3 MONTH) + INTERVAL 3 MONTH",
    "sunday_week": "date_trunc('week', {time} + INTERVAL 1 DAY) - INTERVAL 1 DAY",
    "shift": "time_bucket(INTERVAL 8 HOUR, {time}, TIMESTAMP '2000-01-01 06:00:00')",
    "quarter_hour": "time_bucket(INTERVAL 15 MINUTE, {time}, TIMESTAMP '2000-01-01')",
    "ten_days": "time_bucket(INTERVAL 10 DAY, {time}, TIMESTAMP '2024-03-10 07:00:00')",
}
LOCAL: Final = "((e.booked_at AT TIME ZONE 'UTC') AT TIME ZONE '{zone}')"

ENTRIES: Final = Subject(
    name="entries",
    tables="gold.fct_entry e",
    measures={
        "count": "count(*)",
        "total_amount": "sum(e.amount)",
        "largest_amount": "max(e.amount)",
        "total_price": "sum(e.price)",
        "average_price": "avg(e.price)",
        "average_ratio": "avg(e.ratio)",
        "least_ratio": "min(e.ratio)",
        "last_note": "max(e.note)",
        "any_flag": "bool_or(e.flag)",
        "account_count": "count(DISTINCT e.account)",
        "flagged_count": "count(*) FILTER (WHERE e.flag)",
        "flagged_share": "1.0 * count(*) FILTER (WHERE e.flag) / NULLIF(count(*), 0)",
        "price_per_entry": "sum(e.price) / NULLIF(count(*), 0)",
    },
    dimensions={
        "account": "e.account",
        "amount": "e.amount",
        "price": "e.price",
        "ratio": "e.ratio",
        "level": "e.level",
        "flag": "e.flag",
        "note": "e.note",
        "band": "CASE WHEN e.price < 0 THEN 'below' WHEN e.price >= 50 THEN 'above' ELSE 'between' END",
        "entry_id": "e.entry_id",
    },
    times={
        "booked_at": (LOCAL, PLAIN | OWN),
        "value_day": (
            "CAST(e.value_day AS TIMESTAMP)",
            {name: PLAIN[name] for name in ("day", "week", "month", "quarter", "year")},
        ),
    },
    ranges=(
        (["2024-01-01", "2024-06-30"], "2024-01-01", "2024-07-01"),
        (["2024-03-31", "2024-03-31"], "2024-03-31", "2024-04-01"),
        ("2024-10-27", "2024-10-27", "2024-10-28"),
        (["2024-11-03 00:30:00", "2024-11-03 02:00:00"], "2024-11-03 00:30:00", "2024-11-03 02:00:00.001"),
        (["2018-11-01", "2018-11-30"], "2018-11-01", "2018-12-01"),
    ),
    filters=(
        ("account", "equals", ("cash", "nowhere"), "e.account IN ('cash', 'nowhere')"),
        ("account", "notEquals", ("cash",), "(e.account <> 'cash' OR e.account IS NULL)"),
        ("account", "notSet", (), "e.account IS NULL"),
        ("account", "equals", ("",), "e.account = ''"),
        ("account", "equals", ('bank "one"', "Käse, Łódź; \\"), "e.account IN ('bank \"one\"', 'Käse, Łódź; \\')"),
        ("note", "contains", ("%", "LINES"), "(contains(lower(e.note), '%') OR contains(lower(e.note), 'lines'))"),
        ("note", "notContains", ("_b",), "(NOT contains(lower(e.note), '_b') OR e.note IS NULL)"),
        ("note", "startsWith", ("it's",), "starts_with(lower(e.note), 'it''s')"),
        ("note", "notStartsWith", ("N",), "(NOT starts_with(lower(e.note), 'n') OR e.note IS NULL)"),
        ("note", "endsWith", ("c", "😀"), "(ends_with(lower(e.note), 'c') OR ends_with(e.note, '😀'))"),
        ("note", "notEndsWith", ("plain",), "(NOT ends_with(lower(e.note), 'plain') OR e.note IS NULL)"),
        ("note", "set", (), "e.note IS NOT NULL"),
        ("amount", "gt", ("12345678901234567890123456.123456050",), "e.amount > 12345678901234567890123456.123456050::DECIMAL(38, 9)"),
        ("amount", "equals", ("-7345678901234567890123456.123456077",), "e.amount = -7345678901234567890123456.123456077::DECIMAL(38, 9)"),
        ("amount", "notEquals", ("-7345678901234567890123456.123456077",), "(e.amount <> -7345678901234567890123456.123456077::DECIMAL(38, 9) OR e.amount IS NULL)"),
        ("price", "gte", ("8.5",), "e.price >= 8.5"),
        ("price", "lt", ("-2.25",), "e.price < -2.25"),
        ("ratio", "lte", ("0",), "e.ratio <= 0"),
        ("level", "equals", ("1", "3"), "e.level IN (1, 3)"),
        ("level", "notSet", (), "e.level IS NULL"),
        ("flag", "equals", ("true",), "e.flag"),
        ("flag", "notEquals", ("true",), "(NOT e.flag OR e.flag IS NULL)"),
        ("flag", "set", (), "e.flag IS NOT NULL"),
        ("band", "equals", ("above",), "e.price >= 50"),
        ("booked_at", "afterDate", ("2024-05-01",), f"{LOCAL} >= TIMESTAMP '2024-05-02'"),
        ("booked_at", "beforeOrOnDate", ("2024-03-31",), f"{LOCAL} < TIMESTAMP '2024-04-01'"),
        ("booked_at", "notSet", (), "e.booked_at IS NULL"),
        ("value_day", "inDateRange", ("2024-01-05", "2024-01-20"), "e.value_day BETWEEN DATE '2024-01-05' AND DATE '2024-01-20'"),
        ("value_day", "notInDateRange", ("2024-01-01", "2024-01-10"), "(NOT e.value_day BETWEEN DATE '2024-01-01' AND DATE '2024-01-10' OR e.value_day IS NULL)"),
        ("value_day", "beforeDate", ("2024-01-01",), "e.value_day < DATE '2024-01-01'"),
        ("value_day", "afterOrOnDate", ("2024-01-01",), "e.value_day >= DATE '2024-01-01'"),
        ("value_day", "equals", ("2024-01-15",), "e.value_day = DATE '2024-01-15'"),
    ),
    having=(
        ("count", "gt", ("1",), "count(*) > 1"),
        ("total_amount", "lt", ("12345678901234567890123456.123456012",), "sum(e.amount) < 12345678901234567890123456.123456012::DECIMAL(38, 9)"),
        ("total_price", "notSet", (), "sum(e.price) IS NULL"),
        ("average_ratio", "gte", ("1.5",), "avg(e.ratio) >= 1.5"),
        ("account_count", "notEquals", ("1",), "(count(DISTINCT e.account) <> 1)"),
        ("last_note", "equals", ("Plain",), "max(e.note) = 'Plain'"),
        ("any_flag", "equals", ("true",), "bool_or(e.flag)"),
    ),
    segments={"flagged": "e.flag", "priced": "e.price IS NOT NULL"},
    zones=("UTC", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
           "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu"),
)  # fmt: skip

BOOKINGS: Final = Subject(
    name="bookings",
    tables="gold.fct_entry e LEFT JOIN gold.dim_account a ON e.account = a.account",
    measures={name: ENTRIES.measures[name] for name in ("count", "total_price", "average_ratio")},
    dimensions={"region": "a.region", "account": "e.account", "flag": "e.flag"},
    times={
        "booked_at": (LOCAL, {name: (PLAIN | OWN)[name] for name in ("month", "year", "fiscal_year")}),
        "account_opened": ("CAST(a.opened AS TIMESTAMP)", {"year": PLAIN["year"], "day": PLAIN["day"]}),
    },
    ranges=((["2024-01-01", "2024-12-31"], "2024-01-01", "2025-01-01"),),
    filters=(
        ("region", "equals", ("north",), "a.region = 'north'"),
        ("region", "notSet", (), "a.region IS NULL"),
        ("account_opened", "set", (), "a.opened IS NOT NULL"),
        ("price", "gt", ("10",), "e.price > 10"),
    ),
    having=(("count", "gte", ("8",), "count(*) >= 8"),),
    segments={"flagged": "e.flag"},
    zones=("UTC", "Asia/Kolkata"),
)  # fmt: skip

DEPARTURE: Final = "((f.scheduled_departure_utc AT TIME ZONE 'UTC') AT TIME ZONE '{zone}')"
FLIGHTS: Final = Subject(
    name="flight_operations",
    tables=(
        "gold.fct_flights f LEFT JOIN gold.dim_airline l ON f.carrier = l.carrier "
        "LEFT JOIN gold.dim_plane p ON f.tail_number = p.tail_number "
        "LEFT JOIN gold.fct_weather_hourly w ON f.weather_key = w.weather_key"
    ),
    measures={
        "count": "count(*)",
        "cancelled_count": "count(*) FILTER (WHERE f.is_cancelled)",
        "total_distance": "sum(f.distance_miles) FILTER (WHERE NOT f.is_cancelled)",
        "average_departure_delay": "avg(f.departure_delay_minutes)",
        "max_arrival_delay": "max(f.arrival_delay_minutes)",
        "carriers_count": "count(DISTINCT f.carrier)",
        "tail_numbers_count": "count(DISTINCT f.tail_number)",
        "p95_departure_delay": "quantile_cont(f.departure_delay_minutes, 0.95)",
        "on_time_arrivals": "count(*) FILTER (WHERE f.arrival_delay_minutes < 15)",
    },
    dimensions={
        "carrier": "f.carrier",
        "origin": "f.origin",
        "airline_name": "l.name",
        "plane_engines": "p.engines",
        "plane_manufacturer": "p.manufacturer",
        "is_cancelled": "f.is_cancelled",
        "scheduled_hour": "f.scheduled_hour",
    },
    times={
        "flight_date": ("CAST(f.flight_date AS TIMESTAMP)", {name: PLAIN[name] for name in ("day", "week")}),
        "scheduled_departure": (DEPARTURE, {name: PLAIN[name] for name in ("day", "hour", "month")}),
    },
    ranges=(
        (["2013-01-02", "2013-01-05"], "2013-01-02", "2013-01-06"),
        (["2013-01-03T06:00:00", "2013-01-03T11:59:59"], "2013-01-03 06:00:00", "2013-01-03 11:59:59.001"),
    ),
    filters=(
        ("origin", "equals", ("JFK",), "f.origin = 'JFK'"),
        ("carrier", "notEquals", ("UA", "AA"), "(f.carrier NOT IN ('UA', 'AA') OR f.carrier IS NULL)"),
        ("airline_name", "contains", ("air",), "contains(lower(l.name), 'air')"),
        ("departure_delay", "gt", ("30",), "f.departure_delay_minutes > 30"),
        ("arrival_delay", "notSet", (), "f.arrival_delay_minutes IS NULL"),
        ("is_cancelled", "equals", ("false",), "NOT f.is_cancelled"),
        ("weather_temperature", "lt", ("30",), "w.temperature_f < 30"),
        ("plane_manufacturer", "startsWith", ("BO",), "starts_with(lower(p.manufacturer), 'bo')"),
    ),
    having=(
        ("count", "gt", ("40",), "count(*) > 40"),
        ("average_departure_delay", "lte", ("9.5",), "avg(f.departure_delay_minutes) <= 9.5"),
    ),
    segments={"cancelled": "f.is_cancelled"},
    zones=("UTC", "America/New_York", "Asia/Tokyo"),
)  # fmt: skip
SUBJECTS: Final = (ENTRIES, BOOKINGS, FLIGHTS)
