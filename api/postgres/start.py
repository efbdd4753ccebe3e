"""Starts the Postgres wire beside the other doors."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

from api.errors import PortInUseError
from semantic.errors import SettingsError

if TYPE_CHECKING:
    from api.gateway import Gateway
    from api.postgres.server import PostgresServer


async def open_server(gateway: Gateway) -> PostgresServer:
    """Return a server that listens, and say where.

    Raises:
        PortInUseError: another process has the port.
        SettingsError: the address, the certificate or the users cannot be used.
    """
    from api.postgres.server import PostgresServer  # noqa: PLC0415  (`announce` is light)

    server = PostgresServer(gateway)
    host = gateway.settings.postgres_host
    port = gateway.settings.postgres_port
    try:
        await server.start()
    except OSError as refused:
        if refused.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"port {port} on {host} is in use by another process",
                suggestion="set DUCAT_POSTGRES_PORT to another; 0 takes a free one",
            ) from refused
        raise SettingsError(
            f"cannot listen on {host} port {port}: {refused.strerror or refused}",
            suggestion="give an address of this machine in DUCAT_POSTGRES_HOST",
        ) from refused
    if gateway.peers is None:
        announce(host, server.port)
    return server


def announce(host: str, port: int) -> None:
    """Say where clients connect."""
    shown = f"[{host}]" if ":" in host else host
    sys.stderr.write(f"Postgres clients connect to {shown}:{port}\n")
    sys.stderr.flush()
