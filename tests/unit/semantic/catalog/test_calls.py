"""FILTER_PARAMS, FILTER_GROUP, `cube.sql()`, convertTz and contexts: what they become, what is refused."""

from __future__ import annotations

import json

import duckdb
import pytest

from semantic.catalog.catalog import (
    Argument,
    ColumnReference,
    ContextValue,
    CubeSource,
    Expression,
    ExpressionPart,
    FilterGroup,
    FilterParameter,
    LocalTime,
    MemberReference,
    TemplatePart,
)
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import ModelError

MODEL = """
cubes:
  - name: users
    sql_table: users
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
  - name: orders
    SOURCE
    joins:
      - {name: users, relationship: many_to_one, sql: "{CUBE}.user_id = {users}.id"}
      - {name: city, cube: users, relationship: many_to_one, sql: "{CUBE}.at_id = {city}.id"}
    measures: [{name: count, type: count}]
    segments: [{name: big, sql: "amount > 10"}]
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
      - {name: at, type: time, sql: at}
      - {name: probe, type: string, sql: PROBE}
"""
OWN = ColumnReference("orders")


def load(probe: str = "id", source: str = "sql_table: orders") -> Expression:
    text = MODEL.replace("PROBE", json.dumps(probe)).replace("SOURCE", source)
    cube = load_catalog_from_text({"m.yml": text}).cubes["orders"]
    found = cube.dimensions["probe"].sql if source.startswith("sql_table") else cube.sql
    assert isinstance(found, Expression)
    return found


def load_relation(sql: str) -> Expression:
    return load(source=f"sql: {json.dumps(sql)}")


def refuse(probe: str = "id", source: str = "sql_table: orders") -> set[str]:
    with pytest.raises(ModelError) as caught:
        load(probe, source)
    assert all(problem.span is not None for problem in caught.value.problems)
    return {problem.code for problem in caught.value.problems}


def parameter(*template: TemplatePart, member: str = "city", call: bool = False) -> FilterParameter:
    return FilterParameter("orders", member, template, call)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("'city'", parameter(OWN, ".city")),
        ('"{CUBE}.city"', parameter(OWN, ".city")),
        ('f"{CUBE}.city"', parameter(OWN, ".city")),
        ("\"concat('a--b;', city)\"", parameter("concat('a--b;', ", OWN, ".city)")),
        ("'city /* why */'", parameter(OWN, ".city")),
        (
            'lambda x, y: f"at >= {x} AND at < {y}"',
            parameter(OWN, ".at >= ", Argument(0), " AND ", OWN, ".at < ", Argument(1), call=True),
        ),
        (
            "lambda x: '{CUBE}.at >= ' + x",
            parameter(OWN, ".at >= ", Argument(0), call=True),
        ),
        (
            'lambda x: f"{users}.at >= {x}"',
            parameter(ColumnReference("users"), ".at >= ", Argument(0), call=True),
        ),
    ],
)
def test_the_sql_of_a_filter_is_a_checked_snippet_in_brackets(
    written: str, expected: FilterParameter
) -> None:
    found = load(f"NOT {{FILTER_PARAMS.orders.city.filter({written})}} AND id > 1")
    assert found.parts == ("NOT (", expected, ") AND ", OWN, ".id > 1")


