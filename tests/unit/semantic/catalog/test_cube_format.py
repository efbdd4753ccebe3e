"""Cube's format as a whole: what is accepted is linked, what cannot be meant is refused by name."""

from __future__ import annotations

import textwrap

import pytest

from semantic.catalog.catalog import (
    Cube,
    Expression,
    Grain,
    MemberReference,
    RollingWindow,
    SwitchExpression,
    TimeShift,
)
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import ModelError

MODEL = """
cubes:
  - name: users
    sql_table: users
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
    measures: [{name: count, type: count}]
  - name: orders
    sql_table: orders
    CUBE
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: status, type: string, sql: status}
      - {name: at, type: time, sql: at}
      - {name: other, DIMENSION}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: probe, MEASURE}
    segments: [{name: big, sql: "amount > 1", aliases: [large]}]
"""
JOIN = 'relationship: many_to_one, sql: "{CUBE}.user_id = {users}.id"'


def load(
    measure: str = "type: count", dimension: str = "type: string, sql: x", cube: str = ""
) -> Cube:
    text = textwrap.dedent(MODEL).replace("DIMENSION", dimension).replace("MEASURE", measure)
    return load_catalog_from_text({"m.yml": text.replace("CUBE\n", f"{cube}\n")}).cubes["orders"]


def refuse(
    measure: str = "type: count", dimension: str = "type: string, sql: x", cube: str = ""
) -> set[str]:
    with pytest.raises(ModelError) as caught:
        load(measure, dimension, cube)
    assert all(problem.span is not None for problem in caught.value.problems)
    return {problem.code for problem in caught.value.problems}


STAGE = 'type: number, multi_stage: true, sql: "{total}"'
STATUS, AT = MemberReference("orders", "status"), MemberReference("orders", "at")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("group_by: [status]", Grain(keep_only=(STATUS,))),
        ("reduceBy: [orders.status]", Grain(exclude=(STATUS,))),
        ("add_group_by: ['{CUBE.status}']", Grain(include=(STATUS,))),
        ("grain: {keepOnly: [], include: [at]}", Grain(keep_only=(), include=(AT,))),
        ("grain: {mode: fixed, include: [status]}", Grain("fixed", include=(STATUS,))),
    ],
)
def test_the_old_keys_of_a_stage_say_what_grain_says(written: str, expected: Grain) -> None:
    stage = load(f"{STAGE}, {written}").measures["probe"].multi_stage
    assert stage is not None
    assert stage.grain == expected


@pytest.mark.parametrize("spelling", ["time_dimension", "timeDimension"])
def test_a_time_shift_names_a_time_dimension_in_either_spelling(spelling: str) -> None:
    shifts = f"[{{{spelling}: at, interval: 1 years, type: prior}}]"
    stage = load(f"{STAGE}, time_shift: {shifts}").measures["probe"].multi_stage
    assert stage is not None
    assert stage.time_shifts == (TimeShift("1 year", "prior", None, AT),)


@pytest.mark.parametrize(
    ("measure", "window"),
    [
        ("type: running_total, sql: a", RollingWindow("fixed", "unbounded")),
        ("type: sum, sql: a, rolling_window: {trailing: 7 days}", RollingWindow("fixed", "7 day")),
        (
            "type: sum, sql: a, rolling_window: month_to_date",
            RollingWindow("to_date", granularity="month"),
        ),
        (
            "type: sum, sql: a, rollingWindow: {type: year_to_date}",
            RollingWindow("to_date", granularity="year"),
        ),
    ],
)
def test_windows_and_their_shorthands(measure: str, window: RollingWindow) -> None:
    found = load(measure).measures["probe"]
    assert (found.type, found.rolling_window) == ("sum", window)


def test_a_case_chooses_by_a_dimension() -> None:
    case = 'case: {switch: "{CUBE.status}", when: [{value: [a, b], sql: "{total}"}], else: {sql: "{count}"}}'
    found = load(f"type: number, multi_stage: true, {case}").measures["probe"].sql
    assert isinstance(found, SwitchExpression)
    assert found.switch == STATUS
    assert [branch.values for branch in found.branches] == [("a", "b")]
    assert isinstance(found.otherwise, Expression)


