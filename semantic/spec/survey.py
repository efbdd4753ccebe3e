"""One walk over the tree of a snippet, noting for every node what stands around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from semantic.spec.aggregates import is_aggregate

MAXIMUM_DEPTH: Final = 400
"""DuckDB refuses expressions deeper than 1,000; the query around a snippet needs some of that."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A node of the tree.

    `aggregated`: it stands inside an aggregate function of the snippet itself; what is inside a
    sub-select counts as what the sub-select stands in. `nested`: it stands inside a sub-select.
    """

    node: exp.Expr
    aggregated: bool
    nested: bool


def survey(tree: exp.Expr) -> tuple[Surveyed, ...] | None:
    """Return every node of the tree, parents first; None when it is too deep."""
    found: list[Surveyed] = []
    stack: list[tuple[Surveyed, int]] = [(Surveyed(tree, aggregated=False, nested=False), 1)]
    while stack:
        place, depth = stack.pop()
        if depth > MAXIMUM_DEPTH:
            return None
        found.append(place)
        node = place.node
        nested = place.nested or isinstance(node, exp.Select | exp.SetOperation)
        wraps = isinstance(node, exp.Filter | exp.WithinGroup)
        for child in node.iter_expressions():
            inside = place.aggregated
            if not nested:
                # FILTER and WITHIN GROUP stand around their function, not the other way round.
                inside = inside or is_aggregate(node) or (wraps and child is not node.this)
            stack.append((Surveyed(child, inside, nested), depth + 1))
    return tuple(found)
