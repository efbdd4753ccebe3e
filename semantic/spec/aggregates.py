"""Which SQL functions aggregate rows: sqlglot's classes, and names that it has no class for."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

DUCKDB_AGGREGATES: Final = frozenset(
    [
        "arbitrary",
        "arg_max_null",
        "arg_max_nulls_last",
        "arg_min_null",
        "arg_min_nulls_last",
        "bitstring_agg",
        "count_star",
        "entropy",
        "favg",
        "fill",
        "fsum",
        "histogram",
        "histogram_exact",
        "kahan_sum",
        "kurtosis_pop",
        "mad",
        "mean",
        "product",
        "rank_dense",
        "reservoir_quantile",
        "sem",
        "sum_no_overflow",
        "sumkahan",
    ]
)


POSTGRES_AGGREGATES: Final = frozenset(
    [
        "every",
        "json_agg_strict",
        "json_object_agg_strict",
        "json_object_agg_unique",
        "json_object_agg_unique_strict",
        "jsonb_agg",
        "jsonb_agg_strict",
        "jsonb_object_agg_strict",
        "jsonb_object_agg_unique",
        "jsonb_object_agg_unique_strict",
        "range_agg",
        "range_intersect_agg",
        "xmlagg",
    ]
)
# One set for both: a name taken for an aggregate is refused where it is none, never summed twice.
_NAMES: Final = DUCKDB_AGGREGATES | POSTGRES_AGGREGATES


def is_aggregate(node: exp.Expr) -> bool:
    """Return whether the node is a call of an aggregate function."""
    if isinstance(node, exp.AggFunc | exp.RowNumber):
        return True
    return isinstance(node, exp.Anonymous) and node.name.lower() in _NAMES
