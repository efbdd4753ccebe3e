"""Python over HTTP: `from semantic import connect` with an address, rows as Arrow."""

from __future__ import annotations

from typing import Any

from semantic import connect
from tests.matrix.doors.door import Kinds, list_columns
from tests.matrix.doors.local import read_table
from tests.matrix.question import Answer, Kind, Part, Question, Value
from tests.unit.api.conftest import Server


class OverHttp:
    """`connect("http://...").query(...).to_arrow()`."""

    name = "client"

    def __init__(self, server: Server, kinds: Kinds) -> None:
        self._kinds = kinds
        token = str(server.client.headers["authorization"]).removeprefix("Bearer ")
        self._metrics = connect(server.url, token=token)

    def ask(self, question: Question) -> Answer:
        """Ask a query for each date range: a stream has one answer."""
        return Answer(tuple(self._ask(document) for document in question.parts))

    def _ask(self, document: dict[str, Any]) -> Part:
        answer = self._metrics.query(document)
        return read_table(answer.to_arrow(), list_columns(document), self._kinds, answer.total)

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Everything is as it is."""
        del kind, column, zone
        return value

    def try_words(self, words: str) -> object:
        """Nothing is beyond this door's words."""
        return words

    def close(self) -> None:
        """Close the connections."""
        self._metrics.close()
