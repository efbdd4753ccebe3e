"""A dashboard in somebody else's page: real SDK, real Chromium, the guest's rows and no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import duckdb
import httpx
import pytest

from tests.e2e.superset.browser import Browser
from tests.e2e.superset.conftest import PASSWORD, ROOT, Published
from tests.e2e.superset.door import open_door, sign_in
from tests.e2e.superset.embedding_page import read_frame, serve
from tests.e2e.superset.guarded import Guarded, ask, count_rows

CARRIER = "carrier = 'B6'"


@pytest.fixture(scope="module")
def emma(superset: Published, guarded: Guarded) -> Iterator[httpx.Client]:
    """The service account of the page that embeds."""
    assert guarded.embedded
    with_cookie = sign_in(superset.url, "emma", PASSWORD)
    yield with_cookie
    with_cookie.close()


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium of somebody who has no account."""
    with Browser(tmp_path_factory.mktemp("visitor") / "chromium", width=1200, height=900) as page:
        yield page


def _grant(emma: httpx.Client, board: str, *rules: str, user: str = "gus") -> str:
    answer = emma.post(
        "/api/v1/security/guest_token/",
        json={
            "user": {"username": user},
            "resources": [{"type": "dashboard", "id": board}],
            "rls": [{"clause": rule} for rule in rules],
        },
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def _chart_data(guarded: Guarded, **query: Any) -> dict[str, Any]:
    whole = {"columns": ["origin"], "metrics": ["count"], **query}
    return ask(guarded.dataset, **whole) | {
        "form_data": {"dashboardId": guarded.dashboard, "slice_id": guarded.chart}
    }


def _expected(gold: duckdb.DuckDBPyConnection, *origins: str) -> dict[str, int]:
    return {origin: count_rows(gold, f"origin = '{origin}' and {CARRIER}") for origin in origins}


def test_a_page_shows_the_dashboard_with_the_guests_rows(
    superset: Published,
    guarded: Guarded,
    gold: duckdb.DuckDBPyConnection,
    emma: httpx.Client,
    visitor: Browser,
) -> None:
    with serve(superset.embed_origin, lambda: _grant(emma, guarded.embedded, CARRIER)):
        visitor.open(
            f"{superset.embed_origin}/?id={guarded.embedded}&superset={quote(superset.url)}"
        )
        visitor.wait_for("window.embedded === true", seconds=120)
        expected = _expected(gold, "JFK", "EWR")
        shown = visitor.wait(
            lambda: (text := read_frame(visitor)) and "JFK" in text and "EWR" in text and text,
            "the chart's rows in the frame",
            seconds=120,
        )
        visitor.screenshot(ROOT / ".ducat" / "screenshots" / "embedded.png")
    assert "LGA" not in shown
    for number in expected.values():
        assert str(number) in shown.split()
    asked = [a for a in visitor.answers if urlsplit(a.url).path == "/api/v1/chart/data"]
    rows = [row for a in asked for row in visitor.body(a)["result"][0]["data"]]
    assert {row["origin"]: row["count"] for row in rows} == expected


def test_a_guest_may_narrow_a_chart_by_a_dimension(
    superset: Published, guarded: Guarded, gold: duckdb.DuckDBPyConnection, emma: httpx.Client
) -> None:
    token = _grant(emma, guarded.embedded, CARRIER)
    narrowed = _chart_data(guarded, filters=[{"col": "origin", "op": "==", "val": "EWR"}])
    with open_door(superset.url, **{"X-GuestToken": token}) as guest:
        answer = guest.post("/api/v1/chart/data", json=narrowed)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["result"][0]["data"]
    assert {row["origin"]: row["count"] for row in rows} == _expected(gold, "EWR")


def test_a_guest_with_a_users_name_is_not_that_user(
    superset: Published, guarded: Guarded, gold: duckdb.DuckDBPyConnection, emma: httpx.Client
) -> None:
    """Neither for the metrics server nor for the cache: the user has asked the same before."""
    question = _chart_data(guarded)
    with closing(sign_in(superset.url, "ben", PASSWORD)) as ben:
        seen = ben.post("/api/v1/chart/data", json=question).json()["result"][0]["data"]
    assert {row["origin"] for row in seen} == {"EWR"}
    token = _grant(emma, guarded.embedded, user="ben")
    with open_door(superset.url, **{"X-GuestToken": token}) as guest:
        answer = guest.post("/api/v1/chart/data", json=question).json()["result"][0]
    expected = {origin: count_rows(gold, f"origin = '{origin}'") for origin in ("JFK", "EWR")}
    assert {row["origin"]: row["count"] for row in answer["data"]} == expected
    assert not answer["is_cached"]


def test_two_guests_with_other_rules_share_no_kept_answer(
    superset: Published, guarded: Guarded, gold: duckdb.DuckDBPyConnection, emma: httpx.Client
) -> None:
    for carrier in ("DL", "UA", "DL", "UA"):
        token = _grant(emma, guarded.embedded, f"carrier = '{carrier}'", user="twin")
        with open_door(superset.url, **{"X-GuestToken": token}) as guest:
            answer = guest.post("/api/v1/chart/data", json=_chart_data(guarded))
        rows = answer.json()["result"][0]["data"]
        condition = f"carrier = '{carrier}' and origin in ('JFK', 'EWR')"
        assert sum(row["count"] for row in rows) == count_rows(gold, condition)


def test_a_dashboard_is_framed_by_the_named_origin_only(
    superset: Published, guarded: Guarded
) -> None:
    page = f"/embedded/{guarded.embedded}"
    with open_door(superset.url) as nobody:
        named = nobody.get(page, headers={"Referer": superset.embed_origin + "/"})
        assert named.status_code == 200
        policy = named.headers["content-security-policy"]
        assert f"frame-ancestors 'self' {superset.embed_origin}" in policy
        assert "x-frame-options" not in named.headers
        for other in ("http://evil.localhost/", ""):
            assert nobody.get(page, headers={"Referer": other}).status_code == 403


def test_a_page_of_another_origin_shows_nothing(
    superset: Published,
    guarded: Guarded,
    emma: httpx.Client,
    visitor: Browser,
    tmp_path: Path,
) -> None:
    other = superset.embed_origin.replace("127.0.0.1", "localhost")
    with serve(superset.embed_origin, lambda: _grant(emma, guarded.embedded)):
        visitor.answers.clear()
        visitor.open(f"{other}/?id={guarded.embedded}&superset={quote(superset.url)}")
        visitor.wait_for("document.querySelector('iframe') !== null")
        visitor.wait(
            lambda: visitor.run("true") and any("/embedded/" in a.url for a in visitor.answers),
            "an answer",
            seconds=120,
        )
    assert [a.status for a in visitor.answers if "/embedded/" in a.url] == [403]
    assert not [a for a in visitor.answers if "/chart/data" in a.url]
    visitor.screenshot(tmp_path / "refused.png")
