"""Reads Cube's cases and compares answers as tests/conformance/README.md says."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from semantic.engine.result import Result
from semantic.query.from_json import parse_json
from semantic.query.query import Query

CUBE = Path(__file__).parent / "cube"
GAPS = Path(__file__).parent / "gaps.yml"
TOLERANCE = 1e-9
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(\.\d+)?(\+00)?")


@dataclass(frozen=True, slots=True)
class CaseSet:
    """One model and seed, and the cases on them."""

    name: str
    document: Mapping[str, Any]

    @property
    def model(self) -> str:
        return str(self.document.get("model_duckdb") or self.document["model"])

    @property
    def seed(self) -> str:
        return str(self.document.get("seed_duckdb") or self.document["seed"])

    @property
    def cases(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.document["cases"]
        return found


def read_sets() -> Iterator[CaseSet]:
    for path in sorted(CUBE.rglob("*.json")):
        name = path.relative_to(CUBE).with_suffix("").as_posix()
        yield CaseSet(name, json.loads(path.read_text(encoding="utf-8")))


def read_gaps() -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(GAPS.read_text(encoding="utf-8")) or {}
    return found


def read_query(case: Mapping[str, Any]) -> Query:
    """Return the case's query as the planner tests mean it: no default order or limit."""
    query = parse_json(case["query"])
    order = () if query.order is None else query.order
    return dataclasses.replace(query, order=order, unlimited=True)


def alias(column: str, granularity: str | None) -> str:
    member = column.removesuffix(f".{granularity}") if granularity else column
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", member).lower().replace(".", "__")
    return f"{snake}_{granularity}" if granularity else snake


def answer_rows(result: Result) -> list[dict[str, Any]]:
    names = [alias(column.name, column.granularity) for column in result.columns]
    return [dict(zip(names, row.values(), strict=True)) for row in result.table.to_pylist()]


def same_rows(
    actual: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]], *, ordered: bool
) -> bool:
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


def same_row(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    return actual.keys() == expected.keys() and all(
        same_value(actual[key], expected[key]) for key in expected
    )


def same_value(actual: Any, expected: Any) -> bool:
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
