"""Relations to CTEs.

Each has its keys as `_k0`, `_k1`, ... and its measures as `_v0`, `_v1`, ...

What PostgreSQL and DuckDB both take decides the form: groups are put together by UNION ALL and
GROUP BY, which treats null as a group like any other, where a FULL JOIN could not; a null among
typed columns is an empty scalar sub-select, so that its type is known.
"""

from __future__ import annotations

import re
from typing import Final, assert_never

from semantic.catalog.catalog import Expression, Measure, SwitchExpression
from semantic.compile.aggregates import aggregate, operand
from semantic.compile.coarse import write_coarse
from semantic.compile.kinds import write_kind
from semantic.compile.rollup import write_rolled
from semantic.compile.scope import Scope
from semantic.compile.windows import write_roll
from semantic.compile.writer import KeyName, Placed, Writer, key_column, value_column
from semantic.errors import InternalError
from semantic.plan.lineage import is_typed
from semantic.plan.nodes import (
    Aggregate,
    Attachment,
    Coarsen,
    Conversions,
    GroupKey,
    Groups,
    MeasureName,
    Merge,
    Rank,
    Regroup,
    Relation,
    Roll,
    Rolled,
    Rows,
    SemiAdditive,
    Spine,
    Spread,
)

_COLUMN: Final = re.compile(r"\(*_s\.\w+\)*")
_OUTER: Final = "_outer"


