"""Reads cases and compares answers as tests/conformance/README.md says."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import yaml

from semantic.engine.result import ResultColumn
from semantic.query.from_json import parse_json
from semantic.query.json_filters import read_filters
from semantic.query.query import AndFilter, MaskedMember, Query

HERE = Path(__file__).parent
CUBE = HERE / "cube"
OWN = HERE / "own"
GAPS = HERE / "gaps.yml"
TOLERANCE = 1e-9
EngineName = Literal["duckdb", "postgres"]
ENGINES: tuple[EngineName, ...] = ("duckdb", "postgres")
Row = Mapping[str, Any]
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(\.\d+)?(\+00)?")


@dataclass(frozen=True, slots=True)
class Case:
    """A query and what it must give."""

    name: str
    document: Mapping[str, Any]

    @property
    def query(self) -> Query:
        """The query as the planner tests mean it: no default order or limit."""
        query = parse_json(self.document["query"])
        return dataclasses.replace(
            query,
            order=() if query.order is None else query.order,
            unlimited=True,
            masked_members=tuple(_masked(item) for item in self.document.get("masked_members", ())),
        )

    @property
    def is_checkable(self) -> bool:
        """Whether something is said about the answer, apart from what serves it."""
        return not {"rows", "assertions", "error"}.isdisjoint(self.document)


@dataclass(frozen=True, slots=True)
class CaseSet:
    """One model and seed, and the cases on them."""

    name: str
    document: Mapping[str, Any]

    def model(self, engine: EngineName) -> str:
        """Return the model's text for a database."""
        own = self.document.get("model_duckdb") if engine == "duckdb" else None
        return str(own or self.document["model"])

    def seed(self, engine: EngineName) -> str:
        """Return the SQL that makes the tables."""
        own = self.document.get("seed_duckdb") if engine == "duckdb" else None
        return str(own or self.document["seed"])

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases, each under its full name."""
        return tuple(Case(f"{self.name}/{item['name']}", item) for item in self.document["cases"])


def read_sets(folder: Path) -> Iterator[CaseSet]:
    """Yield the sets of all JSON files below a folder; other JSON is named and left out."""
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and "cases" in document:
            yield CaseSet(name, document)
        else:
            sys.stderr.write(f"{path} is no set of cases\n")


def read_gaps() -> dict[str, str]:
    """Return why each case that is known to differ does; `[duckdb]` after a name: only there."""
    found: dict[str, str] = yaml.safe_load(GAPS.read_text(encoding="utf-8")) or {}
    return found


def _masked(item: Mapping[str, Any]) -> MaskedMember:
    filters = read_filters([item["filter"]]) if item.get("filter") else ()
    return MaskedMember(item["member"], AndFilter(filters) if filters else None)


def alias(column: str, granularity: str | None) -> str:
    """Return what the rows of a case call a column."""
    member = column.removesuffix(f".{granularity}") if granularity else column
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", member).lower().replace(".", "__")
    return f"{snake}_{granularity}" if granularity else snake


def answer_rows(columns: Sequence[ResultColumn], table: pa.Table) -> list[dict[str, Any]]:
    """Return an answer as the rows of a case."""
    names = [alias(column.name, column.granularity) for column in columns]
    return [dict(zip(names, row.values(), strict=True)) for row in table.to_pylist()]


def find_difference(case: Case, rows: Sequence[Row]) -> str | None:
    """Return what is wrong with the rows; None when they are what the case says."""
    expected = case.document.get("rows")
    if expected is not None and not same_rows(
        rows, expected, ordered=bool(case.document.get("ordered"))
    ):
        return f"expected {_show(expected)}\n     got {_show(rows)}"
    for assertion in case.document.get("assertions", ()):
        column, kind = assertion["column"], assertion["all"]
        allowed = {"null": (), "zero_or_null": ("0",)}[kind]
        for row in rows:
            if column not in row:
                return f"there is no column {column} in {_show(rows)}"
            value = row[column]
            if value is not None and not any(same_value(value, item) for item in allowed):
                return f"not every {column} is {kind}: {_show(rows)}"
    return None


def _show(rows: Sequence[Row]) -> str:
    return "[" + ", ".join(str({k: None if v is None else _text(v) for k, v in row.items()})
                           for row in rows) + "]"  # fmt: skip


def same_rows(actual: Sequence[Row], expected: Sequence[Row], *, ordered: bool) -> bool:
    """Return whether the rows are the same, in order or in any."""
    if len(actual) != len(expected):
        return False
    if ordered:
        return all(same_row(left, right) for left, right in zip(actual, expected, strict=True))
    left = list(actual)
    for row in expected:
        match = next((item for item in left if same_row(item, row)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def same_row(actual: Row, expected: Row) -> bool:
    """Return whether two rows have the same columns and values."""
    return actual.keys() == expected.keys() and all(
        same_value(actual[key], expected[key]) for key in expected
    )


def same_value(actual: Any, expected: Any) -> bool:
    """Return whether two values are the same, however they are written."""
    if actual is None or expected is None:
        return actual is None and expected is None
    left, right = _text(actual), _text(expected)
    if left == right:
        return True
    try:
        numbers = Decimal(left), Decimal(right)
    except InvalidOperation:
        return False
    return math.isclose(*map(float, numbers), rel_tol=TOLERANCE)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.replace(tzinfo=None).isoformat(timespec="milliseconds")
        case date():
            return f"{value.isoformat()}T00:00:00.000"
        case str():
            if match := _MOMENT.fullmatch(value):
                return f"{match[1]}T{match[2]}.{(match[3] or '.')[1:4].ljust(3, '0')}"
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
                return f"{value}T00:00:00.000"
            return {"t": "true", "f": "false"}.get(value, value)
        case _:
            return str(value)
