"""From the tree of a view or a group of views to its spec."""

from __future__ import annotations

from collections.abc import Iterator

from semantic.errors import Problem
from semantic.spec.filters import read_filters
from semantic.spec.policy import read_access_policies
from semantic.spec.read_labels import read_labels, refuse_extension
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode, Node, ScalarNode, SequenceNode
from semantic.spec.view import (
    FolderEntrySpec,
    FolderSpec,
    IncludeSpec,
    ViewCubeSpec,
    ViewGroupSpec,
    ViewSpec,
)

_VIEW_LATER = ("dimensions", "measures", "segments", "includes", "excludes")
_FOLDERS_DEEP = 10


def read_view(node: MappingNode, problems: list[Problem]) -> ViewSpec | None:
    """Return the spec of one view, or None when it has no usable name."""
    probe = node.entries.get("name")
    label = f"view `{probe[1].value}`" if probe and isinstance(probe[1], ScalarNode) else "a view"
    reader = MappingReader(node, label, problems)
    name = reader.name()
    ancestors = _read_ancestors(reader.take("extends"))
    items = reader.items("cubes")
    cubes = tuple(cube for item in items if (cube := _read_cube(item, label, problems)))
    if not items and not reader.given("cubes"):
        reader.report("missing_key", f"{label} has no `cubes`")
    folders = tuple(
        folder for item in reader.items("folders") if (folder := _read_folder(item, problems))
    )
    filters = read_filters(reader.take("filters"), label, problems, unless=True)
    if any(cube.split for cube in cubes):
        for key in ("filters", "access_policy"):
            if reader.given(key):  # they would not hold in the views that are split off
                reader.report("conflicting_keys", f"{label} has both `{key}` and `split`")
    spec = ViewSpec(
        name=name.value if name else "",
        labels=read_labels(reader),
        cubes=cubes,
        folders=folders,
        filters=filters,
        groups=_read_groups(reader),
        policies=read_access_policies(reader),
        ancestors=ancestors,
        span=name.span if name else node.span,
    )
    reader.finish(_VIEW_LATER)
    return spec if name else None


def read_view_group(node: MappingNode, problems: list[Problem]) -> ViewGroupSpec | None:
    """Return the spec of one group of views, or None when it has no usable name."""
    reader = MappingReader(node, "a view group", problems)
    name = reader.name()
    group = ViewGroupSpec(
        name=name.value if name else "",
        title=reader.text("title"),
        description=reader.text("description"),
        views=reader.texts("views") or (),
        span=name.span if name else node.span,
    )
    reader.finish()
    return group if name else None


def _read_ancestors(node: Node | None) -> tuple[str, ...]:
    """Return the names that the merge has left: the parent and what that extends."""
    items = node.items if isinstance(node, SequenceNode) else (node,)
    return tuple(item.value for item in items if isinstance(item, ScalarNode))


def _read_groups(reader: MappingReader) -> tuple[Text, ...]:
    one, many = reader.identifier("view_group"), reader.texts("view_groups") or ()
    groups = {text.value: text for text in ((one, *many) if one else many)}
    return tuple(groups.values())


def _read_cube(node: MappingNode, view: str, problems: list[Problem]) -> ViewCubeSpec | None:
    reader = MappingReader(node, f"a cube of {view}", problems)
    path = reader.take("join_path")
    includes_node, excludes_node = reader.take("includes"), reader.take("excludes")
    prefix, alias = reader.flag("prefix"), reader.identifier("alias")
    split = reader.flag("split")
    reader.finish()
    if prefix and split:
        reader.report("conflicting_keys", f"{reader.what} has both `prefix` and `split`")
    if alias is not None and not (prefix or split):
        reader.report(
            "conflicting_keys",
            f"`alias` of {reader.what} says nothing without a prefix",
            alias.span,
            "add `prefix: true`",
        )
    if not isinstance(path, ScalarNode):
        reader.report("missing_key", f"{reader.what} has no `join_path`")
        return None
    excludes = _names(excludes_node, "excludes", reader)
    if includes_node is None:
        reader.report(
            "missing_key", f"{reader.what} has no `includes`", None, 'list members or write "*"'
        )
        return None
    star = _is_star(includes_node)
    return ViewCubeSpec(
        join_path=Text(path.value, path),
        includes=None if star else tuple(_read_includes(includes_node, reader)),
        excludes=excludes,
        prefix=bool(prefix),
        alias=alias.value if alias else None,
        split=bool(split),
        span=node.span,
    )


def _read_includes(node: Node, outer: MappingReader) -> Iterator[IncludeSpec]:
    if not isinstance(node, SequenceNode):
        outer.report("wrong_type", '`includes` must be a list or "*"', node.span)
        return
    for item in node.items:
        if isinstance(item, ScalarNode):
            yield IncludeSpec(Text(item.value, item))
        elif isinstance(item, MappingNode):
            reader = MappingReader(item, f"a member of {outer.what}", outer.problems)
            name = reader.name()
            alias = reader.identifier("alias")
            refuse_extension(reader)
            include = IncludeSpec(
                member=name or Text("", ScalarNode("", "'", item.span)),
                alias=alias,
                title=reader.text("title"),
                description=reader.text("description"),
                format=reader.text("format"),
                meta=reader.mapping("meta"),
            )
            reader.finish()
            if name is not None:
                yield include
        else:
            outer.report("wrong_type", "a member is a name or a mapping", item.span)


def _read_folder(node: MappingNode, problems: list[Problem], depth: int = 0) -> FolderSpec | None:
    reader = MappingReader(node, "a folder", problems)
    name, includes = reader.text("name"), reader.take("includes")
    reader.finish()
    if name is None:
        if not reader.given("name"):
            reader.report("missing_key", "a folder has no `name`")
        return None
    if depth > _FOLDERS_DEEP:
        reader.report("source_limit", f"folders are nested deeper than {_FOLDERS_DEEP} levels")
        return None
    if includes is not None and _is_star(includes):
        return FolderSpec(name, None, node.span)
    if not isinstance(includes, SequenceNode):
        reader.report("missing_key", f"folder `{name}` has no list `includes`")
        return FolderSpec(name, (), node.span)
    entries = (_read_folder_entry(item, name, problems, depth) for item in includes.items)
    return FolderSpec(name, tuple(entry for entry in entries if entry is not None), node.span)


def _read_folder_entry(
    item: Node, folder: str, problems: list[Problem], depth: int
) -> FolderEntrySpec | FolderSpec | None:
    if isinstance(item, ScalarNode):
        return FolderEntrySpec(Text(item.value, item), whole_path=False)
    if not isinstance(item, MappingNode):
        message = f"a member of folder `{folder}` is a name or a mapping"
        problems.append(Problem("wrong_type", message, item.span))
        return None
    if not item.entries.keys() & {"join_path", "joinPath"}:
        return _read_folder(item, problems, depth + 1)
    reader = MappingReader(item, f"an entry of folder `{folder}`", problems)
    path = reader.take("join_path")
    reader.finish()
    if isinstance(path, ScalarNode):
        return FolderEntrySpec(Text(path.value, path), whole_path=True)
    reader.report("wrong_type", "`join_path` must be text")
    return None


def _names(node: Node | None, key: str, reader: MappingReader) -> tuple[Text, ...]:
    if node is None:
        return ()
    if isinstance(node, SequenceNode) and all(isinstance(item, ScalarNode) for item in node.items):
        return tuple(Text(item.value, item) for item in node.items if isinstance(item, ScalarNode))
    reader.report("wrong_type", f"`{key}` must be a list of names", node.span)
    return ()


def _is_star(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value.strip() == "*"
