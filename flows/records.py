"""Expressions that silver transforms of any pipeline need, the same on every Ibis backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

# Wider than any 64 bit number, so that texts of equal length compare like the numbers.
_WIDTH = 20


def newest_records(
    table: ir.Table, key: Sequence[str], *, order: str = "_batch_number"
) -> ir.Table:
    """Return one row per key, the one delivered last, without the columns of bronze.

    Deliveries are ordered by `order`, a number that is not negative. Different rows for one key
    within one delivery have no order of their own: the greatest by content is taken, so that
    the choice does not depend on how the delivery's rows were arranged.

    It is an aggregate and a join and not a window, which Ibis's Polars backend lacks.
    """
    names = [name for name in table.columns if not name.startswith("_")]
    number = table[order].cast("int64").cast("string").lpad(_WIDTH, "0")
    content = [
        ibis.coalesce(table[name].cast("string"), ibis.literal(""))
        for name in names
        if name not in key
    ]
    ranked = table.select(
        *(table[name] for name in names),
        __rank=reduce(lambda text, part: text.concat("|", part), content, number),
    )
    newest = ranked.group_by([ranked[name] for name in key]).agg(__rank=ranked["__rank"].max())
    return ranked.join(newest, [*key, "__rank"]).select(names).distinct()


def cleaned_text(column: ir.Value) -> ir.StringValue:
    """Return text without blanks around it; nothing, and what stands for nothing, is null."""
    text = column.cast("string").strip()
    return ibis.cases(
        (text.isin(["", "NA", "N/A", "NULL", "null", "NaN", "nan", "None"]), ibis.null("string")),
        else_=text,
    )


def utc_timestamp(column: ir.Value) -> ir.TimestampValue:
    """Return a moment as a timestamp of UTC without zone; text is read as ISO 8601 with a Z."""
    kind = column.type()
    if kind.is_string():
        return column.replace("Z", "").replace("T", " ").cast("timestamp")
    if kind.is_timestamp() and kind.timezone is not None:
        return column.cast(ibis.dtype("timestamp('UTC')")).cast("timestamp")
    return column.cast("timestamp")
