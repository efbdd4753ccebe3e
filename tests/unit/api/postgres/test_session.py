"""One connection: transactions, settings, statements, cursors, COPY and cancelling, by psycopg."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from api.postgres.commands import read_command
from api.postgres.query.parse import split_statements
from tests.unit.api.conftest import wait_until
from tests.unit.api.postgres.conftest import WireServer

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def db(wire: WireServer) -> Iterator[Connection]:
    with wire.connect(autocommit=True) as connection:
        yield connection


def status(db: Connection) -> str:
    return db.info.transaction_status.name


def value(db: Connection, text: str) -> Any:
    row = db.execute(text).fetchone()
    assert row is not None
    return row[0]


def test_a_failed_transaction_takes_nothing_until_it_ends(db: Connection) -> None:
    db.execute("BEGIN")
    assert status(db) == "INTRANS"
    with pytest.raises(errors.UndefinedColumn):
        db.execute("SELECT nope FROM sales")
    assert status(db) == "INERROR"
    with pytest.raises(errors.InFailedSqlTransaction):
        db.execute("SELECT 1")
    assert db.execute("COMMIT").statusmessage == "ROLLBACK"
    assert value(db, "SELECT 1") == 1


def test_a_savepoint_brings_a_failed_transaction_back(db: Connection) -> None:
    with db.transaction():
        with pytest.raises(errors.DivisionByZero), db.transaction():
            db.execute("SELECT 1 / 0")
        assert value(db, "SELECT 2") == 2
    with pytest.raises(errors.NoActiveSqlTransaction):
        db.execute("SAVEPOINT a")


def test_settings_are_set_shown_reset_and_rolled_back(db: Connection) -> None:
    db.execute("SET TIME ZONE 'america/new_york'")
    assert value(db, "SHOW timezone") == "America/New_York"
    assert db.info.parameter_status("TimeZone") == "America/New_York"
    db.execute("BEGIN")
    db.execute("SET timezone TO 'Asia/Tokyo'")
    db.execute("ROLLBACK")
    assert value(db, "SHOW TimeZone") == "America/New_York"
    db.execute("BEGIN")
    db.execute("SET LOCAL timezone = 'Asia/Tokyo'")
    assert value(db, "SELECT current_setting('timezone')") == "Asia/Tokyo"
    db.execute("COMMIT")
    assert value(db, "SHOW timezone") == "America/New_York"
    db.execute("RESET ALL")
    assert value(db, "SHOW timezone") == "UTC"
    with pytest.raises(errors.InvalidParameterValue):
        db.execute("SET timezone = 'Mars/Olympus'")
    with pytest.raises(errors.UndefinedObject):
        db.execute("SET nothing_of_the_kind = 1")
    with pytest.raises(errors.InvalidParameterValue):
        db.execute("SET client_encoding = 'LATIN1'")
    db.execute("SET my.own = 'x'")
    assert value(db, "SHOW my.own") == "x"
    db.execute("DISCARD ALL")


def test_the_time_zone_of_the_session_moves_the_days(wire: WireServer) -> None:
    text = (
        "SELECT DATE_TRUNC('day', sold_at) AS d, MEASURE(count) FROM sales GROUP BY 1 "
        "ORDER BY 1 LIMIT 1"
    )
    by_hand = (
        "SELECT date_trunc('day', (sold_at AT TIME ZONE 'UTC') AT TIME ZONE 'America/New_York') "
        "AS d, count(*) FROM gold.fct_sale GROUP BY 1 ORDER BY 1 LIMIT 1"
    )
    with wire.connect(options="-c timezone=America/New_York") as db:
        assert db.execute(text).fetchall() == wire.site.ask(by_hand)


def test_several_statements_in_one_text_are_answered_in_order(db: Connection) -> None:
    cursor = db.execute("SELECT 1; SELECT 'a;b' -- c;\n; ; SELECT 3")
    found = [cursor.fetchall()]
    while cursor.nextset():
        found.append(cursor.fetchall())
    assert found == [[(1,)], [("a;b",)], [(3,)]]
    with pytest.raises(errors.SyntaxError):
        db.execute("SELECT 1; NONSENSE 2; SELECT 3")
    assert db.execute("").statusmessage is None


@pytest.mark.parametrize("binary", [False, True])
def test_parameters_of_every_kind_are_understood(
    wire: WireServer, db: Connection, *, binary: bool
) -> None:
    with db.cursor(binary=binary) as cursor:
        cursor.execute(
            "SELECT MEASURE(count) FROM shop_sales WHERE sale_id BETWEEN %s AND %s AND "
            "shop_city = ANY(%s) AND weight > %s AND is_online = %s AND sold_at < %s",
            (10, 300, ["Paris", 'Lyon "Nord"'], 5.5, True, "2024-03-01"),
        )
        found = cursor.fetchall()
    by_hand = (
        "SELECT count(*) FROM gold.fct_sale s JOIN gold.dim_shop p USING (shop_id) WHERE sale_id "
        "BETWEEN 10 AND 300 AND city IS NOT NULL AND weight > 5.5 AND is_online "
        "AND sold_at < '2024-03-01'"
    )
    assert found == wire.site.ask(by_hand)
    assert found[0][0] > 0


def test_a_prepared_statement_is_used_again_and_deallocated(db: Connection) -> None:
    text = "SELECT MEASURE(count) FROM sales WHERE sale_id < %s"
    found = [db.execute(text, (count,), prepare=True).fetchone() for count in (1, 5, 400, 0)]
    assert found == [(1,), (5,), (400,), (0,)]
    db.execute("DEALLOCATE ALL")
    with pytest.raises(errors.InvalidSqlStatementName):
        db.execute("DEALLOCATE nothing")


def test_a_cursor_gives_its_rows_in_pages_of_one_answer(db: Connection) -> None:
    with db.transaction(), db.cursor("a b") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT sale_id FROM sales WHERE sale_id < %s ORDER BY 1", (20,))
        assert [row[0] for row in cursor] == list(range(20))
    with pytest.raises(errors.NoActiveSqlTransaction):
        db.execute("DECLARE c CURSOR FOR SELECT 1")
    db.execute("DECLARE c CURSOR WITH HOLD FOR SELECT sale_id FROM sales ORDER BY 1")
    assert db.execute("FETCH 2 FROM c").fetchall() == [(0,), (1,)]
    assert db.execute("MOVE 3 IN c").statusmessage == "MOVE 3"
    assert db.execute("FETCH c").fetchall() == [(5,)]
    assert len(db.execute("FETCH ALL FROM c").fetchall()) == 394
    assert db.execute("FETCH NEXT FROM c").fetchall() == []
    db.execute("CLOSE c")
    with pytest.raises(errors.InvalidCursorName):
        db.execute("FETCH c")


def test_copy_writes_text_csv_and_binary(db: Connection) -> None:
    def copy(options: str) -> bytes:
        text = f"COPY (SELECT sale_id, is_online FROM sales WHERE sale_id < 2 ORDER BY 1) TO STDOUT {options}"
        with db.cursor().copy(text.encode()) as parts:
            return b"".join(bytes(part) for part in parts)

    assert copy("") == b"0\t\\N\n1\tf\n"
    assert copy("WITH (FORMAT csv, HEADER)") == b"sale_id,is_online\n0,\n1,f\n"
    assert copy("(FORMAT binary)").startswith(b"PGCOPY\n\xff\r\n\x00")
    assert db.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("text", ["(SELECT 1)", "( SELECT (1) )", "(SELECT 1 WHERE (true))"])
def test_copy_answers_the_query_itself(text: str) -> None:
    """As a sub-select its sums would be numeric: not what drivers are told when they describe it."""
    [statement] = split_statements(f"COPY {text} TO STDOUT (FORMAT binary)")
    assert read_command(statement).text == text[1:-1].strip()


def test_explain_shows_the_plan(db: Connection) -> None:
    text = "EXPLAIN SELECT shop_city, MEASURE(count) * 2 FROM shop_sales GROUP BY 1"
    lines = "\n".join(row[0] for row in db.execute(text))
    assert "measures: shop_sales.count" in lines
    assert "gold.fct_sale" in lines
    assert "Computed over the answers" in lines


def test_a_notice_says_that_there_is_no_transaction(db: Connection) -> None:
    told: list[str | None] = []
    db.add_notice_handler(lambda notice: told.append(notice.message_primary))
    assert db.execute("COMMIT").statusmessage == "COMMIT"
    assert told == ["there is no transaction in progress"]


def test_an_error_carries_its_hint_and_place(db: Connection) -> None:
    with pytest.raises(errors.SyntaxError) as caught:
        db.execute("SELECT a b c FROM sales")
    assert caught.value.diag.statement_position == "12"
    with pytest.raises(psycopg.Error) as refused:
        db.execute("SELECT amount FROM sales GROUP BY 1")
    assert refused.value.diag.message_hint == "write MEASURE(amount)"


def test_a_running_query_is_cancelled_by_its_key(wire: WireServer, db: Connection) -> None:
    running = 'ducat_queries_in_flight{face="postgres"} 1.0'

    def cancel() -> None:
        wait_until(lambda: running in wire.server.client.get("/metrics").text)
        time.sleep(0.2)
        db.cancel_safe()

    other = threading.Thread(target=cancel)
    other.start()
    with pytest.raises(errors.QueryCanceled, match="user request"):
        db.execute("SELECT MEASURE(greatest) FROM slow")
    other.join()
    assert value(db, "SELECT 1") == 1


def test_a_statement_timeout_stops_a_query(db: Connection) -> None:
    db.execute("SET statement_timeout = '300ms'")
    with pytest.raises(errors.QueryCanceled, match="statement timeout"):
        db.execute("SELECT MEASURE(greatest) FROM slow")
    db.execute("RESET statement_timeout")


def test_a_pipeline_goes_on_after_its_failure(db: Connection) -> None:
    with db.pipeline() as pipeline:
        first = db.execute("SELECT MEASURE(count) FROM sales")
        pipeline.sync()
        assert first.fetchall() == [(400,)]
        bad = db.execute("SELECT nope FROM sales")
        with pytest.raises(errors.UndefinedColumn):
            bad.fetchall()
    assert value(db, "SELECT 7") == 7
