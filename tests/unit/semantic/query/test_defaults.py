"""Filters that the model writes: default filters of views, and those of multi-stage measures."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from semantic.catalog.catalog import (
    Catalog,
    FilterTerm,
    FilterTree,
    MemberReference,
    ModelFilter,
)
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import QuerySyntaxError, UnsupportedError
from semantic.query.bind import bind
from semantic.query.bound import AllOf, AnyOf, BoundQuery, Compares, DimensionUse, OneOf, Within
from semantic.query.conditions import bind_model_filter
from semantic.query.from_json import parse_json

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
MODEL = """
cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: customers, relationship: many_to_one, sql: "{CUBE}.customer_id = {customers}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: created_at, type: time, sql: created_at}
      - {name: status, type: string, sql: status}
      - {name: internal, type: string, sql: internal, public: false}
    measures: [{name: count, type: count}]
    segments: [{name: paid, sql: "{CUBE}.status = 'paid'"}]
  - name: customers
    sql_table: customers
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
views:
  - name: sales
    cubes:
      - {join_path: orders, includes: [created_at, status, count, paid]}
      - {join_path: orders.customers, includes: [city]}
"""


def named(member: str, owner: str = "sales") -> MemberReference:
    return MemberReference(owner, member)


def term(member: str, *values: str | None, unless: tuple[str, ...] = ()) -> FilterTerm:
    return FilterTerm(named(member), "equals", values, tuple(named(name) for name in unless))


def with_filters(*filters: ModelFilter) -> Catalog:
    whole = load_catalog_from_text({"shop.yml": MODEL})
    view = dataclasses.replace(whole.views["sales"], filters=filters)
    return dataclasses.replace(whole, views=MappingProxyType({"sales": view}))


def bound(catalog: Catalog, **query: Any) -> BoundQuery:
    return bind(catalog, parse_json(query), now=NOW)


def values_of(found: BoundQuery) -> list[tuple[str, tuple[object, ...]]]:
    return [
        (item.use.dimension.name, item.values)
        for item in found.rows
        if isinstance(item, OneOf) and isinstance(item.use, DimensionUse)
    ]


CITY = term("city", "Paris", unless=("city", "paid", "created_at"))


@pytest.mark.parametrize(
    "query",
    [
        {"measures": ["sales.count"]},
        {"dimensions": ["sales.city"]},
        {"dimensions": ["sales.created_at.month"]},
        {"measures": ["orders.count"], "segments": ["sales.paid"]},
        {
            "measures": ["orders.count"],
            "filters": [{"or": [{"member": "sales.status", "operator": "set"}]}],
        },
        {
            "measures": ["orders.count"],
            "timeDimensions": [{"dimension": "sales.created_at", "dateRange": "today"}],
        },
    ],
)
def test_a_views_filter_holds_wherever_a_query_uses_the_view(query: dict[str, Any]) -> None:
    catalog = with_filters(term("city", "Paris"))
    found = bound(catalog, **query)
    assert ("city", ("Paris",)) in values_of(found)
    (condition,) = [
        item for item in found.rows if isinstance(item, OneOf) and item.values == ("Paris",)
    ]
    assert condition.use.path == ("orders", "customers")


def test_a_query_of_the_cubes_alone_knows_nothing_of_a_views_filter() -> None:
    found = bound(with_filters(term("city", "Paris")), measures=["orders.count"])
    assert found.rows == ()


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ({"dimensions": ["sales.city"]}, True),
        ({"dimensions": ["sales.city"], "order": {"sales.city": "asc"}}, True),
        ({"dimensions": ["sales.created_at.day"]}, True),
        (
            {"filters": [{"member": "sales.city", "operator": "equals", "values": ["Rome"]}]},
            False,
        ),
        ({"filters": [{"member": "sales.city", "operator": "notSet"}]}, False),
        (
            {
                "filters": [
                    {
                        "or": [
                            {"member": "sales.status", "operator": "set"},
                            {"and": [{"member": "sales.city", "operator": "set"}]},
                        ]
                    }
                ]
            },
            False,
        ),
        ({"filters": [{"member": "customers.city", "operator": "set"}]}, False),
        ({"filters": [{"member": "sales.status", "operator": "set"}]}, True),
        ({"segments": ["sales.paid"]}, False),
        ({"timeDimensions": [{"dimension": "sales.created_at", "dateRange": "today"}]}, False),
        ({"timeDimensions": [{"dimension": "sales.created_at", "granularity": "day"}]}, True),
    ],
)
def test_only_an_explicit_filter_on_an_unless_member_releases_it(
    query: dict[str, Any], holds: bool
) -> None:
    found = bound(with_filters(CITY), measures=["sales.count"], **query)
    assert (("city", ("Paris",)) in values_of(found)) is holds


def test_a_filter_without_unless_stands_beside_an_explicit_one() -> None:
    found = bound(
        with_filters(term("city", "Paris")),
        measures=["sales.count"],
        filters=[{"member": "sales.city", "operator": "equals", "values": ["Rome"]}],
    )
    assert values_of(found) == [("city", ("Rome",)), ("city", ("Paris",))]


def test_filters_on_measures_choose_among_groups_and_others_among_rows() -> None:
    found = bound(
        with_filters(FilterTerm(named("count"), "gt", ("5",)), term("status", "paid", None)),
        dimensions=["sales.city"],
    )
    (group,) = found.groups
    assert isinstance(group, Compares)
    (row,) = found.rows
    assert isinstance(row, OneOf)
    assert (row.values, row.null) == (("paid",), True)


def test_trees_lose_released_parts_and_a_released_alternative_releases_the_whole() -> None:
    parts = (term("city", "Paris", unless=("city",)), term("status", "paid"))
    explicit = [{"member": "sales.city", "operator": "set"}]
    both = with_filters(FilterTree("and", parts))
    assert isinstance(bound(both, measures=["sales.count"]).rows[0], AllOf)
    kept = bound(both, measures=["sales.count"], filters=explicit).rows[1]
    assert isinstance(kept, AllOf)
    assert len(kept.parts) == 1
    either = with_filters(FilterTree("or", parts))
    assert isinstance(bound(either, measures=["sales.count"]).rows[0], AnyOf)
    assert len(bound(either, measures=["sales.count"], filters=explicit).rows) == 1


def test_a_tree_of_measures_and_dimensions_is_refused() -> None:
    mixed = FilterTree("or", (FilterTerm(named("count"), "gt", ("5",)), term("city", "Paris")))
    with pytest.raises(QuerySyntaxError, match="dimension and measure in same condition: sales"):
        bound(with_filters(mixed), measures=["sales.count"])


def test_relative_dates_of_the_model_count_from_now_in_the_querys_time_zone() -> None:
    catalog = with_filters(FilterTerm(named("created_at"), "inDateRange", ("yesterday",)))
    (found,) = bound(catalog, measures=["sales.count"], timezone="America/New_York").rows
    assert isinstance(found, Within)
    assert found.start is not None
    assert str(found.start.local) == "2024-06-14 00:00:00"
    assert str(found.start.utc) == "2024-06-14 04:00:00"


def test_a_filter_of_the_model_may_name_hidden_members_and_ways() -> None:
    catalog = with_filters()
    hidden = FilterTerm(named("internal", "orders"), "notEquals", ("x",))
    condition = bind_model_filter(catalog, hidden, now=NOW, zone=UTC_ZONE)
    assert isinstance(condition, OneOf)
    assert condition.negated
    reference = MemberReference("customers", "city", path=("orders", "customers"))
    far = bind_model_filter(catalog, FilterTerm(reference, "set", ()), now=NOW, zone=UTC_ZONE)
    assert not isinstance(far, AllOf | AnyOf)
    assert far.use.path == ("orders", "customers")


@pytest.mark.parametrize(
    "wrong",
    [
        FilterTerm(named("city"), "measureFilter", ()),
        FilterTerm(named("city"), "like", ("x",)),
        FilterTerm(named("paid"), "set", ()),
        FilterTerm(MemberReference("sales", "created_at", "month"), "set", ()),
    ],
)
def test_what_a_filter_of_the_model_cannot_mean_is_refused(wrong: FilterTerm) -> None:
    with pytest.raises(UnsupportedError, match="the model's filter"):
        bind_model_filter(with_filters(), wrong, now=NOW, zone=UTC_ZONE)
