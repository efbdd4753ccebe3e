"""The input types of the schema: filters, orders and segments of one cube or view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLString,
)

from api.graphql.names import NO_ENUM_VALUE
from api.graphql.numbers import FLOAT
from api.members import Member

LIST_OF_TEXT: Final = GraphQLList(GraphQLString)
LIST_OF_FLOAT: Final = GraphQLList(FLOAT)

FLOAT_FILTER: Final = GraphQLInputObjectType(
    "FloatFilter",
    {
        "equals": GraphQLInputField(FLOAT),
        "notEquals": GraphQLInputField(FLOAT),
        "in": GraphQLInputField(LIST_OF_FLOAT),
        "notIn": GraphQLInputField(LIST_OF_FLOAT),
        "set": GraphQLInputField(GraphQLBoolean),
        "gt": GraphQLInputField(FLOAT),
        "lt": GraphQLInputField(FLOAT),
        "gte": GraphQLInputField(FLOAT),
        "lte": GraphQLInputField(FLOAT),
    },
)
STRING_FILTER: Final = GraphQLInputObjectType(
    "StringFilter",
    {
        "equals": GraphQLInputField(GraphQLString),
        "notEquals": GraphQLInputField(GraphQLString),
        **{
            name: GraphQLInputField(LIST_OF_TEXT)
            for name in (
                "in",
                "notIn",
                "contains",
                "notContains",
                "startsWith",
                "notStartsWith",
                "endsWith",
                "notEndsWith",
            )
        },
        "set": GraphQLInputField(GraphQLBoolean),
    },
)
DATE_TIME_FILTER: Final = GraphQLInputObjectType(
    "DateTimeFilter",
    {
        **{
            name: GraphQLInputField(LIST_OF_TEXT)
            for name in ("equals", "notEquals", "in", "notIn", "inDateRange", "notInDateRange")
        },
        **{
            name: GraphQLInputField(GraphQLString)
            for name in ("beforeDate", "beforeOrOnDate", "afterDate", "afterOrOnDate")
        },
        "set": GraphQLInputField(GraphQLBoolean),
    },
)
ORDER_BY: Final = GraphQLEnumType(
    "OrderBy", {"asc": GraphQLEnumValue("asc"), "desc": GraphQLEnumValue("desc")}
)


def build_where(prefix: str, members: Sequence[Member]) -> GraphQLInputObjectType:
    """Return `FlightsWhereInput`: a filter per member, and AND and OR of the same."""

    def fields() -> dict[str, GraphQLInputField]:
        nested = GraphQLInputField(GraphQLList(GraphQLNonNull(where)))
        own = {
            member.name: GraphQLInputField(_filter_type(member), description=member.description)
            for member in members
            if member.kind != "segment"
        }
        return own | {"AND": nested, "OR": nested}

    where = GraphQLInputObjectType(f"{prefix}WhereInput", fields)
    return where


def build_order(prefix: str, members: Sequence[Member]) -> GraphQLInputObjectType:
    """Return `FlightsOrderByInput`: a direction per member; the keys' order is kept."""
    return GraphQLInputObjectType(
        f"{prefix}OrderByInput",
        {
            member.name: GraphQLInputField(ORDER_BY)
            for member in members
            if member.kind != "segment"
        },
    )


def build_segments(prefix: str, members: Sequence[Member]) -> GraphQLEnumType | None:
    """Return `FlightsSegment`, or None for a cube without segments."""
    values = {
        member.name: GraphQLEnumValue(member.name, description=member.description or member.title)
        for member in members
        if member.kind == "segment" and member.name not in NO_ENUM_VALUE
    }
    return GraphQLEnumType(f"{prefix}Segment", values) if values else None


def _filter_type(member: Member) -> GraphQLInputType:
    match member.type:
        case "number":
            return FLOAT_FILTER
        case "time":
            return DATE_TIME_FILTER
        case _:
            return STRING_FILTER
