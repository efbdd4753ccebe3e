"""`ducat serve`: the metrics server as a process."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from api.errors import PortInUseError
from semantic.errors import SettingsError
from semantic.project import Project
from semantic.settings import Settings, read_settings

if TYPE_CHECKING:
    from api.peers import Seat

MOST_WORKERS: Final = 64
PATIENCE_SECONDS: Final = 3  # for queries to finish by themselves
GRACE_SECONDS: Final = 4  # for connections to close
BACKLOG: Final = 2048


@click.command()
@click.option("--host", help="Address to listen on (default: DUCAT_HOST, else 127.0.0.1).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port (default: DUCAT_PORT, else 4000; 0: any)."
)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    help="Processes behind the port (default: DUCAT_WORKERS, else 1).",
)
@click.pass_obj
def serve(root: Path | None, host: str | None, port: int | None, workers: int | None) -> int | None:
    """Serve the metrics over REST, GraphQL and SQL until SIGTERM or Ctrl-C."""
    settings = read_settings(root)
    project = Project.open(settings.project)
    check_doors(settings)
    listener = listen(
        settings.host if host is None else host, settings.port if port is None else port
    )
    secret = None if has_credentials(settings) else _make_secret(settings)
    count = settings.workers if workers is None else workers
    if count > 1:
        return _run_workers(settings, project, listener, secret, count)
    run_server(settings, project, listener, secret)
    return None


def _run_workers(
    settings: Settings, project: Project, listener: socket.socket, secret: str | None, count: int
) -> int:
    """Serve with several processes until a signal, and return the exit code."""
    from api.workers import Supervisor, divide  # noqa: PLC0415  (for those who want several)

    postgres = None
    if settings.postgres_port is not None:
        from api.postgres.start import announce  # noqa: PLC0415

        postgres = listen(settings.postgres_host, settings.postgres_port, "DUCAT_POSTGRES_PORT")
        announce(settings.postgres_host, postgres.getsockname()[1])
    _announce(listener)

    def work(seat: Seat) -> None:
        own = divide(settings, count, seat.number)
        run_server(own, project, listener, secret, seat)

    return Supervisor(count, work, postgres, settings.drain_seconds).run()


def check_doors(settings: Settings) -> None:
    """See that the ports of the wire and of Flight are free, before anything is started.

    Raises:
        PortInUseError: another process has one of them.
        SettingsError: the address is none of this machine's, or the port may not be taken.
    """
    for port, variable in (
        (settings.postgres_port, "DUCAT_POSTGRES_PORT"),
        (settings.flight_port, "DUCAT_FLIGHT_PORT"),
    ):
        if port:
            listen(settings.postgres_host, port, variable).close()


def listen(host: str, port: int, variable: str | None = None) -> socket.socket:
    """Return a bound socket. `variable` names the setting that the port is from, if not `--port`.

    Raises:
        PortInUseError: another process has the port.
        SettingsError: the address is none of this machine's, or the port may not be taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as refused:
        listener.close()
        if refused.errno == errno.EADDRINUSE:
            other = f"{variable}=0" if variable else "`ducat serve --port 0`"
            raise PortInUseError(
                f"port {port} on {host} is in use by another process",
                suggestion=f"stop that process, or choose another: {other} takes any",
            ) from refused
        name = "DUCAT_POSTGRES_HOST: " if variable else ""
        raise SettingsError(
            f"cannot listen on {host} port {port}: {refused.strerror or refused}",
            suggestion=f"{name}give an address of this machine, such as 127.0.0.1 or 0.0.0.0",
        ) from refused
    return listener


