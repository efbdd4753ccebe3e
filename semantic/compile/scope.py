"""Members as SQL where joined rows stand: each cube under its own name.

A snippet keeps its text; its references become the alias of a cube, or the SQL of another member in
brackets. Computed dimensions read the relations attached to the rows. Times that a frame shifts are
moved wherever they are named, by the wall clock; the key of a shifted calendar is moved only where
facts are joined to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final, assert_never

from semantic.catalog.catalog import (
    CaseExpression,
    ColumnReference,
    ContextValue,
    CubeSource,
    Dimension,
    Expression,
    FilterGroup,
    FilterParameter,
    Granularity,
    LocalTime,
    Measure,
    MemberReference,
    Segment,
    SwitchExpression,
)
from semantic.compile.conditions import Conditions, Operand
from semantic.compile.filter_parameters import (
    write_context_value,
    write_filter_group,
    write_filter_parameter,
)
from semantic.compile.writer import Placed, Writer
from semantic.errors import InternalError, UnsupportedError
from semantic.plan.lineage import find_fill, find_item, is_computed
from semantic.plan.nodes import Attachment, GroupKey, Rows, Shift, Step
from semantic.query.bound import Condition, DimensionUse, Use
from semantic.spec.intervals import parse_interval

_CALENDAR: Final = frozenset({"day", "week", "month", "quarter", "year"})
RenderMeasure = Callable[[Measure], str]
Place = Callable[[Attachment], Placed]


class Scope:
    """Writes members over `rows`. `place` writes the relation of an attachment."""

    __slots__ = (
        "_aliases",
        "_calendar",
        "_is_joining",
        "_is_real",
        "_place",
        "_rows",
        "_source",
        "writer",
    )

    def __init__(self, writer: Writer, rows: Rows, place: Place) -> None:
        self.writer = writer
        self._rows = rows
        self._place = place
        self._aliases: dict[tuple[str, str], tuple[str, Placed]] = {}
        self._calendar: list[Shift] = []  # shifts of calendars, while a join is written
        self._is_real = False  # whether masks and shifts are left out
        self._is_joining = False  # whether masks are left out
        self._source = ""  # the cube whose rows were written last

    # -- rows --------------------------------------------------------------------------------

    def source(self) -> str:
        """Return FROM and the joins."""
        self.writer.reads_rows = True
        rows = self._rows
        text = f"FROM {self.relation(rows.cube)}"
        waiting = list(rows.attachments)
        text += self._attach(waiting, after=rows.cube)
        for step in rows.steps:
            joined = self.relation(step.target)
            known = set(self._aliases)
            attached = self._attach(waiting, after=step.target)
            if attached:  # before the condition, which may read it
                joined = self._nested(step.target, f"{joined}{attached}", known)
            text += f" LEFT JOIN {joined} ON ({self._join(step)})"
        for attachment in list(waiting):
            text += self._attached(attachment)
        for dimension in self._switches():
            text += f" CROSS JOIN {self._switch_values(dimension)}"
        return text

    def _nested(self, cube: str, joined: str, known: Collection[tuple[str, str]]) -> str:
        """Return a cube with what is attached to it, as one FROM item."""
        dialect = self.writer.dialect
        if dialect.nests_joins:
            return f"({joined})"
        # One table with the columns of all, under the cube's name.
        name = dialect.quote_name(cube)
        listed = [f"{name}.*"]
        for key in [key for key in self._aliases if key not in known]:
            alias, placed = self._aliases[key]
            listed += [
                f"{alias}.{column} AS {alias}{column}"
                for column in (*placed.keys.values(), *placed.values.values())
            ]
            keys = {item: f"{alias}{column}" for item, column in placed.keys.items()}
            values = {item: f"{alias}{column}" for item, column in placed.values.items()}
            self._aliases[key] = (name, Placed(placed.name, keys, values, placed.reads))
        return f"(SELECT {', '.join(listed)} FROM {joined}) AS {name}"

    def where(self, left_out: Collection[int] = ()) -> str:
        """Return WHERE, or nothing; without the conditions in the places that are left out."""
        conditions = self.conditions()
        parts = [
            conditions.render(part)
            for place, part in enumerate(self._rows.conditions)
            if place not in left_out
        ]
        with self._real():
            parts += [conditions.render(part) for part in self._rows.guards]
        return " WHERE " + " AND ".join(parts) if parts else ""

    @contextmanager
    def _real(self) -> Iterator[None]:
        """Write members as they are: a policy filters rows by what is there, unmasked, unshifted."""
        before, self._is_real = self._is_real, True
        try:
            yield
        finally:
            self._is_real = before

    def conditions(self) -> Conditions:
        """Return what writes conditions over these rows."""
        return Conditions(self.writer, self.operand, self.segment)

    def joined(self, step: Step) -> str:
        """Return one more join."""
        return f" LEFT JOIN {self.relation(step.target)} ON ({self._join(step)})"

    def relation(self, cube: str) -> str:
        """Return a FROM item with the rows of a cube."""
        return f"{self._cube_source(cube)} AS {self.writer.dialect.quote_name(cube)}"

    def _cube_source(self, cube: str) -> str:
        item = self.writer.catalog.cubes[cube]
        if item.sql_table is not None:
            return item.sql_table
        if item.sql is None:
            raise InternalError(f"the cube {cube} has neither sql nor sql_table")
        self._source = cube
        return f"({self.expression(item.sql)})"

    def _join(self, step: Step) -> str:
        """Return a join's condition, with the calendar moved when one of its two cubes is one."""
        moved = [
            shift
            for shift in self._rows.shifts
            if shift.calendar and shift.cube in {step.source, step.target}
        ]
        self._calendar = list(moved)
        self._is_joining = True  # which rows belong together is not a matter of who asks
        try:
            text = self.expression(step.join.sql)
        finally:
            unused, self._calendar = self._calendar, []
            self._is_joining = False
        if unused and moved:
            raise UnsupportedError(
                f"the join of {step.join.cube} to {step.join.target} names a column of the calendar",
                suggestion=f"write it with the member {{{moved[0].cube}.{moved[0].member}}}, "
                "so that time shifts can move it",
            )
        return text

    def _attach(self, waiting: list[Attachment], *, after: str) -> str:
        text = ""
        for attachment in list(waiting):
            if attachment.after == after:
                waiting.remove(attachment)
                text += self._attached(attachment)
        return text

    def _attached(self, attachment: Attachment) -> str:
        placed = self._place(attachment)
        alias = f"_a{len(self._aliases)}"
        self._aliases[attachment.dimension.cube, attachment.dimension.name] = (alias, placed)
        equal = self.writer.dialect.null_safe_equal
        matching = " AND ".join(
            equal(f"{alias}.{placed.keys[key.name]}", self.key(key)) for key in attachment.keys
        )
        return f" LEFT JOIN {placed.name} AS {alias} ON ({matching or 'TRUE'})"

    # -- members -----------------------------------------------------------------------------

    def key(self, key: GroupKey) -> str:
        """Return what rows are grouped by: times as the time zone's wall clock shows them."""
        dimension = key.dimension
        if dimension.type != "time":
            return self.dimension(dimension)
        return self._period(dimension, key.granularity)

    def _period(self, dimension: Dimension, granularity: str | None) -> str:
        dialect = self.writer.dialect
        custom = next((item for item in dimension.granularities if item.name == granularity), None)
        if custom is not None and custom.sql is not None:
            period = custom.sql
            return self._masked(dimension, lambda: f"({self.expression(period)})")
        if custom is None and granularity in _CALENDAR and self._is_plain_date(dimension):
            # A day is a day on every wall clock: the engine sees the column, and its statistics.
            day = self._stored(dimension)
            text = day if granularity == "day" else self.writer.dialect.truncate(granularity, day)
            return dialect.cast_timestamp(text)
        local = self.local(dimension)
        return self.cut(dimension, granularity, local)

    def cut(self, dimension: Dimension, granularity: str | None, local: str) -> str:
        """Return where the period of a wall clock time begins; the time without a granularity."""
        custom = next((item for item in dimension.granularities if item.name == granularity), None)
        if custom is not None:
            return self._bin(custom, local)
        if granularity is None:
            return local
        return self.writer.dialect.truncate(granularity, local)

    def _bin(self, custom: Granularity, local: str) -> str:
        interval = tuple((parse_interval(custom.interval or "") or {}).items())
        parts = tuple((amount, unit) for unit, amount in interval)
        if custom.origin is not None:
            return self.writer.dialect.bin(local, parts, custom.origin)
        offset = tuple(
            (amount, unit) for unit, amount in (parse_interval(custom.offset or "") or {}).items()
        )
        return self.writer.dialect.bin_with_offset(local, parts, offset)

    def is_plain_date(self, key: GroupKey) -> bool:
        """Whether a key is a time that is known to be stored as a DATE, shown as it is."""
        return self._is_plain_date(key.dimension)

    def _is_plain_date(self, dimension: Dimension) -> bool:
        return self.writer.is_date(dimension) and not self._shifts(dimension)

    def local(self, dimension: Dimension) -> str:
        """Return a time, or what its mask shows, as the query's wall clock shows it, shifted."""
        writer = self.writer
        if writer.is_date(dimension):
            text = writer.dialect.cast_timestamp(self._stored(dimension))
            return self._shifted(dimension, text)
        text = writer.dialect.local_time(self.dimension(dimension), writer.timezone)
        return self._shifted(dimension, text)

    def _shifted(self, dimension: Dimension, text: str) -> str:
        for shift in self._shifts(dimension):
            parts = parse_interval(shift.interval or "") or {}
            moved = tuple((amount, unit) for unit, amount in parts.items())
            text = self.writer.dialect.add(text, moved, shift.sign)
        return text

    def move(self, dimension: Dimension, column: str) -> str | None:
        """Return a column that stands for a shifted time, on the wall clock and moved like it.

        None when the time is not shifted.

        Raises:
            UnsupportedError: it is of a calendar, whose days are moved by its join alone.
        """
        if dimension.type != "time":
            return None
        if self._source != dimension.cube and any(
            shift.calendar and shift.cube == dimension.cube for shift in self._rows.shifts
        ):
            raise UnsupportedError(
                f"{self._source} reads the filters on the calendar {dimension.cube} by "
                "FILTER_PARAMS, which a time shift cannot move",
                suggestion="leave the filter to the join with the calendar",
            )
        if not self._shifts(dimension):
            return None
        local = self.writer.dialect.local_time(column, self.writer.timezone)
        return self._shifted(dimension, local)

    def _shifts(self, dimension: Dimension) -> list[Shift]:
        if self._is_real:
            return []
        return [
            shift
            for shift in self._rows.shifts
            if not shift.calendar and (shift.cube, shift.member) == (dimension.cube, dimension.name)
        ]

    def dimension(self, dimension: Dimension) -> str:
        """Return a dimension's SQL, masked when it has to be; times as they are stored."""
        return self._masked(dimension, lambda: self._stored(dimension))

    def _masked(self, dimension: Dimension, write: Callable[[], str]) -> str:
        """Return the SQL of a dimension, or of a period of it; its mask where that has to show."""
        name = (dimension.cube, dimension.name)
        if self._is_real or self._is_joining or name not in self.writer.masks:
            return write()
        mask = self.mask(dimension)
        unless = self.writer.masks[name]
        if unless is None:
            return mask
        with self._real():
            holds = self.conditions().render(unless)
        return f"(CASE WHEN {holds} THEN {write()} ELSE {mask} END)"

    def identity(self, dimension: Dimension) -> str:
        """Return a primary key as it is, masked or not: it tells rows apart and is never shown."""
        return self._stored(dimension)

    def mask(self, item: Dimension | Measure) -> str:
        """Return what stands for a masked member."""
        mask = item.mask
        match mask:
            case None:
                return "NULL"
            case _ if mask.sql is not None:
                return f"({self.expression(mask.sql)})"
            case _:
                return literal(self.writer, mask.value)

    def _stored(self, dimension: Dimension) -> str:
        for shift in self._calendar:
            if (shift.cube, shift.member) == (dimension.cube, dimension.name):
                self._calendar.remove(shift)
                return self._moved(dimension, shift)
        measure = None
        if is_computed(self.writer.catalog, dimension):
            found = self._aliases.get((dimension.cube, dimension.name))
            if found is None:
                raise InternalError(f"{dimension.cube}.{dimension.name} is not attached")
            alias, placed = found
            measure = self.reader(alias, placed)
        return self._own_sql(dimension, measure)

    def _own_sql(self, dimension: Dimension, measure: RenderMeasure | None) -> str:
        match dimension.sql:
            case Expression():
                return f"({self.expression(dimension.sql, measure)})"
            case CaseExpression():
                return self._case(dimension.sql, measure)
            case SwitchExpression():
                return self.switch(dimension.sql, measure)
            case None if dimension.latitude is not None and dimension.longitude is not None:
                cast = self.writer.dialect.cast_text
                latitude = cast(f"({self.expression(dimension.latitude)})")
                longitude = cast(f"({self.expression(dimension.longitude)})")
                return f"({latitude} || ',' || {longitude})"
            case None if dimension.type == "switch":
                return f"{_switch_alias(self.writer, dimension)}._value"
            case None:
                raise InternalError(f"{dimension.cube}.{dimension.name} has no sql")
            case _ as unreachable:
                assert_never(unreachable)

    def _moved(self, dimension: Dimension, shift: Shift) -> str:
        if shift.moved is not None:
            return f"({self.expression(shift.moved)})"
        parts = parse_interval(shift.interval or "") or {}
        moved = tuple((amount, unit) for unit, amount in parts.items())
        return self.writer.dialect.add(self._stored(dimension), moved, -shift.sign)

    def segment(self, segment: Segment) -> str:
        """Return a segment's condition."""
        return f"({self.expression(segment.sql)})"

    def reader(self, alias: str, placed: Placed) -> RenderMeasure:
        """Return what reads measures from a relation; calculated ones are written out."""

        def read(measure: Measure) -> str:
            column = placed.values.get((measure.cube, measure.name))
            if column is not None:
                text = f"{alias}.{column}"
            elif isinstance(measure.sql, Expression):
                text = f"({self.expression(measure.sql, read)})"
            else:
                raise InternalError(f"{measure.cube}.{measure.name} is not in its relation")
            filled = find_fill(self.writer.catalog, measure)
            return text if filled is None else f"coalesce({text}, {literal(self.writer, filled)})"

        return read

    # -- snippets ----------------------------------------------------------------------------

    def expression(self, expression: Expression, measure: RenderMeasure | None = None) -> str:
        """Return a snippet's SQL; `measure` writes the measures that it names."""
        parts: list[str] = []
        for part in expression.parts:
            match part:
                case str():
                    parts.append(part)
                case ColumnReference():
                    parts.append(self.alias(part.cube))
                case MemberReference():
                    parts.append(self._member(part, measure))
                case CubeSource():
                    parts.append(self._subselect(part.cube))
                case FilterParameter() | FilterGroup():
                    parts.append(self._filtered(part))
                case LocalTime():
                    inner = f"({self.expression(part.expression, measure)})"
                    local = self.writer.dialect.local_time(inner, self.writer.timezone)
                    parts.append(local)
                case ContextValue():
                    parts.append(write_context_value(self.writer, part))
                case _ as unreachable:
                    assert_never(unreachable)
        return "".join(parts)

    def alias(self, cube: str) -> str:
        """Return the name under which the columns of a cube stand."""
        return self.writer.dialect.quote_name(cube)

    def _filtered(self, part: FilterParameter | FilterGroup) -> str:
        """Return what the conditions on rows say about the members that the part names."""

        def write(conditions: tuple[Condition, ...]) -> str:
            if isinstance(part, FilterGroup):
                return write_filter_group(self, part, conditions)
            return write_filter_parameter(self, part, conditions)

        text = write(self._rows.conditions)
        if not self._rows.guards:
            return text
        with self._real():
            return f"({text} AND {write(self._rows.guards)})"

    def _subselect(self, cube: str) -> str:
        item = self.writer.catalog.cubes[cube]
        if item.sql is not None:
            return f"({self.expression(item.sql)})"
        return f"(SELECT * FROM {item.sql_table})"

    def _member(self, reference: MemberReference, measure: RenderMeasure | None) -> str:
        item = find_item(self.writer.catalog, reference)
        match item:
            case Dimension():
                if reference.granularity is None:
                    return self.dimension(item)
                return f"({self._period(item, reference.granularity)})"
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

    def _case(self, case: CaseExpression, measure: RenderMeasure | None) -> str:
        def label(value: str | Expression) -> str:
            if isinstance(value, str):
                return self.writer.dialect.quote_text(value)
            return f"({self.expression(value, measure)})"

        branches = " ".join(
            f"WHEN ({self.expression(branch.condition, measure)}) THEN {label(branch.label)}"
            for branch in case.branches
        )
        otherwise = "" if case.otherwise is None else f" ELSE {label(case.otherwise)}"
        return f"(CASE {branches}{otherwise} END)"

    def switch(
        self, case: SwitchExpression, measure: RenderMeasure | None, chooser: str | None = None
    ) -> str:
        """Return a `case` with `switch`; `chooser` is what it chooses by, when not the dimension."""
        chosen = chooser if chooser is not None else self._member(case.switch, None)
        quote = self.writer.dialect.quote_text
        branches = " ".join(
            f"WHEN {chosen} IN ({', '.join(quote(value) for value in branch.values)}) "
            f"THEN ({self.expression(branch.sql, measure)})"
            for branch in case.branches
        )
        otherwise = ""
        if case.otherwise is not None:
            otherwise = f" ELSE ({self.expression(case.otherwise, measure)})"
        return f"(CASE {branches}{otherwise} END)"

    # -- conditions --------------------------------------------------------------------------

    def operand(self, use: Use) -> Operand:
        """Return a member as a condition on these rows compares it."""
        if not isinstance(use, DimensionUse):
            raise InternalError("a measure among the conditions on rows")
        dimension = use.dimension
        if dimension.type == "time" and self._shifts(dimension):
            return Operand(self.local(dimension), "time", local=True)
        is_date = dimension.type == "time" and self.writer.is_date(dimension)
        return Operand(self.dimension(dimension), dimension.type, date=is_date)

    # -- switches ----------------------------------------------------------------------------

    def _switches(self) -> list[Dimension]:
        """Return the virtual dimensions that the rows are multiplied by."""
        return [item for item in self._rows.switches if item.sql is None]

    def _switch_values(self, dimension: Dimension) -> str:
        quote = self.writer.dialect.quote_text
        alias = _switch_alias(self.writer, dimension)
        return self.writer.dialect.texts([quote(value) for value in dimension.values], alias)


def _switch_alias(writer: Writer, dimension: Dimension) -> str:
    return writer.dialect.quote_name(f"{dimension.cube}.{dimension.name}")


def literal(writer: Writer, value: str | float | bool | None) -> str:
    """Return a value of the model as a literal."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case str():
            return writer.dialect.quote_text(value)
        case _:
            return str(value)
