"""Queries that repeat to the byte: the same bytes again, until anything is different."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import orjson
import pytest

from tests.unit.api.conftest import make_site, publish, wait_until
from tests.unit.api.postgres.conftest import WireServer, run_wire
from tests.unit.api.postgres.test_hostile import log_in, packet
from tests.unit.api.test_graphql_live import publish_more
from tests.unit.api.test_ready import count

READY = b"Z\x00\x00\x00\x05I"
COUNT = b"SELECT is_online, MEASURE(count) FROM sales GROUP BY 1 ORDER BY 1"


@pytest.fixture(name="own", scope="module")
def run_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireServer]:
    folder = tmp_path_factory.mktemp("repeat")
    site = make_site(folder)
    publish(site)
    with run_wire(site, folder) as running:
        yield running


@pytest.fixture
def before(own: WireServer) -> int:
    """How many answers were repeated before the test."""
    return count(own.server)


class Line:
    """One logged-in connection."""

    def __init__(self, wire: WireServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", wire.port), timeout=60)
        log_in(self.socket, wire)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, ends: bytes = READY) -> bytes:
        found = b""
        while not found.endswith(ends):
            part = self.socket.recv(65536)
            assert part, found
            found += part
        return found

    def ask(self, data: bytes, ends: bytes = READY) -> bytes:
        self.send(data)
        return self.read(ends)


@pytest.fixture
def line(own: WireServer) -> Iterator[Line]:
    made = Line(own)
    yield made
    made.socket.close()


def query(text: bytes) -> bytes:
    return packet(text + b"\x00", b"Q")


def parse(text: bytes, name: bytes = b"s") -> bytes:
    return packet(name + b"\x00" + text + b"\x00\x00\x00", b"P") + packet(b"", b"S")


def execute(name: bytes = b"s", formats: bytes = b"\x00\x00", rows: int = 0) -> bytes:
    bind = packet(b"\x00" + name + b"\x00" + b"\x00\x00" * 2 + formats, b"B")
    return bind + packet(b"\x00" + rows.to_bytes(4, "big"), b"E") + packet(b"", b"S")


def check_repeated(wire: WireServer, least: int) -> None:
    """Wait until so many answers were repeated; they are counted within a moment."""
    wait_until(lambda: count(wire.server) >= least)


def test_simple_queries_repeat(own: WireServer, line: Line, before: int) -> None:
    answers = {line.ask(query(COUNT)) for _ in range(10)}
    assert len(answers) == 1
    check_repeated(own, before + 7)


@pytest.mark.parametrize("formats", [b"\x00\x00", b"\x00\x01\x00\x01"])
def test_prepared_statements_repeat_in_text_and_in_binary(
    own: WireServer, line: Line, before: int, formats: bytes
) -> None:
    line.ask(parse(COUNT))
    answers = {line.ask(execute(formats=formats)) for _ in range(10)}
    assert len(answers) == 1
    check_repeated(own, before + 7)


def test_each_is_in_the_query_log(own: WireServer, line: Line, before: int) -> None:
    log = own.site.home / "query-log.ndjson"
    known = len(log.read_bytes().splitlines())
    for _ in range(10):
        line.ask(query(COUNT))
    check_repeated(own, before + 7)
    wait_until(lambda: len(log.read_bytes().splitlines()) == known + 10)
    lines = [orjson.loads(item) for item in log.read_bytes().splitlines()[known:]]
    assert {tuple(item) for item in lines} == {tuple(lines[0])}
    shown = [{k: v for k, v in item.items() if k not in {"time", "seconds"}} for item in lines]
    assert all(item == shown[0] for item in shown)
    assert shown[0]["members"] == ["sales.is_online", "sales.count"]
    assert shown[0]["rows"] == 3  # online, not, and unknown
    assert [item["time"] for item in lines] == sorted(item["time"] for item in lines)


def test_new_tables_are_seen_at_once(own: WireServer, line: Line) -> None:
    text = query(b"SELECT MEASURE(count) FROM sales")
    before = {line.ask(text) for _ in range(6)}
    assert len(before) == 1
    publish_more(own.site)
    after = {line.ask(text) for _ in range(6)}
    assert len(after) == 1
    assert before != after


def test_a_setting_makes_another_answer(own: WireServer, line: Line) -> None:
    text = query(
        b"SELECT date_trunc('day', sold_at) AS day, MEASURE(count) FROM sales GROUP BY 1 ORDER BY 1 LIMIT 3"
    )
    here = {line.ask(text) for _ in range(6)}
    line.ask(query(b"SET TIME ZONE 'Asia/Tokyo'"))
    there = {line.ask(text) for _ in range(6)}
    assert (len(here), len(there)) == (1, 1)
    assert here != there
    line.ask(query(b"SET TIME ZONE 'UTC'"))
    assert {line.ask(text) for _ in range(6)} == here


def test_a_statement_prepared_anew_is_another(own: WireServer, line: Line) -> None:
    line.ask(parse(COUNT))
    first = {line.ask(execute()) for _ in range(6)}
    line.ask(packet(b"Ss\x00", b"C") + packet(b"", b"S"))
    line.ask(parse(b"SELECT MEASURE(count) FROM sales"))
    second = {line.ask(execute()) for _ in range(6)}
    assert (len(first), len(second)) == (1, 1)
    assert first != second


def test_transactions_are_seen(own: WireServer, line: Line) -> None:
    for _ in range(6):
        line.ask(query(COUNT))
    line.ask(query(b"BEGIN"), b"Z\x00\x00\x00\x05T")
    assert line.ask(query(COUNT), b"Z\x00\x00\x00\x05T").endswith(b"T")
    line.ask(query(b"SELEC"), b"Z\x00\x00\x00\x05E")
    assert b"C25P02" in line.ask(query(COUNT), b"Z\x00\x00\x00\x05E")
    line.ask(query(b"ROLLBACK"))
    assert b"C25P02" not in line.ask(query(COUNT))


def test_pages_of_rows_go_on_where_they_were(own: WireServer, line: Line) -> None:
    line.ask(parse(b"SELECT sale_id, MEASURE(count) FROM sales GROUP BY 1 ORDER BY 1 LIMIT 5"))
    pages = {line.ask(execute(rows=2)) for _ in range(5)}
    assert len(pages) == 1
    assert b"s\x00\x00\x00\x04" in pages.pop()  # suspended, and asked anew each time


@pytest.mark.parametrize(
    "text", [b"SELECT random(), MEASURE(count) FROM sales", b"SELECT now(), MEASURE(count) FROM sales",
             b"SELECT pg_backend_pid(), MEASURE(count) FROM sales"],
)  # fmt: skip
def test_what_may_differ_each_time_is_asked_each_time(
    own: WireServer, line: Line, before: int, text: bytes
) -> None:
    for _ in range(5):
        line.ask(query(text))
    line.ask(query(COUNT))  # later than all that may wait to be counted
    assert count(own.server) == before


def test_pieces_and_several_at_once_are_read_as_what_they_are(own: WireServer, line: Line) -> None:
    one, other = query(COUNT), query(b"SELECT MEASURE(count) FROM sales")
    expected = [[line.ask(item) for _ in range(4)][-1] for item in (one, other)]
    line.send(one + other)
    found = line.read()
    while found.count(READY) < 2:
        found += line.read()
    assert found == expected[0] + expected[1]
    for place in (1, 5, len(one) - 1):
        line.send(one[:place])
        line.send(one[place:])
        assert line.read() == expected[0]
    assert line.ask(other) == expected[1]


def test_each_connection_has_its_own(own: WireServer, line: Line) -> None:
    for _ in range(5):
        line.ask(query(COUNT))
    other = Line(own)
    try:
        other.ask(query(b"SET TIME ZONE 'Asia/Tokyo'"))
        assert other.ask(query(COUNT)) == line.ask(query(COUNT))
    finally:
        other.socket.close()
