"""One logged-in connection: what its messages do.

The session knows nothing of sockets: `send` takes bytes, `ask` runs a query through the gateway.
A statement is *prepared* (read, its parameters typed), then *bound* to values as a portal, then run.
A simple query does all three at once. Rows are computed when a portal is first described or executed
and then kept by it, so that pages of it come from one answer.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, assert_never

import pyarrow as pa
import structlog
from sqlglot import exp

from api.postgres.commands import Command, read_command
from api.postgres.encode import encode_copy, encode_copy_text, encode_rows
from api.postgres.errors import SqlError, describe_error
from api.postgres.portals import (
    Ask,
    Portal,
    Prepared,
    aborted,
    check_no_parameters,
    choose_formats,
)
from api.postgres.protocol import wire
from api.postgres.protocol.connection import Connection
from api.postgres.protocol.messages import (
    Bind,
    Close,
    CopyPart,
    Describe,
    Execute,
    Flush,
    FunctionCall,
    Message,
    Parse,
    Password,
    SimpleQuery,
    Sync,
    Terminate,
)
from api.postgres.query.answer import Answerer, Caller, Trace
from api.postgres.query.functions import Place
from api.postgres.query.parameters import fill_in, infer_types, read_value
from api.postgres.query.parse import Statement, split_statements
from api.postgres.results import conform, describe_fields, show_setting
from api.postgres.types import PgType
from api.postgres.variables import Variables
from semantic.errors import DucatError
from semantic.query.context import SecurityContext

log = structlog.stdlib.get_logger("ducat.postgres")
MOST_STATEMENTS: Final = 1000
MOST_PORTALS: Final = 200
_TEXT: Final = pa.schema([("QUERY PLAN", pa.string())])


@dataclass(slots=True)
class Session:
    """The state of one connection."""

    answerer: Answerer
    context: SecurityContext
    variables: Variables
    connection: Connection
    ask: Ask
    send: Callable[[bytes], Awaitable[None]]
    flush: Callable[[], Awaitable[None]]
    user: str
    database: str
    process: int
    status: str = "I"
    statements: dict[str, Prepared] = field(default_factory=dict)
    portals: dict[str, Portal] = field(default_factory=dict)
    savepoints: list[str] = field(default_factory=list)
    local: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)

    async def handle(self, message: Message) -> None:
        """Act on one message; errors are answered, and never raised but for defects of the wire."""
        if isinstance(message, SimpleQuery):
            await self._simple(message.text)
            return
        if isinstance(message, Sync):
            if self.status == "I":
                self._drop_portals()
            await self._ready()
            return
        try:
            await self._extended(message)
        except Exception as failure:  # noqa: BLE001 -- the boundary of a statement: all is answered
            await self._fail(failure)
            self.connection.failed()

    async def _ready(self) -> None:
        await self.send(wire.READY[self.status])
        await self.flush()

    async def _fail(self, failure: BaseException) -> None:
        if not isinstance(failure, DucatError):
            log.error("a statement failed", user=self.user, exc_info=failure)
        if self.status == "T":
            self.status = "E"
        await self.send(wire.report_error(describe_error(failure)))

    # The simple protocol.

    async def _simple(self, text: str) -> None:
        try:
            statements = split_statements(text)
            if not statements:
                await self.send(wire.EMPTY_QUERY)
            for statement in statements:
                self._check_alive(statement)
                prepared = self._prepare(statement, ())
                check_no_parameters(prepared)
                await self._run_simple(Portal(prepared))
        except Exception as failure:  # noqa: BLE001 -- the boundary of a statement: all is answered
            await self._fail(failure)
        if self.status == "I":
            self._drop_portals()
        await self._ready()

    async def _run_simple(self, portal: Portal) -> None:
        command = portal.prepared.command
        if command is None:
            await self.send(wire.EMPTY_QUERY)
            return
        if command.kind == "copy":
            await self._copy(portal)
            return
        tag = await self._start(portal)
        if portal.table is not None:
            formats = choose_formats(portal, portal.table)
            await self.send(wire.describe_row(describe_fields(portal.table.schema), formats))
            await self._send_rows(portal.table, formats)
        await self.send(wire.complete(tag))

    # The extended protocol.

    async def _extended(self, message: Message) -> None:
        match message:
            case Parse():
                await self._parse(message)
            case Bind():
                await self._bind(message)
            case Describe():
                await self._describe(message)
            case Execute():
                await self._execute(message)
            case Close(kind, name):
                if kind == "statement":
                    self.statements.pop(name, None)
                else:
                    self.portals.pop(name, None)
                await self.send(wire.CLOSED)
            case Flush():
                await self.flush()
            case FunctionCall():
                raise SqlError("function calls of the protocol are not answered", sqlstate="0A000")
            case Sync() | SimpleQuery() | Terminate() | Password() | CopyPart():
                pass  # handled before, or never let through
            case _ as unreachable:
                assert_never(unreachable)

    async def _parse(self, message: Parse) -> None:
        statements = split_statements(message.text)
        if len(statements) > 1:
            raise SqlError(
                "cannot insert multiple commands into a prepared statement", sqlstate="42601"
            )
        if message.name and message.name in self.statements:
            raise SqlError(
                f'prepared statement "{message.name[:60]}" already exists', sqlstate="42P05"
            )
        if len(self.statements) >= MOST_STATEMENTS:
            raise SqlError("too many prepared statements", sqlstate="53400")
        if statements:
            self._check_alive(statements[0])
            prepared = self._prepare(statements[0], message.types)
        else:
            prepared = Prepared(None)
        self.statements[message.name] = prepared
        await self.send(wire.PARSED)

    async def _bind(self, message: Bind) -> None:
        prepared = self._statement(message.statement)
        if len(message.values) != len(prepared.types):
            raise SqlError(
                f"bind message supplies {len(message.values)} parameters, but the prepared "
                f"statement requires {len(prepared.types)}",
                sqlstate="08P01",
            )
        if message.portal and message.portal in self.portals:
            raise SqlError(f'cursor "{message.portal[:60]}" already exists', sqlstate="42P03")
        if len(self.portals) >= MOST_PORTALS:
            raise SqlError("too many portals", sqlstate="53400")
        formats = message.formats
        forms = formats * len(message.values) if len(formats) == 1 else formats
        values = tuple(
            read_value(type_, forms[place] if forms else 0, value)
            for place, (type_, value) in enumerate(zip(prepared.types, message.values, strict=True))
        )
        self.portals[message.portal] = Portal(prepared, values, message.result_formats)
        await self.send(wire.BOUND)

    async def _describe(self, message: Describe) -> None:
        if message.kind == "portal":
            portal = self._portal(message.name)
            table = await self._table(portal)
            if table is None:
                await self.send(wire.NO_DATA)
                return
            formats = choose_formats(portal, table)
            await self.send(wire.describe_row(describe_fields(table.schema), formats))
            return
        prepared = self._statement(message.name)
        await self.send(wire.describe_parameters([type_.oid for type_ in prepared.types]))
        schema = await self._schema(prepared)
        if schema is None:
            await self.send(wire.NO_DATA)
        else:
            await self.send(wire.describe_row(describe_fields(schema), [0] * len(schema)))

    async def _execute(self, message: Execute) -> None:
        portal = self._portal(message.portal)
        command = portal.prepared.command
        if command is None:
            await self.send(wire.EMPTY_QUERY)
            return
        self._check_command(command)
        if command.kind == "copy":
            await self._copy(portal)
            return
        if portal.table is None or not portal.started:
            tag = await self._start(portal)
        else:
            tag = f"{command.tag}"
        table = portal.table
        if table is None:
            await self.send(wire.complete(tag))
            return
        rows = table.slice(portal.place, message.limit or None)
        portal.place += rows.num_rows
        await self._send_rows(rows, choose_formats(portal, table))
        if message.limit and rows.num_rows == message.limit:
            await self.send(wire.SUSPENDED)
            return
        counted = command.kind in {"query", "fetch"}
        await self.send(wire.complete(f"{command.tag} {rows.num_rows}" if counted else tag))

    # Statements and portals.

    def _prepare(self, statement: Statement, given: tuple[int, ...]) -> Prepared:
        command = read_command(statement)
        if command.kind not in {"query", "declare", "explain", "copy"}:
            return Prepared(command)
        inner = statement
        if command.text != statement.text:
            found = split_statements(command.text)
            if len(found) != 1:
                raise SqlError(f"{command.tag} takes one query", sqlstate="42601")
            inner = found[0]
        tree = self.answerer.parse(inner)
        tables = self.answerer.tables(self.context)

        def column_type(node: exp.Expr) -> PgType | None:
            return self.answerer.column_type(node, tree, tables, self.context)

        types = infer_types(tree, given, column_type) if given or "$" in command.text else ()
        return Prepared(command, types, tree, text=None if types else inner.text)

    def _check_alive(self, statement: Statement) -> None:
        if self.status == "E" and statement.words[0] not in {
            "ROLLBACK", "ABORT", "COMMIT", "END",
        }:  # fmt: skip
            raise aborted()

    def _check_command(self, command: Command) -> None:
        if self.status == "E" and command.kind not in {"rollback", "commit", "rollback_to"}:
            raise aborted()

    def _statement(self, name: str) -> Prepared:
        found = self.statements.get(name)
        if found is None:
            raise SqlError(f'prepared statement "{name[:60]}" does not exist', sqlstate="26000")
        return found

    def _portal(self, name: str) -> Portal:
        found = self.portals.get(name)
        if found is None:
            raise SqlError(f'portal "{name[:60]}" does not exist', sqlstate="34000")
        return found

    def _drop_portals(self) -> None:
        for name in [name for name, portal in self.portals.items() if not portal.held]:
            del self.portals[name]

    async def _send_rows(self, table: pa.Table, formats: list[int]) -> None:
        if table.num_columns == 0:
            for _ in range(table.num_rows):
                await self.send(b"D\x00\x00\x00\x06\x00\x00")
            return
        for part in encode_rows(table, formats, self.variables.show("timezone")):
            await self.send(part)

    # Running.

    async def _start(self, portal: Portal) -> str:
        """Run a portal's statement, unless it has run, and return its tag."""
        command = portal.prepared.command
        if command is None:
            return ""
        self._check_command(command)
        portal.started = True
        if command.kind in {"query", "explain"}:
            table = await self._table(portal)
            rows = 0 if table is None else table.num_rows
            return f"{command.tag} {rows}" if command.kind == "query" else command.tag
        return await self._utility(command, portal)

    async def _table(self, portal: Portal) -> pa.Table | None:
        """Return the answer of a portal, computed now if it was not; None for a command."""
        if portal.table is not None:
            return portal.table
        command, prepared = portal.prepared.command, portal.prepared
        if command is None:
            return None
        match command.kind:
            case "query":
                portal.table = conform(await self._answer(portal), prepared.schema)
            case "explain":
                portal.table = await self._explain(portal)
            case "show":
                portal.table = show_setting(self.variables, command.name)
            case "fetch" if command.tag == "FETCH":
                cursor = self._cursor(command.name)
                table = await self._table(cursor)
                return None if table is None else table.slice(0, 0)
            case "declare" if portal.is_cursor:
                portal.table = await self._answer(portal)
            case _:
                return None
        return portal.table

    async def _schema(self, prepared: Prepared) -> pa.Schema | None:
        """Return the columns of a statement without its rows."""
        command = prepared.command
        if command is None:
            return None
        match command.kind:
            case "query":
                if prepared.schema is None:
                    described = await self._answer(Portal(prepared), describe=True)
                    prepared.schema = described.schema
                return prepared.schema
            case "explain":
                return _TEXT
            case "show":
                return show_setting(self.variables, command.name).schema
            case "fetch" if command.tag == "FETCH":
                table = await self._table(self._cursor(command.name))
                return None if table is None else table.schema
            case _:
                return None

    async def _answer(self, portal: Portal, *, describe: bool = False) -> pa.Table:
        prepared, caller, trace = portal.prepared, self._caller(), Trace()
        tree = prepared.tree
        if tree is None:
            raise SqlError("there is no query to answer", sqlstate="XX000")
        values = None if describe else portal.values

        def work(cancelled: threading.Event) -> pa.Table:
            filled = fill_in(tree, prepared.types, values) if prepared.types else tree
            return self.answerer.answer(
                filled,
                caller,
                cancelled=cancelled,
                describe=describe,
                trace=trace,
                text=prepared.text,
            )

        return await self.ask(work, trace, self.variables.statement_timeout)

    async def _explain(self, portal: Portal) -> pa.Table:
        prepared, caller = portal.prepared, self._caller()
        tree = prepared.tree
        if tree is None:
            raise SqlError("there is no query to explain", sqlstate="XX000")

        def work(_: threading.Event) -> list[str]:
            return self.answerer.explain(fill_in(tree, prepared.types, portal.values), caller)

        lines = await self.ask(work, Trace(), self.variables.statement_timeout)
        return pa.table({"QUERY PLAN": pa.array(lines, pa.string())})

    def _caller(self) -> Caller:
        place = Place(
            user=self.user,
            database=self.database,
            process=self.process,
            now=datetime.now(UTC),
            timezone=self.variables.show("timezone"),
            settings=self.variables.get,
            find_table=lambda _: None,
        )
        return Caller(self.context, place, dict(self.variables.all()))

    def _cursor(self, name: str) -> Portal:
        found = self.portals.get(name)
        if found is None:
            raise SqlError(f'cursor "{name[:60]}" does not exist', sqlstate="34000")
        return found

    async def _utility(  # noqa: C901 -- a branch for each command
        self, command: Command, portal: Portal
    ) -> str:
        match command.kind:
            case "begin" | "commit" | "rollback" | "savepoint" | "release" | "rollback_to":
                return await self._transaction(command)
            case "set":
                self.variables.set(command.name, command.value)
                if command.options and self.status == "T":
                    self.local.add(self.variables.key_of(command.name))
                await self.report()
            case "reset":
                self.variables.reset(command.name)
                await self.report()
            case "show":
                portal.table = show_setting(self.variables, command.name)
            case "discard":
                await self._discard(command)
            case "deallocate":
                self._deallocate(command)
            case "declare":
                self._declare(command, portal)
            case "fetch":
                return await self._fetch(command, portal)
            case "close":
                self._close(command)
            case _:
                pass
        return command.tag

    async def _transaction(self, command: Command) -> str:
        match command.kind:
            case "begin":
                if self.status == "I":
                    self.variables.begin()
                    self.status = "T"
                else:
                    await self._notice("there is already a transaction in progress", "25001")
            case "commit" | "rollback":
                return await self._end(command)
            case "savepoint":
                self._need_transaction("SAVEPOINT")
                self.savepoints.append(command.name)
            case "release" | "rollback_to":
                self._need_transaction(command.tag)
                if command.name not in self.savepoints:
                    raise SqlError(
                        f'savepoint "{command.name[:60]}" does not exist', sqlstate="3B001"
                    )
                while self.savepoints[-1] != command.name:
                    self.savepoints.pop()
                if command.kind == "release":
                    self.savepoints.pop()
                else:
                    self.status = "T"
            case _:
                pass
        return command.tag

    async def _end(self, command: Command) -> str:
        if self.status == "I":
            await self._notice("there is no transaction in progress", "25P01")
            return command.tag
        kept = command.kind == "commit" and self.status == "T"
        self.variables.end(kept=kept, local=frozenset(self.local))
        self.local.clear()
        self.savepoints.clear()
        self.status = "I"
        if not kept:
            self.portals = {name: item for name, item in self.portals.items() if item.held}
        self._drop_portals()
        await self.report()
        return "COMMIT" if kept else "ROLLBACK"

    def _need_transaction(self, word: str) -> None:
        if self.status == "I":
            raise SqlError(f"{word} can only be used in transaction blocks", sqlstate="25P01")

    async def _notice(self, text: str, state: str) -> None:
        fields = {"S": "WARNING", "V": "WARNING", "C": state, "M": text}
        await self.send(wire.report_error(fields, notice=True))

    async def report(self) -> None:
        """Tell the client the settings that changed, of those that it follows."""
        for name, value in self.variables.reported().items():
            if self.told.get(name) != value:
                self.told[name] = value
                await self.send(wire.report_parameter(name, value))

    async def _discard(self, command: Command) -> None:
        if command.name != "ALL":
            return
        if self.status != "I":
            raise SqlError("DISCARD ALL cannot run inside a transaction block", sqlstate="25001")
        self.statements.clear()
        self.portals.clear()
        self.variables.reset("all")
        await self.report()

    def _deallocate(self, command: Command) -> None:
        if not command.name:
            self.statements.clear()
        elif self.statements.pop(command.name, None) is None:
            raise SqlError(
                f'prepared statement "{command.name[:60]}" does not exist', sqlstate="26000"
            )

    def _declare(self, command: Command, portal: Portal) -> None:
        options = dict(command.options)
        if "SCROLL" in options:
            raise SqlError(
                "cursors go forward only", sqlstate="0A000", suggestion="leave out SCROLL"
            )
        if self.status == "I" and "HOLD" not in options:
            raise SqlError(
                "DECLARE CURSOR can only be used in transaction blocks", sqlstate="25P01"
            )
        if command.name in self.portals:
            raise SqlError(f'cursor "{command.name[:60]}" already exists', sqlstate="42P03")
        if len(self.portals) >= MOST_PORTALS:
            raise SqlError("too many cursors", sqlstate="53400")
        query = replace(portal.prepared, command=Command("query", "SELECT"), schema=None)
        self.portals[command.name] = Portal(
            query, portal.values, (1,) if "BINARY" in options else (),
            held="HOLD" in options, is_cursor=True, started=True,
        )  # fmt: skip

    async def _fetch(self, command: Command, portal: Portal) -> str:
        cursor = self._cursor(command.name)
        table = await self._table(cursor)
        if table is None:
            raise SqlError(f'cursor "{command.name[:60]}" gives no rows', sqlstate="34000")
        count = None if command.value == "ALL" else int(command.value or 1)
        rows = table.slice(cursor.place, count)
        cursor.place += rows.num_rows
        if command.tag == "FETCH":
            portal.table = rows
            portal.formats = portal.formats or cursor.formats
        return f"{command.tag} {rows.num_rows}"

    def _close(self, command: Command) -> None:
        if not command.name:
            self.portals = {name: item for name, item in self.portals.items() if not item.is_cursor}
        else:
            self._cursor(command.name)
            del self.portals[command.name]

    async def _copy(self, portal: Portal) -> None:
        command = portal.prepared.command
        if command is None:
            return
        self._check_command(command)
        options = dict(command.options)
        table = await self._answer(portal)
        binary = options["FORMAT"] == "BINARY"
        await self.send(wire.start_copy(table.num_columns, int(binary)))
        if binary:
            for part in encode_copy(table):
                await self.send(part)
        else:
            zone = self.variables.show("timezone")
            csv = options["FORMAT"] == "CSV"
            header = "HEADER" in options
            for part in encode_copy_text(table, zone, csv=csv, header=header):
                await self.send(part)
        await self.send(wire.COPY_DONE)
        await self.send(wire.complete(f"COPY {table.num_rows}"))
