"""Parts that multi-stage members, calendars and masks share: from the tree to specs."""

from __future__ import annotations

import re
from typing import Final

from semantic.spec.cube import (
    FilterDirectiveSpec,
    GrainSpec,
    MaskSpec,
    MultiStageSpec,
    RankKeySpec,
    RollingWindowSpec,
    SwitchBranchSpec,
    SwitchSpec,
    TimeShiftSpec,
)
from semantic.spec.filters import read_filters
from semantic.spec.intervals import UNITS, parse_interval
from semantic.spec.reader import MappingReader, Text
from semantic.spec.source import MappingNode, Node, ScalarNode, SequenceNode

_MODES: Final = {"relative": "relative", "fixed": "fixed"}
_TO_DATE: Final = re.compile(r"(year|quarter|month)_to_date\Z")


def read_multi_stage(reader: MappingReader) -> MultiStageSpec | None:
    """Take the keys that `multi_stage: true` unlocks; without it they are reported."""
    flag = reader.flag("multi_stage")
    keys = ("grain", "group_by", "reduce_by", "add_group_by", "filter", "time_shift", "order_by")
    if not flag:
        for key in keys:
            if reader.given(key):
                reader.take(key)
                reader.report(
                    "missing_key",
                    f"`{key}` of {reader.what} needs `multi_stage: true`",
                    None,
                    "add `multi_stage: true`",
                )
        return None
    return MultiStageSpec(
        grain=read_grain(reader),
        filter=_read_directive(reader),
        time_shifts=read_time_shifts(reader),
        order_by=_read_order(reader),
    )


def read_grain(reader: MappingReader) -> GrainSpec | None:
    """Take `grain`, or the three older keys that mean the same."""
    old = ("group_by", "reduce_by", "add_group_by")
    node = reader.take("grain")
    if node is not None:
        for key in old:
            if reader.given(key):
                reader.take(key)
                reader.report("conflicting_keys", f"{reader.what} has `grain` and `{key}`")
        if not isinstance(node, MappingNode):
            reader.report("wrong_type", "`grain` must be a mapping", node.span)
            return None
        inner = MappingReader(node, f"`grain` of {reader.what}", reader.problems)
        mode = inner.choice("mode", _MODES) or "relative"
        keep_only, exclude = inner.texts("keep_only"), inner.texts("exclude")
        include = inner.texts("include")
        inner.finish()
        if keep_only is not None and exclude is not None:
            inner.report("conflicting_keys", "`keep_only` and `exclude` exclude each other")
        if mode == "fixed" and exclude:
            inner.report("conflicting_keys", "`mode: fixed` starts from nothing: no `exclude`")
        return GrainSpec(mode, keep_only, exclude or (), include or ())
    keep_only, exclude, include = (reader.texts(key) for key in old)
    if keep_only is None and exclude is None and include is None:
        return None
    return GrainSpec("relative", keep_only, exclude or (), include or ())


def read_time_shifts(reader: MappingReader, *, calendar: bool = False) -> tuple[TimeShiftSpec, ...]:
    """Take `time_shift`: of a measure, or (`calendar`) of a calendar's time dimension."""
    found: list[TimeShiftSpec] = []
    for item in reader.items("time_shift"):
        inner = MappingReader(item, f"a time_shift of {reader.what}", reader.problems)
        name, interval = inner.text("name"), inner.text("interval")
        direction = inner.choice("type", {"prior": "prior", "next": "next"})
        dimension = None if calendar else _text(inner, "time_dimension")
        sql = inner.sql("sql") if calendar else None
        inner.finish()
        if interval is not None and parse_interval(interval) is None:
            inner.report(
                "invalid_value", f"`{interval[:60]}` is no interval", None, "write 1 month"
            )
            continue
        if (interval is None) != (direction is None):
            inner.report("missing_key", f"{inner.what} needs both `interval` and `type`")
            continue
        if not calendar and (name is None) == (interval is None):
            inner.report(
                "conflicting_keys", f"{inner.what} has either `interval` and `type`, or `name`"
            )
            continue
        if calendar and name is None and (interval is None or sql is None):
            inner.report("missing_key", f"{inner.what} needs a `name`, or `interval` and `sql`")
            continue
        found.append(TimeShiftSpec(normalise(interval), direction, name, dimension, sql, item.span))
    if not calendar and len(found) > 1 and any(item.time_dimension is None for item in found):
        reader.report(
            "missing_key",
            f"{reader.what} has several time shifts: each needs its `time_dimension`",
        )
    return tuple(found)


