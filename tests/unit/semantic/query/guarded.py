"""A guarded model: people in offices, with the policies of each test."""

from __future__ import annotations

import dataclasses
import functools
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from semantic.catalog.catalog import (
    Catalog,
    ContextValue,
    Cube,
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
)
from semantic.catalog.roles import add_roles
from semantic.errors import UnknownMemberError
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


ROME, PARIS = term("name", "Rome"), term("name", "Paris")
