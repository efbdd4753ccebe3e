"""Semi-additive, filled and conversion measures as they are written: read, or refused where they stand."""

from __future__ import annotations

import pytest

from semantic.catalog.catalog import Conversion, Event, Measure, MemberReference, NonAdditive
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import ModelError, Problem

MODEL = """
cubes:
  - name: visits
    sql_table: visits
    joins:
      - {name: users, relationship: many_to_one, sql: "{CUBE}.u = {users}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: user_id, type: number, sql: u}
      - {name: at, type: time, sql: at}
      - {name: bucket, type: string, multi_stage: true, sql: "{count}", grain: {include: [id]}}
    measures:
      - {name: count, type: count}
      - {name: average, type: avg, sql: x}
      - {name: double, type: number, sql: "2 * {count}"}
      - {name: rolling, type: count, rolling_window: {trailing: 7 day}}
      - MEASURE
  - name: buys
    sql_table: buys
    dimensions:
      - {name: user_id, type: number, sql: u}
      - {name: at, type: time, sql: at}
      - {name: session, type: string, sql: s}
    measures:
      - {name: count, type: count}
  - name: users
    sql_table: users
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: born, type: time, sql: born}
"""
LINE = 17  # of MEASURE
EVENT = (
    "base_measure: count, conversion_measure: buys.count, "
    "entity: {base: user_id, conversion: buys.user_id}, time: {base: at, conversion: buys.at}"
)


def read(measure: str) -> Measure:
    catalog = load_catalog_from_text({"model.yml": MODEL.replace("MEASURE", measure)})
    return catalog.cubes["visits"].measures["m"]


def refuse(measure: str) -> tuple[Problem, ...]:
    with pytest.raises(ModelError) as caught:
        load_catalog_from_text({"model.yml": MODEL.replace("MEASURE", measure)})
    return tuple(caught.value.problems)


@pytest.mark.parametrize(
    ("choice", "last"), [("max", True), ("last", True), ("min", False), ("first", False)]
)
@pytest.mark.parametrize(
    "keys",
    ["non_additive_dimension: {name: at, window_choice: %s, window_groupings: [user_id]}",
     "nonAdditiveDimension: {name: '{CUBE.at}', windowChoice: %s, windowGroupings: ['{user_id}']}"],
)  # fmt: skip
def test_both_spellings_of_a_semi_additive_measure(keys: str, choice: str, *, last: bool) -> None:
    found = read("{name: m, type: sum, sql: x, " + keys % choice + "}")
    groupings = (MemberReference("visits", "user_id"),)
    assert found.non_additive == NonAdditive(MemberReference("visits", "at"), last, groupings)


def test_a_time_may_be_compared_by_its_periods() -> None:
    found = read(
        "{name: m, type: count, non_additive_dimension: {name: at.month, window_choice: max}}"
    )
    assert found.non_additive == NonAdditive(MemberReference("visits", "at", "month"), last=True)


@pytest.mark.parametrize(
    ("keys", "fill", "spined"),
    [
        ("fill_nulls_with: 0, join_to_timespine: true", 0, True),
        ("fillNullsWith: -1.5", -1.5, False),
        ("joinToTimespine: true", None, True),
        ("join_to_timespine: false", None, False),
        ("fill_nulls_with: null", None, False),
        ("rolling_window: {trailing: 7 day}, join_to_timespine: true", None, True),
    ],
)
def test_what_fills_gaps(keys: str, fill: float | None, *, spined: bool) -> None:
    found = read("{name: m, type: sum, sql: x, " + keys + "}")
    assert (found.fill_nulls_with, found.join_to_timespine) == (fill, spined)


def test_a_conversion_in_camel_case_with_everything() -> None:
    found = read(
        "{name: m, type: conversion, conversion: {baseMeasure: '{CUBE.count}', "
        "conversionMeasure: '{buys.count}', entity: {base: visits.user_id, conversion: buys.user_id}, "
        "time: {base: at, conversion: buys.at}, window: 2 weeks, calculation: conversions, "
        "constantProperties: [{base: id, conversion: buys.session}]}}"
    )
    assert found.type == "number"
    assert found.conversion == Conversion(
        Event(
            MemberReference("visits", "count"), MemberReference("visits", "user_id"),
            MemberReference("visits", "at"), (MemberReference("visits", "id"),),
        ),
        Event(
            MemberReference("buys", "count"), MemberReference("buys", "user_id"),
            MemberReference("buys", "at"), (MemberReference("buys", "session"),),
        ),
        "2 week",
        rate=False,
    )  # fmt: skip


def test_a_conversion_is_a_rate_at_any_later_time_unless_told() -> None:
    found = read("{name: m, type: conversion, conversion: {" + EVENT + "}}").conversion
    assert found is not None
    assert (found.window, found.rate) == (None, True)


SEMI = "{name: m, type: sum, sql: x, non_additive_dimension: "


