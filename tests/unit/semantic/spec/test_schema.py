"""The JSON Schema accepts the models that load, refuses unknown keys, and has the readers' keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from semantic.catalog.load import load_catalog_from_text
from semantic.errors import ModelError
from semantic.spec.reader import MappingReader
from semantic.spec.schema import TABLE, build_schema

ROOT = Path(__file__).parents[4]
CONFORMANCE = sorted((ROOT / "tests" / "conformance" / "cube").rglob("*.json"))
DEMO = sorted((ROOT / "semantic" / "model").rglob("*.yml"))
SCHEMA = build_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

EVERYTHING = """
cubes:
  - name: orders
    sql_table: orders
    refresh_key: {every: 1 hour}
    joins: [{name: users, relationship: many_to_one, sql: "{CUBE}.u = {users}.id"}]
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, mask: {sql: "0"}}
      - name: at
        type: time
        sql: at
        granularities: {custom: [{name: fiscal, interval: 1 year, offset: 1 month}]}
        time_shift: [{name: before, type: prior, interval: 1 year, sql: old}]
      - {name: at2, type: time, sql: at, granularities: [{name: fiscal, interval: 1 year}]}
      - {name: place, type: geo, latitude: {sql: lat}, longitude: {sql: lon}}
      - name: size
        type: string
        case: {when: [{sql: "{CUBE}.a > 1", label: {sql: "'x'"}}], else: {label: small}}
      - {name: unit, type: switch, values: [a, b]}
      - {name: bucket, type: string, multi_stage: true, sql: "{count}", grain: {include: [id]}}
      - name: linked
        type: string
        sql: a
        format: {type: link, label: Go}
        links: [{name: a, label: A, dashboard: d, params: [{key: k, value: v}]}]
    measures:
      - {name: count, type: count, drill_filters: [{sql: "{CUBE}.a > 1"}], filters: [{sql: "{CUBE}.a > 1"}]}
      - {name: rolling, type: sum, sql: a, rolling_window: {trailing: 7 day}}
      - name: watched
        type: sum
        sql: a
        meta:
          ducat:
            alerts:
              - {name: low, time_dimension: at, granularity: day, change: {below_percent: -20}}
              - name: odd
                time_dimension: at
                granularity: day
                anomaly: {season: week}
                filters: [{member: id, operator: set}]
      - name: staged
        type: number
        multi_stage: true
        sql: "{count}"
        grain: {exclude: [id]}
        filter: {include: [{and: [{member: id, operator: set}]}]}
        time_shift: [{interval: 1 year, type: prior}]
      - name: stock
        type: sum
        sql: a
        non_additive_dimension: {name: at, window_choice: max, window_groupings: [size]}
        fill_nulls_with: 0
        join_to_timespine: true
      - name: share
        type: conversion
        conversion:
          base_measure: count
          conversion_measure: count
          entity: {base: size, conversion: size}
          time: {base: at, conversion: at2}
          window: 7 day
          calculation: conversions
          constant_properties: [{base: linked, conversion: linked}]
      - {name: ranked, type: rank, multi_stage: true, order_by: [{sql: "{count}", dir: desc}]}
      - name: switched
        type: number
        multi_stage: true
        case: {switch: "{CUBE.unit}", when: [{value: a, sql: "{count}"}], else: {sql: "{count}"}}
    segments: [{name: big, sql: "{CUBE}.a > 9"}]
    hierarchies: [{name: h, levels: [size]}]
    pre_aggregations:
      - name: main
        measures: [count]
        time_dimensions: [{dimension: at, granularity: day}]
        refresh_key: {every: 1 hour}
        build_range_start: {sql: SELECT 1}
        indexes: [{name: i, columns: [size]}]
    access_policy:
      - group: "*"
        conditions: [{if: "{ security_context.a }"}]
        member_level: {includes: "*"}
        row_level: {filters: [{or: [{member: id, operator: equals, values: [1]}]}]}
  - name: users
    sql_table: users
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
views:
  - name: sales
    cubes:
      - {join_path: orders, includes: [{name: count, alias: number}, id]}
    folders: [{name: F, includes: [number, {join_path: orders}, {name: G, includes: "*"}]}]
    filters: [{or: [{member: id, operator: set, unless: [id]}]}]
    view_group: g
