"""Queries that repeat to the byte on one connection, answered where their bytes arrive.

A dashboard over the Postgres wire asks the same again and again. When a query arrived in one piece while
the connection was quiet, and its answer came from the cache, the bytes that answered it are remembered
with the bytes that asked; equal bytes then need no parsing, no planning and no task, as long as the
layer's stamp (model, tables and checks in service) is the same. Each is still counted against its
caller, in the metrics and in the query log.

What is remembered belongs to its connection alone, so that no caller and no setting is shared, and all
of it is forgotten when anything but a query is handled: SET, BEGIN, PREPARE, a new statement. Not
remembered: what may say something else each time (functions of clock, session or chance, the catalog,
relative dates of the model), errors, pages of portals, API keys (they end at once), long answers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from api.errors import CallerLimitError
from api.gateway import Gateway
from api.postgres.commands import read_command
from api.postgres.protocol.messages import Bind, Describe, Execute, SimpleQuery, Sync
from api.postgres.query.answer import Trace
from api.postgres.query.parse import split_statements
from api.postgres.session import Session
from api.query_log import QueryRecord
from api.tally import ReadyTally
from api.telemetry import UNTRACED
from semantic.compile.volatile import is_volatile
from semantic.errors import DucatError

MOST: Final = 64
LARGEST: Final = 64 * 1024  # bytes of one answer
MOST_BYTES: Final = 512 * 1024  # of all answers of a connection
LONGEST: Final = 8 * 1024
_LATER: Final = timedelta(days=401, hours=5, minutes=7, seconds=11, microseconds=13)
_OF_SESSION: Final = re.compile(
    r"\b(session_user|user|information_schema|version|set_config|current|today|yesterday|tomorrow"
    r"|inet_\w+|clock|timeofday|has_\w+_privilege|to_regclass|obj_description|col_description"
    r"|format_type|svv_\w+|stl_\w+)\b",
    re.IGNORECASE,
)
_ANSWERS: Final = frozenset(b"TDC2Z")
_READY: Final = b"Z\x00\x00\x00\x05I"


@dataclass(frozen=True, slots=True)
class _Known:
    """What answers, for how long, and the query log's line around time, id and seconds."""

    answer: bytes
    stamp: Hashable
    before: bytes
    after: bytes


@dataclass(slots=True)
class Batch:
    """What arrived in one piece on a quiet connection, and what came of it so far."""

    raw: bytes
    stamp: Hashable | None
    sent: list[bytes] = field(default_factory=list)
    messages: list[object] = field(default_factory=list)
    asked: list[tuple[QueryRecord, Trace]] = field(default_factory=list)


class Repeats:
    """The repeated queries of one connection."""

    __slots__ = ("_gateway", "_known", "_tally", "_used", "is_on")

    def __init__(self, gateway: Gateway, tally: ReadyTally) -> None:
        """Remember nothing yet; `tally` counts for all connections."""
        self._gateway = gateway
        self._tally = tally
        self._known: dict[bytes, _Known] = {}
        self._used = 0
        settings = gateway.settings
        self.is_on = (
            settings.log_level != "debug"
            and gateway.tracing is UNTRACED
            and settings.cache_bytes > 0
        )

    def __len__(self) -> int:
        return len(self._known)

    def begin(self, raw: bytes) -> Batch | None:
        """Return what notes how these bytes are answered; None where it is not to be known."""
        if not self.is_on or len(raw) > LONGEST:
            return None
        return Batch(raw, self._gateway.layer.stamp())

    def answer(self, raw: bytes, user: str) -> bytes | None:
        """Return the bytes that answer these; None: they have to be read."""
        known = self._known.get(raw)
        if known is None:
            return None
        started = time.perf_counter()
        if self._gateway.is_stopping or self._gateway.stamp() != known.stamp:
            self.forget()
            return None
        try:
            self._gateway.callers.count(user)
        except CallerLimitError:
            return None  # who refuses says it in full
        tally = self._tally
        seconds = time.perf_counter() - started
        tally.add(
            b'{"time":"%s"%s%.6f%s' % (tally.write_now(), known.before, seconds, known.after),
            seconds,
        )
        return known.answer

    def learn(self, batch: Batch, session: Session) -> None:
        """Remember how a batch was answered if the same would be answered so again."""
        text = _find_query(batch.messages, session)
        if text is None or session.status != "I":
            self.forget()
            return
        answer = b"".join(batch.sent)
        if not self._may_keep(batch, session, text, answer):
            return
        if len(self._known) >= MOST or self._used + len(answer) > MOST_BYTES:
            self.forget()
        [(record, _)] = batch.asked
        before, after = _split_line(record)
        self._known[batch.raw] = _Known(answer, batch.stamp, before, after)
        self._used += len(answer)

    def forget(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._used = 0

    def _may_keep(self, batch: Batch, session: Session, text: str, answer: bytes) -> bool:
        if len(batch.asked) != 1 or batch.stamp is None or len(answer) > LARGEST:
            return False
        [(record, trace)] = batch.asked
        layer, context = self._gateway.layer, session.context
        now = datetime.now(UTC)
        return (
            record.code == "ok"
            and bool(trace.outcomes)
            and set(trace.outcomes) == {"hit"}
            and "apiKey" not in context.claims
            and not is_volatile(text)
            and _OF_SESSION.search(text) is None
            and _is_plain(answer)
            and layer.stamp() == batch.stamp
            and all(layer.is_timeless(query, context, now, _LATER) for query in trace.queries)
        )


def _find_query(messages: Sequence[object], session: Session) -> str | None:
    """Return the one query that a batch asks; None when it does anything else."""
    match messages:
        case [SimpleQuery(text)]:
            pass
        case [Bind(portal="", statement=name), Execute(portal="", limit=0), Sync()] | [
            Bind(portal="", statement=name),
            Describe(kind="portal", name=""),
            Execute(portal="", limit=0),
            Sync(),
        ]:
            prepared = session.statements.get(name)
            if prepared is None or prepared.command is None:
                return None
            text = prepared.command.text
        case _:
            return None
    try:
        statements = split_statements(text)
        is_query = len(statements) == 1 and read_command(statements[0]).kind == "query"
    except DucatError:
        return None
    return text if is_query else None


def _is_plain(answer: bytes) -> bool:
    """Whether an answer is columns, rows, their end and ReadyForQuery, and nothing else."""
    place = 0
    while place + 5 <= len(answer):
        if answer[place] not in _ANSWERS:
            return False
        place += 1 + int.from_bytes(answer[place + 1 : place + 5], "big")
    return place == len(answer) and answer.endswith(_READY)


def _split_line(record: QueryRecord) -> tuple[bytes, bytes]:
    """Return the record's line from behind its time up to its seconds, and the rest."""
    text = orjson.dumps(replace(record, seconds=0.5).describe())
    _, _, rest = text.partition(b'Z"')
    before, mark, after = rest.rpartition(b'"seconds":')
    _, comma, end = after.partition(b",")
    return before + mark, comma + end + b"\n"
