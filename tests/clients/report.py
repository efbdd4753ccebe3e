"""What one client did, and whether it was right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """The outcome of one client: what it did, in order, and what was wrong."""

    client: str
    version: str = "?"
    done: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def check(self, step: str, found: object, expected: object) -> None:
        """Note a step; it fails when what was found is not what was expected."""
        self.done.append(step)
        if found != expected:
            self.failures.append(f"{step}: got {str(found)[:300]}, expected {str(expected)[:300]}")

    def line(self) -> str:
        """Return the line that is printed."""
        verdict = "FAIL" if self.failures else "pass"
        line = f"{verdict}  {self.client} {self.version}: {', '.join(self.done) or 'nothing'}"
        return "\n      ".join([line, *self.failures])


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its name, and what runs it. `run` gets the folder that it may write to."""

    name: str
    run: Callable[..., Report]
