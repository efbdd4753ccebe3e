"""The SQL of a planning, with what must hold of other values for it to be theirs, too.

Planning is a pure function. With other values it goes the same way, and writes the same text, as
long as everything that it asked of its values is answered the same: their types, which of them are
equal, and which are equal to constants. All that it asked is in its `Trace`; whatever could not be
traced has no template. So `fill` gives exactly what planning would give, or None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import Dialect, Parameter
from semantic.compile.slots import Typed, change_values, flatten
from semantic.compile.statement import write_limit
from semantic.compile.trace import (
    CONSTANT,
    Comparison,
    Derive,
    Trace,
    Traced,
    UntraceableError,
    write_plain,
)
from semantic.compile.watched import Path, read_claim
from semantic.query.bound import BoundColumn, BoundQuery
from semantic.query.context import SecurityContext
from semantic.query.dates import Interval
from semantic.query.query import DEFAULT_LIMIT, MAXIMUM_LIMIT, Query

_MOST_COMPARED: Final = 10_000
_FEW: Final = 12


@dataclass(frozen=True, slots=True)
class Planning:
    """A traced planning: the query, bound plain and traced, and what came of it."""

    query: Query
    plain: BoundQuery
    traced: BoundQuery
    typed: Sequence[Typed]
    compiled: CompiledQuery


@dataclass(frozen=True, slots=True)
class Guard:
    """What must hold of atoms. `distinct` are sets of them that must all differ."""

    equal: tuple[tuple[int, int], ...]
    unequal: tuple[tuple[int, int], ...]
    constant: tuple[tuple[int, Parameter], ...]
    other: tuple[tuple[int, Parameter], ...]
    distinct: tuple[tuple[int, ...], ...]

    def holds(self, atoms: Sequence[Parameter]) -> bool:
        """Whether planning would find the same of these."""
        for left, right in self.unequal:
            if atoms[left] == atoms[right]:
                return False
        for left, right in self.equal:
            if atoms[left] != atoms[right]:
                return False
        for atom, value in self.other:
            if atoms[atom] == value:
                return False
        for atom, value in self.constant:
            if atoms[atom] != value:
                return False
        return not self.distinct or all(
            len({atoms[number] for number in numbers}) == len(numbers) for numbers in self.distinct
        )


@dataclass(frozen=True, slots=True)
class Source:
    """Where a bound value comes from: an atom by its number, or a constant."""

    atom: int
    constant: Parameter
    placeholder: str


class Filled:
    """A template with values."""

    __slots__ = ("_atoms", "_template", "_typed", "compiled")

    def __init__(
        self,
        template: Template,
        compiled: CompiledQuery,
        typed: Sequence[Typed],
        atoms: Sequence[Parameter],
    ) -> None:
        self.compiled = compiled
        self._template = template
        self._typed = typed
        self._atoms = atoms

    def bind(self, query: Query, now: datetime) -> BoundQuery:
        """Return the bound query with these values."""
        plain, traced = self._template.plain, self._template.traced

        def value(item: Parameter) -> Parameter:
            if isinstance(item, Traced) and item.atom >= 0:
                return self._atoms[item.atom]
            return write_plain(item)

        dated = sum(item is not None for item in plain.ranges)
        found = self._typed[len(self._typed) - dated :]
        ranges = iter([item for item in found if isinstance(item, Interval)])
        added = plain.query.time_dimensions[len(query.time_dimensions) :]
        return dataclasses.replace(
            plain,
            query=dataclasses.replace(
                plain.query,
                time_dimensions=(*query.time_dimensions, *added),
                filters=query.filters,
                limit=query.limit,
                offset=query.offset,
            ),
            rows=tuple(change_values(item, value) for item in traced.rows),
            groups=tuple(change_values(item, value) for item in traced.groups),
            ranges=tuple(None if item is None else next(ranges) for item in plain.ranges),
            limit=plain.limit if query.limit is None else query.limit,
            offset=query.offset,
            now=now,
        )


@dataclass(frozen=True, slots=True)
class Template:
    """`kinds` are the types of the typed values; atoms are numbered as in the trace."""

    sql: str
    total: str | None
    dates: tuple[tuple[str, str], ...]
    rollups: tuple[str, ...]
    rollup_set: str
    only_rollups: bool
    columns: tuple[BoundColumn, ...]
    tables: tuple[str, ...]
    kinds: tuple[type, ...]
    derived: tuple[tuple[int, Derive], ...]
    guard: Guard
    sources: tuple[Source, ...]
    claims: tuple[tuple[Path, Hashable], ...]
    plain: BoundQuery
    traced: BoundQuery

    def fill(
        self, query: Query, typed: Sequence[Typed], context: SecurityContext, dialect: Dialect
    ) -> Filled | None:
        """Return what planning gives for these values; None when this template cannot tell."""
        if tuple(map(type, typed)) != self.kinds:
            return None
        atoms = flatten(typed, query)
        for origin, derive in self.derived:
            atoms.append(derive(atoms[origin]))
        if not self.guard.holds(atoms):
            return None
        for path, claim in self.claims:
            if read_claim(context, path) != claim:
                return None
        values = self._values(atoms, dialect)
        limit = query.limit
        if not query.unlimited:
            if limit is None:
                limit = DEFAULT_LIMIT + 1
            elif limit > MAXIMUM_LIMIT:
                return None
        if values is None:
            return None
        sql = self.sql + write_limit(limit, query.offset)
        compiled = CompiledQuery(
            sql,
            values,
            self.columns,
            self.tables,
            self.total,
            self.dates,
            self.rollups,
            self.rollup_set,
            self.only_rollups,
        )
        return Filled(self, compiled, typed, atoms)

    def _values(self, atoms: Sequence[Parameter], dialect: Dialect) -> tuple[Parameter, ...] | None:
        values: list[Parameter] = []
        for number, source in enumerate(self.sources, start=1):
            value = source.constant if source.atom == CONSTANT else atoms[source.atom]
            if dialect.placeholder(number, value) != source.placeholder:
                return None
            values.append(value)
        return tuple(values)


def make_template(
    planning: Planning, trace: Trace, claims: Mapping[Path, Hashable], dialect: Dialect
) -> Template:
    """Return the template of a traced planning, which read these claims of the caller.

    Raises:
        UntraceableError: a bound value comes from nowhere known, or too much was compared.
    """
    plain, compiled = planning.plain, planning.compiled
    limit = plain.limit + 1 if plain.defaulted and plain.limit is not None else plain.limit
    tail = write_limit(limit, plain.offset)
    if not compiled.sql.endswith(tail):
        raise UntraceableError("a limit")
    atoms = flatten(planning.typed, planning.query)
    for number in sorted(trace.derived):
        origin, derive = trace.derived[number]
        if number != len(atoms):
            raise UntraceableError("the order of values")
        atoms.append(derive(atoms[origin]))
    if len(atoms) != trace.atoms:
        raise UntraceableError("the number of values")
    return Template(
        sql=compiled.sql[: len(compiled.sql) - len(tail)],
        total=compiled.total,
        dates=compiled.dates,
        rollups=compiled.rollups,
        rollup_set=compiled.rollup_set,
        only_rollups=compiled.only_rollups,
        columns=compiled.columns,
        tables=compiled.tables,
        kinds=tuple(map(type, planning.typed)),
        derived=tuple(trace.derived[number] for number in sorted(trace.derived)),
        guard=_make_guard(trace.compared, atoms),
        sources=tuple(
            _find_source(number, value, dialect)
            for number, value in enumerate(compiled.values, start=1)
        ),
        claims=tuple(claims.items()),
        plain=plain,
        traced=planning.traced,
    )


def _find_source(number: int, value: Parameter, dialect: Dialect) -> Source:
    plain = write_plain(value)
    placeholder = dialect.placeholder(number, plain)
    if isinstance(value, Traced):
        return Source(value.atom, plain, placeholder)
    if isinstance(value, bool):  # the model's, or one of the query's, which the guard holds fast
        return Source(CONSTANT, plain, placeholder)
    raise UntraceableError("a value without origin")


def _make_guard(compared: Sequence[Comparison], atoms: Sequence[Parameter]) -> Guard:
    if len(compared) > _MOST_COMPARED:
        raise UntraceableError("too many comparisons")
    equal: dict[tuple[int, int], None] = {}
    unequal: dict[tuple[int, int], None] = {}
    constant = [(number, atom) for number, atom in enumerate(atoms) if isinstance(atom, bool)]
    found: list[tuple[int, Parameter]] = list(constant)
    other: list[tuple[int, Parameter]] = []
    for left, right, plain, outcome in compared:
        if right is None:
            (found if outcome else other).append((left, plain))
        elif left != right:
            pair = (min(left, right), max(left, right))
            (equal if outcome else unequal)[pair] = None
    few = len(unequal) <= _FEW
    return Guard(
        equal=tuple(equal),
        unequal=tuple(unequal) if few else (),
        constant=tuple(dict.fromkeys(found)),
        other=tuple(dict.fromkeys(other)),
        distinct=() if few else _find_distinct(unequal, equal, atoms),
    )


def _find_distinct(
    unequal: Mapping[tuple[int, int], None],
    equal: Mapping[tuple[int, int], None],
    atoms: Sequence[Parameter],
) -> tuple[tuple[int, ...], ...]:
    """Return sets of atoms that must all differ: more than was asked, and quicker to tell."""
    first: dict[int, int] = {}
    for left, right in sorted(equal):
        first[right] = first.get(left, left)
    found: dict[type, dict[int, None]] = {}
    for left, right in unequal:
        kind = type(atoms[left])
        if kind is not type(atoms[right]):
            raise UntraceableError("values of several types")
        for number in (left, right):
            found.setdefault(kind, {})[first.get(number, number)] = None
    return tuple(map(tuple, found.values()))
