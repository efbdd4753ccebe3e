"""`access_policy` of a cube: read and linked exactly, and refused wherever it could open too much."""

from __future__ import annotations

import textwrap

import pytest

from semantic.catalog.catalog import ContextValue, MemberReference
from semantic.catalog.load import load_catalog_from_text
from semantic.catalog.policy import (
    AccessPolicy,
    ClaimTest,
    MemberChoice,
    PolicyTerm,
    PolicyTree,
)
from semantic.errors import ModelError

CUBE = """
cubes:
  - name: orders
    sql_table: orders
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: country, type: string, sql: country}
      - {name: status, type: string, sql: status}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
    access_policy:
"""


def load(policies: str) -> tuple[AccessPolicy, ...]:
    text = CUBE + textwrap.indent(textwrap.dedent(policies).strip(), " " * 6) + "\n"
    return load_catalog_from_text({"m.yml": text}).cubes["orders"].policies


def refuse(policies: str) -> set[str]:
    with pytest.raises(ModelError) as caught:
        load(policies)
    assert all(problem.span is not None for problem in caught.value.problems)
    return {problem.code for problem in caught.value.problems}


def test_a_policy_is_linked_with_all_that_it_says() -> None:
    [policy] = load(
        """
        - groups: [sales, support]
          conditions:
            - if: "{ securityContext.active }"
            - if: "{ security_context.country in ['DE', 'FR'] }"
          member_level:
            includes: [country, "{CUBE.count}"]
            excludes: []
          member_masking: {includes: "*", excludes: [id]}
          row_level:
            filters:
              - member: "{CUBE}.country"
                operator: equals
                values: ["{ security_context.country }", DE, null, 1]
              - or:
                  - {member: status, operator: not_equals, values: [deleted]}
                  - {member: orders.status, operator: notSet}
        """
    )
    country, status = MemberReference("orders", "country"), MemberReference("orders", "status")
    assert policy == AccessPolicy(
        groups=("sales", "support"),
        conditions=(
            ClaimTest(("active",)),
            ClaimTest(("country",), "equals", ("DE", "FR")),
        ),
        members=MemberChoice(("country", "count"), ()),
        masking=MemberChoice(None, ("id",)),
        rows=(
            PolicyTerm(country, "equals", (ContextValue(("country",)), "DE", None, "1")),
            PolicyTree(
                "or",
                (
                    PolicyTerm(status, "notEquals", ("deleted",)),
                    PolicyTerm(status, "notSet", ()),
                ),
            ),
        ),
    )


def test_several_policies_stay_apart_and_in_order() -> None:
    assert [policy.groups for policy in load('[{group: "*"}, {role: admin}]')] == [
        ("*",),
        ("admin",),
    ]


