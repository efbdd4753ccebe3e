"""Plan to one SELECT.

    SELECT s0._group0 AS "flights.carrier", s0._value0 AS "flights.count", …
    FROM (SELECT … GROUP BY 1) AS s0          -- stage 0: every group
    JOIN (SELECT … GROUP BY 1) AS s1 ON s1._group0 IS NOT DISTINCT FROM s0._group0
    WHERE … ORDER BY … LIMIT …

Groups are compared null-safe: null is a group like any other.
"""

from __future__ import annotations

from semantic.catalog.catalog import Catalog, Measure
from semantic.catalog.join_graph import JoinTree
from semantic.compile.compiled import CompiledQuery, Parameters
from semantic.compile.conditions import Conditions
from semantic.compile.expressions import Expressions
from semantic.compile.names import PRESENT, group_name, quote_name, value_name
from semantic.errors import InternalError
from semantic.plan.nodes import Combined, KeyStage, Leaf, Plan, RowStage, Stage
from semantic.query.bound import BoundColumn, DimensionUse, MeasureUse, Use


def compile_plan(catalog: Catalog, plan: Plan, *, total: bool = False) -> CompiledQuery:
    """Return the SQL that answers the plan, and with `total` the SQL that counts its rows."""
    return _Statement(catalog, plan).write(total=total)


