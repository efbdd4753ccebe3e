"""The types that do not depend on the model: what there is (`meta`) and how fresh it is."""

from __future__ import annotations

from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
)

from api.graphql.numbers import FLOAT
from api.members import list_members, list_owners
from semantic.catalog.catalog import Catalog, View

TEXT: Final = GraphQLNonNull(GraphQLString)


def _list_of(item: GraphQLOutputType) -> GraphQLOutputType:
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(item)))


MEMBER_META: Final = GraphQLObjectType(
    "MemberMeta",
    {
        "name": GraphQLField(TEXT, description="The full name, `cube.member`."),
        "kind": GraphQLField(TEXT, description="measure, dimension or segment"),
        "type": GraphQLField(TEXT),
        "title": GraphQLField(TEXT),
        "shortTitle": GraphQLField(TEXT),
        "description": GraphQLField(GraphQLString),
        "format": GraphQLField(GraphQLString),
        "granularities": GraphQLField(_list_of(GraphQLString), description="custom ones"),
    },
)
CUBE_META: Final = GraphQLObjectType(
    "CubeMeta",
    {
        "name": GraphQLField(TEXT),
        "type": GraphQLField(TEXT, description="cube or view"),
        "title": GraphQLField(TEXT),
        "description": GraphQLField(GraphQLString),
        "members": GraphQLField(_list_of(MEMBER_META)),
    },
)
META: Final = GraphQLObjectType(
    "Meta",
    {
        "version": GraphQLField(TEXT, description="Changes when anything in the model changes."),
        "cubes": GraphQLField(_list_of(CUBE_META)),
    },
)
TABLE_FRESHNESS: Final = GraphQLObjectType(
    "TableFreshness",
    {
        "name": GraphQLField(TEXT),
        "version": GraphQLField(GraphQLNonNull(FLOAT)),
        "rows": GraphQLField(
            FLOAT, description="Empty where access policies hide rows of the table."
        ),
        "dataUntil": GraphQLField(GraphQLString, description="The newest event, UTC."),
        "loadedAt": GraphQLField(TEXT, description="When the newest batch arrived, UTC."),
        "quality": GraphQLField(TEXT, description="passed, failed or unknown"),
    },
)
NEWEST_CHECK: Final = GraphQLObjectType(
    "NewestCheck",
    {
        "table": GraphQLField(TEXT),
        "quality": GraphQLField(TEXT),
        "checkedAt": GraphQLField(GraphQLString),
        "failures": GraphQLField(_list_of(GraphQLString)),
    },
)
FRESHNESS: Final = GraphQLObjectType(
    "Freshness",
    {
        "snapshot": GraphQLField(TEXT),
        "builtAt": GraphQLField(TEXT),
        "quality": GraphQLField(TEXT, description="The worst of the tables'."),
        "isLastGood": GraphQLField(
            GraphQLNonNull(GraphQLBoolean), description="A newer build failed its checks."
        ),
        "tables": GraphQLField(_list_of(TABLE_FRESHNESS)),
        "newestCheck": GraphQLField(_list_of(NEWEST_CHECK)),
    },
)


def describe_meta(visible: Catalog, whole: Catalog) -> dict[str, Any]:
    """Return the value of `meta`."""
    return {
        "version": whole.version,
        "cubes": [
            {
                "name": owner.name,
                "type": "view" if isinstance(owner, View) else "cube",
                "title": owner.title,
                "description": owner.description,
                "members": [
                    {
                        "name": member.full_name,
                        "kind": member.kind,
                        "type": member.type,
                        "title": member.title,
                        "shortTitle": member.short_title,
                        "description": member.description,
                        "format": member.format,
                        "granularities": [item.name for item in member.granularities],
                    }
                    for member in list_members(visible, whole, owner.name)
                ],
            }
            for owner in list_owners(visible)
        ],
    }
