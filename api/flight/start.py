"""Starts Flight SQL beside the other doors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import structlog

from api.errors import PortInUseError
from semantic.errors import SettingsError
from semantic.settings import Settings

if TYPE_CHECKING:
    from api.flight.server import FlightServer
    from api.gateway import Gateway

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
log = structlog.stdlib.get_logger("ducat.flight")


async def open_server(gateway: Gateway) -> FlightServer | None:
    """Return a server that listens, and say where; None where another worker has the port.

    Raises:
        PortInUseError: another process has the port.
        SettingsError: the address, the certificate or the users cannot be used.
    """
    from api.flight.server import FlightServer  # noqa: PLC0415

    settings = gateway.settings
    # gRPC takes no socket that others listen on, too: the first worker answers for all.
    if gateway.peers is not None and gateway.peers.seat.number != 1:
        return None
    check_address(settings)
    try:
        server = FlightServer(gateway)
    except (OSError, pa.ArrowException) as refused:
        raise PortInUseError(
            f"cannot listen on port {settings.flight_port} of {settings.postgres_host}: {refused}",
            suggestion="set DUCAT_FLIGHT_PORT to another; 0 takes a free one",
        ) from refused
    host = settings.postgres_host
    shown = f"[{host}]" if ":" in host else host
    sys.stderr.write(f"Flight SQL clients connect to {shown}:{server.port}\n")
    sys.stderr.flush()
    return server


def check_address(settings: Settings) -> None:
    """Refuse to be open to others without TLS in production; warn elsewhere.

    Raises:
        SettingsError: it is production.
    """
    host = settings.postgres_host
    if settings.postgres_tls_cert is not None or host in LOOPBACK:
        return
    if settings.environment == "production":
        raise SettingsError(
            f"DUCAT_POSTGRES_HOST is {host}, and Flight SQL there has no certificate",
            suggestion="set DUCAT_POSTGRES_TLS_CERT and DUCAT_POSTGRES_TLS_KEY",
        )
    log.warning("Flight SQL without TLS answers only clients on this machine")


def read_certificates(settings: Settings) -> list[tuple[bytes, bytes]] | None:
    """Return certificate and key as pyarrow takes them, or None without a certificate.

    Raises:
        SettingsError: they cannot be used.
    """
    from api.postgres.server import read_tls  # noqa: PLC0415

    certificate, key = settings.postgres_tls_cert, settings.postgres_tls_key
    if read_tls(settings) is None or certificate is None or key is None:
        return None
    return [(certificate.read_bytes(), key.read_bytes())]
