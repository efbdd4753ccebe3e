"""Arrow over HTTP: `load` answered with an IPC stream."""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa

from tests.matrix.doors.door import Kinds, list_columns
from tests.matrix.doors.local import read_table
from tests.matrix.question import Answer, Kind, Part, Question, Value
from tests.unit.api.conftest import Server

STREAM: Final = "application/vnd.apache.arrow.stream"


class Arrow:
    """`POST /cubejs-api/v1/load` with `Accept: application/vnd.apache.arrow.stream`."""

    name = "arrow"

    def __init__(self, server: Server, kinds: Kinds) -> None:
        self._server = server
        self._kinds = kinds

    def ask(self, question: Question) -> Answer:
        """Ask a query for each date range: a stream has one table."""
        return Answer(tuple(self._ask(part) for part in question.parts))

    def _ask(self, document: dict[str, Any]) -> Part:
        response = self._server.client.post(
            "/cubejs-api/v1/load", json={"query": document}, headers={"accept": STREAM}
        )
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == STREAM
        table = pa.ipc.open_stream(response.content).read_all()
        total = (table.schema.metadata or {}).get(b"total")
        columns = list_columns(document)
        found = None if total is None else int(json.loads(total))
        return read_table(table, columns, self._kinds, found)

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Everything is as it is."""
        del kind, column, zone
        return value

    def try_words(self, words: str) -> object:
        """Nothing is beyond this door's words."""
        return words

    def close(self) -> None:
        """Nothing is open."""
