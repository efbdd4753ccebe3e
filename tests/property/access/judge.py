"""Asks each request in the guarded realm and in one without the forbidden, and compares."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.property.access.model_text import write_guarded, write_reduced
from tests.property.access.realm import Realm, Request, open_realm, sort_rows
from tests.property.access.requests import make_request
from tests.property.access.rules import Rules
from tests.property.access.world import MEMBERS, Caller, World, make_world


@dataclass(slots=True)
class Tally:
    """How many cases there were, and what differed."""

    cases: int = 0
    answered: int = 0
    doors: dict[str, int] = field(default_factory=dict)
    differences: list[tuple[Any, ...]] = field(default_factory=list)

    def __str__(self) -> str:
        doors = ", ".join(f"{door} {count}" for door, count in sorted(self.doors.items()))
        return (
            f"{self.cases} cases ({doors}), {self.answered} answered, "
            f"{len(self.differences)} differences"
        )


async def judge_world(seed: str, folder: Path, requests: int, tally: Tally) -> None:
    """Ask so many random requests of one random world, each as every caller in turn."""
    random = Random(seed)
    world = make_world(random)
    async with AsyncExitStack() as stack:
        guarded = await stack.enter_async_context(
            open_realm(folder / "guarded", write_guarded(world))
        )
        reduced = Reduced(world, folder, stack)
        for number in range(requests):
            request = make_request(random)
            callers = random.sample(world.callers, len(world.callers))
            # All at once, then in turn: what one is told must never reach another.
            found = await asyncio.gather(*(guarded.ask(request, caller) for caller in callers))
            again = [await guarded.ask(request, caller) for caller in callers]
            for caller, first, second in zip(callers, found, again, strict=True):
                realm = await reduced.find(request, caller)
                expected = _unname(await realm.ask(request, caller))
                tally.cases += 1
                tally.doors[request.door] = tally.doors.get(request.door, 0) + 1
                tally.answered += expected[0] in {200, "answered"}
                for answer in (_unname(first), _unname(second)):
                    if answer != expected:
                        tally.differences.append((seed, number, caller, request, answer, expected))
                        break


def _unname(answer: Any) -> Any:
    """Return an answer in which what stands for hidden members is called as they are."""
    match answer:
        case str():
            return answer.replace("zz_", "").replace("Zz ", "")
        case dict():
            return {_unname(key): _unname(value) for key, value in answer.items()}
        case list():
            return sort_rows([_unname(item) for item in answer])
        case tuple():
            return tuple(_unname(item) for item in answer)
        case _:
            return answer


class Reduced:
    """The realms without the forbidden, opened when they are needed."""

    def __init__(self, world: World, folder: Path, stack: AsyncExitStack) -> None:
        self._world = world
        self._folder = folder
        self._stack = stack
        self._open: dict[tuple[str, tuple[str, ...]], Realm] = {}

    async def find(self, request: Request, caller: Caller) -> Realm:
        """Return the realm of a caller in which the rows that a request may not see are gone."""
        rules = Rules(self._world, caller)
        used, through = _list_used(self._world, request)
        reduction = tuple(_reduce(rules, used, through=through))
        key = (caller.name, reduction)
        if key not in self._open:
            place = self._folder / f"reduced{len(self._open)}"
            realm = open_realm(place, write_reduced(rules), reduction)
            self._open[key] = await self._stack.enter_async_context(realm)
        return self._open[key]


def _list_used(world: World, request: Request) -> tuple[list[tuple[str, str]], bool]:
    """Return the members of cubes that a request names, and whether a view's: its root is joined."""
    text = f"{request.target} {request.body}"
    owners = set(re.findall(r"\b(sales|shops|items|board|desk)\b", text))
    words = set(re.findall(r"[a-z_]+", text))
    views = {view.name: view for view in world.views}
    if request.door in {"rest", "mcp"}:
        pairs = set(re.findall(r"\b(sales|shops|items|board|desk)\.([a-z_]+)", text))
    else:
        pairs = {(owner, word) for owner in owners for word in words}
    used: list[tuple[str, str]] = []
    through = False
    for owner, word in sorted(pairs):
        if owner in views:
            found = [(cube, name) for alias, cube, name in views[owner].members if alias == word]
            through = through or bool(found)
            used += found
        else:
            used += [(owner, item.name) for item in MEMBERS[owner] if item.name == word]
    return used, through


def _reduce(rules: Rules, used: list[tuple[str, str]], *, through: bool) -> Iterator[str]:
    """Yield statements that delete what a query of these members does not see.

    A row that is joined to no visible row of a guarded cube that the query reads is not seen either.
    """
    conditions = rules.rows(used)
    for cube, condition in sorted(conditions.items()):
        yield f"DELETE FROM gold.{cube} WHERE ({condition}) IS NOT TRUE"
    read = {cube for cube, _ in used} | {
        read
        for cube, name in used
        for item in MEMBERS[cube]
        for read, _ in item.reads
        if item.name == name
    }
    joined = through or "sales" in read or {"shops", "items"} <= read
    for cube, key in (("shops", "shop_id"), ("items", "item_id")):
        if cube in conditions and joined:
            visible = f"SELECT id FROM gold.{cube}"
            yield f"DELETE FROM gold.sales WHERE {key} IS NULL OR {key} NOT IN ({visible})"
    for cube, key in (("shops", "shop_id"), ("items", "item_id")):
        if cube in read and joined and conditions.keys() - {cube}:
            visible = f"SELECT {key} FROM gold.sales WHERE {key} IS NOT NULL"
            yield f"DELETE FROM gold.{cube} WHERE id NOT IN ({visible})"
