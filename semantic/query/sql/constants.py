"""Constants of SQL to the values of a filter: text that binding reads back to the same value."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from semantic.catalog.catalog import DimensionType, MeasureType
from semantic.errors import QuerySyntaxError, UnsupportedError
from semantic.query.sql.members import DimensionColumn, MeasureColumn
from semantic.query.sql.syntax import Call, ColumnName, Constant, Expression, describe

_MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?))?\s?(Z|[+-]\d{2}(?::?\d{2})?)?"
)
# What a format says must stand in the text; no other format is read.
_FORMATS: Final[dict[tuple[str, str], re.Pattern[str]]] = {
    ("TO_TIMESTAMP", "YYYY-MM-DD HH24:MI:SS.US"): re.compile(
        r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{6}"
    ),
    ("TO_TIMESTAMP", "YYYY-MM-DD HH24:MI:SS"): re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}"),
    ("TO_TIMESTAMP", "YYYY-MM-DD"): re.compile(r"\d{4}-\d{2}-\d{2}"),
    ("TO_DATE", "YYYY-MM-DD"): re.compile(r"\d{4}-\d{2}-\d{2}"),
}


def read_value(expression: Expression, column: DimensionColumn | MeasureColumn) -> str:
    """Return the value of a constant that is compared with `column`.

    A time becomes ISO text with microseconds, so that nothing is rounded on the way.

    Raises:
        QuerySyntaxError: it is no constant, null, or not of the column's type.
    """
    constant = _constant(expression, column)
    if constant.kind == "null":
        raise QuerySyntaxError(
            f"nothing equals NULL: the condition on {column.name} never holds",
            suggestion="write IS NULL or IS NOT NULL",
        )
    type_ = column.dimension.type if isinstance(column, DimensionColumn) else column.measure.type
    if type_ == "time":
        return read_moment(constant).isoformat(timespec="microseconds")
    if constant.kind in {"date", "timestamp", "instant"}:
        if type_ in {"min", "max"}:
            return read_moment(constant).isoformat(timespec="microseconds")
        raise _mismatch(constant, type_, column.name)
    fits = {
        "string": {"text"},
        "geo": {"text"},
        "boolean": {"boolean", "text", "number"},
    }.get(type_, {"number", "text"})
    if constant.kind not in fits:
        raise _mismatch(constant, type_, column.name)
    return constant.text


def read_moment(constant: Constant) -> datetime:
    """Return the moment that a constant names: with a zone only when it is declared to have one.

    Raises:
        QuerySyntaxError: it is none.
    """
    match = _MOMENT.fullmatch(constant.text.strip())
    if match is None or constant.kind not in {"text", "date", "timestamp", "instant"}:
        raise _no_moment(constant)
    day, clock, zone = match.groups()
    if (zone and constant.kind != "instant") or (clock and constant.kind == "date"):
        raise QuerySyntaxError(
            f"{constant.text!r} says more than a {constant.kind} holds",
            suggestion="write '2024-01-31' or '2024-01-31 12:00:00', without a time zone",
        )
    try:
        return datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone or ''}")
    except ValueError as invalid:
        raise _no_moment(constant) from invalid


def _constant(expression: Expression, column: DimensionColumn | MeasureColumn) -> Constant:
    match expression:
        case Constant():
            return expression
        case Call(function="TO_TIMESTAMP" | "TO_DATE") as call:
            return _parsed(call)
        case ColumnName():
            raise UnsupportedError(
                f"{column.name} is compared with {expression}: "
                "only a comparison with a fixed value is answered",
                suggestion="put a text in single quotes: 'like this'",
            )
        case _:
            raise UnsupportedError(
                f"{column.name} is compared with {describe(expression)}: "
                "only a comparison with a fixed value is answered"
            )


def _parsed(call: Call) -> Constant:
    match call.arguments:
        case (Constant("text", text), Constant("text", form)) if not call.distinct:
            pattern = _FORMATS.get((call.function, form.upper()))
            if pattern is not None and pattern.fullmatch(text):
                return Constant("date" if call.function == "TO_DATE" else "timestamp", text)
        case _:
            pass
    raise UnsupportedError(
        f"{describe(call)} is not read",
        suggestion="write TIMESTAMP '2024-01-31 12:00:00' or DATE '2024-01-31'",
    )


def _mismatch(
    constant: Constant, type_: DimensionType | MeasureType, name: str
) -> QuerySyntaxError:
    wanted = {"string": "a text in single quotes", "boolean": "TRUE or FALSE"}.get(
        type_, "a number"
    )
    return QuerySyntaxError(
        f"the condition on {name} compares with {str(constant)[:100]}, which is not {wanted}"
    )


def _no_moment(constant: Constant) -> QuerySyntaxError:
    return QuerySyntaxError(
        f"{str(constant)[:100]} is not a date or time",
        suggestion="write '2024-01-31' or '2024-01-31 12:00:00'",
    )
