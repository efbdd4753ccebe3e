"""Questions written one by one: what the building blocks do not say, with SQL by hand."""

from __future__ import annotations

from typing import Any, Final

from tests.matrix.question import Question

E: Final = "gold.fct_entry e"
EA: Final = "gold.fct_entry e LEFT JOIN gold.dim_account a ON e.account = a.account"
YEAR: Final = ["2024-01-01", "2024-12-31"]
IN_YEAR: Final = "booked_at >= '2024-01-01' AND booked_at < '2025-01-01'"
MONTHS: Final = (
    "(SELECT CAST(m AS TIMESTAMP) AS m FROM generate_series(TIMESTAMP '2024-01-01', "
    "TIMESTAMP '2024-12-01', INTERVAL 1 MONTH) t(m))"
)
BERLIN: Final = "((e.booked_at AT TIME ZONE 'UTC') AT TIME ZONE 'Europe/Berlin')"
SAO_PAULO: Final = "((e.booked_at AT TIME ZONE 'UTC') AT TIME ZONE 'America/Sao_Paulo')"
KOLKATA: Final = "((e.booked_at AT TIME ZONE 'UTC') AT TIME ZONE 'Asia/Kolkata')"


def _times(granularity: str | None, **more: Any) -> list[dict[str, Any]]:
    item: dict[str, Any] = {"dimension": "entries.booked_at", **more}
    return [item | ({"granularity": granularity} if granularity else {})]


def _entries(*names: str) -> list[str]:
    return [f"entries.{name}" for name in names]


def _filter(name: str, operator: str, *values: Any) -> dict[str, Any]:
    return {"member": f"entries.{name}", "operator": operator} | (
        {"values": list(values)} if values else {}
    )


