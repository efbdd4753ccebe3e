"""Access policies: masks, conditions on claims, and values from claims."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import pytest

from semantic.catalog.catalog import Catalog, ContextValue, Hierarchy
from semantic.catalog.policy import AccessPolicy, ClaimTest
from semantic.catalog.roles import add_roles
from semantic.errors import QueryError
from semantic.query.context import SecurityContext
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


def masks(catalog: Catalog, who: SecurityContext, name: str) -> dict[tuple[str, str], object]:
    found = ask(catalog, who, dimensions=[name]).masks
    return {key: None if unless is None else values(unless) for key, unless in found.items()}


SALARY = ("employees", "salary")


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param({"employees": (policy("*", see=("name",), mask=("salary",)),)}, {SALARY: None},
                     id="masked"),
        pytest.param({"employees": (policy("*", mask=("salary",)),)}, {}, id="granted for real"),
        pytest.param(
            {"employees": (policy("*", see=(), mask=("salary",)), policy("*", see=("salary",)))},
            {},
            id="another policy grants it for real",
        ),
        pytest.param(
            {
                "employees": (
                    policy("*", see=(), mask=("salary",)),
                    policy("*", see=("salary",), rows=(ROME,)),
                )
            },
            {SALARY: {"Rome"}},
            id="for real in some rows",
        ),
        pytest.param(
            {"people": (policy("*", see=("name",), mask=("salary",)),)},
            {SALARY: None},
            id="masked by the view",
        ),
        pytest.param(
            {
                "people": (policy("*", see=("salary",)),),
                "employees": (policy("*", see=("name",), mask=("salary",)),),
            },
            {SALARY: None},
            id="granted by the view, masked by the cube",
        ),
        pytest.param(
            {
                "people": (
                    policy("*", see=(), mask=("salary",)),
                    policy("*", see=("salary",), rows=(term("city", "Oslo", owner="people"),)),
                ),
                "employees": (
                    policy("*", see=(), mask=("salary",)),
                    policy("*", see=("salary",), rows=(ROME,)),
                ),
            },
            {SALARY: {"Oslo", "Rome"}},
            id="masked by both, but in the rows that both unmask",
        ),
    ],
)  # fmt: skip
def test_masks(
    policies: dict[str, tuple[AccessPolicy, ...]], expected: dict[tuple[str, str], object]
) -> None:
    assert masks(model(**policies), caller(), "people.salary") == expected


def test_the_rows_of_a_masked_member_are_those_of_all_its_policies() -> None:
    catalog = model(
        employees=(
            policy("*", see=(), mask=("salary",), rows=(PARIS,)),
            policy("*", see=("salary",), rows=(ROME,)),
        )
    )
    found = ask(catalog, caller(), dimensions=["employees.salary"])
    assert [values(item.condition) for item in found.guards] == [{"Rome", "Paris"}]
    unless = found.masks[SALARY]
    assert unless is not None
    assert values(unless) == {"Rome"}


def test_a_mask_holds_in_the_members_that_refer_to_it() -> None:
    catalog = model(employees=(policy("*", hide=("salary",), mask=("salary",)),))
    for name in ("employees.payroll", "employees.share", "people.payroll"):
        assert ask(catalog, caller(), measures=[name]).masks == {SALARY: None}
    assert ask(catalog, caller(), measures=["employees.count"]).masks == {}


@pytest.mark.parametrize(
    ("test", "claims", "holds"),
    [
        (ClaimTest(("admin",)), {"admin": True}, True),
        (ClaimTest(("admin",)), {"admin": False}, False),
        (ClaimTest(("admin",)), {}, False),
        (ClaimTest(("admin",), negated=True), {}, True),
        (ClaimTest(("auth", "level")), {"auth": {"level": 3}}, True),
        (ClaimTest(("auth", "level")), {"auth": 3}, False),
        (ClaimTest(("team",), "equals", ("hr",)), {"team": "hr"}, True),
        (ClaimTest(("team",), "equals", ("hr",)), {"team": "it"}, False),
        (ClaimTest(("team",), "equals", ("hr", "it")), {"team": "it"}, True),
        (ClaimTest(("team",), "equals", ("hr",), negated=True), {"team": "it"}, True),
        (ClaimTest(("level",), "equals", (1,)), {"level": True}, False),
        (ClaimTest(("level",), "equals", (1,)), {"level": 1}, True),
    ],
)
def test_conditions_are_about_claims(
    test: ClaimTest, claims: dict[str, Any], *, holds: bool
) -> None:
    catalog = model(employees=(policy("*", when=(test,)),))
    assert ("employees.count" in seen(catalog, caller(**claims))) is holds


def test_all_conditions_of_a_policy_hold() -> None:
    tests = (ClaimTest(("a",)), ClaimTest(("b",)))
    catalog = model(employees=(policy("*", when=tests),))
    assert "employees.count" in seen(catalog, caller(a=1, b=1))
    assert "employees.count" not in seen(catalog, caller(a=1))


@pytest.mark.parametrize(
    ("claim", "expected"),
    [("Rome", {"Rome"}), (["Rome", "Oslo"], {"Rome", "Oslo"}), (7, {"7"}), (True, {"true"})],
)
def test_row_filters_have_values_of_the_callers_claims(
    claim: object, expected: set[object]
) -> None:
    catalog = model(employees=(policy("*", rows=(term("name", ContextValue(("auth", "city"))),)),))
    found = ask(catalog, caller(auth={"city": claim}), measures=["employees.count"])
    assert [values(item.condition) for item in found.guards] == [expected]


@pytest.mark.parametrize("claims", [{}, {"city": None}, {"city": []}, {"city": {}}, {"city": [[]]}])
def test_a_row_filter_whose_claim_is_missing_lets_nothing_through(claims: dict[str, Any]) -> None:
    catalog = model(employees=(policy("*", rows=(term("name", ContextValue(("city",))),)),))
    with pytest.raises(QueryError, match="needs a claim that the token does not have: city"):
        ask(catalog, caller(**claims), measures=["employees.count"])


def test_a_hierarchy_is_there_when_all_its_levels_are() -> None:
    catalog = model(employees=(policy("hr"), policy("*", see=("name",))))
    levels = ("employees.name", "employees.salary")
    tower = Hierarchy("tower", "Tower", levels)
    employees = dataclasses.replace(
        catalog.cubes["employees"], hierarchies=MappingProxyType({"tower": tower})
    )
    whole = dataclasses.replace(
        catalog,
        cubes=add_roles(
            MappingProxyType({"employees": employees, "offices": catalog.cubes["offices"]})
        ),
    )
    assert Visibility(whole).visible(caller("hr")).cubes["employees"].hierarchies
    assert not Visibility(whole).visible(caller()).cubes["employees"].hierarchies


def test_callers_for_whom_the_same_policies_match_share_a_catalog() -> None:
    visibility = Visibility(model(employees=(policy("hr"), policy("it"))))
    assert visibility.visible(caller("hr", id=1)) is visibility.visible(caller("hr", "x", id=2))
    assert visibility.visible(caller("hr")) is not visibility.visible(caller("it"))
    public = Visibility(model())
    assert public.visible(caller("hr")) is public.visible(caller())
