"""What the demo tells while it works: a line for each step, with its seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console


@dataclass(slots=True)
class Steps:
    """The steps of one run, in the order in which they ended."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, name: str, says: str) -> Iterator[None]:
        """Time one step; print it when it is done, and say what is under way until then."""
        begin = time.monotonic()
        with self.console.status(f"{name}: {says}"):
            yield
        self.note(name, says, time.monotonic() - begin)

    def note(self, name: str, says: str, seconds: float) -> None:
        """Print one finished step."""
        self.seconds[name] = seconds
        self.console.print(f"  [green]✓[/] {name:<18} [dim]{seconds:6.1f} s[/]  {says}")

    @property
    def total(self) -> float:
        """Seconds since the first step began."""
        return time.monotonic() - self.started
