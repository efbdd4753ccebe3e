"""Roles: one cube under several joins, made when looked up, everything in it renamed."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import pytest

from semantic.catalog.catalog import (
    ColumnReference,
    Expression,
    Join,
    MemberReference,
)
from semantic.catalog.load import load_catalog_from_text
from semantic.catalog.roles import (
    MAXIMUM_LENGTH,
    CubesAndRoles,
    add_roles,
    find_ambiguous_references,
)
from semantic.errors import AmbiguousJoinPathError, ModelError, NoJoinPathError

MODEL = """
cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: products, relationship: many_to_one, sql: "{CUBE}.product_id = {products}.id"}
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
    measures: [{name: count, type: count}]
  - name: users
    title: Person
    sql_table: users
    joins:
      - name: departments
        relationship: many_to_one
        sql: "{CUBE}.department_id = {departments}.id"
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: "upper({CUBE}.city)"}
      - {name: team, type: string, sql: "{city} || {departments.name} || {departments.region}"}
      - name: band
        type: string
        case: {when: [{sql: "{city} = 'x'", label: {sql: "{CUBE.city}"}}], else: {label: other}}
    measures:
      - {name: count, type: count, filters: [{sql: "{city} = 'Paris'"}], drill_members: [city]}
    segments: [{name: parisians, sql: "{CUBE}.city = 'Paris'"}]
    hierarchies: [{name: place, levels: [departments.name, city]}]
  - name: departments
    sql_table: departments
    joins:
      - {name: regions, relationship: many_to_one, sql: "{CUBE}.region_id = {regions}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: name, type: string, sql: name}
      - {name: region, type: string, sql: "{regions.name}"}
  - name: regions
    sql_table: regions
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: name, type: string, sql: name}
  - name: products
    sql_table: products
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
"""


def named(source: str, name: str, base: str) -> Join:
    role = f"{source}.{name}"
    sql = (ColumnReference(source), f".{name}_id = ", ColumnReference(role), ".id")
    return Join(source, role, "many_to_one", Expression(sql), name=name, base=base)


def with_named_joins(model: str, *joins: Join) -> CubesAndRoles:
    cubes = dict(load_catalog_from_text({"model.yml": model}).cubes)
    for join in joins:
        cube = cubes[join.cube]
        more = MappingProxyType({**cube.joins, join.name: join})
        cubes[join.cube] = dataclasses.replace(cube, joins=more)
    return add_roles(cubes)


@pytest.fixture(scope="module")
def cubes() -> CubesAndRoles:
    return with_named_joins(
        MODEL,
        named("orders", "customer", "users"),
        named("orders", "manager", "users"),
        named("users", "boss", "users"),
    )


def test_roles_are_looked_up_but_never_listed(cubes: CubesAndRoles) -> None:
    assert list(cubes) == ["orders", "users", "departments", "regions", "products"]
    assert len(cubes) == 5
    for name in ("orders.customer", "orders.customer.departments.regions", "users.boss.boss.boss"):
        assert name in cubes
        assert cubes[name] is cubes.get(name)
        assert cubes[name].name == name


@pytest.mark.parametrize(
    "name",
    ["orders.customers", "orders.products", "orders.customer.nobody", "nobody.customer", ".", "",
     "users" + ".boss" * (MAXIMUM_LENGTH + 1)],
)  # fmt: skip
def test_what_no_joins_are_called_is_no_role(cubes: CubesAndRoles, name: str) -> None:
    assert name not in cubes
    assert cubes.get(name) is None


def test_a_role_has_everything_of_its_cube_under_its_own_name(cubes: CubesAndRoles) -> None:
    role, base = cubes["orders.customer"], cubes["users"]
    assert role.role_of == "users"
    assert role.public is base.public
    assert role.sql_table == base.sql_table
    assert role.dimensions.keys() == base.dimensions.keys()
    assert {item.cube for item in role.dimensions.values()} == {"orders.customer"}
    assert role.measures["count"].cube == role.segments["parisians"].cube == "orders.customer"
    assert role.primary_key[0].cube == "orders.customer"
    city = role.dimensions["city"].sql
    assert isinstance(city, Expression)
    assert ColumnReference("orders.customer") in city.parts
    assert role.measures["count"].drill_members == ("orders.customer.city",)
    assert MemberReference("orders.customer", "city") in role.measures["count"].filters[0].parts
    rest = dataclasses.replace(role, role_of=None, sql_table=None, tables=(), joins={})
    assert "'users'" not in repr(rest)


def test_what_a_cube_joins_becomes_the_role_below(cubes: CubesAndRoles) -> None:
    role = cubes["orders.customer"]
    join = role.joins["departments"]
    assert (join.cube, join.target) == ("orders.customer", "orders.customer.departments")
    assert [part.cube for part in join.sql.parts if isinstance(part, ColumnReference)] == [
        "orders.customer", "orders.customer.departments"
    ]  # fmt: skip
    team = role.dimensions["team"].sql
    assert isinstance(team, Expression)
    assert MemberReference("orders.customer.departments", "name") in team.parts
    below = cubes["orders.customer.departments"].dimensions["region"].sql
    assert isinstance(below, Expression)
    assert below.parts == (MemberReference("orders.customer.departments.regions", "name"),)
    assert role.hierarchies["place"].levels == (
        "orders.customer.departments.name", "orders.customer.city"
    )  # fmt: skip


def test_two_roles_of_one_cube_are_titled_apart(cubes: CubesAndRoles) -> None:
    assert cubes["users"].dimensions["city"].title == "Person City"
    assert cubes["orders.customer"].dimensions["city"].title == "Customer City"
    assert (
        cubes["orders.manager.departments"].dimensions["name"].title == "Manager Departments Name"
    )
    assert cubes["orders.manager"].dimensions["city"].short_title == "City"


def test_a_reference_with_a_path_stays_on_it(cubes: CubesAndRoles) -> None:
    users = cubes["users"]
    path = ("users", "users.boss", "users.boss.departments")
    sql = Expression((MemberReference(path[-1], "name", path=path),))
    dimension = dataclasses.replace(users.dimensions["city"], sql=sql)
    changed = dataclasses.replace(users, dimensions=MappingProxyType({"city": dimension}))
    role = add_roles({**cubes, "users": changed})["orders.customer"].dimensions["city"].sql
    assert isinstance(role, Expression)
    way = ("orders.customer", "orders.customer.boss", "orders.customer.boss.departments")
    assert role.parts == (MemberReference(way[-1], "name", path=way),)


def test_a_role_is_joined_along_its_name(cubes: CubesAndRoles) -> None:
    tree = cubes.graph.find_tree(
        ["orders", "orders.manager.departments"], [("orders", "orders.customer")]
    )
    assert tree.root == "orders"
    assert [(hop.source, hop.target) for hop in tree.hops] == [
        ("orders", "orders.customer"),
        ("orders", "orders.manager"),
        ("orders.manager", "orders.manager.departments"),
    ]


def test_a_role_can_be_a_root_of_its_own(cubes: CubesAndRoles) -> None:
    tree = cubes.graph.find_tree(["orders.customer", "orders.customer.departments"])
    assert tree.root == "orders.customer"
    assert tree.cubes == ("orders.customer", "orders.customer.departments")


def test_a_cube_joined_under_two_names_is_refused_with_both(cubes: CubesAndRoles) -> None:
    with pytest.raises(AmbiguousJoinPathError) as caught:
        cubes.graph.find_tree(["orders", "users"])
    assert caught.value.suggestion is not None
    assert "orders.customer.member or orders.manager.member" in caught.value.suggestion
    with pytest.raises(AmbiguousJoinPathError, match=r"orders\.customer\.departments\.regions"):
        cubes.graph.find_tree(["orders", "regions"])


def test_a_cube_joined_under_one_other_name_is_refused_with_it() -> None:
    cubes = with_named_joins(MODEL, named("orders", "customer", "users"))
    with pytest.raises(NoJoinPathError, match=r"write orders\.customer\.member"):
        cubes.graph.find_tree(["orders", "users"])


def test_a_plain_join_is_taken_even_when_a_role_is_nearer() -> None:
    cubes = with_named_joins(MODEL, named("users", "home", "regions"))
    tree = cubes.graph.find_tree(["users", "regions"])
    assert tree.cubes == ("users", "departments", "regions")


def test_an_ambiguous_reference_in_a_cube_with_roles_is_a_problem_of_the_model() -> None:
    plain = with_named_joins(MODEL)
    assert not list(find_ambiguous_references(plain))
    other = dataclasses.replace(plain["departments"], name="sites")
    site = dataclasses.replace(plain["users"].joins["departments"], target="sites", name="sites")
    users = plain["users"]
    city = dataclasses.replace(
        users.dimensions["city"], sql=Expression((MemberReference("regions", "name"),))
    )
    changed = {
        **plain,
        "sites": other,
        "users": dataclasses.replace(
            users,
            joins={**users.joins, "sites": site},
            dimensions={**users.dimensions, "city": city},
        ),
    }
    assert not list(find_ambiguous_references(add_roles(changed)))  # a query may name the way
    orders = plain["orders"]
    customer = {**orders.joins, "customer": named("orders", "customer", "users")}
    changed["orders"] = dataclasses.replace(orders, joins=customer)
    (problem,) = find_ambiguous_references(add_roles(changed))
    assert problem.code == "ambiguous_reference"
    assert problem.suggestion == "write the way: {users.departments.regions.name}"


def test_hostile_names_do_not_fill_the_memory(cubes: CubesAndRoles) -> None:
    for depth in range(1, MAXIMUM_LENGTH + 50):
        cubes.get("users" + ".boss" * depth)
    assert "users" + ".boss" * 50 not in cubes


NAMED = """
cubes:
  - name: users
    sql_table: users
    joins:
      - {name: boss, cube: users, relationship: many_to_one, sql: "{CUBE}.boss_id = {boss}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
      - {name: boss_city, type: string, sql: "{CUBE.boss.city}"}
      - {name: top, type: string, sql: "{CUBE.boss.%s}"}
  - name: orders
    sql_table: orders
    joins:
      - name: users
        alias: customer
        relationship: many_to_one
        sql: "{CUBE}.customer_id = {users}.id"
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: "{CUBE.customer.city}"}
views:
  - name: sales
    cubes:
      - {join_path: orders, includes: [id]}
      - {join_path: orders.customer, includes: [city], prefix: true}
      - {join_path: orders.customer.boss, includes: [city], prefix: true}
    folders: [{name: Boss, includes: [{join_path: orders.customer.boss}]}]
