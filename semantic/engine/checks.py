"""The newest checks of the tables in service, read again only when the file of them was replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from semantic.engine.served import Stamp, look
from semantic.snapshot import CHECKS, QualityState, read_checks


class CheckFile:
    """The file of checks beside the served one. Safe to use from several threads."""

    __slots__ = ("_known", "_path", "_serving")

    def __init__(self, serving: Path) -> None:
        self._serving = serving
        self._path = str(serving / CHECKS)
        self._known: tuple[Stamp, Mapping[str, QualityState]] | None = None

    def look(self) -> Stamp:
        """Return what changes when the file is replaced."""
        return look(self._path)

    def read(self) -> Mapping[str, QualityState]:
        """Return the newest check of each table by name; empty when none ran yet.

        Raises:
            SnapshotError: the file cannot be read.
        """
        known, stamp = self._known, self.look()
        if known is not None and known[0] == stamp:
            return known[1]
        checks = read_checks(self._serving)  # after the look: a newer file is read again next time
        self._known = (stamp, checks)
        return checks
