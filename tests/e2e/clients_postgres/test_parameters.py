"""Parameters as the clients send them: by their own types, or by those that the server says."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import asyncpg
import psycopg2
import sqlalchemy as sa

from tests.unit.api.postgres.conftest import WireServer

MOMENT = datetime(2024, 2, 10, 3, 4, 5)  # noqa: DTZ001 -- the tables' times have no zone
BY_HAND = (
    "SELECT count(*) FROM gold.fct_sale s JOIN gold.dim_shop p USING (shop_id) WHERE sold_at < "
    "'2024-02-10 03:04:05' AND city IN ('Paris', 'Lyon \"Nord\"') AND sale_id > 5 AND weight < 60.5"
)
ASKED = (
    "SELECT MEASURE(count) FROM shop_sales WHERE sold_at < {} AND shop_city = ANY({}) "
    "AND sale_id > {} AND weight < {}"
)
CITIES = ["Paris", 'Lyon "Nord"']


def test_psycopg_3_and_2(wire: WireServer) -> None:
    expected = wire.site.ask(BY_HAND)
    text = ASKED.format(*["%s"] * 4)
    values = (MOMENT, CITIES, 5, 60.5)
    with wire.connect() as db:
        assert db.execute(text.encode(), values).fetchall() == expected
        assert db.execute(text.encode(), values, binary=True).fetchall() == expected
    connection = psycopg2.connect(**wire.address)
    try:
        with connection.cursor() as cursor:
            cursor.execute(text, values)
            assert cursor.fetchall() == expected
    finally:
        connection.close()


def test_asyncpg_is_told_the_types_of_the_columns(wire: WireServer) -> None:
    async def run() -> Any:
        address = f"postgresql://ann:{wire.token}@127.0.0.1:{wire.port}/ducat"
        connection = await asyncpg.connect(address)
        try:
            prepared = await connection.prepare(ASKED.format("$1", "$2", "$3", "$4"))
            names = [item.name for item in prepared.get_parameters()]
            assert names == ["timestamp", "text[]", "int8", "float8"]
            return await prepared.fetchval(MOMENT, CITIES, 5, 60.5)
        finally:
            await connection.close()

    assert [(asyncio.run(run()),)] == wire.site.ask(BY_HAND)


def test_sqlalchemy_reflects_tables_and_asks_them(wire: WireServer) -> None:
    engine = sa.create_engine(f"postgresql+psycopg://ann:{wire.token}@127.0.0.1:{wire.port}/ducat")
    seen = sa.inspect(engine)
    assert sorted(seen.get_table_names()) == ["sales", "shops", "slow"]
    assert seen.get_view_names() == ["shop_sales"]
    assert seen.has_table("sales")
    assert not seen.has_table("secrets")
    columns = {item["name"]: str(item["type"]) for item in seen.get_columns("sales")}
    assert columns["sold_at"] == "TIMESTAMP"
    assert columns["weight"] == "DOUBLE PRECISION"
    assert columns["amount"] == "NUMERIC"
    assert seen.get_pk_constraint("sales")["constrained_columns"] == []
    assert not seen.get_foreign_keys("sales")
    assert not seen.get_indexes("sales")
    assert seen.get_table_comment("shop_sales") == {"text": "Shop sales"}
    metadata = sa.MetaData()
    metadata.reflect(engine, views=True)
    sales = metadata.tables["sales"]
    asked = sa.select(sales.c.is_online, sa.func.measure(sales.c.amount)).where(
        sales.c.sale_id.between(10, 50)
    ).group_by(sales.c.is_online).order_by(sales.c.is_online)  # fmt: skip
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(asked)]
    engine.dispose()
    assert found == wire.site.ask(
        "SELECT is_online, sum(amount) FROM gold.fct_sale WHERE sale_id BETWEEN 10 AND 50 "
        "GROUP BY 1 ORDER BY 1"
    )
