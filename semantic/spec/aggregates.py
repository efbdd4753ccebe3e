"""Which SQL functions aggregate rows: sqlglot's classes, and DuckDB's names that it has no class for."""

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


def is_aggregate(node: exp.Expr) -> bool:
    """Return whether the node is a call of an aggregate function."""
    if isinstance(node, exp.AggFunc | exp.RowNumber):
        return True
    return isinstance(node, exp.Anonymous) and node.name.lower() in DUCKDB_AGGREGATES
