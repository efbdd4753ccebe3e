"""Superset's configuration: no secret by default, no outside host, nothing open that is not asked for.

It is loaded here without Superset, whose modules are stood in for by empty ones; tests/e2e/superset
runs the real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[3] / "dashboards" / "superset_config.py"
KEY = "pZ4nQm8vT1xB6kYs3hLw9cRd2fGj7eUa0oXi5yNt"
BASE = {"SUPERSET_SECRET_KEY": KEY, "SUPERSET_HOME": "/tmp"}
OIDC = {
    "SUPERSET_OIDC_ISSUER": "https://id.example.org/realm/",
    "SUPERSET_OIDC_CLIENT_ID": "superset",
    "SUPERSET_OIDC_CLIENT_SECRET": "s",
}
STANDINS = """
import runpy, sys, types
for name, has in {
    "ducat_superset": {}, "ducat_superset.security": {"DucatSecurityManager": object},
    "flask_appbuilder": {}, "flask_appbuilder.const": {"AUTH_OAUTH": 4},
}.items():
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(has)
"""


def _load(variables: dict[str, str], show: str = "''") -> subprocess.CompletedProcess[str]:
    script = f"{STANDINS}\nc = runpy.run_path({str(CONFIG)!r}); print({show})"
    return subprocess.run(
        [sys.executable, "-I", "-c", script],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "variables",
    [{}, {"SUPERSET_SECRET_KEY": ""}, {"SUPERSET_HOME": "/tmp"}],
)
def test_superset_does_not_start_without_a_secret_key(variables: dict[str, str]) -> None:
    outcome = _load(variables)
    assert outcome.returncode != 0
    assert "SUPERSET_SECRET_KEY is not set" in outcome.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"SUPERSET_SECRET_KEY": "short"}, "SUPERSET_SECRET_KEY"),
        ({"SUPERSET_SECRET_KEY": "k" * 64}, "SUPERSET_SECRET_KEY"),
        ({"SUPERSET_SECRET_KEY": "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET"}, "SUPERSET_SECRET_KEY"),
        ({"SUPERSET_GUEST_SECRET": "test-guest-secret-change-me"}, "SUPERSET_GUEST_SECRET"),
        ({"SUPERSET_GUEST_SECRET": KEY}, "SUPERSET_GUEST_SECRET"),
        ({"SUPERSET_EMBED_ORIGINS": "*"}, "SUPERSET_EMBED_ORIGINS"),
        ({"SUPERSET_EMBED_ORIGINS": "https://*.example.org"}, "SUPERSET_EMBED_ORIGINS"),
        ({"SUPERSET_EMBED_ORIGINS": "https://a.example.org;script-src"}, "SUPERSET_EMBED_ORIGINS"),
        ({"SUPERSET_EMBED_ORIGINS": "https://a.example.org/path"}, "SUPERSET_EMBED_ORIGINS"),
    ],
)
def test_superset_does_not_start_with_what_would_leave_it_open(
    variables: dict[str, str], name: str
) -> None:
    outcome = _load(BASE | variables)
    assert outcome.returncode != 0
    assert "SettingUnsafeError" in outcome.stderr
    assert name in outcome.stderr.splitlines()[-1]
    assert KEY not in outcome.stderr.splitlines()[-1]


def test_pages_may_reach_no_outside_host() -> None:
    outcome = _load(
        BASE, "c['TALISMAN_CONFIG'], c['THEME_FONT_URL_ALLOWED_DOMAINS'], c['ENABLE_CORS']"
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "://" not in outcome.stdout
    assert "scarf" not in outcome.stdout
    assert outcome.stdout.split()[-1] == "False"


def test_only_the_origins_named_may_frame_a_page() -> None:
    asked = (
        "c['TALISMAN_CONFIG']['content_security_policy']['frame-ancestors'], "
        "c['TALISMAN_CONFIG']['frame_options']"
    )
    assert _load(BASE, asked).stdout.strip() == """["'self'"] SAMEORIGIN"""
    named = _load(BASE | {"SUPERSET_EMBED_ORIGINS": "https://a.example.org"}, asked)
    assert named.stdout.strip() == """["'self'", 'https://a.example.org'] None"""


def test_answers_are_cached_only_where_all_workers_share_the_cache() -> None:
    asked = "c['DATA_CACHE_CONFIG']['CACHE_TYPE'], c['FEATURE_FLAGS']['CACHE_IMPERSONATION']"
    assert _load(BASE, asked).stdout.split() == ["NullCache", "True"]
    shared = _load(BASE | {"REDIS_URL": "redis://127.0.0.1/0"}, asked)
    assert shared.stdout.split() == ["ducat_superset.steady_cache.SteadyRedisCache", "True"]


def test_a_guest_token_is_signed_with_another_key_than_a_session() -> None:
    outcome = _load(
        BASE, "c['GUEST_TOKEN_JWT_SECRET'] != c['SECRET_KEY'], len(c['GUEST_TOKEN_JWT_SECRET'])"
    )
    assert outcome.stdout.split() == ["True", "64"]


def test_behind_tls_cookies_are_sent_over_tls_only() -> None:
    asked = "c['SESSION_COOKIE_SECURE'], c['SESSION_COOKIE_HTTPONLY'], c['SESSION_COOKIE_SAMESITE'], c['TALISMAN_CONFIG']['force_https']"
    assert _load(BASE, asked).stdout.split() == ["False", "True", "Lax", "False"]
    tls = _load(BASE | {"SUPERSET_HTTPS": "1"}, asked)
    assert tls.stdout.split() == ["True", "True", "Lax", "True"]


def test_passwords_are_for_everyone_until_a_provider_signs_people_in() -> None:
    asked = "c['DUCAT_LOCAL_USERS'], c['AUTH_USER_REGISTRATION'], c.get('AUTH_TYPE')"
    assert _load(BASE, asked).stdout.split() == ["None", "False", "None"]
    provider = _load(BASE | OIDC, asked)
    assert provider.stdout.split() == ["frozenset({'admin'})", "True", "4"]


@pytest.mark.parametrize("missing", ["SUPERSET_OIDC_CLIENT_ID", "SUPERSET_OIDC_CLIENT_SECRET"])
def test_a_provider_without_a_client_is_refused(missing: str) -> None:
    outcome = _load(BASE | {name: text for name, text in OIDC.items() if name != missing})
    assert f"{missing} is not set" in outcome.stderr.splitlines()[-1]
