"""Requests to `load`: read whole, or refused with a reason."""

from __future__ import annotations

from urllib.parse import urlencode

import orjson
import pytest

from api.errors import MethodError
from api.rest.request import read_request
from semantic.errors import DucatError, QuerySyntaxError, UnsupportedError

QUERY = {"measures": ["flights.count"]}
TIMED = {"timeDimensions": [{"dimension": "a.t", "granularity": "day"}]}
COMPARED = {
    "timeDimensions": [{"dimension": "a.t", "granularity": "day", "compareDateRange": ["a", "b"]}]
}


def test_get_and_post_spell_the_same_query() -> None:
    text = orjson.dumps(QUERY).decode()
    spellings = [
        read_request("GET", urlencode({"query": text}).encode(), b""),
        read_request("POST", b"", orjson.dumps({"query": QUERY})),
        read_request("POST", b"", orjson.dumps({"query": text})),
    ]
    assert [item.query.measures for item in spellings] == [("flights.count",)] * 3
    assert not any(item.multi for item in spellings)


def test_how_to_answer_is_read_from_the_query_and_from_the_request() -> None:
    read = read_request(
        "POST",
        b"",
        orjson.dumps(
            {
                "query": {**QUERY, "responseFormat": "compact"},
                "queryType": "multi",
                "cache": "no-cache",
            }
        ),
    )
    assert (read.form, read.multi, read.cache_mode) == ("compact", True, "no-cache")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Query param is required"),
        (b"{}", "Query param is required"),
        (b"xx", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"query": "xx"}', "Unable to decode query param as JSON"),
        (b'{"query": 5}', "not a JSON object"),
        (b'{"query": {}}', "Query should contain either measures"),
        (b'{"query": {"measures": ["a.b"]}, "queri": 1}', '"queri" is not allowed'),
        (b'{"query": {"measures": ["a.b"], "foo": 1}}', "foo"),
        (b'{"query": {"measures": ["a.b"], "responseFormat": "xml"}}', "responseFormat"),
        (b'{"query": {"measures": ["a.b"]}, "cache": "often"}', "cache"),
        (b'{"query": {"measures": ["a.b"]}, "queryType": "odd"}', "queryType"),
        (b'{"query": {"measures": ["a.b"], "responseFormat": ["default"]}}', "responseFormat"),
        (b'{"query": {"measures": ["a.b"]}, "queryType": {}}', "queryType"),
        (b'{"query": [5]}', "not a JSON object"),
        (b'{"query": []}', "Data blending query without granularity is not supported"),
        (b'{"query": [{"measures": ["a.b"]}]}', "without granularity is not supported"),
        (b'{"query": [{"measures": ["a.b"], "responseFormat": "compact"}, {}]}', "responseFormat"),
    ],
)
def test_what_is_no_request_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        read_request("POST", b"", body)
    assert words in refused.value.message


@pytest.mark.parametrize(
    "query",
    [
        {**QUERY, "subqueryJoins": [{}]},
        {"measures": [{"expression": "1"}]},
        [COMPARED, COMPARED],
    ],
)
def test_cubes_features_that_are_not_ours_yet_are_refused_as_such(query: object) -> None:
    with pytest.raises(UnsupportedError):
        read_request("POST", b"", orjson.dumps({"query": query}))


@pytest.mark.parametrize(
    ("query", "kind", "count"),
    [
        (QUERY, "regularQuery", 1),
        (COMPARED, "compareDateRangeQuery", 2),
        ([TIMED, TIMED, TIMED], "blendingQuery", 3),
        ([TIMED], "blendingQuery", 1),
    ],
)
def test_several_queries_are_for_clients_that_say_multi(
    query: object, kind: str, count: int
) -> None:
    plain = read_request("POST", b"", orjson.dumps({"query": query}))
    assert (plain.asked.kind, len(plain.asked.queries)) == (kind, count)
    multi = read_request("POST", b"", orjson.dumps({"query": query, "queryType": "multi"}))
    multi.check_kind()
    if kind == "regularQuery":
        plain.check_kind()
        return
    with pytest.raises(QuerySyntaxError) as refused:
        plain.check_kind()
    assert refused.value.message == (
        f"'{kind}' query type is not supported by the client.Please update the client."
    )


def test_other_methods_are_not_answered() -> None:
    with pytest.raises(MethodError):
        read_request("DELETE", b"", b"")


@pytest.mark.parametrize("query_string", [b"query=%FF%FE", b"query=%7B", b"\xff", b"query"])
def test_hostile_parameters_are_refused(query_string: bytes) -> None:
    with pytest.raises(DucatError):
        read_request("GET", query_string, b"")
