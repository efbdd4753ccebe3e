"""Plan to one SELECT.

WITH _0 AS (SELECT … GROUP BY 1), _1 AS (…)
SELECT _r._k0 AS "flights.carrier", _r._v0 AS "flights.count", …
FROM _1 AS _r
WHERE … ORDER BY … LIMIT …
"""

from __future__ import annotations

from semantic.catalog.catalog import Catalog, Expression, Measure
from semantic.compile.aggregates import operand
from semantic.compile.compiled import CompiledQuery
from semantic.compile.conditions import Conditions, Operand
from semantic.compile.dialect import DUCKDB, Dialect
from semantic.compile.relations import Relations
from semantic.compile.scope import Scope
from semantic.compile.trace import write_plain
from semantic.compile.writer import Placed, Writer
from semantic.errors import InternalError, UnsupportedError
from semantic.plan.nodes import GroupKey, Plan, Rows, Ungrouped
from semantic.query.bound import BoundColumn, DimensionUse, MeasureUse, Use
from semantic.query.context import SecurityContext

_ANYBODY = SecurityContext()


def compile_plan(
    catalog: Catalog,
    plan: Plan,
    *,
    total: bool = False,
    dialect: Dialect = DUCKDB,
    context: SecurityContext = _ANYBODY,
) -> CompiledQuery:
    """Return the SQL that answers the plan, and with `total` the SQL that counts its rows."""
    return _Statement(catalog, plan, dialect, context).write(total=total)


def write_limit(limit: int | None, offset: int) -> str:
    """Return how a statement ends, which is the only place of limit and offset."""
    text = "" if limit is None else f"\nLIMIT {write_plain(limit)}"
    return f"{text}\nOFFSET {write_plain(offset)}" if offset else text


