"""The REST form is read strictly: what is not understood is refused, in Cube's words."""

from __future__ import annotations

import pytest

from semantic.errors import DucatError, LimitExceededError, QuerySyntaxError, UnsupportedError
from semantic.query.from_json import parse_json
from semantic.query.json_filters import read_masked_members
from semantic.query.query import (
    AndFilter,
    MaskedMember,
    MemberFilter,
    Order,
    OrFilter,
    Query,
    TimeDimension,
)


def test_a_whole_query_is_read() -> None:
    assert parse_json(
        {
            "measures": ["a.count"],
            "dimensions": ["a.b", "a.at.month"],
            "timeDimensions": [
                {
                    "dimension": "a.at",
                    "granularity": "day",
                    "dateRange": ["2024-01-01", "2024-01-02"],
                }
            ],
            "filters": [
                {"member": "a.b", "operator": "equals", "values": ["x", 1, 1.5, True, None]},
                {"or": [{"and": [{"dimension": "a.b", "operator": "set"}]}]},
            ],
            "segments": ["a.s"],
            "order": [["a.b", "desc"], {"id": "a.count", "desc": False}],
            "limit": 5,
            "offset": 2,
            "total": True,
            "timezone": "Europe/Paris",
            "cache": "no-cache",
            "responseFormat": "compact",
        }
    ) == Query(
        measures=("a.count",),
        dimensions=("a.b", "a.at.month"),
        time_dimensions=(TimeDimension("a.at", "day", ("2024-01-01", "2024-01-02")),),
        filters=(
            MemberFilter("a.b", "equals", ("x", "1", "1.5", "true", None)),
            OrFilter((AndFilter((MemberFilter("a.b", "set"),)),)),
        ),
        segments=("a.s",),
        order=(Order("a.b", descending=True), Order("a.count")),
        limit=5,
        offset=2,
        timezone="Europe/Paris",
        total=True,
    )


def test_an_order_may_be_an_object_and_an_empty_one_is_not_the_default() -> None:
    assert parse_json({"measures": ["a.b"], "order": {"a.b": "desc"}}).order == (
        Order("a.b", descending=True),
    )
    assert parse_json({"measures": ["a.b"], "order": []}).order == ()
    assert parse_json({"measures": ["a.b"]}).order is None


ASKED = {"measures": ["a.b"]}


def test_members_may_be_reached_by_paths_and_hints_say_the_way() -> None:
    found = parse_json(
        {
            "measures": ["a.b.count"],
            "dimensions": ["a.b.c.at.month"],
            "timeDimensions": [{"dimension": "a.b.at", "granularity": "fiscal_year"}],
            "filters": [{"member": "a.b.c", "operator": "set"}],
            "order": {"a.b.c.at.month": "asc"},
            "joinHints": [["a", "b"], ["b", "c", "d"]],
        }
    )
    assert found.measures == ("a.b.count",)
    assert found.dimensions == ("a.b.c.at.month",)
    assert found.time_dimensions == (TimeDimension("a.b.at", "fiscal_year"),)
    assert found.filters == (MemberFilter("a.b.c", "set"),)
    assert found.order == (Order("a.b.c.at.month"),)
    assert found.join_hints == (("a", "b"), ("b", "c", "d"))


