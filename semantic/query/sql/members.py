"""The members of one view under the names that SQL has for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from semantic.catalog.catalog import Catalog, Dimension, Measure, Segment, View
from semantic.errors import QuerySyntaxError, UnknownMemberError, UnsupportedError, suggest
from semantic.query.bound import Granularity
from semantic.query.sql.syntax import (
    Call,
    ColumnName,
    Constant,
    Expression,
    Identifier,
    Star,
    TableName,
    describe,
)

SCHEMA: Final = "public"
GRANULARITIES: Final[dict[str, Granularity]] = {
    "second": "second", "minute": "minute", "hour": "hour", "day": "day", "week": "week",
    "month": "month", "quarter": "quarter", "year": "year",
}  # fmt: skip
# Only where the function means what the measure does. (Cube lets any function stand around a measure
# of type number: SUM(on_time_rate) would look like a sum and be a rate.)
_MATCHING: Final[dict[tuple[str, bool], frozenset[str]]] = {
    ("COUNT", False): frozenset({"count"}),
    ("COUNT", True): frozenset({"count_distinct", "count_distinct_approx"}),
    ("SUM", False): frozenset({"sum"}),
    ("AVG", False): frozenset({"avg"}),
    ("MIN", False): frozenset({"min"}),
    ("MAX", False): frozenset({"max"}),
}
_AGGREGATES: Final = frozenset(
    "AVG COUNT MAX MEDIAN MIN STDDEV STDDEV_POP STDDEV_SAMP STRING_AGG ARRAY_AGG SUM VARIANCE "
    "VAR_POP VAR_SAMP PERCENTILE_CONT PERCENTILE_DISC MODE BOOL_AND BOOL_OR EVERY "
    "APPROX_COUNT_DISTINCT APPROX_DISTINCT".split()
)
_STEM: Final = 5


@dataclass(frozen=True, slots=True)
class DimensionColumn:
    """A dimension, or a time dimension cut to a granularity."""

    name: str
    dimension: Dimension
    granularity: Granularity | None = None

    @property
    def source(self) -> str:
        """The name of the column in a result."""
        return f"{self.name}.{self.granularity}" if self.granularity else self.name


@dataclass(frozen=True, slots=True)
class MeasureColumn:
    """A measure."""

    name: str
    measure: Measure

    @property
    def source(self) -> str:
        """The name of the column in a result."""
        return self.name


@dataclass(frozen=True, slots=True)
class SegmentColumn:
    """A segment: true for the rows in it."""

    name: str
    segment: Segment


Grouped: TypeAlias = DimensionColumn | MeasureColumn
AnyColumn: TypeAlias = DimensionColumn | MeasureColumn | SegmentColumn


class ViewMembers:
    """What a statement over one view may name."""

    __slots__ = ("_alias", "_columns", "_counter", "view")

    def __init__(self, catalog: Catalog, table: TableName) -> None:
        """Find the view.

        Raises:
            UnknownMemberError: there is no such view, or it is hidden.
        """
        self.view = _find_view(catalog, table)
        self._alias = table.alias
        self._columns: dict[str, AnyColumn] = {}
        self._counter: MeasureColumn | None = None
        for member in self.view.members.values():
            if not member.public:
                continue
            cube = catalog.cubes[member.cube]
            name = f"{self.view.name}.{member.name}"
            match member.kind:
                case "dimension":
                    self._columns[member.name] = DimensionColumn(
                        name, cube.dimensions[member.member]
                    )
                case "measure":
                    measure = MeasureColumn(name, cube.measures[member.member])
                    self._columns[member.name] = measure
                    if _counts_rows(measure.measure) and len(member.join_path) == 1:
                        self._counter = self._counter or measure
                case "segment":
                    self._columns[member.name] = SegmentColumn(name, cube.segments[member.member])
                case "hierarchy":
                    pass

    def column(self, name: ColumnName) -> AnyColumn:
        """Return the member of that name.

        Raises:
            UnknownMemberError: there is none, or it is hidden (the same words).
        """
        self._check_qualifier(name)
        found = self.lookup(name.last)
        if found is None:
            short = name.last.text[:100]
            near = suggest(short, self._columns)
            raise UnknownMemberError(
                f"'{short}' not found for path '{self.view.name}.{short}'", suggestion=near
            )
        return found

    def lookup(self, identifier: Identifier) -> AnyColumn | None:
        """Return the member that an unqualified name means, or None."""
        found = self._columns.get(identifier.text)
        if found is not None or identifier.quoted:
            return found
        same = [name for name in self._columns if name.lower() == identifier.text.lower()]
        return self._columns[same[0]] if len(same) == 1 else None

    def measure(self, call: Call) -> MeasureColumn:
        """Return the measure that `MEASURE(m)`, a matching aggregate or `COUNT(*)` asks for.

        Raises:
            UnsupportedError: it is no governed measure.
            QuerySyntaxError: MEASURE has not one name in it.
        """
        if call.function == "COUNT" and call.arguments == (Star(),) and not call.distinct:
            if self._counter is None:
                raise UnsupportedError(
                    f"{self.view.name} has no measure that counts all rows: COUNT(*) has no answer",
                    suggestion=self._advice(""),
                )
            return self._counter
        if call.function == "MEASURE":
            return self._asked(call)
        if call.function not in _AGGREGATES:
            raise UnsupportedError(
                f"the function {call.function} is not answered in SQL",
                suggestion="ask for a measure or dimension in the model that computes it",
            )
        name = call.arguments[0] if len(call.arguments) == 1 else None
        if not isinstance(name, ColumnName):
            raise UnsupportedError(
                f"{describe(call)} is not a governed measure", suggestion=self._advice("")
            )
        found = self.column(name)
        if isinstance(found, MeasureColumn):
            if found.measure.type in _MATCHING.get((call.function, call.distinct), ()):
                return found
            raise UnsupportedError(
                f"{name.last.text} is a measure of type {found.measure.type}: "
                f"{describe(call)} would aggregate it a second time",
                suggestion=f"write MEASURE({name.last.text})",
            )
        raise UnsupportedError(
            f"{describe(call)} is not a governed measure",
            suggestion=self._advice(name.last.text),
        )

    def trunc(self, call: Call) -> DimensionColumn:
        """Return the time dimension and granularity of a `DATE_TRUNC('month', t)`.

        Raises:
            QuerySyntaxError: it is not a known granularity of a time dimension.
        """
        match call.arguments:
            case (Constant("text", unit), ColumnName() as name) if not call.distinct:
                pass
            case _:
                raise QuerySyntaxError(
                    "DATE_TRUNC takes a granularity and a time dimension",
                    suggestion="write DATE_TRUNC('month', name_of_the_dimension)",
                )
        granularity = GRANULARITIES.get(unit.lower())
        if granularity is None:
            raise QuerySyntaxError(
                f"'{unit[:50]}' is no granularity",
                suggestion=f"use one of {', '.join(GRANULARITIES)}",
            )
        found = self.column(name)
        if not isinstance(found, DimensionColumn) or found.dimension.type != "time":
            raise QuerySyntaxError(f"{name.last.text} is no time dimension: DATE_TRUNC cannot cut it")
        return DimensionColumn(found.name, found.dimension, granularity)

    def grouped(self, expression: Expression) -> Grouped:
        """Return the column that an expression of SELECT, GROUP BY or ORDER BY stands for.

        Raises:
            UnsupportedError, QuerySyntaxError: it is neither a dimension nor a measure.
        """
        match expression:
            case Call(function="DATE_TRUNC"):
                return self.trunc(expression)
            case Call():
                return self.measure(expression)
            case ColumnName():
                return self._plain(expression)
            case Star():
                raise UnsupportedError(
                    "'*' is not answered: a view is no table of rows",
                    suggestion="name dimensions and MEASURE(…)s, and group by the dimensions",
                )
            case _:
                raise UnsupportedError(
                    f"{describe(expression)} is neither a dimension nor a measure of {self.view.name}",
                    suggestion="ask for a dimension in the model that computes it",
                )

    def _plain(self, name: ColumnName) -> DimensionColumn:
        found = self.column(name)
        match found:
            case DimensionColumn():
                if found.dimension.type == "geo":
                    raise UnsupportedError(
                        f"{name.last.text} is a place, which has no value in SQL",
                        suggestion="ask for its latitude and longitude",
                    )
                return found
            case MeasureColumn():
                raise QuerySyntaxError(
                    f"{name.last.text} is a measure", suggestion=f"write MEASURE({name.last.text})"
                )
            case SegmentColumn():
                raise QuerySyntaxError(
                    f"{name.last.text} is a segment, not a column",
                    suggestion=f"write it as a condition: WHERE {name.last.text}",
                )

    def _asked(self, call: Call) -> MeasureColumn:
        match call.arguments:
            case (ColumnName() as name,) if not call.distinct:
                found = self.column(name)
            case _:
                raise QuerySyntaxError(
                    "MEASURE takes the name of one measure", suggestion=self._advice("")
                )
        if isinstance(found, MeasureColumn):
            return found
        kind = "dimension" if isinstance(found, DimensionColumn) else "segment"
        raise QuerySyntaxError(
            f"{name.last.text} is a {kind}, not a measure",
            suggestion=self._advice(name.last.text),
        )

    def _advice(self, name: str) -> str | None:
        """Name the measures that share a word with `name`, or else the first ones."""
        measures = [
            short for short, found in self._columns.items() if isinstance(found, MeasureColumn)
        ]
        if not measures:
            return None
        stems = _stems(name)
        near = sorted(measures, key=lambda measure: -len(stems & _stems(measure)))
        count = max((len(stems & _stems(measure)) for measure in near), default=0)
        listed = [measure for measure in near if count and len(stems & _stems(measure)) == count]
        return f"use one of {', '.join(f'MEASURE({item})' for item in (listed or near)[:5])}"

    def _check_qualifier(self, name: ColumnName) -> None:
        *schema, table = name.parts[:-1] or (Identifier(self.view.name),)
        own = self._alias or Identifier(self.view.name)
        known = _same(table, own.text) and (
            not schema
            or (len(schema) == 1 and self._alias is None and _same(schema[0], SCHEMA))
        )
        if not known and len(name.parts) > 1:
            raise UnknownMemberError(
                f"'{name}' does not belong to {self.view.name}", suggestion=f"write {name.last.text}"
            )


def _find_view(catalog: Catalog, table: TableName) -> View:
    public = {name: view for name, view in catalog.views.items() if view.public}
    schema = table.parts[:-1]
    wanted = table.last
    names = [name for name in public if _same(wanted, name)]
    exact = [name for name in names if name == wanted.text]
    if len(schema) > 1 or any(not _same(part, SCHEMA) for part in schema) or len(names) == 0:
        written = ".".join(part.text for part in table.parts)[:100]
        raise UnknownMemberError(
            f"there is no view '{written}'",
            suggestion=suggest(wanted.text[:100], public)
            or (f"the views are {', '.join(sorted(public))}" if public else None),
        )
    return public[(exact or names)[0]]


def _same(identifier: Identifier, name: str) -> bool:
    if identifier.quoted:
        return identifier.text == name
    return identifier.text.lower() == name.lower()


def _counts_rows(measure: Measure) -> bool:
    return measure.type == "count" and measure.sql is None and not measure.filters


def _stems(name: str) -> frozenset[str]:
    """Return the words of a name without their endings: `carriers_count` is near `carrier`."""
    return frozenset(word[:_STEM] for word in re.split(r"[^a-z0-9]+", name.lower()) if word)
