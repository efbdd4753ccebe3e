"""The Flight SQL server: gRPC's calls to the gateway and back.

pyarrow runs each call in a thread of gRPC's; what a call asks runs in the gateway's loop and pool, as
for every door. While a call waits, it looks whether its caller has left. Rows are read as they are
sent: gRPC waits while the caller does not read, and who takes nothing for long loses its query, though
not its thread, which ends with the connection.

Nothing is kept between calls but the answers that run: tickets and handles say it all (`tickets.py`).
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, Self, TypeVar

import pyarrow as pa
import structlog
from pyarrow import flight

from api.errors import AuthenticationError, BusyError
from api.flight import about, messages
from api.flight.entry import CallMiddleware, Entry, Gate, Handshake
from api.flight.errors import shield, to_flight
from api.flight.metadata import DETAILED, TABLES, Metadata, answer_command
from api.flight.statements import (
    Rows,
    Statement,
    Statements,
    Visitor,
    bind_values,
    changed,
    conform,
    read_values,
    write_values,
)
from api.flight.tickets import Seals
from api.gateway import Gateway
from api.postgres.query.answer import Answerer
from api.postgres.users import Users, read_users
from api.scopes import may_see_sql
from semantic.errors import (
    DucatError,
    InternalError,
    QueryCancelledError,
    QuerySyntaxError,
    UnsupportedError,
)
from semantic.query.context import SecurityContext

T = TypeVar("T")
STALLED_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_CLOSE_SECONDS: Final = 3.0
_CANCELLED, _NOT_CANCELLABLE, _CLOSED = 1, 3, 1
_MOST_CANCELLED: Final = 10_000
_LOCAL: Final = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", "ipv6:[::ffff:127.", "unix:")
_PREPARED: Final = "CommandPreparedStatementQuery"
_HINT: Final = "send a query: numbers are read here, and nothing is written"
log = structlog.stdlib.get_logger("ducat.flight")


class Answers:
    """The answers that are being sent, and the tickets that were cancelled before they began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Weak: an answer that pyarrow drops, for its caller has left, must end.
        self._running: weakref.WeakSet[Answer] = weakref.WeakSet()
        self._cancelled: OrderedDict[str, None] = OrderedDict()

    def enter(self, answer: Answer) -> None:
        """Add one that begins."""
        with self._lock:
            self._running.add(answer)

    def leave(self, answer: Answer) -> None:
        """Take one out."""
        with self._lock:
            self._running.discard(answer)

    def list(self) -> list[Answer]:
        """Return all that run."""
        with self._lock:
            return list(self._running)

    def cancel(self, ticket: str) -> None:
        """Note that a ticket is not to be answered any more, and stop what answers it."""
        with self._lock:
            self._cancelled[ticket] = None
            while len(self._cancelled) > _MOST_CANCELLED:
                self._cancelled.popitem(last=False)
        for answer in self.list():
            if answer.ticket == ticket:
                answer.end(QueryCancelledError("canceling statement due to user request"))

    def is_cancelled(self, ticket: str) -> bool:
        """Whether a ticket was cancelled."""
        with self._lock:
            return ticket in self._cancelled


