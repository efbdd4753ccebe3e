"""The steps of an answer, told to whoever watches: waiting, planning, the warehouse, the answer's text.

A server that traces its requests sets a watcher for the context that a request runs in; code that
does a step says so with `step`. Where nobody watches, a step costs one look-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Literal, Protocol, Self, TypeAlias

StepName = Literal["queue", "plan", "warehouse", "render"]
Fact: TypeAlias = str | int | bool | tuple[str, ...]


class Step(Protocol):
    """A step that runs."""

    def note(self, name: str, value: Fact) -> None:
        """Tell something about it. Never a value that a caller filtered by, and no token."""


class Watcher(Protocol):
    """Somebody who wants to know."""

    def step(self, name: StepName) -> AbstractContextManager[Step]:
        """Watch a step from its beginning to its end."""


class _Unwatched:
    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def note(self, name: str, value: Fact) -> None:
        """Tell nobody."""


_UNWATCHED: Final = _Unwatched()
_WATCHER: Final[ContextVar[Watcher | None]] = ContextVar("ducat_watcher", default=None)


def step(name: StepName) -> AbstractContextManager[Step]:
    """Return what the step runs in."""
    watcher = _WATCHER.get()
    return _UNWATCHED if watcher is None else watcher.step(name)


@contextmanager
def watched_by(watcher: Watcher | None) -> Iterator[None]:
    """Let `watcher` see the steps of this block."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)
