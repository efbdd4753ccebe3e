"""Random models with access policies, as plain values: the one description that both sides read.

A star of three cubes, each over a table of its own, and two views, of which one may have policies.
Every member says its SQL twice: as the model has it, and naming others by names of their own (`zz_`),
so that a world in which the others are gone can still say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

GROUPS: Final = ("red", "green", "blue")
Kind = Literal["dimension", "measure", "segment"]


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a cube. `reads`: the members (cube, name) that its SQL refers to."""

    name: str
    kind: Kind
    type: str
    sql: str
    plain: str
    mask: str | None = None
    reads: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A condition of a policy on a column: the model's words, and SQL's.

    `claim` is the claim of the caller that the values come from; `sql` has `{values}` for them.
    """

    member: str
    operator: str
    values: tuple[str, ...]
    sql: str
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """An access policy. None among the parts: not restricted."""

    group: str
    needs_boss: bool | None
    includes: tuple[str, ...] | None
    excludes: tuple[str, ...] | None
    masked: tuple[str, ...]
    rows: RowFilter | None


@dataclass(frozen=True, slots=True)
class Cube:
    """A cube, its table `gold.<name>`, and how it hangs on the first one."""

    name: str
    members: tuple[Member, ...]
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class View:
    """A view: names of its own for members of cubes."""

    name: str
    members: tuple[tuple[str, str, str], ...]  # name, cube, member
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class World:
    """A model, and its callers."""

    cubes: tuple[Cube, ...]
    views: tuple[View, ...]
    callers: tuple[Caller, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: groups and claims."""

    name: str
    groups: tuple[str, ...]
    is_boss: bool
    levels: tuple[int, ...]


TABLES: Final = """
CREATE SCHEMA gold;
CREATE TABLE gold.sales AS SELECT
  i AS id, CASE WHEN i % 13 = 12 THEN NULL ELSE i % 5 END AS shop_id, i % 4 AS item_id,
  CASE i % 4 WHEN 0 THEN 'web' WHEN 1 THEN 'shop' WHEN 2 THEN NULL ELSE 'phone' END AS kind,
  i % 6 AS level, CAST(i * 7 % 31 AS DECIMAL(12, 2)) AS amount, i % 3 = 0 AS flag,
  'secret ' || i % 9 AS secret, TIMESTAMP '2024-01-01' + to_days(CAST(i AS INTEGER)) AS at
FROM range(60) t(i);
CREATE TABLE gold.shops AS SELECT i AS id, 'shop ' || i AS name, i % 3 AS level, 'owner ' || i % 2 AS owner
FROM range(6) t(i);
CREATE TABLE gold.items AS SELECT i AS id, 'item ' || i AS label, i % 2 AS level, i * 10 AS size
FROM range(4) t(i);
"""

