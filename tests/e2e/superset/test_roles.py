"""Roles are code: what each may do is asked of Superset's API, as somebody who has the role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import httpx
import pytest

from dashboards.roles import EMBEDDED, EMBEDDER, EXPLORER, STEWARD, VIEWER
from tests.e2e.superset.conftest import PASSWORD, Published
from tests.e2e.superset.door import sign_in
from tests.e2e.superset.guarded import Guarded, ask

Door: TypeAlias = Callable[[str], httpx.Client]
WHO = {VIEWER: "vic", EXPLORER: "ann", STEWARD: "stella", EMBEDDER: "emma", "Admin": "admin"}
# A row per deed, a letter per role that may do it: Viewer, Explorer, Steward, eMbedder, Admin.
# Reading goes by GET; what is sent otherwise is incomplete, so that it is refused with 400, 404 or
# 422 by whoever may do it, and with 403 by whoever may not.
DEEDS = (
    ("VESA", "GET", "/api/v1/dashboard/guarded"),
    ("VESA", "GET", "/api/v1/chart/"),
    ("VESA", "GET", "/api/v1/dataset/"),
    ("VESA", "GET", "/api/v1/me/"),
    ("ESA", "GET", "/api/v1/datasource/table/{dataset}/column/carrier/values/"),
    ("ESA", "POST", "/api/v1/chart/"),
    ("ESA", "POST", "/api/v1/dashboard/"),
    ("ESA", "PUT", "/api/v1/chart/999999"),
    ("ESA", "DELETE", "/api/v1/dashboard/999999"),
    ("SA", "GET", "/api/v1/dashboard/export/?q=!(999999)"),
    ("SA", "GET", "/api/v1/chart/export/?q=!(999999)"),
    ("SA", "POST", "/api/v1/dashboard/{dashboard}/embedded"),
    ("SA", "POST", "/api/v1/annotation_layer/"),
    ("SA", "POST", "/api/v1/cachekey/invalidate"),
    ("MA", "POST", "/api/v1/security/guest_token/"),
    ("A", "POST", "/api/v1/dataset/"),
    ("A", "PUT", "/api/v1/dataset/999999"),
    ("A", "POST", "/api/v1/database/"),
    ("A", "GET", "/api/v1/database/"),
    ("A", "POST", "/api/v1/sqllab/execute/"),
    ("A", "GET", "/api/v1/query/"),
    ("A", "GET", "/api/v1/saved_query/"),
    ("A", "POST", "/api/v1/rowlevelsecurity/"),
    ("A", "GET", "/api/v1/security/users/"),
    ("A", "GET", "/api/v1/security/roles/"),
    ("A", "GET", "/api/v1/log/"),
    ("A", "GET", "/api/v1/assets/export/"),
)
LETTERS = {"V": VIEWER, "E": EXPLORER, "S": STEWARD, "M": EMBEDDER, "A": "Admin"}


@pytest.fixture(scope="module")
def door(superset: Published, guarded: Guarded) -> Iterator[Door]:
    """Return a function that opens Superset as somebody with a role."""
    opened: dict[str, httpx.Client] = {}
    with ExitStack() as stack:

        def enter(role: str) -> httpx.Client:
            if role not in opened:
                user = WHO[role]
                secret = superset.site.admin_password if user == "admin" else PASSWORD
                opened[role] = sign_in(superset.url, user, secret)
                stack.callback(opened[role].close)
            return opened[role]

        yield enter


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: f"{deed[1]} {deed[2]}")
def test_a_role_may_do_its_deeds_and_no_others(
    guarded: Guarded, door: Door, deed: tuple[str, str, str]
) -> None:
    letters, method, path = deed
    address = path.format(dataset=guarded.dataset, dashboard=guarded.dashboard)
    content: dict[str, Any] = {} if method == "GET" else {"json": {}}
    may = {
        role
        for role in WHO
        if door(role).request(method, address, **content).status_code not in {401, 403}
    }
    assert may == {LETTERS[letter] for letter in letters}


@pytest.mark.parametrize("role", [VIEWER, EXPLORER])
def test_a_reader_asks_governed_numbers_and_takes_them_along(
    guarded: Guarded, door: Door, role: str
) -> None:
    body = ask(guarded.dataset, columns=["origin"], metrics=["count"])
    for kind in ("json", "csv"):
        answer = door(role).post("/api/v1/chart/data", json=body | {"result_format": kind})
        assert answer.status_code == 200, answer.text
        assert "JFK" in answer.text


def test_an_embedder_reads_no_numbers(guarded: Guarded, door: Door) -> None:
    body = ask(guarded.dataset, metrics=["count"])
    assert door(EMBEDDER).post("/api/v1/chart/data", json=body).status_code == 403
    assert door(EMBEDDER).get(f"/api/v1/dashboard/{guarded.dashboard}").status_code in {403, 404}


def test_a_steward_certifies_and_an_explorer_does_not(door: Door) -> None:
    promise = {"certified_by": "Finance", "certification_details": "audited"}
    made: dict[str, int] = {}
    for role in (EXPLORER, STEWARD):
        answer = door(role).post("/api/v1/dashboard/", json={"dashboard_title": f"{role}'s"})
        assert answer.status_code == 201, answer.text
        made[role] = answer.json()["id"]
    refused = door(EXPLORER).put(f"/api/v1/dashboard/{made[EXPLORER]}", json=promise)
    assert (refused.status_code, "Only a Steward" in refused.text) == (422, True), refused.text
    kept = door(EXPLORER).get(f"/api/v1/dashboard/{made[EXPLORER]}").json()["result"]
    assert not kept["certified_by"]
    taken = door(STEWARD).put(f"/api/v1/dashboard/{made[STEWARD]}", json=promise)
    assert taken.status_code == 200, taken.text
    # What is certified stays so when its owner changes something else.
    title = {"dashboard_title": "Audited"}
    assert door(STEWARD).put(f"/api/v1/dashboard/{made[STEWARD]}", json=title).status_code == 200
    kept = door(STEWARD).get(f"/api/v1/dashboard/{made[STEWARD]}").json()["result"]
    assert kept["certified_by"] == "Finance"


def test_what_was_added_to_a_role_by_hand_is_taken_away_again(superset: Published) -> None:
    with superset.admin() as admin:
        roles = {row["name"]: row["id"] for row in admin.rows("/api/v1/security/roles/")}
        address = f"/api/v1/security/roles/{roles[EMBEDDED]}/permissions"
        before = sorted(row["id"] for row in admin.get(f"{address}/")["result"])
        extra = next(
            row["id"]
            for row in admin.rows("/api/v1/security/permissions-resources/")
            if row["permission"]["name"] == "can_sqllab"
        )
        admin.post(address, {"permission_view_menu_ids": [*before, extra]})
        outcome = superset.run("publish", "--json")
        assert outcome.returncode == 0, outcome.stderr
        assert EMBEDDED in outcome.stdout
        assert sorted(row["id"] for row in admin.get(f"{address}/")["result"]) == before
