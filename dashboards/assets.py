"""The dashboard assets in git: Superset's export layout, one reviewable YAML file per object.

    metadata.yaml                      version and type of the bundle
    databases/<database>.yaml          how Superset reaches this server; never a secret
    datasets/<database>/<view>.yaml    written from the model by `ducat dashboards generate`
    charts/<chart>.yaml                a chart, of one dataset
    dashboards/<dashboard>.yaml        layout and filters

Objects refer to each other by UUID only. UUIDs are made from names, so that every installation has
the same ones and a second import changes objects in place.
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dashboards.errors import InvalidAssetsError
from semantic.errors import Problem, Span

Kind = Literal["databases", "datasets", "charts", "dashboards"]
KINDS: Final[tuple[Kind, ...]] = ("databases", "datasets", "charts", "dashboards")
METADATA: Final = "metadata.yaml"
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:ducat:dashboards")


def asset_uuid(kind: Kind, name: str) -> str:
    """Return the UUID of an asset: the same name always has the same one."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))


@dataclass(frozen=True, slots=True)
class Asset:
    """One YAML file. `path` is relative to the assets folder, with forward slashes."""

    path: str
    content: Mapping[str, Any]
    text: str = ""

    def place(self, word: str = "") -> Span:
        """Return the first line that has this word whole, or the first line."""
        found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", self.text) if word else None
        if found is None:
            return Span(self.path, 1, 1)
        before = self.text[: found.start()]
        return Span(self.path, before.count("\n") + 1, found.start() - before.rfind("\n"))

    @property
    def kind(self) -> str:
        """The top folder: one of KINDS, or "" for the metadata file."""
        parts = PurePosixPath(self.path).parts
        return parts[0] if len(parts) > 1 else ""

    @property
    def uuid(self) -> str:
        """The UUID that other assets refer to; "" when the file has none."""
        return str(self.content.get("uuid", ""))

    @property
    def title(self) -> str:
        """What people call it."""
        for key in ("slice_name", "dashboard_title", "table_name", "database_name"):
            if key in self.content:
                return str(self.content[key])
        return self.path


@dataclass(frozen=True, slots=True)
class Assets:
    """All assets of a project, in order of path."""

    root: Path
    files: tuple[Asset, ...]

    def of(self, kind: Kind) -> tuple[Asset, ...]:
        """Return the assets of one kind, in order of path."""
        return tuple(asset for asset in self.files if asset.kind == kind)


def read_assets(root: Path) -> Assets:
    """Return what lies below the assets folder.

    Raises:
        InvalidAssetsError: there is none, or a file is not YAML of a mapping; names every one.
    """
    paths = sorted(root.rglob("*.yaml"))
    problems: list[Problem] = []
    files: list[Asset] = []
    if not (root / METADATA).is_file():
        problems.append(Problem("no_assets", f"{root / METADATA} does not exist"))
    for path in paths:
        name = path.relative_to(root).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
            content = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, UnicodeDecodeError) as broken:
            mark = getattr(broken, "problem_mark", None)
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            problems.append(Problem("not_yaml", _one_line(broken), Span(name, line, column)))
            continue
        if not isinstance(content, dict):
            problems.append(Problem("not_an_asset", "is not a mapping", Span(name, 1, 1)))
            continue
        files.append(Asset(name, content, text))
    problems.extend(_unusable(files))
    if problems:
        raise InvalidAssetsError(problems)
    return Assets(root, tuple(files))


def write_yaml(content: Mapping[str, Any]) -> str:
    """Return the one text that this content is written as: block style, keys in the order given."""
    yaml = YAML(typ="rt", pure=True)
    yaml.default_flow_style = False
    yaml.width = 4096  # lines are never folded: a diff shows the sentence that changed
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _write_null)
    yaml.representer.ignore_aliases = lambda _: True  # every place says what it is
    stream = io.StringIO()
    yaml.dump(dict(content), stream)
    return stream.getvalue()


def _write_null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _unusable(files: list[Asset]) -> list[Problem]:
    """Two files with one UUID would overwrite each other; a file outside a kind is not sent."""
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for asset in files:
        if asset.path == METADATA:
            continue
        place = Span(asset.path, 1, 1)
        if asset.kind not in KINDS:
            problems.append(Problem("not_an_asset", f"is not in {', '.join(KINDS)}", place))
        elif not asset.uuid:
            problems.append(Problem("no_uuid", "has no uuid", place))
        elif asset.uuid in seen:
            problems.append(
                Problem("same_uuid", f"has the uuid of {seen[asset.uuid]}: {asset.uuid}", place)
            )
        seen.setdefault(asset.uuid, asset.path)
    return problems


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())
