"""From specs of access policies to the catalog: conditions on claims, members, row filters.

The same for cubes and views: `owner` is the name of either, `kinds` says what its members are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from semantic.catalog.catalog import ContextValue, MemberReference
from semantic.catalog.policy import (
    AccessPolicy,
    ClaimTest,
    MemberChoice,
    PolicyFilter,
    PolicyTerm,
    PolicyTree,
)
from semantic.errors import Problem, suggest
from semantic.spec.policy import (
    AccessPolicySpec,
    MemberSetSpec,
    PolicyFilterSpec,
    PolicyTermSpec,
    PolicyTreeSpec,
)
from semantic.spec.reader import NAME, Text

_CONTEXTS: Final = frozenset({"security_context", "securityContext"})
_MAXIMUM: Final = 1_000
_NEGATION: Final = re.compile(r"!(?!=)")
_HINT: Final = "write { security_context.claim }, with not, ==, != or in, and a value"

Constant = str | int | float | bool | None


class _RefusedError(ValueError):
    """What stands in a condition is nothing that is known."""


@dataclass(frozen=True, slots=True)
class _Owner:
    name: str
    kinds: Mapping[str, str]
    problems: list[Problem]

    def report(self, code: str, message: str, text: Text, suggestion: str | None) -> None:
        """Add a problem at the begin of a text."""
        self.problems.append(Problem(code, message, text.span, suggestion))

    def member(self, text: Text) -> str | None:
        """Return the short name of one of the owner's members, or None after saying why not."""
        path = text.value.replace("{", "").replace("}", "").strip().split(".")
        if len(path) > 1 and path[0] in {"CUBE", "TABLE", self.name}:
            path = path[1:]
        if len(path) == 1 and path[0] in self.kinds:
            return path[0]
        shown = text.value.strip()[:60]
        near = suggest(path[-1], self.kinds)
        self.report("unknown_reference", f"{self.name} has no member `{shown}`", text, near)
        return None


def link_access_policy(
    spec: AccessPolicySpec, owner: str, kinds: Mapping[str, str], problems: list[Problem]
) -> AccessPolicy:
    """Return the policy; what is wrong is added to `problems`."""
    scope = _Owner(owner, kinds, problems)
    rows = None
    if spec.filters is not None:
        linked = (_link_filter(item, scope) for item in spec.filters)
        rows = tuple(item for item in linked if item is not None)
    return AccessPolicy(
        groups=spec.groups,
        conditions=tuple(test for text in spec.conditions for test in _read_condition(text, scope)),
        members=_link_members(spec.members, scope),
        masking=_link_members(spec.masked, scope),
        rows=rows,
    )


def _link_members(spec: MemberSetSpec | None, scope: _Owner) -> MemberChoice | None:
    if spec is None:
        return None
    includes = None if spec.includes is None else _names(spec.includes, scope)
    if spec.excludes is None:
        return MemberChoice((), ())  # without "*": nothing is left
    return MemberChoice(includes, _names(spec.excludes, scope))


def _names(names: tuple[Text, ...], scope: _Owner) -> tuple[str, ...]:
    found = (scope.member(name) for name in names)
    return tuple(name for name in found if name is not None)


def _link_filter(spec: PolicyFilterSpec, scope: _Owner) -> PolicyFilter | None:
    match spec:
        case PolicyTreeSpec():
            parts = (_link_filter(part, scope) for part in spec.parts)
            return PolicyTree(
                cast("Literal['and', 'or']", spec.word),
                tuple(part for part in parts if part is not None),
            )
        case PolicyTermSpec():
            name = scope.member(spec.member)
            if name is None:
                return None
            if scope.kinds[name] != "dimension":
                scope.report(
                    "invalid_reference",
                    f"`{name}` is a {scope.kinds[name]}: rows are chosen by dimensions",
                    spec.member,
                    "filter a dimension",
                )
                return None
            values = tuple(_read_value(value, scope) for value in spec.values)
            return PolicyTerm(MemberReference(scope.name, name), spec.operator, values)


def _read_value(text: Text | None, scope: _Owner) -> str | ContextValue | None:
    """Return a literal, or the claim that a text in braces stands for."""
    if text is None:
        return None
    written = text.value.strip()
    if not ("{" in written or _mentions_context(written)):
        return text.value
    try:
        return ContextValue(_claim(_parse(written)))
    except _RefusedError as refused:
        scope.report(
            "reference_syntax", f"`{written[:60]}`: {refused}", text,
            "write { security_context.claim } alone, or a value without braces",
        )  # fmt: skip
        return None


def _mentions_context(text: str) -> bool:
    return any(text.startswith((f"{name}.", f"COMPILE_CONTEXT.{name}.")) for name in _CONTEXTS)


def _read_condition(text: Text, scope: _Owner) -> tuple[ClaimTest, ...]:
    """Return the tests that all have to hold."""
    try:
        return tuple(_tests(_parse(text.value)))
    except _RefusedError as refused:
        shown = text.value.strip()[:60]
        scope.report("reference_syntax", f"condition `{shown}`: {refused}", text, _HINT)
        return ()


def _parse(written: str) -> ast.expr:
    """Return a condition as a tree. It is never run."""
    inside = written.strip()
    if inside.startswith("{") and inside.endswith("}"):
        inside = inside[1:-1]
    if len(inside) > _MAXIMUM:
        raise _RefusedError("it is too long")
    if "'" not in inside and '"' not in inside:
        inside = _NEGATION.sub(" not ", inside).replace("===", "==").replace("!==", "!=")
    try:
        return ast.parse(inside.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _RefusedError("it is no condition") from None


def _tests(node: ast.expr) -> Iterator[ClaimTest]:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            for value in values:
                yield from _tests(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            [*tests] = _tests(operand)
            if len(tests) != 1:
                raise _RefusedError("`not` stands before one test")
            [test] = tests
            yield ClaimTest(test.path, test.test, test.values, not test.negated)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            negated = isinstance(operator, ast.NotEq | ast.NotIn)
            yield ClaimTest(_claim(left), "equals", _values(operator, right), negated)
        case ast.Attribute():
            yield ClaimTest(_claim(node))
        case _:
            raise _RefusedError("it is more than tests joined by `and`")


def _values(operator: ast.cmpop, node: ast.expr) -> tuple[Constant, ...]:
    match operator, node:
        case ((ast.Eq() | ast.NotEq()), _):
            return (_constant(node),)
        case ((ast.In() | ast.NotIn()), (ast.List(elts=items) | ast.Tuple(elts=items))) if items:
            return tuple(_constant(item) for item in items)
        case _:
            raise _RefusedError("a claim is compared by ==, != or in [...]")


def _constant(node: ast.expr) -> Constant:
    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float):
            return value
        case ast.Name(id="true" | "false" | "null" as name):
            return {"true": True, "false": False, "null": None}[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case _:
            raise _RefusedError("a claim is compared with a text, a number, true, false or null")


def _claim(node: ast.expr) -> tuple[str, ...]:
    """Return the path of a claim: what follows `security_context`."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise _RefusedError("it is no claim of security_context")
    path = [node.id, *reversed(names)]
    if path[0] == "COMPILE_CONTEXT":
        path = path[1:]
    if len(path) < 2 or path[0] not in _CONTEXTS:  # noqa: PLR2004 - the context and a name
        raise _RefusedError("it is no claim of security_context")
    if not all(NAME.match(name) for name in path):
        raise _RefusedError("a claim is names with dots between them")
    return tuple(path[1:])
