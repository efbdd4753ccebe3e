"""`ducat serve` over a real PostgreSQL: the same doors, its numbers, and honest words about them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.conformance.server import start_postgres
from tests.unit.api.conftest import Server, make_site, run_server

TABLES = """
DROP SCHEMA IF EXISTS gold CASCADE;
CREATE SCHEMA gold;
CREATE TABLE gold.dim_shop (shop_id BIGINT, city TEXT, opened DATE);
INSERT INTO gold.dim_shop VALUES (1, 'Paris', '2020-01-01'), (2, 'Lyon', '2021-06-01');
CREATE TABLE gold.fct_sale (
  sale_id BIGINT, shop_id BIGINT, sold_at TIMESTAMP, amount NUMERIC(18, 4),
  weight DOUBLE PRECISION, is_online BOOLEAN);
INSERT INTO gold.fct_sale
SELECT i, 1 + i % 3, TIMESTAMP '2024-01-01 00:30:00' + i * INTERVAL '7 hours', i * 1.0003, i / 3.0,
       i % 2 = 0
FROM generate_series(0, 99) AS t(i);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    address = start_postgres()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(TABLES.encode())
    site = make_site(tmp_path_factory.mktemp("elsewhere"))  # its own tables are not in service
    folder = tmp_path_factory.mktemp("server")
    with run_server(site, folder, DUCAT_ENGINE_URL=address) as running:
        yield running
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA gold CASCADE")


def test_rest_graphql_and_sql_answer_from_the_database(server: Server) -> None:
    query = {
        "measures": ["sales.amount"],
        "dimensions": ["shops.city"],
        "order": {"shops.city": "asc"},
    }
    with psycopg.connect(start_postgres()) as connection:
        expected = connection.execute(
            "SELECT city, sum(amount)::text FROM gold.fct_sale LEFT JOIN gold.dim_shop "
            "USING (shop_id) GROUP BY 1 ORDER BY 1 NULLS LAST"
        ).fetchall()
    body = server.load(query)
    assert [(row["shops.city"], row["sales.amount"]) for row in body["data"]] == expected
    assert body["dbType"] == "postgres"
    graph = server.graphql(
        "{ cube(orderBy: {shops: {city: asc}}) { shops { city } sales { amount } } }"
    )
    assert [row["shops"]["city"] for row in graph["data"]["cube"]] == [city for city, _ in expected]
    text = "SELECT shop_city, MEASURE(amount) FROM shop_sales GROUP BY 1 ORDER BY 1"
    assert server.client.post("/ducat/v1/sql", json={"sql": text}).status_code == 200


def test_what_is_not_known_of_the_tables_is_said(server: Server) -> None:
    state = server.load({"measures": ["sales.count"]})["ducat"]
    assert state["quality"] == "unknown"
    assert state["tables"] == []
    assert server.client.get("/readyz").status_code == 200
    assert server.client.get("/").status_code == 200
    assert server.client.get("/metrics").status_code == 200


def test_the_password_is_nowhere_in_the_log(server: Server) -> None:
    address = start_postgres()
    password = psycopg.conninfo.conninfo_to_dict(address).get("password")
    if password is not None:
        assert str(password) not in server.log.read_text()
    assert address not in server.log.read_text()
