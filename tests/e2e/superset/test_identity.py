"""Who a person is reaches the access policies, and no kept answer of one is shown to another.

`ann` sees JFK and `ben` EWR, both through one dataset, and both ask the same questions in turn.
Caches are on: the second time each has an own kept answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import httpx
import pytest

from tests.e2e.superset.conftest import PASSWORD, Published, Server
from tests.e2e.superset.door import sign_in
from tests.e2e.superset.guarded import Guarded, ask, count_rows

PEOPLE = {"ann": "JFK", "ben": "EWR"}


@pytest.fixture(scope="module")
def people(superset: Published, guarded: Guarded) -> Iterator[dict[str, httpx.Client]]:
    assert guarded.dataset
    clients = {name: sign_in(superset.url, name, PASSWORD) for name in PEOPLE}
    yield clients
    for client in clients.values():
        client.close()


def _result(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/api/v1/chart/data", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"][0]
    return result


def test_two_people_never_see_each_others_kept_rows(
    people: dict[str, httpx.Client], guarded: Guarded, gold: duckdb.DuckDBPyConnection
) -> None:
    body = ask(guarded.dataset, columns=["origin"], metrics=["count", "cancelled"])
    cached: dict[str, list[bool]] = {name: [] for name in PEOPLE}
    keys: dict[str, str] = {}
    for _ in range(3):
        for name, origin in PEOPLE.items():
            result = _result(people[name], body)
            condition = f"origin = '{origin}'"
            assert result["data"] == [
                {
                    "origin": origin,
                    "count": count_rows(gold, condition),
                    "cancelled": count_rows(gold, f"{condition} and is_cancelled"),
                }
            ]
            cached[name].append(bool(result["is_cached"]))
            keys[name] = result["cache_key"]
    # It is the cache that is tested: from the second time on the answers came out of it.
    assert cached == {name: [False, True, True] for name in PEOPLE}
    assert len(set(keys.values())) == len(PEOPLE)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_what_is_taken_along_is_ones_own(
    people: dict[str, httpx.Client], guarded: Guarded, kind: str
) -> None:
    body = ask(guarded.dataset, columns=["origin"], metrics=["count"]) | {"result_format": kind}
    for _ in range(2):
        for name, origin in PEOPLE.items():
            text = people[name].post("/api/v1/chart/data", json=body).text
            (other,) = set(PEOPLE.values()) - {origin}
            assert (origin in text, other in text) == (True, False)


def test_a_chart_by_its_number_shows_ones_own(
    people: dict[str, httpx.Client], guarded: Guarded
) -> None:
    for _ in range(2):
        for name, origin in PEOPLE.items():
            answer = people[name].get(f"/api/v1/chart/{guarded.chart}/data/")
            rows = answer.json()["result"][0]["data"]
            assert [row["origin"] for row in rows] == [origin]


def test_filters_offer_ones_own_values(people: dict[str, httpx.Client], guarded: Guarded) -> None:
    address = f"/api/v1/datasource/table/{guarded.dataset}/column/origin/values/"
    native = ask(guarded.dataset, columns=["origin"]) | {
        "form_data": {"type": "NATIVE_FILTER", "native_filter_id": "f", "dashboardId": 1}
    }
    for _ in range(2):
        for name, origin in PEOPLE.items():
            assert people[name].get(address).json()["result"] == [origin]
            assert _result(people[name], native)["data"] == [{"origin": origin}]


@pytest.mark.parametrize("kind", ["samples", "drill_detail"])
def test_rows_behind_a_number_are_refused_or_ones_own(
    people: dict[str, httpx.Client], guarded: Guarded, kind: str
) -> None:
    """The dataset has columns that a policy hides; what asks for them all is refused as a whole."""
    for name, columns in (("ann", []), ("ben", []), ("ann", ["origin"]), ("ben", ["origin"])):
        body = ask(guarded.dataset, columns=columns) | {"result_type": kind}
        answer = people[name].post("/api/v1/chart/data", json=body)
        (other,) = set(PEOPLE.values()) - {PEOPLE[name]}
        assert other not in answer.text
        if answer.status_code != 400:
            rows = answer.json()["result"][0]["data"]
            assert {row["origin"] for row in rows} == {PEOPLE[name]}


def test_time_comparison_has_an_own_kept_answer_too(
    people: dict[str, httpx.Client], guarded: Guarded, gold: duckdb.DuckDBPyConnection
) -> None:
    day = {"columnType": "BASE_AXIS", "sqlExpression": "flight_date", "label": "flight_date",
           "expressionType": "SQL", "timeGrain": "P1D"}  # fmt: skip
    body = ask(
        guarded.dataset,
        columns=[day],
        metrics=["count"],
        granularity="flight_date",
        time_range="2013-02-11 : 2013-02-13",
        time_offsets=["1 day ago"],
    )
    for _ in range(2):
        for name, origin in PEOPLE.items():
            rows = _result(people[name], body)["data"]
            found = sorted((row["count"], row["count__1 day ago"]) for row in rows)
            expected = sorted(
                tuple(
                    count_rows(gold, f"origin = '{origin}' and flight_date = date '{date}'")
                    for date in dates
                )
                for dates in (("2013-02-11", "2013-02-10"), ("2013-02-12", "2013-02-11"))
            )
            assert found == expected


def test_no_header_or_parameter_of_ones_own_makes_another_person(
    people: dict[str, httpx.Client], guarded: Guarded
) -> None:
    body = ask(guarded.dataset, columns=["origin"], metrics=["count"]) | {"force": True}
    forged = {
        "X-Ducat-User": "ben",
        "X-Ducat-Groups": '["ewr"]',
        "X-Forwarded-User": "ben",
        "Remote-User": "ben",
        "X-GuestToken": "ben",
    }
    for path in ("/api/v1/chart/data", "/api/v1/chart/data?username=ben&groups=ewr"):
        answer = people["ann"].post(
            path, json=body | {"username": "ben", "groups": ["ewr"]}, headers=forged
        )
        text = answer.text
        assert (answer.status_code == 200 and "JFK" in text) or answer.status_code == 400, text
        assert "EWR" not in text


def test_a_change_of_groups_holds_at_once(
    superset: Published, guarded: Guarded, people: dict[str, httpx.Client]
) -> None:
    """An answer that was kept for the groups before is not shown again."""
    body = ask(guarded.dataset, columns=["origin", "carrier"], metrics=["count"])
    seen = {row["origin"] for _ in range(2) for row in _result(people["ann"], body)["data"]}
    assert seen == {"JFK"}
    with superset.admin() as admin:
        ann = next(u for u in admin.rows("/api/v1/security/users/") if u["username"] == "ann")
        own = [group["id"] for group in ann["groups"]]
        admin.put(f"/api/v1/security/users/{ann['id']}", {"groups": [guarded.group]})
        try:
            moved = _result(people["ann"], body)["data"]
        finally:
            admin.put(f"/api/v1/security/users/{ann['id']}", {"groups": own})
    assert {row["origin"] for row in moved} == {"EWR"}
    assert {row["origin"] for row in _result(people["ann"], body)["data"]} == {"JFK"}


def test_the_query_log_says_who_asked_and_through_what(superset: Published, server: Server) -> None:
    with superset.client("nina") as nina:
        dataset = next(
            int(row["id"])
            for row in nina.rows("/api/v1/dataset/")
            if row["table_name"] == "weather_hourly"
        )
        nina.post(
            "/api/v1/chart/data",
            ask(dataset, metrics=["max_wind_gust"]) | {"force": True},
        )
    lines = [json.loads(line) for line in server.query_log.read_text().splitlines()]
    mine = [line for line in lines if line["members"] == ["weather_hourly.max_wind_gust"]]
    assert [(line["user"], line["via"]) for line in mine] == [("nina", "superset")]