class _Statement:
    """The statement of one plan while it is written."""

    __slots__ = ("_plan", "_relations", "_writer")

    def __init__(
        self, catalog: Catalog, plan: Plan, dialect: Dialect, context: SecurityContext
    ) -> None:
        self._plan = plan
        self._writer = Writer(catalog, dialect, plan.timezone, plan.masks, context, plan.statistics)
        self._relations = Relations(self._writer)

    def write(self, *, total: bool) -> CompiledQuery:
        plan = self._plan
        quote = self._writer.dialect.quote_name
        values = self._ungrouped() if isinstance(plan.source, Ungrouped) else self._grouped()
        columns, body, measure = values
        conditions = Conditions(
            self._writer, lambda use: Operand(self._named(use, measure), "number"), _no_segment
        )
        kept = [conditions.render(part) for part in plan.groups]
        if kept:
            body += f"\nWHERE {' AND '.join(kept)}"
        listed = ",\n  ".join(
            f"{text} AS {quote(column.name)}"
            for column, text in zip(plan.columns, columns, strict=True)
        )
        order = self._order(measure)
        head = self._with()
        limited = write_limit(plan.limit, plan.offset)
        sql = f"{head}SELECT\n  {listed}\n{body}{order}{limited}"
        return CompiledQuery(
            sql=sql,
            values=self._writer.parameters.values,
            columns=plan.columns,
            tables=plan.tables,
            total=f"{head}SELECT count(*) {body}" if total else None,
            dates=tuple(self._writer.dates),
            rollups=tuple(dict.fromkeys(note.rollup for note in plan.notes if note.used)),
            rollup_set=plan.statistics.rollups.version,
            only_rollups=not self._writer.reads_rows,
        )

    def _with(self) -> str:
        ctes = self._writer.ctes
        if not ctes:
            return ""
        return "WITH " + ",\n".join(f"{name} AS ({sql})" for name, sql in ctes) + "\n"

    def _grouped(self) -> tuple[list[str], str, _Reader]:
        plan = self._plan
        if isinstance(plan.source, Ungrouped):
            raise InternalError("rows where groups are meant")
        placed = self._relations.place(plan.source)
        scope = self._relations.scope(Rows("", ()))
        read = scope.reader("_r", placed)
        columns = []
        for column in plan.columns:
            if isinstance(column.use, MeasureUse):
                columns.append(self._measure(scope, column.use.measure, read(column.use.measure)))
            else:
                columns.append(f"_r.{placed.keys[_key_name(column)]}")
        return columns, f"FROM {placed.name} AS _r", _Reader(scope, placed)

    def _measure(self, scope: Scope, measure: Measure, text: str) -> str:
        """Return a measure's value, or what a mask shows in its place."""
        return scope.mask(measure) if self._masks(measure) else text

    def _masks(self, measure: Measure) -> bool:
        return (measure.cube, measure.name) in self._plan.masks

    def _ungrouped(self) -> tuple[list[str], str, _Reader]:
        plan = self._plan
        if not isinstance(plan.source, Ungrouped):
            raise InternalError("groups where rows are meant")
        if plan.groups:
            raise UnsupportedError(
                "a filter on a measure has no meaning for ungrouped rows",
                suggestion="filter by a dimension, or leave out `ungrouped`",
            )
        scope = self._relations.scope(plan.source.rows)
        source = scope.source()
        columns = []
        for column in plan.columns:
            use = column.use
            if isinstance(use, DimensionUse):
                key = GroupKey(use.dimension, use.path, column.granularity)
                columns.append(scope.key(key))
            else:
                text = self._row_value(scope, plan.source.rows, use.measure)
                columns.append(self._measure(scope, use.measure, text))
        return columns, f"{source}{scope.where()}", _Reader(scope, None)

    def _row_value(self, scope: Scope, rows: Rows, measure: Measure) -> str:
        """Return a measure of one row: counts are 1 where there is something to count, sums its value."""
        if (measure.cube, measure.name) in self._plan.calculated:
            if not isinstance(measure.sql, Expression):
                raise InternalError(f"{measure.cube}.{measure.name} has no sql")
            return f"({scope.expression(measure.sql, lambda item: self._row_value(scope, rows, item))})"
        text = operand(scope, measure)
        if measure.type in {"count", "count_distinct", "count_distinct_approx"}:
            text = f"CASE WHEN {text} IS NOT NULL THEN 1 END"
        keys = self._writer.catalog.cubes[measure.cube].primary_key
        if keys and measure.cube != rows.cube:
            # Where a join found no row there is no value, whatever the SQL makes of nulls.
            text = f"CASE WHEN {scope.identity(keys[0])} IS NOT NULL THEN {text} END"
        return f"({text})"

    def _order(self, measure: _Reader) -> str:
        keys = []
        for item in self._plan.order:
            if isinstance(item.key, MeasureUse) and self._masks(item.key.measure):
                continue  # all alike: the order must not tell what the mask hides
            text = (
                str(item.key + 1) if isinstance(item.key, int) else self._named(item.key, measure)
            )
            # As PostgreSQL and Cube: null is larger than every value.
            keys.append(f"{text} DESC NULLS FIRST" if item.descending else f"{text} ASC NULLS LAST")
        keys += [f"{place} ASC NULLS LAST" for place in self._ties()]
        return f"\nORDER BY {', '.join(keys)}" if keys else ""

    def _ties(self) -> list[int]:
        """Return the columns that decide between rows which the asked order leaves equal.

        Where a page or a limit cuts the rows, the same query must cut them in the same place each
        time: groups differ in their keys, rows of an ungrouped query in any column.
        """
        plan = self._plan
        if plan.limit is None and not plan.offset:
            return []
        ordered = {item.key for item in plan.order if isinstance(item.key, int)}
        whole = isinstance(plan.source, Ungrouped)
        return [
            place + 1
            for place, column in enumerate(plan.columns)
            if place not in ordered and (whole or not column.is_measure)
        ]

    def _named(self, use: Use, reader: _Reader) -> str:
        if isinstance(use, MeasureUse):
            # What a mask hides must not be found out by comparing.
            scope = self._relations.scope(Rows("", ()))
            return self._measure(scope, use.measure, reader.read(use.measure))
        raise InternalError("a dimension among the conditions on groups")


class _Reader:
    """Reads measures of the outermost relation."""

    __slots__ = ("_placed", "_scope")

    def __init__(self, scope: Scope, placed: Placed | None) -> None:
        self._scope = scope
        self._placed = placed

    def read(self, measure: Measure) -> str:
        """Return the measure's value."""
        if self._placed is None:
            raise InternalError("a measure of rows has no group")
        return self._scope.reader("_r", self._placed)(measure)


def _key_name(column: BoundColumn) -> tuple[str, str, str | None]:
    if not isinstance(column.use, DimensionUse):
        raise InternalError(f"{column.name} is no dimension")
    return (column.use.dimension.cube, column.use.dimension.name, column.granularity)


def _no_segment(segment: object) -> str:
    raise InternalError(f"{segment} among the conditions on groups")
