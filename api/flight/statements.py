"""SQL of Flight: the Postgres wire's, read by the same reader and answered by the same answerer.

A statement that is one question is streamed as the engine computes it, whatever its length. All else
is computed as on the wire, with its limits, and then sent.
"""

from __future__ import annotations

import base64
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, Self, assert_never, cast

import pyarrow as pa
from sqlglot import exp

from api.gateway import Asker, Gateway
from api.postgres.commands import Command, read_command
from api.postgres.query.answer import Answerer, Caller, Trace
from api.postgres.query.functions import Place
from api.postgres.query.leaf import Leaf
from api.postgres.query.parameters import fill_in, infer_types
from api.postgres.query.parse import split_statements
from api.postgres.query.plan import DATABASE
from api.postgres.results import show_setting
from api.postgres.types import (
    BOOL,
    DATE,
    FLOAT4,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    TIMESTAMP,
    TIMESTAMPTZ,
    PgType,
)
from api.postgres.variables import Variables
from api.query_log import QueryRecord, find_actor
from api.streams import Flow
from semantic.engine.result import Result
from semantic.engine.stream import ResultStream
from semantic.errors import EngineError, InternalError, QuerySyntaxError, UnsupportedError
from semantic.query.context import SecurityContext
from semantic.query.query import Query

CHUNK_BYTES: Final = 1024 * 1024
_LONGEST_HANDLE: Final = 1024 * 1024
_ARROW: Final[dict[PgType, pa.DataType]] = {
    BOOL: pa.bool_(), DATE: pa.date32(), FLOAT4: pa.float32(), FLOAT8: pa.float64(),
    INT2: pa.int16(), INT4: pa.int32(), INT8: pa.int64(), TIMESTAMP: pa.timestamp("us"),
    TIMESTAMPTZ: pa.timestamp("us", "UTC"),
}  # fmt: skip


