"""Cube's REST protocol, in its three response formats."""

from __future__ import annotations

import json
from typing import Any, Literal

from tests.matrix.doors.door import Kinds, list_columns, read_part
from tests.matrix.question import Answer, Kind, Part, Question, Value, to_milliseconds
from tests.unit.api.conftest import Server

Form = Literal["default", "compact", "columnar"]


class Rest:
    """`POST /cubejs-api/v1/load`."""

    def __init__(self, server: Server, kinds: Kinds, form: Form) -> None:
        self.name = f"rest {form}"
        self._server = server
        self._kinds = kinds
        self._form = form

    def ask(self, question: Question) -> Answer:
        """Ask; several date ranges are one request."""
        query = question.document | {"responseFormat": self._form}
        body = {"query": query, "queryType": "multi"}
        response = self._server.client.post("/cubejs-api/v1/load", json=body)
        assert response.status_code == 200, response.text
        results = json.loads(response.text)["results"]
        return Answer(tuple(self._read(item, question) for item in results))

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Times have milliseconds in Cube's protocol."""
        del kind, column, zone
        return to_milliseconds(value)

    def try_words(self, words: str) -> object:
        """Nothing is beyond this door's words."""
        return words

    def close(self) -> None:
        """Nothing is open."""

    def _read(self, result: dict[str, Any], question: Question) -> Part:
        columns = list_columns(question.document)
        data = result["data"]
        rows: list[Any]
        match self._form:
            case "default":
                rows = [[row[name] for name in columns] for row in data]
            case "compact":
                places = (
                    [data["members"].index(name) for name in columns] if data["dataset"] else []
                )
                rows = [[row[place] for place in places] for row in data["dataset"]]
            case "columnar":
                named = dict(zip(data["members"], data["columns"], strict=True))
                rows = [*zip(*(named[name] for name in columns), strict=True)] if named else []
        for row in rows:
            for name, cell in zip(columns, row, strict=True):
                shown = bool if self._kinds[name] == "boolean" else str
                assert cell is None or isinstance(cell, shown), (name, cell)
        return read_part(columns, rows, self._kinds, result.get("total"))
