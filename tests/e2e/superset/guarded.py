"""A guarded model of its own, and the people of Superset who may see different rows of it.

    ann (group `jfk`)  flights from JFK          vic (group `jfk`, a Viewer)  the same
    ben (group `ewr`)  flights from EWR          stella (Steward, no group)   nothing
    guests             flights from JFK and EWR, members `count`, `origin`, `carrier`, `flight_date`

`tail_number` and `total_distance` are hidden from all of them by policy, `remark` by the model; its
values begin with MARK. The database of Superset is called "Guarded"; who may use it has the role
"Guarded reader" besides one of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from dashboards.bundle import source_uri
from dashboards.client import SupersetClient
from dashboards.roles import EMBEDDER, EXPLORER, STEWARD, VIEWER

MARK: Final = "TOPSECRET"
DATABASE: Final = "Guarded"
READER: Final = "Guarded reader"
SLUG: Final = "guarded"
MODEL: Final = """
cubes:
  - name: flown
    sql_table: gold.fct_flights
    dimensions:
      - {name: flight_key, type: string, sql: "{CUBE}.flight_key", primary_key: true}
      - {name: flight_date, type: time, sql: "{CUBE}.flight_date"}
      - {name: origin, type: string, sql: "{CUBE}.origin"}
      - {name: carrier, type: string, sql: "{CUBE}.carrier"}
      - {name: tail_number, type: string, sql: "{CUBE}.tail_number"}
      - {name: remark, type: string, sql: "'TOPSECRET-' || {CUBE}.tail_number", public: false}
      - {name: formula, type: string, sql: "'=cmd|''/C calc''!A0'"}
    measures:
      - {name: count, type: count}
      - {name: cancelled, type: count, filters: [{sql: "{CUBE}.is_cancelled"}]}
      - {name: total_distance, type: sum, sql: "{CUBE}.distance_miles"}
    access_policy:
      - group: "superset:Admin"
        row_level: {allow_all: true}
      - group: jfk
        member_level: {excludes: [tail_number, total_distance, remark]}
        row_level: {filters: [{member: origin, operator: equals, values: [JFK]}]}
      - group: ewr
        member_level: {excludes: [tail_number, total_distance, remark]}
        row_level: {filters: [{member: origin, operator: equals, values: [EWR]}]}
      - group: "superset:Embedded"
        member_level: {includes: [count, origin, carrier, flight_date]}
        row_level: {filters: [{member: origin, operator: equals, values: [JFK, EWR]}]}
views:
  - name: flown_flights
    cubes:
      - {join_path: flown, includes: "*"}
"""
USERS: Final = {
    "ann": ((EXPLORER, READER), ("jfk",)),
    "ben": ((EXPLORER, READER), ("ewr",)),
    "vic": ((VIEWER, READER), ("jfk",)),
    "stella": ((STEWARD, READER), ()),
    "emma": ((EMBEDDER,), ()),
}


@dataclass(frozen=True, slots=True)
class Guarded:
    """Superset's numbers of what was made on the guarded database."""

    database: int
    dataset: int
    chart: int
    dashboard: int
    other_dashboard: int
    embedded: str
    other_embedded: str
    group: int


def write_project(folder: Path) -> Path:
    """Write a project with the guarded model and return its folder."""
    model = folder / "semantic" / "model"
    model.mkdir(parents=True)
    (model / "flown.yml").write_text(MODEL)
    return folder


def count_rows(gold: duckdb.DuckDBPyConnection, condition: str) -> int:
    """Return how many flights there are, counted by SQL."""
    found = gold.execute(f"select count(*) from gold.fct_flights where {condition}").fetchone()
    assert found is not None
    return int(found[0])