Answered = Literal["query", "explain", "show"]
_EXPLAINED: Final = pa.schema([("QUERY PLAN", pa.string())])


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks in one call, under which request id, with which settings (the time zone)."""

    context: SecurityContext
    request_id: str
    variables: Variables

    @classmethod
    def of(cls, context: SecurityContext, request_id: str, zone: str) -> Self:
        """Return a visitor in a time zone.

        Raises:
            SqlError: there is no such zone.
        """
        variables = Variables({"timezone": zone})
        variables.force("session_authorization", context.user)
        return cls(context, request_id, variables)

    def asker(self) -> Asker:
        """Return what the gateway wants to know of it."""
        return Asker(self.context, "flight", self.request_id)

    def caller(self) -> Caller:
        """Return what the answerer wants to know of it."""
        place = Place(
            user=self.context.user,
            database=DATABASE,
            process=0,
            now=datetime.now(UTC),
            timezone=self.variables.show("timezone"),
            settings=self.variables.get,
            find_table=lambda _: None,
        )
        return Caller(self.context, place, dict(self.variables.all()))


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that was read. `values` are those of its parameters, once they are known.

    A query and EXPLAIN have a tree, SHOW has the `name` of a setting.
    """

    text: str
    tree: exp.Query | None
    types: tuple[PgType, ...] = ()
    values: tuple[Any, ...] | None = None
    kind: Answered = "query"
    name: str = ""

    @property
    def filled(self) -> exp.Query:
        """The tree with its values, or with nulls of the right types in their place."""
        if self.tree is None:
            raise InternalError(f"{self.kind} has no query")
        return fill_in(self.tree, self.types, self.values) if self.types else self.tree

    @property
    def parameters(self) -> pa.Schema:
        """The parameters as a schema."""
        return pa.schema(
            [
                (f"${number}", _ARROW.get(type_, pa.string()))
                for number, type_ in enumerate(self.types, 1)
            ]
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """Which columns of a stream an answer shows, under which names, in which types."""

    schema: pa.Schema
    places: tuple[int, ...]

    @classmethod
    def of(cls, leaf: Leaf, head: Result) -> Shape:
        """Return the shape of a question's answer."""
        found = {column.name: place for place, column in enumerate(head.columns)}
        fields, places = [], []
        for name, source in leaf.columns:
            if source not in found:
                raise InternalError(f"the answer has no column {source}")
            place = found[source]
            kind = head.table.schema.field(place).type
            is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            if head.columns[place].type == "string" and not is_text:
                kind = pa.string()
            fields.append(pa.field(name, kind))
            places.append(place)
        return cls(pa.schema(fields), tuple(places))

    def show(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows as they are sent."""
        arrays = [
            batch.column(place).cast(field.type)
            for place, field in zip(self.places, self.schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


class Statements:
    """Reads, describes and answers statements. Its coroutines belong to the gateway's loop."""

    def __init__(self, gateway: Gateway, answerer: Answerer) -> None:
        self.gateway = gateway
        self.answerer = answerer

    def read(self, text: str, visitor: Visitor) -> Statement:
        """Return the statement that a text is.

        Raises:
            DucatError: it is none, not one, or nothing that is answered here.
        """
        found = split_statements(text)
        if len(found) != 1:
            raise QuerySyntaxError(
                "a call has exactly one statement", suggestion="send each statement by itself"
            )
        command = read_command(found[0])
        check_answered(command)
        if command.kind == "show":
            show_setting(visitor.variables, command.name)  # there is such a setting
            return Statement(found[0].text, None, kind="show", name=command.name)
        inner = found[0]
        if command.kind == "explain":
            parts = split_statements(command.text)
            if len(parts) != 1:
                raise QuerySyntaxError("EXPLAIN takes one query")
            inner = parts[0]
        tree = self.answerer.parse(inner)
        tables = self.answerer.tables(visitor.context)

        def column_type(node: exp.Expr) -> PgType | None:
            return self.answerer.column_type(node, tree, tables, visitor.context)

        types = infer_types(tree, (), column_type) if "$" in text or "?" in text else ()
        return Statement(found[0].text, tree, types, kind=cast("Answered", command.kind))

    async def describe(self, statement: Statement, visitor: Visitor) -> pa.Schema:
        """Return the columns of a statement's answer: names and exact types.

        Raises:
            DucatError: it cannot be answered.
        """
        caller = visitor.caller()
        if statement.kind == "explain":
            return _EXPLAINED
        if statement.kind == "show":
            return show_setting(visitor.variables, statement.name).schema

        def work(cancelled: threading.Event, trace: Trace) -> pa.Schema:
            leaf = self.answerer.find_question(statement.filled, caller)
            if leaf is None:
                return self.answerer.answer(
                    statement.filled, caller, cancelled=cancelled, describe=True, trace=trace
                ).schema
            trace.add(leaf.query)
            query = replace(leaf.query, limit=0, offset=0, unlimited=False)
            with self.gateway.layer.stream(
                query, caller.context, now=caller.place.now, cancelled=cancelled, wide=True
            ) as stream:
                return Shape.of(leaf, stream.head).schema

        return await self._run(work, visitor)

    async def open(self, statement: Statement, visitor: Visitor) -> Rows | pa.Table:
        """Return the answer: rows to come, or all of them.

        Raises:
            DucatError: it cannot be answered, or was stopped.
        """
        caller = visitor.caller()
        if statement.kind == "show":
            return show_setting(visitor.variables, statement.name)
        if statement.kind == "explain":
            return await self._explain(statement, visitor, caller)
        leaf = await self.gateway.offload.run(
            lambda _: self.answerer.find_question(statement.filled, caller),
            caller=visitor.context.user,
        )
        if leaf is not None:
            return await self._stream(leaf, leaf.query, visitor, caller)

        def work(cancelled: threading.Event, trace: Trace) -> pa.Table:
            return self.answerer.answer(statement.filled, caller, cancelled=cancelled, trace=trace)

        return await self._run(work, visitor)

    async def _explain(self, statement: Statement, visitor: Visitor, caller: Caller) -> pa.Table:
        def work(_cancelled: threading.Event, _trace: Trace) -> pa.Table:
            lines = self.answerer.explain(statement.filled, caller)
            return pa.Table.from_arrays([pa.array(lines, pa.string())], schema=_EXPLAINED)

        return cast("pa.Table", await self._run(work, visitor))

    async def _stream(self, leaf: Leaf, query: Query, visitor: Visitor, caller: Caller) -> Rows:
        def begin(stream: ResultStream) -> Shape:
            return Shape.of(leaf, stream.head)

        flow = await Flow.open(
            self.gateway, query, visitor.asker(), begin, now=caller.place.now, wide=True
        )
        return Rows(flow, flow.first)

    async def _run(self, work: Callable[[threading.Event, Trace], Any], visitor: Visitor) -> Any:
        asker, trace = visitor.asker(), Trace()
        asked = QueryRecord(
            time=datetime.now(UTC),
            request_id=visitor.request_id,
            user=visitor.context.user,
            face="flight",
            via=find_actor(visitor.context.claims),
        )

        def recorded(cancelled: threading.Event) -> tuple[Any, QueryRecord]:
            answer = work(cancelled, trace)
            return answer, replace(
                asked,
                rows=getattr(answer, "num_rows", None),
                members=trace.members,
                filtered_by=trace.filtered_by,
                queries=tuple(trace.queries),
                snapshot=trace.snapshot,
            )

        return await self.gateway.run(recorded, asked, asker)


@dataclass(slots=True)
class Rows:
    """Rows to come. `read` gives some, None after the last; `close` may be called at any time."""

    flow: Flow[Shape]
    shape: Shape

    async def read(self) -> pa.RecordBatch | None:
        """Return the next rows.

        Raises:
            DucatError: the query failed, or was closed.
        """
        batch: pa.RecordBatch | None = await self.flow.step(self._next)
        if batch is None:
            self.flow.rows = self.flow.rows or 0
            self.flow.close()
        else:
            self.flow.rows = (self.flow.rows or 0) + batch.num_rows
            self.flow.size = (self.flow.size or 0) + batch.nbytes
        return batch

    def close(self, failure: BaseException) -> None:
        """End the query before its end."""
        self.flow.close(failure)

    def _next(self, stream: ResultStream) -> pa.RecordBatch | None:
        parts: list[pa.RecordBatch] = []
        size = 0
        while size < CHUNK_BYTES and (batch := stream.read()) is not None:
            parts.append(self.shape.show(batch))
            size += parts[-1].nbytes
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def check_answered(command: Command) -> None:
    """Refuse what is answered in a session only: calls of Flight share none.

    Raises:
        UnsupportedError: it is refused.
    """
    tag = f"{command.tag} is not answered over Flight"
    match command.kind:
        case "query" | "explain" | "show":
            return
        case "set" | "reset":
            raise UnsupportedError(
                f"{tag}: its calls share no session",
                suggestion="a time zone is said by the header x-ducat-timezone of a call; other "
                "settings cannot be changed",
            )
        case "begin" | "commit" | "rollback" | "savepoint" | "release" | "rollback_to":
            raise UnsupportedError(
                f"{tag}: there are no transactions", suggestion="send the queries without"
            )
        case "declare" | "fetch" | "close":
            raise UnsupportedError(
                f"{tag}: there are no cursors",
                suggestion="send the query: its rows come as they are read",
            )
        case "copy":
            raise UnsupportedError(tag, suggestion="send the query: its answer is Arrow")
        case "deallocate" | "discard" | "nothing":
            raise UnsupportedError(
                f"{tag}: nothing is kept between calls", suggestion="there is no need to send it"
            )
        case _ as unreachable:
            assert_never(unreachable)


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a computed answer in the types that were announced.

    Raises:
        EngineError: they are others now.
    """
    if table.schema.equals(schema):
        return table
    if table.schema.names == schema.names:
        try:
            return table.cast(schema, safe=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    raise changed()


def changed() -> EngineError:
    """Return the error of an answer whose columns are not those that were announced."""
    return EngineError(
        "the columns of the answer are no longer those that were described",
        suggestion="the model or its tables have changed: ask again",
    )


def write_values(values: tuple[Any, ...]) -> str:
    """Return the values of parameters as text, for a handle."""
    arrays = [pa.array([value]) for value in values]
    names = [str(number) for number in range(len(values))]
    batch = pa.RecordBatch.from_arrays(arrays, names=names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def read_values(text: str) -> tuple[Any, ...]:
    """Return the values that `write_values` wrote."""
    table = pa.ipc.open_stream(base64.b64decode(text)).read_all()
    return tuple(column[0].as_py() for column in table.columns)


def bind_values(table: pa.Table, statement: Statement) -> tuple[Any, ...]:
    """Return the values of a row of parameters that a client sent.

    Raises:
        QuerySyntaxError: it is not one row of as many values, or a value is of no use.
        UnsupportedError: there are several rows.
    """
    if table.num_rows > 1:
        raise UnsupportedError(
            "a statement is asked with one row of parameters, and several came",
            suggestion="ask once for each, or use = ANY($1) with a list",
        )
    if table.num_rows != 1 or table.num_columns != len(statement.types):
        raise QuerySyntaxError(
            f"{table.num_columns} parameters came, and the statement has {len(statement.types)}"
        )
    if table.nbytes > _LONGEST_HANDLE:
        raise QuerySyntaxError("the parameters are longer than any need to be")
    return tuple(_plain(column[0]) for column in table.columns)


def _plain(scalar: pa.Scalar) -> Any:
    try:
        value = scalar.as_py()
    except (ValueError, ImportError) as finer:
        raise QuerySyntaxError("a parameter is finer than a microsecond") from finer
    if type(value).__module__.startswith("pandas"):
        raise QuerySyntaxError("a parameter is finer than a microsecond")
    if isinstance(value, uuid.UUID):
        return str(value)
    items = value if isinstance(value, list) else [value]
    known = (bool, int, float, str, Decimal, datetime, date, type(None))
    if not all(isinstance(item, known) for item in items):
        raise UnsupportedError(f"parameters of type {scalar.type} are not answered")
    return value
