"""The YAML format of `access_policy`: frozen classes, and the reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from semantic.errors import Span
from semantic.spec.filters import OPERATOR_SPELLINGS, WITHOUT_VALUES
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode, Node, ScalarNode, SequenceNode

MAXIMUM_NESTING: Final = 10


@dataclass(frozen=True, slots=True)
class MemberSetSpec:
    """`includes` and `excludes`: names, or None for `*`; `excludes` not given is no name."""

    includes: tuple[Text, ...] | None
    excludes: tuple[Text, ...] | None


@dataclass(frozen=True, slots=True)
class PolicyTermSpec:
    """A row filter. None among `values` is null."""

    member: Text
    operator: str
    values: tuple[Text | None, ...]


@dataclass(frozen=True, slots=True)
class PolicyTreeSpec:
    """`and` or `or` of row filters."""

    word: str
    parts: tuple[PolicyFilterSpec, ...]


PolicyFilterSpec = PolicyTermSpec | PolicyTreeSpec


@dataclass(frozen=True, slots=True)
class AccessPolicySpec:
    """One access policy. `filters` None is every row."""

    groups: tuple[str, ...]
    conditions: tuple[Text, ...]
    members: MemberSetSpec | None
    masked: MemberSetSpec | None
    filters: tuple[PolicyFilterSpec, ...] | None
    span: Span


def read_access_policies(reader: MappingReader) -> tuple[AccessPolicySpec, ...]:
    """Take `access_policy` of a cube or view. A policy with problems is left out, and reported."""
    node = reader.take("access_policy")
    if node is None:
        return ()
    if not isinstance(node, SequenceNode):
        reader.report("wrong_type", "`access_policy` must be a list", node.span)
        return ()
    found: list[AccessPolicySpec] = []
    for item in node.items:
        if isinstance(item, MappingNode):
            found.append(
                _read_policy(
                    MappingReader(item, f"an access policy of {reader.what}", reader.problems)
                )
            )
        else:
            reader.report("wrong_type", "an access policy must be a mapping", item.span)
    return tuple(found)


def _read_policy(reader: MappingReader) -> AccessPolicySpec:
    groups = _read_groups(reader)
    conditions = tuple(_read_conditions(reader))
    members = _read_member_set(reader, "member_level")
    masked = _read_member_set(reader, "member_masking")
    if masked is not None and not reader.given("member_level"):
        reader.report(
            "missing_key",
            f"{reader.what} has `member_masking` without `member_level`",
            None,
            "say with `member_level` which members are shown as they are",
        )
    filters = _read_row_level(reader)
    reader.finish()
    return AccessPolicySpec(groups, conditions, members, masked, filters, reader.node.span)


def _read_groups(reader: MappingReader) -> tuple[str, ...]:
    given = [key for key in ("group", "groups", "role") if reader.given(key)]
    if len(given) > 1:
        names = " and ".join(f"`{key}`" for key in given)
        reader.report("conflicting_keys", f"{reader.what} has {names}", None, "keep one of them")
    nodes = [reader.take(key) for key in ("group", "groups", "role")]
    if not given:
        reader.report(
            "missing_key", f"{reader.what} has no `group`", None, 'write `group: "*"` for everyone'
        )
        return ()
    found: list[str] = []
    for node in nodes:
        items = node.items if isinstance(node, SequenceNode) else (node,)
        for item in items:
            if isinstance(item, ScalarNode) and item.value.strip():
                found.append(item.value)
            elif item is not None:
                reader.report("wrong_type", "a group must be text", item.span)
    if not found:
        reader.report("missing_key", f"{reader.what} names no group")
    return tuple(dict.fromkeys(found))


def _read_conditions(reader: MappingReader) -> Iterator[Text]:
    for item in reader.items("conditions"):
        inner = MappingReader(item, f"a condition of {reader.what}", reader.problems)
        condition = inner.sql("if")
        inner.finish()
        if condition is not None:
            yield condition
        elif not inner.given("if"):
            inner.report("missing_key", f"{inner.what} has no `if`")


def _read_member_set(reader: MappingReader, key: str) -> MemberSetSpec | None:
    node = reader.take(key)
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.report("wrong_type", f"`{key}` must be a mapping", node.span)
        return None
    inner = MappingReader(node, f"`{key}` of {reader.what}", reader.problems)
    includes, excludes = _read_names(inner, "includes"), _read_names(inner, "excludes")
    inner.finish()
    if not inner.given("includes", "excludes"):
        inner.report("missing_key", f"{inner.what} has neither `includes` nor `excludes`")
    return MemberSetSpec(includes, excludes if inner.given("excludes") else ())


def _read_names(reader: MappingReader, key: str) -> tuple[Text, ...] | None:
    """Return names, or None for `*` and for nothing."""
    node = reader.take(key)
    match node:
        case None | ScalarNode(value="*"):
            return None
        case SequenceNode(items=(ScalarNode(value="*"),)):
            return None
        case SequenceNode():
            names = [Text(item.value, item) for item in node.items if isinstance(item, ScalarNode)]
            if len(names) < len(node.items):
                reader.report("wrong_type", f"each of `{key}` must be text", node.span)
            return tuple(names)
        case _:
            reader.report("wrong_type", f'`{key}` must be a list of members or "*"', node.span)
            return ()


def _read_row_level(reader: MappingReader) -> tuple[PolicyFilterSpec, ...] | None:
    node = reader.take("row_level")
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.report("wrong_type", "`row_level` must be a mapping", node.span)
        return ()
    inner = MappingReader(node, f"`row_level` of {reader.what}", reader.problems)
    all_rows, filters = inner.flag("allow_all"), inner.take("filters")
    inner.finish()
    if all_rows is not None and filters is not None:
        inner.report("conflicting_keys", f"{inner.what} has either `filters` or `allow_all`")
    if filters is not None:
        found = tuple(_read_filters(filters, inner, 0))
        if isinstance(filters, SequenceNode) and not filters.items:
            inner.report("missing_key", f"{inner.what} has no filter", filters.span)
        return found
    if not all_rows:
        inner.report(
            "missing_key", f"{inner.what} has neither `filters` nor `allow_all: true`", None,
            "leave `row_level` out to show every row",
        )  # fmt: skip
        return ()
    return None


def _read_filters(node: Node, outer: MappingReader, depth: int) -> Iterator[PolicyFilterSpec]:
    if not isinstance(node, SequenceNode):
        outer.report("wrong_type", f"the filters of {outer.what} must be a list", node.span)
        return
    for item in node.items:
        if not isinstance(item, MappingNode):
            outer.report("wrong_type", f"a filter of {outer.what} is a mapping", item.span)
            continue
        reader = MappingReader(item, f"a filter of {outer.what}", outer.problems)
        if depth > MAXIMUM_NESTING:
            reader.report("source_limit", f"filters are nested deeper than {MAXIMUM_NESTING}")
            continue
        found = _read_tree(reader, outer, depth) or _read_term(reader)
        if found is not None:
            yield found


def _read_tree(reader: MappingReader, outer: MappingReader, depth: int) -> PolicyFilterSpec | None:
    words = [word for word in ("and", "or") if reader.given(word)]
    if not words:
        return None
    if len(words) > 1:
        reader.take(words[1])
        reader.report("conflicting_keys", f"{reader.what} has both `and` and `or`")
    node = reader.take(words[0])
    parts = () if node is None else tuple(_read_filters(node, outer, depth + 1))
    reader.finish()
    if isinstance(node, SequenceNode) and not node.items:
        reader.report("missing_key", f"`{words[0]}` of {outer.what} has no filter")
    return PolicyTreeSpec(words[0], parts)


def _read_term(reader: MappingReader) -> PolicyTermSpec | None:
    if not reader.given("member"):
        reader.report("missing_key", f"{reader.what} has no `member`")
    member = reader.sql("member")
    operator = reader.choice("operator", OPERATOR_SPELLINGS, ("measureFilter",))
    values = tuple(_read_values(reader))
    reader.finish()
    if not reader.given("operator"):
        reader.report("missing_key", f"{reader.what} has no `operator`")
    if operator in WITHOUT_VALUES and values:
        reader.report("conflicting_keys", f"`{operator}` takes no values")
    if operator is not None and operator not in WITHOUT_VALUES and not values:
        reader.report("missing_key", f"{reader.what} has no `values`")
    return None if member is None or operator is None else PolicyTermSpec(member, operator, values)


def _read_values(reader: MappingReader) -> Iterator[Text | None]:
    """Yield values as texts; one text alone is a claim that may hold several."""
    node = reader.take("values")
    if node is None:
        return
    for item in node.items if isinstance(node, SequenceNode) else (node,):
        if not isinstance(item, ScalarNode):
            reader.report("wrong_type", "a value is text, a number, a boolean or null", item.span)
        else:
            yield None if item.plain() is None else Text(item.value, item)
