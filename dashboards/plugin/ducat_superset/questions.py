"""Which questions Superset passes on: what it would drop unsaid, and what a guest may not ask.

A filter whose column is SQL is dropped by Superset when the source refuses that SQL, and the chart
then shows numbers without it. Such a question is refused as a whole.

Guests ask what the charts of their dashboard ask, and no more. Superset means to refuse a guest who changes a chart's question, but looks the chart up among those
that a guest may list, which are none; so in 6.1 every question about a chart's dataset is answered.
Here the chart is found whoever asks. A guest may narrow it by filters on columns, never by SQL, and
may read the values that the dashboard's own filters offer.
"""

import json

from superset import db
from superset.models.dashboard import Dashboard
from superset.models.slice import Slice
from superset.security.manager import query_context_modified

ENGINE = "ducat"
RESULTS = frozenset({"full", "results", "post_processed", "timegrains"})
NATIVE_FILTER = "NATIVE_FILTER"


def filters_by_sql(query_context):
    """Whether a filter of a question to Ducat stands on SQL in a dimension's place."""
    source = query_context.datasource
    if getattr(getattr(source, "database", None), "backend", None) != ENGINE:
        return False
    names = {column.column_name for column in source.columns}
    return any(
        isinstance(item.get("col"), dict) and item["col"].get("sqlExpression") not in names
        for query in query_context.queries
        for item in query.filter or []
    )


def is_the_dashboards_own(query_context):
    """Whether a guest's question is one that the dashboard asks."""
    form = query_context.form_data or {}
    if str(getattr(query_context.result_type, "value", query_context.result_type)) not in RESULTS:
        return False
    number = form.get("slice_id")
    if isinstance(number, int) and not isinstance(number, bool):
        chart = db.session.get(Slice, number)
        return chart is not None and _is_the_charts(query_context, chart)
    return form.get("type") == NATIVE_FILTER and _is_the_filters(query_context, form)


def _is_the_charts(query_context, chart):
    query_context.slice_ = chart
    kept = json.loads(chart.query_context) if chart.query_context else {}
    queries = kept.get("queries") or []
    known = {
        (query.get("extras") or {}).get(key) for query in queries for key in ("where", "having")
    }
    stored = {str(item) for item in json.loads(chart.params or "{}").get("adhoc_filters") or []}
    return (
        not query_context_modified(query_context)
        and all(_has_known_sql(query, known, stored) for query in query_context.queries)
        and all(not query.annotation_layers for query in query_context.queries)
    )


def _has_known_sql(query, known, stored):
    """Whether conditions are on columns, or are the SQL that the chart was saved with."""
    extras = query.extras or {}
    written = {extras.get(key) for key in ("where", "having") if extras.get(key)}
    columns = all(isinstance(item.get("col"), str) for item in query.filter or [])
    return columns and written <= known | stored


def _is_the_filters(query_context, form):
    """Whether a question is for the values that a filter of the dashboard offers."""
    number = form.get("dashboardId")
    board = db.session.get(Dashboard, number) if isinstance(number, int) else None
    metadata = json.loads((board and board.json_metadata) or "{}")
    columns, metrics = set(), set()
    for item in metadata.get("native_filter_configuration") or []:
        if item.get("id") == form.get("native_filter_id"):
            for target in item.get("targets") or []:
                columns.add((target.get("column") or {}).get("name"))
            metrics.add((item.get("controlValues") or {}).get("sortMetric"))
            metrics.add(item.get("sortMetric"))
    return bool(columns) and all(
        set(map(str, query.columns or [])) <= columns
        and all(_is_of(metric, metrics, columns) for metric in query.metrics or [])
        and _has_known_sql(query, set(), set())
        and not query.annotation_layers
        for query in query_context.queries
    )


def _is_of(metric, metrics, columns):
    if isinstance(metric, dict):  # the ends of a range
        return (
            metric.get("expressionType") == "SIMPLE"
            and (metric.get("column") or {}).get("column_name") in columns
        )
    return metric in metrics
