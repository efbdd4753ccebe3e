"""What a statement asks of the layer, and what is computed over the answers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from semantic.query.query import Query


@dataclass(frozen=True, slots=True)
class Leaf:
    """One question to the layer. Its answer becomes the table `name`.

    `columns` are the names in that table and the columns of the result that fill them. With
    `counted` the table has one row: how many rows there are, after `skip` and at most `most`.
    """

    name: str
    query: Query
    columns: tuple[tuple[str, str], ...]
    counted: bool = False
    skip: int = 0
    most: int | None = None

    def count_rows(self, total: int) -> int:
        """Return how many of `total` rows the counted SELECT has."""
        left = max(0, total - self.skip)
        return left if self.most is None else min(left, self.most)


@dataclass(frozen=True, slots=True)
class Check:
    """A SELECT that counts groups which fall together; more than none refuses the statement."""

    count: exp.Select
    shown: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How a statement is answered.

    Without `outer` the rows of the only leaf are the answer; else `outer` is a query over the
    leaves' tables and those of the catalog that `catalog` names.
    """

    leaves: tuple[Leaf, ...]
    outer: exp.Query | None
    checks: tuple[Check, ...] = ()
    catalog: frozenset[str] = frozenset()
