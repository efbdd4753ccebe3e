"""Conditions to SQL, every value bound.

The member's SQL stands bare on the left of each comparison, so that the engine can skip the row
groups whose statistics exclude it: not the column is converted to the query's time zone, but the
bounds to UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from semantic.compile.compiled import Parameters
from semantic.compile.expressions import Expressions
from semantic.query.bound import (
    AllOf,
    AnyOf,
    Compares,
    Condition,
    DimensionUse,
    InSegment,
    IsNull,
    Matches,
    OneOf,
    Use,
    Value,
    Within,
)
from semantic.query.dates import Instant

Render = Callable[[Use], str]


class Conditions:
    """Writes conditions; `member` says what a member is called where they stand."""

    __slots__ = ("_expressions", "_member", "_parameters")

    def __init__(self, expressions: Expressions, parameters: Parameters, member: Render) -> None:
        self._expressions = expressions
        self._parameters = parameters
        self._member = member

    def render(self, condition: Condition) -> str:
        """Return the condition as one operand."""
        match condition:
            case AllOf():
                return self._joined(" AND ", condition.parts)
            case AnyOf():
                return self._joined(" OR ", condition.parts)
            case InSegment():
                return self._expressions.segment(condition.use.segment)
            case IsNull():
                return f"{self._member(condition.use)} IS {'NOT ' * condition.negated}NULL"
            case OneOf():
                return self._one_of(condition)
            case Matches():
                return self._matches(condition)
            case Compares():
                member = self._member(condition.use)
                return _either(
                    f"{member} {condition.comparator} {self._value(member, value)}"
                    for value in condition.values
                )
            case Within():
                return self._within(condition)
            case _ as unreachable:
                assert_never(unreachable)

    def _joined(self, word: str, parts: tuple[Condition, ...]) -> str:
        return f"({word.join(self.render(part) for part in parts)})"

    def _one_of(self, condition: OneOf) -> str:
        member = self._member(condition.use)
        bound = [self._value(member, value) for value in condition.values]
        if len(bound) == 1:
            test = f"{member} {'<>' if condition.negated else '='} {bound[0]}"
        elif bound:
            test = f"{member} {'NOT ' * condition.negated}IN ({', '.join(bound)})"
        else:
            test = ""
        return _with_null(member, test, null=condition.null, negated=condition.negated)

    def _matches(self, condition: Matches) -> str:
        member = self._member(condition.use)
        text = member
        if not (
            isinstance(condition.use, DimensionUse) and condition.use.dimension.type == "string"
        ):
            text = f"CAST({member} AS VARCHAR)"
        before = "%" if condition.pattern in {"contains", "endsWith"} else ""
        after = "%" if condition.pattern in {"contains", "startsWith"} else ""
        word = "NOT ILIKE" if condition.negated else "ILIKE"
        tests = [
            f"{text} {word} {self._parameters.bind(before + _escape(value) + after)} ESCAPE '\\'"
            for value in condition.values
        ]
        test = (" AND " if condition.negated else " OR ").join(tests)
        if len(tests) > 1:
            test = f"({test})"
        return _with_null(member, test, null=condition.null, negated=condition.negated)

    def _within(self, condition: Within) -> str:
        member = self._member(condition.use)
        if condition.negated:
            outside = [f"{member} IS NULL"]
            if condition.start is not None:
                outside.append(f"{member} < {self._value(member, condition.start)}")
            if condition.end is not None:
                outside.append(f"{member} >= {self._value(member, condition.end)}")
            return f"({' OR '.join(outside)})"
        inside = []
        if condition.start is not None:
            inside.append(f"{member} >= {self._value(member, condition.start)}")
        if condition.end is not None:
            inside.append(f"{member} < {self._value(member, condition.end)}")
        return f"({' AND '.join(inside)})"

    def _value(self, member: str, value: Value) -> str:
        """Return the placeholder; a moment is local for a date, and UTC for a timestamp."""
        if not isinstance(value, Instant):
            return self._parameters.bind(value)
        utc = self._parameters.bind(value.utc)
        if value.local == value.utc:
            return utc
        local = self._parameters.bind(value.local)
        return f"CASE WHEN typeof({member}) = 'DATE' THEN {local} ELSE {utc} END"


def _with_null(member: str, test: str, *, null: bool, negated: bool) -> str:
    """Add what happens to nulls: they fail a test, and pass a negated one, unless asked."""
    if null:
        test_null = f"{member} IS {'NOT ' * negated}NULL"
        if not test:
            return test_null
        return f"({test} {'AND' if negated else 'OR'} {test_null})"
    return f"({test} OR {member} IS NULL)" if negated else test


def _either(tests: Iterable[str]) -> str:
    return f"({' OR '.join(tests)})"


def _escape(text: str) -> str:
    r"""Return text that LIKE takes literally, with `\` as the escape character."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
