"""A catalog as its callers see it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from semantic.catalog.catalog import Catalog
from semantic.query.context import SecurityContext
from semantic.query.members import PUBLIC, Sight, hide_members
from semantic.query.policy import PolicyBook, PolicySight

_KEPT: Final = 64


class Visibility:
    """The whole catalog, and for each caller what it may see. Safe to use from several threads."""

    __slots__ = ("_book", "_lock", "_made", "whole")

    def __init__(self, whole: Catalog) -> None:
        self.whole = whole
        self._book = PolicyBook(whole)
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, Catalog] = OrderedDict()

    def sight(self, context: SecurityContext) -> Sight:
        """Return what decides about the names that this caller writes, and about its rows."""
        return self._book.open(context)

    def visible(self, context: SecurityContext) -> Catalog:
        """Return the catalog without what this caller may not see.

        Callers for whom the same policies match get the same one.
        """
        sight = self.sight(context)
        key = sight.name_matches() if isinstance(sight, PolicySight) else None
        with self._lock:
            found = self._made.get(key)
            if found is not None:
                self._made.move_to_end(key)
                return found
        made = hide_members(self.whole, PUBLIC if key is None else sight)
        with self._lock:
            self._made[key] = made
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made
