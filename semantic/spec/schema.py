"""JSON Schema (draft 2020-12) of the model's YAML, for editors that complete and check as one types.

A table of keys, with the types and spellings of the readers. `ducat validate` says more than a
schema can: what belongs together, what refers to what, whether SQL is SQL. A test compares this
table with the keys that the readers take, both ways. Keys are written in snake case here; camel
case, which the readers take as well, is allowed without being suggested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from semantic.spec.alerts import CLOCKS, DIRECTIONS, GRANULARITIES, SEVERITIES
from semantic.spec.filters import OPERATOR_SPELLINGS
from semantic.spec.intervals import UNITS
from semantic.spec.pre_aggregation import TYPES as PRE_AGGREGATION_TYPES
from semantic.spec.read_cube import RELATIONSHIPS
from semantic.spec.read_dimension import DIMENSION_TYPES
from semantic.spec.read_kinds import CALCULATIONS, WINDOW_CHOICES
from semantic.spec.read_measure import MEASURE_TYPES
from semantic.spec.reader import MAXIMUM_NAME

Schema = dict[str, Any]
Key = tuple[Schema, str]

NAME: Final[Schema] = {
    "type": "string", "pattern": "^[_a-zA-Z][_a-zA-Z0-9]*$", "maxLength": MAXIMUM_NAME
}  # fmt: skip
TEXT: Final[Schema] = {"type": ["string", "null"]}
SQL: Final[Schema] = {"type": ["string", "number", "boolean", "null"]}
NUMBER: Final[Schema] = {"type": ["number", "null"]}
FLAG: Final[Schema] = {"type": ["boolean", "null"]}
META: Final[Schema] = {"type": ["object", "null"]}
TEXTS: Final[Schema] = {"type": ["array", "null"], "items": {"type": "string"}}
SCALAR: Final[Schema] = {"type": ["string", "number", "boolean", "null"]}
ANYTHING: Final[Schema] = {}


def build_schema() -> Schema:
    """Return the schema of a model file."""
    definitions = {name: _object(keys, REQUIRED.get(name, ())) for name, keys in TABLE.items()}
    root = definitions.pop("file")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ducat model",
        "description": "Cubes and views: what the numbers mean.",
        **root,
        "$defs": definitions,
    }


def _object(keys: Mapping[str, Key], required: Iterable[str]) -> Schema:
    properties: Schema = {}
    camel: Schema = {}
    for key, (schema, description) in keys.items():
        properties[key] = {**schema, "description": description}
        if "_" in key:
            camel[f"^{_to_camel_case(key)}$"] = schema
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if camel:
        found["patternProperties"] = camel
    if names := list(required):
        found["required"] = names
    return found


def _to_camel_case(key: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), key)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _or_null(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas, {"type": "null"}]}


def _choice(spellings: Iterable[str]) -> Schema:
    return {"enum": [*dict.fromkeys(spellings), None]}


def _list(name: str) -> Schema:
    """Return a list of such things, or a mapping of them by name."""
    return _or_null(
        {"type": "array", "items": _ref(name)},
        {"type": "object", "additionalProperties": _ref(name)},
    )


def _named(name: str) -> Schema:
    """Return a list of such things, each with a name, or a mapping of them by name."""
    return _or_null(
        {"type": "array", "items": {**_ref(name), "required": ["name"]}},
        {"type": "object", "additionalProperties": _ref(name)},
    )


def _later(*keys: str) -> dict[str, Key]:
    """Return keys of Cube that are not answered: written as false they ask for nothing."""
    return {key: ({"enum": [False, None]}, "Not supported yet.") for key in keys}


def _one_or_more(schema: Schema) -> Schema:
    return _or_null(schema, {"type": "array", "items": schema})


_STAR: Final[Schema] = {"const": "*"}
_NAMES: Final[Schema] = _or_null(_STAR, {"type": "array", "items": {"type": "string"}})
_LABELS: Final[dict[str, Key]] = {
    "title": (TEXT, "What people call it; made of the name when absent."),
    "description": (TEXT, "What it means, for people and agents."),
    "public": (FLAG, "Whether callers see it."),
    "shown": ({**FLAG, "deprecated": True}, "The old name of `public`."),
    "meta": (META, "Anything, passed on."),
}
_NAME: Final[dict[str, Key]] = {"name": (NAME, "Letters, digits and _, not a digit first.")}
_GRAIN: Final[dict[str, Key]] = {
    "multi_stage": (FLAG, "Computed from an inner query: unlocks grain, filter and time_shift."),
    "grain": (_or_null(_ref("grain")), "What the inner stage is grouped by."),
    "group_by": (TEXTS, "The inner stage is grouped by these only."),
    "reduce_by": (TEXTS, "The inner stage is grouped without these."),
    "add_group_by": (TEXTS, "The inner stage is grouped by these as well."),
}
_FORMAT: Final[Schema] = _or_null({"type": "string"}, _ref("link_format"))
_MASK: Final[Schema] = _or_null({"type": ["string", "number", "boolean"]}, _ref("sql"))
_CASE: Final[Schema] = _or_null(_ref("case"))
_SQL_ONLY: Final[Schema] = _or_null(_ref("sql"))

TABLE: Final[dict[str, dict[str, Key]]] = {
    "file": {
        "cubes": (_named("cube"), "Tables and what is computed from them."),
        "views": (_named("view"), "Selections of members for people who ask."),
        "view_groups": (_named("view_group"), "Named groups of views."),
    },
    "cube": {
        **_NAME,
        **_LABELS,
        "sql_table": (TEXT, "The table that the cube reads."),
        "sql": (SQL, "A SELECT that the cube reads instead of a table."),
        "sql_alias": (TEXT, "Has no effect here."),
        "extends": ({"type": ["string", "null"]}, "The cube whose members this one takes over."),
        "data_source": (TEXT, "Only `default`."),
        "calendar": (FLAG, "Redefines granularities and time shifts for cubes that join it."),
        "refresh_key": (_or_null(_ref("refresh_key")), "Has no effect: snapshots decide."),
        "joins": (_named("join"), "LEFT JOINs from this cube."),
        "dimensions": (_named("dimension"), "What rows are grouped and filtered by."),
        "measures": (_named("measure"), "What is computed from groups of rows."),
        "segments": (_named("segment"), "Named conditions on rows."),
        "hierarchies": (_named("hierarchy"), "Levels from coarse to fine."),
        "pre_aggregations": (_named("pre_aggregation"), "Tables computed ahead."),
        "access_policy": (_list("access_policy"), "Who sees which members and rows."),
        **_later("rewrite_queries", "context_members", "dialect"),
    },
    "join": {
        "name": (NAME, "The cube that is joined, or (with `cube`) a name for the join."),
        "cube": (NAME, "The cube that is joined, where `name` is a name of its own."),
        "alias": (NAME, "A name for the join, where `name` is the cube."),
        "relationship": (_choice(RELATIONSHIPS), "How many rows stand on either side."),
        "sql": (SQL, "The condition: {CUBE}.column = {other}.column"),
    },
    "dimension": {
        **_NAME,
        **_LABELS,
        "type": (_choice(DIMENSION_TYPES), "The type of its values."),
        "sql": (SQL, "A column, or SQL about one row."),
        "case": (_CASE, "Labels by conditions, or SQL by the value of another dimension."),
        "primary_key": (FLAG, "Identifies a row, alone or with others."),
        "format": (_FORMAT, "How values are shown."),
        "currency": (TEXT, "ISO 4217, of a number."),
        "granularities": (
            _or_null(
                {"type": "array", "items": _ref("granularity")},
                _ref("granularity_choice"),
                {"type": "object", "additionalProperties": _ref("granularity")},
            ),
            "Periods of a time dimension besides the built-in ones.",
        ),
        "latitude": (_SQL_ONLY, "Of a geo dimension."),
        "longitude": (_SQL_ONLY, "Of a geo dimension."),
        "values": ({"type": ["array", "null"], "items": SCALAR}, "Of a switch."),
        "sub_query": (FLAG, "`sql` names a measure of another cube."),
        "propagate_filters_to_sub_query": (FLAG, "The query's filters hold in the sub-query."),
        **_GRAIN,
        "time_shift": (_list("calendar_shift"), "Time shifts that a calendar defines."),
        "links": (_list("link"), "Links that values offer."),
        "mask": (_MASK, "What masked callers see instead."),
        "suggest_filter_values": (FLAG, "Whether tools offer its values."),
        "order": (_choice(("asc", "desc")), "The order that tools show."),
        "aliases": (TEXTS, "Other names that people use."),
        **_later("key", "values_as_segments", "field_type", "case_sensitive"),
    },
    "measure": {
        **_NAME,
        **_LABELS,
        "meta": (
            {**META, "properties": {"ducat": _or_null(_ref("measure_extension"))}},
            "Anything, passed on; `ducat` is read.",
        ),
        "type": (_choice(MEASURE_TYPES), "How it aggregates."),
        "sql": (SQL, "What is aggregated, or arithmetic of measures."),
        "case": (_CASE, "SQL by the value of a dimension; needs `multi_stage: true`."),
        "filters": (_list("sql"), "Conditions on the rows that count."),
        "format": (_FORMAT, "How values are shown."),
        "currency": (TEXT, "ISO 4217."),
        "drill_members": (TEXTS, "What a drill-down shows."),
        "drill_filters": (_list("sql"), "Conditions of a drill-down."),
        "rolling_window": (
            _or_null(_choice([f"{unit}_to_date" for unit in ("year", "quarter", "month")]),
                     _ref("rolling_window")),
            "Each period sees the rows of a window around it.",
        ),
        **_GRAIN,
        "filter": (_or_null(_ref("filter_directive")), "The filters of the inner stage."),
        "time_shift": (_list("time_shift"), "Times of the inner stage are moved."),
        "order_by": (_list("rank_key"), "What a rank is ordered by."),
        "mask": (_MASK, "What masked callers see instead."),
        "aliases": (TEXTS, "Other names that people use."),
        "non_additive_dimension": (
            _or_null(_ref("non_additive_dimension")),
            "Only the rows at the first or last time count, as of a balance.",
        ),
        "fill_nulls_with": ({"type": ["number", "null"]}, "What stands for null."),
        "join_to_timespine": (FLAG, "Grouped by time, each period has a row."),
        "conversion": (_or_null(_ref("conversion")), "Of `type: conversion`."),
        **_later("cumulative", "key"),
    },
    "measure_extension": {"alerts": (_named("alert"), "When to tell somebody about it.")},
    "alert": {
        **_NAME,
        "title": (TEXT, "What messages call it."),
        "description": (TEXT, "What to do about it; the measure's own when absent."),
        "view": (NAME, "The view that it asks through."),
        "time_dimension": (TEXT, "What periods are made of."),
        "granularity": (_choice(GRANULARITIES), "How long a period is."),
        "above": (NUMBER, "Above this is worth an alert."),
        "below": (NUMBER, "Below this is worth an alert."),
        "change": (_or_null(_ref("alert_change")), "A change worth an alert."),
        "anomaly": (_or_null(_ref("alert_anomaly")), "What the season does not let expect."),
        "dimensions": (TEXTS, "Each combination of their values is judged by itself."),
        "filters": ({"type": ["array", "null"], "items": _ref("filter")}, "Rows that count."),
        "timezone": (TEXT, "Whose wall clock periods are of; UTC when absent."),
        "as_of": (_choice(CLOCKS), "Periods end by the clock, or by the newest event served."),
        "delay": (TEXT, "How long after its end a period is complete, as in `2 hours`."),
        "cooldown": (TEXT, "How long after one incident the next is not told."),
        "missing": (FLAG, "Whether a period without a value is worth an alert; it is."),
        "severity": (_choice(SEVERITIES), "How bad it is."),
        "owners": (TEXTS, "Who minds; `owner` of the meta when absent."),
        "to": (TEXTS, "Receivers, by the names of DUCAT_ALERT_RECEIVERS."),
        "groups": (TEXTS, "The groups as whose member it asks."),
        "link": (TEXT, "Where to look: https://…, or a path of Superset."),
    },
    "alert_change": {
        "above_percent": (NUMBER, "A rise of more percent."),
        "below_percent": (NUMBER, "A change below this, as in -20."),
        "against": (TEXT, "`previous period`, or as in `1 week`."),
    },
    "alert_anomaly": {
        "season": (_choice(("none", "day", "week", "year")), "What repeats."),
        "sensitivity": (NUMBER, "How many spreads away; 5 when absent, less is more alerts."),
        "history": (NUMBER, "How many seasons are looked back."),
        "direction": (_choice(DIRECTIONS), "Which way matters."),
        "at_least": (NUMBER, "Nearer than this to what is expected is never worth an alert."),
    },
    "non_additive_dimension": {
        "name": (TEXT, "A time dimension of the same cube."),
        "window_choice": (_choice(WINDOW_CHOICES), "Which time counts."),
        "window_groupings": (TEXTS, "Dimensions that each have a time of their own."),
    },
    "conversion": {
        "base_measure": (TEXT, "Counts or sums the events that may lead to a conversion."),
        "conversion_measure": (TEXT, "Counts or sums the conversions."),
        "entity": (_or_null(_ref("conversion_pair")), "Who visits and who buys."),
        "time": (_or_null(_ref("conversion_pair")), "When each happens."),
        "window": (TEXT, "How long after, as in `7 day`; any time when absent."),
        "calculation": (_choice(CALCULATIONS), "The share of base events, or how many."),
        "constant_properties": (_list("conversion_pair"), "What must be the same in both."),
    },
    "conversion_pair": {
        "base": (TEXT, "A dimension of the base measure's cube."),
        "conversion": (TEXT, "The one of the conversion measure's cube."),
    },
    "segment": {
        **_NAME,
        **_LABELS,
        "sql": (SQL, "A condition on one row."),
        **_later("aliases"),
    },
    "hierarchy": {**_NAME, **_LABELS, "levels": (TEXTS, "Dimensions, coarse to fine.")},
    "sql": {"sql": (SQL, "An SQL expression.")},
    "link_format": {
        "type": ({"const": "link"}, "Values are links."),
        "label": (TEXT, "The text of the links."),
    },
    "case": {
        "when": (_list("case_branch"), "The first that holds decides."),
        "else": (_or_null(_ref("case_else")), "What stands where none holds."),
        "switch": (TEXT, "The dimension whose value decides."),
    },
    "case_branch": {
        "sql": (SQL, "The condition, or (with `value`) the result."),
        "label": (_or_null({"type": ["string", "number", "boolean"]}, _ref("sql")), "The result."),
        "value": (_one_or_more(SCALAR), "Values of the switch that lead here."),
    },
    "case_else": {
        "label": (_or_null({"type": ["string", "number", "boolean"]}, _ref("sql")), "The result."),
        "sql": (SQL, "The result, of a switch."),
    },
    "granularity": {
        **_NAME,
        "title": (TEXT, "What people call it."),
        "interval": (TEXT, "As in `1 week` or `1 year 6 months`."),
        "offset": (TEXT, "How far periods are moved, as in `2 days`."),
        "origin": (TEXT, "A date at which a period begins."),
        "sql": (SQL, "The begin of the period that a row lies in."),
        "format": (TEXT, "How periods are shown."),
    },
    "granularity_choice": {
        "custom": (_list("granularity"), "Granularities of its own."),
        **_later("includes", "excludes"),
    },
    "calendar_shift": {
        "name": (TEXT, "What measures call it."),
        "interval": (TEXT, "As in `1 year`."),
        "type": (_choice(("prior", "next")), "Which way."),
        "sql": (SQL, "The shifted time of a row."),
    },
    "time_shift": {
        "time_dimension": (TEXT, "What is shifted; every time dimension when absent."),
        "interval": (TEXT, "As in `1 year`."),
        "type": (_choice(("prior", "next")), "Which way."),
        "name": (TEXT, "A shift that a calendar defines."),
    },
    "link": {
        **_NAME,
        "label": (TEXT, "The text of the link."),
        "url": (SQL, "SQL of the address."),
        "dashboard": (TEXT, "A dashboard instead of an address."),
        "params": (_list("link_parameter"), "What the dashboard is given."),
        "icon": (TEXT, "Its icon."),
        "target": (_choice(("blank", "self")), "Where it opens."),
    },
    "link_parameter": {
        "key": (TEXT, "The parameter."),
        "value": (TEXT, "Its value."),
    },
    "rolling_window": {
        "type": (
            _choice(("fixed", "to_date", "year_to_date", "quarter_to_date", "month_to_date")),
            "A window of fixed size, or from the begin of a period.",
        ),
        "trailing": (TEXT, "How far back, as in `7 day`, or `unbounded`."),
        "leading": (TEXT, "How far ahead."),
        "offset": (_choice(("start", "end")), "Which end of its period a row looks from."),
        "granularity": (TEXT, "Of `to_date`."),
    },
    "grain": {
        "mode": (_choice(("relative", "fixed")), "Changes the query's groups, or replaces them."),
        "keep_only": (TEXTS, "Of the query's groups only these."),
        "exclude": (TEXTS, "The query's groups without these."),
        "include": (TEXTS, "These as well."),
    },
    "filter_directive": {
        "mode": (_choice(("relative", "fixed")), "Changes the filters around, or the query's."),
        "keep_only": (TEXTS, "Filters on these members only."),
        "exclude": (TEXTS, "Without filters on these members."),
        "include": (_list("filter"), "These filters as well."),
    },
    "filter": {
        "member": (TEXT, "What is compared."),
        "operator": (_choice(OPERATOR_SPELLINGS), "How."),
        "values": (_one_or_more(SCALAR), "With what; none for set and notSet."),
        "unless": (TEXTS, "A filter of the query on one of these releases it (in views)."),
        "and": ({"type": "array", "items": _ref("filter")}, "All of these."),
        "or": ({"type": "array", "items": _ref("filter")}, "One of these."),
    },
    "rank_key": {
        "sql": (SQL, "What is ordered by."),
        "dir": (_choice(("asc", "desc")), "Which way."),
    },
    "refresh_key": {
        "sql": (SQL, "A query whose result tells that something changed."),
        "every": (TEXT, "An interval, or cron."),
        "timezone": (TEXT, "Of a cron."),
        "immutable": (FLAG, "Never refreshed."),
        "incremental": (FLAG, "Partition by partition."),
        "update_window": (TEXT, "How old a partition may be to be refreshed."),
    },
    "pre_aggregation": {
        **_NAME,
        "type": (_choice(PRE_AGGREGATION_TYPES), "What it holds."),
        "measures": (TEXTS, "The measures it holds."),
        "dimensions": (TEXTS, "The dimensions it holds."),
        "segments": (TEXTS, "The segments it holds."),
        "time_dimension": (TEXT, "The time dimension it holds."),
        "granularity": (TEXT, "Of its time dimension."),
        "time_dimensions": (_list("rollup_time"), "Several time dimensions."),
        "partition_granularity": (_choice(UNITS), "The size of its partitions."),
        "refresh_key": (_or_null(_ref("refresh_key")), "When it is computed again."),
        "build_range_start": (_SQL_ONLY, "Where it begins."),
        "build_range_end": (_SQL_ONLY, "Where it ends."),
        "rollups": (TEXTS, "What a join or lambda is made of."),
        "indexes": (_list("rollup_index"), "Its indexes."),
        "union_with_source_data": (FLAG, "Newer rows come from the source."),
        "allow_non_strict_date_range_match": (FLAG, "Ranges need not fall on its periods."),
        "scheduled_refresh": (FLAG, "Refreshed by schedule."),
        "external": (FLAG, "Kept beside the source."),
        "read_only": (FLAG, "Has no effect here."),
        "sql_alias": (TEXT, "Has no effect here."),
        **_later(
            "use_original_sql_pre_aggregations", "unique_key_columns", "stream_offset",
            "output_column_types", "auto_rollup", "max_pre_aggregations",
        ),
    },
    "rollup_time": {
        "dimension": (TEXT, "The time dimension."),
        "granularity": (TEXT, "Its granularity."),
    },
    "rollup_index": {
        **_NAME,
        "columns": (TEXTS, "What it is over."),
        "type": (_choice(("regular", "aggregate")), "Its kind."),
        **_later("sql"),
    },
    "access_policy": {
        "group": (_one_or_more({"type": "string"}), 'Whom it is about; "*" is everyone.'),
        "groups": (_one_or_more({"type": "string"}), "Whom it is about."),
        "role": ({**_one_or_more({"type": "string"}), "deprecated": True}, "Old name of `group`."),
        "conditions": (_list("policy_condition"), "All must hold."),
        "member_level": (_or_null(_ref("member_set")), "Members that are shown."),
        "member_masking": (_or_null(_ref("member_set")), "Members that are masked."),
        "row_level": (_or_null(_ref("row_level")), "Rows that are shown."),
    },
    "policy_condition": {"if": (SQL, "A condition on the caller: { security_context.claim }")},
    "member_set": {
        "includes": (_NAMES, 'Members, or "*".'),
        "excludes": (_NAMES, "All but these."),
    },
    "row_level": {
        "filters": ({"type": ["array", "null"], "items": _ref("filter")}, "All must hold."),
        "allow_all": (FLAG, "Every row."),
    },
    "view": {
        **_NAME,
        **_LABELS,
        "extends": ({"type": ["string", "null"]}, "The view that this one adds to."),
        "cubes": (_list("view_cube"), "Where its members come from."),
        "folders": (_list("folder"), "Groups of its members."),
        "filters": (_list("filter"), "Hold in every query of the view, unless released."),
        "view_group": (NAME, "The group it is in."),
        "view_groups": (TEXTS, "The groups it is in."),
        "access_policy": (_list("access_policy"), "Who sees which members and rows."),
        **_later("dimensions", "measures", "segments", "includes", "excludes"),
    },
    "view_cube": {
        "join_path": (TEXT, "A cube, or joins from it: orders.customer.city"),
        "includes": (
            _or_null(
                _STAR,
                {"type": "array", "items": {"anyOf": [{"type": "string"}, _ref("include")]}},
            ),
            'Members, or "*".',
        ),
        "excludes": (TEXTS, "Members to leave out."),
        "prefix": (FLAG, "Put the cube's name before each member's."),
        "alias": (NAME, "The prefix instead of the cube's name."),
        "split": (FLAG, "Make a view of its own."),
    },
    "include": {
        **_NAME,
        "alias": (NAME, "What the view calls it."),
        "title": (TEXT, "What people call it."),
        "description": (TEXT, "What it means."),
        "format": (TEXT, "How values are shown."),
        "meta": (META, "Anything, passed on."),
    },
    "folder": {
        "name": (TEXT, "What people call it."),
        "includes": (
            _or_null(
                _STAR,
                {
                    "type": "array",
                    "items": {
                        "anyOf": [{"type": "string"}, _ref("folder_path"), _ref("folder")]
                    },
                },
            ),
            "Members, join paths and folders.",
        ),
    },
    "folder_path": {"join_path": (TEXT, "All that the view takes from there.")},
    "view_group": {
        **_NAME,
        "title": (TEXT, "What people call it."),
        "description": (TEXT, "What it is for."),
        "views": (TEXTS, "The views in it."),
    },
}  # fmt: skip
REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "view_cube": ("join_path",),
    "folder_path": ("join_path",),
    "folder": ("name",),
    "include": ("name",),
}
