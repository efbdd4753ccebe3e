"""Answers that are kept: the same as computed ones, for the same callers, from the snapshot in service."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from semantic.cache.answer import AnswerKey, compact
from semantic.cache.flights import Flights
from semantic.compile.volatile import is_volatile
from semantic.errors import DucatError, EngineError, QueryCancelledError
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from tests.golden.queries.layer import publish
from tests.unit.semantic.cache.conftest import COUNT, EVERYBODY, NOW, SEED, OpenShop

BY_STATUS = {"measures": ["orders.total"], "dimensions": ["orders.status"]}


def is_status(value: str) -> dict[str, object]:
    return {"member": "orders.status", "operator": "equals", "values": [value]}


def test_the_second_answer_runs_nothing(open_shop: OpenShop) -> None:
    shop = open_shop()
    first, second = shop.ask(BY_STATUS), shop.ask(BY_STATUS)
    assert (first[1], second[1], shop.engine.ran) == ("miss", "hit", 1)
    assert first[0] == second[0]
    assert sorted(second[0]) == [("status 0", 1683), ("status 1", 1717), ("status 2", 1650)]


def test_a_new_snapshot_is_seen_at_once(open_shop: OpenShop) -> None:
    shop = open_shop()
    assert shop.ask(COUNT) == ([(100,)], "miss")
    assert shop.ask(COUNT) == ([(100,)], "hit")
    publish(shop.folder / "serving", SEED.replace("101", "201"), version=2)
    assert shop.ask(COUNT) == ([(200,)], "miss")
    assert shop.load(COUNT).state.tables[0].rows == 200


def test_other_values_other_limits_and_totals_are_other_questions(open_shop: OpenShop) -> None:
    shop = open_shop()
    for query in (
        BY_STATUS | {"filters": [is_status("status 1")]},
        BY_STATUS | {"filters": [is_status("status 2")]},
        BY_STATUS | {"limit": 2},
        BY_STATUS | {"limit": 2, "total": True},
        BY_STATUS | {"limit": 2, "offset": 1},
    ):
        assert shop.ask(query)[1] == "miss"
    assert shop.load(BY_STATUS | {"limit": 2, "total": True}).total == 3
    assert shop.engine.ran == 5


def test_what_changes_with_the_day_is_not_kept(open_shop: OpenShop) -> None:
    shop = open_shop()
    query = {"measures": ["orders.count"], "dimensions": ["orders.age"]}
    assert [shop.ask(query)[1] for _ in range(2)] == ["off", "off"]
    assert shop.engine.ran == 2
    assert is_volatile("SELECT Current_Date")
    assert not is_volatile("SELECT known, snow, ages FROM nowhere")


def test_a_caller_may_ask_for_a_computed_answer_which_is_then_kept(open_shop: OpenShop) -> None:
    shop = open_shop()
    outcomes = [shop.ask(COUNT, renew=renew)[1] for renew in (False, True, False)]
    assert (outcomes, shop.engine.ran) == (["miss", "miss", "hit"], 2)


def test_nothing_is_kept_without_room(open_shop: OpenShop) -> None:
    shop = open_shop(room=0)
    assert [shop.ask(COUNT)[1] for _ in range(2)] == ["off", "off"]


def test_the_room_is_not_exceeded(open_shop: OpenShop) -> None:
    shop = open_shop(room=100_000)
    for number in range(100):
        shop.ask(BY_STATUS | {"filters": [is_status(f"status {number}")]})
        assert shop.cache.used <= 100_000
    assert shop.ask(BY_STATUS | {"filters": [is_status("status 99")]})[1] == "hit"
    assert shop.ask(BY_STATUS | {"filters": [is_status("status 0")]})[1] == "miss"


def test_callers_with_other_rows_never_share(open_shop: OpenShop) -> None:
    """Random callers ask in any order; each sees what a layer without a cache shows it."""
    shop, plain = open_shop(), open_shop(room=0)
    random = Random(7)
    hits = 0
    for _ in range(150):
        groups = random.choice([("all",), ("some",), ("some", "all"), ()])
        status = random.choice(["status 0", "status 1", "nothing", "' OR 1=1"])
        who = SecurityContext(random.choice(["ann", "bob"]), groups, {"status": status})
        query: dict[str, Any] = random.choice(
            [COUNT, BY_STATUS, COUNT | {"filters": [is_status("status 1")]}]
        )
        try:
            expected = plain.ask(query, who)[0]
        except DucatError as refused:
            with pytest.raises(type(refused)):
                shop.ask(query, who)
            continue
        rows, outcome = shop.ask(query, who)
        assert sorted(rows) == sorted(expected)
        hits += outcome == "hit"
    assert hits > 50


def test_fifty_that_ask_the_same_at_once_run_one_query(open_shop: OpenShop) -> None:
    shop = open_shop()
    shop.engine.gate = threading.Event()
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(shop.ask, COUNT) for _ in range(50)]
        while shop.engine.ran == 0:
            time.sleep(0.01)
        time.sleep(0.2)
        shop.engine.gate.set()
        answers = [item.result() for item in asked]
    assert shop.engine.ran == 1
    assert {str(rows) for rows, _ in answers} == {"[(100,)]"}
    assert sum(outcome == "miss" for _, outcome in answers) == 1


def test_an_error_is_everybody_s_and_is_not_kept(open_shop: OpenShop) -> None:
    shop = open_shop()
    shop.engine.gate = threading.Event()
    query = {"measures": ["orders.broken"]}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(shop.ask, query) for _ in range(4)]
        while shop.engine.ran == 0:
            time.sleep(0.01)
        time.sleep(0.2)
        shop.engine.gate.set()
        failures = [item.exception() for item in asked]
    assert {type(failure) for failure in failures} == {EngineError}
    ran = shop.engine.ran
    with pytest.raises(EngineError):
        shop.ask(query)
    assert shop.engine.ran == ran + 1


def test_a_query_goes_on_for_who_stays_and_ends_when_all_have_left(open_shop: OpenShop) -> None:
    shop = open_shop()
    query = {"measures": ["orders.slow"], "filters": [is_status("status 1")]}
    left = [threading.Event(), threading.Event()]
    with ThreadPoolExecutor(2) as pool:
        leads = pool.submit(shop.ask, query, cancelled=left[0])
        while shop.engine.ran == 0:
            time.sleep(0.01)
        follows = pool.submit(shop.ask, query, cancelled=left[1])
        time.sleep(0.3)
        left[0].set()
        time.sleep(0.5)
        assert not leads.done()
        assert not follows.done()
        left[1].set()
        with pytest.raises(QueryCancelledError):
            follows.result(10)
        with pytest.raises(QueryCancelledError):
            leads.result(10)
    assert shop.engine.ran == 1


def test_who_joins_in_the_moment_when_the_others_leave_asks_again() -> None:
    flights: Flights[int] = Flights()
    key = AnswerKey("SELECT 1", (), None, None, defaulted=False, snapshot="one")
    left, running, ran = threading.Event(), threading.Event(), []

    def work(_: threading.Event) -> int:
        ran.append(1)
        if len(ran) > 1:
            return 7
        running.set()
        left.wait(10)
        raise QueryCancelledError("stopped")  # as an engine that looked before the other came

    with ThreadPoolExecutor(2) as pool:
        leads = pool.submit(flights.run, key, work, left)
        running.wait(10)
        stays = pool.submit(flights.run, key, work, None)
        time.sleep(0.2)
        left.set()
        assert stays.result(10) == (7, False)
        with pytest.raises(QueryCancelledError):
            leads.result(10)


def test_rows_read_piece_by_piece_are_kept_with_their_own_types(open_shop: OpenShop) -> None:
    shop = open_shop()
    query = parse_json(BY_STATUS)

    def read(*, wide: bool = False, renew: bool = False) -> tuple[str, pa.Table]:
        with shop.layer.stream(query, EVERYBODY, now=NOW, wide=wide, renew=renew) as rows:
            batches = []
            while (batch := rows.read()) is not None:
                batches.append(batch)
            return rows.head.cache, pa.Table.from_batches(batches, rows.schema)

    found = [read(), read(), read(wide=True), read(wide=True), read(renew=True)]
    assert [outcome for outcome, _ in found] == ["miss", "hit", "miss", "hit", "miss"]
    types = [table.schema.field("orders.total").type for _, table in found]
    assert types == [pa.int64()] * 2 + [pa.decimal128(38, 0)] * 2 + [pa.int64()]
    assert found[1][1].equals(found[0][1])
    assert found[3][1].equals(found[2][1])
    assert shop.ask(BY_STATUS)[1] == "hit"
    publish(shop.folder / "serving", SEED.replace("101", "201"), version=2)
    assert read()[0] == "miss"


def test_explain_says_whether_an_answer_is_kept(open_shop: OpenShop) -> None:
    shop = open_shop()
    query = parse_json(COUNT)
    said = [shop.layer.explain(query, EVERYBODY, now=NOW)["cache"]]
    shop.ask(COUNT)
    said.append(shop.layer.explain(query, EVERYBODY, now=NOW)["cache"])
    assert said == ["not kept yet", "kept in memory"]


def test_a_kept_answer_holds_no_more_than_its_rows() -> None:
    """DuckDB's buffers have room for thousands of rows, which `nbytes` does not tell."""
    with duckdb.connect() as database:
        table = database.execute(
            "SELECT i, i::VARCHAR AS t, i::DECIMAL(38, 4) AS d, NULL::DATE AS n, i % 2 = 0 AS b, "
            "TIMESTAMP '2024-01-01' AS s FROM range(7) r(i)"
        ).to_arrow_table()
    before = pa.total_allocated_bytes()
    kept = compact(table)
    assert kept.equals(table)
    assert kept.schema == table.schema
    assert 0 < pa.total_allocated_bytes() - before < 2_000
    chunked = pa.table({"a": pa.chunked_array([[1], [2, None]])})
    assert compact(chunked).equals(chunked)
    assert compact(chunked.slice(0, 0)).num_rows == 0