def normalise(interval: str | None) -> str | None:
    """Return an interval in one spelling: `2 months` as `2 month`."""
    parts = parse_interval(interval) if interval is not None else None
    if parts is None:
        return None
    return " ".join(f"{amount} {unit}" for unit, amount in parts.items())


def _read_directive(reader: MappingReader) -> FilterDirectiveSpec | None:
    node = reader.take("filter")
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.report("wrong_type", "`filter` must be a mapping", node.span)
        return None
    inner = MappingReader(node, f"`filter` of {reader.what}", reader.problems)
    mode = inner.choice("mode", _MODES) or "relative"
    keep_only, exclude = inner.texts("keep_only"), inner.texts("exclude")
    include = read_filters(inner.take("include"), inner.what, reader.problems)
    inner.finish()
    if keep_only is not None and exclude is not None:
        inner.report("conflicting_keys", "`keep_only` and `exclude` exclude each other")
    return FilterDirectiveSpec(mode, keep_only, exclude or (), include)


def _read_order(reader: MappingReader) -> tuple[RankKeySpec, ...]:
    found: list[RankKeySpec] = []
    for item in reader.items("order_by"):
        inner = MappingReader(item, f"`order_by` of {reader.what}", reader.problems)
        sql = inner.sql("sql")
        direction = inner.choice("dir", {"asc": "asc", "desc": "desc"})
        inner.finish()
        if sql is None:
            inner.report("missing_key", f"{inner.what} has no `sql`")
        else:
            found.append(RankKeySpec(sql, direction == "desc"))
    return tuple(found)


def read_rolling_window(reader: MappingReader) -> RollingWindowSpec | None:
    """Take `rolling_window`; a shorthand such as `year_to_date` is read too."""
    node = reader.take("rolling_window")
    if node is None:
        return None
    if isinstance(node, MappingNode):
        return _read_window(
            MappingReader(node, f"`rolling_window` of {reader.what}", reader.problems)
        )
    if not isinstance(node, ScalarNode):
        reader.report("wrong_type", "`rolling_window` must be a mapping", node.span)
        return None
    match = _TO_DATE.match(node.value)
    if match is not None:
        return RollingWindowSpec("to_date", None, None, "end", match[1])
    reader.report(
        "invalid_value", f"`{node.value[:60]}` is no rolling window", node.span,
        "write year_to_date, or a mapping with trailing and leading",
    )  # fmt: skip
    return None


def _read_window(inner: MappingReader) -> RollingWindowSpec | None:
    spellings = {"fixed": "fixed", "to_date": "to_date"}
    spellings |= {f"{unit}_to_date": f"{unit}_to_date" for unit in ("year", "quarter", "month")}
    kind = inner.choice("type", spellings) or "fixed"
    trailing, leading = _bound(inner, "trailing"), _bound(inner, "leading")
    offset = inner.choice("offset", {"start": "start", "end": "end"}) or "end"
    granularity = inner.choice("granularity", {unit: unit for unit in UNITS})
    inner.finish()
    if (match := _TO_DATE.match(kind)) is not None:
        if granularity is not None:
            inner.report("conflicting_keys", f"{inner.what} is {kind}: it has no `granularity`")
        kind, granularity = "to_date", match[1]
    if kind == "to_date":
        if inner.given("offset"):
            inner.report("conflicting_keys", f"{inner.what} is to_date: it has no `offset`")
        if granularity is None:
            if not inner.given("granularity"):
                inner.report("missing_key", f"{inner.what} is to_date: it needs `granularity`")
            return None
        if trailing is not None or leading is not None:
            inner.report("conflicting_keys", f"{inner.what} is to_date: no trailing or leading")
    elif granularity is not None:
        inner.report("conflicting_keys", f"`granularity` of {inner.what} belongs to `to_date`")
    elif trailing is None and leading is None:
        inner.report("missing_key", f"{inner.what} has neither `trailing` nor `leading`")
    return RollingWindowSpec(kind, trailing, leading, offset, granularity)


