"""Random tables, measures and questions for rule 9, as rows, as YAML and as queries."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from tests.property.kinds import Question, Special, Sum, Tables

KINDS: Final = ("a", "b", None)
DIMENSIONS: Final = ("event.kind", "event.user_id", "user.city", "tag.name")
MEMBERS: Final = {
    "event.kind": "events.kind", "event.user_id": "events.user_id",
    "user.city": "users.city", "tag.name": "tags.name",
}  # fmt: skip
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "event.kind": ("a", "b"), "event.user_id": (1, 2, 3),
    "user.city": ("Oslo", "Rome"), "tag.name": ("x", "y"),
}  # fmt: skip
ZONES: Final = ("UTC", "America/New_York", "Asia/Kolkata")


def make_tables(rng: random.Random) -> Tables:
    """Return tables with nulls, orphans, ties and duplicates."""

    def at() -> datetime | None:
        if rng.random() < 0.08:
            return None
        hours = rng.choice((0, 5, 5))
        return datetime(2024, 2, 29) + timedelta(days=rng.choice((0, 1, 2, 5, 11)), hours=hours)  # noqa: DTZ001

    def row(number: int) -> dict[str, Any]:
        return {
            "id": number,
            "user_id": rng.choice((1, 1, 1, 2, 2, 9, None)),
            "at": at(),
            "kind": rng.choice(KINDS),
            "amount": rng.choice((1, 2, 5, -3, 10, None)),
        }

    users = [{"id": number, "city": rng.choice(("Oslo", "Rome", None))} for number in range(1, 5)]
    tags = [
        {"id": number, "user_id": rng.choice((1, 2, 3, 8)), "name": rng.choice(("x", "y", None))}
        for number in range(rng.randint(0, 6))
    ]
    events = [row(number) for number in range(rng.choice((0, 5, 30)))]
    orders = [row(number) for number in range(rng.choice((0, 12)))]
    return Tables(tuple(events), tuple(users), tuple(tags), tuple(orders))


def _make_sum(rng: random.Random, types: tuple[str, ...]) -> Sum:
    kind = rng.choice(types)
    column = None if kind == "count" and rng.random() < 0.7 else "amount"
    if kind == "count_distinct":
        column = "user_id"
    return Sum(kind, column, rng.choice((None, None, "a")))


def make_measures(rng: random.Random) -> tuple[Special, ...]:
    """Return measures of each kind, and a plain one."""
    all_types = ("sum", "count", "count_distinct", "avg", "min", "max")
    counted = ("sum", "count", "count", "count_distinct")
    found = [Special("plain", _make_sum(rng, all_types))]
    for number in range(3):
        groupings = rng.sample(("user_id", "kind"), rng.randint(0, 2))
        found.append(
            Special(
                f"semi{number}", _make_sum(rng, all_types), last=rng.random() < 0.6,
                period=rng.choice((None, None, "day", "month")), groupings=tuple(groupings),
                fill=rng.choice((None, None, 0)), spined=rng.random() < 0.3,
            )
        )  # fmt: skip
    found += [
        Special(f"filled{number}", _make_sum(rng, all_types), fill=rng.choice((None, 0, -1)), spined=number < 2)
        for number in range(3)
    ]  # fmt: skip
    for number in range(4):
        orders = _make_sum(rng, counted)
        found.append(
            Special(
                f"led{number}", _make_sum(rng, counted), orders=orders,
                window=rng.choice((None, 1, 1, 3)), same=rng.random() < 0.3, rate=number > 1,
                fill=rng.choice((None, None, 0)), spined=rng.random() < 0.3,
            )
        )  # fmt: skip
    return tuple(found)


def make_question(rng: random.Random, measures: tuple[Special, ...]) -> Question:
    """Return a question about some of the measures."""
    names = ("day", "week", "month", "quarter")
    granularities = tuple(rng.sample(names, rng.choice((0, 1, 1, 2))))
    dimensions = tuple(rng.sample(DIMENSIONS, rng.choice((0, 1, 1, 2))))
    start = end = None
    if rng.random() < 0.5:
        start = datetime(2024, 2, 25) + timedelta(days=rng.randint(0, 12))  # noqa: DTZ001
        end = start + timedelta(days=rng.randint(1, 15))
    conditions = tuple(
        (name, tuple(rng.sample(VALUES[name], rng.randint(1, 2))))
        for name in rng.sample(DIMENSIONS, rng.choice((0, 0, 1, 2)))
    )
    asked = tuple(rng.sample(measures, rng.randint(1, 3)))
    return Question(asked, dimensions, granularities, start, end, conditions, rng.choice(ZONES))


def write_seed(tables: Tables) -> str:
    """Return the SQL that makes the tables, in the words that both databases know."""
    facts = "id INTEGER, user_id INTEGER, at_time TIMESTAMP, kind TEXT, amount INTEGER"
    return "\n".join(
        [
            *_write_table("gold.events", facts, tables.events),
            *_write_table("gold.orders", facts, tables.orders),
            *_write_table("gold.users", "id INTEGER, city TEXT", tables.users),
            *_write_table("gold.tags", "id INTEGER, user_id INTEGER, name TEXT", tables.tags),
        ]
    )


def _write_table(name: str, columns: str, rows: tuple[Any, ...]) -> Iterator[str]:
    yield f"CREATE TABLE {name} ({columns});"
    for row in rows:
        yield f"INSERT INTO {name} VALUES ({', '.join(_literal(value) for value in row.values())});"


def _literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case int():
            return str(value)
        case _:
            return f"'{value}'"


def write_model(measures: tuple[Special, ...]) -> str:
    """Return the model as YAML."""
    listed = "\n".join(f"      - {_write_measure(measure)}" for measure in measures)
    sums = {measure.name: measure for measure in measures if measure.orders is not None}
    bases = "\n".join(f"      - {_write_sum(f'{n}_base', m.sum)}" for n, m in sums.items())
    orders = "\n".join(
        f"      - {_write_sum(n, m.orders)}" for n, m in sums.items() if m.orders is not None
    )
    dimensions = """
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: user_id, type: number, sql: user_id}
      - {name: at, type: time, sql: at_time}
      - {name: kind, type: string, sql: kind}"""
    return f"""
