"""What a GraphQL request may cost, checked before anything is validated or run.

GraphQL's own validation compares fields pairwise, and fragments multiply: a few hundred bytes can
ask for hours. So the tree is walked once, fragments expanded, and refused when it grows too large.
"""

from __future__ import annotations

from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from semantic.errors import LimitExceededError

MOST_TOKENS: Final = 4000
DEEPEST: Final = 20  # the introspection that tools send is 15 deep
MOST_FIELDS: Final = 500
MOST_QUERIES: Final = 10


def check_cost(document: DocumentNode) -> None:
    """Refuse a document that is too deep, too wide, or runs too many queries.

    Raises:
        LimitExceededError: says which limit.
    """
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            _Walk(fragments).visit(node.selection_set, 1)


class _Walk:
    """Counts the fields of one operation."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._steps = 0
        self._queries = 0

    def visit(self, selection_set: SelectionSetNode, depth: int, spreads: int = 0) -> None:
        if depth > DEEPEST or spreads > DEEPEST:
            raise LimitExceededError(f"a GraphQL query may be {DEEPEST} levels deep")
        for node in selection_set.selections:
            self._steps += 1
            if self._steps > MOST_FIELDS:
                raise LimitExceededError(
                    f"a GraphQL query may select {MOST_FIELDS} fields, fragments included"
                )
            match node:
                case FieldNode():
                    self._count(node, depth)
                    if node.selection_set is not None:
                        self.visit(node.selection_set, depth + 1, spreads)
                case InlineFragmentNode():
                    self.visit(node.selection_set, depth, spreads + 1)
                case FragmentSpreadNode():
                    fragment = self._fragments.get(node.name.value)
                    if fragment is not None:
                        self.visit(fragment.selection_set, depth, spreads + 1)
                case _:
                    pass

    def _count(self, node: FieldNode, depth: int) -> None:
        if depth == 1 and node.name.value == "cube":
            self._queries += 1
            if self._queries > MOST_QUERIES:
                raise LimitExceededError(
                    f"a GraphQL request may have {MOST_QUERIES} `cube` fields",
                    suggestion="send several requests",
                )