def test_without_restrictions_a_policy_shows_every_member_and_row() -> None:
    assert load("- {group: admin, row_level: {allow_all: true}}") == (AccessPolicy(("admin",)),)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ('{includes: "*"}', MemberChoice(None, ())),
        ('{includes: ["*"]}', MemberChoice(None, ())),
        ("{includes: []}", MemberChoice((), ())),
        ("{excludes: [id]}", MemberChoice(None, ("id",))),
        ('{excludes: "*"}', MemberChoice((), ())),
        ('{includes: [id], excludes: "*"}', MemberChoice((), ())),
        ("{includes: [id, status], excludes: [id]}", MemberChoice(("id", "status"), ("id",))),
    ],
)
def test_a_star_is_every_member_and_an_empty_list_none(level: str, expected: MemberChoice) -> None:
    [policy] = load(f"- {{group: a, member_level: {level}}}")
    assert policy.members == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{ security_context.a }", [ClaimTest(("a",))]),
        ("{ COMPILE_CONTEXT.securityContext.a.b }", [ClaimTest(("a", "b"))]),
        ("security_context.a", [ClaimTest(("a",))]),
        ("{ !securityContext.a }", [ClaimTest(("a",), negated=True)]),
        ("{ not security_context.a }", [ClaimTest(("a",), negated=True)]),
        ("{ security_context.a == true }", [ClaimTest(("a",), "equals", (True,))]),
        ("{ security_context.a === -1 }", [ClaimTest(("a",), "equals", (-1,))]),
        ("{ security_context.a !== 'x' }", None),
        ("{ security_context.a != 'x' }", [ClaimTest(("a",), "equals", ("x",), negated=True)]),
        ("{ security_context.a == '!b === c' }", [ClaimTest(("a",), "equals", ("!b === c",))]),
        ("{ not security_context.a != 1 }", [ClaimTest(("a",), "equals", (1,))]),
        (
            "{ security_context.a not in [1, null] }",
            [ClaimTest(("a",), "equals", (1, None), negated=True)],
        ),
        (
            "{ security_context.a and security_context.b == 2 }",
            [ClaimTest(("a",)), ClaimTest(("b",), "equals", (2,))],
        ),
        ("{ security_context.a or security_context.b }", None),
        ("{ not (security_context.a and security_context.b) }", None),
        ("{ security_context.a > 1 }", None),
        ("{ 1 < security_context.a < 3 }", None),
        ("{ security_context.a in [] }", None),
        ("{ security_context.a in security_context.b }", None),
        ("{ security_context }", None),
        ("{ user.a }", None),
        ("{ security_context['a'] }", None),
        ("{ __import__('os').system('true') }", None),
        ("{ security_context.a == open('x') }", None),
        ("{ security_context.a.startswith('x') }", None),
        ("true", None),
        ("1 == 1", None),
        ("{", None),
        ("(" * 900, None),
        ("not " * 200 + "security_context.a", [ClaimTest(("a",))]),
        ("x" * 5000, None),
    ],
)
def test_a_condition_is_tests_of_claims_and_nothing_else(
    written: str, expected: list[ClaimTest] | None
) -> None:
    escaped = written.replace("\\", "\\\\").replace('"', '\\"')
    policies = f'- {{group: a, conditions: [{{if: "{escaped}"}}]}}'
    if expected is None:
        assert refuse(policies) == {"reference_syntax"}
    else:
        [policy] = load(policies)
        assert list(policy.conditions) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"{ security_context.a }"', (ContextValue(("a",)),)),
        ('["{securityContext.a.b}", x]', (ContextValue(("a", "b")), "x")),
        ("security_context.a", (ContextValue(("a",)),)),
        ("[plain, 'it''s', true]", ("plain", "it's", "true")),
        ('["x { security_context.a }"]', None),
        ('["{ security_context.a + 1 }"]', None),
        ('["{ securitycontext.a }"]', None),
        ('["{country}"]', None),
    ],
)
def test_a_claim_among_values_stands_alone(
    value: str, expected: tuple[str | ContextValue | None, ...] | None
) -> None:
    policies = (
        "- {group: a, row_level: {filters: "
        f"[{{member: country, operator: equals, values: {value}}}]}}}}"
    )
    if expected is None:
        assert refuse(policies) == {"reference_syntax"}
        return
    [policy] = load(policies)
    assert policy.rows == (PolicyTerm(MemberReference("orders", "country"), "equals", expected),)


@pytest.mark.parametrize(
    ("policies", "codes"),
    [
        ("group: a", {"wrong_type"}),
        ("- a", {"wrong_type"}),
        ("- {member_level: {includes: [id]}}", {"missing_key"}),
        ("- {groups: []}", {"missing_key"}),
        ("- {group: a, role: b}", {"conflicting_keys"}),
        ("- {group: a, groups: [b]}", {"conflicting_keys"}),
        ("- {groups: [{a: b}]}", {"wrong_type", "missing_key"}),
        ("- {group: a, condition: x}", {"unknown_key"}),
        ("- {group: a, conditions: [{}]}", {"missing_key"}),
        ("- {group: a, conditions: [{if: security_context.a, else: b}]}", {"unknown_key"}),
        ("- {group: a, member_level: {}}", {"missing_key"}),
        ("- {group: a, member_level: [id]}", {"wrong_type"}),
        ("- {group: a, member_level: {includes: id}}", {"wrong_type"}),
        ("- {group: a, member_level: {includes: [idd]}}", {"unknown_reference"}),
        ("- {group: a, member_level: {excludes: [other.id]}}", {"unknown_reference"}),
        ("- {group: a, member_masking: {includes: [id]}}", {"missing_key"}),
        ("- {group: a, row_level: {}}", {"missing_key"}),
        ("- {group: a, row_level: {allow_all: false}}", {"missing_key"}),
        ("- {group: a, row_level: {filters: []}}", {"missing_key"}),
        ("- {group: a, row_level: {filters: [x]}}", {"wrong_type"}),
        (
            "- {group: a, row_level: {allow_all: true, filters: [{member: id, operator: set}]}}",
            {"conflicting_keys"},
        ),
        (
            "- {group: a, row_level: {filters: [{member: count, operator: gt, values: [1]}]}}",
            {"invalid_reference"},
        ),
        (
            "- {group: a, row_level: {filters: [{member: id, operator: equals}]}}",
            {"missing_key"},
        ),
        (
            "- {group: a, row_level: {filters: [{member: id, operator: set, values: [1]}]}}",
            {"conflicting_keys"},
        ),
        (
            "- {group: a, row_level: {filters: [{member: id, operator: like, values: [1]}]}}",
            {"invalid_value"},
        ),
        ("- {group: a, row_level: {filters: [{or: []}]}}", {"missing_key"}),
        (
            "- {group: a, row_level: {filters: [{or: [{member: id, operator: set}], and: [x]}]}}",
            {"conflicting_keys", "wrong_type"},
        ),
    ],
)
def test_what_a_policy_cannot_mean_is_refused(policies: str, codes: set[str]) -> None:
    assert refuse(policies) == codes