SPECIAL: Final = [
    # Rows, and dimensions alone.
    Question(
        "ungrouped_rows",
        {
            "dimensions": _entries("entry_id", "account", "amount", "ratio", "flag", "note"),
            "ungrouped": True, "order": [["entries.entry_id", "desc"]], "limit": 50,
        },
        f"SELECT entry_id, account, amount, ratio, flag, note FROM {E} ORDER BY 1 DESC LIMIT 50",
        ordered=True,
    ),
    Question(
        "ungrouped_with_a_measure_and_a_filter",
        {
            "measures": _entries("total_price"), "dimensions": _entries("entry_id"),
            "filters": [_filter("level", "equals", "2")], "ungrouped": True,
        },
        f"SELECT entry_id, price FROM {E} WHERE level = 2",
    ),
    Question(
        "ungrouped_of_a_view",
        {"dimensions": ["bookings.entry_id", "bookings.region"], "ungrouped": True},
        f"SELECT e.entry_id, a.region FROM {EA}",
    ),
    Question("distinct_values", {"dimensions": _entries("flag", "band")},
             "SELECT DISTINCT flag, CASE WHEN price < 0 THEN 'below' WHEN price >= 50 THEN 'above' "
             f"ELSE 'between' END FROM {E}"),
    Question("raw_times_with_microseconds", {"dimensions": _entries("entry_id", "booked_at"), "ungrouped": True},
             f"SELECT entry_id, booked_at FROM {E}"),
    Question("raw_times_of_a_zone",
             {"dimensions": _entries("entry_id", "booked_at"), "ungrouped": True, "timezone": "Europe/Berlin"},
             f"SELECT entry_id, {BERLIN} FROM {E}"),
    Question("raw_days", {"dimensions": _entries("value_day"), "measures": _entries("count")},
             f"SELECT value_day, count(*) FROM {E} GROUP BY 1"),
    Question("raw_days_of_a_zone",
             {"dimensions": _entries("value_day"), "measures": _entries("count"), "timezone": "America/New_York"},
             f"SELECT value_day, count(*) FROM {E} GROUP BY 1"),
    Question("times_as_measures", {"measures": _entries("latest"), "dimensions": _entries("account")},
             f"SELECT account, max(booked_at) FROM {E} GROUP BY 1"),
    Question("times_as_measures_of_a_zone",
             {"measures": _entries("latest"), "timezone": "Asia/Kolkata"}, f"SELECT max(booked_at) FROM {E}"),
    # Several times, zones in which clocks change.
    Question("two_cuts_of_one_time",
             {"measures": _entries("count"), "timeDimensions": [*_times("year"), *_times("month")]},
             f"SELECT date_trunc('year', booked_at), date_trunc('month', booked_at), count(*) FROM {E} GROUP BY 1, 2"),
    Question("cuts_of_two_times",
             {"measures": _entries("count"),
              "timeDimensions": [*_times("quarter"), {"dimension": "entries.value_day", "granularity": "week"}]},
             "SELECT date_trunc('quarter', booked_at), date_trunc('week', CAST(value_day AS TIMESTAMP)), count(*) "
             f"FROM {E} GROUP BY 1, 2"),
    Question("an_hour_that_came_twice",
             {"measures": _entries("count", "total_price"), "timezone": "Europe/Berlin",
              "timeDimensions": _times("hour", dateRange=["2024-10-27", "2024-10-27"])},
             f"SELECT date_trunc('hour', {BERLIN}), count(*), sum(price) FROM {E} "
             f"WHERE {BERLIN} >= '2024-10-27' AND {BERLIN} < '2024-10-28' GROUP BY 1"),
    Question("an_hour_that_never_was",
             {"measures": _entries("count"), "timezone": "Europe/Berlin",
              "timeDimensions": _times("quarter_hour", dateRange="2024-03-31")},
             f"SELECT time_bucket(INTERVAL 15 MINUTE, {BERLIN}, TIMESTAMP '2000-01-01'), count(*) FROM {E} "
             f"WHERE {BERLIN} >= '2024-03-31' AND {BERLIN} < '2024-04-01' GROUP BY 1"),
    Question("a_day_without_midnight",
             {"measures": _entries("count"), "timezone": "America/Sao_Paulo",
              "timeDimensions": _times("day", dateRange=["2018-11-03", "2018-11-05"])},
             f"SELECT date_trunc('day', {SAO_PAULO}), count(*) FROM {E} "
             f"WHERE {SAO_PAULO} >= '2018-11-03' AND {SAO_PAULO} < '2018-11-06' GROUP BY 1"),
    Question("half_an_hour_off",
             {"measures": _entries("count"), "timezone": "Asia/Kolkata", "timeDimensions": _times("hour", dateRange=YEAR)},
             f"SELECT date_trunc('hour', {KOLKATA}), count(*) FROM {E} "
             f"WHERE {KOLKATA} >= '2024-01-01' AND {KOLKATA} < '2025-01-01' GROUP BY 1"),
    # Several date ranges, totals, pages.
    Question("two_ranges_compared",
             {"measures": _entries("count", "total_amount"),
              "timeDimensions": _times("month", compareDateRange=[["2024-01-01", "2024-03-31"], ["2024-10-01", "2024-12-31"]])},
             "SELECT date_trunc('month', booked_at), count(*), sum(amount) "
             f"FROM {E} WHERE (booked_at >= '2024-01-01' AND booked_at < '2024-04-01') OR "
             "(booked_at >= '2024-10-01' AND booked_at < '2025-01-01') GROUP BY 1"),
    Question("two_ranges_compared_without_cut",
             {"measures": _entries("count"), "dimensions": _entries("flag"),
              "timeDimensions": _times(None, compareDateRange=[["2024-01-01", "2024-03-31"], "2018-11-04"])},
             f"SELECT flag, count(*) FROM {E} WHERE booked_at >= '2024-01-01' AND booked_at < '2024-04-01' GROUP BY 1 "
             f"UNION ALL SELECT flag, count(*) FROM {E} WHERE booked_at >= '2018-11-04' AND booked_at < '2018-11-05' GROUP BY 1"),
    Question("a_page_and_how_many_there_are",
             {"measures": _entries("count"), "dimensions": _entries("level", "account"),
              "order": [["entries.level", "asc"], ["entries.account", "desc"]], "limit": 4, "offset": 3, "total": True},
             f"SELECT level, account, count(*) FROM {E} GROUP BY 1, 2 "
             "ORDER BY 1 ASC NULLS LAST, 2 DESC NULLS FIRST LIMIT 4 OFFSET 3", ordered=True),
    Question("all_but_the_first",
             {"dimensions": _entries("note"), "measures": _entries("count"), "order": [["entries.note", "asc"]], "offset": 2},
             f"SELECT note, count(*) FROM {E} GROUP BY 1 ORDER BY 1 ASC NULLS LAST OFFSET 2", ordered=True),
    Question("nothing_in_groups",
             {"dimensions": _entries("note"), "measures": _entries("count"), "filters": [_filter("account", "equals", "x")]},
             f"SELECT note, count(*) FROM {E} WHERE false GROUP BY 1"),
    Question("nothing_at_all",
             {"measures": _entries("count", "total_amount", "average_ratio", "any_flag", "latest", "last_note"),
              "filters": [_filter("account", "equals", "x")]},
             "SELECT 0, NULL, NULL, NULL, NULL, NULL"),
    # Filters.
    Question("conditions_within_conditions",
             {"measures": _entries("count", "total_price"), "filters": [
                 {"or": [{"and": [_filter("flag", "equals", "true"), _filter("price", "gt", "10")]},
                         {"or": [_filter("note", "equals", "null"), _filter("level", "notSet")]}]},
                 _filter("account", "set")]},
             f"SELECT count(*), sum(price) FROM {E} WHERE (flag AND price > 10 OR note = 'null' OR level IS NULL) "
             "AND account IS NOT NULL"),
    Question("null_among_values",
             {"measures": _entries("count"), "dimensions": _entries("account"),
              "filters": [_filter("account", "equals", None, "cash")]},
             f"SELECT account, count(*) FROM {E} WHERE account IS NULL OR account = 'cash' GROUP BY 1"),
    Question("a_text_that_would_be_sql",
             {"measures": _entries("count"), "filters": [_filter("note", "equals", "x' OR 1=1 --", "It's \"50%\"")]},
             f"SELECT count(*) FROM {E} WHERE note = 'It''s \"50%\"'"),
    Question("a_text_of_two_lines",
             {"measures": _entries("count"), "dimensions": _entries("note"),
              "filters": [_filter("note", "equals", "two\nlines\t.", "ÄÖ 漢字 😀")]},
             f"SELECT note, count(*) FROM {E} WHERE starts_with(note, 'two') OR ends_with(note, '😀') GROUP BY 1"),
    Question("in_and_not_in",
             {"measures": _entries("count"), "filters": [_filter("level", "in", "0", "1", "2"), _filter("account", "notIn", "cash", "")]},
             f"SELECT count(*) FROM {E} WHERE level IN (0, 1, 2) AND (account NOT IN ('cash', '') OR account IS NULL)"),
    Question("on_one_day",
             {"measures": _entries("count"), "filters": [_filter("booked_at", "onTheDate", "2024-03-31")], "timezone": "Europe/Berlin"},
             f"SELECT count(*) FROM {E} WHERE {BERLIN} >= '2024-03-31' AND {BERLIN} < '2024-04-01'"),
    Question("a_number_of_38_digits_to_compare_with",
             {"dimensions": _entries("amount"), "filters": [
                 _filter("amount", "gte", "12345678901234567890123456.123456098"),
                 _filter("amount", "notEquals", "12345678901234567890123456.123456100")]},
             f"SELECT DISTINCT amount FROM {E} WHERE amount >= '12345678901234567890123456.123456098'::DECIMAL(38, 9) "
             "AND amount <> '12345678901234567890123456.123456100'::DECIMAL(38, 9)"),
    Question("groups_chosen_by_two_measures",
             {"measures": _entries("count", "average_ratio"), "dimensions": _entries("account"), "filters": [
                 {"or": [_filter("count", "gt", "20"), _filter("average_ratio", "lt", "7.25")]}]},
             f"SELECT account, count(*), avg(ratio) FROM {E} GROUP BY 1 HAVING count(*) > 20 OR avg(ratio) < 7.25"),
    # Joins.
    Question("members_of_two_cubes",
             {"measures": _entries("count"), "dimensions": ["accounts.region"], "filters": [
                 {"member": "accounts.opened", "operator": "afterDate", "values": ["2000-01-01"]}]},
             f"SELECT a.region, count(*) FROM {EA} WHERE a.opened >= '2000-01-02' GROUP BY 1"),
    Question("measures_of_two_cubes",
             {"measures": ["entries.count", "accounts.count"], "dimensions": ["accounts.region"]},
             "SELECT a.region, count(e.entry_id), count(DISTINCT a.account) FROM gold.fct_entry e "
             "FULL JOIN gold.dim_account a ON e.account = a.account GROUP BY 1"),
    # Windows, stages, kinds.
    Question("a_running_sum",
             {"measures": _entries("running_price", "total_price"), "timeDimensions": _times("month", dateRange=YEAR)},
             f"SELECT m, (SELECT sum(price) FROM {E} WHERE booked_at < m + INTERVAL 1 MONTH), "
             f"(SELECT sum(price) FROM {E} WHERE booked_at >= m AND booked_at < m + INTERVAL 1 MONTH) FROM {MONTHS}"),
    Question("a_window_of_a_month",
             {"measures": _entries("month_price"), "timeDimensions": _times("month", dateRange=YEAR)},
             f"SELECT m, (SELECT sum(price) FROM {E} WHERE booked_at >= m AND booked_at < m + INTERVAL 1 MONTH) FROM {MONTHS}"),
    Question("a_year_to_date",
             {"measures": _entries("year_to_date"), "timeDimensions": _times("month", dateRange=["2024-04-01", "2024-12-31"])},
             f"SELECT m, (SELECT sum(price) FROM {E} WHERE booked_at >= '2024-01-01' AND booked_at < m + INTERVAL 1 MONTH) "
             f"FROM {MONTHS} WHERE m >= '2024-04-01'"),
    Question("a_running_sum_by_flag",
             {"measures": _entries("running_price"), "dimensions": _entries("flag"),
              "timeDimensions": _times("quarter", dateRange=YEAR)},
             f"SELECT flag, m, sum(price) FROM {MONTHS}, {E} WHERE month(m) % 3 = 1 AND booked_at < m + INTERVAL 3 MONTH GROUP BY 1, 2"),
    Question("the_last_day_only",
             {"measures": _entries("closing_price")},
             f"SELECT sum(price) FROM {E} WHERE value_day = (SELECT max(value_day) FROM gold.fct_entry)"),
    Question("the_last_day_of_each_account",
             {"measures": _entries("closing_price"), "dimensions": _entries("account"),
              "filters": [_filter("level", "gte", "1")]},
             f"SELECT account, sum(price) FROM {E} WHERE level >= 1 AND value_day = (SELECT max(value_day) FROM gold.fct_entry WHERE level >= 1) "
             "GROUP BY 1"),
    Question("a_day_without_rows_is_there",
             {"measures": _entries("daily_count"), "timeDimensions": _times("day", dateRange=["2024-02-01", "2024-02-20"])},
             f"SELECT d, (SELECT count(*) FROM {E} WHERE booked_at >= d AND booked_at < d + INTERVAL 1 DAY) FROM "
             "(SELECT CAST(d AS TIMESTAMP) AS d FROM generate_series(TIMESTAMP '2024-02-01', TIMESTAMP '2024-02-20', INTERVAL 1 DAY) t(d))"),
    Question("a_month_before",
             {"measures": _entries("total_price", "price_before"), "timeDimensions": _times("month", dateRange=YEAR)},
             "SELECT * FROM (SELECT m, "
             f"(SELECT sum(price) FROM {E} WHERE booked_at >= m AND booked_at < m + INTERVAL 1 MONTH) AS now, "
             f"(SELECT sum(price) FROM {E} WHERE booked_at >= m - INTERVAL 1 MONTH AND booked_at < m) AS before FROM {MONTHS}) "
             f"WHERE now IS NOT NULL OR before IS NOT NULL OR m IN (SELECT date_trunc('month', booked_at) FROM {E})"),
    Question("a_share_of_the_whole",
             {"measures": _entries("total_price", "whole_price"), "dimensions": _entries("account")},
             f"SELECT account, sum(price), (SELECT sum(price) FROM gold.fct_entry) FROM {E} GROUP BY 1"),
    Question("a_quotient_of_stages", {"measures": _entries("price_share"), "dimensions": _entries("flag")},
             f"SELECT flag, sum(price) / (SELECT sum(price) FROM gold.fct_entry) FROM {E} GROUP BY 1"),
    Question("ranks",
             {"measures": _entries("total_price", "price_rank"), "dimensions": _entries("account")},
             f"SELECT account, sum(price), rank() OVER (ORDER BY sum(price) DESC) FROM {E} GROUP BY 1"),
    # Masks, and rows that policies hide.
    Question("masked_members",
             {"measures": ["wages.count", "wages.total_wage"], "dimensions": ["wages.grade", "wages.person"]},
             f"SELECT level, '***', count(*), -1 FROM {E} WHERE level >= 2 GROUP BY 1"),
    Question("a_masked_total", {"measures": ["wages.total_wage", "wages.count"]},
             f"SELECT -1, count(*) FROM {E} WHERE level >= 2"),
    # Measures that a query makes.
    Question("shifted_by_the_query",
             {"measures": ["entries.total_price", {"measure": "entries.total_price", "shift": "1 month", "as": "before"}],
              "timeDimensions": _times("month", dateRange=["2024-02-01", "2024-06-30"])},
             "SELECT m, "
             f"(SELECT sum(price) FROM {E} WHERE booked_at >= m AND booked_at < m + INTERVAL 1 MONTH), "
             f"(SELECT sum(price) FROM {E} WHERE booked_at >= m - INTERVAL 1 MONTH AND booked_at < m) FROM {MONTHS} "
             "WHERE m BETWEEN '2024-02-01' AND '2024-06-01'"),
    Question("compared_by_the_query",
             {"measures": _entries("count"), "dimensions": _entries("flag"),
              "timeDimensions": _times(None, dateRange=["2024-04-01", "2024-06-30"]),
              "compare": {"to": "previous period", "show": ["previous", "change"]}},
             f"SELECT flag, n, b, n - b FROM (SELECT flag, count(*) FILTER (WHERE booked_at >= '2024-04-01') AS n, "
             "count(*) FILTER (WHERE booked_at < '2024-04-01') AS b "
             f"FROM {E} WHERE booked_at >= '2024-01-01' AND booked_at < '2024-07-01' GROUP BY 1)"),
    # The demo.
    Question("what_a_measure_counts",
             {"dimensions": ["flights.flight_number", "flights.carrier"], "ungrouped": True, "filters": [
                 {"member": "flights.cancelled_count", "operator": "measureFilter"}]},
             "SELECT flight_number, carrier FROM gold.fct_flights WHERE is_cancelled"),
    Question("weather_by_hour",
             {"measures": ["weather_hourly.average_temperature", "weather_hourly.observations_count"],
              "timezone": "America/New_York",
              "timeDimensions": [{"dimension": "weather_hourly.observed_at", "granularity": "hour",
                                  "dateRange": ["2013-01-02", "2013-01-03"]}]},
             "SELECT observed_at_local, avg(temperature_f), count(*) FROM gold.fct_weather_hourly "
             "WHERE observed_at_local >= '2013-01-02' AND observed_at_local < '2013-01-04' GROUP BY 1"),
]  # fmt: skip
