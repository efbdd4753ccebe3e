"""What once loaded and meant nothing, or failed at the first query, is refused by name and place."""

from __future__ import annotations

import pytest

from semantic.catalog.catalog import Expression
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


def test_a_mask_that_is_a_mapping_has_sql() -> None:
    found = refuse(mask=", mask: {}")
    assert found == [("missing_key", "`mask` of dimension `m` has no `sql`", 9)]


def test_the_else_of_a_switch_has_sql() -> None:
    case = "case: {switch: m, when: [{value: a, sql: '{count}'}], else: {}}"
    found = refuse(measure=f"{{name: y, type: number, multi_stage: true, {case}}}")
    assert ("missing_key", "`else` of measure `y` has no `sql`", 14) in found


def test_a_label_of_a_case_has_sql() -> None:
    case = "case: {when: [{sql: 'a', label: {}}], else: {label: z}}"
    found = refuse(dimension=f"{{name: x, type: string, {case}}}")
    assert ("missing_key", "`label` in `when` of dimension `x` has no `sql`", 11) in found


ROLLUP = """
    pre_aggregations:
      - name: p
        measures: [count, y]
        dimensions: [m]
        time_dimension: at
        granularity: day
        {rollup}
"""


def refuse_rollup(rollup: str) -> list[tuple[str, str, int, int]]:
    """Return what is wrong with a model that has the rollup: code, message, line, column."""
    text = MODEL.format(**PLAIN) + ROLLUP.format(rollup=rollup)
    with pytest.raises(ModelError) as refused:
        load_catalog_from_text({"model.yml": text})
    return [
        (problem.code, problem.message, problem.span.line, problem.span.column)
        for problem in refused.value.problems
        if problem.span is not None
    ]


KEYS = ("build_range_start", "build_range_end", "refresh_key")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("sql", "message", "column"),
    [
        ("DROP TABLE t", "`sql` of `{key}` is one SELECT", 0),
        ("SELECT 1; SELECT 2", "`sql` of `{key}` is one SELECT", 0),
        ("max(at)", "`sql` of `{key}` is one SELECT", 0),
        ("SELECT ?", "`sql` of `{key}` has no bind parameters", 0),
        ("SELECT ((1 FROM t", "`sql` of `{key}` is not SQL: Expecting ) near `FROM`", 11),
        (
            "SELECT max(at) FROM {CUBE}",
            "`{CUBE}` is no relation: the `sql` of `{key}` stands alone",
            20,
        ),
        ("SELECT {nope.sql()}", None, 7),
        ("SELECT 1 FROM {t", "`{t` is not closed", 14),
    ],
)
def test_sql_beside_a_rollup_is_one_select(
    key: str, sql: str, message: str | None, column: int
) -> None:
    found = refuse_rollup(f'{key}: {{sql: "{sql}"}}')
    assert len(found) == 1
    _, said, line, at = found[0]
    assert message is None or said == message.replace("{key}", key)
    assert (line, at) == (22, len(key) + 18 + column)


def test_the_refresh_key_of_a_cube_is_one_select() -> None:
    text = MODEL.format(**PLAIN) + "    refresh_key: {sql: DELETE FROM t}\n"
    with pytest.raises(ModelError, match="`sql` of `refresh_key` is one SELECT"):
        load_catalog_from_text({"model.yml": text})


@pytest.mark.parametrize(
    ("rollup", "code"),
    [
        ("build_range_start: {}", "missing_key"),
        ("indexes: [{name: i, columns: [nope]}]", "unknown_reference"),
        ("indexes: [{name: i, columns: [m, n]}]", "unknown_reference"),
        ("indexes: [{name: i, columns: [at_month]}]", "unknown_reference"),
    ],
)
def test_keys_of_a_rollup_fit_it(rollup: str, code: str) -> None:
    found = refuse_rollup(rollup)
    assert [(item, line) for item, _, line, _ in found] == [(code, 22)]


def test_partitions_need_a_time() -> None:
    text = MODEL.format(**PLAIN) + (
        "    pre_aggregations:\n"
        "      - {name: p, measures: [count], partition_granularity: month}\n"
    )
    with pytest.raises(ModelError, match="no time to make parts of"):
        load_catalog_from_text({"model.yml": text})


