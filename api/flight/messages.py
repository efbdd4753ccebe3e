"""Flight SQL's messages, described here and read with protobuf: no code is generated.

`SHAPES` says which fields a message has: name, number, type. Only what this door reads or writes
stands there; a field that is not known is kept from nobody, protobuf passes over it. `unpack` reads
what came, an `Any` that names its message; `pack` writes one.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from semantic.errors import QuerySyntaxError

SQL: Final = "arrow.flight.protocol.sql"
FLIGHT: Final = "arrow.flight.protocol"
_PREFIX: Final = "type.googleapis.com/"
_LARGEST: Final = 4 * 1024 * 1024
Field = tuple[str, int, str]
_TABLE: Final[tuple[Field, ...]] = (
    ("catalog", 1, "string?"), ("db_schema", 2, "string?"), ("table", 3, "string"),
)  # fmt: skip
SHAPES: Final[dict[str, tuple[Field, ...]]] = {
    f"{SQL}.CommandStatementQuery": (("query", 1, "string"), ("transaction_id", 2, "bytes?")),
    f"{SQL}.CommandPreparedStatementQuery": (("prepared_statement_handle", 1, "bytes"),),
    f"{SQL}.CommandGetSqlInfo": (("info", 1, "uint32*"),),
    f"{SQL}.CommandGetXdbcTypeInfo": (("data_type", 1, "int32?"),),
    f"{SQL}.CommandGetCatalogs": (),
    f"{SQL}.CommandGetDbSchemas": (
        ("catalog", 1, "string?"), ("db_schema_filter_pattern", 2, "string?"),
    ),
    f"{SQL}.CommandGetTables": (
        ("catalog", 1, "string?"), ("db_schema_filter_pattern", 2, "string?"),
        ("table_name_filter_pattern", 3, "string?"), ("table_types", 4, "string*"),
        ("include_schema", 5, "bool"),
    ),
    f"{SQL}.CommandGetTableTypes": (),
    f"{SQL}.CommandGetPrimaryKeys": _TABLE,
    f"{SQL}.CommandGetExportedKeys": _TABLE,
    f"{SQL}.CommandGetImportedKeys": _TABLE,
    f"{SQL}.CommandGetCrossReference": (),
    f"{SQL}.TicketStatementQuery": (("statement_handle", 1, "bytes"),),
    f"{SQL}.ActionCreatePreparedStatementRequest": (
        ("query", 1, "string"), ("transaction_id", 2, "bytes?"),
    ),
    f"{SQL}.ActionCreatePreparedStatementResult": (
        ("prepared_statement_handle", 1, "bytes"), ("dataset_schema", 2, "bytes"),
        ("parameter_schema", 3, "bytes"),
    ),
    f"{SQL}.ActionClosePreparedStatementRequest": (("prepared_statement_handle", 1, "bytes"),),
    f"{SQL}.DoPutPreparedStatementResult": (("prepared_statement_handle", 1, "bytes?"),),
    f"{SQL}.ActionCancelQueryRequest": (("info", 1, "bytes"),),
    f"{SQL}.ActionCancelQueryResult": (("result", 1, "int32"),),
    f"{FLIGHT}.CancelFlightInfoRequest": (("info", 1, "bytes"),),
    f"{FLIGHT}.CancelFlightInfoResult": (("status", 1, "int32"),),
    f"{FLIGHT}.CloseSessionResult": (("status", 1, "int32"),),
}  # fmt: skip
"""`CancelFlightInfoRequest.info` is a message, which has the bytes of one on the wire."""

_TYPES: Final = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
}


def _describe(pool: descriptor_pool.DescriptorPool) -> dict[str, Any]:
    for package in (SQL, FLIGHT):
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.proto", package=package, syntax="proto3"
        )
        for name, fields in SHAPES.items():
            if name.rpartition(".")[0] != package:
                continue
            message = file.message_type.add(name=name.rpartition(".")[2])
            for title, number, kind in fields:
                _add_field(message, title, number, kind)
        pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in SHAPES
    }


def _add_field(message: descriptor_pb2.DescriptorProto, title: str, number: int, kind: str) -> None:
    field = message.field.add(name=title, number=number, type=_TYPES[kind.rstrip("?*")])
    repeated = kind.endswith("*")
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if kind.endswith("?"):
        field.oneof_index = len(message.oneof_decl)
        field.proto3_optional = True
        message.oneof_decl.add(name=f"_{title}")


_CLASSES: Final = _describe(descriptor_pool.DescriptorPool())


def unpack(data: bytes) -> tuple[str, Any]:
    """Return the short name of the message that an `Any` holds, and the message, or its bytes.

    The bytes stand for messages that this door does not know.

    Raises:
        QuerySyntaxError: the bytes are no such message.
    """
    if len(data) > _LARGEST:
        raise QuerySyntaxError("a command of Flight SQL is longer than any needs to be")
    packed = any_pb2.Any()
    try:
        packed.ParseFromString(data)
        name = packed.type_url.removeprefix(_PREFIX)
        kind = _CLASSES.get(name)
        found = packed.value if kind is None else kind.FromString(packed.value)
    except (DecodeError, UnicodeDecodeError) as malformed:
        raise QuerySyntaxError("this is no command of Flight SQL") from malformed
    if not name.startswith(f"{FLIGHT}."):
        raise QuerySyntaxError(
            "this is no command of Flight SQL",
            suggestion="use a Flight SQL client: plain paths and commands have no meaning here",
        )
    return name.rpartition(".")[2], found


def read(name: str, data: bytes) -> Any:
    """Return the message of that name which the bytes are, without an `Any` around it.

    Raises:
        QuerySyntaxError: they are none.
    """
    try:
        return _CLASSES[name].FromString(data)
    except (DecodeError, UnicodeDecodeError) as malformed:
        raise QuerySyntaxError(f"this is no {name.rpartition('.')[2]}") from malformed


def write(name: str, **fields: Any) -> bytes:
    """Return the bytes of a message."""
    message: Message = _CLASSES[name](**fields)
    return bytes(message.SerializeToString())


def pack(name: str, **fields: Any) -> bytes:
    """Return the bytes of an `Any` that holds a message."""
    packed = any_pb2.Any(type_url=f"{_PREFIX}{name}", value=write(name, **fields))
    return bytes(packed.SerializeToString())
