"""Questions that no chart may ask: ungoverned numbers, hidden members, SQL, and raw rows."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.e2e.superset.attempts import Attempt, Json, as_kind, get, post, question, simple, sql
from tests.e2e.superset.guarded import Guarded, ask

NUMBERS: Final = (
    question(
        "sum of a raw column", "no column distance_miles", metrics=[sql("SUM(distance_miles)")]
    ),
    question(
        "count distinct of a hidden dimension", "", metrics=[sql("COUNT(DISTINCT tail_number)")]
    ),
    question("maximum of a hidden dimension", "", metrics=[simple("MAX", "tail_number")]),
    question("arithmetic over a measure", "does not define", metrics=[sql("MEASURE(count) * 2")]),
    question(
        "measure that a policy hides", "total_distance", metrics=[sql("MEASURE(total_distance)")]
    ),
    question("hidden measure by its name", "", metrics=["total_distance"]),
    question(
        "filtered aggregate", "", metrics=[sql("COUNT(*) FILTER (WHERE tail_number IS NULL)")]
    ),
    question("window over a measure", "", metrics=[sql("SUM(MEASURE(count)) OVER ()")]),
    question("function that reads files", "", metrics=[sql("MAX(read_text('/etc/passwd'))")]),
)
COLUMNS: Final = (
    question("dimension that a policy hides", "tail_number", columns=["tail_number"]),
    question("dimension that the model hides", "remark", columns=[sql("remark")]),
    question("sub-query as a column", "", columns=[sql("(SELECT max(remark) FROM flown_flights)")]),
    question(
        "CASE over a hidden column",
        "",
        columns=[sql("CASE WHEN origin = 'JFK' THEN tail_number END")],
    ),
    question("column of a physical table", "", columns=[sql("gold.fct_flights.tail_number")]),
    question("order by a hidden column", "", columns=["origin"], orderby=[["tail_number", True]]),
    question("order by hidden SQL", "", columns=["origin"], orderby=[[sql("MAX(remark)"), True]]),
)
CONDITIONS: Final = (
    question(
        "sub-query in WHERE",
        "sub-queries",
        by="superset",
        extras={"where": "origin IN (SELECT origin FROM flown_flights)"},
    ),
    question(
        "sub-query in HAVING",
        "sub-queries",
        by="superset",
        columns=["origin"],
        extras={"having": "MEASURE(count) > (SELECT MEASURE(count) FROM flown_flights)"},
    ),
    question(
        "WHERE over a hidden column", "tail_number", extras={"where": "tail_number LIKE 'N1%'"}
    ),
    question(
        "WHERE over a column that the model hides", "remark", extras={"where": "remark LIKE '%N1%'"}
    ),
    question(
        "HAVING over a hidden measure",
        "total_distance",
        columns=["origin"],
        extras={"having": "MEASURE(total_distance) > 0"},
    ),
    question(
        "UNION behind WHERE",
        "",
        extras={"where": "1 = 1) UNION SELECT remark FROM flown_flights --"},
    ),
    question("second statement behind WHERE", "", extras={"where": "origin = 'JFK'); SELECT 1 --"}),
    question("brackets that end the row rule", "", extras={"where": "origin = 'JFK') OR (1 = 1"}),
    question(
        "filter on a hidden column",
        "tail_number",
        filters=[{"col": "tail_number", "op": "LIKE", "val": "N1%"}],
    ),
    question(
        "filter on SQL",
        "Filter by a dimension",
        by="superset",
        filters=[{"col": sql("upper(remark)"), "op": "ILIKE", "val": "%N1%"}],
    ),
    question(
        "Jinja in WHERE",
        "",
        extras={"where": "origin = '{{ current_username() }}' AND {{ 1 }} = 1"},
    ),
    question(
        "Jinja that fetches other rows",
        "",
        extras={"where": "origin IN {{ filter_values('origin') | where_in }}"},
    ),
    question("Jinja in a metric", "", metrics=[sql("{{ metric('total_distance') }}")]),
    question(
        "Jinja over a dataset", "", by="superset", columns=[sql("(SELECT 1 FROM {{ dataset(1) }})")]
    ),
    question(
        "time grain that is SQL",
        "Must be one of",
        by="superset",
        columns=["flight_date"],
        extras={"time_grain_sqla": "P1D'); DROP"},
    ),
)
AFTERWARDS: Final = (
    question(
        "post-processing that is none",
        "",
        by="superset",
        post_processing=[{"operation": "__import__", "options": {"name": "os"}}],
    ),
    question(
        "post-processing with a method of pandas",
        "",
        by="superset",
        columns=["origin"],
        post_processing=[
            {
                "operation": "aggregate",
                "options": {
                    "groupby": ["origin"],
                    "aggregates": {"x": {"operator": "to_csv", "column": "count"}},
                },
            }
        ],
    ),
    question(
        "post-processing by an attribute",
        "",
        by="superset",
        columns=["origin"],
        post_processing=[
            {
                "operation": "rolling",
                "options": {
                    "columns": {"count": "count"},
                    "rolling_type": "__class__",
                    "window": 1,
                },
            }
        ],
    ),
)

SAMPLES: Final = (
    post("samples with hidden columns", "ann", "/api/v1/chart/data", "server", as_kind("samples")),
    post(
        "drill to detail with hidden columns",
        "ann",
        "/api/v1/chart/data",
        "server",
        as_kind("drill_detail", columns=["tail_number", "origin"]),
    ),
    post(
        "samples of the dataset",
        "ann",
        "/datasource/samples?datasource_type=table&datasource_id={dataset}",
        "role",
        {},
    ),
    post(
        "drill to detail through samples",
        "ann",
        "/datasource/samples?datasource_type=table&datasource_id={dataset}&force=true",
        "role",
        {"filters": [{"col": "origin", "op": "==", "val": "EWR"}]},
    ),
    post("samples without data access", "emma", "/api/v1/chart/data", "role", as_kind("samples")),
    get(
        "values of a hidden column",
        "ann",
        "/api/v1/datasource/table/{dataset}/column/tail_number/values/",
        "fault",
    ),
    get(
        "values of a column that is not there",
        "ann",
        "/api/v1/datasource/table/{dataset}/column/remark/values/",
        "fault",
    ),
    post(
        "expression for validation",
        "ann",
        "/api/v1/datasource/table/{dataset}/validate_expression/",
        "role",
        {"expression": "MAX(remark)", "expression_type": "metric"},
    ),
    post(
        "question to a saved query",
        "ann",
        "/api/v1/chart/data",
        "superset",
        ask(1, metrics=["count"]) | {"datasource": {"id": 1, "type": "query"}},
    ),
)


def _explore(name: str, **form: Any) -> Attempt:
    def body(guarded: Guarded) -> Json:
        whole = {
            "datasource": f"{guarded.dataset}__table",
            "viz_type": "para",
            "metrics": ["count"],
            "series": "origin",
            **form,
        }
        return {"form_data": json.dumps(whole)}

    return Attempt(name, "ann", "POST", "/superset/explore_json/", "server", body, is_form=True)


OLD_DOORS: Final = (
    _explore("SQL by explore_json", metrics=[sql("SUM(distance_miles)")]),
    _explore("hidden column by explore_json", series="tail_number"),
    _explore(
        "WHERE by explore_json",
        adhoc_filters=[
            {"expressionType": "SQL", "clause": "WHERE", "sqlExpression": "remark IS NOT NULL"}
        ],
    ),
    post("question by the old API", "ann", "/api/v1/query/", "role", {}),
    get("form data by the old API", "ann", "/api/v1/form_data/?slice_id={chart}", "role"),
    get(
        "metadata by the old door",
        "ann",
        "/superset/fetch_datasource_metadata?datasourceKey={dataset}__table",
        "role",
    ),
    get("SQL Lab's page", "ann", "/superset/sqllab/", "role"),
    get("SQL Lab's history", "ann", "/sqllab/history/", "role"),
    get("plug-ins", "ann", "/dynamic-plugins/api", "role"),
)
BY_QUESTION: Final = (*NUMBERS, *COLUMNS, *CONDITIONS, *AFTERWARDS, *SAMPLES, *OLD_DOORS)