def test_masked_members_come_from_inside_only() -> None:
    assert read_masked_members(
        [
            {"member": "a.b"},
            {"member": "a.c", "filter": {"member": "a.d", "operator": "equals", "values": ["x"]}},
        ]
    ) == (MaskedMember("a.b"), MaskedMember("a.c", MemberFilter("a.d", "equals", ("x",))))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "Query should contain either measures, dimensions or timeDimensions with"),
        ({"timeDimensions": [{"dimension": "a.at"}]}, "Query should contain either"),
        ({**ASKED, "foo": 1}, 'Invalid query format: "foo" is not allowed'),
        ({**ASKED, "renewQuery": True}, '"renewQuery" is not allowed'),
        ({"measures": "a.b"}, '"measures" must be an array'),
        ({"measures": [1]}, r'"measures\[0\]" must be a string'),
        (
            {"measures": ["count"]},
            r'"measures\[0\]" with value "count" fails to match the required pattern',
        ),
        ({"measures": ["a..b"]}, "fails to match the required pattern"),
        ({"measures": ["a.b\n"]}, "fails to match the required pattern"),
        ({"dimensions": ["a.b.c."]}, "fails to match the required pattern"),
        ({**ASKED, "joinHints": ["a"]}, r'"joinHints\[0\]" must be an array'),
        ({**ASKED, "joinHints": [["a"]]}, "must contain at least 2 items"),
        ({**ASKED, "joinHints": [["a", "b.c"]]}, "is no name of a cube"),
        ({**ASKED, "maskedMembers": [{"member": "a.b"}]}, '"maskedMembers" is not allowed'),
        (
            {"timeDimensions": [{"dimension": "a.at", "granularity": "x" * 129}]},
            "must be at most 128 bytes long",
        ),
        ({**ASKED, "limit": "1"}, '"limit" must be a number'),
        ({**ASKED, "limit": True}, '"limit" must be a number'),
        ({**ASKED, "limit": 1.5}, '"limit" must be a number'),
        ({**ASKED, "limit": -1}, "must be greater than or equal to 0"),
        ({**ASKED, "total": "yes"}, '"total" must be a boolean'),
        ({**ASKED, "timezone": 1}, '"timezone" must be a string'),
        ({**ASKED, "cache": "often"}, '"cache" must be one of'),
        ({**ASKED, "order": [["a.b", "up"]]}, "must be one of"),
        ({**ASKED, "order": [["a.b"]]}, "must be a pair"),
        ({**ASKED, "order": "a.b"}, "must be an array"),
        ({**ASKED, "filters": {}}, '"filters" must be an array'),
        ({**ASKED, "filters": [{"or": []}]}, "must contain at least 1 item"),
        (
            {**ASKED, "filters": [{"or": [], "and": []}]},
            "is not allowed",
        ),
        (
            {**ASKED, "filters": [{"member": "a.b", "operator": "like", "values": ["x"]}]},
            r'"filters\[0\]" does not match any of the allowed types',
        ),
        (
            {**ASKED, "filters": [{"member": "a.b", "operator": "equals"}]},
            "Values required for filter",
        ),
        (
            {**ASKED, "filters": [{"member": "a.b", "operator": "set", "values": ["x"]}]},
            "is not allowed with the operator set",
        ),
        (
            {**ASKED, "filters": [{"member": "a.b", "operator": "equals", "values": [[]]}]},
            "must be a string, a number, a boolean or null",
        ),
        (
            {**ASKED, "timeDimensions": [{"dimension": "a.at", "dateRange": ["a", "b", "c"]}]},
            "must contain 1 or 2 items",
        ),
        (
            {**ASKED, "timeDimensions": [{"dimension": "a.at", "grain": "day"}]},
            r"timeDimensions\[0\].grain\" is not allowed",
        ),
        ([], '"query" must be of type object'),
        (None, '"query" must be of type object'),
    ],
)
def test_what_is_no_query_is_refused(document: object, message: str) -> None:
    with pytest.raises(QuerySyntaxError, match=message):
        parse_json(document)


@pytest.mark.parametrize(
    "document",
    [
        {**ASKED, "limit": 50_001},
        {**ASKED, "offset": 2**63},
        {"measures": ["a.b"] * 201},
        {**ASKED, "timezone": "x" * 10_001},
    ],
)
def test_too_much_is_refused(document: object) -> None:
    with pytest.raises(LimitExceededError):
        parse_json(document)


def test_deep_nesting_is_refused_before_it_exhausts_anything() -> None:
    item: object = {"member": "a.b", "operator": "set"}
    for _ in range(500):
        item = {"and": [item]}
    with pytest.raises(LimitExceededError, match="nested"):
        parse_json({**ASKED, "filters": [item]})


@pytest.mark.parametrize(
    "document",
    [
        {**ASKED, "subqueryJoins": [{}]},
        {"measures": [{"expression": "1"}]},
        {**ASKED, "timeDimensions": [{"dimension": "a.at", "compareDateRange": ["today"]}]},
        {**ASKED, "filters": [{"or": [{"member": "a.b", "operator": "measureFilter"}]}]},
    ],
)
def test_what_cube_knows_and_we_do_not_is_unsupported_never_ignored(document: object) -> None:
    with pytest.raises(UnsupportedError):
        parse_json(document)


@pytest.mark.parametrize("document", [{1: 2}, {**ASKED, "filters": [{1: 2}]}, "x", 7, b"x"])
def test_hostile_documents_fail_as_our_errors(document: object) -> None:
    with pytest.raises(DucatError):
        parse_json(document)
