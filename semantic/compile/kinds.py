"""Semi-additive measures and spines to SQL.

inner    keys, _t, _e, operand     the rows, their time, and the last time of their part
result   GROUP BY keys             over the inner rows WHERE _t = _e
"""

from __future__ import annotations

from typing import assert_never

from semantic.compile.aggregates import aggregate, operand
from semantic.compile.conversions import write_conversions
from semantic.compile.windows import Places, coarser, write_periods
from semantic.compile.writer import Writer, key_column, value_column
from semantic.plan.nodes import Conversions, SemiAdditive, Spine


def write_kind(places: Places, writer: Writer, relation: SemiAdditive | Spine | Conversions) -> str:
    """Return the SELECT of a relation that one of MetricFlow's kinds of metrics needs."""
    match relation:
        case SemiAdditive():
            return _write_semi_additive(places, writer, relation)
        case Spine():
            return _write_spine(places, writer, relation)
        case Conversions():
            return write_conversions(places, writer, relation)
        case _ as unreachable:
            assert_never(unreachable)


def _write_semi_additive(places: Places, writer: Writer, relation: SemiAdditive) -> str:
    """Return the SELECT of a semi-additive measure."""
    scope = places.scope(relation.rows)
    source = scope.source()
    time = relation.time
    # Moments as they are stored: on a wall clock two of them can look the same.
    text = scope.dimension(time.dimension) if time.granularity is None else scope.key(time)
    candidate, leaf = text, relation.leaf
    if leaf.filters:
        conditions = " AND ".join(f"({scope.expression(item)})" for item in leaf.filters)
        candidate = f"CASE WHEN {conditions} THEN {text} END"
    within = ", ".join(scope.key(key) for key in relation.within)
    over = f"PARTITION BY {within}" if within else ""
    listed = [f"{scope.key(key)} AS {key_column(index)}" for index, key in enumerate(relation.keys)]
    listed += [
        f"{text} AS _t",
        f"{'max' if relation.last else 'min'}({candidate}) OVER ({over}) AS _e",
        f"{operand(scope, leaf)} AS _o",
    ]
    if relation.distinct:
        keys = writer.catalog.cubes[relation.rows.cube].primary_key
        listed += [f"{scope.identity(part)} AS _p{index}" for index, part in enumerate(keys)]
    distinct = "DISTINCT " if relation.distinct else ""
    inner = f"SELECT {distinct}{', '.join(listed)} {source}{scope.where()}"
    columns = [key_column(index) for index in range(len(relation.keys))]
    columns.append(f"{aggregate(writer.dialect, leaf.type, '_o')} AS {value_column(0)}")
    text = f"SELECT {', '.join(columns)} FROM ({inner}) AS _d WHERE _t = _e"
    return text + _group_by(len(relation.keys))


def _write_spine(places: Places, writer: Writer, relation: Spine) -> str:
    """Return the SELECT of the periods in which no group of the sources lies."""
    series = relation.series
    placed = [places.place(source) for source in relation.sources]
    name = series.time.name
    cast = writer.dialect.cast_timestamp
    if series.start is not None and series.end is not None:
        bind = writer.parameters.bind
        end = writer.dialect.add(cast(bind(series.end)), ((1, "millisecond"),), -1)
        limits = ("(SELECT 1 AS _one) AS _l", cast(bind(series.start)), end)
    else:
        times = " UNION ALL ".join(
            f"SELECT {cast(item.keys[name])} AS _t FROM {item.name}" for item in placed
        )
        found = f"(SELECT min(_t) AS _a, max(_t) AS _z FROM ({times}) AS _x) AS _l"
        limits = (found, "_l._a", "_l._z")
    periods = write_periods(places, writer, series, limits)
    listed = []
    for index, key in enumerate(relation.keys):
        if key.name == name:
            text = "_w._start"
        elif key.granularity is not None:
            text = coarser(writer, key)
        else:  # a null of the key's type
            text = writer.dialect.empty(placed[0].keys[key.name], placed[0].name)
        listed.append(f"{text} AS {key_column(index)}")
    absent = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {item.name} AS _s WHERE _s.{item.keys[name]} = _w._start)"
        for item in placed
    )
    return f"SELECT {', '.join(listed)} FROM {periods} AS _w WHERE {absent}"


def _group_by(keys: int) -> str:
    """Return GROUP BY the first columns, or nothing."""
    if not keys:
        return ""
    return f" GROUP BY {', '.join(str(index + 1) for index in range(keys))}"
