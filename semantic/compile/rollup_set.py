"""Which of the built rollups the model can use, for the planner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import MappingProxyType

from semantic.catalog.catalog import Catalog
from semantic.compile.rollup import digest, write_definition
from semantic.compile.volatile import is_volatile
from semantic.errors import DucatError
from semantic.plan.candidates import RollupCandidate, RollupSet
from semantic.plan.rollup import RollupDefinition, define_rollup
from semantic.plan.statistics import Statistics
from semantic.rollups import TABLE, FoundRollup

_NOT_BUILT = "it is not built: run `ducat rollups build`"


class RollupCatalog:
    """Adds to what an engine knows the rollups of one model; looks again when either changed."""

    __slots__ = ("_catalog", "_known", "_read")

    def __init__(self, catalog: Catalog, read: Callable[[], Statistics]) -> None:
        """Keep nothing yet; `read` returns the same object as long as the engine knows the same."""
        self._catalog = catalog
        self._read = read
        self._known: tuple[Statistics, Statistics] | None = None

    def statistics(self) -> Statistics:
        """Return the engine's statistics with the model's rollups."""
        found, known = self._read(), self._known
        if known is None or known[0] is not found:
            known = (found, with_rollups(self._catalog, found))
            self._known = known
        return known[1]


def with_rollups(catalog: Catalog, statistics: Statistics) -> Statistics:
    """Return the statistics with the rollups of the model that the engine found built."""
    return dataclasses.replace(statistics, rollups=_find_rollups(catalog, statistics))


def _find_rollups(catalog: Catalog, statistics: Statistics) -> RollupSet:
    built: dict[str, list[FoundRollup]] = {}
    for known in statistics.stored:
        built.setdefault(known.rollup.name, []).append(known)
    candidates: dict[str, list[RollupCandidate]] = {}
    undefined: dict[str, list[tuple[str, str]]] = {}
    for cube in catalog.cubes.values():
        for item in cube.pre_aggregations:
            name = f"{cube.name}.{item.name}"
            try:
                definition = define_rollup(catalog, cube, item, statistics)
                found = _candidates(catalog, definition, built.get(name, []))
            except DucatError as refused:
                undefined.setdefault(cube.name, []).append((name, str(refused)))
            else:
                candidates.setdefault(cube.name, []).extend(found)
    return RollupSet(
        statistics.stored_version,
        MappingProxyType({name: tuple(items) for name, items in candidates.items()}),
        MappingProxyType({name: tuple(items) for name, items in undefined.items()}),
    )


def _candidates(
    catalog: Catalog, definition: RollupDefinition, built: list[FoundRollup]
) -> list[RollupCandidate]:
    """Return the rollup for each time zone that it is built for.

    Raises:
        DucatError: no table can stand for its rows.
    """
    if not built:
        return [RollupCandidate(definition, "UTC", missing=_NOT_BUILT)]
    found = []
    for known in built:
        item, why = known.rollup, known.missing
        sql = write_definition(catalog, definition, item.timezone)
        if digest(sql) != item.definition:
            why = "the model defines it otherwise since it was built: run `ducat rollups build`"
        elif is_volatile(sql):
            why = "its SQL says something else each time that it runs"
        table = None if why else f'"{item.alias}"."main"."{TABLE}"'
        found.append(RollupCandidate(definition, item.timezone, table, item.rows, why))
    return found
