"""Access policies: by hand, who sees which members, rows and masks."""

from __future__ import annotations

import dataclasses
import functools
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest

from semantic.catalog.catalog import (
    Catalog,
    ContextValue,
    Cube,
    Hierarchy,
    Join,
    MemberReference,
    View,
)
from semantic.catalog.load import load_catalog_from_text
from semantic.catalog.policy import (
    AccessPolicy,
    ClaimTest,
    MemberChoice,
    PolicyFilter,
    PolicyTerm,
    PolicyTree,
)
from semantic.catalog.roles import add_roles
from semantic.errors import QueryError, UnknownMemberError
from semantic.query.bind import bind
from semantic.query.bound import AllOf, AnyOf, BoundQuery, Condition, OneOf
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.query.visibility import Visibility

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: employees
    sql_table: employees
    joins:
      - {name: offices, relationship: many_to_one, sql: "{CUBE}.office_id = {offices}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: name, type: string, sql: name}
      - {name: salary, type: number, sql: salary}
      - {name: secret, type: string, sql: secret, public: false}
      - {name: label, type: string, sql: "{name} || {offices.city}"}
    measures:
      - {name: count, type: count}
      - {name: payroll, type: sum, sql: "{salary}"}
      - {name: share, type: number, sql: "1.0 * {payroll} / NULLIF({count}, 0)"}
    segments: [{name: rich, sql: "{CUBE}.salary > 100"}]
  - name: offices
    sql_table: offices
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
    measures: [{name: count, type: count}]
views:
  - name: people
    cubes:
      - {join_path: employees, includes: [name, salary, count, payroll]}
      - {join_path: employees.offices, includes: [city]}
"""


def term(member: str, *values: str | ContextValue | None, owner: str = "employees") -> PolicyTerm:
    return PolicyTerm(MemberReference(owner, member), "equals", values)


def policy(
    *groups: str,
    see: tuple[str, ...] | None = None,
    hide: tuple[str, ...] = (),
    mask: tuple[str, ...] = (),
    rows: tuple[PolicyFilter, ...] | None = None,
    when: tuple[ClaimTest, ...] = (),
) -> AccessPolicy:
    chosen = None if see is None and not hide else MemberChoice(see, hide)
    masking = MemberChoice(mask) if mask else None
    return AccessPolicy(groups or ("*",), when, chosen, masking, rows)


@functools.cache
def bare() -> Catalog:
    return load_catalog_from_text({"people.yml": MODEL})


def model(**policies: tuple[AccessPolicy, ...]) -> Catalog:
    """Return the model with policies for cubes and views; employees also join offices as `home`."""
    whole = bare()
    plain = whole.cubes["employees"].joins["offices"]
    home = Join(
        "employees", "employees.home", "many_to_one", plain.sql, name="home", base="offices"
    )
    cubes: dict[str, Cube] = {}
    for name in whole.cubes:
        cube = whole.cubes[name]
        joins = {**cube.joins, "home": home} if name == "employees" else dict(cube.joins)
        cubes[name] = dataclasses.replace(
            cube, policies=policies.get(name, ()), joins=MappingProxyType(joins)
        )
    views: dict[str, View] = {
        name: dataclasses.replace(view, policies=policies.get(name, ()))
        for name, view in whole.views.items()
    }
    roles = add_roles(MappingProxyType(cubes))
    return dataclasses.replace(
        whole, cubes=roles, views=MappingProxyType(views), join_graph=roles.graph
    )


def caller(*groups: str, **claims: Any) -> SecurityContext:
    return SecurityContext("ann", groups, MappingProxyType(claims))


def ask(catalog: Catalog, who: SecurityContext, **query: Any) -> BoundQuery:
    sight = Visibility(catalog).sight(who)
    return bind(catalog, parse_json(query), now=NOW, sight=sight)


def seen(catalog: Catalog, who: SecurityContext) -> set[str]:
    """Return the members that the caller sees, by the visible catalog and by asking for each."""
    visible = Visibility(catalog).visible(who)
    listed = {
        f"{cube.name}.{name}"
        for cube in visible.cubes.values()
        if cube.public
        for name in (*cube.dimensions, *cube.measures, *cube.segments)
    } | {
        f"{view.name}.{name}"
        for view in visible.views.values()
        if view.public
        for name in view.members
    }
    asked = set()
    owners: tuple[Cube | View, ...] = (*catalog.cubes.values(), *catalog.views.values())
    for owner in owners:
        names = (
            owner.members
            if isinstance(owner, View)
            else (*owner.dimensions, *owner.measures, *owner.segments)
        )
        for name in names:
            full = f"{owner.name}.{name}"
            try:
                ask(catalog, who, dimensions=[full])
            except UnknownMemberError as unknown:
                if "it is a" not in unknown.message:  # there, as a measure or a segment
                    continue
            asked.add(full)
    assert asked == listed
    return listed


def values(condition: Condition) -> set[object]:
    """Return the values that a condition of nested equalities names."""
    match condition:
        case AllOf() | AnyOf():
            return {value for part in condition.parts for value in values(part)}
        case OneOf():
            return set(condition.values)
        case _:
            raise AssertionError(condition)


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


ROME, PARIS = term("name", "Rome"), term("name", "Paris")


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
    guarded = [item for item in found.rows if isinstance(item, AllOf | AnyOf | OneOf)]
    assert sorted(map(values, guarded), key=str) == sorted(expected, key=str)


def test_filters_of_one_policy_all_hold_and_of_several_one() -> None:
    both = model(employees=(policy("*", rows=(ROME, term("salary", "1"))),))
    assert isinstance(ask(both, caller(), measures=["employees.count"]).rows[0], AllOf)
    either = model(employees=(policy("*", rows=(ROME,)), policy("*", rows=(PARIS,))))
    assert isinstance(ask(either, caller(), measures=["employees.count"]).rows[0], AnyOf)


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
    (condition,) = ask(catalog, caller(), dimensions=[name]).rows
    assert isinstance(condition, OneOf)
    assert condition.use.path == path


def test_the_members_of_a_role_are_those_of_its_cube() -> None:
    catalog = model(offices=(policy("*", see=("count",)),))
    ask(catalog, caller(), measures=["employees.home.count"])
    with pytest.raises(UnknownMemberError):
        ask(catalog, caller(), dimensions=["employees.home.city"])
    assert "city" not in Visibility(catalog).visible(caller()).cubes["employees.home"].dimensions


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
    assert [values(item) for item in found.rows] == [{"Rome", "Paris"}]
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
    assert [values(item) for item in found.rows] == [expected]


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