class Relations:
    """Writes the relations of one statement."""

    __slots__ = ("_writer",)

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def place(self, relation: Relation) -> Placed:
        """Return the CTE of a relation, written when it was not yet."""
        known = self._writer.find(relation)
        if known is not None:
            return known
        keys = {key.name: key_column(index) for index, key in enumerate(relation.keys)}
        values = {name: value_column(index) for index, name in enumerate(relation.measures)}
        return self._writer.add(relation, self.write(relation), keys, values)

    def scope(self, rows: Rows) -> Scope:
        """Return what writes members over rows."""
        return Scope(self._writer, rows, self._attachment)

    def _attachment(self, attachment: Attachment) -> Placed:
        return self.place(attachment.relation)

    def write(self, relation: Relation) -> str:  # noqa: C901 -- one case for each relation
        """Return the SELECT of a relation."""
        match relation:
            case Aggregate():
                return self._distinct(relation) if relation.distinct else self._aggregate(relation)
            case Coarsen():
                return write_coarse(self._writer, relation, self._attachment)
            case Groups():
                return self._groups(relation)
            case Rolled():
                return write_rolled(self._writer, relation, self._attachment)
            case Merge():
                return self._merge(relation)
            case Regroup():
                return self._regroup(relation)
            case Spread():
                return self._spread(relation)
            case Rank():
                return self._rank(relation)
            case Roll():
                return write_roll(self, self._writer, relation)
            case SemiAdditive() | Spine() | Conversions():
                return write_kind(self, self._writer, relation)
            case _ as unreachable:
                assert_never(unreachable)

    # -- from rows ---------------------------------------------------------------------------

    def _groups(self, relation: Groups) -> str:
        scope = self.scope(relation.rows)
        source = scope.source()
        body = f"{source}{scope.where()}"
        return _select(self._keys(scope, relation.keys), body, len(relation.keys))

    def _aggregate(self, relation: Aggregate) -> str:
        scope = self.scope(relation.rows)
        source = scope.source()
        listed = self._keys(scope, relation.keys)
        listed += [
            f"{self._over_rows(scope, leaf)} AS {value_column(index)}"
            for index, leaf in enumerate(relation.leaves)
        ]
        return _select(listed, f"{source}{scope.where()}", len(relation.keys))

    def _distinct(self, relation: Aggregate) -> str:
        """Aggregate over distinct keys: typed measures take their operands along."""
        scope = self.scope(relation.rows)
        source = scope.source()
        listed = self._keys(scope, relation.keys)
        keys = [
            scope.identity(part)
            for part in self._writer.catalog.cubes[relation.rows.cube].primary_key
        ]
        listed += [f"{part} AS _p{index}" for index, part in enumerate(keys)]
        groups = [f"{key_column(index)}" for index in range(len(relation.keys))]
        if relation.own is None:
            listed += [
                f"{operand(scope, leaf)} AS _o{index}" for index, leaf in enumerate(relation.leaves)
            ]
            inner = f"SELECT DISTINCT {', '.join(listed)} {source}{scope.where()}"
            values = [
                f"{aggregate(self._writer.dialect, leaf.type, f'_o{index}')} AS {value_column(index)}"
                for index, leaf in enumerate(relation.leaves)
            ]
            return _select(groups + values, f"FROM ({inner}) AS _d", len(groups))
        inner = f"SELECT DISTINCT {', '.join(listed)} {source}{scope.where()}"
        own = self.scope(relation.own)
        joins = own.source()
        matching = " AND ".join(
            f"_d._p{index} = {own.identity(part)}"
            for index, part in enumerate(self._writer.catalog.cubes[relation.rows.cube].primary_key)
        )
        [leaf] = relation.leaves
        values = [f"{self._over_rows(own, leaf)} AS {value_column(0)}"]
        qualified = [f"_d.{name} AS {name}" for name in groups]
        body = f"{joins} JOIN ({inner}) AS _d ON {matching}"
        return _select(qualified + values, body, len(groups))

    def _over_rows(self, scope: Scope, leaf: Measure) -> str:
        """Return a leaf's aggregate over joined rows."""
        if not is_typed(leaf):
            if not isinstance(leaf.sql, Expression):
                raise InternalError(f"{leaf.cube}.{leaf.name} has no sql")
            return f"({scope.expression(leaf.sql)})"
        if leaf.type == "count" and leaf.sql is None and not leaf.filters:
            return "count(*)"
        return aggregate(self._writer.dialect, leaf.type, operand(scope, leaf))

    def _keys(self, scope: Scope, keys: tuple[GroupKey, ...]) -> list[str]:
        return [f"{scope.key(key)} AS {key_column(index)}" for index, key in enumerate(keys)]

    # -- from relations ----------------------------------------------------------------------

    def _merge(self, relation: Merge) -> str:
        """Put parts together: every part once, all of its columns or typed nulls, then by group."""
        placed = [self.place(part) for part in relation.parts]
        names = [key.name for key in relation.keys]
        if not names:
            return self._side_by_side(relation, placed)
        selects = []
        for number, part in enumerate(placed):
            listed = [f"{part.keys[name]} AS {key_column(i)}" for i, name in enumerate(names)]
            for index, measure in enumerate(relation.measures):
                if measure in part.values:
                    text = part.values[measure]
                else:
                    owner = next(item for item in placed if measure in item.values)
                    text = self._writer.dialect.empty(owner.values[measure], owner.name)
                listed.append(f"{text} AS {value_column(index)}")
            listed.append(f"{number} AS _part")
            selects.append(f"SELECT {', '.join(listed)} FROM {part.name}")
        columns = [key_column(index) for index in range(len(names))]
        for index, measure in enumerate(relation.measures):
            text = self._writer.dialect.any_value(value_column(index))
            columns.append(
                f"{self._filled(relation, placed, measure, text)} AS {value_column(index)}"
            )
        body = f"FROM ({' UNION ALL '.join(selects)}) AS _u"
        return _select(columns, body, len(names))

    def _side_by_side(self, relation: Merge, placed: list[Placed]) -> str:
        """Without keys each part has one row, or none: all nulls then."""
        listed = []
        for index, measure in enumerate(relation.measures):
            owner = next(item for item in placed if measure in item.values)
            listed.append(
                f"(SELECT {owner.values[measure]} FROM {owner.name}) AS {value_column(index)}"
            )
        return f"SELECT {', '.join(listed)}" if listed else "SELECT 1 AS _one"

    def _filled(
        self, relation: Merge, placed: list[Placed], measure: MeasureName, text: str
    ) -> str:
        """Return the value; for a group that its part lacks, the aggregate over no rows."""
        if not relation.fills:
            return text
        leaf = self._writer.catalog.cubes[measure[0]].measures[measure[1]]
        if leaf.type in {"count", "count_distinct", "count_distinct_approx"}:
            return f"coalesce({text}, 0)"
        if is_typed(leaf):
            return text
        number = next(i for i, item in enumerate(placed) if measure in item.values)
        part = relation.parts[number]
        if isinstance(part, Rolled) and isinstance(part.whole, Aggregate):
            part = part.whole
        if not isinstance(part, Aggregate):
            return text
        scope = self.scope(part.own or part.rows)
        source = scope.source()
        nothing = f"(SELECT {self._over_rows(scope, leaf)} {source} WHERE FALSE)"
        present = f"max(CASE WHEN _part = {number} THEN 1 END) = 1"
        return f"CASE WHEN {present} THEN {text} ELSE {nothing} END"

    def value(
        self, placed: Placed, alias: str, measure: Measure, keys: tuple[GroupKey, ...]
    ) -> str:
        """Return the SQL of a staged measure over a row of the relation underneath it."""
        scope = self.scope(Rows(measure.cube, ()))
        read = scope.reader(alias, placed)
        match measure.sql:
            case Expression():
                return f"({self._stage_expression(placed, alias, measure.sql, keys)})"
            case SwitchExpression():
                name = (measure.sql.switch.cube, measure.sql.switch.member)
                column = next(
                    column for key, column in placed.keys.items() if (key[0], key[1]) == name
                )
                return scope.switch(measure.sql, read, f"{alias}.{column}")
            case None:
                raise InternalError(f"{measure.cube}.{measure.name} has no sql")
            case _ as unreachable:
                assert_never(unreachable)

    def _stage_expression(
        self, placed: Placed, alias: str, expression: Expression, keys: tuple[GroupKey, ...]
    ) -> str:
        """Return a snippet over a relation: measures are its values, dimensions its keys."""
        del keys
        scope = StageScope(self._writer, Rows("", ()), self._attachment, alias, placed)
        return scope.expression(expression, scope.reader(alias, placed))

    def _regroup(self, relation: Regroup) -> str:
        placed = self.place(relation.source)
        measure = relation.measure
        listed = [
            f"_s.{placed.keys[key.name]} AS {key_column(index)}"
            for index, key in enumerate(relation.keys)
        ]
        value = self.value(placed, "_s", measure, relation.keys)
        body = f"FROM {placed.name} AS _s"
        same = len(relation.keys) == len(relation.source.keys)
        if relation.plain or same:
            value = self._counted(measure, value)
            text = f"SELECT {', '.join([*listed, f'{value} AS {value_column(0)}'])} {body}"
            if relation.keys or same:
                return text
            # Without keys there is one group, also over no inner groups.
            return f"SELECT _n.* FROM (SELECT 1 AS _one) AS _o LEFT JOIN ({text}) AS _n ON TRUE"
        listed.append(
            f"{aggregate(self._writer.dialect, measure.type, value)} AS {value_column(0)}"
        )
        return _select(listed, body, len(relation.keys))

    def _counted(self, measure: Measure, value: str) -> str:
        """Return what the outer stage makes of one row: a count counts it."""
        if measure.type in {"count", "count_distinct", "count_distinct_approx"}:
            return f"(CASE WHEN {value} IS NULL THEN 0 ELSE 1 END)"
        return value

    def _spread(self, relation: Spread) -> str:
        groups, placed = self.place(relation.groups), self.place(relation.source)
        listed = [
            f"_g.{groups.keys[key.name]} AS {key_column(index)}"
            for index, key in enumerate(relation.keys)
        ]
        own = (relation.measure.cube, relation.measure.name)
        source = placed.name
        if own in placed.values:
            value = f"_s.{placed.values[own]}"
        else:
            value = self._counted(relation.measure, self.value(placed, "_s", relation.measure, ()))
            if not _COLUMN.fullmatch(value):
                # Computed first: where there is no inner group, no arithmetic makes a value of nulls.
                kept = [f"_s.{column} AS {column}" for column in placed.keys.values()]
                computed = ", ".join([*kept, f"{value} AS {_OUTER}"])
                source, value = f"(SELECT {computed} FROM {placed.name} AS _s)", f"_s.{_OUTER}"
        listed.append(f"{value} AS {value_column(0)}")
        equal = self._writer.dialect.null_safe_equal
        matching = " AND ".join(
            equal(f"_g.{groups.keys[name]}", f"_s.{column}") for name, column in placed.keys.items()
        )
        body = f"FROM {groups.name} AS _g LEFT JOIN {source} AS _s ON ({matching or 'TRUE'})"
        return f"SELECT {', '.join(listed)} {body}"

    def _rank(self, relation: Rank) -> str:
        placed = self.place(relation.source)
        listed = [
            f"_s.{placed.keys[key.name]} AS {key_column(index)}"
            for index, key in enumerate(relation.keys)
        ]
        stage = relation.measure.multi_stage
        order = ", ".join(
            self._stage_expression(placed, "_s", key.sql, relation.keys)
            + (" DESC NULLS LAST" if key.descending else " ASC NULLS LAST")
            for key in (stage.order_by if stage is not None else ())
        )
        within = ", ".join(f"_s.{placed.keys[key.name]}" for key in relation.within)
        over = f"PARTITION BY {within} " if within else ""
        ordered = f"ORDER BY {order}" if order else ""
        listed.append(f"rank() OVER ({over}{ordered}) AS {value_column(0)}")
        return f"SELECT {', '.join(listed)} FROM {placed.name} AS _s"


class StageScope(Scope):
    """Members over a relation: a dimension is one of its keys."""

    __slots__ = ("_alias", "_placed_keys")

    def __init__(
        self, writer: Writer, rows: Rows, place: object, alias: str, placed: Placed
    ) -> None:
        super().__init__(writer, rows, place)  # type: ignore[arg-type]
        self._alias = alias
        self._placed_keys: dict[KeyName, str] = dict(placed.keys)

    def _stored(self, dimension: object) -> str:
        for name, column in self._placed_keys.items():
            if name[:2] == (dimension.cube, dimension.name):  # type: ignore[attr-defined]
                return f"{self._alias}.{column}"
        raise InternalError("a stage reads a dimension that is no key of it")


def _select(listed: list[str], body: str, keys: int) -> str:
    text = f"SELECT {', '.join(listed) or '1 AS _one'} {body}"
    if keys:
        text += f" GROUP BY {', '.join(str(index + 1) for index in range(keys))}"
    return text
