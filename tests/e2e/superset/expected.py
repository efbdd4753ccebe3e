"""What each chart of the dashboard must show, as SQL written by hand over the gold tables.

The columns carry the names that Superset gives them in a chart's data; days are epoch milliseconds
there. Measures are spelt out from their words in the glossary, not from the model.
"""

from __future__ import annotations

from typing import Final

ON_TIME = "count(*) filter (arrival_delay_minutes < 15)::double / count(arrival_delay_minutes)"
CANCELLED = "count(*) filter (is_cancelled)::double / count(*)"
MONTH = "epoch_ms(date_trunc('month', flight_date)::timestamp)"
WEEK = "epoch_ms(date_trunc('week', flight_date)::timestamp)"

# By file of the chart: one query for each query of the chart.
EXPECTED: Final[dict[str, tuple[str, ...]]] = {
    "headline_flights": ("select count(*) as count from gold.fct_flights",),
    "headline_on_time_rate": (f"select {ON_TIME} as on_time_rate from gold.fct_flights",),
    "headline_departure_delay": (
        "select avg(departure_delay_minutes) as average_departure_delay from gold.fct_flights",
    ),
    "headline_p95_arrival_delay": (
        (
            "select quantile_cont(arrival_delay_minutes, 0.95) as p95_arrival_delay "
            "from gold.fct_flights"
        ),
    ),
    "headline_cancellation_rate": (
        f"select {CANCELLED} as cancellation_rate from gold.fct_flights",
    ),
    "headline_seats_flown": (
        (
            "select sum(seats) as seats_flown from gold.fct_flights "
            "join gold.dim_plane using (tail_number) where not is_cancelled"
        ),
    ),
    "flights_and_on_time_rate": (
        f"select {WEEK} as flight_date, count(*) as count from gold.fct_flights group by 1",
        f"select {WEEK} as flight_date, {ON_TIME} as on_time_rate from gold.fct_flights group by 1",
    ),
    "cancellations_by_month": (
        (
            f"select {MONTH} as flight_date, count(*) filter (is_cancelled) as cancelled_count "
            "from gold.fct_flights group by 1"
        ),
        (
            f"select {MONTH} as flight_date, {CANCELLED} as cancellation_rate "
            "from gold.fct_flights group by 1"
        ),
    ),
    "delay_bands": (
        """
        select case when is_cancelled then 'Cancelled'
          when arrival_delay_minutes is null then 'Diverted'
          when arrival_delay_minutes < 0 then 'Early'
          when arrival_delay_minutes < 15 then 'On time (0-14 min)'
          when arrival_delay_minutes < 60 then 'Late (15-59 min)'
          when arrival_delay_minutes < 180 then 'Very late (1-3 h)'
          else 'Extremely late (3 h or more)' end as delay_band, count(*) as count
        from gold.fct_flights group by 1
        """,
    ),
    "delay_by_hour": (
        """
        select scheduled_hour, avg(departure_delay_minutes) as average_departure_delay,
          quantile_cont(departure_delay_minutes, 0.95) as p95_departure_delay
        from gold.fct_flights group by 1
        """,
    ),
    "carriers": (
        f"""
        select name as airline_name, count(*) as count, {ON_TIME} as on_time_rate,
          avg(departure_delay_minutes) as average_departure_delay,
          {CANCELLED} as cancellation_rate
        from gold.fct_flights join gold.dim_airline using (carrier) group by 1
        """,
    ),
    "delay_by_visibility": (
        """
        select case when visibility_miles is null then 'Not observed'
          when visibility_miles < 1 then 'Very low (under 1 mi)'
          when visibility_miles < 3 then 'Low (1-3 mi)'
          when visibility_miles < 5 then 'Marginal (3-5 mi)'
          else 'Good (5 mi or more)' end as weather_visibility_band,
          count(*) filter (departure_delay_minutes >= 15)::double
            / count(departure_utc) as delayed_departure_rate
        from gold.fct_flights left join gold.fct_weather_hourly using (weather_key) group by 1
        """,
    ),
    "top_routes": (
        """
        select origin || '-' || destination as route, count(*) as count from gold.fct_flights
        group by 1 order by 2 desc limit 12
        """,
    ),
    "delay_heatmap": (
        """
        select scheduled_hour, name as airline_name,
          avg(departure_delay_minutes) as average_departure_delay
        from gold.fct_flights join gold.dim_airline using (carrier) group by 1, 2
        """,
    ),
    "on_time_by_origin": (
        f"""
        select {MONTH} as flight_date,
          count(*) filter (arrival_delay_minutes < 15 and origin = 'EWR')::double
            / count(*) filter (arrival_delay_minutes is not null and origin = 'EWR') as "EWR",
          count(*) filter (arrival_delay_minutes < 15 and origin = 'JFK')::double
            / count(*) filter (arrival_delay_minutes is not null and origin = 'JFK') as "JFK",
          count(*) filter (arrival_delay_minutes < 15 and origin = 'LGA')::double
            / count(*) filter (arrival_delay_minutes is not null and origin = 'LGA') as "LGA"
        from gold.fct_flights group by 1
        """,
    ),
    "weather": (
        (
            "select epoch_ms(date_trunc('week', observed_date)::timestamp) as observed_date, "
            "sum(precipitation_inches) as total_precipitation "
            "from gold.fct_weather_hourly group by 1"
        ),
        (
            "select epoch_ms(date_trunc('week', observed_date)::timestamp) as observed_date, "
            "avg(temperature_f) as average_temperature from gold.fct_weather_hourly group by 1"
        ),
    ),
}
