"""Answers in Redis, for all servers of one installation.

An entry is a header, the rows as an Arrow stream, and a digest over both: what another version wrote, or
what was cut or changed, is no entry. Redis may be slow, full or gone: then there is one store less, for
some seconds at a time, and queries are computed. Who may write to this Redis may write answers; give it
a password, and TLS (`rediss://`) where others can reach it.
"""

from __future__ import annotations

import hashlib
import time
from typing import Final, Literal

import orjson
import pyarrow as pa
import redis
import structlog

from semantic.cache.answer import Answer, AnswerKey

_MAGIC: Final = b"ducat-answer-1\n"
_DIGEST: Final = 32
_LARGEST: Final = 64 * 2**20
_PAUSE: Final = 5.0
_TIMEOUT: Final = 1.0
log = structlog.stdlib.get_logger("ducat.cache")


class RedisStore:
    """A store that all servers with the same URL share. Safe to use from several threads."""

    def __init__(self, url: str, *, seconds: int) -> None:
        """Keep each answer for at most `seconds`; connections are made when they are needed.

        Raises:
            ValueError: the URL is not one of Redis.
        """
        self._client = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
        )
        self._seconds = seconds
        self._away_until = 0.0

    def find(self, key: AnswerKey) -> Answer | None:
        """Return the answer if it is there and whole."""
        if time.monotonic() < self._away_until:
            return None
        name = _name(key)
        try:
            entry = self._client.get(name)
        except redis.ResponseError as refused:
            if not str(refused).startswith("WRONGTYPE"):
                self._leave(refused)
            return None
        except redis.RedisError as failed:
            self._leave(failed)
            return None
        return decode(entry, name) if isinstance(entry, bytes) else None

    def keep(self, key: AnswerKey, answer: Answer) -> None:
        """Keep an answer, unless it is large or Redis is away."""
        if answer.size > _LARGEST or time.monotonic() < self._away_until:
            return
        name = _name(key)
        try:
            self._client.set(name, encode(answer, name), ex=self._seconds)
        except redis.RedisError as failed:
            self._leave(failed)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _leave(self, failed: redis.RedisError) -> None:
        self._away_until = time.monotonic() + _PAUSE
        log.warning("the shared cache is away", reason=type(failed).__name__, seconds=_PAUSE)


def encode(answer: Answer, name: str) -> bytes:
    """Return an answer as the entry of that name."""
    header = orjson.dumps(
        {"name": name, "total": answer.total, "cut": answer.truncated, "engine": answer.engine}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, answer.table.schema) as writer:
        writer.write_table(answer.table)
    body = b"".join([_MAGIC, len(header).to_bytes(4, "big"), header, sink.getvalue().to_pybytes()])
    return hashlib.sha256(body).digest() + body


def decode(entry: bytes, name: str) -> Answer | None:
    """Return the answer of an entry; None when it is not one of that name, whole and of this version."""
    digest, body = entry[:_DIGEST], entry[_DIGEST:]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        return None
    start = len(_MAGIC) + 4
    end = start + int.from_bytes(body[len(_MAGIC) : start], "big")
    try:  # whole, but perhaps of a version that forgot to call itself another
        header = orjson.loads(body[start:end])
        if header["name"] != name:
            return None
        with pa.ipc.open_stream(pa.py_buffer(body[end:])) as reader:
            table = reader.read_all()
        engine: Literal["duckdb", "postgres", "clickhouse", "spark"] = header["engine"]
        return Answer(table, header["total"], header["cut"], engine)
    except (ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _name(key: AnswerKey) -> str:
    parts = [
        key.sql,
        [[kind, str(value)] for kind, value in key.values],
        key.total,
        key.limit,
        key.defaulted,
        key.snapshot,
        key.wide,
    ]
    return f"ducat:answer:2:{hashlib.sha256(orjson.dumps(parts)).hexdigest()}"
