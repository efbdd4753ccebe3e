"""Access policies: by hand, who sees which members and rows."""

from __future__ import annotations

from typing import Any

import pytest

from semantic.catalog.policy import AccessPolicy, PolicyTree
from semantic.errors import UnknownMemberError
from semantic.query.bound import AllOf, AnyOf, OneOf
from semantic.query.visibility import Visibility
from tests.unit.semantic.query.guarded import (
    PARIS,
    ROME,
    ask,
    caller,
    model,
    policy,
    seen,
    term,
    values,
)

OFFICES = {"offices.city", "offices.count", "employees.label"}
EMPLOYEES = {
    "employees.name", "employees.salary", "employees.count", "employees.payroll",
    "employees.share", "employees.rich",
}  # fmt: skip
PEOPLE = {"people.name", "people.salary", "people.count", "people.payroll", "people.city"}
EVERYTHING = EMPLOYEES | OFFICES | PEOPLE


@pytest.mark.parametrize(
    ("policies", "groups", "expected"),
    [
        pytest.param({}, (), EVERYTHING, id="no policy hides nothing"),
        pytest.param(
            {"employees": (policy("hr"),)}, ("hr",), EVERYTHING, id="a policy without members"
        ),
        pytest.param(
            {"employees": (policy("hr"),)},
            ("sales",),
            {"offices.city", "offices.count", "people.city"},
            id="a group without a policy sees nothing of the cube, nor through views",
        ),
        pytest.param({"employees": (policy("*"),)}, (), EVERYTHING, id="everyone"),
        pytest.param(
            {"employees": (policy("*", see=("name", "count")),)},
            (),
            {"employees.name", "employees.count", "people.name", "people.count"}
            | {"offices.city", "offices.count", "people.city"},
            id="only what is included",
        ),
        pytest.param(
            {"employees": (policy("*", hide=("salary",)),)},
            (),
            EVERYTHING - {"employees.salary", "people.salary"},
            id="all but what is excluded",
        ),
        pytest.param(
            {"employees": (policy("a", see=("name",)), policy("b", see=("count",)))},
            ("a", "b"),
            {"employees.name", "employees.count", "people.name", "people.count"}
            | {"offices.city", "offices.count", "people.city"},
            id="several policies add up",
        ),
        pytest.param(
            {"employees": (policy("*", see=("name",), mask=("salary",)),)},
            (),
            {"employees.name", "employees.salary", "people.name", "people.salary"}
            | {"offices.city", "offices.count", "people.city"},
            id="what is masked is there",
        ),
        pytest.param(
            {"employees": (policy("*", see=("secret", "name")),)},
            (),
            {"employees.name", "people.name", "offices.city", "offices.count", "people.city"},
            id="a policy does not make public what is private",
        ),
        pytest.param(
            {"offices": (policy("hr"),)},
            (),
            EVERYTHING - OFFICES - {"people.city"},
            id="a member that refers to a cube of which nothing may be seen is not there",
        ),
        pytest.param(
            {
                "employees": (policy("*", see=("name",)),),
                "people": (policy("*", see=("salary", "city")),),
            },
            (),
            {"employees.name", "people.salary", "people.city", "offices.city", "offices.count"},
            id="a view's policy on members replaces that of its cubes",
        ),
        pytest.param(
            {
                "employees": (policy("*", see=("name",)),),
                "people": (policy("*", rows=(term("city", "Rome", owner="people"),)),),
            },
            (),
            {"employees.name", "people.name", "people.city", "offices.city", "offices.count"},
            id="a view's policy on rows does not",
        ),
        pytest.param(
            {"people": (policy("hr"),)}, (), EVERYTHING - PEOPLE, id="a guarded view alone"
        ),
        pytest.param(
            {"employees": (policy("hr"),), "people": (policy("*", see=("name", "city")),)},
            (),
            {"people.city", "offices.city", "offices.count"},
            id="no view opens a cube of which no row may be seen",
        ),
    ],
)
def test_members_that_are_there(
    policies: dict[str, tuple[AccessPolicy, ...]], groups: tuple[str, ...], expected: set[str]
) -> None:
    assert seen(model(**policies), caller(*groups)) == expected


def test_what_is_denied_is_refused_in_the_words_for_what_is_not_there() -> None:
    catalog = model(employees=(policy("*", hide=("salary",)),), people=(policy("hr"),))
    denied: list[tuple[str, dict[str, Any]]] = [
        ("employees.salary", {"dimensions": ["employees.salary"]}),
        ("people.name", {"dimensions": ["people.name"]}),
        (
            "employees.salary",
            {
                "measures": ["employees.count"],
                "filters": [{"or": [{"member": "employees.salary", "operator": "set"}]}],
            },
        ),
        (
            "employees.salary",
            {"measures": ["employees.count"], "order": {"employees.salary": "asc"}},
        ),
    ]
    for name, query in denied:
        with pytest.raises(UnknownMemberError) as refused:
            ask(catalog, caller(), **query)
        assert "not found for path" in refused.value.message
        assert name in refused.value.message
        assert "salary" not in (refused.value.suggestion or "")
        assert "people" not in (refused.value.suggestion or "")


