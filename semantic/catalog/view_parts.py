"""The parts of a view that are about its members: folders, default filters, groups of views."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, assert_never, cast

from semantic.catalog.catalog import (
    FilterTerm,
    FilterTree,
    Folder,
    MemberReference,
    ModelFilter,
    View,
    ViewGroup,
    ViewMember,
)
from semantic.catalog.names import humanise
from semantic.errors import Problem, suggest
from semantic.spec.cube import FilterTermSpec, FilterTreeSpec, ModelFilterSpec
from semantic.spec.reader import Text
from semantic.spec.view import FolderEntrySpec, FolderSpec, ViewGroupSpec, ViewSpec


def link_folder(
    spec: FolderSpec, members: Mapping[str, ViewMember], problems: list[Problem]
) -> Folder:
    """Return the folder; entries that are nothing of the view are added to `problems`."""
    if spec.includes is None:
        return Folder(spec.name, tuple(members))
    chosen: dict[str, None] = {}
    folders: list[Folder] = []
    for entry in spec.includes:
        match entry:
            case FolderSpec():
                folders.append(link_folder(entry, members, problems))
            case FolderEntrySpec():
                chosen.update(dict.fromkeys(_find_entry(spec, entry, members, problems)))
            case _ as unreachable:
                assert_never(unreachable)
    return Folder(spec.name, tuple(chosen), tuple(folders))


def _find_entry(
    folder: FolderSpec,
    entry: FolderEntrySpec,
    members: Mapping[str, ViewMember],
    problems: list[Problem],
) -> Sequence[str]:
    text = entry.text
    if entry.whole_path:
        names = [name.strip() for name in text.value.split(".")]
        found = [name for name, member in members.items() if _path_names(member) == names]
        wrong = f"the view takes nothing from `{text.value}`"
    else:
        found = [text.value] if text.value in members else []
        wrong = f"`{text.value}` is no member of the view"
    if not found:
        problems.append(
            Problem(
                "unknown_reference",
                f"folder `{folder.name}`: {wrong}",
                text.span,
                None if entry.whole_path else suggest(text.value, members),
            )
        )
    return found


def _path_names(member: ViewMember) -> list[str]:
    """Return a join path as it is written: roles by the last part of their names."""
    return [name.rpartition(".")[2] for name in member.join_path]


def link_filters(
    spec: ViewSpec, members: Mapping[str, ViewMember], problems: list[Problem]
) -> tuple[ModelFilter, ...]:
    """Return the default filters of a view; what they name wrongly is added to `problems`."""
    linker = _FilterLinker(spec, members, problems)
    found = [(linker.link(item), item) for item in spec.filters]
    for linked, item in found:
        if linked is not None and len(set(linker.kinds(linked))) > 1:
            problems.append(
                Problem(
                    "invalid_value",
                    f"a default filter of {spec.name} is about measures and dimensions at once",
                    _first_member(item).span,
                    "write a filter for each",
                )
            )
    return tuple(linked for linked, _ in found if linked is not None)


class _FilterLinker:
    """Finds the members that the filters of one view name: `view.member` or `member`."""

    __slots__ = ("members", "problems", "spec")

    def __init__(
        self, spec: ViewSpec, members: Mapping[str, ViewMember], problems: list[Problem]
    ) -> None:
        self.spec = spec
        self.members = members
        self.problems = problems

    def link(self, item: ModelFilterSpec) -> ModelFilter | None:
        match item:
            case FilterTermSpec():
                member = self._find(item.member, ("dimension", "measure"))
                found = (self._find(text, ("dimension", "measure", "segment"))
                         for text in item.unless)  # fmt: skip
                unless = tuple(reference for reference in found if reference is not None)
                if member is None:
                    return None
                return FilterTerm(member, item.operator, item.values, unless)
            case FilterTreeSpec():
                parts = [self.link(part) for part in item.parts]
                word = cast("Literal['and', 'or']", item.word)
                return FilterTree(word, tuple(part for part in parts if part is not None))
            case _ as unreachable:
                assert_never(unreachable)

    def kinds(self, item: ModelFilter) -> Iterator[str]:
        match item:
            case FilterTerm():
                yield self.members[item.member.member].kind
            case FilterTree():
                for part in item.parts:
                    yield from self.kinds(part)
            case _ as unreachable:
                assert_never(unreachable)

    def _find(self, text: Text, kinds: tuple[str, ...]) -> MemberReference | None:
        written = text.value.strip().removeprefix("{").removesuffix("}").strip()
        owner, _, name = written.rpartition(".")
        own = {"", "CUBE", self.spec.name, *self.spec.ancestors}
        member = self.members.get(name) if owner in own else None
        if member is not None and member.kind in kinds:
            return MemberReference(self.spec.name, name)
        if member is None:
            code, message = "unknown_reference", f"`{written}` is no member of {self.spec.name}"
        else:
            code = "invalid_reference"
            message = f"`{written}` is a {member.kind}, not a {' or '.join(kinds)}"
        near = [f"{self.spec.name}.{known}" for known in self.members]
        hint = suggest(f"{self.spec.name}.{name}", near) if member is None else None
        self.problems.append(Problem(code, message, text.span, hint))
        return None


def _first_member(item: ModelFilterSpec) -> Text:
    while isinstance(item, FilterTreeSpec):
        item = item.parts[0]
    return item.member


def link_groups(
    specs: Sequence[ViewGroupSpec],
    view_specs: Sequence[ViewSpec],
    views: Mapping[str, View],
    problems: list[Problem],
) -> tuple[tuple[ViewGroup, ...], dict[str, View]]:
    """Return the groups of views, and the views with the groups that they are in.

    A view is in the groups that name it and in those that it names. Where a model declares groups, a
    view may name declared ones only; where it declares none, naming one makes it.
    """
    groups: dict[str, ViewGroup] = {}
    places = {spec.name: spec.span for spec in reversed(specs)}
    for spec in specs:
        if spec.name in groups:
            problems.append(
                Problem(
                    "duplicate_name",
                    f"view group `{spec.name}` is declared already in {places[spec.name]}",
                    spec.span,
                )
            )
            continue
        problems.extend(
            Problem(
                "unknown_reference",
                f"view group `{spec.name}`: there is no view `{text.value}`",
                text.span,
                suggest(text.value, views),
            )
            for text in spec.views
            if text.value not in views
        )
        named = tuple(dict.fromkeys(text.value for text in spec.views if text.value in views))
        title = spec.title or humanise(spec.name)
        groups[spec.name] = ViewGroup(spec.name, title, named, spec.description)
    for view in view_specs:
        for text in view.groups:
            _join_group(view.name, text, groups, problems, declared=bool(specs))
    return tuple(groups.values()), {
        name: _with_groups(view, groups) for name, view in views.items()
    }


def _join_group(
    view: str,
    text: Text,
    groups: dict[str, ViewGroup],
    problems: list[Problem],
    *,
    declared: bool,
) -> None:
    known = groups.get(text.value)
    if known is None and declared:
        problems.append(
            Problem(
                "unknown_reference",
                f"view {view}: there is no view group `{text.value}`",
                text.span,
                suggest(text.value, groups) or "declare it under `view_groups:`",
            )
        )
    elif known is None:
        groups[text.value] = ViewGroup(text.value, humanise(text.value), (view,))
    elif view not in known.views:
        groups[text.value] = dataclasses.replace(known, views=(*known.views, view))


def _with_groups(view: View, groups: Mapping[str, ViewGroup]) -> View:
    names = tuple(group.name for group in groups.values() if view.name in group.views)
    return view if names == view.groups else dataclasses.replace(view, groups=names)