SALES: Final = (
    Member("kind", "dimension", "string", "{CUBE}.kind", "{CUBE}.kind", mask="'***'"),
    Member("level", "dimension", "number", "{CUBE}.level", "{CUBE}.level", mask="-1"),
    Member("flag", "dimension", "boolean", "{CUBE}.flag", "{CUBE}.flag"),
    Member("secret", "dimension", "string", "{CUBE}.secret", "{CUBE}.secret", mask="NULL"),
    Member("at", "dimension", "time", "{CUBE}.at", "{CUBE}.at"),
    Member("shop_name", "dimension", "string", "{shops.name}", "{shops.zz_name}", reads=(("shops", "name"),)),
    Member("count", "measure", "count", "", ""),
    Member("total", "measure", "sum", "{CUBE}.amount", "{CUBE}.amount"),
    Member("secret_total", "measure", "sum", "{CUBE}.level", "{CUBE}.level"),
    Member("average", "measure", "number", "{total} / NULLIF({count}, 0)", "{zz_total} / NULLIF({zz_count}, 0)", reads=(("sales", "total"), ("sales", "count"))),
    Member("greatest", "measure", "max", "{CUBE}.amount", "{CUBE}.amount"),
    Member("low", "segment", "", "{CUBE}.level < 3", "{CUBE}.level < 3"),
    Member("secretive", "segment", "", "{CUBE}.secret = 'secret 1'", "{CUBE}.secret = 'secret 1'"),
)  # fmt: skip
SHOPS: Final = (
    Member("name", "dimension", "string", "{CUBE}.name", "{CUBE}.name", mask="'hidden shop'"),
    Member("level", "dimension", "number", "{CUBE}.level", "{CUBE}.level"),
    Member("owner", "dimension", "string", "{CUBE}.owner", "{CUBE}.owner"),
    Member("count", "measure", "count", "", ""),
    Member("owned", "segment", "", "{CUBE}.owner = 'owner 1'", "{CUBE}.owner = 'owner 1'"),
)
ITEMS: Final = (
    Member("label", "dimension", "string", "{CUBE}.label", "{CUBE}.label"),
    Member("level", "dimension", "number", "{CUBE}.level", "{CUBE}.level"),
    Member("size", "dimension", "number", "{CUBE}.size", "{CUBE}.size"),
    Member("count", "measure", "count", "", ""),
    Member("secret_size", "measure", "sum", "{CUBE}.size", "{CUBE}.size"),
)
MEMBERS: Final = {"sales": SALES, "shops": SHOPS, "items": ITEMS}
VIEWED: Final = (
    *((item.name, "sales", item.name) for item in SALES),
    ("shop", "shops", "name"), ("shop_owner", "shops", "owner"), ("item", "items", "label"),
    ("item_size", "items", "size"),
)  # fmt: skip
ROW_FILTERS: Final = {
    "sales": (
        RowFilter("kind", "equals", ("web", "shop"), "kind IN ('web', 'shop')"),
        RowFilter("level", "gte", ("2",), "level >= 2"),
        RowFilter("level", "lt", ("4",), "level < 4"),
        RowFilter("level", "equals", ("{ security_context.levels }",), "level IN ({values})", "levels"),
        RowFilter("flag", "equals", ("true",), "flag"),
    ),
    "shops": (
        RowFilter("level", "equals", ("{ security_context.levels }",), "level IN ({values})", "levels"),
        RowFilter("owner", "equals", ("owner 1",), "owner = 'owner 1'"),
    ),
    "items": (RowFilter("size", "gte", ("10",), "size >= 10"),),
}  # fmt: skip


def make_world(random: Random) -> World:
    """Return a model of which some is guarded, and callers of all sorts."""
    cubes = tuple(
        Cube(name, members, _make_policies(random, name, members))
        for name, members in MEMBERS.items()
    )
    names = tuple(name for name, _, _ in VIEWED)
    guarded: tuple[Policy, ...] = ()
    if random.random() < 0.6:
        guarded = tuple(_make_policy(random, names, (), None) for _ in range(random.choice((1, 2))))
    views = (View("board", VIEWED, ()), View("desk", VIEWED, guarded))
    callers = tuple(
        Caller(
            f"caller{number}",
            tuple(group for group in GROUPS if random.random() < 0.5),
            random.random() < 0.5,
            tuple(random.sample(range(6), random.choice((1, 2, 3)))),
        )
        for number in range(3)
    )
    return World(cubes, views, callers)


def _make_policies(random: Random, cube: str, members: tuple[Member, ...]) -> tuple[Policy, ...]:
    if random.random() < 0.25:
        return ()
    names = tuple(item.name for item in members)
    masks = tuple(item.name for item in members if item.mask is not None)
    return tuple(
        _make_policy(random, names, masks, cube) for _ in range(random.choice((1, 2, 2, 3)))
    )


def _make_policy(
    random: Random, names: tuple[str, ...], masks: tuple[str, ...], cube: str | None
) -> Policy:
    chosen = tuple(name for name in names if random.random() < 0.6)
    includes: tuple[str, ...] | None = None
    excludes: tuple[str, ...] | None = None
    match random.choice(("all", "includes", "includes", "excludes")):
        case "includes":
            includes = chosen
        case "excludes":
            excludes = tuple(name for name in names if name not in chosen)
        case _:
            pass
    masked: tuple[str, ...] = ()
    if (includes is not None or excludes is not None) and random.random() < 0.5:
        masked = tuple(name for name in masks if random.random() < 0.7)
    rows = None
    if cube is not None and random.random() < 0.5:
        rows = random.choice(ROW_FILTERS[cube])
    return Policy(
        random.choice((*GROUPS, *GROUPS, "*")),
        random.choice((None, None, None, True, False)),
        includes,
        excludes,
        masked,
        rows,
    )
