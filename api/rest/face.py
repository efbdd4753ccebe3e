"""What REST answers, whichever way it was asked: over HTTP or over a WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import orjson

from api.gateway import Asker, Gateway
from api.members import Model
from api.rest.answer import describe_pivot, describe_query, encode_load, encode_part, encode_parts
from api.rest.meta import encode_meta
from api.rest.request import LoadRequest
from api.rest.shape import describe_order, describe_shape
from api.rest.waiting import Waiting
from api.scopes import demand_sql, may_see_sql
from semantic.compile.compiled import CompiledQuery
from semantic.engine.result import Result
from semantic.errors import SnapshotError
from semantic.query.context import SecurityContext
from semantic.query.query import Query

ATTEMPTS: Final = 3


class RestFace:
    """The answers of Cube's REST protocol, as bytes of JSON."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.waiting: Waiting[bytes] = Waiting()

    async def load(
        self,
        request: LoadRequest,
        asker: Asker,
        note: Callable[[Result], None] | None = None,
    ) -> bytes:
        """Return the answer to `load`; of one query the result is told to `note`, too.

        Raises:
            QuerySyntaxError: several queries, from a client that expects one answer.
            DucatError: the query was refused or failed; logged already.
        """
        request.check_kind()
        layer = self.gateway.layer
        model = Model(layer.catalog, layer.visible(asker.context))
        now = datetime.now(UTC)
        if request.asked.kind != "regularQuery":
            return await self._load_all(request, asker, model, now)

        def encode(result: Result) -> bytes:
            if note is not None:
                note(result)
            return encode_load(result, request, model, now=now)

        return await self.gateway.load(
            request.query,
            asker,
            encode,
            now=now,
            renew=request.cache_mode == "no-cache",
        )

    async def _load_all(
        self, request: LoadRequest, asker: Asker, model: Model, now: datetime
    ) -> bytes:
        """Answer several queries, all from the same tables: their answers will be compared.

        Raises:
            SnapshotError: new tables came into service each time while the queries ran.
        """
        for _ in range(ATTEMPTS):
            answers: list[bytes] = []
            queries: list[Query] = []
            snapshots: set[str] = set()
            for place, query in enumerate(request.asked.queries):
                answer, asked, snapshot = await self.gateway.load(
                    query,
                    asker,
                    partial(_encode, request=request, place=place, model=model, now=now),
                    now=now,
                    renew=request.cache_mode == "no-cache",
                )
                answers.append(answer)
                queries.append(asked)
                snapshots.add(snapshot)
            if len(snapshots) == 1:
                return encode_parts(answers, queries, request, now=now)
        raise SnapshotError(
            "new tables came into service while the queries ran", suggestion="ask again"
        )

    async def sql(self, request: LoadRequest, context: SecurityContext) -> bytes:
        """Return the SQL of each query.

        Raises:
            MissingScopeError: this caller may not see SQL.
            QueryError, UnsupportedError: a query cannot be answered.
        """
        demand_sql(self.gateway.settings, context)
        now = datetime.now(UTC)
        described = [
            _describe_sql(await self._compile(query, context, now), query)
            for query in request.asked.queries
        ]
        single = request.asked.kind == "regularQuery"
        return orjson.dumps(described[0] if single else described, default=str)

    async def dry_run(self, request: LoadRequest, context: SecurityContext) -> bytes:
        """Return what `load` would be asked, checked.

        Raises:
            QueryError, UnsupportedError: a query cannot be answered.
        """
        now = datetime.now(UTC)
        asked = request.asked
        compiled = [await self._compile(query, context, now) for query in asked.queries]
        queries = [describe_query(query, request.cache_mode, now=now) for query in asked.queries]
        pairs = list(zip(asked.queries, compiled, strict=True))
        return orjson.dumps(
            {
                "queryType": asked.kind,
                "normalizedQueries": queries,
                "queryOrder": [describe_order(query, found.columns) for query, found in pairs],
                "transformedQueries": [
                    describe_shape(query, found.columns) for query, found in pairs
                ],
                "pivotQuery": describe_pivot(asked, queries),
            },
            default=str,
        )

    def meta(
        self, context: SecurityContext, *, extended: bool = False, only_views: bool = False
    ) -> bytes:
        """Return the model that the caller may see; SQL only for those who may see SQL."""
        layer = self.gateway.layer
        return encode_meta(
            layer.visible(context),
            layer.catalog,
            extended=extended,
            only_views=only_views,
            with_sql=may_see_sql(self.gateway.settings, context),
        )

    async def _compile(
        self, query: Query, context: SecurityContext, now: datetime
    ) -> CompiledQuery:
        compile_ = partial(self.gateway.layer.compile, query, context, now=now)
        return await self.gateway.think(context.user, compile_)


def _encode(
    result: Result, *, request: LoadRequest, place: int, model: Model, now: datetime
) -> tuple[bytes, Query, str]:
    answer = encode_part(result, request, place, model, now=now)
    return answer, result.query, result.state.snapshot


def _describe_sql(compiled: CompiledQuery, query: Query) -> dict[str, Any]:
    described: dict[str, Any] = {
        "sql": [compiled.sql, list(compiled.values)],
        "order": describe_order(query, compiled.columns),
        "aliasNameToMember": {column.name: column.member for column in compiled.columns},
        "memberNames": [column.member for column in compiled.columns],
        "preAggregations": [],
        "dataSource": "default",
        "external": False,
    }
    return {"sql": described, "dataSource": "default"}