def test_what_people_read_is_kept() -> None:
    cube = load(dimension="type: string, sql: x, format: {type: link, label: Open}, aliases: [x1]")
    assert (cube.dimensions["other"].format, cube.dimensions["other"].link_label) == (
        "link",
        "Open",
    )
    assert cube.dimensions["other"].aliases == ("x1",)
    assert cube.segments["big"].aliases == ("large",)


@pytest.mark.parametrize(
    ("measure", "codes"),
    [
        ("type: number, sql: '{total}', grain: {include: [status]}", {"missing_key"}),
        (f"{STAGE}, grain: {{include: [count]}}", {"invalid_reference"}),
        (f"{STAGE}, reduce_by: [big]", {"invalid_reference"}),
        (f"{STAGE}, reduce_by: [stattus]", {"unknown_reference"}),
        (f"{STAGE}, group_by: [status], grain: {{}}", {"conflicting_keys"}),
        (f"{STAGE}, grain: {{keep_only: [status], exclude: [at]}}", {"conflicting_keys"}),
        (
            f"{STAGE}, time_shift: [{{time_dimension: status, interval: 1 year, type: prior}}]",
            {"invalid_reference"},
        ),
        (f"{STAGE}, time_shift: [{{interval: 1 year}}]", {"missing_key"}),
        (f"{STAGE}, time_shift: [{{interval: 1 year, type: prior, name: x}}]", {"conflicting_keys"}),
        (
            f"{STAGE}, time_shift: [{{interval: 1 year, type: prior}}, {{name: x}}]",
            {"missing_key"},
        ),
        ("type: sum, sql: '{total}'", {"invalid_reference"}),
        ("type: rank, order_by: [{sql: '{total}'}]", {"missing_key"}),
        ("type: rank, multi_stage: true", {"missing_key"}),
        ("type: rank, multi_stage: true, order_by: [{sql: '{probe}'}]", {"reference_cycle"}),
        ("type: sum, sql: a, rolling_window: {type: year_to_date, granularity: day}", {"conflicting_keys"}),
        ("type: sum, sql: a, rolling_window: {type: to_date, granularity: day, offset: start}", {"conflicting_keys"}),
        ("type: sum, sql: a, rolling_window: {trailing: soon}", {"invalid_value", "missing_key"}),
        (
            ("type: number, multi_stage: true, case: {switch: '{CUBE.status}', "
            "when: [{value: a, sql: '{total}'}, {value: a, sql: '{count}'}]}"),
            {"duplicate_name"},
        ),
        (
            ("type: number, multi_stage: true, case: {switch: '{CUBE.status}', "
            "when: [{value: [a, {b: c}], sql: '{total}'}]}"),
            {"wrong_type"},
        ),
        ("type: sum, sql: a, cumulative: true", {"unsupported"}),
    ],
)  # fmt: skip
def test_what_a_measure_cannot_mean_is_refused(measure: str, codes: set[str]) -> None:
    assert refuse(measure) == codes


@pytest.mark.parametrize(
    ("dimension", "cube", "codes"),
    [
        ("type: switch, values: [a], primary_key: true", "", {"invalid_value"}),
        (
            "type: number, sub_query: true, sql: '{users.count}', primary_key: true",
            "",
            {"invalid_value"},
        ),
        ("type: number, sub_query: true, sql: x", "", {"invalid_reference"}),
        ("type: number, sql: '{users.count}'", "", {"invalid_reference"}),
        ("type: time, sql: x, time_shift: [{name: y, sql: z}]", "", {"invalid_value"}),
        (
            "type: string, sql: x, time_shift: [{name: y, sql: z}]",
            "calendar: true",
            {"invalid_value"},
        ),
        ("type: time, sql: x, granularities: [{name: month, sql: z}]", "", {"invalid_value"}),
        ("type: time, sql: x, granularities: {includes: [day]}", "", {"unsupported"}),
        ("type: string, sql: x, key: id", "", {"unsupported"}),
        ("type: string, sql: x, values_as_segments: true", "", {"unsupported"}),
    ],
)
def test_what_a_dimension_cannot_mean_is_refused(
    dimension: str, cube: str, codes: set[str]
) -> None:
    assert refuse(dimension=dimension, cube=cube) == codes


