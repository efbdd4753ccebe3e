"""The relations of pg_catalog and information_schema, and their columns.

`relations.txt` has a relation a line: its name, then its columns with a letter for the type, as a
PostgreSQL 15 has them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

PG: Final = "pg_catalog"
SCHEMAS: Final = (PG, "information_schema")
_TYPES: Final[dict[str, pa.DataType]] = {
    "o": pa.uint32(),
    "i": pa.int32(),
    "h": pa.int16(),
    "b": pa.bool_(),
    "f": pa.float32(),
    "s": pa.string(),
    "z": pa.timestamp("us", "UTC"),
    "I": pa.list_(pa.uint32()),
    "S": pa.list_(pa.string()),
}
CLASS_OIDS: Final = MappingProxyType(
    {"pg_class": 1259, "pg_type": 1247, "pg_attribute": 1249, "pg_proc": 1255,
     "pg_namespace": 2615, "pg_database": 1262, "pg_constraint": 2606, "pg_attrdef": 2604,
     "pg_description": 2609, "pg_index": 2610, "pg_am": 2601, "pg_authid": 1260,
     "pg_extension": 3079, "pg_enum": 3501, "pg_trigger": 2620, "pg_rewrite": 2618}
)  # fmt: skip


@cache
def relations() -> Mapping[str, pa.Schema]:
    """Return the columns of each relation, by `schema.name`."""
    text = resources.files(__package__).joinpath("relations.txt").read_text()
    found: dict[str, pa.Schema] = {}
    for line in text.splitlines():
        name, *columns = line.split()
        pairs = (column.rpartition(":") for column in columns)
        found[name] = pa.schema([(column, _TYPES[letter]) for column, _, letter in pairs])
    return MappingProxyType(found)


def find_relation(schema: str, name: str) -> str | None:
    """Return `schema.name` of a catalog's relation; without a schema it is pg_catalog's."""
    full = f"{schema or PG}.{name}"
    return full if full in relations() else None
