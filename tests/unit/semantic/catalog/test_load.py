"""From YAML to the catalog: defaults, titles, inheritance, views, versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from semantic.catalog.catalog import (
    CaseExpression,
    Catalog,
    ColumnReference,
    Expression,
    MemberReference,
)
from semantic.catalog.load import ModelLoader, load_catalog, load_catalog_from_text
from semantic.errors import ModelError
from semantic.project import Project

ORDERS = """
cubes:
  - name: orders
    sql: SELECT * FROM shop.orders -- all of them
    joins:
      - {name: users, relationship: belongsTo, sql: "{CUBE}.user_id = {users.id}"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: created_at, type: time, sql: "{CUBE}.created_at", title: Ordered}
      - {name: status_of_order, type: string, sql: status, shown: false}
      - {name: month, type: time, sql: "{created_at.month}"}
      - name: size
        type: string
        case:
          when: [{sql: "{CUBE}.amount > 9", label: big}]
          else: {label: {sql: "{status_of_order}"}}
    measures:
      - {name: count, type: count}
      - {name: uniqueUsers, type: countDistinctApprox, sql: user_id}
      - {name: total, type: sum, sql: amount, filters: [{sql: "{CUBE}.amount > 0"}]}
      - {name: per_order, type: number, sql: "{total} / {orders.count}", format: currency_2}
    segments:
      - {name: odd, sql: "id % 2 = 1 AND id IN (SELECT id FROM shop.odd_ids)"}
  - name: users
    sql_table: shop.users
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
    hierarchies:
      - {name: places, levels: [city]}
  - name: buyers
    extends: users
    title: People who buy
    dimensions:
      - {name: city, title: Town}
      - {name: code, type: string, sql: "{CUBE}.code"}
views:
  - name: sales
    cubes:
      - {join_path: orders, includes: "*", excludes: [total]}
      - join_path: orders.users
        prefix: true
        alias: buyer
        includes: [id, {name: city, alias: home, title: Home town, description: Where}]
    folders:
      - {name: Who, includes: [{join_path: orders.users}, count]}
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog_from_text({"orders.yml": ORDERS})


def test_titles_default_to_the_humanised_name_after_the_cubes_title(catalog: Catalog) -> None:
    orders = catalog.cubes["orders"]
    assert orders.title == "Orders"
    assert orders.dimensions["created_at"].title == "Orders Ordered"
    assert orders.dimensions["status_of_order"].short_title == "Status of Order"
    assert orders.measures["uniqueUsers"].title == "Orders Unique Users"


def test_primary_keys_and_what_is_not_shown_are_private(catalog: Catalog) -> None:
    dimensions = catalog.cubes["orders"].dimensions
    assert [name for name, item in dimensions.items() if not item.public] == [
        "id",
        "status_of_order",
    ]
    assert [item.name for item in catalog.cubes["orders"].primary_key] == ["id"]


def test_old_and_camel_case_spellings_mean_the_same(catalog: Catalog) -> None:
    orders = catalog.cubes["orders"]
    assert orders.joins["users"].relationship == "many_to_one"
    assert orders.measures["uniqueUsers"].type == "count_distinct_approx"


def test_snippets_are_parts_with_resolved_references(catalog: Catalog) -> None:
    orders = catalog.cubes["orders"]
    assert _parts(orders.joins["users"].sql) == (
        ColumnReference("orders"), ".user_id = ", MemberReference("users", "id"),
    )  # fmt: skip
    assert _parts(orders.dimensions["id"].sql) == (ColumnReference("orders"), ".id")
    assert _parts(orders.dimensions["month"].sql) == (
        MemberReference("orders", "created_at", "month"),
    )
    assert _parts(orders.measures["per_order"].sql) == (
        MemberReference("orders", "total"), " / ", MemberReference("orders", "count"),
    )  # fmt: skip
    size = orders.dimensions["size"].sql
    assert isinstance(size, CaseExpression)
    assert isinstance(size.otherwise, Expression)
    assert size.otherwise.parts == (MemberReference("orders", "status_of_order"),)


def test_the_tables_that_a_cube_reads_are_known_also_those_in_sub_selects(
    catalog: Catalog,
) -> None:
    assert catalog.cubes["orders"].tables == ("shop.odd_ids", "shop.orders")
    assert catalog.cubes["buyers"].tables == ("shop.users",)
    assert _parts(catalog.cubes["orders"].sql) == ("SELECT * FROM shop.orders",)


def test_an_extending_cube_has_its_parents_members_in_its_own_name(catalog: Catalog) -> None:
    buyers = catalog.cubes["buyers"]
    assert list(buyers.dimensions) == ["id", "city", "code"]
    assert buyers.title == "People who buy"
    assert buyers.dimensions["city"].short_title == "Town"
    assert _parts(buyers.dimensions["city"].sql) == (ColumnReference("buyers"), ".city")
    assert buyers.hierarchies["places"].levels == ("buyers.city",)
    assert catalog.cubes["users"].dimensions["city"].short_title == "City"


def test_a_view_renames_excludes_and_keeps_the_path(catalog: Catalog) -> None:
    members = catalog.views["sales"].members
    assert "total" not in members
    home = members["buyer_home"]
    assert (home.cube, home.member, home.join_path) == ("users", "city", ("orders", "users"))
    assert (home.title, home.description) == ("Sales Home town", "Where")
    assert members["per_order"].format == "currency_2"
    assert catalog.views["sales"].folders[0].members == ("buyer_id", "buyer_home", "count")


