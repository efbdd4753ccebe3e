"""Random tables: keys of one column, of two or none; foreign keys with nulls and orphans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final, Literal

from tests.property.model import Table
from tests.property.values import Value

NAMES: Final = ("ada", "bob", "cyd", "dot", "eve")
LABELS: Final = ("a", "b", "A", "a_b", "50%", "", None)
KINDS: Final = ("x", "y", None)
COLUMNS: Final = (
    ("label", "VARCHAR(9)"),
    ("kind", "VARCHAR(9)"),
    ("qty", "BIGINT"),
    ("amount", "DECIMAL(10, 2)"),
    ("flag", "BOOLEAN"),
    ("seen", "TIMESTAMP"),
    ("born", "DATE"),
)
# Days around the changes of the clocks in New York (March 10) and Berlin (March 31).
_DAYS: Final = (
    (2023, 12, 31), (2024, 1, 1), (2024, 1, 2), (2024, 2, 29), (2024, 3, 10), (2024, 3, 11),
    (2024, 3, 31), (2024, 4, 1),
)  # fmt: skip
_SECONDS: Final = (0, 1, 3_600 * 4, 3_600 * 5 + 1, 3_600 * 12, 3_600 * 23 + 3_599)
Kind = Literal["one", "two", "none"]


@dataclass(frozen=True, slots=True)
class Link:
    """Rows of `child` point at one row of `parent`; `single`: no two rows at the same one."""

    child: str
    parent: str
    columns: tuple[tuple[str, str], ...]
    single: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables and how they point at each other."""

    tables: tuple[Table, ...]
    links: tuple[Link, ...]
    keys: dict[str, tuple[str, ...]]


def make_schema(random: Random) -> Schema:
    """Return tables with rows."""
    names = NAMES[: random.choices((1, 2, 3, 4, 5), (1, 3, 4, 3, 2))[0]]
    kinds: dict[str, Kind] = {
        name: random.choices(("one", "two", "none"), (14, 3, 3))[0] for name in names
    }
    pairs: list[tuple[str, str]] = []
    for index, name in enumerate(names[1:], start=1):
        other = random.choice(names[:index])
        pairs.append((name, other) if random.random() < 0.6 else (other, name))
    for _ in range(random.choice((0, 0, 0, 1, 1, 2)) if len(names) > 2 else 0):
        left, right = random.sample(names, 2)
        if (left, right) not in pairs and (right, left) not in pairs:
            pairs.append((left, right))
    if random.random() < 0.15:
        name = random.choice(names)
        pairs.append((name, name))
    for _, parent in pairs:
        if kinds[parent] == "none":
            kinds[parent] = "one"
    keys = {name: _key_columns(kind) for name, kind in kinds.items()}
    links = tuple(_link(random, child, parent, keys[parent]) for child, parent in pairs)
    values = {name: _key_values(random, kinds[name]) for name in names}
    tables = tuple(_table(random, name, keys[name], values, links) for name in names)
    return Schema(tables, links, keys)


def _key_columns(kind: Kind) -> tuple[str, ...]:
    match kind:
        case "one":
            return ("id",)
        case "two":
            return ("k1", "k2")
        case "none":
            return ()


def _key_values(random: Random, kind: Kind) -> list[tuple[Value, ...]]:
    count = random.choices((0, 1, 3, 4, 5, 6, 7), (1, 2, 4, 8, 8, 6, 4))[0]
    match kind:
        case "one":
            return [(number,) for number in random.sample(range(1, 9), count)]
        case "two":
            every = [(number, text) for number in (1, 2, 3, 4) for text in ("p", "q")]
            return list(random.sample(every, count))
        case "none":
            return [()] * count


def _link(random: Random, child: str, parent: str, key: tuple[str, ...]) -> Link:
    columns = tuple((f"{parent}_{name}", name) for name in key)
    return Link(child, parent, columns, single=random.random() < 0.15)


def _table(
    random: Random,
    name: str,
    key: tuple[str, ...],
    values: dict[str, list[tuple[Value, ...]]],
    links: tuple[Link, ...],
) -> Table:
    mine = [link for link in links if link.child == name]
    columns: list[tuple[str, str]] = [(column, _key_type(column)) for column in key]
    for link in mine:
        columns += [(column, _key_type(target)) for column, target in link.columns]
    columns += COLUMNS
    count = len(values[name])
    pointed = [_pointers(random, link, values[link.parent], count) for link in mine]
    rows: list[tuple[Value, ...]] = []
    for index in range(count):
        row = [*values[name][index]]
        for pointers in pointed:
            row += pointers[index]
        rows.append((*row, *_plain_values(random)))
        if index and random.random() < 0.3:
            # The same row once more, but for its keys.
            width = len(COLUMNS)
            rows[index] = (*rows[index][:-width], *rows[index - 1][-width:])
    if not key and rows and random.random() < 0.5:
        rows += [row for row in rows if row is not rows[0] or not any(link.single for link in mine)]
        rows = rows[:8] if not any(link.single for link in mine) else rows[:count]
    return Table(f"t_{name}", tuple(columns), tuple(rows))


def _key_type(column: str) -> str:
    return "VARCHAR(9)" if column.endswith("k2") else "BIGINT"


def _pointers(
    random: Random, link: Link, targets: list[tuple[Value, ...]], count: int
) -> list[tuple[Value, ...]]:
    width = len(link.columns)
    nothing = (None,) * width
    orphan: tuple[Value, ...] = (9, "z")[:width]
    found: list[tuple[Value, ...]] = []
    left = [*targets, orphan] if link.single else [*targets, *targets[:2], orphan]
    for _ in range(count):
        if not left or random.random() < 0.1:
            found.append(nothing)
            continue
        chosen = random.choice(left) if random.random() < 0.95 else left[-1]
        found.append(chosen)
        if link.single:
            left.remove(chosen)
    return found


def _plain_values(random: Random) -> tuple[Value, ...]:
    return (
        random.choice(("a", "a", "b", *LABELS)),
        random.choice(KINDS),
        random.choice((None, -1, 0, 1, 2, 3, 5, 7)),
        random.choice((None, *(Decimal(number) / 4 for number in (-6, 1, 5, 10, 50, 70)))),
        random.choice((None, True, True, False)),
        random.choice((None, make_moment(random), make_moment(random), make_moment(random))),
        random.choice((None, make_day(random), make_day(random), make_day(random))),
    )


def make_day(random: Random) -> date:
    """Return a day of the data."""
    return date(*random.choice(_DAYS))


def make_moment(random: Random) -> datetime:
    """Return a moment of the data."""
    day = make_day(random)
    start = datetime(day.year, day.month, day.day)  # noqa: DTZ001 -- no zone, like the column
    return start + timedelta(seconds=random.choice(_SECONDS))