@pytest.mark.parametrize(
    "written",
    [
        "FILTER_PARAMS.orders.city.filter('city) OR (1 = 1')",
        'FILTER_PARAMS.orders.city.filter("it\'s")',
        "FILTER_PARAMS.orders.city.filter('city; DROP TABLE x')",
        "FILTER_PARAMS.orders.city.filter('city /*')",
        "FILTER_PARAMS.orders.city.filter('a, b')",
        "FILTER_PARAMS.orders.city.filter('SELECT 1')",
        "FILTER_PARAMS.orders.city.filter('max(city)')",
        "FILTER_PARAMS.orders.city.filter('?')",
        "FILTER_PARAMS.orders.city.filter('')",
        "FILTER_PARAMS.orders.city.filter('{city}')",
        "FILTER_PARAMS.orders.city.filter('{users.city}')",
        "FILTER_PARAMS.orders.city.filter('{nowhere}.city')",
        "FILTER_PARAMS.orders.city.filter('ducat_argument_0')",
        "FILTER_PARAMS.orders.city.filter(\"{FILTER_PARAMS.orders.city.filter('x')}\")",
        "FILTER_PARAMS.orders.city.filter()",
        "FILTER_PARAMS.orders.city.filter('a', 'b')",
        "FILTER_PARAMS.orders.city.filter(1)",
        "FILTER_PARAMS.orders.city.filter(lambda x: f\"city = '{x}'\")",
        'FILTER_PARAMS.orders.city.filter(lambda x: f"city = {x}.y")',
        'FILTER_PARAMS.orders.city.filter(lambda x: f"{x!r}")',
        'FILTER_PARAMS.orders.city.filter(lambda x: f"{x:>9}")',
        "FILTER_PARAMS.orders.city.filter(lambda x: x.upper())",
        "FILTER_PARAMS.orders.city.filter(lambda x: x if x else 'y')",
        "FILTER_PARAMS.orders.city.filter(lambda x: 'y' * 9)",
        "FILTER_PARAMS.orders.city.filter(lambda *x: 'y')",
        "FILTER_PARAMS.orders.city.filter(lambda x=1: 'y')",
        "FILTER_PARAMS.orders.city.filter(__import__('os').getcwd())",
        "FILTER_PARAMS.orders.city",
        "FILTER_PARAMS.orders.filter('city')",
        "FILTER_PARAMS",
        "FILTER_GROUP()",
        "FILTER_GROUP('city')",
        "FILTER_GROUP(FILTER_PARAMS.orders.city)",
        "SQL_UTILS.convertTz()",
        "SQL_UTILS.other('at')",
        "SQL_UTILS.convertTz('at) + (1')",
        "COMPILE_CONTEXT",
        "COMPILE_CONTEXT.securityContext",
        "COMPILE_CONTEXT.other.tenant",
        "SECURITY_CONTEXT",
        "SECURITY_CONTEXT.tenant.unsafeValue()",
        "SECURITY_CONTEXT.tenant.filter('city) OR (1 = 1')",
    ],
)
def test_a_call_that_could_mean_more_than_it_says_is_refused(written: str) -> None:
    codes = refuse(f"{{{written}}}")
    assert codes <= {
        "reference_syntax", "sql_syntax", "sql_not_expression", "aggregate_not_allowed",
        "unknown_cube", "unknown_reference",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("orders.count", "invalid_reference"),
        ("orders.citi", "unknown_reference"),
        ("order.city", "unknown_cube"),
    ],
)
def test_a_filter_names_a_dimension_or_segment_that_exists(name: str, code: str) -> None:
    assert refuse(f"{{FILTER_PARAMS.{name}.filter('city')}}") == {code}


def test_a_filter_may_name_a_segment_and_the_cube_itself() -> None:
    found = load("{FILTER_PARAMS.CUBE.big.filter('amount')}")
    assert found.parts == ("(", parameter(OWN, ".amount", member="big"), ")")


def test_a_group_keeps_its_filters_in_order() -> None:
    found = load(
        "{FILTER_GROUP(FILTER_PARAMS.orders.city.filter('city'), "
        "FILTER_PARAMS.orders.at.filter('at'))}"
    )
    group = FilterGroup((parameter(OWN, ".city"), parameter(OWN, ".at", member="at")))
    assert found.parts == ("(", group, ")")


@pytest.mark.parametrize(
    ("written", "inner"),
    [
        ("'at'", (OWN, ".at")),
        ("`at`", (OWN, ".at")),
        ('"{CUBE}.at"', (OWN, ".at")),
        ('f"{CUBE}.at"', (OWN, ".at")),
        ("CUBE.at", (MemberReference("orders", "at"),)),
        ("at", (MemberReference("orders", "at"),)),
    ],
)
def test_a_converted_time_is_a_column_as_text_or_a_member_by_name(
    written: str, inner: tuple[ExpressionPart, ...]
) -> None:
    [found] = load(f"{{SQL_UTILS.convertTz({written})}}").parts
    assert isinstance(found, LocalTime)
    assert found.expression.parts == inner


