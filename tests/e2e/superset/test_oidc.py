"""Signing in at an OpenID Connect provider: real Superset, a provider of the tests, real Chromium.

A second process of the same Superset, with other settings: roles and groups come from the provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from dashboards.client import SupersetClient
from dashboards.superset_process import HEALTH
from deploy.demo.ports import find_port
from deploy.demo.processes import start, stop, wait_until_healthy
from tests.e2e.superset.browser import Browser
from tests.e2e.superset.conftest import PASSWORD, Published
from tests.e2e.superset.guarded import READER, Guarded, ask
from tests.e2e.superset.oidc_provider import CLIENT, SECRET, Provider, run_provider

ROLES = {"analysts": ["Explorer"], "readers": ["Viewer"], "jfk": [READER], "ewr": [READER]}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with run_provider(find_port()) as running:
        yield running


@pytest.fixture(autouse=True)
def healed(provider: Provider) -> Iterator[None]:
    """Each test begins with a provider that does nothing wrong."""
    yield
    provider.flaw = ""


@pytest.fixture(scope="module")
def url(
    superset: Published, guarded: Guarded, provider: Provider, redis: str, home: Path
) -> Iterator[str]:
    """The address of a Superset whose people sign in at the provider."""
    assert guarded.dataset
    port = find_port()
    process = start(
        "superset-oidc",
        superset.site.command(port, workers=1),
        environment=superset.site.variables()
        | {
            # Pages are told how to sign in from a cache: the two must not share it.
            "REDIS_URL": f"{redis.rpartition('/')[0]}/1",
            "SUPERSET_OIDC_ISSUER": provider.url,
            "SUPERSET_OIDC_CLIENT_ID": CLIENT,
            "SUPERSET_OIDC_CLIENT_SECRET": SECRET,
            "SUPERSET_OIDC_ROLES": json.dumps(ROLES),
        },
        folder=superset.site.home,
        log=home / "superset-oidc.log",
    )
    try:
        wait_until_healthy(process, f"http://127.0.0.1:{port}{HEALTH}", seconds=240)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


def _person(*groups: str, **more: Any) -> dict[str, Any]:
    return {"given_name": "O", "family_name": "I", "groups": list(groups), **more}


def _enter(url: str, provider: Provider, name: str) -> httpx.Client:
    """Follow the redirects of a sign-in, as a browser does; the client has what cookies it got."""
    client = httpx.Client(
        base_url=url, trust_env=False, timeout=120, headers={"Accept": "application/json"}
    )
    began = client.get("/login/oidc")
    assert began.status_code == 302, began.text
    assert began.headers["location"].startswith(f"{provider.url}/authorize")
    approve = began.headers["location"].replace("/authorize?", f"/approve?person={name}&")
    back = client.get(approve)
    assert back.status_code == 302, back.text
    client.get(back.headers["location"])
    return client


def _who(client: httpx.Client) -> dict[str, Any] | None:
    answer = client.get("/api/v1/me/roles/")
    if answer.status_code != 200:
        return None
    found: dict[str, Any] = answer.json()["result"]
    return found


def test_groups_of_the_provider_become_roles_and_reach_the_access_policies(
    url: str, provider: Provider, guarded: Guarded
) -> None:
    provider.people["olga"] = _person("analysts", "jfk", "superset:Admin")
    with closing(_enter(url, provider, "olga")) as olga:
        found = _who(olga)
        assert found is not None
        assert set(found["roles"]) == {"Explorer", READER, "Public"}
        token = olga.get("/api/v1/security/csrf_token/").json()["result"]
        body = ask(guarded.dataset, columns=["origin"], metrics=["count"])
        answer = olga.post("/api/v1/chart/data", json=body, headers={"X-CSRFToken": token})
        assert [row["origin"] for row in answer.json()["result"][0]["data"]] == ["JFK"]


def test_each_sign_in_follows_what_the_provider_says_now(
    url: str, provider: Provider, guarded: Guarded
) -> None:
    body = ask(guarded.dataset, columns=["origin"], metrics=["count"])
    seen = []
    for groups in (("analysts", "jfk"), ("readers", "ewr"), ("readers",)):
        provider.people["oskar"] = _person(*groups)
        with closing(_enter(url, provider, "oskar")) as oskar:
            found = _who(oskar)
            assert found is not None
            answer = oskar.post("/api/v1/chart/data", json=body)
            rows = answer.json()["result"][0]["data"] if answer.status_code == 200 else []
            seen.append((set(found["roles"]) - {"Public"}, [row["origin"] for row in rows]))
    assert seen == [
        ({"Explorer", READER}, ["JFK"]),
        ({"Viewer", READER}, ["EWR"]),
        ({"Viewer"}, []),
    ]


def test_who_has_no_known_group_sees_nothing(
    url: str, superset: Published, provider: Provider, guarded: Guarded
) -> None:
    provider.people["otto"] = _person("unknown here", "superset:Admin", "Admin")
    with closing(_enter(url, provider, "otto")) as otto:
        assert otto.get("/api/v1/dashboard/").status_code == 403
        assert otto.get("/api/v1/me/").status_code == 403
        body = ask(guarded.dataset, metrics=["count"])
        assert otto.post("/api/v1/chart/data", json=body).status_code in {400, 403}
    with superset.admin() as admin:
        known = next(u for u in admin.rows("/api/v1/security/users/") if u["username"] == "otto")
    assert [role["name"] for role in known["roles"]] == ["Public"]


@pytest.mark.parametrize("name", ["admin", "ADMIN", "guest:olga", "o" * 65])
def test_a_name_that_is_not_the_persons_to_have_opens_nothing(
    url: str, provider: Provider, name: str
) -> None:
    provider.people[name] = _person("analysts")
    with closing(_enter(url, provider, name)) as nobody:
        assert _who(nobody) is None


@pytest.mark.parametrize(
    "flaw",
    ["key", "unsigned", "audience", "issuer", "nonce", "expired", "state", "groups", "userinfo"],
)
def test_a_token_that_is_not_for_this_sign_in_opens_nothing(
    url: str, provider: Provider, flaw: str
) -> None:
    provider.people["oda"] = _person("analysts")
    provider.flaw = flaw
    with closing(_enter(url, provider, "oda")) as nobody:
        assert _who(nobody) is None
    provider.flaw = ""
    with closing(_enter(url, provider, "oda")) as oda:
        assert _who(oda) is not None


def test_a_code_serves_once_and_the_browser_that_asked(url: str, provider: Provider) -> None:
    provider.people["ole"] = _person("analysts")
    with httpx.Client(base_url=url, trust_env=False, timeout=120) as mine:
        began = mine.get("/login/oidc").headers["location"]
        back = mine.get(began.replace("/authorize?", "/approve?person=ole&")).headers["location"]
        with httpx.Client(base_url=url, trust_env=False, timeout=120) as other:
            other.get(back)
            assert _who(other) is None
        mine.get(back)
        assert _who(mine) is not None
        mine.get("/logout/")
        mine.get(back)
        assert _who(mine) is None


def test_passwords_are_for_the_local_users_alone(
    url: str, superset: Published, provider: Provider
) -> None:
    """Who left the provider has no way around it; publishing still signs in."""
    assert provider.url
    form = {"username": "nina", "password": PASSWORD, "provider": "db"}
    assert httpx.post(f"{superset.url}/api/v1/security/login", json=form).status_code == 200
    for kind in ("db", "ldap"):
        refused = httpx.post(f"{url}/api/v1/security/login", json=form | {"provider": kind})
        assert refused.status_code == 401, refused.text
    with SupersetClient(url) as admin:
        admin.log_in(superset.site.admin_user, superset.site.admin_password)
        assert admin.get("/api/v1/me/")["result"]["username"] == superset.site.admin_user


def test_a_person_signs_in_by_clicking(
    url: str, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    provider.people["olivia"] = _person("analysts")
    with Browser(tmp_path_factory.mktemp("oidc") / "chromium") as page:
        page.open(f"{url}/login/")
        page.wait_for("document.querySelector('a[href*=\"/login/oidc\"]') !== null", seconds=120)
        page.run("document.querySelector('a[href*=\"/login/oidc\"]').click()")
        page.wait_for("document.querySelector('#olivia') !== null", seconds=120)
        page.run("document.querySelector('#olivia').click()")
        page.wait_for(f"location.host === '{urlsplit(url).netloc}'", seconds=120)
        page.wait_for("location.pathname.includes('/welcome')", seconds=120)
        me = page.run("fetch('/api/v1/me/').then(answer => answer.json())")
    assert me["result"]["username"] == "olivia"
