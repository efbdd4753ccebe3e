"""Who is let in, and what they then see; tickets are for those who were given them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager as manager
import pyarrow as pa
import pytest
from pyarrow import flight as arrow

from api.flight import messages
from api.flight.tickets import Seals, TicketError
from semantic.query.context import SecurityContext
from tests.unit.api.conftest import DUCAT, Site
from tests.unit.api.flight.conftest import FlightServer, run_flight
from tests.unit.api.postgres.test_login import make_certificate

COUNT = "SELECT MEASURE(count) FROM guarded"


@pytest.fixture(scope="module")
def accounts(flight_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlightServer]:
    """Run a server with a user `bob`, whose entry `ducat password` made."""
    folder = tmp_path_factory.mktemp("accounts")
    made = subprocess.run(
        [DUCAT, "password", "bob", "--group", "readers"],
        input="p\u00e4ss word\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    (folder / "users.json").write_text(made.stdout)
    with run_flight(
        flight_site, folder, DUCAT_POSTGRES_USERS=str(folder / "users.json"),
        DUCAT_SQL_GROUPS="auditors",
    ) as running:  # fmt: skip
        yield running


def info(server: FlightServer, token: str, text: str = COUNT) -> arrow.FlightInfo:
    with arrow.connect(server.address) as client:
        command = messages.pack(f"{messages.SQL}.CommandStatementQuery", query=text)
        descriptor = arrow.FlightDescriptor.for_command(command)
        return client.get_flight_info(descriptor, options(token))


def fetch(server: FlightServer, token: str, ticket: arrow.Ticket) -> Any:
    with arrow.connect(server.address) as client:
        return client.do_get(ticket, options(token)).read_all().to_pylist()


def options(token: str) -> arrow.FlightCallOptions:
    return arrow.FlightCallOptions(headers=[(b"authorization", f"Bearer {token}".encode())])


def test_a_user_logs_in_by_a_password(accounts: FlightServer) -> None:
    table = accounts.ask(COUNT, username="bob", password="p\u00e4ss word")
    assert table.to_pylist() == [{"count": 134}]


def test_a_token_is_a_password_for_its_subject(accounts: FlightServer) -> None:
    token = accounts.token("readers")
    for user in ("ann", "token"):
        table = accounts.ask(COUNT, username=user, password=token)
        assert table.to_pylist() == [{"count": 134}]


@pytest.mark.parametrize(("user", "password"), [("bob", "other"), ("eve", "x"), ("carol", None)])
def test_a_wrong_password_and_anothers_token_are_refused(
    accounts: FlightServer, user: str, password: str | None
) -> None:
    with pytest.raises(manager.ProgrammingError, match="password authentication failed"):
        accounts.connect(username=user, password=password or accounts.token("readers"))


@pytest.mark.parametrize("token", ["nonsense", "dfp_nonsense", "dfb_nonsense", "dk_x_y"])
def test_without_a_valid_token_nothing_is_answered(flight: FlightServer, token: str) -> None:
    with pytest.raises(manager.ProgrammingError) as refused:
        flight.ask("SELECT sale_id FROM sales", token=token)
    assert refused.value.status_code is manager.AdbcStatusCode.UNAUTHENTICATED


def test_two_users_see_their_own_rows(flight: FlightServer) -> None:
    for shops in (["1"], ["2", "3"]):
        token = flight.token("tellers", shops=shops)
        expected = flight.site.ask(
            f"SELECT count(*) FROM gold.fct_sale WHERE shop_id IN ({', '.join(shops)})"
        )
        assert flight.ask(COUNT, token=token).to_pylist() == [{"count": expected[0][0]}]
    with pytest.raises(manager.ProgrammingError, match="weight"):
        flight.ask("SELECT weight FROM guarded", token=flight.token("readers"))


def test_metadata_has_only_what_a_caller_sees(flight: FlightServer) -> None:
    with flight.connect(flight.token("readers")) as connection:
        assert connection.adbc_get_table_schema("guarded").names == ["shop", "count"]
    with flight.connect() as connection, pytest.raises(manager.Error):
        connection.adbc_get_table_schema("guarded")


def test_explain_shows_sql_to_those_who_may_see_it(accounts: FlightServer) -> None:
    text = f"EXPLAIN {COUNT}"
    plain, shown = (
        "\n".join(accounts.ask(text, token=accounts.token(*groups))["QUERY PLAN"].to_pylist())
        for groups in (("readers",), ("readers", "auditors"))
    )
    for told in (plain, shown):
        assert "measures: guarded.count" in told
    assert "gold.fct_sale" in shown
    assert "Values: " in shown
    assert "gold." not in plain
    assert "SELECT" not in plain
    assert "shop" not in plain


def test_a_ticket_of_one_caller_is_refused_to_another(flight: FlightServer) -> None:
    one = flight.token("tellers", shops=["1"])
    ticket = info(flight, one).endpoints[0].ticket
    assert fetch(flight, one, ticket) == [{"count": 134}]
    assert fetch(flight, flight.token("tellers", shops=["1"]), ticket) == [{"count": 134}]
    for other in (
        flight.token("tellers", shops=["2"]),
        flight.token("readers"),
        flight.token("tellers", shops=["1"], sub="bea"),
    ):
        with pytest.raises(arrow.FlightUnauthorizedError, match="not given to this caller"):
            fetch(flight, other, ticket)


@pytest.mark.parametrize("ticket", [b"", b"x", b"\xff" * 99, b"\x0a\x03abc"])
def test_a_ticket_that_is_none_is_refused(flight: FlightServer, ticket: bytes) -> None:
    with pytest.raises(pa.ArrowInvalid):
        fetch(flight, flight.token(), arrow.Ticket(ticket))


def test_a_changed_a_foreign_and_an_old_seal_do_not_open() -> None:
    ann, seals = SecurityContext("ann", ("x",)), Seals(b"k" * 32)
    sealed = seals.seal("ticket", {"text": "SELECT 1"}, ann)
    assert seals.open("ticket", sealed, ann)["text"] == "SELECT 1"
    for place in range(0, len(sealed), 7):
        changed = bytearray(sealed)
        changed[place] = ord("A") if changed[place] != ord("A") else ord("B")
        with pytest.raises(TicketError):
            seals.open("ticket", bytes(changed), ann)
    for kind, context, by in (
        ("handle", ann, seals),
        ("ticket", SecurityContext("ann"), seals),
        ("ticket", ann, Seals(b"l" * 32)),
    ):
        with pytest.raises(TicketError):
            by.open(kind, sealed, context)
    with pytest.raises(TicketError, match="too old"):
        seals.open("ticket", seals.seal("ticket", {}, ann, seconds=-1), ann)


def test_garbage_at_the_port_hurts_nobody(flight: FlightServer) -> None:
    port = int(flight.address.rpartition(":")[2])
    held = []
    for data in (b"", b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff" * 50,
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 500):  # fmt: skip
        made = socket.create_connection(("127.0.0.1", port))
        made.sendall(data)
        held.append(made)
    with arrow.connect(flight.address) as client:
        for command in (b"", b"x" * 100, b"\xff" * 50):
            descriptor = arrow.FlightDescriptor.for_command(command)
            with pytest.raises(pa.ArrowInvalid):
                client.get_flight_info(descriptor, options(flight.token()))
        with pytest.raises(pa.ArrowNotImplementedError):
            list(client.do_action(arrow.Action("BeginTransaction", b""), options(flight.token())))
    assert flight.ask("SELECT MEASURE(count) FROM sales").to_pylist() == [{"count": 400}]
    for made in held:
        made.close()


def test_production_refuses_to_be_open_without_tls(flight_site: Site) -> None:
    done = subprocess.run(
        [DUCAT, "serve", "--port", "0"],
        env=flight_site.environment(
            DUCAT_FLIGHT_PORT="0", DUCAT_POSTGRES_HOST="0.0.0.0",  # noqa: S104
            DUCAT_ENVIRONMENT="production",
        ),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Flight SQL there has no certificate" in done.stderr


def test_a_server_without_it_does_not_import_it() -> None:
    code = (
        "import sys, api.app, api.serve, api.gateway; "
        "assert not {'pyarrow.flight', 'api.flight', 'google.protobuf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_over_tls_passwords_are_taken_and_nothing_else_is_spoken(
    flight_site: Site, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    verified = {
        "adbc.flight.sql.client_option.tls_root_certs": certificate.read_text(),
        "adbc.flight.sql.client_option.tls_override_hostname": "localhost",
    }
    with run_flight(
        flight_site, tmp_path, DUCAT_POSTGRES_TLS_CERT=str(certificate),
        DUCAT_POSTGRES_TLS_KEY=str(key), DUCAT_POSTGRES_HOST="0.0.0.0",  # noqa: S104
        DUCAT_ENVIRONMENT="production",
    ) as running:  # fmt: skip
        login = {"username": "ann", "password": running.token("readers")}
        assert running.ask(COUNT, **login, **verified).to_pylist() == [{"count": 134}]
        with pytest.raises(manager.Error):
            adbc.connect(running.address.replace("+tls", ""), db_kwargs=login, autocommit=True)


def test_the_first_of_several_workers_answers(flight_site: Site, tmp_path: Path) -> None:
    with run_flight(flight_site, tmp_path, DUCAT_WORKERS="2") as running:
        assert running.ask("SELECT MEASURE(count) FROM sales").to_pylist() == [{"count": 400}]
