"""A first dashboard for any view: `ducat dashboards generate VIEW`.

    headlines      up to four measures, each with its trend and the change to the period before
    trends         the first measures over time
    breakdowns     the first measure by the first texts: the greatest ones
    table          the first texts with all of these measures

What cannot be right is not drawn: bars are stacked only of measures whose parts add up, nothing is computed
in Superset, and a view without a time has headlines without trends. Members come in the order of the view,
which is the order that its author found sensible. UUIDs follow from the names, so a second run changes
nothing. The files are a beginning: they belong to whoever edits them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboards.assets import asset_uuid
from dashboards.generate import ADDITIVE, VERSION, measure_format
from semantic.catalog.catalog import Catalog, Measure, View, ViewMember
from semantic.errors import UnknownMemberError, suggest

HEADLINES: Final = 4
TRENDS: Final = 2
BREAKDOWNS: Final = 4
COLUMNS: Final = 6
SELECTS: Final = 4
_NO_NUMBER: Final = frozenset({"string", "time", "boolean"})
_WIDTH: Final = 12


@dataclass(frozen=True, slots=True)
class _Shown:
    """What of a view is drawn."""

    view: View
    measures: tuple[tuple[ViewMember, Measure], ...]
    texts: tuple[ViewMember, ...]
    time: ViewMember | None

    @property
    def dataset(self) -> str:
        return asset_uuid("datasets", self.view.name)


@dataclass(frozen=True, slots=True)
class _Chart:
    """A chart, and its place: how many of twelve columns it takes, and its height."""

    name: str
    title: str
    kind: str
    params: Mapping[str, Any]
    width: int
    height: int


def generate_starter(catalog: Catalog, name: str, *, owner: str = "Ducat") -> dict[str, Any]:
    """Return the content of the charts and the dashboard by path.

    Raises:
        UnknownMemberError: the model has no public view of the name, or it has no measure to draw.
    """
    view = catalog.views.get(name)
    if view is None or not view.public:
        known = [item.name for item in catalog.views.values() if item.public]
        raise UnknownMemberError(
            f"the model has no view {name[:80]!r}",
            suggestion=suggest(name, known) or f"it has {', '.join(known)}",
        )
    shown = _choose(catalog, view)
    if not shown.measures:
        raise UnknownMemberError(
            f"the view {name} shows no measure that is a number",
            suggestion="include a measure of its cubes",
        )
    rows = [row for row in _rows(shown) if row]
    made: dict[str, Any] = {}
    for row in rows:
        for chart in row:
            made[_path(shown, chart)] = _write_chart(chart, shown, owner)
    made[f"dashboards/{name}_overview.yaml"] = _write_dashboard(shown, rows, owner)
    return made


def _choose(catalog: Catalog, view: View) -> _Shown:
    members = [member for member in view.members.values() if member.public]
    measures = [
        (member, measure)
        for member in members
        if member.kind == "measure"
        if (measure := catalog.cubes[member.cube].measures[member.member]).type not in _NO_NUMBER
    ]
    kinds = {
        member.name: catalog.cubes[member.cube].dimensions[member.member].type
        for member in members
        if member.kind == "dimension"
    }
    times = [member for member in members if kinds.get(member.name) == "time"]
    texts = [member for member in members if kinds.get(member.name) in {"string", "boolean"}]
    return _Shown(view, tuple(measures), tuple(texts), times[0] if times else None)


def _rows(shown: _Shown) -> list[list[_Chart]]:
    breakdowns = [_breakdown(text, shown.measures[0]) for text in shown.texts[:BREAKDOWNS]]
    rows = [_headlines(shown), _trends(shown)]
    rows += [breakdowns[place : place + 2] for place in range(0, len(breakdowns), 2)]
    rows.append([_table(shown)] if shown.texts else [])
    return rows


def _headlines(shown: _Shown) -> list[_Chart]:
    chosen = shown.measures[:HEADLINES]
    charts = []
    for member, measure in chosen:
        params: dict[str, Any] = {
            "metric": member.name,
            "y_axis_format": measure_format(measure, member.format),
            "header_font_size": 0.4,
            "subheader_font_size": 0.15,
        }
        kind, title = "big_number_total", member.short_title
        if shown.time is not None:
            kind, title = "big_number", f"{member.short_title}, last month"
            params |= {
                "x_axis": shown.time.name,
                "time_grain_sqla": "P1M",
                "aggregation": "LAST_VALUE",
                "compare_lag": 1,
                "compare_suffix": "to the month before",
                "show_trend_line": True,
                "start_y_axis_at_zero": False,
                "rolling_type": None,
            }
        charts.append(
            _Chart(f"headline_{member.name}", title, kind, params, _WIDTH // len(chosen), 24)
        )
    return charts


def _trends(shown: _Shown) -> list[_Chart]:
    if shown.time is None:
        return []
    chosen = shown.measures[:TRENDS]
    return [
        _Chart(
            f"trend_{member.name}",
            f"{member.short_title} by week",
            "echarts_timeseries_line",
            _axes(measure_format(measure, member.format))
            | {
                "x_axis": shown.time.name,
                "time_grain_sqla": "P1W",
                "metrics": [member.name],
                "groupby": [],
                "row_limit": 10_000,
                "show_legend": False,
                "markerEnabled": False,
            },
            _WIDTH // len(chosen),
            44,
        )
        for member, measure in chosen
    ]


def _breakdown(text: ViewMember, of: tuple[ViewMember, Measure]) -> _Chart:
    """Return the greatest values of a text: bars beside each other, which promise no sum."""
    member, measure = of
    return _Chart(
        f"by_{text.name}",
        f"{member.short_title} by {text.short_title[:1].lower()}{text.short_title[1:]}",
        "echarts_timeseries_bar",
        _axes(measure_format(measure, member.format))
        | {
            "x_axis": text.name,
            "metrics": [member.name],
            "groupby": [],
            "timeseries_limit_metric": member.name,
            "order_desc": True,
            "orientation": "horizontal",
            "row_limit": 10,
            "show_legend": False,
            "show_value": True,
            "stack": None,
            "sort_series_type": "sum" if measure.type in ADDITIVE else "name",
            "x_axis_sort": member.name,
            "x_axis_sort_asc": True,
        },
        _WIDTH // 2,
        50,
    )


def _table(shown: _Shown) -> _Chart:
    measures = shown.measures[:COLUMNS]
    return _Chart(
        "table",
        f"{shown.view.title} in figures",
        "table",
        {
            "query_mode": "aggregate",
            "groupby": [text.name for text in shown.texts[:2]],
            "metrics": [member.name for member, _ in measures],
            "all_columns": [],
            "percent_metrics": [],
            "order_by_cols": [],
            "order_desc": True,
            "timeseries_limit_metric": measures[0][0].name,
            "row_limit": 100,
            "server_page_length": 10,
            "show_totals": False,
            "include_search": False,
            "show_cell_bars": False,
            "table_timestamp_format": "smart_date",
            "column_config": {
                member.name: {"d3NumberFormat": form}
                for member, measure in measures
                if (form := measure_format(measure, member.format)) is not None
            },
        },
        _WIDTH,
        52,
    )


def _axes(form: str | None) -> dict[str, Any]:
    return {
        "annotation_layers": [],
        "color_scheme": "ducat",
        "legendOrientation": "top",
        "legendType": "scroll",
        "only_total": True,
        "rich_tooltip": True,
        "show_empty_columns": False,
        "tooltipTimeFormat": "smart_date",
        "truncate_metric": True,
        "x_axis_time_format": "smart_date",
        "x_axis_title_margin": 30,
        "y_axis_bounds": [None, None],
        "y_axis_format": form,
        "y_axis_title_margin": 40,
        "y_axis_title_position": "Left",
    }


def _path(shown: _Shown, chart: _Chart) -> str:
    return f"charts/{_name(shown, chart)}.yaml"


def _name(shown: _Shown, chart: _Chart) -> str:
    return f"{shown.view.name}_{chart.name}"


def _write_chart(chart: _Chart, shown: _Shown, owner: str) -> dict[str, Any]:
    filters = []
    if shown.time is not None:
        filters = [
            {
                "clause": "WHERE",
                "comparator": "No filter",
                "expressionType": "SIMPLE",
                "operator": "TEMPORAL_RANGE",
                "subject": shown.time.name,
            }
        ]
    return {
        "slice_name": chart.title,
        "description": None,
        "certified_by": owner,
        "certification_details": None,
        "viz_type": chart.kind,
        "params": {"adhoc_filters": filters, **chart.params, "viz_type": chart.kind},
        "query_context": None,
        "cache_timeout": None,
        "uuid": asset_uuid("charts", _name(shown, chart)),
        "version": VERSION,
        "dataset_uuid": shown.dataset,
    }


def _write_dashboard(shown: _Shown, rows: Sequence[Sequence[_Chart]], owner: str) -> dict[str, Any]:
    title = f"{shown.view.title}: overview"
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {
            "type": "GRID",
            "id": "GRID_ID",
            "children": [f"ROW-{place}" for place in range(1, len(rows) + 1)],
            "parents": ["ROOT_ID"],
        },
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": title}},
    }
    number = 0
    for place, row in enumerate(rows, start=1):
        parents = ["ROOT_ID", "GRID_ID"]
        position[f"ROW-{place}"] = {
            "type": "ROW",
            "id": f"ROW-{place}",
            "children": [f"CHART-{chart.name}" for chart in row],
            "parents": parents,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for chart in row:
            number += 1
            position[f"CHART-{chart.name}"] = {
                "type": "CHART",
                "id": f"CHART-{chart.name}",
                "children": [],
                "parents": [*parents, f"ROW-{place}"],
                "meta": {
                    "chartId": number,
                    "height": chart.height,
                    "width": chart.width,
                    "sliceName": chart.title,
                    "uuid": asset_uuid("charts", _name(shown, chart)),
                },
            }
    return {
        "dashboard_title": title,
        "description": shown.view.description,
        "css": "",
        "slug": f"{shown.view.name}_overview".replace("_", "-"),
        "certified_by": owner,
        "certification_details": "Governed measures only",
        "published": True,
        "uuid": asset_uuid("dashboards", f"{shown.view.name}_overview"),
        "position": position,
        "metadata": {
            "native_filter_configuration": _filters(shown),
            "cross_filters_enabled": True,
            "global_chart_configuration": {"scope": {"rootPath": ["ROOT_ID"], "excluded": []}},
            "color_scheme": "ducat",
            "label_colors": {},
            "shared_label_colors": [],
            "color_scheme_domain": [],
            "expanded_slices": {},
            "refresh_frequency": 0,
            "timed_refresh_immune_slices": [],
            "filter_bar_orientation": "HORIZONTAL",
        },
        "version": VERSION,
    }


def _filters(shown: _Shown) -> list[dict[str, Any]]:
    common = {
        "type": "NATIVE_FILTER",
        "description": "",
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
    }
    found: list[dict[str, Any]] = []
    if shown.time is not None:
        found.append(
            {
                "id": "NATIVE_FILTER-period",
                "name": "Period",
                "filterType": "filter_time",
                "targets": [{}],
                "controlValues": {"enableEmptyFilter": False},
                **common,
            }
        )
    return found + [_select(shown, text) | common for text in shown.texts[:SELECTS]]


def _select(shown: _Shown, text: ViewMember) -> dict[str, Any]:
    return {
        "id": f"NATIVE_FILTER-{text.name}",
        "name": text.short_title,
        "filterType": "filter_select",
        "targets": [{"column": {"name": text.name}, "datasetUuid": shown.dataset}],
        "controlValues": {
            "enableEmptyFilter": False,
            "defaultToFirstItem": False,
            "multiSelect": True,
            "searchAllOptions": False,
            "inverseSelection": False,
            "sortAscending": True,
        },
    }
