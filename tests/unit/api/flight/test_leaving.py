"""Callers that leave, cancel or do not read; a server that stops meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import adbc_driver_manager as manager
import pyarrow as pa
import pytest
from pyarrow import flight as arrow

from api.flight import messages
from tests.unit.api.conftest import Site, wait_until
from tests.unit.api.flight.conftest import FlightServer, run_flight
from tests.unit.api.flight.test_access import info, options
from tests.unit.api.test_server import read_log

SLOW = "SELECT MEASURE(greatest) FROM slow"
LONG = "SELECT a.n FROM numbers a"


def exhaust(reader: arrow.FlightStreamReader) -> None:
    """Read to the end (`read_all` takes a cancelled answer for Ctrl-C)."""
    while True:
        reader.read_chunk()


def lines(flight: FlightServer, member: str) -> list[dict[str, Any]]:
    if not (flight.site.home / "query-log.ndjson").exists():
        return []
    return [line for line in read_log(flight.server) if member in line["members"]]


def test_a_query_stops_when_its_caller_cancels_it(flight: FlightServer) -> None:
    before = len([x for x in lines(flight, "slow.greatest") if x["code"] == "query_cancelled"])
    with flight.connect() as connection, connection.cursor() as cursor:
        timer = threading.Timer(1, cursor.adbc_cancel)
        timer.start()
        cursor.execute(SLOW)
        with pytest.raises(manager.OperationalError):
            cursor.fetchall()
        timer.join()
    wait_until(
        lambda: (
            len([x for x in lines(flight, "slow.greatest") if x["code"] == "query_cancelled"])
            > before
        )
    )


def test_a_query_ends_when_its_caller_leaves_between_rows(flight: FlightServer) -> None:
    client = arrow.connect(flight.address)
    ticket = info(flight, flight.token(), "SELECT n, twice FROM numbers").endpoints[0].ticket
    reader = client.do_get(ticket, options(flight.token()))
    assert reader.read_chunk().data.num_rows > 0
    reader.cancel()
    client.close()
    wait_until(
        lambda: any(
            line["code"] == "query_cancelled" and line["face"] == "flight"
            for line in lines(flight, "numbers.twice")
        )
    )


def test_an_answer_is_cancelled_by_its_info(flight: FlightServer) -> None:
    token = flight.token()
    found = info(flight, token, "SELECT n, twice FROM numbers")
    body = messages.write(
        f"{messages.FLIGHT}.CancelFlightInfoRequest", info=bytes(found.serialize())
    )
    with arrow.connect(flight.address) as client:
        reader = client.do_get(found.endpoints[0].ticket, options(token))
        reader.read_chunk()
        action = arrow.Action("CancelFlightInfo", body)
        with pytest.raises(arrow.FlightUnauthorizedError):
            list(client.do_action(action, options(flight.token("readers"))))
        (told,) = client.do_action(action, options(token))
        name = f"{messages.FLIGHT}.CancelFlightInfoResult"
        assert messages.read(name, told.body.to_pybytes()).status == 1
        with pytest.raises((arrow.FlightCancelledError, pa.ArrowException)):
            exhaust(reader)
        with pytest.raises(arrow.FlightCancelledError):
            exhaust(client.do_get(found.endpoints[0].ticket, options(token)))
        (closed,) = client.do_action(arrow.Action("CloseSession", b""), options(token))
        name = f"{messages.FLIGHT}.CloseSessionResult"
        assert messages.read(name, closed.body.to_pybytes()).status == 1


def test_a_server_stops_though_a_caller_does_not_read(flight_site: Site, tmp_path: Path) -> None:
    with run_flight(flight_site, tmp_path) as running:
        client = arrow.connect(running.address)
        ticket = info(running, running.token(), "SELECT n, twice FROM numbers").endpoints[0].ticket
        reader = client.do_get(ticket, options(running.token()))
        reader.read_chunk()
        process = running.server.process
        process.terminate()
        assert process.wait(20) == 0
        with pytest.raises((arrow.FlightError, pa.ArrowException)):
            exhaust(reader)
        client.close()


def test_a_deadline_ends_a_query(flight_site: Site, tmp_path: Path) -> None:
    with (
        run_flight(flight_site, tmp_path, DUCAT_QUERY_TIMEOUT_SECONDS="1") as running,
        pytest.raises(manager.OperationalError, match="query_timeout"),
    ):
        running.ask(SLOW)
