"""The PostgreSQL types of a table's columns: those in which their values are really sent.

The model says `number`; whether that is a bigint, a double or a numeric only the tables know. So the
layer is asked for the columns, with no rows; once for each table, caller's view and snapshot.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime
from typing import Final

from api.postgres.query.tables import Column, Table
from api.postgres.types import BOOL, FLOAT8, INT8, TEXT, TIMESTAMP, PgType, type_of
from semantic.errors import DucatError
from semantic.query.context import SecurityContext
from semantic.query.query import Query
from semantic.service import SemanticLayer

_KEPT: Final = 256
_KNOWN: Final[dict[str, PgType]] = {
    "string": TEXT,
    "geo": TEXT,
    "switch": TEXT,
    "boolean": BOOL,
    "time": TIMESTAMP,
    "count": INT8,
    "count_distinct": INT8,
    "count_distinct_approx": INT8,
    "rank": INT8,
}
Types = dict[str, PgType]


class TypeBook:
    """Finds the types of columns, and keeps them. Safe to use from several threads."""

    def __init__(self, layer: SemanticLayer) -> None:
        self._layer = layer
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[object, ...], tuple[object, Types]] = OrderedDict()

    def find(self, table: Table, column: Column, context: SecurityContext, now: datetime) -> PgType:
        """Return the type of a column."""
        known = _KNOWN.get(column.type)
        if known is not None:
            return known
        return self._read(table, context, now).get(column.name, FLOAT8)

    def _read(self, table: Table, context: SecurityContext, now: datetime) -> Types:
        visible = self._layer.visible(context)
        try:
            snapshot = self._layer.state().snapshot
        except DucatError:
            return {}
        key = (id(visible), snapshot, table.name)
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                return found[1]
        types: Types = {}
        for kind in ("dimension", "measure"):
            names = [
                column.name
                for column in table.columns
                if column.kind == kind and column.type not in _KNOWN
            ]
            types |= self._probe(table.name, kind, names, context, now)
        with self._lock:
            # The catalog is kept with its types: its id stays its own.
            self._found[key] = (visible, types)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return types

    def _probe(
        self, table: str, kind: str, names: list[str], context: SecurityContext, now: datetime
    ) -> Types:
        if not names:
            return {}
        members = tuple(f"{table}.{name}" for name in names)
        query = Query(dimensions=members, limit=0) if kind == "dimension" else Query(
            measures=members, limit=0
        )  # fmt: skip
        try:
            result = self._layer.load(query, context, now=now)
        except DucatError:
            if len(names) == 1:
                return {}  # of a kind that cannot be asked alone: FLOAT8
            found: Types = {}
            for name in names:
                found |= self._probe(table, kind, [name], context, now)
            return found
        return {
            column.member.partition(".")[2]: type_of(result.table.schema.field(place).type)
            for place, column in enumerate(result.columns)
        }
