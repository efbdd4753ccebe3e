"""Tokens of an identity provider: its keys are fetched, rotated, kept through outages, and no more."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from api.auth import Authenticator, make_token
from api.errors import AuthenticationError, ImpersonationError
from api.jwks import KeySet, read_keys
from semantic.errors import SettingsError
from semantic.settings import Settings
from tests.unit.api.identity import AUDIENCE, ISSUER, Provider, run_provider

SECRET = "0123456789abcdef0123456789abcdef"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Iterator[Provider]:
    with run_provider() as running:
        running.add_key("one")
        yield running


def guard_of(provider: Provider, clock: Clock | None = None, **more: Any) -> Authenticator:
    keys = KeySet(provider.url, clock=clock or Clock())
    settings = Settings(
        jwt_secret=SECRET, jwt_issuer=ISSUER, jwt_audience=AUDIENCE,
        jwt_jwks_url=provider.url, **more,
    )  # fmt: skip
    return replace(Authenticator.of(settings), key_set=keys)


def enter(guard: Authenticator, token: str, **headers: str) -> Any:
    sent = {"authorization": f"Bearer {token}", **headers}
    asyncio.run(guard.prepare(sent))
    return guard.authenticate(sent)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_a_token_signed_by_the_provider_is_accepted(provider: Provider, algorithm: str) -> None:
    provider.add_key("two", algorithm)
    context = enter(guard_of(provider), provider.sign("two", sub="ann", groups=["analysts"]))
    assert (context.user, context.groups) == ("ann", ("analysts",))


def test_known_keys_need_no_network(provider: Provider) -> None:
    guard = guard_of(provider)
    for _ in range(5):
        enter(guard, provider.sign("one", sub="ann"))
    assert provider.fetched == 1


def test_a_new_key_is_fetched_when_a_token_names_it_but_not_more_often_than_allowed(
    provider: Provider,
) -> None:
    clock = Clock()
    guard = guard_of(provider, clock)
    enter(guard, provider.sign("one", sub="ann"))
    provider.add_key("two")
    with pytest.raises(AuthenticationError):
        enter(guard, provider.sign("two", sub="ann"))  # a moment after the last fetch
    assert provider.fetched == 1
    clock.now += 11
    assert enter(guard, provider.sign("two", sub="ann")).user == "ann"
    assert provider.fetched == 2


def test_a_key_that_the_provider_withdrew_is_refused_once_the_keys_are_renewed(
    provider: Provider,
) -> None:
    clock = Clock()
    guard = guard_of(provider, clock)
    old = provider.sign("one", sub="ann")
    assert enter(guard, old).user == "ann"
    provider.add_key("two")
    del provider.keys["one"]
    clock.now += 11
    assert enter(guard, provider.sign("two", sub="ann")).user == "ann"
    with pytest.raises(AuthenticationError):
        enter(guard, old)


def test_keys_outlive_an_outage_of_the_provider_for_a_day_and_no_longer(provider: Provider) -> None:
    clock = Clock()
    guard = guard_of(provider, clock)
    token = provider.sign("one", sub="ann")
    enter(guard, token)
    provider.status = 503
    clock.now += 3600
    assert enter(guard, token).user == "ann"
    clock.now += 24 * 3600
    with pytest.raises(AuthenticationError):
        enter(guard, token)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"), (302, b""), (200, b"no json"), (200, b"[]"), (200, b'{"keys": []}'),
        (200, b'{"keys": [1, {"kty": "oct", "k": "c2VjcmV0", "kid": "one"}]}'),
        (200, b" " * 300_000),
    ],
    ids=["error", "redirect", "no json", "a list", "no keys", "a shared secret", "endless"],
)  # fmt: skip
def test_an_answer_that_is_no_set_of_public_keys_opens_nothing(
    provider: Provider, status: int, body: bytes
) -> None:
    token = provider.sign("one", sub="ann")
    provider.status, provider.body = status, body
    with pytest.raises(AuthenticationError, match=r"^Invalid token$"):
        enter(guard_of(provider), token)


def test_a_provider_that_cannot_be_reached_refuses_tokens_and_raises_nothing_else() -> None:
    with run_provider() as gone:
        gone.add_key("one")
        token = gone.sign("one", sub="ann")
        guard = guard_of(gone)
    with pytest.raises(AuthenticationError):
        enter(guard, token)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"}, {"iss": None}, {"aud": "other"}, {"aud": None},
        {"exp": datetime.now(UTC) - timedelta(hours=1)}, {"nbf": datetime.now(UTC) + timedelta(days=1)},
    ],
    ids=["issuer", "no issuer", "audience", "no audience", "expired", "not yet"],
)  # fmt: skip
def test_issuer_audience_and_times_of_the_providers_tokens_are_checked(
    provider: Provider, claims: dict[str, Any]
) -> None:
    with pytest.raises(AuthenticationError):
        enter(guard_of(provider), provider.sign("one", sub="ann", **claims))


def test_a_token_without_expiry_is_refused_when_the_setting_says_so(provider: Provider) -> None:
    token = provider.sign("one", sub="ann", exp=None)
    assert enter(guard_of(provider), token).user == "ann"
    with pytest.raises(AuthenticationError):
        enter(guard_of(provider, jwt_require_expiry=True), token)


def test_the_clock_skew_is_a_setting(provider: Provider) -> None:
    token = provider.sign("one", sub="ann", exp=datetime.now(UTC) - timedelta(seconds=60))
    with pytest.raises(AuthenticationError):
        enter(guard_of(provider), token)
    assert enter(guard_of(provider, jwt_clock_skew_seconds=300), token).user == "ann"


def test_a_public_key_is_never_taken_for_a_shared_secret(provider: Provider) -> None:
    """The old trick: HS256, signed with the text of the public key."""
    public = provider.keys["one"][1].public_key()
    text = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    parts = [
        {"alg": "HS256", "typ": "JWT", "kid": "one"},
        {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE},
    ]
    signed = ".".join(_encode(json.dumps(part).encode()) for part in parts)
    forged = f"{signed}.{_encode(hmac.digest(text, signed.encode(), 'sha256'))}"
    with pytest.raises(AuthenticationError):
        enter(guard_of(provider), forged)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_an_algorithm_that_is_not_allowed_is_refused(provider: Provider) -> None:
    provider.add_key("two", "ES256")
    guard = guard_of(provider, jwt_algorithms="RS256")
    with pytest.raises(AuthenticationError):
        enter(guard, provider.sign("two", sub="ann"))
    with pytest.raises(SettingsError, match="HS256"):
        guard_of(provider, jwt_algorithms="RS256,HS256")


def test_a_name_that_the_provider_gave_cannot_speak_for_others(provider: Provider) -> None:
    guard = guard_of(provider)
    with pytest.raises(ImpersonationError):
        enter(guard, provider.sign("one", sub="superset"), **{"x-ducat-user": "ann"})
    own = make_token(SECRET, user="superset", issuer=ISSUER, audience=AUDIENCE)
    assert enter(guard, own, **{"x-ducat-user": "ann"}).user == "ann"


def test_claims_become_user_and_groups_as_the_settings_say(provider: Provider) -> None:
    guard = guard_of(
        provider,
        jwt_user_claim="email",
        jwt_groups_claim="realm_access.roles",
        group_map='{"bi-read": ["analysts"], "bi-admin": ["analysts", "managers"]}',
    )
    roles = {"roles": ["bi-admin", "bi-read", "invented"]}
    context = enter(
        guard, provider.sign("one", sub="0815", email="ann@example.com", realm_access=roles)
    )
    assert (context.user, context.groups) == ("ann@example.com", ("analysts", "managers"))
    with pytest.raises(AuthenticationError):
        enter(guard, provider.sign("one", email="ann", realm_access={"roles": "bi-admin"}))


def test_a_claim_may_have_dots_in_its_name(provider: Provider) -> None:
    guard = guard_of(provider, jwt_groups_claim="https://ducat.example/groups")
    named: dict[str, Any] = {"https://ducat.example/groups": ["analysts"]}
    assert enter(guard, provider.sign("one", sub="ann", **named)).groups == ("analysts",)


@pytest.mark.parametrize("written", ["[]", "x", '{"a": "b"}', '{"a": [1]}'])
def test_a_malformed_map_of_groups_stops_the_start(written: str) -> None:
    with pytest.raises(SettingsError, match="DUCAT_GROUP_MAP"):
        Authenticator.of(Settings(jwt_secret=SECRET, group_map=written))


@pytest.mark.parametrize("url", ["http://issuer.example/jwks", "ftp://issuer.example", "x", ""])
def test_keys_are_fetched_by_https_only(url: str) -> None:
    with pytest.raises(SettingsError, match="https"):
        KeySet(url)


def test_production_demands_issuer_and_audience_beside_public_keys(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DUCAT_JWT_AUDIENCE"):
        Authenticator.of(
            Settings(
                environment="production",
                home=tmp_path,
                jwt_jwks_url="https://issuer.example/jwks",
                jwt_issuer=ISSUER,
            )
        )


def test_keys_for_encryption_are_left_out(provider: Provider) -> None:
    listed = json.loads(provider.publish())["keys"]
    listed.append({**listed[0], "kid": "enc", "use": "enc"})
    assert set(read_keys(json.dumps({"keys": listed}).encode())) == {"one"}
