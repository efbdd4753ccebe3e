"""What can go wrong with data quality. See `semantic/errors.py` for the root of the tree.

QualityError
├─ ContractError       contract files are not usable; carries every problem with its place
├─ CandidateError      the file to check is not a DuckDB database
└─ ChecksFailedError   a contract does not hold for what was checked
"""

from __future__ import annotations

from collections.abc import Iterable

from semantic.errors import DucatError, Problem


class QualityError(DucatError):
    """The root of what goes wrong with data quality."""

    code = "quality_error"


class ContractError(QualityError):
    """Contract files are not usable; `problems` lists everything that is wrong, at once."""

    code = "invalid_contract"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            f"the contracts have {count} {noun}:\n{lines}",
            suggestion="`ducat quality contracts --schema` prints what may stand in a contract",
        )


class CandidateError(QualityError):
    """The file to check cannot be opened as a DuckDB database."""

    code = "unreadable_candidate"


class ChecksFailedError(QualityError):
    """A contract does not hold for what was checked."""

    code = "checks_failed"