@pytest.mark.parametrize(
    "written",
    [
        "COMPILE_CONTEXT.securityContext.user.id",
        "COMPILE_CONTEXT.security_context.user.id",
        "COMPILE_CONTEXT['securityContext']['user'].id",
        "SECURITY_CONTEXT.user.id",
    ],
)
def test_a_claim_is_a_value_and_never_text(written: str) -> None:
    assert load(f"id = {{{written}}}").parts == (OWN, ".id = ", ContextValue(("user", "id")))
    for quoted in (f"'{{{written}}}'", f"x.{{{written}}}", f"{{{written}}}.x", f'"{{{written}}}"'):
        assert refuse(quoted) == {"reference_syntax"}


def test_a_filter_on_an_absent_claim_shows_no_row() -> None:
    found = load("{SECURITY_CONTEXT.tenant.filter('city')}")
    assert found.parts == ("((", OWN, ".city) = ", ContextValue(("tenant",)), ")")
    with duckdb.connect() as connection:
        sql = "".join(
            {OWN: "t", ContextValue(("tenant",)): "NULL"}.get(part, "")
            if not isinstance(part, str)
            else part
            for part in found.parts
        )
        rows = connection.sql(f"SELECT * FROM (SELECT 'a' AS city) AS t WHERE {sql}").fetchall()
    assert rows == []


def test_the_sql_of_a_cube_reads_its_own_tables_columns() -> None:
    found = load_relation(
        'SELECT * FROM raw WHERE {FILTER_PARAMS.orders.at.filter(lambda x: f"at >= {x}")} '
        "AND {FILTER_PARAMS.orders.city.filter('raw.city')} AND "
        "at > {SQL_UTILS.convertTz('raw.at')} AND tenant = {COMPILE_CONTEXT.securityContext.t} -- x"
    )
    assert found.parts == (
        "SELECT * FROM raw WHERE (",
        parameter("at >= ", Argument(0), member="at", call=True),
        ") AND (",
        parameter("raw.city"),
        ") AND at > ",
        LocalTime(Expression(("raw.at",), found.parts[5].expression.span)),  # type: ignore[union-attr]
        " AND tenant = ",
        ContextValue(("t",)),
    )


def test_the_sql_of_a_cube_stands_on_another_cube() -> None:
    found = load_relation(
        "SELECT u.* FROM {users.sql()} AS u WHERE x IN (SELECT 1 FROM {users.sql()})"
    )
    assert [part for part in found.parts if not isinstance(part, str)] == [CubeSource("users")] * 2


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM {users}", "invalid_reference"),
        ("SELECT {CUBE}.id FROM raw", "invalid_reference"),
        ("SELECT * FROM {orders.sql()}", "reference_cycle"),
        ("SELECT * FROM {CUBE.sql()}", "reference_cycle"),
        ("SELECT * FROM {user.sql()}", "unknown_cube"),
        ("SELECT * FROM s.{users.sql()}", "sql_syntax"),
        ("SELECT {users.sql()} FROM raw", "sql_syntax"),
        ("SELECT * FROM {FILTER_PARAMS.orders.city.filter('city')}", "sql_syntax"),
        ("SELECT 1 AS {COMPILE_CONTEXT.securityContext.a}", "sql_syntax"),
        ("SELECT * FROM raw WHERE a = '{COMPILE_CONTEXT.securityContext.a}'", "sql_syntax"),
        ("SELECT * FROM {COMPILE_CONTEXT.securityContext.a}", "sql_syntax"),
        ("SELECT * FROM raw WHERE {FILTER_PARAMS.orders.city.filter('{CUBE}.city')}", "reference_syntax"),
        ("SELECT * FROM raw WHERE {FILTER_PARAMS.orders.city.filter('city) OR (true')}", "sql_syntax"),
    ],
)  # fmt: skip
def test_what_cannot_stand_in_the_sql_of_a_cube_is_refused(sql: str, code: str) -> None:
    assert refuse(source=f"sql: {json.dumps(sql)}") == {code}


@pytest.mark.parametrize("head", ["CUBE.city", "orders.city", "city"])
def test_a_join_may_be_named_like_a_dimension_and_leads_to_its_role(head: str) -> None:
    way = ("orders", "orders.city")
    assert load(f"{{{head}.city}}").parts == (MemberReference("orders.city", "city", path=way),)
    assert load("{city}").parts == (MemberReference("orders", "city"),)
    assert load("{city}.zip").parts == (ColumnReference("orders.city"), ".zip")
