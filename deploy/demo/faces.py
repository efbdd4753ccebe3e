"""The same metric, asked at every door. Each function returns the number as that face gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg

from deploy.demo.metrics import Metric
from deploy.demo.ports import LOOPBACK
from deploy.errors import ProcessFailedError
from semantic.project import Project
from semantic.query.context import SecurityContext
from semantic.query.query import MemberFilter, Query
from semantic.service import SemanticLayer

Face = Callable[[Metric], float]
SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the running demo answers, and the secrets it generated."""

    project: Path
    serving: Path
    ducat_url: str
    postgres_port: int
    token: str
    superset_url: str
    superset_user: str
    superset_password: str


def ask_rest(doors: Doors, metric: Metric) -> float:
    """Ask Cube's `load`."""
    query: dict[str, Any] = {"measures": [f"{metric.view}.{metric.measure}"]}
    if metric.filter_member:
        query["filters"] = [
            {
                "member": f"{metric.view}.{metric.filter_member}",
                "operator": "equals",
                "values": [metric.filter_value],
            }
        ]
    answer = _post(doors, "/cubejs-api/v1/load", {"query": query})
    return float(answer["data"][0][f"{metric.view}.{metric.measure}"])


def ask_graphql(doors: Doors, metric: Metric) -> float:
    """Ask GraphQL."""
    where = (
        f'(where: {{{metric.filter_member}: {{equals: "{metric.filter_value}"}}}})'
        if metric.filter_member
        else ""
    )
    text = f"{{ cube {{ {metric.view}{where} {{ {metric.measure} }} }} }}"
    answer = _post(doors, "/graphql", {"query": text})
    return float(answer["data"]["cube"][0][metric.view][metric.measure])


def ask_sql(doors: Doors, metric: Metric) -> float:
    """Ask the SQL door that Superset's plug-in uses."""
    answer = _post(doors, "/ducat/v1/sql", {"sql": _write_sql(metric)})
    return float(answer["rows"][0][0])


def ask_postgres(doors: Doors, metric: Metric) -> float:
    """Ask over the Postgres wire, as psql and BI tools do; the token is the password."""
    with psycopg.connect(
        host=LOOPBACK,
        port=doors.postgres_port,
        user="token",
        password=doors.token,
        dbname="ducat",
        connect_timeout=SECONDS,
    ) as connection:
        row = connection.execute(_write_sql(metric).encode()).fetchone()
    if row is None:
        raise ProcessFailedError(f"the Postgres wire gave no row for {metric.measure}")
    return float(row[0])


def ask_python(doors: Doors, metric: Metric) -> float:
    """Ask in this process, over the served file."""
    filters = (
        (MemberFilter(f"{metric.view}.{metric.filter_member}", "equals", (metric.filter_value,)),)
        if metric.filter_member
        else ()
    )
    layer = SemanticLayer.open(Project.open(doors.project), serving=doors.serving)
    try:
        query = Query(measures=(f"{metric.view}.{metric.measure}",), filters=filters)
        result = layer.load(query, SecurityContext(user="demo"), now=datetime.now(UTC))
    finally:
        layer.close()
    return float(result.table.column(0)[0].as_py())


def ask_superset(doors: Doors, metric: Metric) -> float:
    """Ask Superset for a chart's data, as a dashboard does."""
    with httpx.Client(base_url=doors.superset_url, timeout=SECONDS) as client:
        client.headers["Accept"] = "application/json"
        login = client.post(
            "/api/v1/security/login",
            json={
                "username": doors.superset_user,
                "password": doors.superset_password,
                "provider": "db",
                "refresh": False,
            },
        ).raise_for_status()
        client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        found = client.get(
            "/api/v1/dataset/",
            params={"q": f"(filters:!((col:table_name,opr:eq,value:{metric.view})))"},
        ).raise_for_status()
        dataset = found.json()["result"][0]["id"]
        filters = (
            [{"col": metric.filter_member, "op": "==", "val": metric.filter_value}]
            if metric.filter_member
            else []
        )
        answer = client.post(
            "/api/v1/chart/data",
            json={
                "datasource": {"id": dataset, "type": "table"},
                "queries": [
                    {
                        "metrics": [metric.measure],
                        "columns": [],
                        "filters": filters,
                        "orderby": [],
                        "row_limit": 10,
                    }
                ],
                "result_format": "json",
                "result_type": "full",
                "force": True,
            },
        )
    document = answer.json()
    if answer.is_error:
        raise ProcessFailedError(f"Superset refused {metric.measure}: {document}")
    return float(document["result"][0]["data"][0][metric.measure])


FACES: Final[Mapping[str, Callable[[Doors, Metric], float]]] = {
    "REST": ask_rest,
    "GraphQL": ask_graphql,
    "SQL": ask_sql,
    "Postgres": ask_postgres,
    "Python": ask_python,
    "Superset": ask_superset,
}


def _write_sql(metric: Metric) -> str:
    where = (
        f" WHERE {metric.filter_member} = '{metric.filter_value}'" if metric.filter_member else ""
    )
    return f"SELECT MEASURE({metric.measure}) AS m FROM {metric.view}{where}"  # noqa: S608


def _post(doors: Doors, path: str, body: Mapping[str, Any]) -> Any:
    answer = httpx.post(
        doors.ducat_url + path,
        json=body,
        headers={"Authorization": f"Bearer {doors.token}"},
        timeout=SECONDS,
    )
    if answer.is_error:
        raise ProcessFailedError(f"{path} answered {answer.status_code}: {answer.text[:500]}")
    document = answer.json()
    if "errors" in document or "error" in document:
        raise ProcessFailedError(f"{path} answered {answer.text[:500]}")
    return document
