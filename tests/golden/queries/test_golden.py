"""Each query of the YAML files gives what SQL written by hand gives over the same tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer, read_rows

FOLDER = Path(__file__).parent
SHOP: Mapping[str, Any] = yaml.safe_load((FOLDER / "shop.yml").read_text(encoding="utf-8"))
NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[SemanticLayer]:
    layer = open_layer(folder, SHOP["model"], SHOP["seed"])
    yield layer
    layer.close()


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in SHOP["cases"]])
def test_query_gives_what_sql_written_by_hand_gives(
    case: Mapping[str, Any], shop: SemanticLayer, folder: Path
) -> None:
    result = shop.load(parse_json(case["query"]), SecurityContext(), now=NOW)
    actual = [tuple(row.values()) for row in result.table.to_pylist()]
    # The columns of check_sql come in the order: dimensions, times, measures.
    expected = read_rows(folder, case["check_sql"])
    assert sort_rows(actual) == sort_rows(expected), shop.explain(
        parse_json(case["query"]), SecurityContext(), now=NOW
    )["sql"]


def sort_rows(rows: Sequence[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    return sorted(tuple(comparable(value) for value in row) for row in rows)


def comparable(value: Any) -> str:
    match value:
        case bool() | None:
            return repr(value)
        case int() | float() | Decimal():
            number = float(value)
            return "0" if math.isclose(number, 0, abs_tol=1e-12) else f"{number:.9g}"
        case _:
            return str(value)
