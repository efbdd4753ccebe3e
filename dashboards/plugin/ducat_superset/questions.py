"""Which questions Superset passes on: what it would drop unsaid, and what a guest may not ask.

A filter whose column is SQL is dropped by Superset when the source refuses that SQL, and the chart
then shows numbers without it. Such a question is refused as a whole.

Guests ask what the charts of their dashboard ask, and no more. Superset means to refuse a guest who
changes a chart's question, but looks the chart up among those that a guest may list, which are
none; so 6.1 answers every question about a chart's dataset. Here the chart is found. A guest may
narrow it by filters on columns, never by SQL, and may read the values that the dashboard's own
filters offer.
"""

import json

from superset import db
from superset.models.dashboard import Dashboard
from superset.models.slice import Slice

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
    """Whether a question names only what the chart was saved with, and adds no SQL.

    A chart that was published from files has no saved question, only its parameters, in which a
    column stands under another key in each kind of chart. So names are looked for, not places.
    """
    saved = json.loads(chart.params or "{}")
    known = set(_read_texts(saved)) | set(_read_texts(json.loads(chart.query_context or "{}")))
    conditions = known | {_join(saved, clause) for clause in ("WHERE", "HAVING", "where", "having")}
    return all(
        all(_is_known(item, known) for item in _read_named(query))
        and _adds_no_sql(query, conditions)
        and not query.annotation_layers
        for query in query_context.queries
    )


def _read_named(query):
    """Return everything in a question that stands for a column or a metric."""
    named = [*(query.columns or []), *(query.metrics or []), *(query.series_columns or [])]
    named += [item[0] for item in query.orderby or []]
    return [*named, *([query.series_limit_metric] if query.series_limit_metric else [])]


def _is_known(item, known):
    if isinstance(item, str):
        return item in known
    if not isinstance(item, dict):
        return False
    if item.get("expressionType") == "SIMPLE":
        return {(item.get("column") or {}).get("column_name"), item.get("aggregate")} <= known
    return item.get("sqlExpression") in known


def _read_texts(value):
    """Yield every text in a document, keys apart."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _read_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _read_texts(item)


def _join(saved, clause):
    """Return the SQL that Superset's page makes of a chart's own free conditions."""
    written = [
        str(item.get("sqlExpression"))
        for item in saved.get("adhoc_filters") or []
        if item.get("expressionType") == "SQL" and item.get("clause") == clause
    ]
    return " AND ".join(f"({text})" for text in written)


def _adds_no_sql(query, conditions):
    """Whether conditions are on columns, or are the SQL that the chart was saved with."""
    extras = query.extras or {}
    written = {extras.get(key) for key in ("where", "having") if extras.get(key)}
    return written <= conditions and all(
        isinstance(item.get("col"), str) for item in query.filter or []
    )


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
        and _adds_no_sql(query, set())
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
