"""Conversions to SQL.

    events      keys, _p0 … , _e, _t, _c0 …    base events: whose, when, constant properties
    converted   _id, _o, _e, _t, _c0 …         conversions, each with a number of its own
    matched     conversions with the events that can have led to them; _n = 1 is the latest
    result      the groups of the base measure LEFT JOIN the matched, aggregated by keys

An event stands in several groups where a join repeats it: then all of these have `_n` = 1, and the
conversion counts once in each.
"""

from __future__ import annotations

from semantic.catalog.catalog import Catalog, Conversion, Event, Measure
from semantic.compile.aggregates import aggregate, operand
from semantic.compile.scope import Scope, literal
from semantic.compile.windows import Places
from semantic.compile.writer import Writer, key_column, value_column
from semantic.errors import InternalError
from semantic.plan.lineage import find_fill
from semantic.plan.nodes import Conversions
from semantic.spec.intervals import parse_interval

_COUNTS = frozenset({"count", "count_distinct", "count_distinct_approx"})


def write_conversions(places: Places, writer: Writer, relation: Conversions) -> str:
    """Return the SELECT of a conversion measure."""
    conversion = _conversion(relation)
    base, converted = conversion.base, conversion.converted
    placed = places.place(relation.base)
    columns = [key_column(index) for index in range(len(relation.keys))]
    listed = ", ".join([*columns, "_id", "_o"])
    matched = _matched(places, writer, relation)
    total = aggregate(writer.dialect, _measure(writer.catalog, converted).type, "_o")
    counted = f"SELECT {', '.join([*columns, f'{total} AS _v'])} FROM "
    counted += f"(SELECT DISTINCT {listed} FROM ({matched}) AS _m WHERE _n = 1) AS _d"
    if columns:
        counted += f" GROUP BY {', '.join(columns)}"
    opportunities = _filled(
        writer, _measure(writer.catalog, base),
        f"_g.{placed.values[base.measure.cube, base.measure.member]}",
    )  # fmt: skip
    value = _filled(writer, _measure(writer.catalog, converted), "_c._v")
    if conversion.rate:
        double = writer.dialect.cast_double
        value = f"{double(value)} / nullif({double(opportunities)}, 0)"
    equal = writer.dialect.null_safe_equal
    pairs = [
        (f"_g.{placed.keys[key.name]}", column)
        for key, column in zip(relation.keys, columns, strict=True)
    ]
    head = [f"{key} AS {column}" for key, column in pairs]
    matching = " AND ".join(equal(key, f"_c.{column}") for key, column in pairs)
    return (
        f"SELECT {', '.join([*head, f'{value} AS {value_column(0)}'])} "
        f"FROM {placed.name} AS _g LEFT JOIN ({counted}) AS _c ON ({matching or 'TRUE'})"
    )


def _conversion(relation: Conversions) -> Conversion:
    conversion = relation.measure.conversion
    if conversion is None:
        raise InternalError(f"{relation.measure.cube}.{relation.measure.name} is no conversion")
    return conversion


def _matched(places: Places, writer: Writer, relation: Conversions) -> str:
    """Return each conversion with the events that can have led to it, the latest as number 1."""
    conversion = _conversion(relation)
    columns = [key_column(index) for index in range(len(relation.keys))]
    keys = writer.catalog.cubes[relation.events.cube].primary_key
    order = ["_b._t DESC", *(f"_b._p{index} DESC NULLS LAST" for index in range(len(keys)))]
    listed = [f"_b.{column} AS {column}" for column in columns]
    listed += ["_a._id AS _id", "_a._o AS _o"]
    listed.append(f"rank() OVER (PARTITION BY _a._id ORDER BY {', '.join(order)}) AS _n")
    matching = ["_a._e = _b._e", "_b._t <= _a._t"]
    if conversion.window is not None:
        parts = tuple(
            (amount, unit) for unit, amount in (parse_interval(conversion.window) or {}).items()
        )
        matching.append(f"_b._t > {writer.dialect.add('_a._t', parts, -1)}")
    matching += [f"_a._c{index} = _b._c{index}" for index in range(len(conversion.base.properties))]
    return (
        f"SELECT {', '.join(listed)} FROM ({_converted(places, writer, relation)}) AS _a "
        f"JOIN ({_events(places, writer, relation)}) AS _b ON {' AND '.join(matching)}"
    )


def _events(places: Places, writer: Writer, relation: Conversions) -> str:
    conversion = _conversion(relation)
    scope = places.scope(relation.events)
    source = scope.source()
    listed = [f"{scope.key(key)} AS {key_column(index)}" for index, key in enumerate(relation.keys)]
    keys = writer.catalog.cubes[relation.events.cube].primary_key
    listed += [f"{scope.identity(part)} AS _p{index}" for index, part in enumerate(keys)]
    listed += _compared(scope, writer, conversion.base)
    where = _where(scope, _measure(writer.catalog, conversion.base))
    return f"SELECT {', '.join(listed)} {source}{where}"


def _converted(places: Places, writer: Writer, relation: Conversions) -> str:
    conversion = _conversion(relation)
    scope = places.scope(relation.converted)
    source = scope.source()
    measure = _measure(writer.catalog, conversion.converted)
    listed = [f"{writer.dialect.number_rows()} AS _id", f"{operand(scope, measure)} AS _o"]
    listed += _compared(scope, writer, conversion.converted)
    return f"SELECT {', '.join(listed)} {source}{_where(scope, measure)}"


def _compared(scope: Scope, writer: Writer, event: Event) -> list[str]:
    """Return what events and conversions are compared by."""

    def text(cube: str, member: str) -> str:
        return scope.dimension(writer.catalog.cubes[cube].dimensions[member])

    time = text(event.time.cube, event.time.member)
    return [
        f"{text(event.entity.cube, event.entity.member)} AS _e",
        f"{writer.dialect.local_time(time, 'UTC')} AS _t",
        *(
            f"{text(item.cube, item.member)} AS _c{index}"
            for index, item in enumerate(event.properties)
        ),
    ]


def _where(scope: Scope, measure: Measure) -> str:
    """Return WHERE, with the filters of the measure: what they exclude is no event."""
    conditions = [f"({scope.expression(item)})" for item in measure.filters]
    where = scope.where()
    if not conditions:
        return where
    return f"{where or ' WHERE TRUE'} AND {' AND '.join(conditions)}"


def _filled(writer: Writer, measure: Measure, text: str) -> str:
    """Return a value, or what stands for it where there is none: 0 of counts."""
    filled = find_fill(writer.catalog, measure)
    if filled is None and measure.type in _COUNTS:
        filled = 0
    return text if filled is None else f"coalesce({text}, {literal(writer, filled)})"


def _measure(catalog: Catalog, event: Event) -> Measure:
    return catalog.cubes[event.measure.cube].measures[event.measure.member]
