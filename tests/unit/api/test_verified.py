"""A token is checked once, and is refused all the same when it ends or its key is withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest

from api import verified
from api.auth import Authenticator
from api.errors import AuthenticationError

SECRET = "a secret of forty characters for the tests"
OTHER = "another one of forty characters, not equal"


class Clock:
    """The time that tokens are looked at."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


def authenticator(secret: str | None = SECRET) -> Authenticator:
    return Authenticator(secret, None, None, "superset", skew=timedelta(seconds=30))


def headers(secret: str = SECRET, **claims: Any) -> dict[str, str]:
    return {"authorization": jwt.encode({"sub": "ann", **claims}, secret, algorithm="HS256")}


def test_a_token_seen_before_is_the_same_caller_without_a_new_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard, token = authenticator(), headers(groups=["sales"])
    first = guard.authenticate(token)

    def never(*_: object, **__: object) -> dict[str, Any]:
        raise AssertionError("checked again")

    monkeypatch.setattr(jwt, "decode", never)
    assert guard.authenticate(token) is first
    assert (first.user, first.groups) == ("ann", ("sales",))


def test_a_token_that_ends_is_refused_though_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty seconds of skew are allowed, and no more."""
    guard, token = authenticator(), headers(exp=2_000_000_000)
    assert guard.authenticate(token).user == "ann"
    clock = Clock(2_000_000_029.0)
    monkeypatch.setattr(verified, "time", clock)
    assert guard.authenticate(token).user == "ann"
    clock.now = 2_000_000_030.0
    find = guard.verified.find
    name = token["authorization"]
    assert find(name, lambda _: SECRET, guard.skew) is None


def test_a_token_is_checked_anew_where_the_clock_went_back(monkeypatch: pytest.MonkeyPatch) -> None:
    guard, token = authenticator(), headers(nbf=1_700_000_000)
    guard.authenticate(token)
    monkeypatch.setattr(verified, "time", Clock(1_600_000_000.0))
    name = token["authorization"]
    assert guard.verified.find(name, guard._find_key, guard.skew) is None


def test_a_token_whose_key_was_withdrawn_is_refused() -> None:
    keys: dict[str, str] = {"k": SECRET}

    def find_key(header: Mapping[str, Any]) -> str | None:
        return keys.get(str(header["kid"]))

    guard = authenticator()
    context = guard.authenticate(headers())
    guard.verified.keep("t", {"kid": "k"}, SECRET, context, {}, is_ours=False)
    assert guard.verified.find("t", find_key, guard.skew) is not None
    keys["k"] = OTHER
    assert guard.verified.find("t", find_key, guard.skew) is None
    assert guard.verified.find("t", lambda _: SECRET, guard.skew) is None  # forgotten


@pytest.mark.parametrize("made", [headers(OTHER), {"authorization": "x.y.z"}])
def test_what_was_refused_is_not_remembered(made: dict[str, str]) -> None:
    guard = authenticator()
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            guard.authenticate(made)


def test_new_tokens_without_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "MOST", 4)
    guard = authenticator()
    for number in range(20):
        guard.authenticate(headers(jti=str(number)))
    assert len(guard.verified) <= 4
