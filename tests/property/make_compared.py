"""Random measures that a query makes: at another time, and how they changed since."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Final

from tests.property.members import measure_of
from tests.property.model import World
from tests.property.queries import Asked, Compared, Compares, Shifted

_STEPS: Final = (
    (1, "day"), (1, "day"), (2, "day"), (1, "week"), (1, "month"), (1, "month"), (1, "quarter"),
    (1, "year"), (3, "hour"),
)  # fmt: skip
_SHOWN: Final = ("previous", "change", "change_percent")


def with_compared(random: Random, world: World, asked: Asked) -> Asked:
    """Return the query with `shift` or `compare`, of one of its times."""
    time = random.choice(asked.times)
    named = None if len(asked.times) == 1 and random.random() < 0.5 else time.member
    if random.random() < 0.5:
        amount, unit = random.choice(_STEPS)
        shifted = Shifted(random.choice(asked.measures), amount, unit, random.random() < 0.7, named)
        found = dataclasses.replace(asked, shifted=(shifted,))
        number = measure_of(world.places[shifted.measure]).values == "number"
        return _about(random, found, shifted.name) if number else found
    to = random.choice(_STEPS)
    chosen = None
    if random.random() < 0.3:
        chosen = tuple(random.sample(asked.measures, 1))
    show = tuple(random.sample(_SHOWN, random.choice((1, 2, 3))))
    items = [measure_of(world.places[name]) for name in chosen or asked.measures]
    if any(item.values != "number" and item.type != "boolean" for item in items):
        show = ("previous",)  # the difference of two texts is for the database to refuse
    previous = time.range is not None and random.random() < 0.5
    compared = Compared(None if previous else to, named, chosen, show)
    found = dataclasses.replace(asked, compared=compared)
    made = f"{random.choice(chosen or asked.measures)}__{random.choice(show)}"
    return _about(random, found, made) if all(item.values == "number" for item in items) else found


def _about(random: Random, asked: Asked, made: str) -> Asked:
    """Sort or filter by what is made, now and then."""
    if random.random() < 0.2:
        asked = dataclasses.replace(asked, order=((made, random.random() < 0.5),))
    if random.random() < 0.2:
        compares = Compares(made, random.choice(("set", "notSet")))
        if random.random() < 0.6:
            compares = Compares(made, random.choice(("gt", "lte")), (random.choice("012"),))
        asked = dataclasses.replace(asked, filters=(*asked.filters, compares))
    return asked
