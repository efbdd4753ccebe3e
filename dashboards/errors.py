"""What can go wrong between the assets in git and Superset."""

from __future__ import annotations

from collections.abc import Iterable

from semantic.errors import DucatError, Problem


class SupersetDownError(DucatError):
    """Superset cannot be reached, or does not answer in time."""

    code = "superset_down"


class SupersetRefusedError(DucatError):
    """Superset answered, and said no. The message carries its words."""

    code = "superset_refused"


class SupersetMissingError(DucatError):
    """The environment that Superset runs in is absent or incomplete."""

    code = "superset_missing"


class EditedAssetError(DucatError):
    """A file that would be written was edited by somebody."""

    code = "edited_asset"


class InvalidAssetsError(DucatError):
    """The assets in git do not agree with the model; `problems` lists everything at once."""

    code = "invalid_assets"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            f"the dashboard assets have {count} {'problem' if count == 1 else 'problems'}:\n{lines}",
            suggestion="correct the file named, or write datasets anew: `ducat dashboards generate`",
        )
