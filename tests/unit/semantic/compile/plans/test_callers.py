"""Kept plans and who asks: policies, claims, masks, filters of the model, the clock."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any

import pytest

from semantic.catalog.load import load_catalog_from_text
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.query.query import MemberFilter, Query
from tests.unit.semantic.compile.plans.change import change_values
from tests.unit.semantic.compile.plans.compare import Pair, watch_plannings

NOW = datetime(2024, 3, 10, 4, 59, 59, tzinfo=UTC)
MODEL = """
cubes:
  - name: orders
    sql: "SELECT * FROM orders WHERE {FILTER_PARAMS.orders.status.filter('status')}
      AND tenant = {COMPILE_CONTEXT.securityContext.tenant}"
    joins: [{name: buyers, relationship: many_to_one, sql: "{CUBE}.buyer = {buyers}.id"}]
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: status, type: string, sql: status}
      - {name: at, type: time, sql: at}
    measures:
      - {name: count, type: count}
      - {name: week, type: count, rolling_window: {trailing: 7 day}}
      - name: whole
        type: number
        sql: "{count}"
        multi_stage: true
        filter: {exclude: [status], include: [{member: status, operator: notEquals, values: [a]}]}
  - name: buyers
    sql_table: buyers
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: city, type: string, sql: city, mask: "hidden"}
      - {name: age, type: number, sql: age, mask: -1}
      - {name: active, type: boolean, sql: active}
      - {name: since, type: time, sql: since}
    measures:
      - {name: count, type: count}
      - {name: oldest, type: max, sql: "{CUBE}.age"}
    access_policy:
      - group: all
        row_level: {allow_all: true}
      - group: local
        member_level: {includes: [id, age, active, since, count, oldest]}
        member_masking: {includes: [city]}
        conditions: [{if: "{ securityContext.active }"}]
        row_level:
          filters:
            - {member: city, operator: equals, values: ["{ securityContext.cities }", "a"]}
            - {member: age, operator: gte, values: ["{ securityContext.limits.age }"]}
      - group: recent
        row_level:
          filters: [{member: since, operator: inDateRange, values: ["last 7 days"]}]
views:
  - name: buyers_now
    cubes: [{join_path: buyers, includes: "*"}]
    filters: [{member: buyers_now.since, operator: inDateRange, values: ["this month"]}]
  - name: buyers_grown
    cubes: [{join_path: buyers, includes: "*"}]
    filters:
      - {member: buyers_grown.age, operator: gte, values: ["18"]}
