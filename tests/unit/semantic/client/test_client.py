"""The client against a real server: the words of the notebook, exact rows, errors with their codes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import semantic
from semantic.client import (
    AccessRefusedError,
    AnswerTimeoutError,
    AsyncClient,
    Client,
    DucatClientError,
    RefusedError,
    UnreachableError,
)
from semantic.errors import DucatError
from tests.unit.api.conftest import Server, Site

BY_CITY = (
    "SELECT city, count(*), sum(amount) FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) "
    "WHERE sale_id >= 10 GROUP BY 1 ORDER BY 1 NULLS LAST"
)
FILTERS = [{"member": "sales.sale_id", "operator": "gte", "values": ["10"]}]


@pytest.fixture
def ducat(big: Server, token: str) -> Iterator[Client]:
    with semantic.connect(big.url, token=token) as opened:
        assert isinstance(opened, Client)
        yield opened


def test_rows_are_those_of_hand_written_sql_in_every_form(ducat: Client, big_site: Site) -> None:
    answer = ducat.query(
        measures=["sales.count", "sales.amount"],
        dimensions=("shops.city",),
        filters=FILTERS,
        order={"shops.city": "asc"},
    )
    expected = big_site.ask(BY_CITY)
    rows = [tuple(row.values()) for row in answer.to_arrow().to_pylist()]
    assert rows == expected
    assert isinstance(rows[0][2], Decimal)
    assert [tuple(row) for row in answer.to_polars().rows()] == expected
    frame = answer.to_pandas()
    assert list(frame["sales.amount"]) == [row[2] for row in expected]
    table = answer.to_ibis()
    best = table.order_by(table["sales.amount"].desc()).limit(1).to_pyarrow().to_pylist()
    assert best[0]["sales.amount"] == max(row[2] for row in expected)


def test_over_http_and_in_process_are_equal(
    ducat: Client, big_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCAT_HOME", str(big_site.home))
    asked: dict[str, Any] = {
        "measures": ["sales.count", "sales.amount", "sales.average_weight"],
        "time_dimensions": [{"dimension": "sales.sold_at", "granularity": "week"}],
        "segments": ["sales.heavy"],
        "compare": {"to": "1 month"},
        "timezone": "Europe/Paris",
        "total": True,
        "offset": 1,
    }
    with semantic.connect(big_site.project) as local:
        here, there = local.query(**asked), ducat.query(**asked)
        assert there.to_arrow().equals(here.to_arrow())
        assert there.to_arrow().schema.equals(here.to_arrow().schema)
        assert there.total == here.total == there.to_arrow().num_rows + 1
        assert there.sql() == here.sql()
        assert there.state["snapshot"] == here.state.snapshot
        assert there.state["quality"] == here.state.quality.state
        meta = there.meta()
        assert {name: {**meta[name], **told} for name, told in here.meta().items()} == meta


def test_the_model_is_what_the_caller_may_see(ducat: Client) -> None:
    names = [cube["name"] for cube in ducat.meta()["cubes"]]
    assert "sales" in names
    assert "secrets" not in names


def test_a_limit_may_be_any_and_without_one_all_rows_come(ducat: Client) -> None:
    rows = ducat.query(dimensions=["big.id"], order={"big.id": "asc"}, limit=70_000).to_arrow()
    assert rows["big.id"].to_pylist() == list(range(70_000))


@pytest.mark.parametrize("codec", [None, "zstd"])
def test_compression_changes_no_row(big: Server, token: str, codec: str | None) -> None:
    with semantic.connect(big.url, token=token, codec=codec) as ducat:
        table = ducat.query(dimensions=["sales.sale_id"]).to_arrow()
    assert sorted(table["sales.sale_id"].to_pylist()) == list(range(400))


def test_an_error_of_the_server_keeps_its_code_and_request(ducat: Client) -> None:
    with pytest.raises(RefusedError, match="not found for path") as refused:
        ducat.query(measures=["sales.cuont"]).to_arrow()
    error = refused.value
    assert (error.code, error.status) == ("unknown_member", 400)
    assert error.suggestion == "did you mean sales.count?"
    assert error.request_id
    assert f"[request {error.request_id}]" in str(error)
    assert isinstance(error, DucatError)
    with pytest.raises(RefusedError) as refused:
        ducat.query(measure="sales.count").sql()
    assert refused.value.code == "query_syntax"


def test_the_token_comes_from_an_argument_a_function_or_the_environment(
    big: Server, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUCAT_TOKEN", raising=False)
    asked: list[int] = []

    def give() -> str:
        asked.append(1)
        return token

    with semantic.connect(big.url, token=give) as ducat:
        for number in (1, 2):
            assert ducat.query(measures=["sales.count"]).to_arrow().num_rows == 1
            assert len(asked) == number
    with semantic.connect(big.url) as ducat:
        with pytest.raises(AccessRefusedError) as refused:
            ducat.meta()
        assert refused.value.code == "invalid_token"
        monkeypatch.setenv("DUCAT_TOKEN", token)
        assert ducat.meta()["cubes"]


def test_a_long_query_is_waited_for_and_runs_once(big: Server, big_site: Site, token: str) -> None:
    with semantic.connect(big.url, token=token) as ducat:
        table = ducat.query(
            dimensions=["big.id"], measures=["big.price"], order={"big.price": "desc"}
        ).to_arrow()
    assert table.num_rows == 1_000_000
    assert table["big.id"][0].as_py() == 999_999
    log = (big_site.home / "query-log.ndjson").read_text().splitlines()
    assert sum('["big.id","big.price"]' in line for line in log) == 1


def test_waiting_ends_when_its_time_is_over(big: Server, token: str) -> None:
    with (
        semantic.connect(big.url, token=token, timeout=0.8) as ducat,
        pytest.raises(AnswerTimeoutError, match=r"longer than 0\.8 seconds"),
    ):
        ducat.query(measures=["slow.greatest"]).to_arrow()


def test_the_asynchronous_twin_gives_the_same(big: Server, token: str, big_site: Site) -> None:
    async def run() -> tuple[list[pa.Table], object, object, object]:
        async with semantic.connect_async(big.url, token=token) as ducat:
            assert isinstance(ducat, AsyncClient)
            answers = [
                ducat.query(
                    measures=["sales.count", "sales.amount"], dimensions=["shops.city"],
                    filters=FILTERS, order={"shops.city": "asc"},
                )
                for _ in range(3)
            ]  # fmt: skip
            tables = await asyncio.gather(*(answer.to_arrow() for answer in answers))
            with pytest.raises(RefusedError) as refused:
                await ducat.query(measures=["sales.cuont"]).to_arrow()
            assert refused.value.code == "unknown_member"
            first = answers[0]
            return list(tables), await first.state(), await first.sql(), await ducat.meta()

    tables, state, sql, meta = asyncio.run(run())
    for table in tables:
        assert [tuple(row.values()) for row in table.to_pylist()] == big_site.ask(BY_CITY)
    assert state
    assert sql
    assert meta


def test_the_asynchronous_twin_ends_its_waiting_too(big: Server, token: str) -> None:
    async def run() -> None:
        async with semantic.connect_async(big.url, token=token, timeout=0.8) as ducat:
            await ducat.query(measures=["slow.greatest"]).to_arrow()

    with pytest.raises(AnswerTimeoutError):
        asyncio.run(run())


def test_where_nobody_answers_is_said() -> None:
    with (
        semantic.connect("http://127.0.0.1:1", token="x") as ducat,
        pytest.raises(UnreachableError, match="does not answer"),
    ):
        ducat.query(measures=["sales.count"]).to_arrow()


@pytest.mark.parametrize("address", ["http://", "https:///x", "http://[::1", "http://a:b/"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(DucatClientError):
        semantic.connect(address)


def test_the_client_imports_no_engine() -> None:
    script = (
        "import sys, semantic; semantic.connect('http://127.0.0.1:1', token='x'); "
        "print(sorted({'duckdb', 'sqlglot', 'pydantic', 'ibis', 'pandas', 'polars', "
        "'semantic.service', 'semantic.settings'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