class _Statement:
    """The statement of one plan while it is written."""

    __slots__ = ("_catalog", "_expressions", "_parameters", "_plan", "_row_conditions")

    def __init__(self, catalog: Catalog, plan: Plan) -> None:
        self._catalog = catalog
        self._plan = plan
        self._expressions = Expressions(catalog, plan.timezone)
        self._parameters = Parameters()
        conditions = Conditions(self._expressions, self._parameters, self._row_member)
        self._row_conditions = [conditions.render(part) for part in plan.rows.conditions]

    def write(self, *, total: bool) -> CompiledQuery:
        plan = self._plan
        body = self._from()
        conditions = Conditions(self._expressions, self._parameters, self._use)
        kept = [conditions.render(part) for part in plan.groups]
        if kept:
            body += f"\nWHERE {' AND '.join(kept)}"
        listed = ",\n  ".join(
            f"{self._column(column)} AS {quote_name(column.name)}" for column in plan.columns
        )
        sql = f"SELECT\n  {listed}\n{body}{self._order()}"
        if plan.limit is not None:
            sql += f"\nLIMIT {plan.limit}"
        if plan.offset:
            sql += f"\nOFFSET {plan.offset}"
        return CompiledQuery(
            sql=sql,
            values=self._parameters.values,
            columns=plan.columns,
            tables=plan.tables,
            total=f"SELECT count(*) {body}" if total else None,
        )

    def _from(self) -> str:
        """Put the stages together on their groups."""
        text = ""
        for number, stage in enumerate(self._plan.stages):
            source = f"({self._stage(stage)}) AS s{number}"
            if number == 0:
                text = f"FROM {source}"
            elif not self._plan.rows.grouping:
                text += f"\nCROSS JOIN {source}"
            else:
                matching = " AND ".join(
                    f"s{number}.{group_name(index)} IS NOT DISTINCT FROM s0.{group_name(index)}"
                    for index in range(len(self._plan.rows.grouping))
                )
                word = "LEFT JOIN" if _is_sparse(stage) else "JOIN"
                text += f"\n{word} {source} ON {matching}"
        return text

    def _order(self) -> str:
        keys = []
        for item in self._plan.order:
            key = item.key if isinstance(item.key, int) else None
            text = str(key + 1) if key is not None else self._use(item.key)  # type: ignore[arg-type]
            # As PostgreSQL and Cube: null is larger than every value.
            keys.append(f"{text} DESC NULLS FIRST" if item.descending else f"{text} ASC NULLS LAST")
        return f"\nORDER BY {', '.join(keys)}" if keys else ""

    def _column(self, column: BoundColumn) -> str:
        if column.is_measure:
            return self._use(column.use)
        return f"s0.{group_name(self._plan.rows.grouping.index(column))}"

    def _use(self, use: Use) -> str:
        if isinstance(use, MeasureUse):
            return self._measure(use.measure)
        raise InternalError("a dimension among the conditions on groups")

    def _row_member(self, use: Use) -> str:
        if isinstance(use, DimensionUse):
            return self._expressions.dimension(use.dimension)
        raise InternalError("a measure among the conditions on rows")

    def _measure(self, measure: Measure) -> str:
        """Return a measure's value from the stages."""
        source = self._plan.sources[measure.cube, measure.name]
        match source:
            case Combined():
                return f"({self._expressions.expression(source.expression, self._measure)})"
            case Leaf():
                value = f"s{source.stage}.{value_name(source.index)}"
                stage = self._plan.stages[source.stage]
                if not _is_sparse(stage) or not self._plan.rows.grouping:
                    return value
                # A group that has no row of the cube: the aggregate over no rows.
                nothing = self._nothing(measure, stage)
                return f"CASE WHEN s{source.stage}.{PRESENT} THEN {value} ELSE {nothing} END"

    def _nothing(self, measure: Measure, stage: Stage) -> str:
        tree = stage.tree if isinstance(stage, KeyStage) else self._plan.rows.tree
        aggregate = self._expressions.aggregate(measure, None)
        return f"(SELECT {aggregate} {self._joins(tree, frozenset())} WHERE FALSE)"

    def _stage(self, stage: Stage) -> str:
        match stage:
            case RowStage():
                return self._row_stage(stage)
            case KeyStage():
                return self._key_stage(stage)

    def _row_stage(self, stage: RowStage) -> str:
        tree = self._plan.rows.tree
        marked = frozenset(leaf.cube for leaf in stage.leaves) - {tree.root}
        if stage.sparse is not None:
            marked = frozenset({stage.sparse})
        listed = self._groups()
        for index, leaf in enumerate(stage.leaves):
            guard = leaf.cube in marked and stage.sparse is None
            present = self._expressions.present(leaf.cube) if guard else None
            aggregate = self._expressions.aggregate(leaf, present)
            listed.append(f"{aggregate} AS {value_name(index)}")
        conditions = list(self._row_conditions)
        if stage.sparse is not None:
            conditions.append(self._expressions.present(stage.sparse))
            listed.append(f"TRUE AS {PRESENT}")
        return self._select(listed, self._joins(tree, marked), conditions)

    def _key_stage(self, stage: KeyStage) -> str:
        """Aggregate over the distinct keys: `_keys` holds each (group, key) pair once."""
        key = self._catalog.cubes[stage.cube].primary_key
        keys = [self._expressions.dimension(part) for part in key]
        pairs = self._groups() + [f"{part} AS _key{index}" for index, part in enumerate(keys)]
        inner = (
            f"SELECT DISTINCT {', '.join(pairs)} {self._joins(self._plan.rows.tree, frozenset())}"
        )
        if self._row_conditions:
            inner += f" WHERE {' AND '.join(self._row_conditions)}"
        marked = frozenset() if stage.sparse else frozenset({stage.cube})
        own = self._expressions.relation(stage.cube, marked=bool(marked))
        matching = " AND ".join(f"{part} = _keys._key{index}" for index, part in enumerate(keys))
        joins = (
            f"FROM ({inner}) AS _keys {'JOIN' if stage.sparse else 'LEFT JOIN'} {own} ON {matching}"
        )
        joins += self._hops(stage.tree, frozenset())
        listed = [
            f"_keys.{group_name(index)} AS {group_name(index)}"
            for index in range(len(self._plan.rows.grouping))
        ]
        present = None if stage.sparse else self._expressions.present(stage.cube)
        for index, leaf in enumerate(stage.leaves):
            listed.append(f"{self._expressions.aggregate(leaf, present)} AS {value_name(index)}")
        if stage.sparse:
            listed.append(f"TRUE AS {PRESENT}")
        return self._select(listed, joins, [])

    def _groups(self) -> list[str]:
        listed = []
        for index, column in enumerate(self._plan.rows.grouping):
            if not isinstance(column.use, DimensionUse):
                raise InternalError(f"{column.name} is no dimension")
            group = self._expressions.group(column.use.dimension, column.granularity)
            listed.append(f"{group} AS {group_name(index)}")
        return listed

    def _select(self, listed: list[str], joins: str, conditions: list[str]) -> str:
        text = f"SELECT {', '.join(listed)} {joins}"
        if conditions:
            text += f" WHERE {' AND '.join(conditions)}"
        count = len(self._plan.rows.grouping)
        if count:
            text += f" GROUP BY {', '.join(str(index + 1) for index in range(count))}"
        return text

    def _joins(self, tree: JoinTree, marked: frozenset[str]) -> str:
        root = self._expressions.relation(tree.root, marked=tree.root in marked)
        return f"FROM {root}{self._hops(tree, marked)}"

    def _hops(self, tree: JoinTree, marked: frozenset[str]) -> str:
        return "".join(
            f" LEFT JOIN {self._expressions.relation(hop.target, marked=hop.target in marked)}"
            f" ON ({self._expressions.expression(hop.join.sql)})"
            for hop in tree.hops
        )


def _is_sparse(stage: Stage) -> bool:
    match stage:
        case RowStage():
            return stage.sparse is not None
        case KeyStage():
            return stage.sparse
