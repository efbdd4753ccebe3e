"""The rows of the catalog: what this caller sees of the model, as PostgreSQL would list it.

Each function gives the rows of one relation as dictionaries ; a column without a value is null. Relations that are not here are empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from api.postgres.catalog.names import CLASS_OIDS, relations
from api.postgres.query.tables import Column, Table, Tables
from api.postgres.types import ITEMS, TYPES, PgType

Row = dict[str, Any]
PG_CATALOG: Final = 11
PUBLIC: Final = 2200
INFORMATION_SCHEMA: Final = 13_000
OWNER: Final = 10
DATABASE: Final = 5
COLLATION: Final = 100
_WORD: Final = 8  # bytes that pass by value
_TYPES_FROM: Final = 100_000  # OIDs of the tables' row types


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the catalog says besides the model."""

    tables: Tables
    type_of: Callable[[Table, Column], PgType]
    database: str
    user: str
    process: int
    started: datetime
    settings: Mapping[str, str]
    columns_of: Callable[[Table], tuple[Column, ...]]


def build_relation(name: str, around: Surroundings) -> pa.Table:
    """Return a relation of the catalog as a table."""
    schema = relations()[name]
    make = _MAKERS.get(name)
    rows = [] if make is None else list(make(around))
    return pa.table(
        {
            field.name: pa.array([row.get(field.name) for row in rows], field.type)
            for field in schema
        },
        schema=schema,
    )


def _namespaces(_: Surroundings) -> Iterable[Row]:
    for oid, name in (
        (PG_CATALOG, "pg_catalog"), (PUBLIC, "public"), (INFORMATION_SCHEMA, "information_schema"),
    ):  # fmt: skip
        yield {"oid": oid, "nspname": name, "nspowner": OWNER}


def _databases(around: Surroundings) -> Iterable[Row]:
    yield {
        "oid": DATABASE, "datname": around.database, "datdba": OWNER, "encoding": 6,
        "datlocprovider": "c", "datistemplate": False, "datallowconn": True, "datconnlimit": -1,
        "datfrozenxid": 1, "datminmxid": 1, "dattablespace": 1663, "datcollate": "C.UTF-8",
        "datctype": "C.UTF-8",
    }  # fmt: skip


def _roles(around: Surroundings) -> Iterable[Row]:
    yield _role(OWNER, "ducat", login=False)
    if around.user != "ducat":
        yield _role(OWNER + 1, around.user, login=True)


def _role(oid: int, name: str, *, login: bool) -> Row:
    rights = dict.fromkeys(
        ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls"), False
    )
    return {
        "oid": oid, "rolname": name, "rolinherit": True, "rolcanlogin": login, "rolconnlimit": -1,
        **rights, "usename": name, "usesysid": oid, "usecreatedb": False, "usesuper": False,
        "userepl": False, "usebypassrls": False,
    }  # fmt: skip


def _classes(around: Surroundings) -> Iterable[Row]:
    for table in around.tables.tables:
        yield {
            "oid": table.oid, "relname": table.name, "relnamespace": PUBLIC,
            "reltype": _TYPES_FROM + table.oid, "reloftype": 0, "relowner": OWNER,
            "relam": 0 if table.is_view else 2, "relfilenode": 0, "reltablespace": 0,
            "relpages": 0, "reltuples": -1.0, "relallvisible": 0, "reltoastrelid": 0,
            "relhasindex": False, "relisshared": False, "relpersistence": "p",
            "relkind": "v" if table.is_view else "r",
            "relnatts": len(around.columns_of(table)), "relchecks": 0, "relhasrules": False,
            "relhastriggers": False, "relhassubclass": False, "relrowsecurity": False,
            "relforcerowsecurity": False, "relispopulated": True, "relreplident": "n",
            "relispartition": False, "relrewrite": 0, "relfrozenxid": 0, "relminmxid": 0,
        }  # fmt: skip


