"""THE table has a row for every error, and hides what is ours to know."""

from __future__ import annotations

import inspect

import pytest

from api import errors as doors
from api.errors import TABLE, error_body, face_of, graphql_extensions, present
from semantic import errors
from semantic.errors import DucatError, InternalError, QueryError, UnknownMemberError

OURS = [
    item
    for module in (errors, doors)
    for _, item in inspect.getmembers(module, inspect.isclass)
    if issubclass(item, DucatError) and item.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_class_has_a_row_of_its_own(kind: type[DucatError]) -> None:
    assert kind in TABLE


@pytest.mark.parametrize("kind", [kind for kind in OURS if issubclass(kind, QueryError)])
def test_a_callers_mistake_is_never_a_server_error(kind: type[DucatError]) -> None:
    assert TABLE[kind].status == 400


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_sqlstate_has_five_characters(kind: type[DucatError]) -> None:
    assert len(TABLE[kind].sqlstate) == 5


def test_a_class_without_a_row_takes_that_of_its_nearest_ancestor() -> None:
    class NewerError(UnknownMemberError):
        pass

    assert face_of(NewerError("x")) == TABLE[UnknownMemberError]


def test_the_body_has_cubes_words_and_our_additions() -> None:
    error = UnknownMemberError("'nope' not found", suggestion="did you mean count?")
    assert error_body(error, "id-1") == {
        "type": "UserError",
        "error": "'nope' not found",
        "code": "unknown_member",
        "sqlState": "42703",
        "suggestion": "did you mean count?",
        "requestId": "id-1",
    }


def test_graphql_extensions_carry_both_codes() -> None:
    assert graphql_extensions(UnknownMemberError("x", suggestion="y")) == {
        "code": "BAD_USER_INPUT",
        "ducatCode": "unknown_member",
        "suggestion": "y",
    }


@pytest.mark.parametrize("failure", [InternalError("secret 42"), KeyError("secret 42")])
def test_a_defect_is_shown_without_its_text(failure: Exception) -> None:
    shown = present(failure)
    assert shown.code == "internal_error"
    assert "secret" not in str(shown)
