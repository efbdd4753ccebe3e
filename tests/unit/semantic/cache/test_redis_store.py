"""Answers that several servers share in a real Redis: gone, cut, changed and foreign ones are no answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import redis

from semantic.cache.answer import Answer
from semantic.cache.open_cache import open_cache
from semantic.cache.redis_store import RedisStore, decode, encode
from semantic.errors import SettingsError
from semantic.settings import Settings
from tests.golden.queries.layer import publish
from tests.unit.semantic.cache.conftest import COUNT, SEED, OpenShop, RedisServer


def test_servers_share_answers(open_shop: OpenShop, redis_server: RedisServer) -> None:
    one, other = (open_shop(store=RedisStore(redis_server.url, seconds=60)) for _ in range(2))
    assert one.ask(COUNT) == ([(100,)], "miss")
    assert other.ask(COUNT) == ([(100,)], "hit")
    assert other.engine.ran == 0
    publish(one.folder / "serving", SEED.replace("101", "201"), version=2)
    assert other.ask(COUNT) == ([(200,)], "miss")
    assert one.ask(COUNT) == ([(200,)], "hit")


def test_a_cut_or_changed_entry_is_computed_anew(
    open_shop: OpenShop, redis_server: RedisServer
) -> None:
    spoils: list[Callable[[bytes], bytes]] = [
        lambda entry: entry[:-1],
        lambda entry: entry[:40],
        lambda _: b"",
        lambda _: b"not an answer",
        lambda entry: entry[:-9] + bytes([entry[-9] ^ 1]) + entry[-8:],
    ]
    with redis.Redis.from_url(redis_server.url) as client:
        for spoil in spoils:
            assert open_shop(store=RedisStore(redis_server.url, seconds=60)).ask(COUNT)[0] == [
                (100,)
            ]
            [name] = client.keys("ducat:answer:*")
            client.set(name, spoil(client.get(name)))
            shop = open_shop(store=RedisStore(redis_server.url, seconds=60))
            assert shop.ask(COUNT) == ([(100,)], "miss")
            client.flushall()


def test_what_another_program_keeps_there_is_no_answer(
    open_shop: OpenShop, redis_server: RedisServer
) -> None:
    shop = open_shop(room=0, store=RedisStore(redis_server.url, seconds=60))
    shop.ask(COUNT)
    with redis.Redis.from_url(redis_server.url) as client:
        [name] = client.keys("ducat:answer:*")
        client.delete(name)
        client.rpush(name, "theirs")
    assert [shop.ask(COUNT) for _ in range(2)] == [([(100,)], "miss"), ([(100,)], "hit")]


def test_a_whole_entry_of_another_version_is_none() -> None:
    for body in (b"", b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x09nonsense!"):
        entry = b"ducat-answer-1\n" + body
        assert decode(hashlib.sha256(entry).digest() + entry, "one") is None
    entry = b'ducat-answer-1\n\x00\x00\x00\x0e{"name":"one"}not arrow'
    assert decode(hashlib.sha256(entry).digest() + entry, "one") is None


def test_an_entry_under_another_name_is_none() -> None:
    answer = Answer(pa.table({"a": [1]}), None, truncated=False, engine="duckdb")
    assert decode(encode(answer, "one"), "one") == answer
    assert decode(encode(answer, "one"), "two") is None


def test_an_entry_keeps_types_nulls_and_what_was_said_of_it() -> None:
    table = pa.table(
        {
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(38, 2)),
            "t": pa.array([datetime(2024, 3, 10, 1, 2, 3, 456789), None], pa.timestamp("us")),  # noqa: DTZ001
            "s": pa.array(["ü", None]),
            "b": pa.array([True, None]),
        }
    )
    answer = Answer(table, 7, truncated=True, engine="postgres")
    found = decode(encode(answer, "x"), "x")
    assert found is not None
    assert found.table.equals(table)
    assert found.table.schema == table.schema
    assert (found.total, found.truncated, found.engine) == (7, True, "postgres")


def test_a_redis_that_dies_costs_nothing_but_time(
    open_shop: OpenShop, redis_server: RedisServer
) -> None:
    shop = open_shop(room=0, store=RedisStore(redis_server.url, seconds=60))
    assert shop.ask(COUNT) == ([(100,)], "miss")
    assert shop.ask(COUNT) == ([(100,)], "hit")
    redis_server.kill()
    assert [shop.ask(COUNT) for _ in range(5)] == [([(100,)], "miss")] * 5


def test_answers_leave_redis(open_shop: OpenShop, redis_server: RedisServer) -> None:
    open_shop(store=RedisStore(redis_server.url, seconds=60)).ask(COUNT)
    with redis.Redis.from_url(redis_server.url) as client:
        [name] = client.keys("*")
        assert 0 < client.ttl(name) <= 60


def test_a_wrong_address_is_refused_without_its_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, redis_url="http://:hush@127.0.0.1/0")
    with pytest.raises(SettingsError) as refused:
        open_cache(settings)
    assert "hush" not in str(refused.value)
