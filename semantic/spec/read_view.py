"""From the tree of a view to its spec."""

from __future__ import annotations

from collections.abc import Iterator

from semantic.errors import Problem
from semantic.spec.read_cube import read_labels
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode, Node, ScalarNode, SequenceNode
from semantic.spec.view import FolderEntrySpec, FolderSpec, IncludeSpec, ViewCubeSpec, ViewSpec

_VIEW_LATER = ("view_group", "view_groups", "access_policy", "filters", "dimensions", "measures",
               "segments", "includes", "excludes")  # fmt: skip


def read_view(node: MappingNode, problems: list[Problem]) -> ViewSpec | None:
    """Return the spec of one view, or None when it has no usable name."""
    probe = node.entries.get("name")
    label = f"view `{probe[1].value}`" if probe and isinstance(probe[1], ScalarNode) else "a view"
    reader = MappingReader(node, label, problems)
    name = reader.name()
    reader.take("extends")  # merged already
    items = reader.items("cubes")
    cubes = tuple(cube for item in items if (cube := _read_cube(item, label, problems)))
    if not items and not reader.given("cubes"):
        reader.report("missing_key", f"{label} has no `cubes`")
    folders = tuple(
        folder for item in reader.items("folders") if (folder := _read_folder(item, problems))
    )
    labels = read_labels(reader)
    reader.finish(_VIEW_LATER)
    if name is None:
        return None
    return ViewSpec(name.value, labels, cubes, folders, name.span)


def _read_cube(node: MappingNode, view: str, problems: list[Problem]) -> ViewCubeSpec | None:
    reader = MappingReader(node, f"a cube of {view}", problems)
    path = reader.take("join_path")
    includes_node, excludes_node = reader.take("includes"), reader.take("excludes")
    prefix, alias = reader.flag("prefix"), reader.identifier("alias")
    reader.finish(("split",))
    if alias is not None and not prefix:
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


def _read_folder(node: MappingNode, problems: list[Problem]) -> FolderSpec | None:
    reader = MappingReader(node, "a folder", problems)
    name, includes = reader.text("name"), reader.take("includes")
    reader.finish()
    if name is None:
        reader.report("missing_key", "a folder has no `name`")
        return None
    if includes is not None and _is_star(includes):
        return FolderSpec(name, None, node.span)
    entries: list[FolderEntrySpec] = []
    for item in includes.items if isinstance(includes, SequenceNode) else ():
        if isinstance(item, ScalarNode):
            entries.append(FolderEntrySpec(Text(item.value, item), whole_path=False))
            continue
        if not isinstance(item, MappingNode):
            reader.report("wrong_type", "a member of a folder is a name", item.span)
            continue
        inner = MappingReader(item, f"an entry of folder `{name}`", problems)
        path = inner.take("join_path")
        if isinstance(path, ScalarNode):
            entries.append(FolderEntrySpec(Text(path.value, path), whole_path=True))
            inner.finish()
        else:
            inner.report("unsupported", "a folder inside a folder is not supported yet")
    if not isinstance(includes, SequenceNode):
        reader.report("missing_key", f"folder `{name}` has no list `includes`")
    return FolderSpec(name, tuple(entries), node.span)


def _names(node: Node | None, key: str, reader: MappingReader) -> tuple[Text, ...]:
    if node is None:
        return ()
    if isinstance(node, SequenceNode) and all(isinstance(item, ScalarNode) for item in node.items):
        return tuple(Text(item.value, item) for item in node.items if isinstance(item, ScalarNode))
    reader.report("wrong_type", f"`{key}` must be a list of names", node.span)
    return ()


def _is_star(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value.strip() == "*"
