"""What clients ask about the server and its tables: only what the caller may see.

One catalog, `ducat`, with one schema, `public`, as on the Postgres wire; cubes are tables, views are
views. The types of a table's columns are those in which their values are sent.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from api.postgres.query.answer import Answerer
from api.postgres.query.plan import DATABASE, SCHEMA
from api.postgres.query.tables import Column, Table
from semantic.errors import DucatError, UnsupportedError
from semantic.query.context import SecurityContext
from semantic.query.query import Query

_KEPT: Final = 256
_NAMES: Final = [("catalog_name", pa.string()), ("db_schema_name", pa.string())]
CATALOGS: Final = pa.schema([pa.field("catalog_name", pa.string(), nullable=False)])
SCHEMAS: Final = pa.schema([_NAMES[0], pa.field("db_schema_name", pa.string(), nullable=False)])
TABLES: Final = pa.schema(
    [
        *_NAMES,
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("table_type", pa.string(), nullable=False),
    ]
)
DETAILED: Final = TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
TABLE_TYPES: Final = pa.schema([pa.field("table_type", pa.string(), nullable=False)])
PRIMARY_KEYS: Final = pa.schema(
    [
        *_NAMES,
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("column_name", pa.string(), nullable=False),
        ("key_name", pa.string()),
        pa.field("key_sequence", pa.int32(), nullable=False),
    ]
)
FOREIGN_KEYS: Final = pa.schema(
    [
        *(
            pa.field(f"{side}_{name}", pa.string(), nullable=name.startswith(("cat", "db")))
            for side in ("pk", "fk")
            for name in ("catalog_name", "db_schema_name", "table_name", "column_name")
        ),
        pa.field("key_sequence", pa.int32(), nullable=False),
        ("fk_key_name", pa.string()),
        ("pk_key_name", pa.string()),
        pa.field("update_rule", pa.uint8(), nullable=False),
        pa.field("delete_rule", pa.uint8(), nullable=False),
    ]
)
_KNOWN: Final[dict[str, pa.DataType]] = {
    "string": pa.string(), "geo": pa.string(), "switch": pa.string(), "boolean": pa.bool_(),
    "time": pa.timestamp("us"), "count": pa.int64(), "count_distinct": pa.int64(),
    "count_distinct_approx": pa.int64(), "rank": pa.int64(),
}  # fmt: skip
Types = dict[str, pa.DataType]


class Metadata:
    """Answers about tables. Safe to use from several threads; `schemas` asks the engine."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[object, ...], tuple[object, Types]] = OrderedDict()

    def catalogs(self) -> pa.Table:
        """Return the one catalog."""
        return _table([{"catalog_name": DATABASE}], CATALOGS)

    def schemas(self, command: Any) -> pa.Table:
        """Return the one schema, if it is what is asked for."""
        rows = [{"catalog_name": DATABASE, "db_schema_name": SCHEMA}]
        return _table(rows if self._is_here(command) else [], SCHEMAS)

    def tables(self, command: Any, context: SecurityContext) -> pa.Table:
        """Return the tables that are asked for, with their columns where those are asked, too."""
        rows = []
        is_named = _like(command, "table_name_filter_pattern")
        kinds = set(command.table_types)
        for table in self._answerer.tables(context).tables if self._is_here(command) else ():
            kind = "VIEW" if table.is_view else "TABLE"
            if not is_named(table.name) or (kinds and kind not in kinds):
                continue
            row: dict[str, Any] = {
                "catalog_name": DATABASE, "db_schema_name": SCHEMA,
                "table_name": table.name, "table_type": kind,
            }  # fmt: skip
            if command.include_schema:
                row["table_schema"] = self._describe(table, context).serialize().to_pybytes()
            rows.append(row)
        return _table(rows, DETAILED if command.include_schema else TABLES)

    def table_types(self) -> pa.Table:
        """Return what kinds of tables there are."""
        return _table([{"table_type": "TABLE"}, {"table_type": "VIEW"}], TABLE_TYPES)

    def primary_keys(self, command: Any, context: SecurityContext) -> pa.Table:
        """Return the columns of a cube's primary key, if the caller sees them all."""
        tables = self._answerer.tables(context)
        table = tables.find(command.table) if _is_ours(command, ("catalog", "db_schema")) else None
        cube = None if table is None or table.is_view else tables.whole.cubes.get(table.name)
        if table is None or cube is None:
            return _table([], PRIMARY_KEYS)
        keys = [item.name for item in cube.dimensions.values() if item.primary_key]
        seen = {column.name for column in table.columns}
        rows = [
            {"catalog_name": DATABASE, "db_schema_name": SCHEMA, "table_name": table.name,
             "column_name": name, "key_name": f"{table.name}_pkey", "key_sequence": number}
            for number, name in enumerate(keys, 1)
        ]  # fmt: skip
        return _table(rows if seen >= set(keys) else [], PRIMARY_KEYS)

    def foreign_keys(self) -> pa.Table:
        """Return none: joins are the model's, and never written in a statement."""
        return FOREIGN_KEYS.empty_table()

    def _is_here(self, command: Any) -> bool:
        return _is_ours(command, ("catalog",)) and _like(command, "db_schema_filter_pattern")(
            SCHEMA
        )

    def _describe(self, table: Table, context: SecurityContext) -> pa.Schema:
        types = self._types(table, context)
        return pa.schema([_field(table, column, types) for column in table.columns])

    def _types(self, table: Table, context: SecurityContext) -> Types:
        layer = self._answerer.layer
        visible = layer.visible(context)
        try:
            snapshot = layer.state().snapshot
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
            types |= self._probe(table.name, kind, names, context)
        with self._lock:
            # The catalog is kept with its types: its id stays its own.
            self._found[key] = (visible, types)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return types

    def _probe(self, table: str, kind: str, names: list[str], context: SecurityContext) -> Types:
        if not names:
            return {}
        members = tuple(f"{table}.{name}" for name in names)
        query = Query(dimensions=members, limit=0) if kind == "dimension" else Query(
            measures=members, limit=0
        )  # fmt: skip
        try:
            with self._answerer.layer.stream(
                query, context, now=datetime.now(UTC), wide=True
            ) as stream:
                return {
                    column.member.partition(".")[2]: stream.schema.field(place).type
                    for place, column in enumerate(stream.head.columns)
                }
        except DucatError:
            if len(names) == 1:
                return {}  # of a kind that cannot be asked alone
            found: Types = {}
            for name in names:
                found |= self._probe(table, kind, [name], context)
            return found