view_groups: [{name: g, views: [sales]}]
"""

# What a reader calls its mapping, and the definitions that describe it.
KINDS = (
    (r"a filter of (view|an alert|an? `?filter|`filter`|`row_level`|a filter)", ("filter",)),
    (r"(a filter of|`(latitude|longitude|label|mask|build_range_\w+)`)", ("sql",)),
    (r"a model file", ("file",)),
    (r"a cube of", ("view_cube",)),
    (r"an access policy", ("access_policy",)),
    (r"a condition of", ("policy_condition",)),
    (r"`member_(level|masking)`", ("member_set",)),
    (r"`row_level`", ("row_level",)),
    (r"a member of", ("include",)),
    (r"a folder", ("folder",)),
    (r"an entry of folder", ("folder_path",)),
    (r"a view group", ("view_group",)),
    (r"a granularity", ("granularity",)),
    (r"`granularities`", ("granularity_choice",)),
    (r"a time_shift of dimension", ("calendar_shift",)),
    (r"a time_shift of measure", ("time_shift",)),
    (r"a link of", ("link",)),
    (r"a parameter of", ("link_parameter",)),
    (r"`format`", ("link_format",)),
    (r"`case`", ("case",)),
    (r"`when`", ("case_branch",)),
    (r"`else`", ("case_else",)),
    (r"`grain`", ("grain",)),
    (r"`filter`", ("filter_directive",)),
    (r"`meta.ducat`", ("measure_extension",)),
    (r"an alert of", ("alert",)),
    (r"`change` of an alert", ("alert_change",)),
    (r"`anomaly` of an alert", ("alert_anomaly",)),
    (r"`order_by`", ("rank_key",)),
    (r"`rolling_window`", ("rolling_window",)),
    (r"`non_additive_dimension`", ("non_additive_dimension",)),
    (r"`conversion`", ("conversion",)),
    (r"`(entity|time|constant_properties)` of `conversion`", ("conversion_pair",)),
    (r"`refresh_key`", ("refresh_key",)),
    (r"a time dimension of", ("rollup_time",)),
    (r"an index of", ("rollup_index",)),
    (r"(cube|view|join|dimension|measure|segment|hierarchy|pre_aggregation) ", None),
)


def name_kind(what: str) -> str:
    for pattern, kinds in KINDS:
        match = re.match(pattern, what)
        if match is not None:
            return match[1] if kinds is None else kinds[0]
    pytest.fail(f"no definition describes {what}")


@pytest.fixture(scope="module")
def taken() -> dict[str, set[str]]:
    """The keys that readers took or refused by name, by kind, while they read everything."""
    found: dict[str, set[str]] = {}
    real = MappingReader.finish

    def finish(self: MappingReader, unsupported: tuple[str, ...] = ()) -> None:
        keys = found.setdefault(name_kind(self.what), set())
        keys.update(self.known, unsupported)
        real(self, unsupported)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MappingReader, "finish", finish)
        for text in (EVERYTHING, *(text for _, text in models())):
            try:
                load_catalog_from_text({"everything.yml": text})
            except ModelError:
                continue
    return found


def models() -> Iterator[tuple[str, str]]:
    for path in DEMO:
        yield path.stem, path.read_text(encoding="utf-8")
    for path in CONFORMANCE:
        document = json.loads(path.read_text(encoding="utf-8"))
        for key in ("model", "model_duckdb"):
            if document.get(key):
                yield f"{path.stem}-{key}", document[key]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", sorted(TABLE))
def test_the_schema_has_the_keys_that_the_readers_take(
    kind: str, taken: dict[str, set[str]]
) -> None:
    assert set(TABLE[kind]) == taken[kind]


def test_everything_that_is_read_is_described(taken: dict[str, set[str]]) -> None:
    assert set(TABLE) == set(taken)


@pytest.mark.parametrize(("name", "text"), [*models(), ("everything", EVERYTHING)])
def test_the_schema_accepts_models_that_load(name: str, text: str) -> None:
    del name
    errors = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(read(text))]
    assert errors == []


@pytest.mark.parametrize(
    "text",
    [
        "cubs: []",
        "cubes: [{name: a, sql_tabel: b}]",
        "cubes: [{name: a, dimensions: [{name: b, typ: string}]}]",
        "cubes: [{name: a, dimensions: {b: {typ: string}}}]",
        "cubes: [{name: a, dimensions: [{name: b, type: text}]}]",
        "cubes: [{name: a, measures: [{name: b, type: count, filters: [{where: x}]}]}]",
        "cubes: [{name: a, joins: [{name: b, relationship: many_to_many}]}]",
        "cubes: [{sql_table: a}]",
        "cubes: [{name: 1a}]",
        "views: [{name: v, cubes: [{includes: '*'}]}]",
        "views: [{name: v, cubes: [{join_path: a, include: '*'}]}]",
        "views: [{name: v, filters: [{member: a, operator: equal, values: [1]}]}]",
        "views: [{name: v, folders: [{name: f, includes: [{join_paths: a}]}]}]",
    ],
)
def test_the_schema_refuses_what_no_reader_takes(text: str) -> None:
    assert not VALIDATOR.is_valid(read(text))


def read(text: str) -> Any:
    """Return a model as an editor's plug-in reads it."""
    return yaml.safe_load(text)
