"""How to answer, in business names.

    Plan = Combine(stages) → keep groups → order → offset, limit

A *stage* computes some measures for every group of one and the same set of joined rows: the join
tree's rows that pass the row conditions. That set and its groups do not depend on which measures
are asked, so the stages can be put together by their group columns (null-safe), and adding a
measure never adds or loses a row.

A measure is computed in one of three ways.

- `RowStage`: by aggregating the joined rows. Right when the joins do not repeat the rows of the
  measure's cube, or when repetition does not matter (min, max, distinct counts).
- `KeyStage`: the distinct (group, primary key) pairs of the joined rows, joined back to the
  measure's cube, aggregated. So each row of the cube counts once in each group it belongs to,
  however often the joins repeated it.
- From other measures (`Combined`), after the stages are put together.

Where a LEFT JOIN found no row of the measure's cube, there is nothing to aggregate, whatever the
measure's SQL makes of nulls (`sum` of `1`, `coalesce(x, 0)`). Each aggregate therefore sees only rows
where the cube is present. An aggregate written in SQL by the author cannot be told so from inside;
it gets a stage of its own without the absent rows (`sparse`), and the groups that this stage lacks
take the value of that aggregate over no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from semantic.catalog.catalog import Expression, Measure
from semantic.catalog.join_graph import JoinHop, JoinTree
from semantic.query.bound import BoundColumn, BoundOrder, Condition


@dataclass(frozen=True, slots=True)
class RowSet:
    """The joined rows that the whole query is about: a tree of joins and conditions on rows."""

    tree: JoinTree
    conditions: tuple[Condition, ...]
    grouping: tuple[BoundColumn, ...]


@dataclass(frozen=True, slots=True)
class RowStage:
    """Aggregates over the joined rows; `sparse` names the cube whose absent rows are left out."""

    leaves: tuple[Measure, ...]
    sparse: str | None = None


@dataclass(frozen=True, slots=True)
class KeyStage:
    """Aggregates over the distinct keys of `cube`, which `because` would repeat.

    `tree` starts at the cube and reaches what its measures refer to, repeating none of its rows.
    """

    cube: str
    tree: JoinTree
    leaves: tuple[Measure, ...]
    because: tuple[JoinHop, ...]
    sparse: bool = False


Stage = RowStage | KeyStage


@dataclass(frozen=True, slots=True)
class Leaf:
    """A measure that a stage computes: the index of the stage, and of the leaf in it."""

    stage: int
    index: int


@dataclass(frozen=True, slots=True)
class Combined:
    """A measure computed from other measures of the same group."""

    expression: Expression


Source = Leaf | Combined


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer. `sources` says for each measure (cube, name) where it comes from.

    `limit` is the number of rows to fetch; `tables` are the physical tables that are read.
    """

    rows: RowSet
    stages: tuple[Stage, ...]
    sources: Mapping[tuple[str, str], Source]
    columns: tuple[BoundColumn, ...]
    groups: tuple[Condition, ...]
    order: tuple[BoundOrder, ...]
    limit: int | None
    offset: int
    timezone: str
    tables: tuple[str, ...]
