"""The `cube` field: a selection becomes a `Query`, and its result the selection's JSON.

GraphQL's own executor would call Python for every field of every row. Ours gets the rows of a
`cube` field as ready JSON instead (`Rows`), glued from the result's columns along the selection,
and the executor passes them through untouched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from graphql import Executor, FieldNode, GraphQLObjectType, GraphQLResolveInfo, ValueNode
from graphql.execution.values import get_argument_values

from api.document import check_query
from api.encode import (
    NULL,
    Part,
    flatten,
    join_rows,
    render_numbers,
    render_text,
    render_times,
)
from api.gateway import Asker, Gateway
from api.graphql.compare import compare_ranges, label_range
from api.graphql.derived import Derivations
from api.graphql.filters import read_order, read_root_order, read_root_where, read_where
from api.graphql.schema import COMPARED, Owner
from api.graphql.selection import TYPENAME, Selected, read_selection
from api.members import Member
from semantic.catalog.catalog import Catalog
from semantic.engine.result import Result
from semantic.errors import QuerySyntaxError, SnapshotError
from semantic.query.query import Filter, Order, Query, TimeDimension
from semantic.query.ranges import take_ranges

CACHE_MODES: Final = frozenset(
    {"stale-if-slow", "stale-while-revalidate", "must-revalidate", "no-cache"}
)
PLAIN_TIME: Final = "value"
ATTEMPTS: Final = 3


@dataclass(slots=True)
class Call:
    """One GraphQL request while it is answered."""

    gateway: Gateway
    asker: Asker
    visible: Catalog
    whole: Catalog
    owners: Mapping[str, Owner]
    variables: Mapping[str, Any]
    results: dict[str, Result] = field(default_factory=dict)  # by response key


@dataclass(frozen=True, slots=True)
class Rows:
    """The value of a `cube` field as JSON."""

    text: orjson.Fragment


class RowsExecutor(Executor[Any]):
    """GraphQL's executor, except that ready rows are not completed field by field."""

    def complete_value(self, *arguments: Any, **named: Any) -> Any:
        """Return the fragment of ready rows; complete every other value as usual."""
        for argument in arguments:
            if isinstance(argument, Rows):
                return argument.text
        return super().complete_value(*arguments, **named)


async def resolve_cube(_: object, info: GraphQLResolveInfo[Any], **arguments: Any) -> Rows:
    """Answer one `cube` field.

    Raises:
        DucatError: the selection is not a query, or the query was refused or failed.
    """
    call: Call = info.context
    selection, made = _derive(read_selection(info), info, call.owners)
    query = _read_query(selection, made, arguments, info, call)
    compare = arguments.get(COMPARED)
    now = datetime.now(UTC)
    renew = arguments.get("cache") == "no-cache"
    for _ in range(ATTEMPTS):
        results: list[Result] = []
        texts: list[bytes] = []
        for asked in compare_ranges(query, compare):
            label = label_range(asked, compare, now)
            encode = partial(_encode, selection=selection, owners=call.owners, label=label)
            result, rows = await call.gateway.load(asked, call.asker, encode, now=now, renew=renew)
            results.append(result)
            texts.append(rows)
        if len({result.state.snapshot for result in results}) == 1:
            key = str(info.path.key)
            for place, result in enumerate(results):
                call.results[f"{key}[{place}]" if compare else key] = result
            body = b",".join(text for text in texts if text)
            return Rows(orjson.Fragment(b"[" + body + b"]"))
    raise SnapshotError(
        "new tables came into service while the queries ran", suggestion="ask again"
    )


def _encode(
    result: Result,
    *,
    selection: tuple[Selected, ...],
    owners: Mapping[str, Owner],
    label: str | None,
) -> tuple[Result, bytes]:
    return result, encode_selection(selection, result, owners, label)


def encode_selection(
    selection: tuple[Selected, ...],
    result: Result,
    owners: Mapping[str, Owner],
    label: str | None = None,
) -> bytes:
    """Return the rows of a result, nested as the selection is, with commas between them.

    `label` is the date range that they are for, where several are compared.
    """
    columns = _Columns(result)
    parts: list[Part] = ["{"]
    for place, cube in enumerate(selection):
        parts.append(f"{',' if place else ''}{_key(cube)}:")
        if cube.name == TYPENAME:
            parts.append('"Result"')
            continue
        if cube.name not in owners:  # COMPARED, the one field of a row that is no cube
            parts.append(orjson.dumps(label).decode())
            continue
        owner = owners[cube.name]
        parts.append("{")
        for inner, chosen in enumerate(cube.below):
            parts.append(f"{',' if inner else ''}{_key(chosen)}:")
            parts += columns.render(owner, chosen)
        parts.append("}")
    parts.append("}")
    return join_rows(_merge_literals(parts), result.table.num_rows)


def _derive(
    selection: tuple[Selected, ...], info: GraphQLResolveInfo[Any], owners: Mapping[str, Owner]
) -> tuple[tuple[Selected, ...], Derivations]:
    """Return the selection with what its measures' arguments make, and that."""
    made = Derivations()

    def derive(owner: Owner, chosen: Selected) -> Selected:
        member = owner.members.get(chosen.name)
        if member is None or member.kind != "measure" or not chosen.nodes[0].arguments:
            return chosen
        output = cast("GraphQLObjectType", info.schema.get_type(owner.type_name))
        given = get_argument_values(
            output.fields[chosen.name], chosen.nodes[0], info.variable_values
        )
        asked, column = made.read(member.full_name, given)
        return replace(chosen, asked=asked, column=column)

    return tuple(
        replace(cube, below=tuple(derive(owners[cube.name], item) for item in cube.below))
        if cube.name in owners
        else cube
        for cube in selection
    ), made


