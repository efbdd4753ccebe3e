"""Filters that a model writes as queries do: `{member, operator, values}`, `{and: [...]}`, `{or: ...}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from semantic.errors import Problem
from semantic.spec.cube import FilterTermSpec, FilterTreeSpec, ModelFilterSpec
from semantic.spec.reader import MappingReader, Text, to_snake_case
from semantic.spec.source import MappingNode, Node, ScalarNode, SequenceNode

OPERATORS: Final = (
    "equals", "notEquals", "contains", "notContains", "startsWith", "notStartsWith", "endsWith",
    "notEndsWith", "in", "notIn", "gt", "gte", "lt", "lte", "set", "notSet", "inDateRange",
    "notInDateRange", "onTheDate", "beforeDate", "beforeOrOnDate", "afterDate", "afterOrOnDate",
)  # fmt: skip
WITHOUT_VALUES: Final = frozenset({"set", "notSet"})
OPERATOR_SPELLINGS: Final = {name: name for name in OPERATORS} | {
    to_snake_case(name): name for name in OPERATORS
}
MAXIMUM_NESTING: Final = 10


def read_filters(
    node: Node | None, what: str, problems: list[Problem], *, unless: bool = False
) -> tuple[ModelFilterSpec, ...]:
    """Return a list of filters. `unless` says whether they may carry that key."""
    if node is None:
        return ()
    if not isinstance(node, SequenceNode):
        problems.append(Problem("wrong_type", f"the filters of {what} must be a list", node.span))
        return ()
    return tuple(_read_list(node, what, problems, 0, unless=unless))


def _read_list(
    node: SequenceNode, what: str, problems: list[Problem], depth: int, *, unless: bool
) -> Iterator[ModelFilterSpec]:
    for item in node.items:
        if isinstance(item, MappingNode):
            found = _read(item, what, problems, depth, unless=unless)
            if found is not None:
                yield found
        else:
            problems.append(Problem("wrong_type", f"a filter of {what} is a mapping", item.span))


def _read(
    node: MappingNode, what: str, problems: list[Problem], depth: int, *, unless: bool
) -> ModelFilterSpec | None:
    reader = MappingReader(node, f"a filter of {what}", problems)
    if depth > MAXIMUM_NESTING:
        reader.report("source_limit", f"filters are nested deeper than {MAXIMUM_NESTING} levels")
        return None
    for word in ("and", "or"):
        parts = reader.take(word)
        if parts is None:
            continue
        reader.finish()
        if not isinstance(parts, SequenceNode) or not parts.items:
            reader.report("wrong_type", f"`{word}` must be a list of filters", parts.span)
            return None
        read = tuple(_read_list(parts, what, problems, depth + 1, unless=unless))
        return FilterTreeSpec(word, read) if read else None
    return _read_term(reader, unless=unless)


def _read_term(reader: MappingReader, *, unless: bool) -> FilterTermSpec | None:
    member = reader.take("member")
    operator = reader.choice("operator", OPERATOR_SPELLINGS, ("measureFilter",))
    values = tuple(_read_values(reader))
    released = (reader.texts("unless") or ()) if unless else ()
    reader.finish()
    if not isinstance(member, ScalarNode):
        reader.report("missing_key", f"{reader.what} has no `member`")
        return None
    if not reader.given("operator"):
        reader.report("missing_key", f"{reader.what} has no `operator`")
    if operator is None:
        return None
    if operator in WITHOUT_VALUES and values:
        reader.report("conflicting_keys", f"`{operator}` takes no values")
    if operator not in WITHOUT_VALUES and not values:
        reader.report("missing_key", f"{reader.what} has no `values`")
    return FilterTermSpec(Text(member.value, member), operator, values, released)


def _read_values(reader: MappingReader) -> Iterator[str | None]:
    """Yield values as texts, as queries have them: numbers and booleans as they are written."""
    node = reader.take("values")
    if node is None:
        return
    if not isinstance(node, SequenceNode):
        reader.report("wrong_type", "`values` must be a list", node.span)
        return
    for item in node.items:
        if not isinstance(item, ScalarNode):
            reader.report("wrong_type", "a value is text, a number, a boolean or null", item.span)
        elif item.plain() is None:
            yield None
        else:
            yield item.value
