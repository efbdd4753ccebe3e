"""Members to SQL. A member's own SQL always stands in brackets, so it is one operand."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from semantic.catalog.catalog import (
    CaseExpression,
    Catalog,
    ColumnReference,
    Dimension,
    Expression,
    Measure,
    MemberReference,
    Segment,
)
from semantic.compile.names import PRESENT, quote_name, quote_text
from semantic.errors import InternalError, UnsupportedError
from semantic.plan.lineage import find_item, is_typed
from semantic.query.bound import Granularity


class Expressions:
    """Renders the members of one catalog for one time zone, which must be a checked name."""

    __slots__ = ("_catalog", "_timezone")

    def __init__(self, catalog: Catalog, timezone: str) -> None:
        self._catalog = catalog
        self._timezone = timezone

    def relation(self, cube: str, *, marked: bool) -> str:
        """Return a cube's rows under the cube's name, `marked` with a column that says so."""
        item = self._catalog.cubes[cube]
        if item.sql_table is not None:
            source = item.sql_table
        elif item.sql is not None:
            source = f"({self.expression(item.sql)})"
        else:
            raise InternalError(f"the cube {cube} has neither sql nor sql_table")
        if marked:
            source = f"(SELECT *, TRUE AS {PRESENT} FROM {source} AS _rows)"  # noqa: S608 -- of the model
        return f"{source} AS {quote_name(cube)}"

    def present(self, cube: str) -> str:
        """Return the condition that a marked cube has a row here."""
        return f"{quote_name(cube)}.{PRESENT}"

    def expression(
        self, expression: Expression, measure: Callable[[Measure], str] | None = None
    ) -> str:
        """Return a snippet's SQL; `measure` renders the measures that it names."""
        parts: list[str] = []
        for part in expression.parts:
            match part:
                case str():
                    parts.append(part)
                case ColumnReference():
                    parts.append(quote_name(part.cube))
                case MemberReference():
                    parts.append(self._member(part, measure))
                case _ as unreachable:
                    assert_never(unreachable)
        return "".join(parts)

    def dimension(self, dimension: Dimension) -> str:
        """Return a dimension's SQL, as it is stored: times are not converted."""
        match dimension.sql:
            case Expression():
                return f"({self.expression(dimension.sql)})"
            case CaseExpression():
                return self._case(dimension.sql)
            case None if dimension.latitude is not None and dimension.longitude is not None:
                latitude = self.expression(dimension.latitude)
                longitude = self.expression(dimension.longitude)
                return f"(CAST(({latitude}) AS VARCHAR) || ',' || CAST(({longitude}) AS VARCHAR))"
            case None:
                raise InternalError(f"{dimension.cube}.{dimension.name} has no sql")
            case _ as unreachable:
                assert_never(unreachable)

    def segment(self, segment: Segment) -> str:
        """Return a segment's condition."""
        return f"({self.expression(segment.sql)})"

    def group(self, dimension: Dimension, granularity: Granularity | None) -> str:
        """Return what rows are grouped by: times as the time zone's wall clock shows them."""
        if dimension.type != "time":
            return self.dimension(dimension)
        local = self.local_time(self.dimension(dimension))
        return f"date_trunc({quote_text(granularity)}, {local})" if granularity else local

    def local_time(self, time: str) -> str:
        """Return a time as the query's wall clock shows it.

        A timestamp without a zone is UTC. A date is a calendar day, the same in every zone: it is
        not shifted. DuckDB decides `typeof` when it binds the query, so this costs nothing.
        """
        if self._timezone == "UTC":
            return f"CAST({time} AS TIMESTAMP)"
        shifted = f"timezone({quote_text(self._timezone)}, CAST({time} AS TIMESTAMPTZ))"
        return (
            f"CASE WHEN typeof({time}) = 'DATE' THEN CAST({time} AS TIMESTAMP) ELSE {shifted} END"
        )

    def aggregate(self, measure: Measure, present: str | None) -> str:
        """Return the aggregate of a measure over the rows for which `present` holds."""
        if not is_typed(measure):
            if measure.sql is None:
                raise InternalError(f"{measure.cube}.{measure.name} has no sql")
            return f"({self.expression(measure.sql)})"
        conditions = [present] if present else []
        conditions += [f"({self.expression(condition)})" for condition in measure.filters]
        operand = f"({self.expression(measure.sql)})" if measure.sql is not None else None
        if measure.type == "count" and operand is None:
            operand = "1"
            if not conditions:
                return "count(*)"
        if operand is None:
            raise InternalError(f"{measure.cube}.{measure.name} has no sql")
        if conditions:
            operand = f"CASE WHEN {' AND '.join(conditions)} THEN {operand} END"
        match measure.type:
            case "count_distinct" | "count_distinct_approx":
                return f"count(DISTINCT {operand})"
            case function:
                return f"{function}({operand})"

    def _member(self, reference: MemberReference, measure: Callable[[Measure], str] | None) -> str:
        item = find_item(self._catalog, reference)
        match item:
            case Dimension():
                if reference.granularity is None:
                    return self.dimension(item)
                return f"({self.group(item, _granularity(reference))})"
            case Segment():
                return self.segment(item)
            case Measure():
                if measure is None:
                    raise UnsupportedError(
                        f"{item.cube}.{item.name} is a measure and cannot stand in the SQL of a row",
                        suggestion="refer to dimensions and columns there",
                    )
                return measure(item)
            case _ as unreachable:
                assert_never(unreachable)

    def _case(self, case: CaseExpression) -> str:
        def label(value: str | Expression) -> str:
            return quote_text(value) if isinstance(value, str) else f"({self.expression(value)})"

        branches = " ".join(
            f"WHEN ({self.expression(branch.condition)}) THEN {label(branch.label)}"
            for branch in case.branches
        )
        otherwise = "" if case.otherwise is None else f" ELSE {label(case.otherwise)}"
        return f"(CASE {branches}{otherwise} END)"


def _granularity(reference: MemberReference) -> Granularity:
    match reference.granularity:
        case (
            "second" | "minute" | "hour" | "day" | "week" | "month" | "quarter" | "year"
        ) as known:
            return known
        case other:
            raise UnsupportedError(
                f"the granularity {other} of {reference.cube}.{reference.member} is not supported"
            )