def _read_query(
    selection: tuple[Selected, ...],
    made: Derivations,
    arguments: Mapping[str, Any],
    info: GraphQLResolveInfo[Any],
    call: Call,
) -> Query:
    cache = arguments.get("cache")
    if cache is not None and cache not in CACHE_MODES:
        raise QuerySyntaxError(f'"cache" must be one of {sorted(CACHE_MODES)}')
    measures: list[str] = []
    dimensions: list[str] = []
    times: list[TimeDimension] = []
    filters: list[Filter] = read_root_where(arguments.get("where"), call.owners)
    orders: list[Order] = read_root_order(
        _find_argument(info.field_nodes[0], "orderBy"), call.variables, call.owners
    )
    segments: list[str] = []
    seen: dict[str, Mapping[str, Any]] = {}
    for cube in selection:
        if cube.name not in call.owners:  # __typename, compareDateRange
            continue
        owner = call.owners[cube.name]
        given = _read_arguments(cube, info)
        if seen.setdefault(owner.name, given) != given:
            raise QuerySyntaxError(
                f"{owner.field} is selected twice with different arguments; both would filter the "
                "whole query",
                suggestion="ask in two `cube` fields, each with an alias",
            )
        for chosen in cube.below:
            _read_member(owner, chosen, measures, dimensions, times)
        if seen[owner.name] is given:
            filters += read_where(given.get("where"), owner)
            node = _find_argument(cube.nodes[0], "orderBy")
            orders += read_order(node, call.variables, owner)
            segments += [f"{owner.name}.{name}" for name in given.get("segments") or ()]
    if not (measures or dimensions or times):
        raise QuerySyntaxError("select at least one measure, dimension or time granularity")
    compared = (arguments.get(COMPARED) or {}).get("dimension")
    kept, ranged = take_ranges(
        filters, tuple(dict.fromkeys(times)), _list_times(call.owners) - {compared}
    )
    built = Query(
        measures=tuple(dict.fromkeys(measures)),
        dimensions=tuple(dict.fromkeys(dimensions)),
        time_dimensions=ranged,
        filters=kept,
        segments=tuple(dict.fromkeys(segments)),
        order=tuple(orders) or None,
        limit=arguments.get("limit"),
        offset=arguments.get("offset") or 0,
        timezone=arguments.get("timezone") or "UTC",
        total=bool(arguments.get("total")),
        ungrouped=bool(arguments.get("ungrouped")),
        shifted=tuple(made.shifted.values()),
        compare=made.compare(),
    )
    return check_query(built)


def _list_times(owners: Mapping[str, Owner]) -> set[str]:
    return {
        member.full_name
        for owner in owners.values()
        for member in owner.members.values()
        if member.kind == "dimension" and member.type == "time"
    }


def _read_member(
    owner: Owner,
    chosen: Selected,
    measures: list[str],
    dimensions: list[str],
    times: list[TimeDimension],
) -> None:
    if chosen.name == TYPENAME:
        return
    member = owner.members[chosen.name]
    if member.kind == "measure":
        measures.append(chosen.asked or member.full_name)
    elif not chosen.below:
        dimensions.append(member.full_name)
    for part in chosen.below:
        if part.name == PLAIN_TIME:
            dimensions.append(member.full_name)
        elif part.name != TYPENAME:
            times.append(TimeDimension(member.full_name, granularity=part.name))


def _read_arguments(cube: Selected, info: GraphQLResolveInfo[Any]) -> Mapping[str, Any]:
    result_type = cast("GraphQLObjectType", info.schema.get_type("Result"))
    return get_argument_values(result_type.fields[cube.name], cube.nodes[0], info.variable_values)


def _find_argument(node: FieldNode, name: str) -> ValueNode | None:
    return next((item.value for item in node.arguments or () if item.name.value == name), None)


class _Columns:
    """The columns of a result as JSON texts in GraphQL's forms, each rendered once."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self._places = {column.name: place for place, column in enumerate(result.columns)}
        self._texts: dict[str, pa.LargeStringArray] = {}

    def render(self, owner: Owner, chosen: Selected) -> list[Part]:
        """Return the parts of one selected member: a column, or an object of granularities."""
        if chosen.name == TYPENAME:
            return [f'"{owner.type_name}"']
        member = owner.members[chosen.name]
        if not chosen.below:
            return [self._text(chosen.column or member.full_name, member)]
        parts: list[Part] = ["{"]
        for place, part in enumerate(chosen.below):
            parts.append(f"{',' if place else ''}{_key(part)}:")
            if part.name == TYPENAME:
                parts.append(f'"{owner.time_types[chosen.name]}"')
            elif part.name == PLAIN_TIME:
                parts.append(self._text(member.full_name, member))
            else:
                parts.append(self._text(f"{member.full_name}.{part.name}", member))
        return [*parts, "}"]

    def _text(self, name: str, member: Member) -> pa.LargeStringArray:
        if name not in self._texts:
            flat = flatten(self._result.table.column(self._places[name]))
            match member.type:
                case "number":
                    texts = render_numbers(flat, quoted=False)
                case "time":
                    # A time that is a measure is as it was computed, in UTC; groups are local.
                    is_measure = member.kind == "measure"
                    zone = "UTC" if is_measure else self._result.query.timezone
                    texts = render_times(flat, timezone=zone)
                case _:
                    texts = render_text(flat)
            self._texts[name] = pc.fill_null(texts, NULL)
        return self._texts[name]


def _key(selected: Selected) -> str:
    return orjson.dumps(selected.key).decode()


def _merge_literals(parts: list[Part]) -> list[Part]:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return merged