"""
CALLERS = (
    SecurityContext("ann", ("all",), MappingProxyType({"tenant": "x"})),
    SecurityContext("bob", ("all",), MappingProxyType({"tenant": "x", "cities": ["b"]})),
    SecurityContext("cid", ("all",), MappingProxyType({"tenant": 1})),
    SecurityContext("dan", ("all",), MappingProxyType({"tenant": True})),
    SecurityContext("eve", ("all",), MappingProxyType({"tenant": ["x"]})),
    SecurityContext("fay"),
    SecurityContext("gus", ("recent",)),
    SecurityContext("hal", ("recent", "all")),
    *(
        SecurityContext(
            "ian",
            ("local",),
            MappingProxyType({"active": active, "cities": cities, "limits": limits}),
        )
        for active in (True, 1, False, None)
        for cities in (["a", "b"], ["b", "a"], "a", "c", [], None, {"a": 1})
        for limits in ({"age": 3}, {"age": "3.0"}, {"age": 4.5}, {}, None, {"age": [1, 2]})
    ),
)


def _query(**document: Any) -> Query:
    return parse_json(document)


def _filter(member: str, operator: str, *values: str | None) -> dict[str, Any]:
    return {"member": member, "operator": operator, "values": list(values)}


QUERIES = (
    _query(measures=["orders.count"], filters=[_filter("orders.status", "equals", "a", "b")]),
    _query(measures=["orders.count"], filters=[_filter("orders.status", "contains", "a", "a")]),
    _query(
        measures=["orders.whole", "orders.count"],
        filters=[_filter("orders.status", "notEquals", "a")],
    ),
    _query(
        measures=["orders.week"],
        timeDimensions=[{"dimension": "orders.at", "dateRange": ["2024-01-01", "2024-01-31"]}],
    ),
    _query(
        measures=["orders.week"],
        timeDimensions=[
            {
                "dimension": "orders.at",
                "granularity": "day",
                "dateRange": ["2024-01-01", "2024-01-31"],
            }
        ],
        timezone="America/New_York",
    ),
    _query(
        measures=["buyers.count"],
        dimensions=["buyers.city"],
        filters=[
            _filter("buyers.age", "gte", "3"),
            _filter("buyers.city", "equals", "a", "b", None),
        ],
    ),
    _query(measures=["buyers.count"], filters=[_filter("buyers.age", "equals", "1", "2", "1")]),
    _query(
        measures=["buyers.count"],
        dimensions=["buyers.active"],
        filters=[
            _filter("buyers.active", "equals", "true"),
            {
                "or": [
                    _filter("buyers.age", "lt", "1", "2"),
                    {"and": [_filter("buyers.age", "gt", "2"), _filter("buyers.city", "set")]},
                ]
            },
            _filter("buyers.count", "gt", "1"),
            _filter("buyers.oldest", "notEquals", "2024-01-01"),
        ],
        limit=10,
        offset=10,
        total=True,
    ),
    _query(measures=["buyers_now.count"], filters=[_filter("buyers_now.age", "gte", "3")]),
    _query(measures=["buyers_grown.count"], filters=[_filter("buyers_grown.age", "gte", "18")]),
    _query(measures=["orders.count"], dimensions=["buyers.city"]),
)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(load_catalog_from_text({"m.yml": MODEL}), size=200)


def test_each_caller_gets_its_own_plan(pair: Pair) -> None:
    """Whatever was asked by others before: other groups, claims, types of claims, none at all."""
    random = Random(1)
    answered = 0
    for _ in range(12):
        for query in QUERIES:
            for caller in random.sample(CALLERS, 12):
                now = NOW + timedelta(seconds=random.choice((0, 1, 100_000)))
                changed = change_values(random, query) if random.random() < 0.7 else query
                answered += pair.check(changed, now, caller)
    assert answered > 500


def test_a_filter_of_the_model_that_looks_at_the_clock_is_read_anew(pair: Pair) -> None:
    """Also when the query comes again and again."""
    for query in (QUERIES[8], dataclasses.replace(QUERIES[6])):
        for caller in (CALLERS[6], CALLERS[7]):
            for day in range(0, 90, 9):
                pair.check(query, NOW + timedelta(days=day), caller)


def test_a_relative_date_is_read_by_the_time_of_its_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Midnight of the caller's time zone passes between two requests; neither is planned anew."""
    pair = Pair(load_catalog_from_text({"m.yml": MODEL}))
    caller = CALLERS[0]
    query = _query(
        measures=["buyers.count"],
        filters=[_filter("buyers.since", "inDateRange", "today")],
        timezone="America/New_York",
    )
    pair.kept.compile(query, caller, NOW - timedelta(days=30))
    plannings = watch_plannings(monkeypatch)
    before = pair.kept.compile(query, caller, NOW).values
    after = pair.kept.compile(query, caller, NOW + timedelta(seconds=1)).values
    assert list(map(str, before[::2])) == ["2024-03-09 05:00:00", "2024-03-10 05:00:00"]
    assert list(map(str, after[::2])) == ["2024-03-10 05:00:00", "2024-03-11 04:00:00"]
    assert not plannings


def test_a_value_that_equals_one_of_the_model_is_planned_for(pair: Pair) -> None:
    """SQL that shares a placeholder between equal values is not that of values which differ."""
    for age in ("17", "18", "18.0", "19", "18", "18.5"):
        filters = (MemberFilter("buyers_grown.age", "gte", (age,)),)
        assert pair.check(dataclasses.replace(QUERIES[9], filters=filters), NOW, CALLERS[0])


def test_claims_in_sql_are_those_of_the_caller(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers with the same claim share a plan; others do not."""
    query = QUERIES[0]
    first = pair.kept.compile(query, CALLERS[0], NOW)
    assert "x" in first.values
    plannings = watch_plannings(monkeypatch)
    assert pair.kept.compile(query, CALLERS[1], NOW) == first
    assert not plannings
    assert 1 in pair.kept.compile(query, CALLERS[2], NOW).values