class Answer:
    """Rows on their way to a caller: what pyarrow takes batches from. It ends them if it is dropped."""

    def __init__(self, server: FlightServer, rows: Rows, call: Call, ticket: str) -> None:
        self.ticket = ticket
        self.waits_since: float | None = time.monotonic()
        self._server, self._rows, self._call = server, rows, call
        self._reason: DucatError | None = None
        self._is_ended = False
        server.answers.enter(self)

    def __iter__(self) -> Self:
        return self

    @shield
    def __next__(self) -> pa.RecordBatch:
        """Return the next batch; pyarrow asks for it when it has sent the one before."""
        self.waits_since = None
        batch = self._next()
        if batch is None:
            self._is_ended = True
            self._server.answers.leave(self)
            raise StopIteration
        self.waits_since = time.monotonic()
        return batch

    def end(self, reason: DucatError) -> None:
        """Stop the query, unless it is done. May be called from any thread."""
        if not self._is_ended:
            self._is_ended = True
            self._reason = reason
            self._server.soon(self._rows.close, reason)
        self._server.answers.leave(self)

    def __del__(self) -> None:
        # Without the registry's lock: garbage is collected anywhere, also while it is held.
        if not self._is_ended:
            self._is_ended = True
            self._server.soon(self._rows.close, QueryCancelledError("the caller went away"))

    def _next(self) -> pa.RecordBatch | None:
        if self._is_ended:
            raise self._call.refuse(self._reason or QueryCancelledError("the answer has ended"))
        try:
            return self._call.wait(self._rows.read())
        except Exception:
            if self._reason is not None:
                raise self._call.refuse(self._reason) from None
            self.end(QueryCancelledError("the answer failed"))
            raise


class Call:
    """One call: who it is, and how it waits for the gateway."""

    def __init__(self, server: FlightServer, context: flight.ServerCallContext) -> None:
        found = context.get_middleware("gate")
        if not isinstance(found, CallMiddleware) or found.context is None:
            raise to_flight(AuthenticationError("nobody is logged in"))
        self._server, self._context = server, context
        self.request_id = found.request_id
        self.caller: SecurityContext = found.context
        if server.is_open and not context.peer().startswith(_LOCAL):
            raise self.refuse(
                AuthenticationError(
                    "without TLS only clients on this machine are answered",
                    suggestion="set DUCAT_POSTGRES_TLS_CERT and DUCAT_POSTGRES_TLS_KEY",
                )
            )
        try:
            zone = found.headers.get("x-ducat-timezone", "UTC")
            self.visitor = Visitor.of(self.caller, self.request_id, zone)
        except DucatError as refused:
            raise self.refuse(refused) from None

    def refuse(self, failure: BaseException) -> Exception:
        """Return the exception that tells the caller, and log what is a defect."""
        if not isinstance(failure, DucatError) or isinstance(failure, InternalError):
            log.error("a call failed", request_id=self.request_id, exc_info=failure)
        return to_flight(failure, self.request_id)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the loop makes of the work; give it up when the caller has left."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._server.loop)
        except RuntimeError:  # the loop is closed
            work.close()
            raise flight.FlightUnavailableError("the server is stopping [too_busy]") from None
        while True:
            done, _ = concurrent.futures.wait([future], timeout=_POLL_SECONDS)
            if done:
                break
            if self._context.is_cancelled():
                future.cancel()
                raise self.refuse(QueryCancelledError("the caller went away"))
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise self.refuse(QueryCancelledError("the call was cancelled")) from None
        except Exception as failure:  # noqa: BLE001 -- the boundary of a call: all is answered
            raise self.refuse(failure) from None


