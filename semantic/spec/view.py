"""The YAML format of views as frozen classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from semantic.errors import Span
from semantic.spec.cube import Labels, ModelFilterSpec
from semantic.spec.policy import AccessPolicySpec
from semantic.spec.reader import Text


@dataclass(frozen=True, slots=True)
class IncludeSpec:
    """One member that a view takes from a cube, with what it says differently."""

    member: Text
    alias: Text | None = None
    title: str | None = None
    description: str | None = None
    format: str | None = None
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ViewCubeSpec:
    """The members that a view takes from the end of a join path. `includes` None means "*".

    With `split` they make a view of their own, named after both.
    """

    join_path: Text
    includes: tuple[IncludeSpec, ...] | None
    excludes: tuple[Text, ...]
    prefix: bool
    alias: str | None
    split: bool
    span: Span


@dataclass(frozen=True, slots=True)
class FolderEntrySpec:
    """A member of the view by name, or with `whole_path` every member of a join path."""

    text: Text
    whole_path: bool


@dataclass(frozen=True, slots=True)
class FolderSpec:
    """A folder. `includes` None means "*"; a folder among them is nested."""

    name: str
    includes: tuple[FolderEntrySpec | FolderSpec, ...] | None
    span: Span


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """A view, with everything that it extends merged in; `ancestors` are the names of those."""

    name: str
    labels: Labels
    cubes: tuple[ViewCubeSpec, ...]
    folders: tuple[FolderSpec, ...]
    filters: tuple[ModelFilterSpec, ...]
    groups: tuple[Text, ...]
    policies: tuple[AccessPolicySpec, ...]
    ancestors: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class ViewGroupSpec:
    """A named group of views."""

    name: str
    title: str | None
    description: str | None
    views: tuple[Text, ...]
    span: Span
