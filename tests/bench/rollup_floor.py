"""The least that a server can do for an answer from a rollup: one statement written by hand, and its rows.

    python -m tests.bench.rollup_floor PORT FILE

A bare ASGI app under the same uvicorn, a connection of one DuckDB thread for each of two threads, no
token, no planning, no annotation, no log. It reads the dates of Cube's query and answers the same rows.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import duckdb
import orjson
import uvicorn

from semantic.rollups import TABLE

SQL = (
    f"SELECT _k0, date_trunc('month', _k3), CAST(sum(_v0) AS BIGINT), sum(_v2) FROM r.main.{TABLE} "
    "WHERE _k3 >= ? AND _k3 < ? GROUP BY 1, 2 ORDER BY 2, 1 LIMIT 10001"
)
LOCAL = threading.local()


class Floor:
    """Answers every request so."""

    def __init__(self, file: str) -> None:
        self._database = duckdb.connect(":memory:", config={"threads": 1})
        self._database.execute(f"ATTACH '{file}' AS r (READ_ONLY)")
        self._pool = ThreadPoolExecutor(2)

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._pool, self._answer, body)
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, body: bytes) -> bytes:
        if not hasattr(LOCAL, "connection"):
            LOCAL.connection = self._database.cursor()
        first, last = orjson.loads(body)["query"]["timeDimensions"][0]["dateRange"]
        dates = [datetime.fromisoformat(first), datetime.fromisoformat(last) + timedelta(days=1)]
        rows = LOCAL.connection.execute(SQL, dates).fetchall()
        data = [
            {"lineitem.l_shipmode": mode, "lineitem.l_shipdate.month": month, "lineitem.n_lines": str(n),
             "lineitem.rev": str(revenue)}
            for mode, month, n, revenue in rows
        ]  # fmt: skip
        return orjson.dumps({"usedPreAggregations": "lineitem.by_day", "data": data})


if __name__ == "__main__":
    config = uvicorn.Config(
        Floor(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        lifespan="off",
    )
    uvicorn.Server(config).run()
