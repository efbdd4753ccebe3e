"""Numbers of callers keep their digits, in JSON and in GraphQL."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from graphql import GraphQLError, parse_const_value

from api.exact_json import read_json
from api.graphql.numbers import FLOAT
from api.rest.request import read_request


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"x": 0.1}', {"x": 0.1}),
        ('{"x": 12345678901234567890.25}', {"x": Decimal("12345678901234567890.25")}),
        ('{"x": 1234567890123456789}', {"x": 1234567890123456789}),
        ('{"x": 12345678901234567890}', {"x": Decimal(12345678901234567890)}),
        ('{"x": 0.30000000000000004}', {"x": 0.30000000000000004}),
        ('["1234567890123456789.5"]', ["1234567890123456789.5"]),
        ("1e400", float("inf")),
    ],
)
def test_a_number_is_read_with_all_its_digits(text: str, expected: Any) -> None:
    if expected == float("inf"):
        with pytest.raises(ValueError, match="number"):
            read_json(text)
        return
    found = read_json(text)
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "NaN", '{"x": 1234567890123456789, "y": NaN}', "[" * 3000]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


def test_a_filter_compares_with_the_number_that_was_written() -> None:
    body = (
        b'{"query": {"measures": ["a.n"], "filters": '
        b'[{"member": "a.x", "operator": "gt", "values": [12345678901234567890.123456789]}]}}'
    )
    (item,) = read_request("POST", b"", body).query.filters
    assert item.values == ("12345678901234567890.123456789",)  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["12345678901234567890.123456789", "-5", "1e3", "0.10"])
def test_a_number_of_graphql_is_the_text_that_was_written(text: str) -> None:
    read = FLOAT.coerce_input_literal
    assert read is not None
    assert read(parse_const_value(text)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(5, "5"), (5.0, "5"), (0.5, "0.5"), (Decimal("1.250"), "1.250")]
)
def test_a_variable_of_graphql_is_the_number_that_was_sent(value: Any, text: str) -> None:
    assert FLOAT.coerce_input_value(value) == text


@pytest.mark.parametrize("value", ["5", True, None, float("nan"), float("inf"), [1]])
def test_a_variable_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(GraphQLError, match="Float cannot represent"):
        FLOAT.coerce_input_value(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"b": [{"a": {"c": 1, "c" : 2}}]}',
        '{"a": 1, "\\u0061": 2}',
        '{"x": "\\":", "a": 1, "a": 2}',
    ],
)
def test_a_key_that_stands_twice_in_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        read_json(text)


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": 2}]',
        '{"a": {"a": "a"}}',
        '{"a": "a\\":", "b": ":a\\"", "c": "c"}',
        '"a"',
        "[]",
    ],
)
def test_a_key_in_several_objects_is_read(text: str) -> None:
    assert read_json(text) == json.loads(text)
