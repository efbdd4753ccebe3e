"""Names with join paths and granularities, custom granularities, hints and masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest

from semantic.catalog.catalog import Catalog, Cube, Granularity, Join
from semantic.catalog.load import load_catalog_from_text
from semantic.catalog.roles import add_roles
from semantic.errors import DucatError, LimitExceededError, QuerySyntaxError, UnknownMemberError
from semantic.query.bind import bind
from semantic.query.bound import BoundQuery, DimensionUse, InSegment, MeasureUse, OneOf
from semantic.query.from_json import parse_json
from semantic.query.granularities import list_granularities, measure_period
from semantic.query.json_filters import read_masked_members
from semantic.query.members import hide_members

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: customers, relationship: many_to_one, sql: "{CUBE}.customer_id = {customers}.id"}
      - {name: vaults, relationship: many_to_one, sql: "{CUBE}.vault_id = {vaults}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: created_at, type: time, sql: created_at}
      - {name: status, type: string, sql: status}
    measures: [{name: count, type: count}]
  - name: customers
    sql_table: customers
    joins:
      - {name: countries, relationship: many_to_one, sql: "{CUBE}.country_id = {countries}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
      - {name: secret, type: string, sql: secret, public: false}
      - {name: born_at, type: time, sql: born_at}
    measures: [{name: count, type: count}]
    segments: [{name: parisians, sql: "{CUBE}.city = 'Paris'"}]
  - name: countries
    sql_table: countries
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: name, type: string, sql: name}
  - name: vaults
    public: false
    sql_table: vaults
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: code, type: string, sql: code}
views:
  - name: sales
    cubes:
      - {join_path: orders, includes: "*"}
      - {join_path: orders.customers, includes: [city, born_at]}
"""
CUSTOM = (
    Granularity("half_year", "Half year", "6 months"),
    Granularity("fortnight", "Fortnight", "2 weeks", origin="2025-01-01"),
    Granularity("ten_minutes", "Ten minutes", "10 minutes"),
    Granularity("season", "Season", None),
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The model, with orders also joining customers as `buyer`, and periods of their own."""
    whole = load_catalog_from_text({"shop.yml": MODEL})
    orders = whole.cubes["orders"]
    plain = orders.joins["customers"]
    buyer = Join("orders", "orders.buyer", "many_to_one", plain.sql, name="buyer", base="customers")
    created = dataclasses.replace(orders.dimensions["created_at"], granularities=CUSTOM)
    cubes: Mapping[str, Cube] = {
        **{name: whole.cubes[name] for name in whole.cubes},
        "orders": dataclasses.replace(
            orders,
            joins=MappingProxyType({**orders.joins, "buyer": buyer}),
            dimensions=MappingProxyType({**orders.dimensions, "created_at": created}),
        ),
    }
    roles = add_roles(MappingProxyType(cubes))
    return dataclasses.replace(whole, cubes=roles, join_graph=roles.graph)


def bound(catalog: Catalog, **query: Any) -> BoundQuery:
    return bind(catalog, parse_json(query), now=NOW)


@pytest.mark.parametrize(
    ("name", "cube", "path"),
    [
        ("customers.city", "customers", ("customers",)),
        ("orders.customers.city", "customers", ("orders", "customers")),
        (
            "orders.customers.countries.name",
            "countries",
            ("orders", "customers", "countries"),
        ),
        ("orders.buyer.city", "orders.buyer", ("orders", "orders.buyer")),
        (
            "orders.buyer.countries.name",
            "orders.buyer.countries",
            ("orders", "orders.buyer", "orders.buyer.countries"),
        ),
        ("sales.city", "customers", ("orders", "customers")),
    ],
)
def test_a_path_leads_through_joins_and_roles_to_the_member(
    catalog: Catalog, name: str, cube: str, path: tuple[str, ...]
) -> None:
    (column,) = bound(catalog, dimensions=[name]).columns
    assert isinstance(column.use, DimensionUse)
    assert (column.name, column.member) == (name, name)
    assert (column.use.dimension.cube, column.use.path) == (cube, path)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("orders.created_at.month", "orders.created_at"),
        ("orders.buyer.born_at.month", "orders.buyer.born_at"),
        ("orders.customers.born_at.month", "orders.customers.born_at"),
        ("sales.born_at.month", "sales.born_at"),
    ],
)
def test_the_last_element_may_be_a_granularity_in_dimensions_and_in_the_order(
    catalog: Catalog, name: str, member: str
) -> None:
    found = bound(catalog, dimensions=[name], order={name: "desc"})
    (column,) = found.columns
    assert (column.name, column.member, column.granularity) == (name, member, "month")
    assert [(item.key, item.descending) for item in found.order] == [(0, True)]


def test_paths_hold_in_every_place_of_a_query(catalog: Catalog) -> None:
    found = bound(
        catalog,
        measures=["orders.buyer.count"],
        timeDimensions=[
            {"dimension": "orders.buyer.born_at", "granularity": "year", "dateRange": "this year"}
        ],
        filters=[{"member": "orders.buyer.city", "operator": "equals", "values": ["Paris"]}],
        segments=["orders.buyer.parisians"],
    )
    measure = found.columns[1].use
    assert isinstance(measure, MeasureUse)
    assert (measure.measure.cube, measure.path) == ("orders.buyer", ("orders", "orders.buyer"))
    assert {item.use.path for item in found.rows if isinstance(item, OneOf | InSegment)} == {
        ("orders", "orders.buyer")
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("orders.nobody.city", "'nobody.city' not found for path 'orders.nobody.city'"),
        ("orders.customers.secret", "'customers.secret' not found for path"),
        ("orders.buyer.secret", "'buyer.secret' not found for path"),
        ("orders.vaults.code", "'vaults.code' not found for path"),
        ("orders.customers", "'customers' not found for path"),
        ("vaults.code", "Cube 'vaults' not found for path"),
        ("orders.status.month.x", "not found for path"),
        ("orders.count.month", "not found for path"),
        ("sales.orders.status", "not found for path"),
        ("sales.customers.city", "not found for path"),
    ],
)
def test_a_path_to_what_is_not_there_or_hidden_is_not_found(
    catalog: Catalog, name: str, said: str
) -> None:
    with pytest.raises(UnknownMemberError) as unknown:
        bound(catalog, dimensions=[name])
    assert said in unknown.value.message


def test_a_hidden_cube_on_the_way_says_what_an_absent_one_says(catalog: Catalog) -> None:
    said = []
    for name in ("orders.vaults.code", "orders.vaulst.code"):
        with pytest.raises(UnknownMemberError) as unknown:
            bound(catalog, dimensions=[name])
        said.append((unknown.value.message.replace("vaulst", "vaults"), unknown.value.suggestion))
    assert said[0] == said[1]


@pytest.mark.parametrize("member", ["orders.created_at.month", "orders.buyer.born_at.month"])
def test_a_filter_compares_the_time_not_its_granularity(catalog: Catalog, member: str) -> None:
    with pytest.raises(UnknownMemberError):
        bound(
            catalog,
            measures=["orders.count"],
            filters=[{"member": member, "operator": "set"}],
        )
    with pytest.raises(UnknownMemberError):
        bound(catalog, timeDimensions=[{"dimension": member, "granularity": "day"}])


def test_an_endless_path_is_refused_at_once(catalog: Catalog) -> None:
    with pytest.raises(LimitExceededError):
        bound(catalog, dimensions=["orders" + ".buyer" * 1000 + ".city"])
    with pytest.raises(DucatError):
        bound(catalog, dimensions=["orders" + ".buyer" * 20 + ".city"])


@pytest.mark.parametrize("granularity", ["half_year", "fortnight", "ten_minutes", "season", "week"])
def test_granularities_of_the_dimension_are_as_good_as_the_built_in_ones(
    catalog: Catalog, granularity: str
) -> None:
    found = bound(
        catalog, timeDimensions=[{"dimension": "orders.created_at", "granularity": granularity}]
    )
    assert [column.granularity for column in found.columns] == [granularity]
    assert found.columns[0].name == f"orders.created_at.{granularity}"


def test_granularities_of_another_dimension_are_not_known(catalog: Catalog) -> None:
    with pytest.raises(QuerySyntaxError) as unknown:
        bound(catalog, dimensions=["customers.born_at.half_year"])
    assert unknown.value.message == (
        'Granularity "half_year" does not exist in dimension customers.born_at'
    )


def test_a_redefined_granularity_is_listed_once_and_keeps_its_length(catalog: Catalog) -> None:
    fiscal = Granularity("month", "Retail month", None)
    created = dataclasses.replace(
        catalog.cubes["orders"].dimensions["created_at"], granularities=(fiscal,)
    )
    assert list_granularities(created).count("month") == 1
    assert measure_period(created, "week") < measure_period(created, "month")
    assert measure_period(created, "month") < measure_period(created, "quarter")


@pytest.mark.parametrize(
    ("asked", "finest"),
    [
        (["year", "half_year", "quarter"], "quarter"),
        (["year", "half_year"], "half_year"),
        (["month", "fortnight"], "fortnight"),
        (["week", "fortnight"], "week"),
        (["hour", "ten_minutes"], "ten_minutes"),
        (["season", "year"], "year"),
    ],
)
def test_an_order_by_a_time_takes_the_granularity_with_the_shortest_periods(
    catalog: Catalog, asked: list[str], finest: str
) -> None:
    found = bound(
        catalog,
        dimensions=[f"orders.created_at.{name}" for name in asked],
        order={"orders.created_at": "asc"},
    )
    (key,) = [item.key for item in found.order]
    assert isinstance(key, int)
    assert found.columns[key].granularity == finest


def test_join_hints_become_paths_of_cubes_and_roles(catalog: Catalog) -> None:
    hints = [["orders", "customers"], ["orders", "buyer", "countries"]]
    assert bound(catalog, measures=["orders.count"], joinHints=hints).joins == (
        ("orders", "customers"),
        ("orders", "orders.buyer", "orders.buyer.countries"),
    )
    for hint in (["orders", "vaults"], ["orders", "nobody"], ["vaults", "orders"]):
        with pytest.raises(UnknownMemberError, match="not found for path"):
            bound(catalog, measures=["orders.count"], joinHints=[hint])


def masked(catalog: Catalog, *members: dict[str, Any]) -> BoundQuery:
    query = dataclasses.replace(
        parse_json({"dimensions": ["sales.city"]}), masked_members=read_masked_members(members)
    )
    return bind(catalog, query, now=NOW)


def test_masks_name_members_of_cubes_and_say_in_which_rows_the_truth_shows(
    catalog: Catalog,
) -> None:
    unless = {"member": "customers.secret", "operator": "equals", "values": ["x"]}
    found = masked(catalog, {"member": "sales.city", "filter": unless}, {"member": "orders.status"})
    assert set(found.masks) == {("customers", "city"), ("orders", "status")}
    assert found.masks["orders", "status"] is None
    condition = found.masks["customers", "city"]
    assert isinstance(condition, OneOf)
    assert condition.values == ("x",)
    assert bound(catalog, dimensions=["sales.city"]).masks == {}


def test_a_member_masked_twice_shows_only_where_both_let_it(catalog: Catalog) -> None:
    unless = {"member": "customers.secret", "operator": "equals", "values": ["x"]}
    twice: list[dict[str, Any]] = [
        {"member": "sales.city", "filter": unless},
        {"member": "customers.city"},
    ]
    for members in (twice, twice[::-1]):
        assert masked(catalog, *members).masks["customers", "city"] is None


def test_a_catalog_without_hidden_members_still_finds_roles(catalog: Catalog) -> None:
    visible = hide_members(catalog)
    assert "secret" not in visible.cubes["customers"].dimensions
    assert "secret" not in visible.cubes["orders.buyer"].dimensions
    assert "city" in visible.cubes["orders.buyer"].dimensions
    assert list(visible.cubes) == list(catalog.cubes)
    assert not visible.cubes["vaults"].public