cubes:
  - name: events
    sql_table: gold.events
    joins:
      - {{name: users, relationship: many_to_one, sql: "{{CUBE}}.user_id = {{users}}.id"}}
    dimensions:{dimensions}
    measures:
{bases}
{listed}
  - name: users
    sql_table: gold.users
    joins:
      - {{name: tags, relationship: one_to_many, sql: "{{CUBE}}.id = {{tags}}.user_id"}}
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: city, type: string, sql: city}}
  - name: tags
    sql_table: gold.tags
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: name, type: string, sql: name}}
  - name: orders
    sql_table: gold.orders
    dimensions:{dimensions}
    measures:
{orders}
"""


def _write_sum(name: str, found: Sum, more: str = "") -> str:
    column = "" if found.column is None else f", sql: {found.column}"
    kind = "" if found.kind is None else f", filters: [{{sql: \"{{CUBE}}.kind = '{found.kind}'\"}}]"
    return f"{{name: {name}, type: {found.type}{column}{kind}{more}}}"


def _write_measure(measure: Special) -> str:
    more = "" if measure.fill is None else f", fill_nulls_with: {measure.fill}"
    more += ", join_to_timespine: true" * measure.spined
    if measure.last is not None:
        time = "at" if measure.period is None else f"at.{measure.period}"
        choice = "max" if measure.last else "min"
        groupings = ", ".join(measure.groupings)
        more += (
            f", non_additive_dimension: {{name: {time}, window_choice: {choice}, "
            f"window_groupings: [{groupings}]}}"
        )
    if measure.orders is None:
        return _write_sum(measure.name, measure.sum, more)
    window = "" if measure.window is None else f", window: {measure.window} day"
    same = ", constant_properties: [{base: kind, conversion: orders.kind}]" * measure.same
    calculation = "conversion_rate" if measure.rate else "conversions"
    return (
        f"{{name: {measure.name}, type: conversion{more}, conversion: {{base_measure: "
        f"{measure.name}_base, conversion_measure: orders.{measure.name}, "
        "entity: {base: user_id, conversion: orders.user_id}, "
        f"time: {{base: at, conversion: orders.at}}, calculation: {calculation}{window}{same}}}}}"
    )


def write_query(asked: Question) -> dict[str, Any]:
    """Return the question as JSON."""
    times: list[dict[str, Any]] = [
        {"dimension": "events.at", "granularity": name} for name in asked.granularities
    ]
    if asked.start is not None and asked.end is not None:
        last = asked.end - timedelta(days=1)
        between = [asked.start.date().isoformat(), last.date().isoformat()]
        if times:
            times[0]["dateRange"] = between
        else:
            times.append({"dimension": "events.at", "dateRange": between})
    return {
        "measures": [f"events.{measure.name}" for measure in asked.measures],
        "dimensions": [MEMBERS[name] for name in asked.dimensions],
        "timeDimensions": times,
        "filters": [
            {
                "member": MEMBERS[name],
                "operator": "equals",
                "values": [str(item) for item in values],
            }
            for name, values in asked.conditions
        ],
        "timezone": asked.zone,
        "limit": 50000,
    }