class FlightServer(flight.FlightServerBase):  # type: ignore[misc]
    """The server of one process. Made, and closed, in the gateway's loop."""

    def __init__(self, gateway: Gateway) -> None:
        """Read the users and the certificate, and listen.

        Raises:
            SettingsError: they cannot be used, or the address is open to others without TLS.
        """
        from api.flight.start import LOOPBACK, read_certificates  # noqa: PLC0415

        settings = gateway.settings
        certificates = read_certificates(settings)
        self.gateway = gateway
        self.loop = asyncio.get_running_loop()
        self.answers = Answers()
        self.is_open = certificates is None and settings.postgres_host not in LOOPBACK
        authenticator = gateway.authenticator
        self._seals = Seals.of(authenticator.secret)
        self._answerer = Answerer(
            gateway.layer,
            timeout_seconds=settings.query_timeout_seconds,
            shows_sql=partial(may_see_sql, settings),
        )
        self._statements = Statements(gateway, self._answerer)
        self._metadata = Metadata(self._answerer)
        entry = Entry(
            authenticator,
            Users(read_users(settings.postgres_users), authenticator),
            self._seals,
            not self.is_open,
            self._prepare,
        )
        host = settings.postgres_host
        shown = f"[{host}]" if ":" in host else host
        scheme = "grpc" if certificates is None else "grpc+tls"
        super().__init__(
            f"{scheme}://{shown}:{settings.flight_port or 0}",
            auth_handler=Handshake(),
            tls_certificates=certificates,
            middleware={"gate": Gate(entry)},
        )
        self._watching = self.loop.create_task(self._watch())

    def soon(self, work: Any, *arguments: Any) -> None:
        """Call something in the loop, unless that has ended."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(work, *arguments)

    async def close(self) -> None:
        """End what runs, tell its callers, and listen no more."""
        self._watching.cancel()
        for answer in self.answers.list():
            answer.end(BusyError("the server is stopping"))
        # A caller that reads nothing would keep the server from ending.
        ending = threading.Thread(target=self.shutdown, name="flight-end", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _CLOSE_SECONDS)
        if ending.is_alive():
            # Nor may it keep the process from ending: pyarrow would wait for it at exit.
            for kept in weakref.getweakrefs(self):
                if isinstance(kept.__callback__, weakref.finalize):
                    kept.__callback__.atexit = False
        await asyncio.to_thread(self._answerer.close)

    # What pyarrow calls.

    @shield
    def get_flight_info(
        self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor
    ) -> flight.FlightInfo:
        """Return the columns of an answer, and the ticket to get it with."""
        call = Call(self, context)
        with _Telling(call):
            packed = _command(descriptor)
            name, command = messages.unpack(packed)
            statement = self._find(name, command, call)
            if statement is None:
                schema = self._describe(name, command, call)
                content = {"command": base64.b64encode(packed).decode()}
            else:
                schema = call.wait(self._statements.describe(statement, call.visitor))
                content = _write(statement, call)
                content["schema"] = base64.b64encode(schema.serialize().to_pybytes()).decode()
            handle = self._seals.seal("ticket", content, call.caller)
            ticket = messages.pack(f"{messages.SQL}.TicketStatementQuery", statement_handle=handle)
            return flight.FlightInfo(
                schema, descriptor, [flight.FlightEndpoint(ticket, [])], -1, -1
            )

    @shield
    def get_schema(
        self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor
    ) -> flight.SchemaResult:
        """Return the columns of an answer."""
        call = Call(self, context)
        with _Telling(call):
            name, command = messages.unpack(_command(descriptor))
            statement = self._find(name, command, call)
            if statement is None:
                return flight.SchemaResult(self._describe(name, command, call))
            return flight.SchemaResult(
                call.wait(self._statements.describe(statement, call.visitor))
            )

    @shield
    def do_get(
        self, context: flight.ServerCallContext, ticket: flight.Ticket
    ) -> flight.FlightDataStream:
        """Send an answer."""
        call = Call(self, context)
        with _Telling(call):
            content = self._open_ticket(ticket.ticket, call)
            if "command" in content:
                name, command = messages.unpack(base64.b64decode(content["command"]))
                return flight.RecordBatchStream(self._answer(name, command, call))
            if self.answers.is_cancelled(content["id"]):
                raise QueryCancelledError("canceling statement due to user request")
            schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(content["schema"])))
            found = call.wait(
                self._statements.open(self._read(content, call), _in_zone(call, content))
            )
            if isinstance(found, pa.Table):
                return flight.RecordBatchStream(conform(found, schema))
            if not found.shape.schema.equals(schema):
                self.soon(found.close, changed())
                raise changed()
            return flight.GeneratorStream(schema, Answer(self, found, call, content["id"]))

    @shield
    def do_put(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        """Take the parameters of a prepared statement; the answer is a handle that holds them."""
        call = Call(self, context)
        with _Telling(call):
            name, command = messages.unpack(_command(descriptor))
            if name != _PREPARED:
                raise UnsupportedError(f"{name[:60]} is not offered", suggestion=_HINT)
            content = self._seals.open("handle", command.prepared_statement_handle, call.caller)
            statement = self._read(content, call)
            values = bind_values(_read_one(reader), statement)
            content = _write(statement, call) | {"values": write_values(values)}
            handle = self._seals.seal("handle", content, call.caller)
            writer.write(
                pa.py_buffer(
                    messages.write(
                        f"{messages.SQL}.DoPutPreparedStatementResult",
                        prepared_statement_handle=handle,
                    )
                )
            )

    @shield
    def list_actions(self, context: flight.ServerCallContext) -> list[tuple[str, str]]:
        """Return what can be done besides asking."""
        Call(self, context)
        return [
            ("CreatePreparedStatement", "Read a statement"),
            ("ClosePreparedStatement", "Forget it"),
            ("CancelFlightInfo", "Stop an answer"),
            ("CancelQuery", "Stop an answer"),
            ("CloseSession", "Leave"),
        ]

    @shield
    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> list[bytes]:
        """Do what is no question."""
        call = Call(self, context)
        with _Telling(call):
            body = action.body.to_pybytes()
            match action.type:
                case "CreatePreparedStatement":
                    return [self._create(body, call)]
                case "ClosePreparedStatement":
                    messages.unpack(body)
                    return []  # nothing is kept
                case "CancelFlightInfo":
                    asked = messages.read(f"{messages.FLIGHT}.CancelFlightInfoRequest", body)
                    status = self._cancel(asked.info, call)
                    return [
                        messages.write(f"{messages.FLIGHT}.CancelFlightInfoResult", status=status)
                    ]
                case "CancelQuery":
                    _, asked = messages.unpack(body)
                    status = self._cancel(getattr(asked, "info", b""), call)
                    return [messages.pack(f"{messages.SQL}.ActionCancelQueryResult", result=status)]
                case "CloseSession":
                    return [messages.write(f"{messages.FLIGHT}.CloseSessionResult", status=_CLOSED)]
                case _:
                    raise UnsupportedError(
                        f"the action {action.type[:60]} is not offered: there are no transactions, "
                        "savepoints or session options here",
                        suggestion="a time zone is said by the header x-ducat-timezone of a call",
                    )

    @shield
    def list_flights(
        self, context: flight.ServerCallContext, criteria: bytes
    ) -> Iterator[flight.FlightInfo]:
        """Return none: answers are asked for, not listed."""
        del criteria
        Call(self, context)
        return iter(())

    # Parts of calls.

    def _find(self, name: str, command: Any, call: Call) -> Statement | None:
        if name == "CommandStatementQuery":
            _check_no_transaction(command)
            statement = self._statements.read(command.query, call.visitor)
        elif name == _PREPARED:
            content = self._seals.open("handle", command.prepared_statement_handle, call.caller)
            statement = self._read(content, call)
        else:
            return None
        if statement.types and statement.values is None:
            raise QuerySyntaxError(
                f"the statement has {len(statement.types)} parameters, and none is bound",
                suggestion="prepare it and bind them; a client must read the answer to its binding",
            )
        return statement

    def _read(self, content: dict[str, Any], call: Call) -> Statement:
        found = self._statements.read(content["text"], call.visitor)
        values = content.get("values")
        if values is None:
            return found
        return replace(found, values=read_values(values))

    def _create(self, body: bytes, call: Call) -> bytes:
        name, asked = messages.unpack(body)
        if name != "ActionCreatePreparedStatementRequest":
            raise QuerySyntaxError("this is no statement to prepare")
        _check_no_transaction(asked)
        statement = self._statements.read(asked.query, call.visitor)
        schema = call.wait(self._statements.describe(statement, call.visitor))
        handle = self._seals.seal("handle", _write(statement, call), call.caller)
        return messages.pack(
            f"{messages.SQL}.ActionCreatePreparedStatementResult",
            prepared_statement_handle=handle,
            dataset_schema=schema.serialize().to_pybytes(),
            parameter_schema=statement.parameters.serialize().to_pybytes(),
        )

    def _describe(self, name: str, command: Any, call: Call) -> pa.Schema:
        if name == "CommandGetTables":  # without asking the engine
            return DETAILED if command.include_schema else TABLES
        return self._answer(name, command, call).schema

    def _answer(self, name: str, command: Any, call: Call) -> pa.Table:
        if name == "CommandGetSqlInfo":
            return about.answer_info(list(command.info))
        if name == "CommandGetXdbcTypeInfo":
            asked = command.data_type if command.HasField("data_type") else None
            return about.answer_types(asked)
        return call.wait(
            self.gateway.offload.run(
                lambda _: answer_command(name, command, self._metadata, call.caller)
            )
        )

    def _open_ticket(self, packed: bytes, call: Call) -> dict[str, Any]:
        name, found = messages.unpack(packed)
        if name != "TicketStatementQuery":
            raise QuerySyntaxError(
                "this is no ticket", suggestion="ask for one: GetFlightInfo gives it"
            )
        return self._seals.open("ticket", found.statement_handle, call.caller)

    def _cancel(self, info: bytes, call: Call) -> int:
        try:
            endpoints = flight.FlightInfo.deserialize(info).endpoints
        except (pa.ArrowException, OSError) as malformed:
            raise QuerySyntaxError("this is no FlightInfo") from malformed
        status = _NOT_CANCELLABLE
        for endpoint in endpoints:
            content = self._open_ticket(endpoint.ticket.ticket, call)
            if "schema" in content:
                self.answers.cancel(content["id"])
                status = _CANCELLED
        return status

    def _prepare(self, headers: Any) -> None:
        authenticator = self.gateway.authenticator
        if authenticator.key_set is not None:
            asyncio.run_coroutine_threadsafe(authenticator.prepare(headers), self.loop).result()

    async def _watch(self) -> None:
        """End the answers whose callers take nothing."""
        while True:
            await asyncio.sleep(1)
            late = time.monotonic() - STALLED_SECONDS
            for answer in self.answers.list():
                since = answer.waits_since
                if since is not None and since < late:
                    answer.end(
                        QueryCancelledError(
                            f"the caller took nothing of its answer for {STALLED_SECONDS:g} seconds"
                        )
                    )


class _Telling:
    """Turns whatever fails in a block into what the caller is told."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, failure: BaseException | None, _trace: object) -> None:
        if failure is None or isinstance(failure, flight.FlightError | pa.ArrowException):
            return
        raise self._call.refuse(failure) from None


