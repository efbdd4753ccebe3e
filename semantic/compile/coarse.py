"""An aggregate in two steps to SQL (see `semantic/plan/coarsen.py`).

SELECT keys, sum(_g._v0) FROM (
  SELECT kept keys, stored times, compared columns, sum(…) AS _v0 FROM rows GROUP BY …
) AS _g LEFT JOIN customers AS "customers" ON (_g._l0 = "customers".id) GROUP BY keys
"""

from __future__ import annotations

from typing import Final

from semantic.catalog.catalog import Expression
from semantic.compile.aggregates import aggregate, operand
from semantic.compile.scope import Place, Scope
from semantic.compile.writer import Writer, key_column, value_column
from semantic.errors import InternalError
from semantic.plan.nodes import Coarsen, Link, Step

_GROUPS: Final = "_g"


class GroupScope(Scope):
    """Members over groups: columns of what was read first are those of the groups."""

    __slots__ = ("_late",)

    def __init__(self, writer: Writer, relation: Coarsen, place: Place) -> None:
        super().__init__(writer, relation.whole.rows, place)
        self._late = {link.step.target for link in relation.links}
        self._late |= {step.target for step in relation.steps}

    def alias(self, cube: str) -> str:
        """Return the name under which the columns of a cube stand."""
        return super().alias(cube) if cube in self._late else _GROUPS


def write_coarse(writer: Writer, relation: Coarsen, place: Place) -> str:
    """Return the SELECT of an aggregate in two steps."""
    whole, kept = relation.whole, {key.name: key_column(i) for i, key in enumerate(relation.kept)}
    first = Scope(writer, relation.rows, place)
    source = first.source()
    listed = [f"{first.key(key)} AS {kept[key.name]}" for key in relation.kept]
    for time in relation.times:
        if not isinstance(time.sql, Expression):
            raise InternalError(f"{time.cube}.{time.name} is no column")
        listed.append(f"{first.expression(time.sql)} AS {str(time.sql.parts[-1])[1:]}")
    listed += [
        f"{first.expression(link.source)} AS _l{index}" for index, link in enumerate(relation.links)
    ]
    groups = _places(len(listed))
    for index, leaf in enumerate(whole.leaves):
        counted = leaf.type == "count" and leaf.sql is None and not leaf.filters
        text = "count(*)" if counted else aggregate(writer.dialect, leaf.type, operand(first, leaf))
        listed.append(f"{text} AS {value_column(index)}")
    if relation.unjoined:
        columns = [
            f"{first.expression(link.source)} AS {key_column(index)}"
            for index, link in enumerate(relation.links)
        ]
        listed[: len(columns)] = columns
        return f"SELECT {', '.join(listed)} {source}{first.where()} GROUP BY {groups}"
    inner = f"SELECT {', '.join(listed)} {source}{first.where(relation.later)} GROUP BY {groups}"

    second = GroupScope(writer, relation, place)
    joins = _write_links(second, relation) + "".join(second.joined(step) for step in relation.steps)
    listed = []
    for index, key in enumerate(whole.keys):
        column = kept.get(key.name)
        text = second.key(key) if column is None else f"{_GROUPS}.{column}"
        listed.append(f"{text} AS {key_column(index)}")
    for index, leaf in enumerate(whole.leaves):
        kind = "sum" if leaf.type == "count" else leaf.type
        text = aggregate(writer.dialect, kind, f"{_GROUPS}.{value_column(index)}")
        if leaf.type == "count":  # a sum of whole numbers is wider than a count
            text = f"CAST({text} AS BIGINT)"
        listed.append(f"{text} AS {value_column(index)}")
    conditions = second.conditions()
    held = [conditions.render(whole.rows.conditions[place]) for place in relation.later]
    where = f" WHERE {' AND '.join(held)}" if held else ""
    groups = _places(len(whole.keys))
    return f"SELECT {', '.join(listed)} FROM ({inner}) AS {_GROUPS}{joins}{where} GROUP BY {groups}"


def _write_links(scope: Scope, relation: Coarsen) -> str:
    joined: dict[str, tuple[Step, list[str]]] = {}
    for index, link in enumerate(relation.links):
        _, comparisons = joined.setdefault(link.step.target, (link.step, []))
        comparisons.append(_compare(scope, index, link))
    return "".join(
        f" LEFT JOIN {scope.relation(step.target)} ON ({' AND '.join(comparisons)})"
        for step, comparisons in joined.values()
    )


def _compare(scope: Scope, index: int, link: Link) -> str:
    return f"{_GROUPS}._l{index} = {scope.expression(link.target)}"


def _places(count: int) -> str:
    return ", ".join(str(index + 1) for index in range(count))