def _attributes(around: Surroundings) -> Iterable[Row]:
    for table in around.tables.tables:
        for number, column in enumerate(around.columns_of(table), start=1):
            type_ = around.type_of(table, column)
            yield {
                "attrelid": table.oid, "attname": column.name, "atttypid": type_.oid,
                "attstattarget": -1, "attlen": type_.size, "attnum": number, "attndims": 0,
                "attcacheoff": -1, "atttypmod": -1, "attbyval": 0 < type_.size <= _WORD,
                "attalign": "d" if type_.size == _WORD else "i", "attstorage": "p" if type_.size > 0
                else "x", "attcompression": "", "attnotnull": False, "atthasdef": False,
                "atthasmissing": False, "attidentity": "", "attgenerated": "",
                "attisdropped": False, "attislocal": True, "attinhcount": 0,
                "attcollation": COLLATION if type_.category == "S" else 0,
            }  # fmt: skip


def _types(around: Surroundings) -> Iterable[Row]:
    for item in TYPES.values():
        is_array = item.oid in ITEMS
        element = ITEMS[item.oid].oid if is_array else 0
        yield _type(item.oid, item.name, item.size, item.category, item.array, element,
                    kind="p" if item.name == "unknown" else "b")  # fmt: skip
    for table in around.tables.tables:
        yield _type(_TYPES_FROM + table.oid, table.name, -1, "C", 0, 0, kind="c") | {
            "typnamespace": PUBLIC, "typrelid": table.oid, "typinput": "record_in",
            "typoutput": "record_out", "typreceive": "record_recv", "typsend": "record_send",
        }  # fmt: skip


def _type(
    oid: int, name: str, size: int, category: str, array: int, element: int, *, kind: str
) -> Row:
    base = "array" if element else name
    mark = "_" if element or name in {"date", "time", "timestamp", "timestamptz", "interval",
                                      "numeric", "uuid", "json", "jsonb"} else ""  # fmt: skip
    return {
        "oid": oid, "typname": name, "typnamespace": PG_CATALOG, "typowner": OWNER, "typlen": size,
        "typbyval": 0 < size <= _WORD, "typtype": kind, "typcategory": category,
        "typispreferred": name in {"bool", "text", "float8", "timestamptz", "interval", "oid"},
        "typisdefined": True, "typdelim": ",", "typrelid": 0,
        "typsubscript": "array_subscript_handler" if element else "-", "typelem": element,
        "typarray": array, "typinput": f"{base}{mark}in", "typoutput": f"{base}{mark}out",
        "typreceive": f"{base}{mark}recv", "typsend": f"{base}{mark}send", "typmodin": "-",
        "typmodout": "-", "typanalyze": "-", "typalign": "d" if size == _WORD else "i",
        "typstorage": "p" if size > 0 else "x", "typnotnull": False, "typbasetype": 0,
        "typtypmod": -1, "typndims": 0, "typcollation": COLLATION if category == "S" else 0,
    }  # fmt: skip


def _descriptions(around: Surroundings) -> Iterable[Row]:
    for table in around.tables.tables:
        if text := table.description or table.title:
            yield _description(table.oid, 0, text)
        for number, column in enumerate(around.columns_of(table), start=1):
            if text := _describe(column):
                yield _description(table.oid, number, text)


def _describe(column: Column) -> str:
    text = column.description or column.title
    return f"{text} Ask MEASURE({column.name})." if column.kind == "measure" else text


def _description(oid: int, number: int, text: str) -> Row:
    return {
        "objoid": oid, "classoid": CLASS_OIDS["pg_class"], "objsubid": number, "description": text
    }  # fmt: skip


def _settings(around: Surroundings) -> Iterable[Row]:
    for name, value in sorted(around.settings.items()):
        yield {
            "name": name, "setting": value, "category": "Ducat", "short_desc": "", "context": "user",
            "vartype": "string", "source": "default", "boot_val": value, "reset_val": value,
            "pending_restart": False,
        }  # fmt: skip


def _methods(_: Surroundings) -> Iterable[Row]:
    yield {"oid": 2, "amname": "heap", "amhandler": "heap_tableam_handler", "amtype": "t"}


def _activity(around: Surroundings) -> Iterable[Row]:
    yield {
        "datid": DATABASE, "datname": around.database, "pid": around.process, "usesysid": OWNER,
        "usename": around.user, "application_name": around.settings.get("application_name", ""),
        "backend_start": around.started, "state": "active", "backend_type": "client backend",
    }  # fmt: skip


