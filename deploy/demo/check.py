"""Ten metrics, every face, one number: equal to the SQL written by hand, or an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.demo.faces import FACES, Doors
from deploy.demo.metrics import METRICS, Metric, compute_expected
from deploy.errors import AnswersDifferError


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric: what the hand-written SQL says, and what each face says."""

    metric: Metric
    expected: float
    answers: Mapping[str, float]

    @property
    def is_equal(self) -> bool:
        """Whether every face gave exactly the expected value."""
        return all(answer == self.expected for answer in self.answers.values())


def compare_faces(
    doors: Doors, days: int, progress: Callable[[Comparison], None]
) -> tuple[Comparison, ...]:
    """Ask every face for every metric and report each comparison as it is made.

    Raises:
        AnswersDifferError: a face differs; names every difference.
    """
    expected = compute_expected(days)
    comparisons = []
    for metric in METRICS:
        answers = {name: ask(doors, metric) for name, ask in FACES.items()}
        comparison = Comparison(metric, expected[metric.title], answers)
        comparisons.append(comparison)
        progress(comparison)
    differences = [
        f"{item.metric.title}: {face} says {answer!r}, SQL by hand says {item.expected!r}"
        for item in comparisons
        for face, answer in item.answers.items()
        if answer != item.expected
    ]
    if differences:
        raise AnswersDifferError("; ".join(differences))
    return tuple(comparisons)
