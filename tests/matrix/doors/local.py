"""Python in this process: `from semantic import connect`. What other doors are compared with."""

from __future__ import annotations

import os
from typing import Any, Final
from unittest import mock

import pyarrow as pa

from semantic import connect
from tests.matrix.doors.door import Kinds, list_columns, read_part
from tests.matrix.question import Answer, Kind, Part, Question, Value
from tests.matrix.site import GROUPS
from tests.unit.api.conftest import Site

ARROW: Final = {
    "number": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    "string": (pa.types.is_string, pa.types.is_large_string),
    "boolean": (pa.types.is_boolean,),
    "time": (pa.types.is_timestamp, pa.types.is_date),
}


class Local:
    """`connect(...).query(...).to_arrow()`."""

    name = "python"

    def __init__(self, site: Site, kinds: Kinds) -> None:
        self._kinds = kinds
        with mock.patch.dict(os.environ, site.environment()):
            self._metrics = connect(site.project, user="ann", groups=GROUPS)

    def ask(self, question: Question) -> Answer:
        """Ask a query for each date range."""
        return Answer(tuple(self._ask(document) for document in question.parts))

    def _ask(self, document: dict[str, Any]) -> Part:
        result = self._metrics.query(document).run()
        return read_table(result.table, list_columns(document), self._kinds, result.total)

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Everything is as it is."""
        del kind, column, zone
        return value

    def try_words(self, words: str) -> object:
        """Nothing is beyond this door's words."""
        return words

    def close(self) -> None:
        """Close the engine."""
        self._metrics.close()


def read_table(table: pa.Table, columns: list[str], kinds: Kinds, total: int | None = None) -> Part:
    """Return an Arrow table's rows, its types checked."""
    found = [table.column(name) for name in columns]
    for name, column in zip(columns, found, strict=True):
        fits = (*ARROW[kinds[name]], pa.types.is_null)
        assert any(check(column.type) for check in fits), (name, column.type)
    rows = list(zip(*(column.to_pylist() for column in found), strict=True))
    return read_part(columns, rows, kinds, total)
