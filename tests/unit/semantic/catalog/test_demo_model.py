"""The airline model against the gold tables: every snippet binds in DuckDB.

The tables are empty and have the columns that ARCHITECTURE.md gives them; the SQL is put together
here in the plainest way, not by the compiler.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from semantic.catalog.catalog import (
    CaseExpression,
    Catalog,
    ColumnReference,
    Cube,
    Expression,
    ExpressionPart,
    Measure,
    MemberReference,
    SwitchExpression,
)
from semantic.catalog.load import load_catalog
from semantic.project import Project

TABLES = {
    "fct_flights": "flight_key VARCHAR, flight_date DATE, scheduled_departure_utc TIMESTAMP,"
    " scheduled_departure_local TIMESTAMP, departure_utc TIMESTAMP, departure_local TIMESTAMP,"
    " scheduled_hour BIGINT, carrier VARCHAR, flight_number BIGINT, tail_number VARCHAR,"
    " origin VARCHAR, destination VARCHAR, route VARCHAR, departure_delay_minutes BIGINT,"
    " arrival_delay_minutes BIGINT, air_time_minutes BIGINT, distance_miles BIGINT,"
    " is_cancelled BOOLEAN, is_diverted BOOLEAN, weather_key VARCHAR",
    "fct_weather_hourly": "weather_key VARCHAR, origin VARCHAR, observed_at_utc TIMESTAMP,"
    " observed_at_local TIMESTAMP, observed_date DATE, temperature_f DOUBLE, dew_point_f DOUBLE,"
    " humidity_percent DOUBLE, wind_direction_degrees DOUBLE, wind_speed_mph DOUBLE,"
    " wind_gust_mph DOUBLE, precipitation_inches DOUBLE, pressure_millibars DOUBLE,"
    " visibility_miles DOUBLE",
    "dim_airline": "carrier VARCHAR, name VARCHAR",
    "dim_airport": "airport_code VARCHAR, name VARCHAR, latitude DOUBLE, longitude DOUBLE,"
    " altitude_feet BIGINT, time_zone VARCHAR, is_inferred BOOLEAN",
    "dim_plane": "tail_number VARCHAR, year_built BIGINT, type VARCHAR, manufacturer VARCHAR,"
    " model VARCHAR, engines BIGINT, seats BIGINT, speed_mph BIGINT, engine VARCHAR,"
    " is_inferred BOOLEAN",
    "dim_date": '"date" DATE, year BIGINT, quarter BIGINT, month BIGINT, day BIGINT,'
    " month_name VARCHAR, day_of_week BIGINT, day_name VARCHAR, iso_week BIGINT,"
    " is_weekend BOOLEAN",
}
TYPES = {
    "string": {"VARCHAR"},
    "number": {"BIGINT", "DOUBLE", "HUGEINT", "INTEGER"},
    "boolean": {"BOOLEAN"},
    "time": {"DATE", "TIMESTAMP"},
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(Project.open(Path(__file__).parents[4]).model)


@pytest.fixture(scope="module")
def gold() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA gold")
        for name, columns in TABLES.items():
            connection.execute(f"CREATE TABLE gold.{name} ({columns})")
        yield connection


def write(
    catalog: Catalog, expression: Expression | CaseExpression | SwitchExpression | str | None
) -> str:
    match expression:
        case str():
            return "'" + expression.replace("'", "''") + "'"
        case None:
            return "NULL"
        case CaseExpression():
            whens = " ".join(
                f"WHEN {write(catalog, branch.condition)} THEN {write(catalog, branch.label)}"
                for branch in expression.branches
            )
            return f"CASE {whens} ELSE {write(catalog, expression.otherwise)} END"
        case Expression():
            return "".join(write_part(catalog, part) for part in expression.parts)
        case SwitchExpression():
            pytest.fail("the demo has no switch")


def write_part(catalog: Catalog, part: ExpressionPart) -> str:
    match part:
        case str():
            return part
        case ColumnReference():
            return part.cube
        case MemberReference():
            cube = catalog.cubes[part.cube]
            if part.member in cube.measures:
                return f"({write_measure(catalog, cube.measures[part.member])})"
            return f"({write(catalog, cube.dimensions[part.member].sql)})"
        case _:
            pytest.fail(f"the demo has no {part}")


def write_measure(catalog: Catalog, measure: Measure) -> str:
    sql = write(catalog, measure.sql) if measure.sql else "1"
    if measure.filters:
        conditions = " AND ".join(f"({write(catalog, item)})" for item in measure.filters)
        sql = f"CASE WHEN {conditions} THEN {sql} END"
    match measure.type:
        case "number" | "number_agg":
            return sql
        case "count_distinct":
            return f"COUNT(DISTINCT {sql})"
        case kind:
            return f"{kind}({sql})"


def write_from(catalog: Catalog, cube: Cube) -> str:
    joins = "".join(
        f" LEFT JOIN {catalog.cubes[join.target].sql_table} AS {join.target}"
        f" ON {write(catalog, join.sql)}"
        for join in cube.joins.values()
    )
    return f"FROM {cube.sql_table} AS {cube.name}{joins}"


def test_every_dimension_binds_and_has_the_type_that_it_declares(
    catalog: Catalog, gold: duckdb.DuckDBPyConnection
) -> None:
    wrong = []
    for cube in catalog.cubes.values():
        for dimension in cube.dimensions.values():
            sql = f"SELECT {write(catalog, dimension.sql)} {write_from(catalog, cube)}"
            found = str(gold.sql(sql).types[0])
            if found not in TYPES[dimension.type]:
                wrong.append(f"{cube.name}.{dimension.name}: {found}")
    assert wrong == []


def test_every_measure_binds_to_a_number_or_to_the_type_of_its_extreme(
    catalog: Catalog, gold: duckdb.DuckDBPyConnection
) -> None:
    for cube in catalog.cubes.values():
        for measure in cube.measures.values():
            sql = f"SELECT {write_measure(catalog, measure)} {write_from(catalog, cube)}"
            assert str(gold.sql(sql).types[0]) in TYPES["number"], measure.name


def test_every_segment_is_a_condition(catalog: Catalog, gold: duckdb.DuckDBPyConnection) -> None:
    for cube in catalog.cubes.values():
        for segment in cube.segments.values():
            sql = f"SELECT {write(catalog, segment.sql)} {write_from(catalog, cube)}"
            assert gold.sql(sql).types == ["BOOLEAN"], segment.name


def test_no_query_of_the_demo_is_ambiguous_between_two_cubes(catalog: Catalog) -> None:
    """From either fact every other cube is reached by one shortest path."""
    for fact in ("flights", "weather"):
        for cube in catalog.join_graph.reachable(fact):
            assert catalog.join_graph.find_tree([fact, cube]).root == fact
