"""Names become members; what a caller may not see, or cannot mean, is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import (
    LimitExceededError,
    QueryError,
    QuerySyntaxError,
    UnknownMemberError,
)
from semantic.query.bind import bind
from semantic.query.bound import BoundQuery, OneOf
from semantic.query.from_json import parse_json
from semantic.query.query import Query

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
SHOP = Path(__file__).parents[3] / "golden" / "queries" / "shop.yml"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    model = yaml.safe_load(SHOP.read_text(encoding="utf-8"))["model"]
    return load_catalog_from_text({"shop.yml": model})


def bound(catalog: Catalog, **query: Any) -> BoundQuery:
    return bind(catalog, parse_json(query), now=NOW)


def test_columns_come_as_dimensions_times_measures_with_cubes_names(catalog: Catalog) -> None:
    found = bound(
        catalog,
        measures=["orders.count"],
        timeDimensions=[{"dimension": "orders.day", "granularity": "month"}],
        dimensions=["orders.status", "orders.placed_at.year"],
    )
    assert [column.name for column in found.columns] == [
        "orders.status",
        "orders.day.month",
        "orders.placed_at.year",
        "orders.count",
    ]
    assert [column.member for column in found.columns][1:3] == ["orders.day", "orders.placed_at"]


@pytest.mark.parametrize(
    ("query", "column", "descending"),
    [
        (
            {
                "measures": ["orders.count"],
                "dimensions": ["orders.status"],
                "timeDimensions": [{"dimension": "orders.day", "granularity": "day"}],
            },
            1,
            False,
        ),
        ({"measures": ["orders.count", "orders.ones"], "dimensions": ["orders.status"]}, 1, True),
        ({"dimensions": ["orders.status", "orders.size"]}, 0, False),
    ],
)
def test_the_default_order_is_cubes(
    catalog: Catalog, query: dict[str, Any], column: int, descending: bool
) -> None:
    order = bound(catalog, **query).order
    assert [(item.key, item.descending) for item in order] == [(column, descending)]


def test_a_single_row_and_an_empty_order_have_no_order(catalog: Catalog) -> None:
    assert bound(catalog, measures=["orders.count"]).order == ()
    assert bound(catalog, dimensions=["orders.status"], order=[]).order == ()


def test_an_order_by_a_member_not_asked_is_refused_not_ignored(catalog: Catalog) -> None:
    with pytest.raises(QueryError, match="does not ask for it"):
        bound(catalog, measures=["orders.count"], order={"orders.status": "asc"})


def test_an_order_by_a_time_takes_its_finest_granularity(catalog: Catalog) -> None:
    found = bound(
        catalog,
        measures=["orders.count"],
        dimensions=["orders.day.year", "orders.day.month"],
        order=[["orders.day", "desc"]],
    )
    assert found.columns[1].name == "orders.day.month"
    assert [item.key for item in found.order] == [1]


def test_limits_have_a_default_and_a_maximum(catalog: Catalog) -> None:
    found = bound(catalog, measures=["orders.count"])
    assert (found.limit, found.defaulted) == (10_000, True)
    found = bound(catalog, measures=["orders.count"], limit=10_000)
    assert (found.limit, found.defaulted) == (10_000, False)
    with pytest.raises(LimitExceededError, match="The query limit has been exceeded"):
        bind(catalog, Query(measures=("orders.count",), limit=50_001), now=NOW)
    unlimited = bind(catalog, Query(measures=("orders.count",), unlimited=True), now=NOW)
    assert (unlimited.limit, unlimited.defaulted) == (None, False)


def test_hidden_members_are_refused_in_the_words_for_unknown_ones(catalog: Catalog) -> None:
    with pytest.raises(UnknownMemberError) as hidden:
        bound(catalog, dimensions=["customers.secret"])
    with pytest.raises(UnknownMemberError) as unknown:
        bound(catalog, dimensions=["customers.sekret"])
    assert hidden.value.message == "'secret' not found for path 'customers.secret'"
    assert unknown.value.message == "'sekret' not found for path 'customers.sekret'"
    assert "secret" not in (unknown.value.suggestion or "")
    with pytest.raises(UnknownMemberError, match="not found"):
        bound(
            catalog,
            measures=["customers.count"],
            filters=[{"member": "customers.secret", "operator": "set"}],
        )


def test_a_near_name_is_suggested(catalog: Catalog) -> None:
    with pytest.raises(UnknownMemberError) as unknown:
        bound(catalog, measures=["orders.cuont"])
    assert unknown.value.suggestion == "did you mean orders.count?"
    with pytest.raises(UnknownMemberError, match="Cube 'order' not found"):
        bound(catalog, measures=["order.count"])


@pytest.mark.parametrize(
    "query",
    [
        {"measures": ["orders.status"]},
        {"dimensions": ["orders.count"]},
        {"measures": ["orders.is_paid"]},
        {"measures": ["orders.count"], "segments": ["orders.status"]},
        {"timeDimensions": [{"dimension": "orders.count", "granularity": "day"}]},
    ],
)
def test_a_member_of_another_kind_is_not_found_there(
    catalog: Catalog, query: dict[str, Any]
) -> None:
    with pytest.raises(UnknownMemberError, match="not found for path"):
        bound(catalog, **query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            {"timeDimensions": [{"dimension": "orders.day", "granularity": "eon"}]},
            'Granularity "eon" does not exist in dimension orders.day',
        ),
        ({"dimensions": ["orders.status.month"]}, "not a time dimension"),
        (
            {"measures": ["orders.count"], "timezone": "Mars/X"},
            '"timezone" must be a valid IANA time zone, got "Mars/X"',
        ),
        ({"measures": ["orders.count"], "timezone": "../../etc/passwd"}, "IANA time zone"),
        ({"measures": ["orders.count"], "timezone": "UTC'; --"}, "IANA time zone"),
    ],
)
def test_what_cannot_be_is_said_in_cubes_words(
    catalog: Catalog, query: dict[str, Any], message: str
) -> None:
    with pytest.raises(QuerySyntaxError, match=message.replace(".", r"\.")):
        bound(catalog, **query)


def filtered(catalog: Catalog, member: str, operator: str, *values: object) -> BoundQuery:
    condition = {"member": member, "operator": operator, "values": list(values)}
    return bound(catalog, measures=["orders.count"], filters=[condition])


@pytest.mark.parametrize(
    ("member", "text", "value"),
    [
        ("orders.amount", "0.10", Decimal("0.10")),
        ("orders.amount", "7", 7),
        ("orders.amount", "7.00", 7),
        ("orders.amount", "1e3", 1000),
        ("orders.amount", "-9223372036854775809", Decimal(-9223372036854775809)),
        ("orders.amount", "1e300", 1e300),
        ("orders.status", "0.10", "0.10"),
        ("orders.paid", "True", True),
        ("orders.paid", "0", False),
    ],
)
def test_values_are_exact_and_of_the_members_type(
    catalog: Catalog, member: str, text: str, value: object
) -> None:
    condition = filtered(catalog, member, "equals", text).rows[0]
    assert isinstance(condition, OneOf)
    assert condition.values == (value,)
    assert type(condition.values[0]) is type(value)


@pytest.mark.parametrize(
    ("member", "operator", "values"),
    [
        ("orders.amount", "gt", ["abc"]),
        ("orders.amount", "gt", ["NaN"]),
        ("orders.amount", "gt", ["1e9999"]),
        ("orders.amount", "gt", ["0x10"]),
        ("orders.amount", "gt", ["1" * 500]),
        ("orders.amount", "gt", [None]),
        ("orders.paid", "equals", ["maybe"]),
        ("orders.paid", "gt", ["true"]),
        ("orders.status", "equals", ["\ud800"]),
        ("orders.placed_at", "equals", ["never"]),
        ("orders.status", "inDateRange", ["today"]),
        ("orders.placed_at", "inDateRange", ["2024-01-01", "2024-01-02", "2024-01-03"]),
        ("orders.placed_at", "beforeDate", ["2024-01-01", "2024-01-02"]),
        ("orders.placed_at", "onTheDate", [None]),
        ("orders.is_paid", "equals", ["true"]),
    ],
)
def test_a_value_of_another_type_is_refused_before_the_database_sees_it(
    catalog: Catalog, member: str, operator: str, values: list[object]
) -> None:
    with pytest.raises(QuerySyntaxError):
        filtered(catalog, member, operator, *values)


def test_dimensions_and_measures_do_not_mix_in_a_group(catalog: Catalog) -> None:
    parts = [
        {"member": "orders.count", "operator": "gt", "values": ["1"]},
        {"member": "orders.status", "operator": "set"},
    ]
    with pytest.raises(
        QuerySyntaxError, match="cannot use dimension and measure in same condition"
    ):
        bound(catalog, measures=["orders.count"], filters=[{"or": parts}])
    apart = bound(catalog, measures=["orders.count"], filters=parts)
    assert (len(apart.rows), len(apart.groups)) == (1, 1)


def test_ungrouped_asks_for_rows_in_no_order_but_the_asked_one(catalog: Catalog) -> None:
    rows = bound(catalog, measures=["orders.count"], dimensions=["orders.status"], ungrouped=True)
    assert (rows.ungrouped, rows.order, rows.limit) == (True, (), 10_000)
    ordered = bound(
        catalog,
        measures=["orders.count"],
        dimensions=["orders.status"],
        ungrouped=True,
        order=[["orders.status", "asc"]],
    )
    assert [item.key for item in ordered.order] == [0]
    assert not bound(catalog, measures=["orders.count"]).ungrouped


def test_a_bound_query_knows_what_relative_dates_of_the_model_count_from(catalog: Catalog) -> None:
    assert bound(catalog, measures=["orders.count"]).now == NOW
