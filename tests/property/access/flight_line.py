"""A caller's line to Flight SQL: the ADBC driver, and plain Flight for what that does not ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager as manager
import pyarrow as pa
from pyarrow import flight

from api.flight import messages

_HEADER: Final = "adbc.flight.sql.rpc.call_header.x-request-id"
_ID: Final = "the-same"
Told = tuple[tuple[Any, ...], list[Any]]


@dataclass(frozen=True, slots=True)
class FlightLine:
    """What is told is equal for equal answers: errors have one request id, rows no order."""

    address: str
    token: str
    connection: adbc.Connection

    @classmethod
    def open(cls, port: int, token: str) -> Self:
        """Connect."""
        address = f"grpc://127.0.0.1:{port}"
        given = {"adbc.flight.sql.authorization_header": f"Bearer {token}", _HEADER: _ID}
        return cls(address, token, adbc.connect(address, db_kwargs=given, autocommit=True))

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def ask(self, target: str, *, about: str | None) -> Told:
        """Return what is told of a statement, or (`about`) of a table."""
        try:
            match about:
                case None:
                    with self.connection.cursor() as cursor:
                        cursor.execute(target)
                        return _tell(cursor.fetch_arrow_table())
                case "objects":
                    return _tell(self.connection.adbc_get_objects().read_all())
                case "columns":
                    return _tell(self.connection.adbc_get_table_schema(target).empty_table())
                case "parameters":
                    with self.connection.cursor() as cursor:
                        text = f"SELECT low FROM {target} WHERE low = $1 AND secret > $2"
                        schema = cursor.adbc_prepare(text)
                        return _tell((schema or pa.schema([])).empty_table())
                case _:
                    return _tell(self._keys(target))
        except (manager.Error, flight.FlightError, pa.ArrowException, KeyError) as refused:
            return ("refused", type(refused).__name__, str(refused)), []

    def _keys(self, table: str) -> pa.Table:
        headers = [
            (b"authorization", f"Bearer {self.token}".encode()),
            (b"x-request-id", _ID.encode()),
        ]
        options = flight.FlightCallOptions(headers=headers)
        command = messages.pack(f"{messages.SQL}.CommandGetPrimaryKeys", table=table)
        with flight.connect(self.address) as client:
            info = client.get_flight_info(flight.FlightDescriptor.for_command(command), options)
            return client.do_get(info.endpoints[0].ticket, options).read_all()


def _tell(table: pa.Table) -> Told:
    columns = tuple(
        (field.name, str(field.type), sorted((field.metadata or {}).items()))
        for field in table.schema
    )
    return ("answered", columns), table.to_pylist()