@pytest.mark.parametrize(
    ("policies", "groups", "query", "expected"),
    [
        pytest.param(
            {"employees": (policy("*", rows=(ROME,)),)},
            (),
            {"measures": ["employees.count"]},
            [{"Rome"}],
            id="rows of one policy",
        ),
        pytest.param(
            {"employees": (policy("a", rows=(ROME,)), policy("b", rows=(PARIS,)))},
            ("a", "b"),
            {"measures": ["employees.count"]},
            [{"Rome", "Paris"}],
            id="either of two policies",
        ),
        pytest.param(
            {"employees": (policy("a", rows=(ROME,)), policy("b"))},
            ("a", "b"),
            {"measures": ["employees.count"]},
            [],
            id="one policy lets all rows through",
        ),
        pytest.param(
            {
                "employees": (
                    policy("*", see=("count",), rows=(ROME,)),
                    policy("*", see=("name",), rows=(PARIS,)),
                )
            },
            (),
            {"measures": ["employees.count"]},
            [{"Rome"}],
            id="only the policies that grant the member",
        ),
        pytest.param(
            {
                "employees": (
                    policy("*", see=("count",), rows=(ROME,)),
                    policy("*", see=("name",), rows=(PARIS,)),
                )
            },
            (),
            {"measures": ["employees.count"], "dimensions": ["employees.name"]},
            [{"Paris"}, {"Rome"}],
            id="the rows of all members together",
        ),
        pytest.param(
            {"employees": (policy("*", rows=(ROME,)),)},
            (),
            {
                "measures": ["offices.count"],
                "filters": [{"member": "employees.salary", "operator": "set"}],
            },
            [{"Rome"}],
            id="a filter uses the cube too",
        ),
        pytest.param(
            {"employees": (policy("*", rows=(ROME,)),)},
            (),
            {"measures": ["offices.count"], "segments": ["employees.rich"]},
            [{"Rome"}],
            id="a segment uses the cube too",
        ),
        pytest.param(
            {"employees": (policy("*", rows=(ROME,)),)},
            (),
            {"measures": ["offices.count"]},
            [],
            id="another cube is not touched",
        ),
        pytest.param(
            {"offices": (policy("*", rows=(term("city", "Rome", owner="offices"),)),)},
            (),
            {"dimensions": ["employees.label"]},
            [{"Rome"}],
            id="a cube that a member's SQL refers to",
        ),
        pytest.param(
            {
                "employees": (policy("*", rows=(ROME,)),),
                "people": (policy("*", rows=(term("city", "Oslo", owner="people"),)),),
            },
            (),
            {"measures": ["people.count"]},
            [{"Oslo"}, {"Rome"}],
            id="rows of the view and of the cube behind it",
        ),
        pytest.param(
            {
                "employees": (
                    policy("*", see=("name",), rows=(ROME,)),
                    policy("*", see=("count",), rows=(PARIS,)),
                ),
                "people": (policy("*", see=("salary",)),),
            },
            (),
            {"dimensions": ["people.salary"]},
            [{"Rome", "Paris"}],
            id="a member that only the view grants has all rows of the caller's",
        ),
        pytest.param(
            {
                "employees": (
                    policy("*", rows=(PolicyTree("or", (ROME, PARIS)), term("salary", "1"))),
                )
            },
            (),
            {"measures": ["employees.count"]},
            [{"Rome", "Paris", 1}],
            id="filters of one policy all hold",
        ),
    ],
)
def test_rows_that_are_there(
    policies: dict[str, tuple[AccessPolicy, ...]],
    groups: tuple[str, ...],
    query: dict[str, Any],
    expected: list[set[object]],
) -> None:
    found = ask(model(**policies), caller(*groups), **query)
    guarded = [item.condition for item in found.guards]
    assert sorted(map(values, guarded), key=str) == sorted(expected, key=str)


def test_filters_of_one_policy_all_hold_and_of_several_one() -> None:
    both = model(employees=(policy("*", rows=(ROME, term("salary", "1"))),))
    assert isinstance(ask(both, caller(), measures=["employees.count"]).guards[0].condition, AllOf)
    either = model(employees=(policy("*", rows=(ROME,)), policy("*", rows=(PARIS,))))
    assert isinstance(
        ask(either, caller(), measures=["employees.count"]).guards[0].condition, AnyOf
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("employees.offices.city", ("employees", "offices")),
        ("employees.home.city", ("employees", "employees.home")),
        ("people.city", ("employees", "offices")),
        ("offices.city", ("offices",)),
    ],
)
def test_a_row_filter_goes_the_way_of_the_member_also_to_a_role(
    name: str, path: tuple[str, ...]
) -> None:
    catalog = model(offices=(policy("*", rows=(term("city", "Rome", owner="offices"),)),))
    (guard,) = ask(catalog, caller(), dimensions=[name]).guards
    assert isinstance(guard.condition, OneOf)
    assert guard.condition.use.path == path


def test_the_members_of_a_role_are_those_of_its_cube() -> None:
    catalog = model(offices=(policy("*", see=("count",)),))
    ask(catalog, caller(), measures=["employees.home.count"])
    with pytest.raises(UnknownMemberError):
        ask(catalog, caller(), dimensions=["employees.home.city"])
    assert "city" not in Visibility(catalog).visible(caller()).cubes["employees.home"].dimensions