@pytest.mark.parametrize(
    ("measure", "code", "at"),
    [
        (SEMI + "at}", "wrong_type", "at}"),
        (SEMI + "[at]}", "wrong_type", "[at]"),
        (SEMI + "{window_choice: max}}", "missing_key", "{window"),
        (SEMI + "{name: at}}", "missing_key", "{name: at"),
        (SEMI + "{name: at, window_choice: avg}}", "invalid_value", "avg"),
        (SEMI + "{name: at, window_choice: max, window_grouping: [id]}}", "unknown_key", "window_grouping:"),
        (SEMI + "{name: 7, window_choice: max}}", "wrong_type", "7"),
        (SEMI + "{name: nothing, window_choice: max}}", "unknown_reference", "nothing"),
        (SEMI + "{name: user_id, window_choice: max}}", "invalid_reference", "user_id"),
        (SEMI + "{name: count, window_choice: max}}", "invalid_reference", "count"),
        (SEMI + "{name: users.born, window_choice: max}}", "invalid_reference", "users.born"),
        (SEMI + "{name: at.monthly, window_choice: max}}", "unknown_reference", "at.monthly"),
        (SEMI + "{name: at, window_choice: max, window_groupings: id}}", "wrong_type", "id}"),
        (SEMI + "{name: at, window_choice: max, window_groupings: [count]}}", "invalid_reference", "count]"),
        (SEMI + "{name: at, window_choice: max, window_groupings: [users.id]}}", "invalid_reference", "users.id"),
        (SEMI + "{name: at, window_choice: max, window_groupings: [bucket]}}", "invalid_reference", "{name: m"),
        (SEMI + "{name: at, window_choice: max}, rolling_window: {trailing: 7 day}}", "conflicting_keys", "{name: at"),
        ("{name: m, type: number, sql: '{count}', non_additive_dimension: {name: at, window_choice: max}}",
         "invalid_value", "{name: at"),
        ("{name: m, type: sum, multi_stage: true, sql: '{count}', non_additive_dimension: {name: at, window_choice: max}}",
         "conflicting_keys", "{name: at"),
        ("{name: m, type: sum, sql: x, fill_nulls_with: zero}", "wrong_type", "zero"),
        ("{name: m, type: sum, sql: x, fill_nulls_with: '0'}", "wrong_type", "'0'"),
        ("{name: m, type: sum, sql: x, fill_nulls_with: true}", "wrong_type", "true"),
        ("{name: m, type: sum, sql: x, fill_nulls_with: .inf}", "wrong_type", ".inf"),
        ("{name: m, type: sum, sql: x, fill_nulls_with: [0]}", "wrong_type", "[0]"),
        ("{name: m, type: time, sql: max(at), fill_nulls_with: 0}", "invalid_value", "0}"),
        ("{name: m, type: sum, sql: x, join_to_timespine: 1}", "wrong_type", "1}"),
        ("{name: m, type: number, sql: '{count}', join_to_timespine: true}", "invalid_value", "{name: m"),
        ("{name: m, type: sum, multi_stage: true, sql: '{count}', join_to_timespine: true}", "conflicting_keys", "{name: m"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(measure: str, code: str, at: str) -> None:
    [problem] = refuse(measure)
    assert problem.code == code
    assert problem.span is not None
    column = 9 + measure.index(at)
    assert (problem.span.file, problem.span.line, problem.span.column) == (
        "model.yml",
        LINE,
        column,
    )


CONVERSION = "{name: m, type: conversion, conversion: "


@pytest.mark.parametrize(
    ("measure", "codes"),
    [
        ("{name: m, type: conversion}", {"missing_key"}),
        (CONVERSION + "yes}", {"wrong_type"}),
        (CONVERSION + "{}}", {"missing_key"}),
        (CONVERSION + "{" + EVENT + ", windows: 7 day}}", {"unknown_key"}),
        (CONVERSION + "{" + EVENT + ", window: soon}}", {"invalid_value"}),
        (CONVERSION + "{" + EVENT + ", window: -7 day}}", {"invalid_value"}),
        (CONVERSION + "{" + EVENT + ", window: 0 day}}", {"invalid_value"}),
        (CONVERSION + "{" + EVENT + ", calculation: rate}}", {"invalid_value"}),
        (CONVERSION + "{" + EVENT + ", constant_properties: [id]}}", {"wrong_type"}),
        (CONVERSION + "{" + EVENT + ", constant_properties: [{base: id}]}}", {"missing_key"}),
        (CONVERSION + "{" + EVENT.replace("entity: {base: user_id, ", "entity: {") + "}}", {"missing_key"}),
        (CONVERSION + "{" + EVENT.replace("{base: user_id, conversion: buys.user_id}", "user_id") + "}}", {"wrong_type"}),
        (CONVERSION + "{" + EVENT.replace("base_measure: count", "base_measure: nothing") + "}}", {"unknown_reference"}),
        (CONVERSION + "{" + EVENT.replace("base_measure: count", "base_measure: at") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT.replace("base_measure: count", "base_measure: average") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT.replace("base_measure: count", "base_measure: double") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT.replace("base_measure: count", "base_measure: rolling") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT.replace("base_measure: count", "base_measure: m") + "}}", {"invalid_reference", "reference_cycle"}),
        (CONVERSION + "{" + EVENT.replace("conversion: buys.user_id", "conversion: user_id") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT.replace("base: at", "base: users.born") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT.replace("base: at", "base: user_id") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT.replace("base: at", "base: at.day") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT.replace("base: user_id", "base: bucket") + "}}", {"invalid_reference"}),
        (CONVERSION + "{" + EVENT + "}, sql: x}", {"conflicting_keys"}),
        (CONVERSION + "{" + EVENT + '}, filters: [{sql: "1 = 1"}]}', {"conflicting_keys"}),
        (CONVERSION + "{" + EVENT + "}, rolling_window: {trailing: 7 day}}", {"conflicting_keys"}),
        ("{name: m, type: count, conversion: {" + EVENT + "}}", {"conflicting_keys"}),
        (CONVERSION + "{base_measure: buys.count, conversion_measure: count, entity: {base: buys.user_id, conversion: user_id}, "
         "time: {base: buys.at, conversion: at}}}", {"missing_primary_key"}),
    ],
)  # fmt: skip
def test_a_conversion_that_means_nothing_is_refused(measure: str, codes: set[str]) -> None:
    problems = refuse(measure)
    assert {problem.code for problem in problems} == codes
    assert all(problem.span is not None for problem in problems)
