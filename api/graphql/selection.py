"""What a `cube` field selects: a tree of fields, fragments and directives followed.

Cube reads only plain fields here; ours honours fragments, inline fragments, `@skip` and `@include`
at every level, because a selection that is silently left out is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLResolveInfo,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)
from graphql.execution.values import get_directive_values

TYPENAME = "__typename"


@dataclass(frozen=True, slots=True)
class Selected:
    """A field of an answer: its key there, its name, where it is written, and what is below it.

    Of a measure, `asked` is what the query asks for it, and `column` what fills it, where these are
    not the measure itself.
    """

    key: str
    name: str
    nodes: tuple[FieldNode, ...]
    below: tuple[Selected, ...]
    asked: str | None = None
    column: str | None = None


def read_selection(info: GraphQLResolveInfo[Any]) -> tuple[Selected, ...]:
    """Return the fields that the resolved field selects, in the order of the answer."""
    return _merge((node.selection_set for node in info.field_nodes), info)


def _merge(
    sets: Iterable[SelectionSetNode | None], info: GraphQLResolveInfo[Any]
) -> tuple[Selected, ...]:
    found: dict[str, list[FieldNode]] = {}
    for selection_set in sets:
        if selection_set is not None:
            for node in _walk(selection_set.selections, info):
                key = node.alias.value if node.alias else node.name.value
                found.setdefault(key, []).append(node)
    return tuple(
        Selected(
            key,
            nodes[0].name.value,
            tuple(nodes),
            _merge((node.selection_set for node in nodes), info),
        )
        for key, nodes in found.items()
    )


def _walk(
    selections: Iterable[SelectionNode], info: GraphQLResolveInfo[Any]
) -> Iterator[FieldNode]:
    for node in selections:
        if not _is_included(node, info):
            continue
        match node:
            case FieldNode():
                yield node
            case InlineFragmentNode():
                yield from _walk(node.selection_set.selections, info)
            case FragmentSpreadNode():
                fragment = _find(info.fragments, node.name.value)
                yield from _walk(fragment.selection_set.selections, info)
            case _:
                pass


def _find(fragments: Mapping[str, Any], name: str) -> FragmentDefinitionNode:
    found = fragments[name]
    return found if isinstance(found, FragmentDefinitionNode) else found.definition


def _is_included(node: SelectionNode, info: GraphQLResolveInfo[Any]) -> bool:
    skip = get_directive_values(GraphQLSkipDirective, node, info.variable_values)
    if skip is not None and skip["if"]:
        return False
    include = get_directive_values(GraphQLIncludeDirective, node, info.variable_values)
    return include is None or bool(include["if"])
