"""The server of the Postgres wire: sockets, TLS, time limits, logins, cancel keys.

A connection costs little until it has logged in: only then it counts as one of the few that may be
open. Of those that have not, the oldest is closed when there are too many; each has some seconds to
log in. So clients who say nothing, half a message or nonsense never keep a good one out.

Each connection is one asyncio protocol and one task that acts on its messages in order. Reading
stops while more waits than a message may have, writing waits while the client does not read.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar, cast

import structlog

from api.gateway import Gateway
from api.postgres.asking import Asking
from api.postgres.errors import ProtocolError, SqlError, describe_error
from api.postgres.login import Login
from api.postgres.protocol import wire
from api.postgres.protocol.connection import Connection, Phase
from api.postgres.protocol.messages import CancelRequest, EncryptionRequest, Startup
from api.postgres.protocol.reader import LARGEST
from api.postgres.query.answer import Answerer, Trace
from api.postgres.repeat import Batch, Repeats
from api.postgres.session import Session
from api.postgres.users import Users, read_users
from api.postgres.variables import Variables
from api.query_log import QueryRecord
from api.scopes import may_see_sql
from api.tally import ReadyTally
from semantic.errors import DucatError, SettingsError
from semantic.query.context import SecurityContext
from semantic.settings import Settings

T = TypeVar("T")
HANDSHAKE_SECONDS: Final = 10.0
MESSAGE_SECONDS: Final = 60.0
MOST_STRANGERS: Final = 500
BACKLOG: Final = 512
MOST_PROCESSES: Final = 0xFFFFFE  # the bits above name the worker
_HIGH: Final = LARGEST + 64 * 1024
_FLUSH: Final = 64 * 1024
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
log = structlog.stdlib.get_logger("ducat.postgres")


class PostgresServer:
    """All connections of one process."""

    def __init__(self, gateway: Gateway) -> None:
        """Read the users and the certificate.

        Raises:
            SettingsError: they cannot be used, or the address is open to others without TLS.
        """
        settings = gateway.settings
        self.gateway = gateway
        self.users = Users(read_users(settings.postgres_users), gateway.authenticator)
        self.tls = read_tls(settings)
        if self.tls is None and settings.postgres_host not in LOOPBACK:
            if settings.environment == "production":
                raise SettingsError(
                    f"DUCAT_POSTGRES_HOST is {settings.postgres_host} and there is no certificate",
                    suggestion="set DUCAT_POSTGRES_TLS_CERT and DUCAT_POSTGRES_TLS_KEY",
                )
            log.warning("the Postgres wire is open to others without TLS; tokens are refused there")
        self.answerer = Answerer(
            gateway.layer,
            timeout_seconds=settings.query_timeout_seconds,
            shows_sql=partial(may_see_sql, settings),
        )
        self.tally = ReadyTally(gateway, "postgres")
        self.handshake_seconds = HANDSHAKE_SECONDS
        self.message_seconds = MESSAGE_SECONDS
        self._server: asyncio.Server | None = None
        self._strangers: dict[Wire, None] = {}
        self._friends: dict[int, Wire] = {}
        self._next = 0
        self._first = 0

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None:
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        settings, peers = self.gateway.settings, self.gateway.peers
        if peers is not None and peers.seat.postgres is not None:
            peers.on_cancel(self._cancel)
            self._first = peers.first_process
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Wire(self), sock=peers.seat.postgres, backlog=BACKLOG
            )
            return
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Wire(self),
            settings.postgres_host,
            settings.postgres_port or 0,
            backlog=BACKLOG,
        )

    async def close(self) -> None:
        """Take no more connections, tell those that are open, and end them."""
        if self._server is not None:
            self._server.close()
        ending = [*self._friends.values(), *self._strangers]
        for connection in ending:
            connection.end(
                SqlError("terminating connection due to administrator command", sqlstate="57P01")
            )
        tasks = [connection.task for connection in ending if connection.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=2)
        await asyncio.to_thread(self.answerer.close)

    def meet(self, connection: Wire) -> None:
        """Count a connection that has not logged in, and close the oldest of too many."""
        self._strangers[connection] = None
        while len(self._strangers) > MOST_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.abort()

    def admit(self, connection: Wire) -> int:
        """Count a connection that has logged in and return its number.

        Raises:
            SqlError: there are as many as there may be.
        """
        if len(self._friends) >= self.gateway.settings.postgres_connections:
            raise SqlError("sorry, too many clients already", sqlstate="53300")
        self._strangers.pop(connection, None)
        self._next = self._next % MOST_PROCESSES + 1
        while self._first + self._next in self._friends:
            self._next = self._next % MOST_PROCESSES + 1
        self._friends[self._first + self._next] = connection
        return self._first + self._next

    def forget(self, connection: Wire) -> None:
        """Count a connection no more."""
        self._strangers.pop(connection, None)
        if self._friends.get(connection.process) is connection:
            del self._friends[connection.process]

    def cancel(self, request: CancelRequest) -> None:
        """Stop what a connection runs, if the key is its own; nobody is told which."""
        if self.gateway.peers is not None:
            self.gateway.peers.pass_cancel(request.process, request.key)
        self._cancel(request.process, request.key)

    def _cancel(self, process: int, key: bytes) -> None:
        found = self._friends.get(process)
        if found is not None and secrets.compare_digest(found.key, key):
            found.cancel()


class Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.process = 0
        self.key = b""
        self.task: asyncio.Task[None] | None = None
        self._connection = Connection()
        self._transport: asyncio.Transport | None = None
        self._more = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._stop = asyncio.Event()
        self._held = 0
        self._paused = False
        self._out: list[bytes] = []
        self._size = 0
        self._is_tls = False
        self._is_local = False
        self._cancelled = False
        self._idle = False
        self._session: Session | None = None
        self._repeats = Repeats(server.gateway, server.tally)
        self._batch: Batch | None = None
        self._repeated_at = 0.0
        self._is_quiet = False  # nothing of a query has arrived, and none is being answered
        self._loop = asyncio.get_running_loop()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or begin anew below TLS."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        if self.task is not None:
            return
        peer = transport.get_extra_info("peername")
        self._is_local = bool(peer) and str(peer[0]) in LOOPBACK
        self.server.meet(self)
        self.task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        """Keep bytes, and stop reading when there are more than one message may have."""
        if self._is_quiet:
            if self._session is not None and self._transport is not None:
                answer = self._repeats.answer(data, self._session.context.user)
                if answer is not None:
                    self._transport.write(answer)
                    self._repeated_at = self._loop.time()
                    return
            self._batch = self._repeats.begin(data)
            self._is_quiet = False
        else:
            self._batch = None
        self._connection.feed(data)
        self._held += len(data)
        if self._held > _HIGH and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._more.set()

    def eof_received(self) -> bool:
        """Close when the client says that it is done."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what runs: nobody waits for it."""
        del exc
        self._is_quiet = False
        self._gone.set()
        self._stop.set()
        self._more.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """Wait with writing until the client has read."""
        self._writable.clear()
        self._is_quiet = False

    def resume_writing(self) -> None:
        """Go on writing."""
        self._writable.set()

    # What the server calls.

    def abort(self) -> None:
        """Close at once."""
        self._gone.set()
        self._stop.set()
        self._more.set()
        if self._transport is not None:
            self._transport.abort()

    def cancel(self) -> None:
        """Stop the statement that runs."""
        if not self._idle:
            self._cancelled = True
            self._stop.set()

    def end(self, reason: SqlError) -> None:
        """Tell the client why, and close."""
        if self._transport is not None and not self._gone.is_set():
            self._transport.write(wire.report_error(describe_error(reason, severity="FATAL")))
            self._transport.close()
        self._gone.set()
        self._stop.set()
        self._more.set()

    # One connection from its beginning to its end.

    async def _run(self) -> None:
        try:
            await self._serve()
        except DucatError as refused:
            await self._say_fatal(refused)
        except TimeoutError:
            log.info("a connection took too long", process=self.process)
        except asyncio.CancelledError:
            raise
        except Exception:
            # The outermost boundary of a connection: a defect ends it, never the server.
            log.exception("a connection of the Postgres wire failed")
            await self._say_fatal(SqlError("the server failed", sqlstate="XX000"))
        finally:
            self.server.forget(self)
            self._gone.set()
            if self._transport is not None:
                self._transport.close()

    async def _say_fatal(self, error: DucatError) -> None:
        with suppress(ConnectionError, TimeoutError):
            await self._send(wire.report_error(describe_error(error, severity="FATAL")))
            await asyncio.wait_for(self._flush(), 5)

    async def _serve(self) -> None:
        async with asyncio.timeout(self.server.handshake_seconds):
            session = await self._greet()
        if session is None:
            return
        self._session = session
        idle = self.server.gateway.settings.postgres_idle_seconds
        while True:
            message = self._connection.next()
            if message is None:
                if self._connection.phase is Phase.CLOSED or self._gone.is_set():
                    return
                self._learn(session)
                await self._wait(idle)
                continue
            if isinstance(message, Startup | EncryptionRequest | CancelRequest):
                raise ProtocolError("a session begins once")
            self._idle = False
            if self._batch is not None:
                self._batch.messages.append(message)
            await session.handle(message)
            self._idle = True
            self._stop.clear()
            self._cancelled = False
            if self._gone.is_set():
                return

    def _learn(self, session: Session) -> None:
        """Remember how the batch that just ended was answered, or forget what it may have changed."""
        batch, self._batch = self._batch, None
        if batch is not None and batch.messages and self._connection.is_between:
            self._repeats.learn(batch, session)
        elif batch is None or batch.messages:
            self._repeats.forget()

    async def _wait(self, idle: float) -> None:
        """Wait for bytes: as long as a client may be idle, less within a message."""
        await self._flush()
        self._more.clear()
        self._held = self._connection.waiting
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        seconds = idle if self._connection.is_between else self.server.message_seconds
        if self._gone.is_set():
            return
        session = self._session
        self._is_quiet = (
            session is not None
            and session.status == "I"
            and not session.portals
            and self._connection.is_between
            and self._connection.phase is Phase.READY
            and self._writable.is_set()
        )
        try:
            async with asyncio.timeout(seconds):
                await self._more.wait()
        except TimeoutError:
            if not self._connection.is_between:
                raise
            if self._loop.time() - self._repeated_at < seconds:
                return
            raise SqlError(
                "terminating connection due to idle-session timeout", sqlstate="57P05"
            ) from None

    async def _next(self) -> object:
        while True:
            message = self._connection.next()
            if message is not None:
                return message
            if self._gone.is_set():
                return None
            await self._flush()
            self._more.clear()
            self._held = 0
            await self._more.wait()

    async def _greet(self) -> Session | None:
        """Do what comes before queries; None when the connection has ended with it."""
        while True:
            message = await self._next()
            match message:
                case EncryptionRequest(kind):
                    await self._encrypt(kind)
                case CancelRequest():
                    self.server.cancel(message)
                    return None
                case Startup():
                    return await self._log_in(message)
                case _:
                    return None

    async def _encrypt(self, kind: str) -> None:
        tls = self.server.tls
        if kind != "tls" or tls is None or self._is_tls:
            await self._send(b"N")
            await self._flush()
            return
        self._connection.starts_over()
        transport = self._transport
        if transport is None:
            return
        transport.pause_reading()
        transport.write(b"S")
        wrapped = await asyncio.get_running_loop().start_tls(transport, self, tls, server_side=True)
        self._transport = wrapped
        self._is_tls = True

    async def _log_in(self, startup: Startup) -> Session | None:
        parameters = dict(startup.parameters)
        user = parameters.pop("user", "")
        database = parameters.pop("database", "") or user
        if not user:
            raise SqlError("no user name was given", sqlstate="28000")
        if parameters.pop("replication", "off").lower() not in {"off", "false", "no", "0"}:
            raise SqlError("there is no replication here", sqlstate="0A000")
        unknown = [name for name in parameters if name.startswith("_pq_.")]
        if startup.minor or unknown:
            await self._send(wire.report_protocol(0, unknown))
        login = Login(self.server.users, user, is_safe=self._is_tls or self._is_local)
        context = await login.run(self._next, self._say)
        if context is None:
            return None
        self.process = self.server.admit(self)
        self.key = secrets.token_bytes(4)
        variables = Variables(_read_options(parameters, unknown))
        variables.force("session_authorization", user)
        variables.force("ssl", "on" if self._is_tls else "off")
        self._connection.logged_in()
        session = self._make_session(context, variables, user, database)
        await self._send(wire.AUTHENTICATED)
        await session.report()
        await self._send(wire.give_key(self.process, self.key))
        await self._send(wire.READY["I"])
        await self._flush()
        self._idle = True
        return session

    def _make_session(
        self, context: SecurityContext, variables: Variables, user: str, database: str
    ) -> Session:
        asker = Asking(
            self.server.gateway, context, self._stop, lambda: self._cancelled, self._note
        )
        return Session(
            answerer=self.server.answerer,
            context=context,
            variables=variables,
            connection=self._connection,
            ask=asker.ask,
            send=self._send,
            flush=self._flush,
            user=user,
            database=database,
            process=self.process,
        )

    def _note(self, record: QueryRecord, trace: Trace) -> None:
        """Note what was asked of the layer for the batch that is answered."""
        if self._batch is not None:
            self._batch.asked.append((record, trace))

    async def _say(self, data: bytes) -> None:
        await self._send(data)
        await self._flush()

    async def _send(self, data: bytes) -> None:
        self._out.append(data)
        if self._batch is not None:
            self._batch.sent.append(data)
        self._size += len(data)
        if self._size >= _FLUSH:
            await self._flush()

    async def _flush(self) -> None:
        if self._out and self._transport is not None and not self._gone.is_set():
            self._transport.write(b"".join(self._out))
        self._out.clear()
        self._size = 0
        if not self._writable.is_set():
            await self._writable.wait()
        if self._gone.is_set() and self._connection.phase is not Phase.CLOSED:
            self._connection.close()


def read_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the server's TLS, or None without a certificate.

    Raises:
        SettingsError: the certificate or its key cannot be used.
    """
    certificate, key = settings.postgres_tls_cert, settings.postgres_tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SettingsError(
            "TLS of the Postgres wire needs a certificate and its key",
            suggestion="set both DUCAT_POSTGRES_TLS_CERT and DUCAT_POSTGRES_TLS_KEY",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as unusable:
        raise SettingsError(
            f"the certificate of the Postgres wire cannot be used: {unusable}"
        ) from unusable
    return context


def _read_options(parameters: dict[str, str], unknown: list[str]) -> dict[str, str]:
    """Return the settings that a client asks for at its start, those of `options` among them."""
    found = {name: value for name, value in parameters.items() if name not in {"options", *unknown}}
    words = parameters.get("options", "").replace("\\ ", "\x00").split()
    pending = [word.replace("\x00", " ") for word in words]
    while pending:
        word = pending.pop(0)
        if word == "-c" and pending:
            word = pending.pop(0)
        elif word.startswith(("--", "-c")):
            word = word[2:]
        name, sign, value = word.partition("=")
        if not sign:
            raise SqlError("options are written -c name=value", sqlstate="22023")
        found[name.replace("-", "_")] = value
    return found
