"""Ready answers: the same bytes for the same request, as long as nothing has changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.auth import make_token
from semantic.snapshot import QualityState, write_checks
from tests.unit.api.conftest import SECRET, Server, make_site, publish, run_server, wait_until
from tests.unit.api.test_graphql_live import publish_more

LOAD = "/cubejs-api/v1/load"
COUNT: dict[str, Any] = {"measures": ["sales.count"], "dimensions": ["sales.is_online"]}
POLICY = """
    access_policy:
      - {group: analysts, row_level: {allow_all: true}}
      - {group: web, row_level: {filters: [{member: is_online, operator: equals, values: [true]}]}}
"""


@pytest.fixture(name="own", scope="module")
def run_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over a site of its own, in which who is of `web` sees online sales only."""
    folder = tmp_path_factory.mktemp("ready")
    site = make_site(folder)
    model = site.project / "semantic" / "model" / "sales.yml"
    text = model.read_text()
    model.write_text(
        text.replace(
            "    segments:\n      - {name: heavy", POLICY + "    segments:\n      - {name: heavy", 1
        )
    )
    publish(site)
    with run_server(site, folder) as running:
        yield running


def count(server: Server, outcome: str = "ready") -> int:
    """Return how many answers came from there since the server began."""
    page = httpx.get(f"{server.url}/metrics").text
    found = re.search(rf'^ducat_answers_total{{cache="{outcome}"}} ([\d.]+)', page, re.MULTILINE)
    return int(float(found[1])) if found else 0


def ask(server: Server, query: dict[str, Any] = COUNT, **headers: str) -> Any:
    """Ask with GET."""
    response = server.client.get(LOAD, params={"query": json.dumps(query)}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_third_of_equal_requests_is_ready(own: Server) -> None:
    before = [count(own, outcome) for outcome in ("miss", "hit", "ready")]
    answers = [ask(own) for _ in range(5)]
    assert [answer["ducat"]["cache"] for answer in answers] == ["miss", *["hit"] * 4]
    after = [count(own, outcome) for outcome in ("miss", "hit", "ready")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 3]
    expected = own.site.ask("SELECT is_online, count(*) FROM gold.fct_sale GROUP BY 1")
    for answer in answers:
        rows = {(row["sales.is_online"], row["sales.count"]) for row in answer["data"]}
        assert rows == {(online, str(number)) for online, number in expected}
        assert {**answer, "ducat": None} == {**answers[0], "ducat": None}


def test_posts_are_ready_too_and_have_ids_of_their_own(own: Server) -> None:
    before = count(own)
    body = {"query": COUNT | {"limit": 7}}
    ids = []
    for number in range(4):
        given = {"x-request-id": f"post-{number}"} if number % 2 else {}
        answer = own.client.post(LOAD, json=body, headers=given)
        ids.append(answer.headers["x-request-id"])
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["cache-control"] == "no-store"
    assert count(own) - before == 2
    assert len(set(ids)) == 4
    log = (own.site.home / "query-log.ndjson").read_text().splitlines()[-4:]
    lines = [json.loads(line) for line in log]
    assert [line["requestId"] for line in lines] == ids
    assert {(line["user"], line["rows"], line["code"]) for line in lines} == {("ann", 3, "ok")}
    assert all(line["members"] == ["sales.is_online", "sales.count"] for line in lines)


def test_graphql_is_ready_too(own: Server) -> None:
    before = count(own)
    text = "query Q($n: Int) { cube(limit: $n) { sales { count is_online } } }"
    answers = [own.graphql(text, n=2) for _ in range(4)]
    assert count(own) - before == 2
    assert all(answer["data"] == answers[0]["data"] for answer in answers)
    assert own.graphql(text, n=1)["data"] != answers[0]["data"]
    for _ in range(3):
        assert "errors" in own.graphql("{ cube { sales { nothing } } }")
    computed = count(own, "miss")
    for _ in range(3):
        assert own.graphql('{ cube(cache: "no-cache") { sales { online } } }')["data"]
    assert count(own, "miss") - computed == 3
    assert count(own) - before == 2


def test_every_door_says_where_its_answers_came_from(own: Server) -> None:
    def ask_sql(**more: str) -> None:
        body = {"query": "SELECT MEASURE(online) FROM shop_sales", **more}
        answer = own.client.post("/cubejs-api/v1/cubesql", json=body)
        assert answer.status_code == 200, answer.text

    def ask_arrow(**more: str) -> None:
        form = {"accept": "application/vnd.apache.arrow.stream"}
        answer = own.client.post(LOAD, json={"query": COUNT | {"limit": 3}, **more}, headers=form)
        assert answer.status_code == 200, answer.text

    for ask_it in (ask_sql, ask_arrow):
        before = [count(own, outcome) for outcome in ("miss", "hit")]
        ask_it()
        ask_it()
        ask_it(cache="no-cache")
        after = [count(own, outcome) for outcome in ("miss", "hit")]
        assert [b - a for a, b in zip(before, after, strict=True)] == [2, 1]


def test_callers_never_share(own: Server) -> None:
    tokens = {
        group: make_token(SECRET, user=group, groups=(group,)) for group in ("analysts", "web")
    }
    online = own.site.ask("SELECT count(*) FROM gold.fct_sale WHERE is_online")[0][0]
    before = count(own)
    for _ in range(4):
        for group, number in (("analysts", 400), ("web", online)):
            found = ask(own, {"measures": ["sales.count"]}, authorization=tokens[group])
            assert found["data"] == [{"sales.count": str(number)}]
    assert count(own) - before == 4
    wrong = own.client.get(
        LOAD,
        params={"query": json.dumps({"measures": ["sales.count"]})},
        headers={"authorization": tokens["web"][:-2]},
    )
    assert wrong.status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        {"measures": ["sales.count"], "timeDimensions": [{"dimension": "sales.sold_at", "dateRange": "last week"}]},
        {"measures": ["sales.count"], "cache": "no-cache"},
    ],
    ids=["of the clock", "computed each time"],
)  # fmt: skip
def test_what_may_differ_each_time_is_never_ready(own: Server, query: dict[str, Any]) -> None:
    before = count(own)
    for _ in range(4):
        ask(own, query)
    assert count(own) == before