def _field(table: Table, column: Column, types: Types) -> pa.Field:
    told = {
        "ARROW:FLIGHT:SQL:CATALOG_NAME": DATABASE,
        "ARROW:FLIGHT:SQL:SCHEMA_NAME": SCHEMA,
        "ARROW:FLIGHT:SQL:TABLE_NAME": table.name,
        "ARROW:FLIGHT:SQL:IS_READ_ONLY": "1",
        "ducat.kind": column.kind,
        "ducat.title": column.title,
    }
    if column.description:
        told["ARROW:FLIGHT:SQL:REMARKS"] = column.description
    kind = _KNOWN.get(column.type) or types.get(column.name, pa.float64())
    return pa.field(column.name, kind, metadata=told)


def _is_ours(command: Any, fields: tuple[str, ...]) -> bool:
    """Whether the names that a command gives are ours; those it does not give are."""
    names = {"catalog": DATABASE, "db_schema": SCHEMA}
    return all(
        not command.HasField(field) or getattr(command, field) == names[field] for field in fields
    )


def _like(command: Any, field: str) -> Callable[[str], bool]:
    """Return whether a name is like the pattern of a field, with % and _; all are without one."""
    if not command.HasField(field):
        return lambda _: True
    written = {"%": ".*", "_": "."}
    pattern = re.compile(
        "".join(
            written.get(letter, re.escape(letter))
            for letter in re.sub("%+", "%", getattr(command, field))
        ),
        re.DOTALL,
    )
    return lambda name: pattern.fullmatch(name) is not None


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def answer_command(
    name: str, command: Any, metadata: Metadata, context: SecurityContext
) -> pa.Table:
    """Return the answer to a command about tables.

    Raises:
        UnsupportedError: it is none that is answered.
    """
    match name:
        case "CommandGetCatalogs":
            return metadata.catalogs()
        case "CommandGetDbSchemas":
            return metadata.schemas(command)
        case "CommandGetTables":
            return metadata.tables(command, context)
        case "CommandGetTableTypes":
            return metadata.table_types()
        case "CommandGetPrimaryKeys":
            return metadata.primary_keys(command, context)
        case "CommandGetExportedKeys" | "CommandGetImportedKeys" | "CommandGetCrossReference":
            return metadata.foreign_keys()
    raise UnsupportedError(
        f"{name[:60]} is not offered: numbers are read here, and nothing is written",
        suggestion="send a query: CommandStatementQuery or a prepared statement",
    )
