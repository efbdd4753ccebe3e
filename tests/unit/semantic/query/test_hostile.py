"""Hostile queries end as clear errors with codes, at once, and do not come back in the message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import DucatError, LimitExceededError, QueryError
from semantic.query.bind import bind
from semantic.query.bound import OneOf
from semantic.query.from_json import parse_json, parse_json_queries
from semantic.query.query import MemberFilter, Order, Query, TimeDimension

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
SHOP = Path(__file__).parents[3] / "golden" / "queries" / "shop.yml"
COUNT = {"measures": ["orders.count"]}
LONG = "x" * 1_000_000
MIDDLE = "x" * 9_999  # passes as a text
INJECTIONS = (
    "'; DROP TABLE gold.orders; --",
    'orders"."count',
    "orders.count FROM gold.orders; --",
    "orders.count\x00",
    "orders.count\nUNION SELECT 1",
    "1=1) OR (1=1",
    "{{ 7 * 7 }}",
    "{CUBE}.amount",
    "../../etc/passwd",
    "orders.count/*",
    "\u202eorders.count",
    "orders\u2024count",
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    model = yaml.safe_load(SHOP.read_text(encoding="utf-8"))["model"]
    return load_catalog_from_text({"shop.yml": model})


def places(text: str) -> Iterator[dict[str, Any]]:
    """Yield a query with the text in each place that a text can have."""
    yield {text: 1, **COUNT}
    for key in ("measures", "dimensions", "segments"):
        yield {**COUNT, key: [text]}
        yield {**COUNT, key: [f"orders.{text}"]}
        yield {**COUNT, key: [f"{text}.count"]}
        yield {**COUNT, key: [f"orders.placed_at.{text}"]}
        yield {**COUNT, key: text}
    for key in ("limit", "offset", "total", "ungrouped", "cache", "responseFormat", "timezone"):
        yield {**COUNT, key: text}
    yield {**COUNT, "order": text}
    yield {**COUNT, "order": {text: "asc"}}
    yield {**COUNT, "order": {f"orders.{text}": "asc"}}
    yield {**COUNT, "order": {"orders.count": text}}
    yield {**COUNT, "order": [[text, text]]}
    yield {**COUNT, "order": [{"id": text, text: True}]}
    yield {**COUNT, "joinHints": [[text, text]]}
    yield {**COUNT, "joinHints": [["orders", text]]}
    yield {**COUNT, "timeDimensions": [{"dimension": text}]}
    yield {**COUNT, "timeDimensions": [{"dimension": f"orders.{text}", "granularity": "day"}]}
    for key in ("granularity", "dateRange", text):
        yield {**COUNT, "timeDimensions": [{"dimension": "orders.day", key: text}]}
    yield {**COUNT, "timeDimensions": [{"dimension": "orders.day", "dateRange": [text, text]}]}
    yield {**COUNT, "filters": [{"member": text, "operator": "set"}]}
    yield {**COUNT, "filters": [{"member": f"orders.{text}", "operator": "set"}]}
    yield {**COUNT, "filters": [{"member": "orders.status", "operator": text}]}
    yield {**COUNT, "filters": [{"member": "orders.status", "operator": "set", text: 1}]}
    for member in ("orders.amount", "orders.paid", "orders.placed_at", "orders.count"):
        yield {
            **COUNT,
            "filters": [{"member": member, "operator": "equals", "values": [text]}],
        }


def ask(catalog: Catalog, document: object) -> None:
    for query in parse_json_queries(document).queries:
        bind(catalog, query, now=NOW)


@pytest.mark.parametrize("text", [LONG, MIDDLE], ids=["1 MB", "10 KB"])
def test_a_long_text_is_refused_wherever_it_stands_and_is_not_repeated(
    catalog: Catalog, text: str
) -> None:
    for place, document in enumerate(places(text)):
        with pytest.raises((QueryError, DucatError)) as refused:
            ask(catalog, document)
        shown = str(refused.value)
        assert refused.value.code in {"query_syntax", "unknown_member", "limit_exceeded"}, place
        assert "x" * 101 not in shown, (place, len(shown))
        assert len(shown) < 800, place


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injection_is_refused_wherever_it_stands(catalog: Catalog, text: str) -> None:
    for place, document in enumerate(places(text)):
        with pytest.raises(DucatError) as refused:
            ask(catalog, document)
        assert refused.value.code in {"query_syntax", "unknown_member"}, (place, document)


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injection_is_only_text_where_a_text_is_meant(catalog: Catalog, text: str) -> None:
    item = {"member": "orders.status", "operator": "equals", "values": [text]}
    (condition,) = bind(catalog, parse_json({**COUNT, "filters": [item]}), now=NOW).rows
    assert isinstance(condition, OneOf)
    assert condition.values == (text,)


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_face_that_skips_the_json_is_no_way_around(catalog: Catalog, text: str) -> None:
    for query in (
        Query(measures=(text,)),
        Query(measures=("orders.count",), dimensions=(text,)),
        Query(measures=("orders.count",), segments=(text,)),
        Query(measures=("orders.count",), order=(Order(text),)),
        Query(measures=("orders.count",), timezone=text),
        Query(measures=("orders.count",), filters=(MemberFilter(text, "set"),)),
        Query(measures=("orders.count",), time_dimensions=(TimeDimension(text, "day"),)),
        Query(time_dimensions=(TimeDimension("orders.day", text),)),
        Query(measures=("orders.count",), join_hints=((text, "orders"),)),
    ):
        with pytest.raises(QueryError):
            bind(catalog, query, now=NOW)


def test_ten_thousand_filters_are_refused(catalog: Catalog) -> None:
    item = {"member": "orders.status", "operator": "equals", "values": ["x"]}
    for filters in (
        [item] * 10_000,
        [{"or": [item] * 10_000}],
        [{"or": [{"and": [item] * 100}] * 100}],
        [{"and": [{"or": [item] * 400}, {"or": [item] * 400}]}],
    ):
        with pytest.raises(LimitExceededError) as refused:
            ask(catalog, {**COUNT, "filters": filters})
        assert len(str(refused.value)) < 200


def test_many_values_are_answered_and_too_many_refused(catalog: Catalog) -> None:
    values = [str(number) for number in range(10_000)]
    item = {"member": "orders.amount", "operator": "equals", "values": values}
    (condition,) = bind(catalog, parse_json({**COUNT, "filters": [item]}), now=NOW).rows
    assert isinstance(condition, OneOf)
    assert len(condition.values) == 10_000
    item["values"] = [*values, "1"]
    with pytest.raises(LimitExceededError):
        ask(catalog, {**COUNT, "filters": [item]})


@pytest.mark.parametrize(
    "number",
    [10**5000, -(10**400), 1e308, float("nan"), float("inf")],
    ids=["5,000 digits", "400 digits", "1e308", "nan", "inf"],
)
def test_numbers_that_no_column_holds_are_refused_or_exact(catalog: Catalog, number: float) -> None:
    item = {"member": "orders.amount", "operator": "gt", "values": [number]}
    if number == 1e308:
        ask(catalog, {**COUNT, "filters": [item]})
        return
    with pytest.raises(QueryError) as refused:
        ask(catalog, {**COUNT, "filters": [item]})
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("key", ["limit", "offset"])
def test_a_count_of_many_digits_is_refused(catalog: Catalog, key: str) -> None:
    with pytest.raises(LimitExceededError) as refused:
        ask(catalog, {**COUNT, key: 10**5000})
    assert len(str(refused.value)) < 200
