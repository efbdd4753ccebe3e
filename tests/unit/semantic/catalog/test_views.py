"""Views: several roots, default filters, groups, nested folders, split, what they inherit."""

from __future__ import annotations

import pytest

from semantic.catalog.catalog import Catalog, FilterTerm, FilterTree, Folder, MemberReference
from semantic.catalog.load import load_catalog_from_text
from semantic.catalog.policy import MemberChoice, PolicyTerm
from semantic.errors import ModelError, Problem

CUBES = """
cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: users, relationship: many_to_one, sql: "{CUBE}.user_id = {users}.id"}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: currency, type: string, sql: currency}
      - {name: status, type: string, sql: status}
    measures: [{name: count, type: count}, {name: total, type: sum, sql: amount}]
    segments: [{name: paid, sql: "{CUBE}.paid"}]
    hierarchies: [{name: way, levels: [currency, status]}]
  - name: returns
    sql_table: returns
    joins:
      - {name: users, relationship: many_to_one, sql: "{CUBE}.user_id = {users}.id"}
    dimensions: [{name: id, type: number, sql: id, primary_key: true}]
    measures: [{name: count, type: count}]
  - name: users
    sql_table: users
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
views:
"""


def load(views: str) -> Catalog:
    return load_catalog_from_text({"model.yml": CUBES + views})


def problems_of(views: str) -> tuple[Problem, ...]:
    with pytest.raises(ModelError) as caught:
        load(views)
    return caught.value.problems


FACTS = """
  - name: facts
    cubes:
      - {join_path: orders, includes: [count, currency, way], prefix: true}
      - {join_path: returns, includes: [count], prefix: true, alias: back}
      - {join_path: users, includes: [city]}
"""


def test_a_view_may_have_several_roots_each_with_paths_of_its_own() -> None:
    members = load(FACTS).views["facts"].members
    assert {name: member.join_path for name, member in members.items()} == {
        "orders_count": ("orders",),
        "orders_currency": ("orders",),
        "orders_way": ("orders",),
        "back_count": ("returns",),
        "city": ("users",),
    }
    both = load(
        FACTS
        + "      - {join_path: orders.users, includes: [city], prefix: true, alias: buyer}\n"
        + "      - {join_path: returns.users, includes: [city], prefix: true, alias: sender}\n"
    )
    assert both.views["facts"].members["sender_city"].join_path == ("returns", "users")


FILTERED = """
  - name: sales
    cubes: [{join_path: orders, includes: "*"}]
    filters:
      - {member: sales.currency, operator: equals, values: [USD, null], unless: [currency, paid]}
      - or:
          - {member: status, operator: notSet}
          - and: [{member: "{CUBE.status}", operator: notEquals, values: [1, true]}]
      - {member: total, operator: gt, values: [5]}
  - name: more_sales
    extends: sales
    filters: [{member: id, operator: set}]
  - name: most_sales
    extends: more_sales
"""


def test_default_filters_name_members_of_the_view_with_or_without_its_name() -> None:
    views = load(FILTERED).views
    currency, status, total = views["sales"].filters
    assert currency == FilterTerm(
        MemberReference("sales", "currency"),
        "equals",
        ("USD", None),
        (MemberReference("sales", "currency"), MemberReference("sales", "paid")),
    )
    reference = MemberReference("sales", "status")
    inner = FilterTree("and", (FilterTerm(reference, "notEquals", ("1", "true")),))
    assert status == FilterTree("or", (FilterTerm(reference, "notSet", ()), inner))
    assert total == FilterTerm(MemberReference("sales", "total"), "gt", ("5",))


@pytest.mark.parametrize("name", ["more_sales", "most_sales"])
def test_inherited_filters_mean_the_inheriting_view_also_where_they_name_the_parent(
    name: str,
) -> None:
    filters = load(FILTERED).views[name].filters
    assert len(filters) == 4
    assert isinstance(filters[0], FilterTerm)
    assert filters[0].member == MemberReference(name, "currency")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("{member: sales.cury, operator: set}", "unknown_reference"),
        ("{member: orders.currency, operator: set}", "unknown_reference"),
        ("{member: paid, operator: set}", "invalid_reference"),
        ("{member: way, operator: set}", "invalid_reference"),
        ("{member: id, operator: equal, values: [1]}", "invalid_value"),
        ("{member: id, operator: equals}", "missing_key"),
        ("{operator: set}", "missing_key"),
        ("{member: id, operator: set, unless: [nothing]}", "unknown_reference"),
        ("{member: id, operator: set, until: [id]}", "unknown_key"),
        ("{or: [{member: id, operator: set}, {member: count, operator: set}]}", "invalid_value"),
        ("{or: [{member: id, operator: set}], member: id}", "unknown_key"),
        ("id", "wrong_type"),
    ],
)
def test_a_default_filter_that_cannot_hold_is_a_problem_at_its_place(
    written: str, code: str
) -> None:
    view = f"  - name: sales\n    cubes: [{{join_path: orders, includes: '*'}}]\n    filters:\n      - {written}\n"
    (problem,) = problems_of(view)
    assert problem.code == code
    assert problem.span is not None
    assert problem.span.line == (CUBES + view).count("\n")


