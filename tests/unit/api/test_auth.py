"""Tokens: who is let in, as whom, and who is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import jwt
import pytest

from api.auth import Authenticator, make_token
from api.claims import ClaimRules
from api.errors import AuthenticationError, ImpersonationError
from semantic.errors import SettingsError
from semantic.settings import Settings

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
GUARD = Authenticator(SECRET, None, None, "superset")


def sign(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def enter(token: str, guard: Authenticator = GUARD, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return guard.authenticate({"authorization": token, **named})


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer "])
def test_a_token_is_accepted_bare_and_as_bearer(prefix: str) -> None:
    context = enter(prefix + make_token(SECRET, user="ann", groups=("analysts", "managers")))
    assert context.user == "ann"
    assert context.groups == ("analysts", "managers")
    assert context.claims["sub"] == "ann"


def test_a_token_of_cubes_kind_without_claims_is_an_anonymous_user() -> None:
    assert enter(sign({})).user == "anonymous"


@pytest.mark.parametrize("header", ["", "   ", "Bearer", "Bearer  "])
def test_no_token_is_refused_with_cubes_words(header: str) -> None:
    with pytest.raises(AuthenticationError, match=r"Authorization header isn't set|Invalid token"):
        enter(header)
    with pytest.raises(AuthenticationError, match="Authorization header isn't set"):
        GUARD.authenticate({})


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "a.b.c",
        sign({"sub": "ann"}, OTHER),
        sign({"sub": "ann", "exp": datetime.now(UTC) - timedelta(minutes=5)}),
        # A day: the list is made when tests are collected, and the suite may take minutes to come here.
        sign({"sub": "ann", "nbf": datetime.now(UTC) + timedelta(days=1)}),
        jwt.encode({"sub": "ann"}, "", algorithm="none"),
        sign({"sub": "ann"}, SECRET * 2, "HS512"),
        sign({"sub": "ann", "groups": "admins"}),
        sign({"sub": "ann", "groups": [1]}),
        sign({"sub": ""}),
        sign({"sub": "a" * 300}),
    ],
    ids=[
        "nonsense", "malformed", "other secret", "expired", "not yet valid", "alg none",
        "other algorithm", "groups no list", "groups no texts", "empty user", "endless user",
    ],
)  # fmt: skip
def test_a_token_that_is_not_valid_is_refused(token: str) -> None:
    with pytest.raises(AuthenticationError, match=r"^Invalid token$"):
        enter(token)


def test_a_token_with_a_changed_payload_is_refused() -> None:
    header, _, signature = make_token(SECRET, user="ann").split(".")
    _, payload, _ = make_token(OTHER, user="admin").split(".")
    with pytest.raises(AuthenticationError):
        enter(f"{header}.{payload}.{signature}")


def test_clocks_may_differ_by_some_seconds() -> None:
    assert (
        enter(sign({"sub": "ann", "exp": datetime.now(UTC) - timedelta(seconds=10)})).user == "ann"
    )


def test_issuer_and_audience_are_demanded_when_they_are_set() -> None:
    guard = Authenticator(SECRET, "https://issuer.example", "ducat", "superset")
    good = make_token(SECRET, user="ann", issuer="https://issuer.example", audience="ducat")
    assert enter(good, guard).user == "ann"
    for bad in (
        make_token(SECRET, user="ann"),
        make_token(SECRET, user="ann", issuer="https://issuer.example"),
        make_token(SECRET, user="ann", issuer="https://other.example", audience="ducat"),
        make_token(SECRET, user="ann", issuer="https://issuer.example", audience="other"),
    ):
        with pytest.raises(AuthenticationError):
            enter(bad, guard)


def test_the_service_user_speaks_for_another_who_inherits_no_groups() -> None:
    context = enter(make_token(SECRET, user="superset", groups=("admins",)), x_ducat_user="ann")
    assert context.user == "ann"
    assert context.groups == ()
    assert context.claims["act"] == {"sub": "superset"}


def test_nobody_else_may_speak_for_another() -> None:
    with pytest.raises(ImpersonationError):
        enter(make_token(SECRET, user="bob"), x_ducat_user="ann")
    with pytest.raises(ImpersonationError):
        enter(make_token(SECRET, user="superset"), x_ducat_user=" ")


def test_a_short_secret_or_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 32"):
        make_token("short", user="ann")
    with pytest.raises(SettingsError, match="DUCAT_JWT_SECRET is not set"):
        Authenticator.of(Settings(jwt_secret=None))


def test_the_service_says_whose_groups_they_are() -> None:
    service = make_token(SECRET, user="superset", groups=("bosses",))
    named = enter(service, x_ducat_user="ann", x_ducat_groups='["z\\u00fcrich", "jfk", "jfk"]')
    assert (named.user, named.groups) == ("ann", ("zürich", "jfk"))
    assert named.claims == {"sub": "ann", "act": {"sub": "superset"}, "groups": ["zürich", "jfk"]}
    # The service's own groups are never lent, whatever it says.
    assert enter(service, x_ducat_user="ann").groups == ()
    assert enter(service, x_ducat_user="ann", x_ducat_groups="[]").groups == ()


def test_the_map_of_groups_holds_for_those_that_the_service_names() -> None:
    rules = ClaimRules(groups=MappingProxyType({"theirs": ("ours",)}))
    guard = Authenticator(SECRET, None, None, "superset", rules)
    service = make_token(SECRET, user="superset")
    found = enter(service, guard, x_ducat_user="ann", x_ducat_groups='["theirs", "ours"]')
    assert found.groups == ("ours",)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_ducat_groups": '["bosses"]'},
        {"x_ducat_user": "", "x_ducat_groups": '["bosses"]'},
        {"x_ducat_user": "ann", "x_ducat_groups": "bosses"},
        {"x_ducat_user": "ann", "x_ducat_groups": '"bosses"'},
        {"x_ducat_user": "ann", "x_ducat_groups": '{"bosses": 1}'},
        {"x_ducat_user": "ann", "x_ducat_groups": "[1]"},
        {"x_ducat_user": "ann", "x_ducat_groups": '[""]'},
        {"x_ducat_user": "ann", "x_ducat_groups": "[" + ",".join(['"a"'] * 1001) + "]"},
    ],
)
def test_groups_without_a_user_or_that_are_no_names_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ImpersonationError):
        enter(make_token(SECRET, user="superset"), GUARD, **headers)


@pytest.mark.parametrize("more", [{}, {"x_ducat_user": "zoe"}, {"x_ducat_user": "ann"}])
def test_nobody_else_names_groups(more: dict[str, str]) -> None:
    token = make_token(SECRET, user="ann", groups=("superset",))
    with pytest.raises(ImpersonationError):
        enter(token, GUARD, x_ducat_groups='["bosses"]', **more)