def test_a_calendar_may_redefine_months_and_shift_times() -> None:
    cube = load(
        dimension="type: time, sql: x, granularities: [{name: month, sql: m}], "
        "time_shift: [{name: before, sql: y}, {type: prior, interval: 1 year, sql: z}]",
        cube="calendar: true",
    )
    found = cube.dimensions["other"]
    assert [item.name for item in found.granularities] == ["month"]
    assert [item.name for item in found.time_shifts] == ["before", None]


@pytest.mark.parametrize(
    ("cube", "codes"),
    [
        (f"joins: [{{name: users, {JOIN}}}, {{name: users, {JOIN}}}]", {"duplicate_name"}),
        (f"joins: [{{name: orders, cube: users, {JOIN}}}]", {"invalid_join"}),
        (f"joins: [{{name: people, cube: user, {JOIN}}}]", {"unknown_cube"}),
        ("rewrite_queries: true", {"unsupported"}),
        ("data_source: warehouse", {"unsupported"}),
        ("context_members: [a]", {"unsupported"}),
        ("refresh_key: {every: 1 month}", {"invalid_value"}),
        ("refresh_key: {every: 0 hours}", {"invalid_value"}),
        ("refresh_key: {immutable: true, every: 1 hour}", {"conflicting_keys"}),
        ("refresh_key: {every: '0 8 * * *', timezone: Mars/Base}", {"invalid_value"}),
        ("refresh_key: {every: '0 8 * * *', sql: SELECT 1}", {"conflicting_keys"}),
        ("pre_aggregations: [{name: r, measures: [status]}]", {"invalid_reference"}),
        ("pre_aggregations: [{name: r, time_dimension: at, granularity: era}]", {"unknown_reference"}),
        ("pre_aggregations: [{name: r, time_dimension: id, granularity: day}]", {"invalid_reference"}),
        ("pre_aggregations: [{name: r, type: rollup_join, rollups: [s]}]", {"unknown_reference"}),
        ("pre_aggregations: [{name: r, type: rollup_join}]", {"missing_key"}),
    ],
)  # fmt: skip
def test_what_a_cube_cannot_mean_is_refused(cube: str, codes: set[str]) -> None:
    assert refuse(cube=cube) == codes


@pytest.mark.parametrize(
    "cube",
    [
        "sql_alias: o",
        "rewrite_queries: false",
        "refresh_key: {every: 1 hour}",
        "refreshKey: {every: '0 8 * * *', timezone: Europe/Berlin}",
        "refresh_key: {sql: SELECT 1, every: 5 minutes}",
        "refresh_key: {immutable: true}",
        f"joins: {{users: {{{JOIN.replace('many_to_one', 'belongsTo')}}}}}",
        f"joins: [{{name: a, cube: users, {JOIN}}}, {{name: users, alias: b, {JOIN}}}]",
        (
            "pre_aggregations: [{name: r, time_dimension: at, granularity: day}, "
            "{name: s, type: rollup_lambda, rollups: [r, orders.r]}]"
        ),
    ],
)
def test_what_a_cube_may_say_is_accepted(cube: str) -> None:
    load(cube=cube)


def test_two_joins_to_one_cube_are_told_how_to_part() -> None:
    with pytest.raises(ModelError) as caught:
        load(cube=f"joins: [{{name: users, {JOIN}}}, {{name: users, {JOIN}}}]")
    [problem] = caught.value.problems
    assert "`cube: users`" in str(problem.suggestion)


def test_cubes_made_of_each_other_are_refused() -> None:
    text = """
    cubes:
      - {name: a, sql: "SELECT * FROM {b.sql()}", dimensions: [{name: x, type: string, sql: x}]}
      - {name: b, sql: "SELECT * FROM {c.sql()}", dimensions: [{name: x, type: string, sql: x}]}
      - {name: c, sql: "SELECT * FROM {a.sql()}", dimensions: [{name: x, type: string, sql: x}]}
    """
    with pytest.raises(ModelError) as caught:
        load_catalog_from_text({"m.yml": textwrap.dedent(text)})
    assert [problem.code for problem in caught.value.problems] == ["reference_cycle"]
