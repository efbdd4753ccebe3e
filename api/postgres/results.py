"""An answer's columns as the wire describes them, and answers made to keep a description."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from api.postgres.errors import SqlError
from api.postgres.protocol.wire import Field
from api.postgres.types import type_of
from api.postgres.variables import Variables


def describe_fields(schema: pa.Schema) -> list[Field]:
    """Return the columns of an answer."""
    found = []
    for field in schema:
        type_ = type_of(field.type)
        found.append(Field(field.name, type_.oid, type_.size))
    return found


def conform(table: pa.Table, schema: pa.Schema | None) -> pa.Table:
    """Return an answer in the types that its statement was described with.

    Raises:
        SqlError: a value does not fit: a client that was told bigint must not get a numeric.
    """
    if schema is None or table.schema.types == schema.types:
        return table
    if len(table.schema) != len(schema):
        raise SqlError("cached plan must not change result type", sqlstate="0A000")
    columns = []
    for column, field in zip(table.columns, schema, strict=True):
        if type_of(column.type) == type_of(field.type):
            columns.append(column)
            continue
        try:
            columns.append(pc.cast(column, field.type, safe=True))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as unfit:
            raise SqlError(
                f'a value of "{field.name[:60]}" does not fit into {type_of(field.type).title}',
                sqlstate="22003",
                suggestion="prepare the statement again, or cast the column to numeric",
            ) from unfit
    return pa.Table.from_arrays(columns, names=table.schema.names)


def show_setting(variables: Variables, name: str) -> pa.Table:
    """Return what SHOW answers: one value, or all of them."""
    if name.lower() == "all":
        items = sorted(variables.all().items())
        return pa.table(
            {
                "name": [item[0] for item in items],
                "setting": [item[1] for item in items],
                "description": [""] * len(items),
            }
        )
    key = variables.key_of(name)
    shown = {"timezone": "TimeZone", "datestyle": "DateStyle"}.get(key, key)
    return pa.table({shown: pa.array([variables.show(name)], pa.string())})
