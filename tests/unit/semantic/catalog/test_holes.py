"""What once loaded and meant nothing, or failed at the first query, is refused by name and place."""

from __future__ import annotations

import pytest

from semantic.catalog.load import load_catalog_from_text
from semantic.errors import ModelError

MODEL = """
cubes:
  - name: a
    sql_table: t
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: at, type: time, sql: at{granularity}}}
      - {{name: bt, type: time, sql: bt{second}}}
      - {{name: m, type: string, sql: m{mask}}}
      - {{name: n, type: string, sql: n{other}}}
      - {dimension}
    measures:
      - {{name: count, type: count}}
      - {measure}
"""
PLAIN = {
    "granularity": "", "second": "", "mask": "", "other": "",
    "dimension": "{name: x, type: string, sql: x}",
    "measure": "{name: y, type: sum, sql: y}",
}  # fmt: skip


def refuse(**given: str) -> list[tuple[str, str, int]]:
    """Return what is wrong with the model: code, message, line."""
    with pytest.raises(ModelError) as refused:
        load_catalog_from_text({"model.yml": MODEL.format(**(PLAIN | given))})
    problems = refused.value.problems
    assert all(problem.span for problem in problems)
    return [
        (problem.code, problem.message, problem.span.line if problem.span else 0)
        for problem in problems
    ]


def accept(**given: str) -> None:
    load_catalog_from_text({"model.yml": MODEL.format(**(PLAIN | given))})


def cut(sql: str) -> str:
    return f', granularities: [{{name: f, sql: "{sql}"}}]'


def hide(sql: str) -> str:
    return f', mask: {{sql: "{sql}"}}'


def test_the_plain_model_loads() -> None:
    accept()


@pytest.mark.parametrize(
    ("given", "circle"),
    [
        ({"granularity": cut("{at.f}")}, "a.at.f -> a.at.f"),
        ({"granularity": cut("{bt.f}"), "second": cut("{at.f}")}, "a.at.f -> a.bt.f -> a.at.f"),
        (
            {"granularity": cut("{x}"), "dimension": "{name: x, type: time, sql: '{at.f}'}"},
            "a.x -> a.at.f -> a.x",
        ),
        ({"mask": hide("left({m}, 1)")}, "a.m -> a.m"),
        ({"mask": hide("{n}"), "other": hide("{m}")}, "a.m -> a.n -> a.m"),
        (
            {"mask": hide("{x}"), "dimension": "{name: x, type: string, sql: '{m}'}"},
            "a.x -> a.m -> a.x",
        ),
        ({"measure": "{name: y, type: sum, sql: y, mask: {sql: '{CUBE.y}'}}"}, "a.y -> a.y"),
    ],
)
def test_circles_through_granularities_and_masks_are_named(
    given: dict[str, str], circle: str
) -> None:
    found = refuse(**given)
    assert [(code, message.rpartition(": ")[2]) for code, message, _ in found] == [
        ("reference_cycle", circle)
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"granularity": cut("date_trunc('year', {at})")},
        {"granularity": cut("{bt.f}"), "second": cut("{CUBE}.f")},
        {"granularity": cut("{bt.month}"), "second": cut("{at}")},
        {"mask": hide("left({CUBE}.m, 1)"), "other": hide("{m}")},
    ],
)
def test_granularities_and_masks_may_read_what_does_not_read_them(given: dict[str, str]) -> None:
    accept(**given)


@pytest.mark.parametrize("unit", ["fortnight", "f", "Month", "''"])
def test_a_window_to_date_has_a_built_in_granularity(unit: str) -> None:
    window = f"rolling_window: {{type: to_date, granularity: {unit}}}"
    found = refuse(measure=f"{{name: y, type: sum, sql: y, {window}}}")
    assert [code for code, _, line in found if line == 14] == ["invalid_value"]


def test_a_label_of_a_case_has_sql() -> None:
    case = "case: {when: [{sql: 'a', label: {}}], else: {label: z}}"
    found = refuse(dimension=f"{{name: x, type: string, {case}}}")
    assert ("missing_key", "`label` in `when` of dimension `x` has no `sql`", 11) in found


@pytest.mark.parametrize("text", ['"a\\0b"', '"a\\x00b"', '"\\u0000"'])
@pytest.mark.parametrize("key", ["sql", "title"])
def test_no_text_has_a_nul(key: str, text: str) -> None:
    words = {"sql": "x", "title": "T"} | {key: text}
    found = refuse(
        dimension=f"{{name: x, type: string, sql: {words['sql']}, title: {words['title']}}}"
    )
    assert found == [("yaml_syntax", "a text has a NUL character", 11)]
