"""Which rollups there are for a plan to use, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from semantic.plan.rollup import RollupDefinition


@dataclass(frozen=True, slots=True)
class RollupCandidate:
    """A rollup of the model, for one time zone.

    `table` is its name in SQL; None where it cannot be read, for the reason `missing`.
    """

    definition: RollupDefinition
    timezone: str
    table: str | None = None
    rows: int = 0
    missing: str = ""


@dataclass(frozen=True, slots=True)
class RollupSet:
    """The rollups of each cube. `version` changes with any of them.

    `undefined`: by cube, the names of those that no table can be made for, and why.
    """

    version: str = ""
    candidates: Mapping[str, tuple[RollupCandidate, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    undefined: Mapping[str, tuple[tuple[str, str], ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )


NO_ROLLUPS: Final = RollupSet()


@dataclass(frozen=True, slots=True)
class RollupNote:
    """What became of one rollup for one aggregate of a plan: used, or why not."""

    rollup: str
    used: bool
    why: str