def test_a_token_that_has_ended_gets_nothing(own: Server) -> None:
    before = count(own)
    token = make_token(SECRET, user="eve", groups=("analysts",), expires_in=timedelta(seconds=-26))
    for _ in range(3):  # within the skew of 30 seconds
        assert ask(own, authorization=token)["data"]
    assert count(own) == before

    def is_refused() -> bool:
        answer = own.client.get(
            LOAD, params={"query": json.dumps(COUNT)}, headers={"authorization": token}
        )
        return answer.status_code == 403

    wait_until(is_refused)


def test_ready_answers_count_against_the_caller(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    publish(site)
    with run_server(site, tmp_path, DUCAT_CALLER_RATE="5") as server:
        params = {"query": json.dumps(COUNT)}
        codes = [server.client.get(LOAD, params=params).status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2


def test_nothing_is_ready_without_memory_for_answers(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    publish(site)
    with run_server(site, tmp_path, DUCAT_CACHE_BYTES="0") as server:
        assert {ask(server)["ducat"]["cache"] for _ in range(4)} == {"off"}
        assert count(server, "ready") == 0


def test_new_tables_and_new_checks_are_seen_at_once(own: Server) -> None:
    before = count(own)
    total = {"measures": ["sales.count"], "limit": 5}
    for _ in range(3):
        assert ask(own, total)["data"] == [{"sales.count": "400"}]
    publish_more(own.site)
    for _ in range(3):
        assert ask(own, total)["data"] == [{"sales.count": "401"}]
    assert count(own) - before == 2
    failed = QualityState("failed", datetime(2030, 1, 1, tzinfo=UTC), ("rows",))
    write_checks(own.site.database.parent, {"fct_sale": failed})
    assert [item["table"] for item in ask(own, total)["ducat"]["newestCheck"]] == ["fct_sale"]


def test_a_new_model_is_seen_when_it_is_in_service(own: Server) -> None:
    for _ in range(3):
        ask(own)
    model = own.site.project / "semantic" / "model" / "sales.yml"
    model.write_text(model.read_text().replace("title: Sales", "title: Sold", 1))

    def is_new() -> bool:
        annotation = ask(own)["annotation"]["measures"]["sales.count"]
        return bool(annotation["title"] == "Sold Count")

    wait_until(is_new)
