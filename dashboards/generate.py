"""Datasets from the model: one Superset dataset for each public view, its metrics governed measures.

A metric's expression is `MEASURE(name)` and nothing else: Superset never aggregates, it asks. So a
new measure in the model appears in Superset after `generate` and `publish`, and one that was
removed disappears; `check` then names the charts that still use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from dashboards.assets import asset_uuid
from semantic.catalog.catalog import Catalog, Dimension, Measure, View, ViewMember

DATABASE: Final = "ducat"
SCHEMA: Final = "public"
VERSION: Final = "1.0.0"

_COLUMN_TYPES: Final[Mapping[str, str]] = {
    "string": "VARCHAR",
    "number": "NUMERIC",
    "boolean": "BOOLEAN",
    "time": "TIMESTAMP",
}
ADDITIVE: Final = frozenset({"count", "sum"})
"""Types of measures whose value of a whole is the sum of its parts."""
_WHOLE: Final = frozenset({"count", "count_distinct", "count_distinct_approx", "sum"})
_NAMED: Final = re.compile(r"(number|percent|currency|abbr|accounting)(?:_([0-6]))?")
_SYMBOLS: Final[Mapping[str, str]] = {"USD": "$"}


def dataset_path(view: str) -> str:
    """Return where the dataset of a view is kept below the assets folder."""
    return f"datasets/{DATABASE}/{view}.yaml"


def generate_datasets(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Return the content of every dataset file by path: one for each public view."""
    return {
        dataset_path(view.name): _dataset(catalog, view)
        for view in catalog.views.values()
        if view.public
    }


def measure_format(measure: Measure, view_format: str | None = None) -> str | None:
    """Return the d3 format that shows a measure as its definition means it.

    A format that the model names gives what the SQL door tells Superset of the same member (a test
    compares); without one, the type of the measure decides. d3 writes one currency symbol, the
    dollar's: an amount in another currency is shown without any.

    >>> from semantic.catalog.catalog import Measure
    >>> measure_format(Measure("c", "m", "number", None, "M", "M", format="percent_2"))
    '.2%'
    """
    if measure.type in {"string", "time", "boolean"}:
        return None
    form = view_format or measure.format
    if form is None:
        return ",d" if measure.type in _WHOLE else ",.1f"
    if form == "id":
        return "d"
    named = _NAMED.fullmatch(form)
    if named is None:
        return form  # a specifier of d3 already
    digits = named[2] or "2"
    match named[1]:
        case "percent":
            return f".{digits}%"
        case "currency":
            return f"{_SYMBOLS.get((measure.currency or 'USD').upper(), '')},.{digits}f"
        case "accounting":
            return f"(,.{digits}f"
        case "abbr":
            return f".{max(1, int(digits))}s"
        case _:
            return f",.{digits}f"


def _dataset(catalog: Catalog, view: View) -> dict[str, Any]:
    shown = [member for member in view.members.values() if member.public]
    dimensions = [member for member in shown if member.kind == "dimension"]
    columns = [
        _column(member, owned)
        for member in dimensions
        if (owned := catalog.cubes[member.cube].dimensions[member.member]).type in _COLUMN_TYPES
    ]
    metrics = [
        _metric(member, catalog.cubes[member.cube].measures[member.member])
        for member in shown
        if member.kind == "measure"
    ]
    times = [column["column_name"] for column in columns if column["is_dttm"]]
    return {
        "table_name": view.name,
        "main_dttm_col": times[0] if times else None,
        "description": view.description,
        "default_endpoint": None,
        "offset": 0,
        "cache_timeout": None,
        "catalog": None,
        "schema": SCHEMA,
        "sql": None,
        "params": None,
        "template_params": None,
        "filter_select_enabled": True,
        "fetch_values_predicate": None,
        "extra": {
            "certification": {
                "certified_by": "Ducat",
                "details": "Every number is computed by the metrics server from its definition.",
            }
        },
        "normalize_columns": False,
        "always_filter_main_dttm": False,
        "uuid": asset_uuid("datasets", view.name),
        "metrics": metrics,
        "columns": columns,
        "version": VERSION,
        "database_uuid": asset_uuid("databases", DATABASE),
    }


def _column(member: ViewMember, dimension: Dimension) -> dict[str, Any]:
    return {
        "column_name": member.name,
        "verbose_name": member.short_title,
        "is_dttm": dimension.type == "time",
        "is_active": True,
        "type": _COLUMN_TYPES[dimension.type],
        "advanced_data_type": None,
        "groupby": True,
        "filterable": True,
        "expression": None,
        "description": member.description or dimension.description,
        "python_date_format": None,
        "extra": None,
    }


def _metric(member: ViewMember, measure: Measure) -> dict[str, Any]:
    return {
        "metric_name": member.name,
        "verbose_name": member.short_title,
        "metric_type": None,
        "expression": f"MEASURE({member.name})",
        "description": member.description or measure.description,
        "d3format": measure_format(measure, member.format),
        "currency": None,
        "extra": None,
        "warning_text": None,
    }