def test_folders_nest_and_keep_their_order() -> None:
    views = load(
        FACTS
        + """
    folders:
      - name: All
        includes:
          - city
          - {name: Sales, includes: [{join_path: orders}, {name: Back, includes: [back_count]}]}
          - {name: Everything, includes: "*"}
"""
    ).views
    members = tuple(views["facts"].members)
    sales = ("orders_count", "orders_currency", "orders_way")
    assert views["facts"].folders == (
        Folder(
            "All",
            ("city",),
            (
                Folder("Sales", sales, (Folder("Back", ("back_count",)),)),
                Folder("Everything", members),
            ),
        ),
    )


def test_a_wrong_member_of_a_nested_folder_is_reported() -> None:
    (problem,) = problems_of(
        FACTS + "    folders: [{name: A, includes: [{name: B, includes: [cities]}]}]\n"
    )
    assert (problem.code, problem.suggestion) == ("unknown_reference", "did you mean city?")


GROUPED = """
  - name: facts
    view_groups: [money, people]
    cubes: [{join_path: orders, includes: "*"}]
  - name: folk
    view_group: people
    cubes: [{join_path: users, includes: "*"}]
"""


def test_views_are_in_the_groups_that_name_them_and_in_those_that_they_name() -> None:
    declared = """
view_groups:
  - {name: money, title: All money, description: Sums, views: [folk, facts, folk]}
  - {name: people}
"""
    catalog = load(GROUPED + declared)
    money, people = catalog.view_groups
    assert (money.title, money.description, money.views) == ("All money", "Sums", ("folk", "facts"))
    assert (people.title, people.views) == ("People", ("facts", "folk"))
    assert catalog.views["facts"].groups == catalog.views["folk"].groups == ("money", "people")


def test_a_model_that_declares_no_groups_makes_those_that_views_name() -> None:
    catalog = load(GROUPED)
    assert [(group.name, group.views) for group in catalog.view_groups] == [
        ("money", ("facts",)),
        ("people", ("facts", "folk")),
    ]


@pytest.mark.parametrize(
    ("declared", "suggestion"),
    [
        ("view_groups: [{name: money}, {name: persons}]\n", "declare it under `view_groups:`"),
        ("view_groups: [{name: money}, {name: people, views: [folks]}]\n", "did you mean folk?"),
    ],
)
def test_names_between_views_and_groups_that_fit_nothing_are_reported(
    declared: str, suggestion: str
) -> None:
    problem = problems_of(GROUPED + declared)[0]
    assert problem.code == "unknown_reference"
    assert problem.suggestion is not None
    assert problem.suggestion.startswith(suggestion.partition(" ")[0])


def test_split_parts_become_views_of_their_own() -> None:
    views = load(
        """
  - name: all
    cubes:
      - {join_path: orders, includes: [count]}
      - {join_path: orders.users, includes: [city], split: true}
      - {join_path: returns, includes: [count], split: true, alias: back}
"""
    ).views
    assert {name: list(view.members) for name, view in views.items()} == {
        "all": ["count"],
        "all_users": ["city"],
        "all_back": ["count"],
    }
    assert views["all_users"].members["city"].join_path == ("orders", "users")


def test_split_excludes_prefix_and_may_not_make_a_view_that_exists() -> None:
    (problem,) = problems_of(
        "  - name: all\n    cubes: [{join_path: users, includes: '*', split: true, prefix: true}]\n"
    )
    assert problem.code == "conflicting_keys"
    (problem,) = problems_of(
        "  - name: all\n    cubes: [{join_path: users, includes: '*', split: true}]\n"
        "  - name: all_users\n    cubes: [{join_path: users, includes: '*'}]\n"
    )
    assert problem.code == "duplicate_name"


def test_members_written_as_a_mapping_are_inherited_like_those_of_a_list() -> None:
    cubes = load_catalog_from_text(
        {
            "m.yml": """
cubes:
  - name: base
    sql_table: base
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: city, type: string, sql: city}
    meta: {cubes: [1], dimensions: [{name: a}]}
  - name: child
    extends: base
    dimensions:
      city: {title: Town}
      size: {type: string, sql: size}
    meta: {cubes: [2]}
"""
        }
    ).cubes
    assert list(cubes["child"].dimensions) == ["id", "city", "size"]
    assert cubes["child"].dimensions["city"].short_title == "Town"
    assert cubes["child"].meta == {"cubes": [2], "dimensions": [{"name": "a"}]}


def test_a_view_has_access_policies_about_its_own_members() -> None:
    (policy,) = load(FACTS + POLICY % "city").views["facts"].policies
    assert policy.groups == ("sales",)
    assert policy.members == MemberChoice(("city", "orders_count"))
    assert policy.rows == (PolicyTerm(MemberReference("facts", "city"), "equals", ("Rome",)),)


POLICY = """
    access_policy:
      - group: sales
        member_level: {includes: [city, facts.orders_count]}
        row_level: {filters: [{member: "%s", operator: equals, values: [Rome]}]}
"""


def test_a_policy_about_what_a_view_does_not_show_is_a_problem() -> None:
    (problem,) = problems_of(FACTS + POLICY % "users.city")
    assert problem.code == "unknown_reference"


@pytest.mark.parametrize(
    "key", ["filters: [{member: count, operator: set}]", "access_policy: [{group: a}]"]
)
def test_what_would_not_hold_in_a_view_that_is_split_off_is_refused(key: str) -> None:
    (problem,) = problems_of(
        "  - name: all\n    cubes: [{join_path: orders, includes: '*'}, "
        f"{{join_path: users, includes: '*', split: true}}]\n    {key}\n"
    )
    assert problem.code == "conflicting_keys"
