"""`python -m tests.e2e.superset`: everything that is promised of Superset, a line for each promise.

It starts a metrics server on real flights, Redis, a real Superset and Chromium, runs the tests of this
folder against them, and ends them. The exit code is 1 when a promise is not kept. Screenshots are in
`.ducat/screenshots`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

HERE: Final = Path(__file__).parent


@dataclass(slots=True)
class Promise:
    """What is promised, and the tests that prove it: those whose id begins so."""

    text: str
    proof: str
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0


PROMISES: Final = (
    (
        "every chart shows what hand-written SQL finds",
        "test_dashboard.py::test_a_chart_shows_what_hand",
    ),
    ("every chart shows what /load answers", "test_dashboard.py::test_a_chart_shows_what_load"),
    ("drawn in Chromium: numbers, filters, no other host", "test_dashboard.py::"),
    ("business users build charts and dashboards alone", "test_self_service.py::"),
    ("roles may do their deeds and no others", "test_roles.py::"),
    ("nobody sees the kept rows of another", "test_identity.py::"),
    ("sign-in by an OIDC provider", "test_oidc.py::"),
    ("embedded with the SDK, guests and a narrow role", "test_embedding.py::"),
    ("hostile attempts are refused", "test_hostile.py::"),
    ("a first dashboard of any view is drawn", "outage/test_starter.py::"),
    ("a part is killed while a dashboard is open", "outage/test_outage.py::"),
)


class Tally:
    """Counts the tests of each promise, and prints its line after the last of them."""

    def __init__(self, console: Console) -> None:
        self.promises = [Promise(*item) for item in PROMISES]
        self._console = console

    def find(self, node: str) -> Promise | None:
        """Return the promise that a test is a proof of: the most particular one."""
        inside = node.partition("tests/e2e/superset/")[2]
        found = [item for item in self.promises if inside.startswith(item.proof)]
        return max(found, key=lambda item: len(item.proof), default=None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one part of a test: its setup, call or teardown."""
        promise = self.find(report.nodeid)
        if promise is None:
            return
        promise.seconds += report.duration
        if report.failed or report.skipped:
            promise.failed += 1
            self._console.print(f"  [red]{report.nodeid}[/]\n{report.longreprtext[-2000:]}")
        elif report.when == "call":
            promise.passed += 1

    def show(self) -> int:
        """Print a line for each promise; return how many are not kept."""
        for item in self.promises:
            kept = item.passed > 0 and item.failed == 0
            word = "[green]kept    [/]" if kept else "[red]NOT KEPT[/]"
            counts = f"{item.passed} passed" + (f", {item.failed} failed" if item.failed else "")
            line = f"{word} {item.text:<52} {counts:<22} {item.seconds:6.1f} s"
            self._console.print(line, soft_wrap=True)
        return sum(item.passed == 0 or item.failed > 0 for item in self.promises)


def main() -> None:
    """Run the tests of this folder, or those named by arguments."""
    console = Console(highlight=False)
    tally = Tally(console)
    wanted = sys.argv[1:] or [str(HERE)]
    options = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-o", "addopts="]
    with console.status("Superset is started (a minute), then about six minutes of tests"):
        code = pytest.main([*options, *wanted], plugins=[tally])
    broken = tally.show()
    sys.exit(1 if broken or code != 0 else 0)


if __name__ == "__main__":
    main()
