"""Where a project keeps what its people own. Content is found by path, never imported by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semantic.errors import ProjectError


@dataclass(frozen=True, slots=True)
class Project:
    """A folder of Ducat's shape: model, pipelines, contracts and dashboard assets."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Project:
        """Return the project at `root`.

        Raises:
            ProjectError: there is no `semantic/model` folder below `root`.
        """
        project = cls(root.absolute())
        if not project.model.is_dir():
            raise ProjectError(
                f"{project.root} is not a Ducat project: it has no folder semantic/model",
                suggestion="give its folder: `ducat --project DIR …`",
            )
        return project

    @property
    def model(self) -> Path:
        """YAML of cubes and views."""
        return self.root / "semantic" / "model"

    @property
    def pipelines(self) -> Path:
        """A folder per pipeline, each with a `pipeline.py`."""
        return self.root / "flows" / "pipelines"

    @property
    def contracts(self) -> Path:
        """A YAML contract per gold table."""
        return self.root / "quality" / "contracts"

    @property
    def assets(self) -> Path:
        """Superset assets in Superset's own export layout."""
        return self.root / "dashboards" / "assets"
