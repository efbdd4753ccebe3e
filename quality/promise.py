"""What a gold table promises to the people who build on it: a YAML file per table.

A contract is read strictly: a key that is not known here is an error and never ignored, because
a promise that nobody checks is worse than none. `quality/contract.py` turns files into these
classes, `quality/checks.py` turns them into rules. The JSON Schema of a file, for editors, is
`contract_schema()`.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic.dataclasses import dataclass

Severity = Literal["error", "warning"]
"""An `error` keeps a candidate out of service; a `warning` is reported and lets it pass."""

Bound = StrictInt | StrictFloat | date
"""A least or greatest value; `date` covers `datetime` too."""

Allowed = StrictBool | StrictInt | StrictStr

NAME: Final = r"^[a-z_][a-z0-9_]*$"
Name = Annotated[StrictStr, Field(pattern=NAME, max_length=128)]

TYPES: Final = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_TYPE_PATTERN: Final = rf"^({'|'.join(TYPES)}|{_DECIMAL.pattern})$"
_DURATION: Final = re.compile(r"(\d{1,6}) (minute|hour|day)s?")
_REFERENCE: Final = re.compile(r"([a-z_][a-z0-9_]*)\.([a-z_][a-z0-9_]*)")
_STRICT: Final = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def _read_duration(value: Any) -> Any:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a duration as `26 hours`, `30 minutes` or `2 days`")
    return timedelta(**{f"{match[2]}s": int(match[1])})


def _read_bound(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        raise ValueError("a time without a zone is meant here: the tables keep UTC")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Reference:
    """A column of another gold table in which every value must be found."""

    table: Name
    column: Name

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


def _read_type(value: Any) -> Any:
    if not isinstance(value, str) or (value not in TYPES and not _DECIMAL.fullmatch(value)):
        raise ValueError(f"a type is one of {', '.join(TYPES)}, decimal(p, s)")
    return value


def _read_reference(value: Any) -> Any:
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a reference as `table.column`")
    return Reference(table=match[1], column=match[2])


@dataclass(frozen=True, slots=True, config=_STRICT, kw_only=True)
class Column:
    """One column and what its values promise. Without `nullable` a value must always be there."""

    name: Name
    type: Annotated[
        str,
        BeforeValidator(_read_type),
        WithJsonSchema({"type": "string", "pattern": _TYPE_PATTERN}),
    ]
    description: StrictStr = ""
    nullable: StrictBool = False
    max_null_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    unique: StrictBool = False
    min: Annotated[Bound, BeforeValidator(_read_bound)] | None = None
    max: Annotated[Bound, BeforeValidator(_read_bound)] | None = None
    values: Annotated[tuple[Allowed, ...], Field(min_length=1)] | None = None
    pattern: StrictStr | None = None
    max_length: Annotated[StrictInt, Field(ge=1)] | None = None
    references: (
        Annotated[
            Reference,
            BeforeValidator(_read_reference),
            WithJsonSchema({"type": "string", "pattern": f"^{_REFERENCE.pattern}$"}),
        ]
        | None
    ) = None
    severity: Severity | None = None

    @property
    def database_type(self) -> str:
        """The name that DuckDB gives this type, as `DESCRIBE` writes it."""
        decimal = _DECIMAL.fullmatch(self.type)
        return f"DECIMAL({decimal[1]},{decimal[2]})" if decimal else TYPES[self.type]


@dataclass(frozen=True, slots=True, config=_STRICT, kw_only=True)
class PerDay:
    """How many rows each day may have, from the first day of the table to the last.

    A day in between without any row counts as a day of 0 rows: `min: 1` finds gaps.
    """

    column: Name
    min: Annotated[StrictInt, Field(ge=0)] = 0
    max: Annotated[StrictInt, Field(ge=1)] | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, config=_STRICT, kw_only=True)
class Rows:
    """How many rows the table may have."""

    min: Annotated[StrictInt, Field(ge=0)] = 1
    max: Annotated[StrictInt, Field(ge=1)] | None = None
    per_day: PerDay | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, config=_STRICT, kw_only=True)
class Freshness:
    """How old the table may be.

    `loaded_within` limits the age of the newest source batch, `data_within` the age of the
    newest value of `event_time`. A warning unless it says otherwise: to keep newer rows out of
    service would leave readers with rows that are older still.
    """

    loaded_within: Duration | None = None
    data_within: Duration | None = None
    event_time: Name | None = None
    severity: Severity = "warning"


@dataclass(frozen=True, slots=True, config=_STRICT, kw_only=True)
class Contract:
    """The promise of one gold table. The columns are all of them: a further one breaks it."""

    table: Name
    title: StrictStr
    owner: StrictStr
    description: StrictStr
    key: Annotated[tuple[Name, ...], Field(min_length=1)]
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    rows: Rows = Rows()
    freshness: Freshness | None = None
    severity: Severity = "error"

    def find(self, name: str) -> Column | None:
        """Return the column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


CONTRACT: Final = TypeAdapter(Contract)


def contract_schema() -> dict[str, Any]:
    """Return the JSON Schema of a contract file, as editors use it."""
    return {"title": "Ducat data contract"} | CONTRACT.json_schema()
