"""SCRAM-SHA-256 against the example of RFC 7677, and against libpq's half in psycopg's tests."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.postgres.errors import ProtocolError
from api.postgres.protocol.scram import (
    Exchange,
    make_verifier,
    prepare,
    pretend_verifier,
    read_verifier,
)

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
LAST = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)


def test_the_example_of_rfc_7677_is_answered_to_the_letter() -> None:
    exchange = Exchange(make_verifier("pencil", salt=SALT), nonce=NONCE)
    assert exchange.first(FIRST) == (
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert exchange.last(LAST) == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_another_password_is_refused() -> None:
    exchange = Exchange(make_verifier("pen", salt=SALT), nonce=NONCE)
    exchange.first(FIRST)
    assert exchange.last(LAST) is None


def test_a_verifier_is_read_back_as_it_was_written() -> None:
    made = make_verifier("pencil")
    assert read_verifier(str(made)) == made
    assert read_verifier("SCRAM-SHA-256$4096:short$x:y") is None
    assert read_verifier("md5abc") is None


def test_the_salt_of_a_user_who_does_not_exist_is_the_same_each_time() -> None:
    secret = b"k" * 32
    assert pretend_verifier("eve", secret).salt == pretend_verifier("eve", secret).salt
    assert pretend_verifier("eve", secret).salt != pretend_verifier("bob", secret).salt


@pytest.mark.parametrize(
    "first",
    [b"", b"\xff", b"n,,n=user", b"p=tls-server-end-point,,n=u,r=abc", b"x,,n=u,r=a", b"n" * 5000],
)
def test_a_first_message_that_is_none_is_refused(first: bytes) -> None:
    with pytest.raises(ProtocolError):
        Exchange(make_verifier("x", salt=SALT)).first(first)


def test_a_last_message_of_another_exchange_is_refused() -> None:
    exchange = Exchange(make_verifier("pencil", salt=SALT), nonce="other")
    exchange.first(FIRST)
    with pytest.raises(ProtocolError):
        exchange.last(LAST)


@given(st.binary(max_size=200))
def test_no_bytes_break_an_exchange_otherwise(data: bytes) -> None:
    exchange = Exchange(_MADE, nonce="n")
    for step in (exchange.first, exchange.last):
        try:
            step(data)
        except ProtocolError:
            continue


_MADE = make_verifier("x", salt=SALT)


def test_passwords_are_prepared_as_saslprep_says() -> None:
    assert prepare("I\u00adX") == b"IX"
    assert prepare("\u2168") == b"IX"
    assert prepare("a\u00a0b") == b"a b"
    assert prepare("a\x07") == b"a\x07"  # prohibited: taken as it is, as PostgreSQL does
