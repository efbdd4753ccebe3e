"""What cannot be answered is refused with its SQLSTATE, and never answered with something else."""

from __future__ import annotations

import threading

import pytest

from api.postgres.commands import read_command
from api.postgres.errors import SqlError, find_sqlstate
from api.postgres.query.parse import split_statements
from semantic.errors import DucatError, LimitExceededError, QueryCancelledError
from tests.unit.api.postgres.conftest import Ask

REFUSED = [
    ("SELECT EXTRACT(dow FROM sold_at), MEASURE(count) FROM sales GROUP BY 1", "0A000"),
    (("SELECT CASE WHEN shop_city = 'Paris' THEN 1 ELSE 2 END, MEASURE(count) FROM shop_sales "
     "GROUP BY 1"), "0A000"),
    ("SELECT shop_city, is_online, MEASURE(count) * 2 FROM shop_sales GROUP BY 1", "42803"),
    ("SELECT SUM(weight) FROM sales", "42000"),
    ("SELECT AVG(amount) FROM sales", "42000"),
    ("SELECT is_online, amount FROM sales GROUP BY 1", "42000"),
    ("SELECT nope FROM sales", "42703"),
    ("SELECT MEASURE(nope) FROM sales", "42703"),
    ("SELECT 1 FROM nope", "42P01"),
    ("SELECT 1 FROM secrets", "42P01"),
    ("SELECT 1 FROM other.sales", "42P01"),
    ("SELECT 1 FROM elsewhere.public.sales", "0A000"),
    ("SELECT hidden_count FROM sales", "42703"),
    ("SELECT MEASURE(sales.count) FROM sales JOIN shops ON true", "42000"),
    ("SELECT MEASURE(n) FROM (SELECT is_online, MEASURE(count) AS n FROM sales GROUP BY 1) t",
     "42809"),
    ("SELECT s.city FROM shops s NATURAL JOIN sales x", "0A000"),
    ("SELECT s.a FROM shops AS s(a) JOIN sales x ON true", "0A000"),
    ("SELECT s.city FROM shops s TABLESAMPLE SYSTEM (10) JOIN sales x ON true", "0A000"),
    ("SELECT city FROM shops TABLESAMPLE SYSTEM (10)", "0A000"),
    ("SELECT is_online, MEASURE(count) FILTER (WHERE is_online) FROM sales GROUP BY 1", "0A000"),
    ("SELECT 1 / 0", "22012"),
    ("SELECT 1.5 / 0", "22012"),
    ("SELECT 'x'::int", "22P02"),
    ("SELECT nope(1)", "42883"),
    ("SELECT weight::nope FROM sales", "42704"),
    ("SELECT a FROM (SELECT 1 AS b) t", "42703"),
    ("SELECT * FROM read_csv('/etc/passwd')", "42883"),
    ("SELECT * FROM read_text('/etc/passwd')", "42883"),
    ("SELECT * FROM duckdb_settings()", "42883"),
    ("SELECT * FROM 'x.csv'", "42P01"),
    ("SELECT pg_read_file('/etc/passwd')", "42883"),
    ("SELECT getenv('HOME')", "42883"),
    ("SELECT current_setting('nope')", "42704"),
    ("SELECT DATE_TRUNC('day', sold_at, 'Asia/Tokyo') FROM sales GROUP BY 1", "0A000"),
    ("SELECT shop_city, MEASURE(count) FROM shop_sales GROUP BY ROLLUP (shop_city)", "0A000"),
    ("SELECT MEASURE(count) FROM sales WHERE lower(weight::text) = 'x'", "0A000"),
    ("SELECT is_online, MEASURE(count) FROM sales WHERE sale_id % 2 = 1 GROUP BY 1", "0A000"),
    ("SELECT sale_id FROM sales WHERE MEASURE(count)", "42000"),
    ("SELECT FROM WHERE", "42601"),
    ("SELECT 'nope'::regclass", "42P01"),
    ("SELECT $1", "42P02"),
    ("SELECT answer FROM answer$0", "42P01"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "state"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_statement_is_refused_with_its_sqlstate(text: str, state: str, ask: Ask) -> None:
    with pytest.raises(DucatError) as caught:
        ask(text)
    assert find_sqlstate(caught.value) == state, caught.value


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("INSERT INTO sales VALUES (1)", "25006"),
        ("UPDATE sales SET weight = 1", "25006"),
        ("DELETE FROM sales", "25006"),
        ("DROP TABLE sales", "25006"),
        ("CREATE TABLE x (a int)", "25006"),
        ("TRUNCATE sales", "25006"),
        ("COPY sales FROM STDIN", "25006"),
        ("COPY (SELECT 1) TO '/tmp/x'", "42501"),
        ("COPY (SELECT 1) TO PROGRAM 'sh'", "42501"),
        ("COPY (SELECT 1) TO STDOUT (FORMAT csv, DELIMITER ';')", "0A000"),
        ("LOCK TABLE sales", "0A000"),
        ("SET SESSION AUTHORIZATION bob", "42501"),
        ("FETCH PRIOR FROM c", "55000"),
        ("NONSENSE", "42601"),
    ],
)
def test_a_command_is_refused_with_its_sqlstate(text: str, state: str) -> None:
    (statement,) = split_statements(text)
    with pytest.raises(SqlError) as caught:
        read_command(statement)
    assert caught.value.sqlstate == state


def test_a_statement_that_is_nested_too_deeply_is_refused(ask: Ask) -> None:
    with pytest.raises(DucatError, match="nested too deeply"):
        ask("SELECT " + "(" * 200 + "1" + ")" * 200)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT sale_id FROM sales",
        "SELECT sale_id, MEASURE(count) FROM sales GROUP BY 1",
        "SELECT count(*) FROM (SELECT sale_id, MEASURE(count) FROM sales GROUP BY 1) t",
        "SELECT DISTINCT sale_id FROM sales",
    ],
)
def test_an_inner_answer_that_is_too_long_is_refused_not_cut(
    text: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("split", "answer"):
        monkeypatch.setattr(f"api.postgres.query.{module}.MOST_ROWS", 100)
    with pytest.raises(LimitExceededError, match="more than 100 rows"):
        ask(text)


def test_a_statement_that_takes_too_long_is_stopped(ask: Ask) -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    with pytest.raises(QueryCancelledError):
        ask("SELECT sum(a.x) FROM generate_series(1, 9000000000000) a(x)", cancelled=cancelled)
