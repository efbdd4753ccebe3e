"""SQL over Arrow Flight: the statements of the Postgres wire, by the real ADBC driver, as Arrow."""

from __future__ import annotations

from typing import Any, Final

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager as manager
import pyarrow as pa

from tests.matrix.doors.door import Kinds, list_columns
from tests.matrix.doors.local import read_table
from tests.matrix.doors.wire import spell
from tests.matrix.question import Answer, Kind, Part, Question, Value
from tests.matrix.site import Doors

BEARER: Final = "adbc.flight.sql.authorization_header"
ZONE: Final = "adbc.flight.sql.rpc.call_header.x-ducat-timezone"


class Flight:
    """A connection of `adbc-driver-flightsql`."""

    name = "flight"

    def __init__(self, doors: Doors, kinds: Kinds) -> None:
        self._kinds = kinds
        self._connection = adbc.connect(
            f"grpc://127.0.0.1:{doors.flight_port}",
            db_kwargs={BEARER: f"Bearer {doors.token}"},
            autocommit=True,
        )

    def ask(self, question: Question) -> Answer:
        """Ask a SELECT for each date range, and one for the total."""
        return Answer(tuple(self._ask(part, question.zone) for part in question.parts))

    def _ask(self, document: dict[str, Any], zone: str) -> Part:
        table = self._run(spell(document, self._kinds), zone)
        total = None
        if document.get("total"):
            whole = {
                key: value for key, value in document.items() if key not in {"limit", "offset"}
            }
            counted = self._run(f"SELECT count(*) FROM ({spell(whole, self._kinds)}) t", zone)
            total = counted.column(0)[0].as_py()
        columns = list_columns(document)
        return read_table(table.rename_columns(columns), columns, self._kinds, total)

    def _run(self, text: str, zone: str = "UTC") -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{ZONE: zone})
            cursor.execute(text)
            return cursor.fetch_arrow_table()

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Everything is as it is."""
        del kind, column, zone
        return value

    def try_words(self, words: str) -> object:
        """Ask a statement."""
        try:
            return self._run(words)
        except manager.Error as refused:
            is_defect = refused.status_code is manager.AdbcStatusCode.INTERNAL
            return refused if is_defect else None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
