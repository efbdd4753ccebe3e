"""EXTRACT and date_part: the parts of a time, in PostgreSQL's types and with its digits.

EXTRACT is numeric: whole for most fields, with six places for seconds and for the epoch (with none for
that of a date), with three for milliseconds. `date_part` is the same number in double precision, and
takes a date for its midnight. DuckDB has whole numbers for all but the epoch, and leaves fractions out.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from api.postgres.errors import SqlError

DATE_PART: Final = "date_part"
_CALLED: Final = "ducat.date_part"  # in `meta`: the statement has date_part, not EXTRACT
_ARGUMENTS: Final = 2
_NAMES: Final = {
    "y": "year", "yr": "year", "yrs": "year", "years": "year", "qtr": "quarter", "mon": "month",
    "mons": "month", "months": "month", "w": "week", "weeks": "week", "d": "day", "days": "day",
    "h": "hour", "hr": "hour", "hrs": "hour", "hours": "hour", "m": "minute", "min": "minute",
    "mins": "minute", "minutes": "minute", "s": "second", "sec": "second", "secs": "second",
    "seconds": "second", "ms": "milliseconds", "msec": "milliseconds", "msecs": "milliseconds",
    "millisecond": "milliseconds", "us": "microseconds", "usec": "microseconds",
    "usecs": "microseconds", "microsecond": "microseconds", "decades": "decade", "dec": "decade",
    "centuries": "century", "cent": "century", "c": "century", "mil": "millennium",
    "millennia": "millennium", "mils": "millennium",
}  # fmt: skip
_WHOLE: Final = frozenset(
    {"year", "month", "day", "hour", "minute", "dow", "doy", "week", "quarter", "isodow", "isoyear",
     "decade", "century", "millennium"}
)  # fmt: skip
_OF_DAY: Final = frozenset({"hour", "minute", "second", "milliseconds", "microseconds"})
_MACRO: Final = {
    "second": "pg_second", "milliseconds": "pg_milliseconds", "microseconds": "pg_microseconds",
    "epoch": "pg_epoch",
}  # fmt: skip


def _epoch_type() -> str:
    """Return a null of the type of the epoch: that of a date has no places."""
    text = "CASE WHEN false THEN t END"
    for kind in ("TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIME",
                 "INTERVAL"):  # fmt: skip
        text = f"replace_type({text}, NULL::{kind}, NULL::DECIMAL(38, 6))"
    return f"replace_type({text}, NULL::DATE, NULL::DECIMAL(18, 0))"


MACROS: Final = (
    "CREATE MACRO pg_microseconds(t) AS CAST(microsecond(t) AS DECIMAL(18, 0))",
    "CREATE MACRO pg_milliseconds(t) AS CAST(microsecond(t) AS DECIMAL(18, 0)) * 0.001",
    "CREATE MACRO pg_second(t) AS CAST(microsecond(t) AS DECIMAL(18, 0)) * 0.000001",
    # Of an interval, a year has 365.25 days: epoch knows, epoch_us does not.
    f"""CREATE MACRO pg_epoch(t) AS cast_to_type(
    CASE WHEN typeof(t) = 'INTERVAL' THEN CAST(round(epoch(t) * 1000000) AS DECIMAL(30, 0))
    ELSE CAST(epoch_us(t) AS DECIMAL(30, 0)) END * 0.000001, {_epoch_type()})""",
    """CREATE MACRO pg_of_day(unit, t) AS CASE WHEN typeof(t) = 'DATE'
    THEN error('unit "' || unit || '" not supported for type date') ELSE t END""",
)


def read_date_part(arguments: list[exp.Expr]) -> exp.Expr:
    """Return what `date_part` of these arguments is: a part, or a call that is refused later."""
    first = arguments[0] if arguments else None
    if len(arguments) != _ARGUMENTS or not (isinstance(first, exp.Literal) and first.is_string):
        return exp.Anonymous(this=DATE_PART, expressions=arguments)
    part = exp.Extract(this=exp.var(first.name.lower()), expression=arguments[1])
    part.meta[_CALLED] = True
    return part


def is_date_part(node: exp.Extract) -> bool:
    """Whether a part is asked by `date_part`."""
    return bool(node.meta.get(_CALLED))


def name_part(node: exp.Extract) -> str:
    """Return which part is asked, in one of its names."""
    name = str(node.this.name or node.this).lower()
    return _NAMES.get(name, name)


def translate_part(node: exp.Extract, zone: str) -> exp.Expr:
    """Return a part as DuckDB computes it. Its time is translated already.

    Raises:
        SqlError: there is no such part.
    """
    field = name_part(node)
    if field not in _WHOLE and field not in _MACRO:
        raise SqlError(f'unit "{field[:60]}" is not answered', sqlstate="22023")
    moment = node.expression
    inner = moment.unnest()
    with_zone = isinstance(inner, exp.Cast) and inner.to.this == exp.DType.TIMESTAMPTZ
    if with_zone and field != "epoch":
        # The clock of an instant is that of the session.
        moment = exp.AtTimeZone(this=exp.Paren(this=moment), zone=exp.Literal.string(zone))
    if field in _OF_DAY and not is_date_part(node):
        unit = exp.Literal.string(field)
        moment = exp.Anonymous(this="pg_of_day", expressions=[unit, moment])
    made: exp.Expr
    if field in _MACRO:
        made = exp.Anonymous(this=_MACRO[field], expressions=[moment])
    else:
        number = exp.Extract(this=exp.var(field), expression=moment)
        made = exp.Cast(this=number, to=exp.DataType.build("DECIMAL(18, 0)", dialect="duckdb"))
    if is_date_part(node):
        made = exp.Cast(this=made, to=exp.DataType.build("DOUBLE", dialect="duckdb"))
    return made