"""


def test_named_joins_of_a_model_make_roles_in_paths_of_views_and_references() -> None:
    catalog = load_catalog_from_text({"m.yml": NAMED % "city"})
    members = catalog.views["sales"].members
    assert {name: member.join_path for name, member in members.items()} == {
        "id": ("orders",),
        "customer_city": ("orders", "orders.customer"),
        "boss_city": ("orders", "orders.customer", "orders.customer.boss"),
    }
    assert catalog.views["sales"].folders[0].members == ("boss_city",)
    role = catalog.cubes["orders.customer"].dimensions["boss_city"].sql
    assert isinstance(role, Expression)
    assert role.parts == (
        MemberReference(
            "orders.customer.boss", "city", path=("orders.customer", "orders.customer.boss")
        ),
    )
    condition = catalog.cubes["orders"].joins["customer"].sql
    assert [part.cube for part in condition.parts if isinstance(part, ColumnReference)] == [
        "orders", "orders.customer"
    ]  # fmt: skip


def test_a_member_that_refers_to_itself_through_a_role_is_a_circle() -> None:
    """Else each role would refer to the next one, without end."""
    with pytest.raises(ModelError) as caught:
        load_catalog_from_text({"m.yml": NAMED % "top"})
    assert [problem.code for problem in caught.value.problems] == ["reference_cycle"]
