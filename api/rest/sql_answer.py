"""SQL of Cube's REST protocol, read and answered as the Postgres wire does: the same SQL, one meaning."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
from sqlglot import exp

from api.document import write_document
from api.gateway import Gateway
from api.postgres.commands import read_command
from api.postgres.query.answer import Answerer, Caller, Trace
from api.postgres.query.functions import Place
from api.postgres.query.parse import split_statements
from api.postgres.query.plan import DATABASE
from api.postgres.variables import Variables
from api.rest.cube_sql import CubeSqlRequest
from semantic.errors import QuerySyntaxError, UnsupportedError
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.query.query import MAXIMUM_LIMIT

NOT_CONVERTED: Final = "Provided sql query can not be converted to rest query"


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """The rows of a statement, and what it asked for them. Times are local to the request's zone."""

    table: pa.Table
    trace: Trace


class SqlFace:
    """Answers and converts statements. What computes over answers is opened by the first of them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = threading.Lock()
        self._made: Answerer | None = None

    def answer(
        self,
        asked: CubeSqlRequest,
        context: SecurityContext,
        *,
        now: datetime,
        cancelled: threading.Event | None = None,
    ) -> SqlAnswer:
        """Return the rows of a statement, all of them.

        Raises:
            DucatError: it cannot be answered, or was stopped.
        """
        trace = Trace()
        caller = replace(_caller(context, asked.timezone, now), renew=asked.renew)
        answerer = self._answerer()
        tree = _read(answerer, asked.text)
        table = answerer.answer(tree, caller, cancelled=cancelled, trace=trace)
        return SqlAnswer(table, trace)

    def convert(self, text: str, context: SecurityContext) -> dict[str, Any]:
        """Return the query JSON that asks what a statement asks.

        Raises:
            UnsupportedError: no query JSON does; the message says why.
            DucatError: the statement cannot be answered.
        """
        answerer, caller = self._answerer(), _caller(context, "UTC", datetime.now(UTC))
        tree = _read(answerer, text)
        leaf = answerer.find_question(tree, caller)
        if leaf is None:
            reason = answerer.find_computing(tree, caller)
            raise UnsupportedError(f"{NOT_CONVERTED}: {reason}")
        query = leaf.query
        if query.unlimited:
            query = replace(query, limit=MAXIMUM_LIMIT, unlimited=False)
        if (query.limit or 0) > MAXIMUM_LIMIT:
            raise UnsupportedError(
                f"{NOT_CONVERTED}: it asks for more than {MAXIMUM_LIMIT:,} rows",
            )
        document = write_document(query)
        if parse_json(document) != query:
            raise UnsupportedError(f"{NOT_CONVERTED}: a part of it has no words there")
        # The layer says what only a plan shows: a member that may not be asked so.
        self._gateway.layer.compile(query, context, now=caller.place.now)
        return document

    def _answerer(self) -> Answerer:
        with self._lock:
            if self._made is None:
                settings = self._gateway.settings
                self._made = Answerer(
                    self._gateway.layer, timeout_seconds=settings.query_timeout_seconds
                )
                self._gateway.closing.append(self._made.close)
            return self._made


def _read(answerer: Answerer, text: str) -> exp.Query:
    statements = split_statements(text)
    if len(statements) != 1:
        raise QuerySyntaxError(
            "exactly one statement is expected", suggestion="send each statement by itself"
        )
    command = read_command(statements[0])
    if command.kind != "query":
        raise UnsupportedError(
            f"{command.tag} is not answered over REST: only queries are",
            suggestion="the Postgres wire has sessions, EXPLAIN and SHOW",
        )
    return answerer.parse(statements[0])


def _caller(context: SecurityContext, timezone: str, now: datetime) -> Caller:
    variables = Variables({"timezone": timezone})
    variables.force("session_authorization", context.user)
    settings: Mapping[str, str] = variables.all()
    place = Place(
        user=context.user,
        database=DATABASE,
        process=0,
        now=now,
        timezone=variables.show("timezone"),
        settings=variables.get,
        find_table=lambda _: None,
    )
    return Caller(context, place, dict(settings))