@pytest.mark.parametrize(
    "rollup",
    [
        "build_range_start: {sql: SELECT min(at) FROM gold.t}",
        "build_range_end: {sql: 'SELECT max(at) FROM {CUBE.sql()} s'}",
        "refresh_key: {every: 1 hour, sql: SELECT count(*) FROM gold.t}",
        "partition_granularity: month",
        "indexes: [{name: i, columns: [m, a.count, CUBE.y, a__m, at, at_day, a.at.day]}]",
    ],
)
def test_rollups_that_fit_load(rollup: str) -> None:
    text = MODEL.format(**PLAIN) + ROLLUP.format(rollup=rollup)
    assert load_catalog_from_text({"model.yml": text}).cubes["a"].pre_aggregations


@pytest.mark.parametrize("text", ['"a\\0b"', '"a\\x00b"', '"\\u0000"'])
@pytest.mark.parametrize("key", ["sql", "title"])
def test_no_text_has_a_nul(key: str, text: str) -> None:
    words = {"sql": "x", "title": "T"} | {key: text}
    found = refuse(
        dimension=f"{{name: x, type: string, sql: {words['sql']}, title: {words['title']}}}"
    )
    assert found == [("yaml_syntax", "a text has a NUL character", 11)]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        *(({"granularity": f", {key}: x"}, key) for key in
          ("key", "values_as_segments", "field_type", "case_sensitive")),
        *(({"granularity": f", granularities: {{{key}: [day]}}"}, key) for key in
          ("includes", "excludes")),
        *(({"measure": f"{{name: y, type: sum, sql: y, {key}: x}}"}, key) for key in
          ("key", "cumulative")),
    ],
)  # fmt: skip
def test_a_key_that_is_not_answered_says_what_to_write(given: dict[str, str], key: str) -> None:
    with pytest.raises(ModelError) as refused:
        load_catalog_from_text({"model.yml": MODEL.format(**(PLAIN | given))})
    (problem,) = refused.value.problems
    assert (problem.code, f"`{key}`" in problem.message) == ("unsupported", True)
    assert problem.span is not None
    assert len(problem.suggestion or "") > len("remove it")


@pytest.mark.parametrize(
    "city", ["{source.city}", "{CUBE.source.city}", "{source}.city", "{flights.source.city}"]
)
@pytest.mark.parametrize("code", ["{source.code}", "{source}.code"])
def test_a_cube_names_what_is_behind_its_named_join(city: str, code: str) -> None:
    text = f"""
cubes:
  - name: flights
    sql_table: f
    joins:
      - {{name: source, cube: airports, relationship: many_to_one, sql: "{{CUBE}}.o = {code}"}}
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: city, type: string, sql: "{city}"}}
  - name: airports
    sql_table: a
    dimensions:
      - {{name: code, type: string, sql: code, primary_key: true}}
      - {{name: city, type: string, sql: city}}
"""
    sql = load_catalog_from_text({"model.yml": text}).cubes["flights"].dimensions["city"].sql
    assert isinstance(sql, Expression)
    assert getattr(sql.parts[0], "cube", None) == "flights.source"


JOINED = """
cubes:
  - name: a
    sql_table: t
    joins: [{{name: b, relationship: many_to_one, sql: "{{CUBE}}.b_id = {{b}}.id"}}]
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: far, type: string, sql: "{{b.city}}"}}
      - {{name: farther, type: string, sql: "{{far}}"}}
      - {{name: total, type: number, sql: "{{b.count}}", sub_query: true}}
      - {{name: near, type: string, sql: "{{CUBE}}.city"}}
      - {{name: m, type: string, sql: m, mask: {{sql: "{mask}"}}}}
    measures: [{{name: count, type: count}}]
  - name: b
    sql_table: u
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: city, type: string, sql: city}}
    measures: [{{name: count, type: count}}]
"""


@pytest.mark.parametrize(
    "mask", ["{b.city}", "{b}.city", "{CUBE.b.city}", "left({far}, 1)", "{farther}", "{total}"]
)
def test_a_mask_reads_no_more_than_its_own_rows(mask: str) -> None:
    with pytest.raises(ModelError) as refused:
        load_catalog_from_text({"model.yml": JOINED.format(mask=mask)})
    (problem,) = refused.value.problems
    assert (problem.code, problem.message) == (
        "invalid_reference",
        "the mask of a.m reads more than the rows of a",
    )
    assert problem.span is not None
    assert problem.span.line == 12


@pytest.mark.parametrize("mask", ["{near}", "{CUBE}.x", "upper(city)", "'***'"])
def test_a_mask_may_read_its_own_rows(mask: str) -> None:
    assert load_catalog_from_text({"model.yml": JOINED.format(mask=mask)}).cubes
