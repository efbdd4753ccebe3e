"""The GraphQL schema of one catalog, in Cube's shape, made with GraphQL's core types.

The members are data, known only when a model is loaded, so the types are built as values; a class
per type, as Strawberry writes schemas, would have to be generated first and read back again.

    type Query  { cube(where, orderBy, limit, ...): [Result!]!   meta: Meta!   freshness: Freshness! }
    type Subscription { cube(...): [Result!]!   freshness: Freshness! }
    type Result { flights(where, orderBy, segments): FlightsMembers! ... }
    type FlightsMembers { count: Float   carrier: String   flight_date: TimeDimension ... }
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLField,
    GraphQLFieldResolver,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
)

from api.graphql.derived import ARGUMENTS
from api.graphql.inputs import build_order, build_segments, build_where
from api.graphql.names import is_name, name_fields, name_types
from api.graphql.numbers import FLOAT
from api.graphql.static import FRESHNESS, META
from api.members import Member, list_members, list_owners
from semantic.catalog.catalog import Catalog
from semantic.query.granularities import GRANULARITIES

DATE_TIME: Final = GraphQLScalarType(
    "DateTime", description="An instant in UTC, `2013-01-01T05:15:00.000Z`."
)
COMPARED: Final = "compareDateRange"
COMPARE: Final = GraphQLInputObjectType(
    "CompareDateRange",
    {
        "dimension": GraphQLInputField(
            GraphQLNonNull(GraphQLString), description="A time dimension, `cube.member`."
        ),
        "ranges": GraphQLInputField(
            GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLString))))),
            description='Each `["2024-01-01", "2024-01-31"]`, or one text: `["last month"]`.',
        ),
    },
)
TIME_DIMENSION: Final = GraphQLObjectType(
    "TimeDimension",
    {name: GraphQLField(DATE_TIME) for name in ("value", *GRANULARITIES)},
)


@dataclass(frozen=True, slots=True)
class Owner:
    """A cube or view of the schema: its field in `Result`, its types, its members by field name."""

    name: str
    field: str
    type_name: str
    members: dict[str, Member]
    time_types: dict[str, str]


@dataclass(frozen=True, slots=True)
class CubeSchema:
    """A schema, and what its fields stand for."""

    schema: GraphQLSchema
    owners: dict[str, Owner]  # by field name


def build_schema(
    visible: Catalog,
    whole: Catalog,
    *,
    resolve_cube: GraphQLFieldResolver,
    resolve_meta: GraphQLFieldResolver,
    resolve_freshness: GraphQLFieldResolver,
) -> CubeSchema:
    """Return the schema of what a caller may see."""
    shown = {
        owner.name: [
            item for item in list_members(visible, whole, owner.name) if is_name(item.name)
        ]
        for owner in list_owners(visible)
    }
    names = [name for name, members in shown.items() if any(m.kind != "segment" for m in members)]
    fields, prefixes = name_fields(names), name_types(names)
    result: dict[str, GraphQLField] = {}
    wheres: dict[str, GraphQLInputField] = {}
    orders: dict[str, GraphQLInputField] = {}
    owners: dict[str, Owner] = {}
    for name, field in fields.items():
        members, prefix = shown[name], prefixes[name]
        owner = (visible.views if name in visible.views else visible.cubes)[name]
        where, order = build_where(prefix, members), build_order(prefix, members)
        arguments = {"where": GraphQLArgument(where), "orderBy": GraphQLArgument(order)}
        segments = build_segments(prefix, members)
        if segments is not None:
            arguments["segments"] = GraphQLArgument(GraphQLList(GraphQLNonNull(segments)))
        output = _members_type(prefix, members)
        result[field] = GraphQLField(
            GraphQLNonNull(output),
            arguments,
            description=owner.description or owner.title,
        )
        wheres[field], orders[field] = GraphQLInputField(where), GraphQLInputField(order)
        owners[field] = Owner(
            name,
            field,
            output.name,
            {item.name: item for item in members if item.kind != "segment"},
            {
                key: item.type.name
                for key, item in output.fields.items()
                if isinstance(item.type, GraphQLObjectType)
            },
        )
    root: dict[str, GraphQLField] = {
        "meta": GraphQLField(
            GraphQLNonNull(META), resolve=resolve_meta, description="The model that you may see."
        ),
        "freshness": GraphQLField(
            GraphQLNonNull(FRESHNESS),
            resolve=resolve_freshness,
            description="What is in service, how fresh it is, and what its checks said.",
        ),
    }
    live: GraphQLObjectType | None = None
    if result:
        result.setdefault(
            COMPARED,
            GraphQLField(GraphQLString, description="The range of `compareDateRange` of the row."),
        )
        cube = _cube_field(result, wheres, orders, resolve_cube)
        root = {"cube": cube, **root}
        live = GraphQLObjectType(
            "Subscription",
            {"cube": cube, "freshness": root["freshness"]},
            description="Answers once, and again whenever new tables or a new model come in service.",
        )
    schema = GraphQLSchema(GraphQLObjectType("Query", root), subscription=live)
    return CubeSchema(schema, owners)


def _cube_field(
    result: dict[str, GraphQLField],
    wheres: dict[str, GraphQLInputField],
    orders: dict[str, GraphQLInputField],
    resolve: GraphQLFieldResolver,
) -> GraphQLField:
    def where_fields() -> dict[str, GraphQLInputField]:
        nested = GraphQLInputField(GraphQLList(GraphQLNonNull(root_where)))
        return wheres | {"AND": nested, "OR": nested}

    root_where = GraphQLInputObjectType("RootWhereInput", where_fields)
    root_order = GraphQLInputObjectType("RootOrderByInput", orders)
    return GraphQLField(
        GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLObjectType("Result", result)))),
        {
            "where": GraphQLArgument(root_where),
            "limit": GraphQLArgument(GraphQLInt),
            "offset": GraphQLArgument(GraphQLInt),
            "timezone": GraphQLArgument(GraphQLString),
            "renewQuery": GraphQLArgument(GraphQLBoolean),
            "cache": GraphQLArgument(GraphQLString),
            "ungrouped": GraphQLArgument(GraphQLBoolean),
            "orderBy": GraphQLArgument(root_order),
            "compareDateRange": GraphQLArgument(
                COMPARE,
                description="Ask the query once for each range; `compareDateRange` of a row says which.",
            ),
            "total": GraphQLArgument(
                GraphQLBoolean, description="Count the rows without limit, into `extensions`."
            ),
        },
        resolve=resolve,
        description="One query: the members of every cube selected, joined.",
    )


def _members_type(prefix: str, members: Sequence[Member]) -> GraphQLObjectType:
    fields = {
        member.name: GraphQLField(
            _output_type(prefix, member),
            ARGUMENTS if member.kind == "measure" else None,
            description=member.description or member.title,
        )
        for member in members
        if member.kind != "segment"
    }
    return GraphQLObjectType(f"{prefix}Members", fields)


def _output_type(prefix: str, member: Member) -> GraphQLOutputType:
    match member.type:
        case "number":
            return FLOAT
        case "time" if member.kind == "measure":
            return DATE_TIME
        case "time":
            return _time_type(prefix, member)
        case _:
            return GraphQLString


def _time_type(prefix: str, member: Member) -> GraphQLObjectType:
    """Return `TimeDimension`, or a type of its own for a member with custom granularities."""
    custom = [item for item in member.granularities if is_name(item.name)]
    if not custom:
        return TIME_DIMENSION
    fields: dict[str, Any] = {name: GraphQLField(DATE_TIME) for name in ("value", *GRANULARITIES)}
    fields |= {item.name: GraphQLField(DATE_TIME, description=item.title) for item in custom}
    words = "".join(word[:1].upper() + word[1:] for word in member.name.split("_"))
    return GraphQLObjectType(f"{prefix}{words}TimeDimension", fields)
