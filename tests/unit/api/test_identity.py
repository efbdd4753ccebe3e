"""A server behind an identity provider: real tokens by real keys, over HTTP."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.unit.api.conftest import DUCAT, Site, run_server
from tests.unit.api.identity import AUDIENCE, ISSUER, run_provider

COUNT = {"query": {"measures": ["sales.count"]}}


def test_every_door_takes_the_providers_tokens_and_its_rotated_keys(
    site: Site, tmp_path: Path
) -> None:
    with run_provider() as provider:
        provider.add_key("one")
        settings = {
            "DUCAT_JWT_JWKS_URL": provider.url,
            "DUCAT_JWT_ISSUER": ISSUER,
            "DUCAT_JWT_AUDIENCE": AUDIENCE,
            "DUCAT_ENVIRONMENT": "production",
        }
        with run_server(site, tmp_path, **settings) as running:
            provider.add_key("unknown to the server")
            provider.keys["stolen"] = provider.keys.pop("unknown to the server")
            good = {"authorization": f"Bearer {provider.sign('one', sub='ann')}"}
            answer = running.client.post("/cubejs-api/v1/load", json=COUNT, headers=good)
            assert answer.json()["data"] == [{"sales.count": "400"}]
            meta = running.client.get("/cubejs-api/v1/meta", headers=good)
            assert meta.status_code == 200
            text = {"query": "{ cube { sales { count } } }"}
            assert "data" in running.client.post("/graphql", json=text, headers=good).json()
            forged = provider.sign("stolen", {"kid": "one"}, sub="ann")
            for token in (forged, provider.sign("one", sub="ann", aud="other")):
                refused = running.client.post(
                    "/cubejs-api/v1/load", json=COUNT, headers={"authorization": token}
                )
                assert (refused.status_code, refused.json()["error"]) == (403, "Invalid token")


def test_production_starts_without_a_shared_secret_only_with_other_means(site: Site) -> None:
    environment = site.environment(DUCAT_ENVIRONMENT="production")
    del environment["DUCAT_JWT_SECRET"]
    refused = subprocess.run(
        [DUCAT, "serve", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "DUCAT_JWT_SECRET is not set" in refused.stderr
