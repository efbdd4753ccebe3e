"""Access policies: which members and rows of a cube or view a caller may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from semantic.catalog.catalog import ContextValue, MemberReference

EVERYONE: Final = "*"


@dataclass(frozen=True, slots=True)
class MemberChoice:
    """`includes` and `excludes`, short names. `includes` None is all members ("*")."""

    includes: tuple[str, ...] | None = None
    excludes: tuple[str, ...] = ()

    def holds(self, name: str) -> bool:
        """Whether the member is chosen."""
        return (self.includes is None or name in self.includes) and name not in self.excludes


@dataclass(frozen=True, slots=True)
class ClaimTest:
    """One `conditions` entry: what a value of the security context must be.

    true: neither absent, false, 0 nor empty. equals: one of `values`. Negated: the opposite.
    """

    path: tuple[str, ...]
    test: Literal["true", "equals"] = "true"
    values: tuple[str | int | float | bool | None, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class PolicyTerm:
    """A filter on rows. A `ContextValue` among `values` is the caller's: one value, or a list."""

    member: MemberReference
    operator: str
    values: tuple[str | ContextValue | None, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyTree:
    """Filters that all hold ("and") or of which one holds ("or")."""

    word: Literal["and", "or"]
    parts: tuple[PolicyFilter, ...]


PolicyFilter = PolicyTerm | PolicyTree


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """What its groups may see, when all `conditions` hold.

    `members` None is all members. `rows` None is all rows (no `row_level`, or `allow_all`).
    Members of `masking` that are not among `members` are shown masked.
    """

    groups: tuple[str, ...]  # "*" is everyone
    conditions: tuple[ClaimTest, ...] = ()
    members: MemberChoice | None = None
    masking: MemberChoice | None = None
    rows: tuple[PolicyFilter, ...] | None = None
