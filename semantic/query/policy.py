"""Access policies: what one caller may see of a model, decided before anything is planned.

A cube or view with policies is *guarded*. Of its policies those *match* that name a group of the
caller (or everyone) and whose conditions hold; with none that matches, nothing of it is there.

**Members.** A member is there when it is public and a matching policy grants it, for real or masked.
A view whose policies choose members decides alone about its members; through any other view, the
cube's own policies decide. A member is not there either when a cube that its SQL refers to is
guarded and no policy of that cube matches: nothing could be shown.

**Rows.** Every member that a query uses, wherever it stands, brings the row filters of the matching
policies that grant it, any of which lets a row through; all members' filters hold together. Rows of
a view and of the cubes behind it are both guarded, and so are the cubes that a member's SQL refers
to. So a policy that grants one member never opens the rows of another.

**Masks.** A member that no matching policy grants for real but one does masked shows its mask. When
one grants it for real, but only in some rows, the mask shows in the others. Masks of a view and of
its cubes both apply, also to members that other members refer to.

Differs from Cube: a key that a measure counts need not be granted, and a member whose rows nobody
may see is unknown, in place of an answer without rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from semantic.catalog.catalog import (
    Catalog,
    ContextValue,
    Cube,
    FilterTerm,
    FilterTree,
    Hierarchy,
    MemberReference,
    ModelFilter,
    View,
    ViewMember,
)
from semantic.catalog.policy import (
    EVERYONE,
    AccessPolicy,
    ClaimTest,
    PolicyFilter,
    PolicyTerm,
)
from semantic.errors import QueryError
from semantic.query.bound import AllOf, AnyOf, Condition, Guard
from semantic.query.conditions import bind_model_filter
from semantic.query.context import SecurityContext
from semantic.query.defaults import Key, name_use
from semantic.query.members import PUBLIC, AnyUse, CubeMember, Found, Sight
from semantic.query.references import Reference, References
from semantic.query.stages import check_guards


@dataclass(frozen=True, slots=True)
class Shown:
    """The policies that let a member be seen: for real, or masked."""

    real: tuple[AccessPolicy, ...]
    masked: tuple[AccessPolicy, ...]

    def __bool__(self) -> bool:
        return bool(self.real or self.masked)


@dataclass(frozen=True, slots=True)
class Restriction:
    """What policies make of a query: masks, and guards of its rows.

    `inner` guards the rows that sub-query dimensions read, by dimension; `apart` those of conversions.
    """

    rows: tuple[Guard, ...]
    inner: dict[Key, tuple[Guard, ...]]
    apart: tuple[Condition, ...]
    masks: dict[Key, Condition | None]


class PolicyBook:
    """The guarded cubes and views of a catalog."""

    __slots__ = ("_catalog", "_guarded", "_references")

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._references = References(catalog)
        owners: Iterable[Cube | View] = (*catalog.cubes.values(), *catalog.views.values())
        self._guarded = {owner.name: owner.policies for owner in owners if owner.policies}

    def open(self, context: SecurityContext) -> Sight:
        """Return what a caller may see: what is public, when nothing is guarded."""
        if not self._guarded:
            return PUBLIC
        return PolicySight(self._catalog, self._guarded, self._references, context)


class PolicySight:
    """What one caller may see."""

    __slots__ = ("_catalog", "_context", "_guarded", "_matched", "_owners", "_references", "_seen")

    def __init__(
        self,
        catalog: Catalog,
        guarded: Mapping[str, tuple[AccessPolicy, ...]],
        references: References,
        context: SecurityContext,
    ) -> None:
        self._catalog = catalog
        self._guarded = guarded
        self._context = context
        self._matched: dict[str, tuple[int, ...]] = {}
        self._seen: dict[Key, bool] = {}
        self._owners: dict[str, bool] = {}
        self._references = references

    def name_matches(self) -> frozenset[tuple[str, tuple[int, ...]]]:
        """Return which policies match; callers with the same ones see the same members."""
        return frozenset((name, self._match(name)) for name in self._guarded)

    def sees(self, owner: Cube | View, item: CubeMember | Hierarchy | ViewMember | None) -> bool:
        """Whether the caller may see a member; None asks for its cube or view itself."""
        if not PUBLIC.sees(owner, item):
            return False
        if item is None:
            return self._sees_owner(owner)
        key = (owner.name, item.name)
        known = self._seen.get(key)
        if known is None:
            known = self._seen[key] = self._grants(owner, item)
        return known

    def restrict(self, found: Iterable[Found], *, now: datetime, zone: ZoneInfo) -> Restriction:
        """Return the conditions on rows and the masks of a query that uses these members.

        Raises:
            QueryError: a row filter needs a claim that the caller's token does not have.
            UnsupportedError: a row filter is about a member that is itself computed apart.
        """
        binder = _Binder(self._catalog, self._context, now, zone)
        rows: list[Guard] = []
        inner: dict[Key, list[Guard]] = {}
        apart: list[Condition] = []
        masks: dict[Key, Condition | None] = {}
        for item in found:
            if item.shown is not None:
                view = self._catalog.views[item.shown.view]
                shown = self._shown(view, item.shown.name)
                if shown is not None:
                    read = {part.cube for part in self._reach(item.use) if part.inner is None}
                    _guard(rows, binder.any_of((*shown.real, *shown.masked), ()), read)
                    _mask(masks, name_use(item.use), shown, binder, ())
            for reference in self._reach(item.use):
                cube = self._catalog.cubes[reference.cube]
                shown = self._shown(cube, reference.member)
                if shown is None:
                    continue
                # A member that only a view or another member makes seen has all rows of its cube
                # that this caller may see.
                letting = (*shown.real, *shown.masked) or self._policies(cube)
                condition = binder.any_of(letting, reference.path)
                if reference.apart:
                    _add(apart, condition)
                elif reference.inner is not None:
                    _guard(inner.setdefault(reference.inner, []), condition, {reference.cube})
                else:
                    _guard(rows, condition, {reference.cube})
                if reference.member is not None:
                    key = (reference.cube, reference.member)
                    _mask(masks, key, shown, binder, reference.path)
        guards = [*apart, *(guard.condition for guard in chain(rows, *inner.values()))]
        check_guards(self._catalog, self._references, guards)
        within = {name: tuple(found) for name, found in inner.items()}
        return Restriction(tuple(rows), within, tuple(apart), masks)

    def _sees_owner(self, owner: Cube | View) -> bool:
        known = self._owners.get(owner.name)
        if known is None:
            items: Iterable[CubeMember | ViewMember] = (
                owner.members.values()
                if isinstance(owner, View)
                else chain(
                    owner.dimensions.values(), owner.measures.values(), owner.segments.values()
                )
            )
            shown = [item for item in items if PUBLIC.sees(owner, item)]
            is_bare = not shown and not owner.policies  # nobody sees more of it
            known = is_bare or any(self.sees(owner, item) for item in shown)
            self._owners[owner.name] = known
        return known

    def _grants(self, owner: Cube | View, item: CubeMember | Hierarchy | ViewMember) -> bool:
        if isinstance(item, Hierarchy):
            return all(self._grants_level(level) for level in item.levels)
        shown = self._shown(owner, item.name)
        if shown is not None and not shown:
            return False
        if isinstance(item, ViewMember):
            return self._grants_behind(owner, item)
        return self._opens(owner.name, item.name)

    def _grants_behind(self, view: Cube | View, item: ViewMember) -> bool:
        """Whether the cube behind a view's member lets it be seen."""
        cube = self._catalog.cubes[item.cube]
        decided = any(policy.members is not None for policy in view.policies)
        if item.kind == "hierarchy":
            levels = cube.hierarchies[item.member].levels
            return decided or all(self._grants_level(level) for level in levels)
        shown = self._shown(cube, item.member)
        if not decided and shown is not None and not shown:
            return False
        return self._opens(cube.name, item.member)

    def _grants_level(self, name: str) -> bool:
        owner, _, member = name.rpartition(".")
        cube = self._catalog.cubes.get(owner)
        shown = None if cube is None else self._shown(cube, member)
        return cube is not None and (shown is None or bool(shown))

    def _opens(self, cube: str, member: str) -> bool:
        """Whether each cube that a member refers to has no policies, or one that matches."""
        for reference in self._references.of(cube, member):
            owner = self._catalog.cubes[reference.cube]
            if owner.policies and not self._policies(owner):
                return False
        return True

    def _policies(self, owner: Cube | View) -> tuple[AccessPolicy, ...]:
        """Return the matching policies; a role's are those of its cube, under its names."""
        name = owner.role_of if isinstance(owner, Cube) and owner.role_of else owner.name
        return tuple(owner.policies[index] for index in self._match(name))

    def _match(self, name: str) -> tuple[int, ...]:
        """Return the places of the matching policies of a guarded cube or view."""
        known = self._matched.get(name)
        if known is None:
            policies = self._guarded.get(name, ())
            known = self._matched[name] = tuple(
                index for index, policy in enumerate(policies) if matches(policy, self._context)
            )
        return known

    def _shown(self, owner: Cube | View, member: str | None) -> Shown | None:
        """Return the policies that show a member, or (None) any of its columns.

        None when nothing is guarded.
        """
        if not owner.policies:
            return None
        real: list[AccessPolicy] = []
        masked: list[AccessPolicy] = []
        for policy in self._policies(owner):
            if member is None or policy.members is None or policy.members.holds(member):
                real.append(policy)
            elif policy.masking is not None and policy.masking.holds(member):
                masked.append(policy)
        return Shown(tuple(real), tuple(masked))

    def _reach(self, use: AnyUse) -> Iterator[Reference]:
        """Yield what a use refers to, itself first, by the way of the query where it has one."""
        cube, member = name_use(use)
        for reference in self._references.of(cube, member):
            if reference.path[0] == cube and not reference.apart:
                way = use.path + reference.path[1:]
                yield dataclasses.replace(reference, path=way)
            else:
                yield reference


