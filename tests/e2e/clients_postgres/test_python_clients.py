"""psycopg 3, psycopg2, asyncpg, SQLAlchemy and ADBC give the numbers of hand-written SQL."""

from __future__ import annotations

import asyncio
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import asyncpg
import psycopg2
import pytest
import sqlalchemy as sa

from tests.e2e.clients_postgres.questions import QUESTIONS, plain_rows
from tests.unit.api.postgres.conftest import WireServer

pytestmark = pytest.mark.parametrize(("text", "by_hand"), QUESTIONS)


def expected(wire: WireServer, by_hand: str) -> list[tuple[Any, ...]]:
    return plain_rows(wire.site.ask(by_hand))


def uri(wire: WireServer, scheme: str = "postgresql") -> str:
    return f"{scheme}://ann:{wire.token}@127.0.0.1:{wire.port}/ducat"


@pytest.mark.parametrize("way", ["text", "binary", "prepared", "cursor"])
def test_psycopg_3(wire: WireServer, text: str, by_hand: str, way: str) -> None:
    with wire.connect() as db:
        if way == "cursor":
            with db.cursor("rows") as cursor:
                cursor.itersize = 3
                found = list(cursor.execute(text))
        else:
            run = db.cursor(binary=way == "binary")
            found = run.execute(text, prepare=way == "prepared").fetchall()
            if way == "prepared":
                assert run.execute(text, prepare=True).fetchall() == found
    assert plain_rows(found) == expected(wire, by_hand)


def test_psycopg2(wire: WireServer, text: str, by_hand: str) -> None:
    connection = psycopg2.connect(**wire.address)
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
            assert plain_rows(cursor.fetchall()) == expected(wire, by_hand)
    finally:
        connection.close()


def test_asyncpg(wire: WireServer, text: str, by_hand: str) -> None:
    async def run() -> list[Any]:
        connection = await asyncpg.connect(uri(wire))
        try:
            rows: list[Any] = await connection.fetch(text)
            async with connection.transaction():
                paged = [row async for row in connection.cursor(text, prefetch=4)]
            assert paged == rows
            await connection.reset()
            return rows
        finally:
            await connection.close()

    assert plain_rows(asyncio.run(run())) == expected(wire, by_hand)


def test_adbc_reads_arrow_by_binary_copy(wire: WireServer, text: str, by_hand: str) -> None:
    with adbc.connect(uri(wire)) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        table = cursor.fetch_arrow_table()
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    # The driver gives numerics as text.
    numbers = [
        tuple(float(cell) if isinstance(cell, str) and cell[:1].isdigit() else cell for cell in row)
        for row in rows
    ]
    assert plain_rows(numbers) == expected(wire, by_hand)


@pytest.mark.parametrize(
    "scheme", ["postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"]
)
def test_sqlalchemy(wire: WireServer, text: str, by_hand: str, scheme: str) -> None:
    if scheme.endswith("asyncpg"):
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

        async def run() -> list[Any]:
            engine = create_async_engine(uri(wire, scheme))
            async with engine.connect() as connection:
                rows = (await connection.execute(sa.text(text))).all()
            await engine.dispose()
            return list(rows)

        found = asyncio.run(run())
    else:
        engine = sa.create_engine(uri(wire, scheme))
        with engine.connect() as connection:
            found = list(connection.execute(sa.text(text)).all())
        engine.dispose()
    assert plain_rows(found) == expected(wire, by_hand)