def _bound(reader: MappingReader, key: str) -> str | None:
    value = reader.text(key)
    if value is None or value == "unbounded":
        return value
    if parse_interval(value) is None:
        reader.report(
            "invalid_value", f"`{key}: {value[:60]}` is no interval", None,
            "write 7 day, or unbounded",
        )  # fmt: skip
        return None
    return normalise(value)


def _require_sql(reader: MappingReader) -> None:
    if not reader.given("sql"):
        reader.report("missing_key", f"{reader.what} has no `sql`")


def read_switch(node: MappingNode, outer: MappingReader) -> SwitchSpec | None:
    """Return a `case` that has `switch`."""
    reader = MappingReader(node, f"`case` of {outer.what}", outer.problems)
    switch = _text(reader, "switch")
    branches: list[SwitchBranchSpec] = []
    for item in reader.items("when"):
        branch = MappingReader(item, f"`when` of {outer.what}", outer.problems)
        values, sql = _branch_values(branch), branch.sql("sql")
        branch.finish()
        if not values or sql is None:
            branch.report("missing_key", f"{branch.what} needs `value` and `sql`")
        else:
            branches.append(SwitchBranchSpec(values, sql))
    otherwise: Text | None = None
    if (other := reader.take("else")) is not None:
        if isinstance(other, MappingNode):
            inner = MappingReader(other, f"`else` of {outer.what}", outer.problems)
            otherwise = inner.sql("sql")
            inner.finish()
            _require_sql(inner)
        else:
            reader.report("wrong_type", "`else` must be a mapping with `sql`", other.span)
    reader.finish()
    chosen = [value for branch in branches for value in branch.values]
    if len(set(chosen)) < len(chosen):
        reader.report("duplicate_name", f"{reader.what} has a value in two branches")
    if switch is None or not branches:
        reader.report("missing_key", f"{reader.what} needs `switch` and `when`")
        return None
    return SwitchSpec(switch, tuple(branches), otherwise)


def _branch_values(reader: MappingReader) -> tuple[str, ...]:
    node = reader.take("value")
    match node:
        case ScalarNode():
            return (node.value,)
        case SequenceNode():
            values = [item.value for item in node.items if isinstance(item, ScalarNode)]
            if len(values) < len(node.items):
                reader.report("wrong_type", "each `value` must be text", node.span)
            return tuple(values)
        case _:
            return ()


def read_mask(reader: MappingReader) -> MaskSpec | None:
    """Take `mask`: a literal, or a mapping with `sql`."""
    node = reader.take("mask")
    match node:
        case None:
            return None
        case MappingNode():
            inner = MappingReader(node, f"`mask` of {reader.what}", reader.problems)
            sql = inner.sql("sql")
            inner.finish()
            _require_sql(inner)
            return MaskSpec(sql, None)
        case ScalarNode():
            value = node.plain()
            if value is None or isinstance(value, str | int | float | bool):
                return MaskSpec(None, value)
        case _:
            pass
    reader.report("wrong_type", f"`mask` of {reader.what} is a value, or a mapping with `sql`")
    return None


def _text(reader: MappingReader, key: str) -> Text | None:
    """Return a text with its place."""
    node: Node | None = reader.take(key)
    if node is None:
        return None
    if isinstance(node, ScalarNode) and node.value.strip():
        return Text(node.value, node)
    reader.report("wrong_type", f"`{key}` must be text", node.span)
    return None