def set_up(
    admin: SupersetClient, *, url: str, token: str, password: str, origins: Iterable[str]
) -> Guarded:
    """Make the database, a dataset, two dashboards that may be embedded, groups and people."""
    database = int(
        admin.post(
            "/api/v1/database/",
            {
                "database_name": DATABASE,
                "sqlalchemy_uri": source_uri(url, "superset", token),
                "impersonate_user": True,
                "expose_in_sqllab": False,
            },
        )["id"]
    )
    dataset = int(
        admin.post(
            "/api/v1/dataset/",
            {"database": database, "schema": "public", "table_name": "flown_flights"},
        )["id"]
    )
    chart = _add_chart(admin, dataset, "Guarded flights by origin")
    other = _add_chart(admin, dataset, "Guarded flights, elsewhere")
    dashboard = _add_dashboard(admin, "Guarded", SLUG, chart)
    other_dashboard = _add_dashboard(admin, "Elsewhere", "elsewhere", other)
    allowed = list(origins)
    embedded, other_embedded = (
        str(
            admin.post(f"/api/v1/dashboard/{number}/embedded", {"allowed_domains": allowed})[
                "result"
            ]["uuid"]
        )
        for number in (dashboard, other_dashboard)
    )
    access = next(
        int(row["id"])
        for row in admin.rows("/api/v1/security/permissions-resources/")
        if row["permission"]["name"] == "database_access"
        and row["view_menu"]["name"] == f"[{DATABASE}].(id:{database})"
    )
    reader = int(admin.post("/api/v1/security/roles/", {"name": READER})["id"])
    admin.post(
        f"/api/v1/security/roles/{reader}/permissions", {"permission_view_menu_ids": [access]}
    )
    groups = {
        name: int(
            admin.post(
                "/api/v1/security/groups/",
                {"name": name, "label": name, "description": "", "roles": [], "users": []},
            )["id"]
        )
        for name in ("jfk", "ewr")
    }
    roles = {str(row["name"]): int(row["id"]) for row in admin.rows("/api/v1/security/roles/")}
    for name, (given, belongs) in USERS.items():
        admin.post(
            "/api/v1/security/users/",
            {
                "username": name,
                "first_name": name,
                "last_name": "Guarded",
                "email": f"{name}@guarded.localhost",
                "password": password,
                "active": True,
                "roles": [roles[role] for role in given],
                "groups": [groups[group] for group in belongs],
            },
        )
    return Guarded(
        database, dataset, chart, dashboard, other_dashboard, embedded, other_embedded,
        groups["ewr"],
    )  # fmt: skip


def ask(dataset: int, **query: Any) -> dict[str, Any]:
    """Return the body of a question to `chart/data`; equal questions have equal cache keys."""
    return {
        "datasource": {"id": dataset, "type": "table"},
        "force": False,
        "queries": [{"columns": [], "metrics": [], "row_limit": 1000, **query}],
        "result_format": "json",
        "result_type": "full",
    }


def _add_chart(admin: SupersetClient, dataset: int, name: str) -> int:
    params = {
        "viz_type": "table",
        "datasource": f"{dataset}__table",
        "query_mode": "aggregate",
        "groupby": ["origin"],
        "metrics": ["count"],
        "row_limit": 100,
        "adhoc_filters": [],
        "column_config": {"count": {"d3NumberFormat": "d"}},
    }
    made = admin.post(
        "/api/v1/chart/",
        {
            "slice_name": name,
            "viz_type": "table",
            "datasource_id": dataset,
            "datasource_type": "table",
            "params": json.dumps(params),
            "query_context": json.dumps(
                ask(dataset, columns=["origin"], metrics=["count"]) | {"form_data": params}
            ),
        },
    )
    return int(made["id"])


def _add_dashboard(admin: SupersetClient, title: str, slug: str, chart: int) -> int:
    key = f"CHART-{chart}"
    position = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {
            "type": "GRID", "id": "GRID_ID", "children": ["ROW-1"], "parents": ["ROOT_ID"],
        },
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": title}},
        "ROW-1": {
            "type": "ROW", "id": "ROW-1", "children": [key], "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        },
        key: {
            "type": "CHART", "id": key, "children": [], "parents": ["ROOT_ID", "GRID_ID", "ROW-1"],
            "meta": {"chartId": chart, "width": 8, "height": 50, "sliceName": title},
        },
    }  # fmt: skip
    number = int(
        admin.post(
            "/api/v1/dashboard/",
            {
                "dashboard_title": title,
                "slug": slug,
                "published": True,
                "position_json": json.dumps(position),
            },
        )["id"]
    )
    admin.put(f"/api/v1/chart/{chart}", {"dashboards": [number]})
    return number