def test_a_star_keeps_private_members_private_and_a_name_makes_them_public(
    catalog: Catalog,
) -> None:
    members = catalog.views["sales"].members
    assert not members["id"].public
    assert members["buyer_id"].public


def test_an_extending_view_adds_to_its_parents_cubes_and_keeps_its_folders() -> None:
    more = """
  - name: all_sales
    extends: sales
    cubes:
      - {join_path: orders, includes: [total]}
"""
    views = load_catalog_from_text({"orders.yml": ORDERS + more}).views
    assert list(views["all_sales"].members) == [*views["sales"].members, "total"]
    assert views["all_sales"].folders == views["sales"].folders
    assert views["all_sales"].title == "All Sales"


def test_a_key_with_nothing_after_it_is_not_given() -> None:
    with pytest.raises(ModelError) as caught:
        load_catalog_from_text(
            {"m.yml": "cubes: [{name: a, sql: , measures: [{name: b, type: }]}]"}
        )
    assert {problem.code for problem in caught.value.problems} == {"missing_key", "empty_cube"}


def test_a_member_may_refer_to_a_cube_that_joins_its_own() -> None:
    cubes = """
cubes:
  - name: users
    sql_table: users
    joins: [{name: orders, relationship: one_to_many, sql: "{CUBE}.id = {orders}.user_id"}]
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
  - name: orders
    sql_table: orders
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: of_user, type: number, sql: "{users.id}"}
"""
    catalog = load_catalog_from_text({"m.yml": cubes})
    assert _parts(catalog.cubes["orders"].dimensions["of_user"].sql) == (
        MemberReference("users", "id"),
    )


def test_the_version_changes_with_the_content_only() -> None:
    texts = {"a.yml": ORDERS}
    first = load_catalog_from_text(texts)
    assert load_catalog_from_text(dict(texts)).version == first.version
    changed = load_catalog_from_text({"a.yml": ORDERS.replace("amount > 9", "amount > 8")})
    assert changed.version != first.version


def test_loading_again_after_a_change_equals_loading_afresh(tmp_path: Path) -> None:
    (tmp_path / "cubes").mkdir()
    first, second = tmp_path / "cubes" / "orders.yml", tmp_path / "cubes" / "more.yaml"
    first.write_text(ORDERS)
    loader = ModelLoader(tmp_path)
    assert loader.load() == load_catalog(tmp_path)
    assert loader.load() == loader.load()
    second.write_text(
        "cubes: [{name: more, extends: users, dimensions: [{name: x, type: number, sql: x}]}]"
    )
    assert list(loader.load().cubes["more"].dimensions) == ["id", "city", "x"]
    first.write_text(ORDERS.replace("name: city, type: string", "name: town, type: string"))
    with pytest.raises(ModelError, match="unknown_reference"):
        loader.load()
    first.write_text(ORDERS.replace("amount > 9", "amount > 8"))
    assert loader.load() == load_catalog(tmp_path)
    second.unlink()
    assert loader.load() == load_catalog(tmp_path)


def test_a_catalog_cannot_be_changed(catalog: Catalog) -> None:
    with pytest.raises(TypeError):
        catalog.cubes["orders"] = catalog.cubes["users"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        catalog.version = "x"  # type: ignore[misc]


def test_the_demo_model_has_the_members_that_reviewers_have_seen() -> None:
    """The text file shows in a review which members appear or vanish: edit it on purpose."""
    project = Project.open(Path(__file__).parents[4])
    demo = load_catalog(project.model)
    kinds = {"measure": "measures", "dimension": "dimensions", "segment": "segments"}
    names = [
        f"{cube.name}.{name} {kind}"
        for cube in demo.cubes.values()
        for kind, attribute in kinds.items()
        for name in getattr(cube, attribute)
    ]
    names += [
        f"{view.name}.{member.name} {member.kind} of {'.'.join(member.join_path)}"
        for view in demo.views.values()
        for member in view.members.values()
    ]
    seen = Path(__file__).with_name("demo_members.txt").read_text().splitlines()
    assert sorted(names) == seen


def test_every_public_member_of_the_demo_says_what_it_means() -> None:
    demo = load_catalog(Project.open(Path(__file__).parents[4]).model)
    undescribed = [
        f"{cube.name}.{item.name}"
        for cube in demo.cubes.values()
        for items in (cube.dimensions, cube.measures, cube.segments)
        for item in items.values()
        if not (item.description or "").endswith(".")
    ]
    assert undescribed == []


def _parts(sql: object) -> tuple[object, ...]:
    assert isinstance(sql, Expression)
    return sql.parts


def test_snippets_are_read_in_the_dialect_of_the_engine() -> None:
    model = """
cubes:
  - name: orders
    sql_table: orders
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: label, type: string, sql: "{CUBE}.tags ->> 'label'"}
      - {name: quoted, type: string, sql: "`odd name`"}
"""
    with pytest.raises(ModelError, match="odd"):
        load_catalog_from_text({"m.yml": model}, "postgres")
    in_mysql = load_catalog_from_text({"m.yml": model}, "mysql")
    assert in_mysql.version != load_catalog_from_text({"m.yml": model}, "bigquery").version