class _Binder:
    """Turns row filters of policies into conditions, for one caller and query."""

    __slots__ = ("_catalog", "_context", "_now", "_zone")

    def __init__(
        self, catalog: Catalog, context: SecurityContext, now: datetime, zone: ZoneInfo
    ) -> None:
        self._catalog = catalog
        self._context = context
        self._now = now
        self._zone = zone

    def any_of(self, policies: Sequence[AccessPolicy], path: tuple[str, ...]) -> Condition | None:
        """Return the condition that one of the policies lets a row through; None: all rows.

        `path` is the way of the query to the cube of the policies; () for those of a view.

        Raises:
            QueryError: no policy lets anything through, or one needs a claim that is not there.
        """
        if not policies:
            raise QueryError("no access policy lets rows of what was asked be seen")
        parts: list[Condition] = []
        for policy in policies:
            if policy.rows is None:
                return None
            if not policy.rows:
                raise QueryError("an access policy of what was asked filters rows by nothing")
            filters = tuple(self._bind(item, path) for item in policy.rows)
            condition = filters[0] if len(filters) == 1 else AllOf(filters)
            if condition not in parts:
                parts.append(condition)
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _bind(self, item: PolicyFilter, path: tuple[str, ...]) -> Condition:
        filled = self._fill(item, path)
        return bind_model_filter(self._catalog, filled, now=self._now, zone=self._zone)

    def _fill(self, item: PolicyFilter, path: tuple[str, ...]) -> ModelFilter:
        if not isinstance(item, PolicyTerm):
            return FilterTree(item.word, tuple(self._fill(part, path) for part in item.parts))
        values: list[str | None] = []
        for value in item.values:
            values += self._claim(value) if isinstance(value, ContextValue) else [value]
        return FilterTerm(_relocate(item.member, path), item.operator, tuple(values))

    def _claim(self, value: ContextValue) -> list[str | None]:
        found = find_claim(self._context, value.path)
        items = found if isinstance(found, list | tuple) else [found]
        texts: list[str | None] = []
        for item in items:
            match item:
                case bool():
                    texts.append("true" if item else "false")
                case str() | int() | float():
                    texts.append(str(item))
                case _:
                    texts = []
                    break
        if not texts:
            raise QueryError(
                "an access policy of what was asked needs a claim that the token does not have: "
                + ".".join(value.path),
                suggestion="ask whoever issues the tokens for it",
            )
        return texts