def _command(descriptor: flight.FlightDescriptor) -> bytes:
    if descriptor.descriptor_type != flight.DescriptorType.CMD:
        raise QuerySyntaxError("a path means nothing here", suggestion="use a Flight SQL client")
    return bytes(descriptor.command)


def _check_no_transaction(command: Any) -> None:
    if command.HasField("transaction_id") and command.transaction_id:
        raise UnsupportedError("there are no transactions here", suggestion="ask without one")


def _write(statement: Statement, call: Call) -> dict[str, Any]:
    content: dict[str, Any] = {
        "text": statement.text, "zone": call.visitor.variables.show("timezone"),
    }  # fmt: skip
    if statement.values is not None:
        content["values"] = write_values(statement.values)
    return content


def _in_zone(call: Call, content: dict[str, Any]) -> Visitor:
    """Return the visitor with the zone that the ticket was made in."""
    return Visitor.of(call.caller, call.request_id, content["zone"])


def _read_one(reader: flight.MetadataRecordBatchReader) -> pa.Table:
    """Return the rows that a client sends, of which there should be one; no more are kept."""
    batches = []
    rows = 0
    for chunk in reader:
        batches.append(chunk.data)
        rows += chunk.data.num_rows
        if rows > 1:
            break
    return pa.Table.from_batches(batches, schema=reader.schema)
