"""What holders of guest tokens try, and those who would like to be one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.e2e.superset.attempts import Attempt, Json, always, as_kind, sql
from tests.e2e.superset.guarded import Guarded, ask


def guest(
    name: str,
    path: str,
    body: Json | Callable[[Guarded], Json] | None = None,
    *,
    by: str = "token",
    method: str = "POST",
    who: str = "guest",
    words: str = "",
) -> Attempt:
    made = None if body is None else body if callable(body) else always(body)
    return Attempt(name, who, method, path, by, made, words)


def of_chart(**more: Any) -> Callable[[Guarded], Json]:
    """Return the question that the guest's own chart asks, with something changed."""
    query = {"columns": ["origin"], "metrics": ["count"], **more}
    return lambda guarded: (
        ask(guarded.dataset, **query)
        | {"form_data": {"dashboardId": guarded.dashboard, "slice_id": guarded.chart}}
    )


GUESTS: Final = (
    guest(
        "guest token signed with another key", "/api/v1/chart/data", of_chart(), who="guest:forged"
    ),
    guest("guest token that has expired", "/api/v1/chart/data", of_chart(), who="guest:expired"),
    guest("guest token without a signature", "/api/v1/chart/data", of_chart(), who="guest:none"),
    guest(
        "guest token for another audience", "/api/v1/chart/data", of_chart(), who="guest:audience"
    ),
    guest("guest token of another type", "/api/v1/chart/data", of_chart(), who="guest:type"),
    guest(
        "guest token signed with the key of sessions",
        "/api/v1/chart/data",
        of_chart(),
        who="guest:session",
    ),
    guest("guest of another dashboard", "/api/v1/chart/data", of_chart(), who="guest:other"),
    guest("guest without a chart", "/api/v1/chart/data", as_kind("full", metrics=["count"])),
    guest("guest with another metric", "/api/v1/chart/data", of_chart(metrics=["cancelled"])),
    guest("guest with another column", "/api/v1/chart/data", of_chart(columns=["carrier"])),
    guest("guest with SQL", "/api/v1/chart/data", of_chart(metrics=[sql("MAX(tail_number)")])),
    guest(
        "guest with a condition of SQL",
        "/api/v1/chart/data",
        of_chart(extras={"where": "carrier = 'B6'"}),
    ),
    guest(
        "guest's rule over a hidden column",
        "/api/v1/chart/data",
        of_chart(),
        who="guest:hidden",
        by="server",
        words="tail_number",
    ),
    guest(
        "guest's rule with a sub-query",
        "/api/v1/chart/data",
        of_chart(),
        who="guest:subquery",
        by="server",
    ),
    guest(
        "guest's rule with a second statement",
        "/api/v1/chart/data",
        of_chart(),
        who="guest:statement",
        by="server",
    ),
    guest(
        "guest with a filter of SQL",
        "/api/v1/chart/data",
        of_chart(filters=[{"col": sql("carrier"), "op": "==", "val": "B6"}]),
    ),
    guest(
        "guest as a filter of the dashboard",
        "/api/v1/chart/data",
        lambda g: (
            ask(g.dataset, columns=["carrier"])
            | {
                "form_data": {
                    "dashboardId": g.dashboard,
                    "type": "NATIVE_FILTER",
                    "native_filter_id": "x",
                }
            }
        ),
    ),
    guest("guest by the old door", "/superset/explore_json/?form_data={{}}", method="GET"),
    guest(
        "guest asks for another token",
        "/api/v1/security/guest_token/",
        {"user": {}, "resources": [], "rls": []},
    ),
    guest("guest reads another dashboard", "/api/v1/dashboard/{other_dashboard}", method="GET"),
    guest(
        "guest reads another's charts", "/api/v1/dashboard/{other_dashboard}/charts", method="GET"
    ),
    guest("guest reads another's dataset", "/api/v1/dataset/1", method="GET"),
    guest(
        "guest makes a chart",
        "/api/v1/chart/",
        {"slice_name": "x", "datasource_id": 1, "datasource_type": "table"},
    ),
    guest(
        "guest opens SQL Lab",
        "/api/v1/sqllab/execute/",
        lambda g: {"database_id": g.database, "sql": "SELECT 1"},
    ),
    guest("guest lists users", "/api/v1/security/users/", method="GET"),
    guest("guest exports", "/api/v1/dashboard/export/?q=!({dashboard})", method="GET"),
    guest(
        "guest takes samples",
        "/api/v1/chart/data",
        lambda g: {**of_chart()(g), "result_type": "samples"},
    ),
)