def run_server(
    settings: Settings,
    project: Project,
    listener: socket.socket,
    secret: str | None,
    seat: Seat | None = None,
) -> None:
    """Serve on the socket until a signal, then finish what runs and return.

    With a `seat` this process is one of several workers.
    """
    _spare_pandas(settings)
    import structlog  # noqa: PLC0415
    import uvicorn  # noqa: PLC0415  (heavy, and the command line must be light)

    from api.app import build_app  # noqa: PLC0415
    from api.asgi import LARGEST_BODY  # noqa: PLC0415
    from api.gateway import Gateway  # noqa: PLC0415
    from api.guard import SECURITY_HEADERS, GuardedProtocol  # noqa: PLC0415
    from api.logs import configure_logs  # noqa: PLC0415
    from api.peers import Peers  # noqa: PLC0415
    from api.telemetry import open_tracing  # noqa: PLC0415
    from semantic.service import SemanticLayer  # noqa: PLC0415

    tracing = open_tracing()
    configure_logs(settings, tracing)
    if seat is not None:
        structlog.contextvars.bind_contextvars(worker=seat.number)
    layer = SemanticLayer.of(settings)
    try:
        peers = None if seat is None else Peers(seat)
        gateway = Gateway(layer, settings, secret=secret, tracing=tracing, peers=peers)
        app = build_app(gateway, project)

        class Server(uvicorn.Server):
            """Uvicorn's server, which tells queries to end before it cuts their callers off."""

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                """Say that no more should come, and leave after the time to drain."""
                gateway.is_stopping = True
                if self.should_exit or sig == signal.SIGINT or not settings.drain_seconds:
                    super().handle_exit(sig, frame)
                    return
                self._captured_signals.append(sig)
                asyncio.get_running_loop().call_later(settings.drain_seconds, self.leave)

            def leave(self) -> None:
                """Begin to end."""
                self.should_exit = True

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                """Listen, and tell the supervisor."""
                await _start(super().startup(sockets))
                if peers is not None:
                    peers.start(self.leave)
                    peers.say_ready()

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                asyncio.get_running_loop().call_later(PATIENCE_SECONDS, gateway.offload.stop)
                await super().shutdown(sockets)

        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=GRACE_SECONDS,
            headers=list(SECURITY_HEADERS),
            http=type("Protocol", (GuardedProtocol,), {"repeater": gateway.repeater}),
            ws_max_size=LARGEST_BODY,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
        if seat is None:
            _announce(listener)
        Server(config).run(sockets=[listener] if seat is None else [listener, seat.own])
    finally:
        layer.close()
        listener.close()
        tracing.close()


async def _start(starting: Coroutine[Any, Any, None]) -> None:
    """Wait for uvicorn's start. What cannot start has said why, and ends as every error of ours."""
    try:
        await starting
    except SystemExit:
        raise SystemExit(1) from None


def _spare_pandas(settings: Settings) -> None:
    """Do without pandas, but where Ibis' way to another database needs it."""
    if settings.engine_url is None:
        sys.meta_path.insert(0, _WithoutPandas())


class _WithoutPandas(MetaPathFinder):
    """Says that there is no pandas.

    Arrow imports it when it first makes an array, only to know its types, and that alone costs a
    server that has no use for it a third of a second and 40 MB.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Refuse pandas; leave all else to the others."""
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError("the server does without pandas", name=fullname)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process in order: uvicorn sends the signal again once everything is finished."""
    del number, frame
    sys.exit(0)


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Ducat answers at http://{shown}:{port} (Ctrl-C stops it)", err=True)


def has_credentials(settings: Settings) -> bool:
    """Whether anything is configured that tokens can be checked with."""
    from api.keys import KeyFile  # noqa: PLC0415

    if settings.jwt_secret is not None or settings.jwt_jwks_url is not None:
        return True
    return bool(KeyFile(settings.api_keys_path).read())


def _make_secret(settings: Settings) -> str:
    from api.auth import make_secret, make_token  # noqa: PLC0415

    if settings.environment == "production":
        raise SettingsError(
            "DUCAT_JWT_SECRET is not set, and DUCAT_ENVIRONMENT is production",
            suggestion="set it to the output of `openssl rand -hex 32`",
        )
    secret = make_secret()
    token = make_token(
        secret,
        user="developer",
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )
    click.echo(
        "DUCAT_JWT_SECRET is not set: tokens of this run are signed with a new secret.\n"
        f"  a token for this run: {token}\n"
        f"  to keep tokens, set:  export DUCAT_JWT_SECRET={secret}\n"
        "  and make more with:   ducat token USER",
        err=True,
    )
    return secret