def matches(policy: AccessPolicy, context: SecurityContext) -> bool:
    """Whether a policy is about this caller."""
    named = EVERYONE in policy.groups or any(group in policy.groups for group in context.groups)
    return named and all(_holds(test, context) for test in policy.conditions)


def find_claim(context: SecurityContext, path: Sequence[str]) -> Any:
    """Return a value of the caller's claims by its path; None when there is none."""
    found: Any = context.claims
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _holds(test: ClaimTest, context: SecurityContext) -> bool:
    found = find_claim(context, test.path)
    match test.test:
        case "true":
            holds = bool(found)
        case "equals":
            # True == 1 in Python, not in JSON.
            holds = any(
                found == value and isinstance(found, bool) == isinstance(value, bool)
                for value in test.values
            )
        case _ as unreachable:
            assert_never(unreachable)
    return holds is not test.negated


def _relocate(reference: MemberReference, path: tuple[str, ...]) -> MemberReference:
    """Return the reference of a policy's filter by the way on which the query reaches its cube."""
    if not path:
        return reference
    if reference.path:
        if reference.path[0] == path[-1]:
            return dataclasses.replace(reference, path=path + reference.path[1:])
        return reference
    if reference.cube == path[-1]:
        return dataclasses.replace(reference, path=path)
    return reference


def add_mask(masks: dict[Key, Condition | None], key: Key, unless: Condition | None) -> None:
    """Mask a member but in the rows for which `unless` holds; of two masks both must let it."""
    if key in masks and masks[key] != unless:
        known = masks[key]
        unless = None if known is None or unless is None else AllOf((known, unless))
    masks[key] = unless


def _add(rows: list[Condition], condition: Condition | None) -> None:
    if condition is not None and condition not in rows:
        rows.append(condition)


def _guard(rows: list[Guard], condition: Condition | None, cubes: Iterable[str]) -> None:
    if condition is None:
        return
    for index, known in enumerate(rows):
        if known.condition == condition:
            rows[index] = Guard(condition, known.cubes.union(cubes))
            return
    rows.append(Guard(condition, frozenset(cubes)))


def _mask(
    masks: dict[Key, Condition | None],
    key: Key,
    shown: Shown,
    binder: _Binder,
    path: tuple[str, ...],
) -> None:
    """Add the mask of a member, if it has one: None masks it in every row."""
    if not shown.masked:
        return
    unless = binder.any_of(shown.real, path) if shown.real else None
    if shown.real and unless is None:
        return  # one grants it for real in all rows
    add_mask(masks, key, unless)