def _collations(_: Surroundings) -> Iterable[Row]:
    yield {
        "oid": COLLATION, "collname": "default", "collnamespace": PG_CATALOG, "collowner": OWNER,
        "collprovider": "d", "collisdeterministic": True, "collencoding": -1,
    }  # fmt: skip


def _pg_tables(around: Surroundings) -> Iterable[Row]:
    for table in around.tables.tables:
        if not table.is_view:
            yield {
                "schemaname": "public", "tablename": table.name, "tableowner": "ducat",
                "hasindexes": False, "hasrules": False, "hastriggers": False, "rowsecurity": False,
            }  # fmt: skip


def _pg_views(around: Surroundings) -> Iterable[Row]:
    for table in around.tables.tables:
        if table.is_view:
            yield {"schemaname": "public", "viewname": table.name, "viewowner": "ducat"}


def _schemata(around: Surroundings) -> Iterable[Row]:
    for name in ("public", "pg_catalog", "information_schema"):
        yield {"catalog_name": around.database, "schema_name": name, "schema_owner": "ducat"}


def _table_rows(around: Surroundings) -> Iterable[Row]:
    for table in around.tables.tables:
        yield {
            "table_catalog": around.database, "table_schema": "public", "table_name": table.name,
            "table_type": "VIEW" if table.is_view else "BASE TABLE", "is_insertable_into": "NO",
            "is_typed": "NO",
        }  # fmt: skip


def _view_rows(around: Surroundings) -> Iterable[Row]:
    for table in around.tables.tables:
        if table.is_view:
            yield {
                "table_catalog": around.database, "table_schema": "public",
                "table_name": table.name, "check_option": "NONE", "is_updatable": "NO",
                "is_insertable_into": "NO", "is_trigger_updatable": "NO",
                "is_trigger_deletable": "NO", "is_trigger_insertable_into": "NO",
            }  # fmt: skip


def _column_rows(around: Surroundings) -> Iterable[Row]:
    for table in around.tables.tables:
        for number, column in enumerate(around.columns_of(table), start=1):
            type_ = around.type_of(table, column)
            bits = {"int2": 16, "int4": 32, "int8": 64, "float4": 24, "float8": 53}.get(type_.name)
            yield {
                "table_catalog": around.database, "table_schema": "public",
                "table_name": table.name, "column_name": column.name, "ordinal_position": number,
                "is_nullable": "YES", "data_type": type_.title, "numeric_precision": bits,
                "numeric_precision_radix": 2 if bits else (10 if type_.name == "numeric" else None),
                "numeric_scale": 0 if type_.name.startswith("int") else None,
                "datetime_precision": 6 if type_.name.startswith("timestamp") else None,
                "udt_catalog": around.database, "udt_schema": "pg_catalog", "udt_name": type_.name,
                "dtd_identifier": str(number), "is_self_referencing": "NO", "is_identity": "NO",
                "identity_cycle": "NO", "is_generated": "NEVER", "is_updatable": "NO",
                "character_octet_length": 1_073_741_824 if type_.name == "text" else None,
            }  # fmt: skip


def _catalog_name(around: Surroundings) -> Iterable[Row]:
    yield {"catalog_name": around.database}


_MAKERS: Final[dict[str, Callable[[Surroundings], Iterable[Row]]]] = {
    "pg_catalog.pg_namespace": _namespaces,
    "pg_catalog.pg_database": _databases,
    "pg_catalog.pg_roles": _roles,
    "pg_catalog.pg_authid": _roles,
    "pg_catalog.pg_user": _roles,
    "pg_catalog.pg_class": _classes,
    "pg_catalog.pg_attribute": _attributes,
    "pg_catalog.pg_type": _types,
    "pg_catalog.pg_description": _descriptions,
    "pg_catalog.pg_settings": _settings,
    "pg_catalog.pg_am": _methods,
    "pg_catalog.pg_stat_activity": _activity,
    "pg_catalog.pg_collation": _collations,
    "pg_catalog.pg_tables": _pg_tables,
    "pg_catalog.pg_views": _pg_views,
    "information_schema.schemata": _schemata,
    "information_schema.tables": _table_rows,
    "information_schema.views": _view_rows,
    "information_schema.columns": _column_rows,
    "information_schema.information_schema_catalog_name": _catalog_name,
}
