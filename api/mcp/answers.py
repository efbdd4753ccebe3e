"""What the tools of the agents' door answer: plain values, ready to be written as JSON.

An agent reads what it is given as truth. So a number never comes alone: with it come its
definition, how fresh the tables are that it was computed from, what their checks said, and whether
the rows are all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from api.document import write_document
from api.errors import error_body
from api.gateway import Asker, Gateway
from api.members import Member, Model, find_member, list_members, list_owners
from api.rest.answer import encode_rows
from api.rest.snippets import render_expression
from api.scopes import may_see_sql
from api.state import describe_state
from semantic.catalog.catalog import Catalog, Cube, Expression, Measure, Segment, View
from semantic.engine.result import Result
from semantic.errors import (
    LimitExceededError,
    QueryError,
    UnknownMemberError,
    UnsupportedError,
    suggest,
)
from semantic.query.from_json import parse_json
from semantic.query.members import clip
from semantic.query.query import Query

DEFAULT_ROWS: Final = 100
MOST_ROWS: Final = 1000
MOST_FOUND: Final = 50
CLOSE: Final = 0.6


def list_cubes(model: Model) -> dict[str, Any]:
    """Return the cubes and views that the caller may see, with how many members each has."""
    return {
        "cubes": [
            {
                "name": owner.name,
                "type": "view" if isinstance(owner, View) else "cube",
                "title": owner.title,
                "description": owner.description,
                "members": _count_kinds(list_members(model.visible, model.whole, owner.name)),
            }
            for owner in list_owners(model.visible)
        ],
        "advice": "Prefer views: they hold what belongs together. Then call describe_cube.",
    }


def describe_cube(model: Model, name: str) -> dict[str, Any]:
    """Return everything that may be asked of one cube or view.

    Raises:
        UnknownMemberError: there is none of that name for this caller.
    """
    owner = _find_owner(model, name)
    members = list(list_members(model.visible, model.whole, owner.name))
    return {
        "name": owner.name,
        "type": "view" if isinstance(owner, View) else "cube",
        "title": owner.title,
        "description": owner.description,
        "measures": [describe_member(item) for item in members if item.kind == "measure"],
        "dimensions": [describe_member(item) for item in members if item.kind == "dimension"],
        "segments": [describe_member(item) for item in members if item.kind == "segment"],
    }


def find_members(model: Model, text: str) -> dict[str, Any]:
    """Return the members whose name, title or description has the words of a text, best first."""
    words = [word for word in text.lower().replace("_", " ").split() if word]
    found: list[tuple[float, str, Member]] = []
    for owner in list_owners(model.visible):
        for member in list_members(model.visible, model.whole, owner.name):
            score = _score(member, words)
            if score > 0:
                found.append((-score, member.full_name, member))
    found.sort(key=lambda item: item[:2])
    return {
        "members": [
            describe_member(member) | {"name": name} for _, name, member in found[:MOST_FOUND]
        ],
        "truncated": len(found) > MOST_FOUND,
    }


def describe_definition(model: Model, gateway: Gateway, name: str) -> dict[str, Any]:
    """Return what a member means, and the state of the tables behind it.

    Raises:
        UnknownMemberError: there is none of that name for this caller.
    """
    member = find_member(model.whole, name) if model.shows(name) else None
    if member is None:
        known = [
            item.full_name
            for owner in list_owners(model.visible)
            for item in list_members(model.visible, model.whole, owner.name)
        ]
        raise UnknownMemberError(
            f"'{clip(name)}' is no member", suggestion=suggest(clip(name), known)
        )
    cube = model.whole.cubes[member.definition.cube]
    state = gateway.layer.state(cube.tables or None)
    return {"definition": describe_member(member), "state": describe_state(state, model.whole)}


def describe_member(member: Member) -> dict[str, Any]:
    """Return a member as an agent should know it; what it has not is left out."""
    defined = member.definition
    described: dict[str, Any] = {
        "name": member.full_name,
        "kind": member.kind,
        "type": member.type,
        "title": member.title,
        "description": member.description,
        "format": member.format,
        "currency": member.currency,
        "granularities": [item.name for item in member.granularities],
        "is_primary_key": member.is_key,
        "alias_of": member.alias_of,
    }
    if isinstance(defined, Measure):
        described |= {
            "aggregation": defined.type,
            "formula": render_expression(defined.sql),
            "only_rows_where": [_render(item) for item in defined.filters],
        }
    elif isinstance(defined, Segment):
        described["formula"] = _render(defined.sql)
    return {key: value for key, value in described.items() if value not in (None, [], False)}


def without_sql(answer: Any) -> Any:
    """Return an answer without SQL, the model's and the query's: not every caller may see it."""
    match answer:
        case dict():
            kept = ((key, value) for key, value in answer.items() if key not in _OF_SQL)
            return {key: without_sql(value) for key, value in kept}
        case list():
            return [without_sql(item) for item in answer]
        case _:
            return answer


_EXPLAINED: Final = ("root", "joins", "measures", "plan", "preAggregations", "tables")
"""What of an explanation is told with the SQL: it names cubes and tables behind the members."""

_OF_SQL: Final = frozenset({"sql", "formula", "only_rows_where"})


def read_query(document: object) -> Query:
    """Return the query of a tool's arguments, with a limit that suits a reader of texts.

    Raises:
        QueryError: it is none.
        LimitExceededError: more rows are asked than an agent should read.
    """
    query = parse_json(document)
    if query.limit is None:
        return replace(query, limit=DEFAULT_ROWS)
    if query.limit > MOST_ROWS:
        raise LimitExceededError(
            f"at most {MOST_ROWS:,} rows are answered here, {query.limit:,} were asked",
            suggestion="aggregate more, filter, or page with offset",
        )
    return query


def check_query(model: Model, gateway: Gateway, asker: Asker, document: object) -> dict[str, Any]:
    """Return how a query is understood, without running it, or why it cannot be answered.

    Raises:
        DucatError: the query was not even looked at.
    """
    layer, context, now = gateway.layer, asker.context, datetime.now(UTC)
    try:
        query = read_query(document)
        compiled = layer.compile(query, context, now=now)
    except (QueryError, UnsupportedError) as refused:
        return {"valid": False, **error_body(refused, asker.request_id)}
    checked = {
        "valid": True,
        "query": write_document(query),
        "columns": [column.name for column in compiled.columns],
        "definitions": _definitions(model, query),
    }
    if may_see_sql(gateway.settings, context):
        told = layer.explain(query, context, now=now)
        checked["explanation"] = {key: told[key] for key in _EXPLAINED}
        checked["sql"] = compiled.sql
    return checked


async def run_query(
    model: Model, gateway: Gateway, asker: Asker, document: object
) -> dict[str, Any]:
    """Return the rows of a query with what they mean, how fresh they are, and whether they are all.

    Raises:
        DucatError: the query was refused or failed.
    """
    # One row more than is shown tells whether there are more.
    query = read_query(document)
    shown = query.limit or DEFAULT_ROWS
    asked = replace(query, limit=shown + 1)

    def encode(result: Result) -> tuple[Result, bytes]:
        cut = replace(result, table=result.table.slice(0, shown))
        return result, encode_rows(cut, "compact")

    result, rows = await gateway.load(asked, asker, encode)
    dataset = orjson.loads(rows)
    more = result.table.num_rows > shown
    answer: dict[str, Any] = {
        "columns": dataset["members"] or [column.name for column in result.columns],
        "rows": dataset["dataset"],
        "rows_shown": len(dataset["dataset"]),
        "truncated": more or result.truncated,
        "timezone": query.timezone,
        "definitions": _definitions(model, query),
        "state": describe_state(result.state, model.whole),
        "seconds": round(result.seconds, 6),
    }
    if query.total:
        answer["total_rows"] = result.total
    if answer["truncated"]:
        answer["advice"] = (
            f"There are more rows than the {shown} shown: do not add these up. "
            "Ask for fewer groups, or page with limit and offset."
        )
    return answer


def _definitions(model: Model, query: Query) -> dict[str, Any]:
    names: Iterable[str] = dict.fromkeys(
        (
            *query.measures,
            *query.dimensions,
            *(item.dimension for item in query.time_dimensions),
            *query.segments,
        )
    )
    found = {name: find_member(model.whole, name) for name in names if model.shows(name)}
    return {name: describe_member(item) for name, item in found.items() if item is not None}


def _find_owner(model: Model, name: str) -> Cube | View:
    owners: Mapping[str, Cube | View] = {owner.name: owner for owner in list_owners(model.visible)}
    if name not in owners:
        raise UnknownMemberError(
            f"'{clip(name)}' is no cube or view", suggestion=suggest(clip(name), list(owners))
        )
    return owners[name]


def _count_kinds(members: Iterable[Member]) -> dict[str, int]:
    counted = {"measures": 0, "dimensions": 0, "segments": 0}
    for member in members:
        counted[f"{member.kind}s"] += 1
    return counted


def _score(member: Member, words: list[str]) -> float:
    """How well a member fits: each word must be somewhere, names weigh most."""
    name = member.full_name.lower().replace("_", " ").replace(".", " ")
    title = member.title.lower()
    text = (member.description or "").lower()
    score = 0.0
    for word in words:
        if word in name:
            score += 3
        elif word in title:
            score += 2
        elif word in text:
            score += 1
        elif difflib.get_close_matches(word, name.split(), n=1, cutoff=CLOSE + 0.2):
            score += 0.5
        else:
            return 0.0
    return score


def _render(expression: Expression) -> str:
    return render_expression(expression) or ""


def visible_model(gateway: Gateway, asker: Asker) -> Model:
    """Return the model as the caller sees it."""
    whole: Catalog = gateway.layer.catalog
    return Model(whole, gateway.layer.visible(asker.context))
