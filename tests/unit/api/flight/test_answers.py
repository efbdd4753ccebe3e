"""Answers over Flight SQL, by the real driver, beside SQL written by hand."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import adbc_driver_manager as manager
import polars as pl
import pyarrow as pa
import pytest

from tests.unit.api.flight.conftest import ROWS, ZONE, FlightServer
from tests.unit.api.test_server import read_log

MONTHS = (
    "SELECT DATE_TRUNC('month', sold_at) AS month, shop_city, is_online, MEASURE(count) AS n, "
    "MEASURE(amount) AS amount, MEASURE(average_weight) AS weight FROM shop_sales "
    "GROUP BY 1, 2, 3 ORDER BY 1, 2 NULLS LAST, 3 NULLS LAST"
)


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_rows_and_types_are_those_of_hand_written_sql(flight: FlightServer, zone: str) -> None:
    table = flight.ask(MONTHS, **{ZONE: zone})
    assert table.schema.types == [
        pa.timestamp("us"), pa.string(), pa.bool_(), pa.int64(), pa.decimal128(38, 4), pa.float64(),
    ]  # fmt: skip
    expected = flight.site.ask(
        f"SELECT date_trunc('month', sold_at AT TIME ZONE 'UTC' AT TIME ZONE '{zone}')::TIMESTAMP, "
        "city, is_online, count(*), sum(amount), avg(weight) "
        "FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2 NULLS LAST, 3 NULLS LAST"
    )
    found = rows(table)
    assert [row[:5] for row in found] == [row[:5] for row in expected]
    assert [row[5] for row in found] == pytest.approx([row[5] for row in expected])
    assert any(None in row for row in found)
    assert isinstance(found[0][4], Decimal)
    assert isinstance(found[0][0], datetime)


def test_an_answer_of_a_million_rows_is_whole(flight: FlightServer) -> None:
    frame = pl.DataFrame(flight.ask("SELECT n, twice FROM numbers"))
    assert frame.height == ROWS
    assert frame["n"].sum() == ROWS * (ROWS - 1) // 2
    assert frame["n"].n_unique() == ROWS
    assert (frame["twice"] == frame["n"] * 2).all()


def test_sums_of_whole_numbers_are_exact_and_of_one_type(flight: FlightServer) -> None:
    table = flight.ask("SELECT MEASURE(whole) FROM numbers")
    assert table.schema.types == [pa.decimal128(38, 0)]
    assert rows(table) == [(Decimal(ROWS * (ROWS - 1) // 2),)]


def test_what_is_computed_over_answers_is_computed_over_all_of_them(flight: FlightServer) -> None:
    table = flight.ask(
        "WITH c AS (SELECT shop_city, MEASURE(amount) AS a FROM shop_sales GROUP BY 1) "
        "SELECT shop_city, a / 2, RANK() OVER (ORDER BY a DESC) FROM c ORDER BY 3"
    )
    expected = flight.site.ask(
        "SELECT city, sum(amount) / 2, rank() OVER (ORDER BY sum(amount) DESC) "
        "FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) GROUP BY 1 ORDER BY 3"
    )
    found = rows(table)
    assert [(row[0], row[2]) for row in found] == [(row[0], row[2]) for row in expected]
    assert [float(row[1]) for row in found] == pytest.approx([float(row[1]) for row in expected])


def test_an_answer_without_rows_has_its_columns(flight: FlightServer) -> None:
    table = flight.ask("SELECT sale_id, sold_at FROM sales WHERE sale_id < 0")
    assert (table.num_rows, table.schema.names) == (0, ["sale_id", "sold_at"])
    assert table.schema.types == [pa.int64(), pa.timestamp("us")]


@pytest.mark.parametrize(
    ("condition", "value", "by_hand"),
    [
        ("shop_city = $1", "Paris", "city = 'Paris'"),
        ("sale_id > $1", 100, "sale_id > 100"),
        ("is_online = $1", False, "NOT is_online"),
        ("weight < $1", 33.5, "weight < 33.5"),
        (
            "sold_at >= $1",
            datetime.fromisoformat("2024-02-01 12:00"),
            "sold_at >= '2024-02-01 12:00:00'",
        ),
        ("shop_city = $1", "Lyon \"Nord\"' OR '1'='1", "false"),
    ],
)
def test_parameters_are_bound_as_values(
    flight: FlightServer, condition: str, value: Any, by_hand: str
) -> None:
    found = flight.ask(f"SELECT MEASURE(count) FROM shop_sales WHERE {condition}", value)
    expected = flight.site.ask(
        f"SELECT count(*) FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) WHERE {by_hand}"
    )
    assert rows(found) == expected


def test_a_prepared_statement_takes_new_values_and_says_its_types(flight: FlightServer) -> None:
    text = "SELECT MEASURE(count) FROM sales WHERE sale_id >= $1 AND is_online = $2"
    with flight.connect() as connection, connection.cursor() as cursor:
        types = cursor.adbc_prepare(text)
        assert types is not None
        assert types.types == [pa.int64(), pa.bool_()]
        for least in (0, 100, 399):
            cursor.execute(text, (least, True))
            expected = flight.site.ask(
                f"SELECT count(*) FROM gold.fct_sale WHERE sale_id >= {least} AND is_online"
            )
            assert cursor.fetchall() == expected


def test_a_statement_whose_parameters_have_no_values_is_refused(flight: FlightServer) -> None:
    with pytest.raises(manager.ProgrammingError, match="1 parameters, and none is bound"):
        flight.ask("SELECT sale_id FROM sales WHERE sale_id = $1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT nope FROM sales", "unknown_member"),
        ("SELECT hidden_count FROM secrets", "secrets"),
        ("SELECT FROM WHERE", "syntax"),
        ("SELECT sale_id FROM sales; SELECT 1", "exactly one statement"),
        (" ", "exactly one statement"),
        ("INSERT INTO sales VALUES (1)", "read-only"),
        ("SET TIME ZONE 'Europe/Paris'", "x-ducat-timezone"),
        ("SET work_mem = '1GB'", "SET is not answered over Flight: its calls share no session"),
        ("RESET ALL", "RESET is not answered over Flight"),
        ("SHOW nothing_of_that_name", "unrecognized configuration parameter"),
        ("BEGIN", "BEGIN is not answered over Flight: there are no transactions"),
        ("COMMIT", "there are no transactions"),
        ("DECLARE c CURSOR FOR SELECT 1", "there are no cursors"),
        ("COPY (SELECT 1) TO STDOUT", "its answer is Arrow"),
        ("DISCARD ALL", "nothing is kept between calls"),
        ("EXPLAIN SELECT nope FROM sales", "unknown_member"),
        ("EXPLAIN SET work_mem = '1GB'", "only queries are answered"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_no_line_of_ours_is_told(
    flight: FlightServer, text: str, says: str
) -> None:
    with pytest.raises(manager.Error, match=says) as refused:
        flight.ask(text)
    assert '.py"' not in str(refused.value)
    assert str(flight.site.project) not in str(refused.value)


def test_explain_says_how_a_statement_is_answered(flight: FlightServer) -> None:
    text = "EXPLAIN SELECT shop_city, MEASURE(count) * 2 FROM shop_sales WHERE shop_city = $1 GROUP BY 1"
    table = flight.ask(text, "Paris")
    assert table.schema.names == ["QUERY PLAN"]
    told = "\n".join(table["QUERY PLAN"].to_pylist())
    assert "measures: shop_sales.count" in told
    assert "Paris" in told
    assert "gold.fct_sale" in told
    assert "Computed over the answers" in told


def test_show_tells_the_settings_of_a_call(flight: FlightServer) -> None:
    zone = {ZONE: "America/New_York"}
    shown = flight.ask("SHOW TIME ZONE", **zone)
    assert shown.to_pylist() == [{"TimeZone": "America/New_York"}]
    assert flight.ask("SHOW server_encoding").to_pylist() == [{"server_encoding": "UTF8"}]
    assert rows(flight.ask("SHOW session_authorization")) == [("ann",)]
    listed = {row["name"]: row["setting"] for row in flight.ask("SHOW ALL", **zone).to_pylist()}
    assert listed["timezone"] == "America/New_York"
    with flight.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_prepare("SHOW TimeZone")
        cursor.execute("SHOW TimeZone")
        assert cursor.fetchall() == [("UTC",)]


def test_nothing_is_written(flight: FlightServer) -> None:
    with flight.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(manager.NotSupportedError, match="not offered"):
            cursor.adbc_ingest("x", pa.table({"a": [1]}))
        with pytest.raises(manager.NotSupportedError, match="not offered"):
            cursor.executemany("SELECT sale_id FROM sales WHERE sale_id = $1", [(1,), (2,)])
        with pytest.raises(manager.NotSupportedError):
            connection.adbc_connection.set_autocommit(False)


def test_metadata_names_what_the_caller_sees_in_the_types_that_are_sent(
    flight: FlightServer,
) -> None:
    with flight.connect() as connection:
        assert connection.adbc_get_info()["vendor_name"] == "Ducat"
        assert connection.adbc_get_table_types() == ["TABLE", "VIEW"]
        (found,) = connection.adbc_get_objects().read_all().to_pylist()
        (schema,) = found["catalog_db_schemas"]
        kinds = {item["table_name"]: item["table_type"] for item in schema["db_schema_tables"]}
        assert (found["catalog_name"], schema["db_schema_name"]) == ("ducat", "public")
        assert kinds == {
            "shops": "TABLE", "sales": "TABLE", "slow": "TABLE", "numbers": "TABLE",
            "places": "TABLE", "shop_sales": "VIEW",
        }  # fmt: skip
        (found,) = connection.adbc_get_objects(table_name_filter="sh%p\\_%").read_all().to_pylist()
        for name in ("sales", "numbers"):
            told = connection.adbc_get_table_schema(name)
            columns = [
                field.name for field in told if field.metadata[b"ducat.kind"] == b"dimension"
            ]
            sent = flight.ask(f"SELECT {', '.join(columns)} FROM {name} LIMIT 1").schema
            assert sent.types == [told.field(column).type for column in columns]


def test_the_query_log_has_a_line_for_each_answer(flight: FlightServer) -> None:
    with flight.connect() as connection, connection.cursor() as cursor:
        name = "adbc.flight.sql.rpc.call_header.x-request-id"
        cursor.adbc_statement.set_options(**{name: "flight-log-1"})
        cursor.execute("SELECT sale_id FROM sales WHERE is_online")
        table = cursor.fetch_arrow_table()
    lines = [line for line in read_log(flight.server) if line["requestId"] == "flight-log-1"]
    last = lines[-1]
    assert (last["face"], last["user"], last["code"]) == ("flight", "ann", "ok")
    assert (last["rows"], last["members"]) == (table.num_rows, ["sales.sale_id"])
    assert last["filteredBy"] == ["sales.is_online"]
    assert [shape["dimensions"] for shape in last["shapes"]] == [["sales.sale_id"]]
