"""Conditions to SQL, every value bound.

The member's SQL stands bare on the left of each comparison, so that the engine can skip the row
groups whose statistics exclude it: not the column is converted to the query's time zone, but the
bounds to UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, assert_never

from semantic.catalog.catalog import Segment
from semantic.compile.trace import Traced
from semantic.compile.writer import Writer
from semantic.query.bound import (
    AllOf,
    AnyOf,
    Compares,
    Condition,
    InSegment,
    IsNull,
    Matches,
    OneOf,
    Pattern,
    Use,
    Value,
    Within,
)
from semantic.query.dates import Instant

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Operand:
    """A member where a condition stands.

    `local`: a time that is the wall clock's already. `date`: one that is known to be a DATE.
    """

    text: str
    type: str
    local: bool = False
    date: bool = False


Render = Callable[[Use], Operand]
RenderSegment = Callable[[Segment], str]


class Conditions:
    """Writes conditions; `member` says what a member is called where they stand."""

    __slots__ = ("_member", "_segment", "_writer")

    def __init__(self, writer: Writer, member: Render, segment: RenderSegment) -> None:
        self._writer = writer
        self._member = member
        self._segment = segment

    def render(self, condition: Condition) -> str:
        """Return the condition as one operand."""
        match condition:
            case AllOf():
                return self._joined(" AND ", condition.parts)
            case AnyOf():
                return self._joined(" OR ", condition.parts)
            case InSegment():
                return self._segment(condition.use.segment)
            case IsNull():
                return f"{self._member(condition.use).text} IS {'NOT ' * condition.negated}NULL"
            case OneOf():
                return self._one_of(condition)
            case Matches():
                return self._matches(condition)
            case Compares():
                member = self._member(condition.use)
                return _either(
                    f"{member.text} {condition.comparator} "
                    f"{self._bound(member, value, condition.comparator)}"
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
            test = f"{member.text} {'<>' if condition.negated else '='} {bound[0]}"
        elif bound:
            test = f"{member.text} {'NOT ' * condition.negated}IN ({', '.join(bound)})"
        else:
            test = ""
        return _with_null(member.text, test, null=condition.null, negated=condition.negated)

    def _matches(self, condition: Matches) -> str:
        member = self._member(condition.use)
        dialect = self._writer.dialect
        text = member.text if member.type == "string" else dialect.cast_text(member.text)
        write = _PATTERNS[condition.pattern]
        tests = [
            dialect.ilike(
                text,
                self._writer.parameters.bind(
                    value.derive(write) if isinstance(value, Traced) else write(value)
                ),
                negated=condition.negated,
            )
            for value in condition.values
        ]
        test = (" AND " if condition.negated else " OR ").join(tests)
        if len(tests) > 1:
            test = f"({test})"
        return _with_null(member.text, test, null=condition.null, negated=condition.negated)

    def _within(self, condition: Within) -> str:
        member = self._member(condition.use)
        if condition.negated:
            outside = [f"{member.text} IS NULL"]
            if condition.start is not None:
                outside.append(f"{member.text} < {self._bound(member, condition.start, '<')}")
            if condition.end is not None:
                outside.append(f"{member.text} >= {self._bound(member, condition.end, '>=')}")
            return f"({' OR '.join(outside)})"
        inside = []
        if condition.start is not None:
            inside.append(f"{member.text} >= {self._bound(member, condition.start, '>=')}")
        if condition.end is not None:
            inside.append(f"{member.text} < {self._bound(member, condition.end, '<')}")
        return f"({' AND '.join(inside)})"

    def arguments(self, condition: Condition) -> tuple[str, ...]:
        """Return the values of a condition on one member, for the lambda of a FILTER_PARAMS.

        A date range gives its first and its last millisecond, as Cube does.
        """
        match condition:
            case OneOf() | Compares():
                member = self._member(condition.use)
                return tuple(self._value(member, value) for value in condition.values)
            case Matches():
                return tuple(self._writer.parameters.bind(value) for value in condition.values)
            case Within():
                member = self._member(condition.use)
                found = [] if condition.start is None else [condition.start]
                if condition.end is not None:
                    end = condition.end
                    found.append(Instant(end.local - _MILLISECOND, end.utc - _MILLISECOND))
                return tuple(self._value(member, value) for value in found)
            case _:
                return ()

    def _bound(self, member: Operand, value: Value, comparator: str) -> str:
        """Return what a member is compared with; a DATE with days, so that no row is converted.

        A day begins at or after a moment when it is the next midnight's or later, and so on.
        """
        if not member.date or not isinstance(value, Instant):
            return self._value(member, value)
        moment = self._writer.parameters.bind(value.local)
        return self._writer.dialect.day(moment, following=comparator in {">=", "<"})

    def _value(self, member: Operand, value: Value) -> str:
        """Return the placeholder; a moment is local for a date, and UTC for a timestamp."""
        bind = self._writer.parameters.bind
        if not isinstance(value, Instant):
            return bind(value)
        if member.local:
            return bind(value.local)
        utc = bind(value.utc)
        if value.local == value.utc:
            return utc
        return self._writer.dialect.moment(bind(value.local), utc, member.text)


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


def _write_contains(text: str) -> str:
    return f"%{_escape(text)}%"


def _write_start(text: str) -> str:
    return f"{_escape(text)}%"


def _write_end(text: str) -> str:
    return f"%{_escape(text)}"


def _escape(text: str) -> str:
    r"""Return text that LIKE takes literally, with `\` as the escape character."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_PATTERNS: Final[dict[Pattern, Callable[[str], str]]] = {
    "contains": _write_contains,
    "startsWith": _write_start,
    "endsWith": _write_end,
}
