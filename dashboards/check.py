"""Do the assets in git agree with the model? Answered without Superset, so that CI can ask.

A chart may show governed measures by governed dimensions, and nothing else: no SQL of its own, no
aggregate made in Superset, no number that Superset computes out of others after the answer. What
is refused here would be refused by the server too, but only when somebody opens the chart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from dashboards.assets import Asset, Assets
from dashboards.generate import ADDITIVE, generate_datasets
from semantic.catalog.catalog import Catalog, View
from semantic.errors import Problem, suggest

_MEASURES: Final = (
    "metric",
    "metrics",
    "metrics_b",
    "percent_metrics",
    "timeseries_limit_metric",
    "timeseries_limit_metric_b",
    "secondary_metric",
    "size",
    "tooltip_metrics",
)
_DIMENSIONS: Final = (
    "groupby",
    "groupby_b",
    "groupbyColumns",
    "groupbyRows",
    "columns",
    "all_columns",
    "x_axis",
    "series",
    "entity",
    "source",
    "target",
    "granularity_sqla",
)
_FILTERS: Final = ("adhoc_filters", "adhoc_filters_b", "adhoc_filters_c")
# Numbers that Superset makes out of the answer's numbers. They would carry a governed name.
_COMPUTED: Final[Mapping[str, frozenset[Any]]] = {
    "rolling_type": frozenset({None, "", "None"}),
    "rolling_type_b": frozenset({None, "", "None"}),
    "contributionMode": frozenset({None, ""}),
    "resample_rule": frozenset({None, ""}),
    "resample_rule_b": frozenset({None, ""}),
    "forecastEnabled": frozenset({None, False}),
    "cumulative": frozenset({None, False}),
    "rowTotals": frozenset({None, False}),
    "colTotals": frozenset({None, False}),
    "rowSubTotals": frozenset({None, False}),
    "colSubTotals": frozenset({None, False}),
    "aggregation": frozenset({None, "raw", "LAST_VALUE"}),
}
_PLAIN: Final = frozenset({None, "", "values"})  # the numbers of both times, as they were asked
_STACKED: Final = frozenset({"Stack", "Stream", "Expand", True})
_WHOLES: Final = frozenset({"pie", "treemap_v2", "sunburst_v2", "partition", "funnel"})
_PLACES: Final = ("spatial", "start_spatial", "end_spatial")


def check_assets(assets: Assets, catalog: Catalog) -> tuple[Problem, ...]:
    """Return everything in which the assets and the model disagree, in order of file."""
    views = {
        dataset.uuid: catalog.views.get(str(dataset.content.get("table_name")))
        for dataset in assets.of("datasets")
    }
    problems: list[Problem] = []
    problems.extend(_check_databases(assets))
    problems.extend(_check_datasets(assets, catalog))
    for chart in assets.of("charts"):
        problems.extend(_check_chart(chart, views, catalog))
    for dashboard in assets.of("dashboards"):
        problems.extend(_check_dashboard(dashboard, assets, views))
    return tuple(problems)


def _check_databases(assets: Assets) -> Iterator[Problem]:
    """What the database must say for a number to be safe, and a secret to stay out of git."""
    rules = {"impersonate_user": True, "expose_in_sqllab": False, "allow_dml": False}
    for database in assets.of("databases"):
        for key, wanted in rules.items():
            if database.content.get(key) is not wanted:
                yield Problem(
                    "unsafe_database", f"{key} must be {str(wanted).lower()}", database.place(key)
                )
        uri = str(database.content.get("sqlalchemy_uri", ""))
        secret = uri.rpartition("@")[0].rpartition(":")[2]
        if secret.strip("X") or not uri.startswith("ducat+"):
            yield Problem(
                "unsafe_database",
                "sqlalchemy_uri must be a ducat+http address whose password is XXXXXXXXXX",
                database.place("sqlalchemy_uri"),
                "the address and the token are filled in from the settings when publishing",
            )


def _check_datasets(assets: Assets, catalog: Catalog) -> Iterator[Problem]:
    generated = generate_datasets(catalog)
    kept = {dataset.path: dataset for dataset in assets.of("datasets")}
    for path in sorted(generated.keys() | kept.keys()):
        if path not in generated:
            asset = kept[path]
            yield Problem(
                "unknown_view",
                f"dataset {asset.title!r} is not a public view of the model",
                asset.place("table_name"),
                suggest(asset.title, catalog.views),
            )
        elif path not in kept:
            asset = Asset(path, {})
            yield Problem("stale_dataset", "the view has no dataset yet", asset.place(), _ANEW)
        elif kept[path].content != generated[path]:
            asset = kept[path]
            yield Problem(
                "stale_dataset",
                _difference(asset.content, generated[path]),
                asset.place(),
                _ANEW,
            )


_ANEW: Final = "run `ducat dashboards generate`"


def _difference(kept: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """Return one sentence: which members differ between the file and the model."""
    words = []
    for key, name in (("metrics", "metric_name"), ("columns", "column_name")):
        old = {item.get(name): item for item in kept.get(key) or ()}
        new = {item[name]: item for item in made[key]}
        for verb, names in (
            ("lacks", new.keys() - old.keys()),
            ("has the removed", old.keys() - new.keys()),
            ("has another form of", {n for n in old.keys() & new.keys() if old[n] != new[n]}),
        ):
            if names:
                words.append(f"{verb} {key[:-1]} {', '.join(sorted(map(str, names)))}")
    return "the dataset " + ("; ".join(words) if words else "is not what the model gives")


def _additive(catalog: Catalog, view: View) -> frozenset[str]:
    """Return the measures of which groups may be added: no row counts in two of them."""
    return frozenset(
        member.name
        for member in view.members.values()
        if member.kind == "measure"
        if (measure := catalog.cubes[member.cube].measures[member.member]).type in ADDITIVE
        and measure.rolling_window is None
        and measure.non_additive is None
    )


def _check_chart(
    chart: Asset, views: Mapping[str, View | None], catalog: Catalog
) -> Iterator[Problem]:
    owner = chart.content.get("certified_by")
    who = f"chart {chart.title!r} ({f'owner {owner}' if owner else 'no owner'})"
    if not owner:
        yield Problem(
            "no_owner", f"{who} names nobody", chart.place("slice_name"), "set certified_by"
        )
    params = chart.content.get("params")
    view = views.get(str(chart.content.get("dataset_uuid")))
    if view is None or not isinstance(params, dict):
        yield Problem(
            "unknown_view",
            f"{who} is of no dataset of a view here",
            chart.place("dataset_uuid"),
        )
        return
    for code, words, word, hint in _chart_findings(params, view, _additive(catalog, view)):
        yield Problem(code, f"{who} {words}", chart.place(word), hint)


_Finding = tuple[str, str, str, str | None]


def _chart_findings(
    params: Mapping[str, Any], view: View, additive: frozenset[str]
) -> Iterator[_Finding]:
    """Yield (code, words, word to look for, hint) of what the chart may not ask."""
    for key in _MEASURES:
        for item in _listed(params.get(key)):
            yield from _member(item, view, "measure", key)
    for key in _DIMENSIONS:
        for item in _listed(params.get(key)):
            yield from _member(item, view, "dimension", key)
    for key in _FILTERS:
        for item in _listed(params.get(key)):
            if not isinstance(item, dict) or item.get("expressionType") != "SIMPLE":
                yield "free_sql", f"filters by SQL of its own in {key}", key, "filter by a member"
                continue
            kind = "measure" if item.get("clause") == "HAVING" else "dimension"
            yield from _member(item.get("subject"), view, kind, key)
    yield from _map_findings(params, view)
    yield from _computed_findings(params)
    yield from _part_findings(params, additive)


def _computed_findings(params: Mapping[str, Any]) -> Iterator[_Finding]:
    """Yield what Superset would compute out of governed numbers."""
    for key, allowed in _COMPUTED.items():
        if key in params and params[key] not in allowed:
            yield _computed(key, params[key])
    if _listed(params.get("percent_metrics")):
        yield _computed("percent_metrics", params["percent_metrics"])
    if _listed(params.get("time_compare")) and params.get("comparison_type") not in _PLAIN:
        yield _computed("comparison_type", params["comparison_type"])


def _computed(key: str, value: Any) -> _Finding:
    return (
        "computed_in_superset",
        f"has {key}: {value!r}, a number that Superset computes itself",
        key,
        "define it as a measure in the model",
    )


def _map_findings(params: Mapping[str, Any], view: View) -> Iterator[_Finding]:
    """Yield what a map (deck.gl) names that there is not: places, sizes, colours."""
    for key in _PLACES:
        place = params.get(key)
        for name in ("latCol", "lonCol", "lonlatCol", "geohashCol"):
            if isinstance(place, dict) and place.get(name):
                yield from _member(place[name], view, "dimension", key)
    sized = params.get("point_radius_fixed")
    if isinstance(sized, dict) and sized.get("type") == "metric":
        yield from _member(sized.get("value"), view, "measure", "point_radius_fixed")
    if str(params.get("viz_type", "")).startswith("deck_"):
        for item in _listed(params.get("dimension")):
            yield from _member(item, view, "dimension", "dimension")


def _part_findings(params: Mapping[str, Any], additive: frozenset[str]) -> Iterator[_Finding]:
    """Yield measures whose parts do not add up, where the picture says that they do."""
    kind = str(params.get("viz_type", ""))
    if kind not in _WHOLES and params.get("stack") not in _STACKED:
        return
    for key in ("metric", "metrics"):
        for item in _listed(params.get(key)):
            if isinstance(item, str) and item not in additive:
                yield (
                    "not_additive",
                    f"shows {item!r} as parts of a whole, and its parts do not add up",
                    item,
                    "draw bars or lines beside each other",
                )


def _member(item: Any, view: View, kind: str, key: str) -> Iterator[_Finding]:
    if not isinstance(item, str):
        yield "free_sql", f"has an expression of its own in {key}", key, f"name a {kind}"
        return
    found = view.members.get(item)
    if found is None or found.kind != kind or not found.public:
        near = [name for name, member in view.members.items() if member.kind == kind]
        yield (
            "unknown_member",
            f"names the {kind} {item!r} in {key}, which view {view.name!r} does not have",
            item,
            suggest(item, near),
        )


def _check_dashboard(
    dashboard: Asset, assets: Assets, views: Mapping[str, View | None]
) -> Iterator[Problem]:
    who = f"dashboard {dashboard.title!r}"
    charts = {chart.uuid: chart for chart in assets.of("charts")}
    for item in (dashboard.content.get("position") or {}).values():
        if not isinstance(item, dict) or item.get("type") != "CHART":
            continue
        number = str(item.get("meta", {}).get("uuid"))
        if number not in charts:
            yield Problem(
                "unknown_chart", f"{who} shows chart {number}, unknown", dashboard.place(number)
            )
    metadata = dashboard.content.get("metadata") or {}
    for native in metadata.get("native_filter_configuration") or ():
        for target in native.get("targets") or ():
            column = (target.get("column") or {}).get("name")
            if column is None:
                continue
            view = views.get(str(target.get("datasetUuid")))
            found = view.members.get(column) if view else None
            if found is None or found.kind != "dimension" or not found.public:
                yield Problem(
                    "unknown_member",
                    f"{who} filters by {column!r}, which its dataset does not have",
                    dashboard.place(column),
                    suggest(column, view.members) if view else None,
                )


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]
