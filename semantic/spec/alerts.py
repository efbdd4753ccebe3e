"""The YAML format of alerts on measures, under `meta: {ducat: {alerts: [...]}}`: classes and reader.

It stands under `meta` so that the file stays one that Cube loads. Of what is written there nothing
is ignored: an unknown key is a problem, as everywhere else in the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from semantic.errors import Span
from semantic.spec.cube import ModelFilterSpec
from semantic.spec.filters import read_filters
from semantic.spec.intervals import is_timezone, parse_interval
from semantic.spec.read_labels import find_extension
from semantic.spec.reader import NAME, MappingReader, Text
from semantic.spec.source import MappingNode, ScalarNode, is_nothing

GRANULARITIES: Final = ("hour", "day", "week", "month", "quarter", "year")
SEASONS: Final[Mapping[str, Mapping[str, int]]] = {
    "hour": {"none": 1, "day": 24, "week": 168},
    "day": {"none": 1, "week": 7},
    "week": {"none": 1},
    "month": {"none": 1, "year": 12},
    "quarter": {"none": 1, "year": 4},
    "year": {"none": 1},
}
"""For each granularity: the seasons that there can be, and how many periods each has."""
SEVERITIES: Final = ("info", "warning", "critical")
DIRECTIONS: Final = ("both", "above", "below")
CLOCKS: Final = ("now", "data")
PREVIOUS: Final = "previous period"
LONGEST_HISTORY: Final = 52
MOST_DIMENSIONS: Final = 5
MOST_NAMES: Final = 50
_UNITS: Final = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_LONGEST: Final = timedelta(days=3_660)
# The intervals after which a period of a granularity begins again.
_STEPS: Final = {
    "hour": ("hour", "day", "week"),
    "day": ("day", "week", "month", "quarter", "year"),
    "week": ("week",),
    "month": ("month", "quarter", "year"),
    "quarter": ("quarter", "year"),
    "year": ("year",),
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Outside of the bounds is worth an alert; one of them is given."""

    above: float | None
    below: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of more percent than `above_percent`, or less than `below_percent` (as in -20).

    `against` is the period to compare with: None the one before, else so many units earlier.
    """

    above_percent: float | None
    below_percent: float | None
    against: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Further from what the season lets expect than `sensitivity` spreads and than `at_least`.

    `history` is the number of seasons looked back.
    """

    season: str
    sensitivity: float
    history: int
    direction: str
    at_least: float


Rule = Threshold | Change | Anomaly


@dataclass(frozen=True, slots=True)
class AlertSpec:
    """One alert of a measure; members as they are written."""

    name: str
    title: str | None
    description: str | None
    view: Text | None
    time_dimension: Text
    granularity: str
    rule: Rule
    dimensions: tuple[Text, ...]
    filters: tuple[ModelFilterSpec, ...]
    timezone: str
    as_of: str
    delay: timedelta
    cooldown: timedelta
    missing: bool
    severity: str
    owners: tuple[str, ...]
    receivers: tuple[str, ...]
    groups: tuple[str, ...]
    link: str | None
    span: Span


def read_alerts(measure: MappingReader) -> tuple[AlertSpec, ...]:
    """Return the alerts under `meta.ducat` of a measure; `meta` itself is left to be taken."""
    node = find_extension(measure)
    if node is None or is_nothing(node):
        return ()
    what = f"`meta.ducat` of {measure.what}"
    if not isinstance(node, MappingNode):
        measure.report("wrong_type", f"{what} must be a mapping", node.span)
        return ()
    reader = MappingReader(node, what, measure.problems)
    found: list[AlertSpec] = []
    for item in reader.items("alerts"):
        alert = _read_alert(MappingReader(item, f"an alert of {measure.what}", measure.problems))
        if alert is None:
            continue
        if any(alert.name == other.name for other in found):
            measure.report(
                "duplicate_name", f"{measure.what} has two alerts `{alert.name}`", alert.span
            )
        found.append(alert)
    reader.finish()
    return tuple(found)


def _read_alert(reader: MappingReader) -> AlertSpec | None:
    name, time = reader.name(), _read_member(reader, "time_dimension", required=True)
    title, description = reader.text("title"), reader.text("description")
    view = reader.identifier("view")
    granularity = reader.choice("granularity", {name: name for name in GRANULARITIES})
    if not reader.given("granularity"):
        reader.report("missing_key", f"{reader.what} has no `granularity`")
    rule = _read_rule(reader, granularity or "day")
    dimensions = reader.texts("dimensions") or ()
    if len(dimensions) > MOST_DIMENSIONS:
        reader.report("source_limit", f"{reader.what} has more than {MOST_DIMENSIONS} dimensions")
    filters = read_filters(reader.take("filters"), reader.what, reader.problems)
    timezone = reader.text("timezone") or "UTC"
    if not is_timezone(timezone):
        reader.report("invalid_value", f"`{timezone[:60]}` is no time zone", None, "write UTC")
    as_of = reader.choice("as_of", {name: name for name in CLOCKS}) or "now"
    delay, cooldown = _read_duration(reader, "delay"), _read_duration(reader, "cooldown")
    missing = reader.flag("missing") is not False
    severity = reader.choice("severity", {name: name for name in SEVERITIES}) or "warning"
    owners, groups = _read_words(reader, "owners"), _read_words(reader, "groups")
    receivers, link = _read_receivers(reader), _read_link(reader)
    reader.finish()
    if name is None or time is None or granularity is None or rule is None:
        return None
    return AlertSpec(
        name=name.value, title=title, description=description, view=view, time_dimension=time,
        granularity=granularity, rule=rule, dimensions=dimensions, filters=filters,
        timezone=timezone, as_of=as_of, delay=delay, cooldown=cooldown, missing=missing,
        severity=severity, owners=owners, receivers=receivers, groups=groups, link=link,
        span=reader.node.span,
    )  # fmt: skip


def _read_rule(reader: MappingReader, granularity: str) -> Rule | None:
    above, below = _read_number(reader, "above"), _read_number(reader, "below")
    kinds = [kind for kind in ("change", "anomaly") if reader.given(kind)]
    if reader.given("above", "below"):
        kinds.append("above or below")
    change, anomaly = _read_change(reader, granularity), _read_anomaly(reader, granularity)
    if len(kinds) > 1:
        reader.report("conflicting_keys", f"{reader.what} has {' and '.join(kinds)}: write two")
        return None
    if not kinds:
        reader.report(
            "missing_key", f"{reader.what} says not when: `above`, `below`, `change` or `anomaly`"
        )
        return None
    if change is not None or anomaly is not None:
        return change or anomaly
    if above is not None and below is not None and below > above:
        reader.report("invalid_value", f"{reader.what}: every value is above or below")
    return None if above is None and below is None else Threshold(above, below)


def _read_change(outer: MappingReader, granularity: str) -> Change | None:
    reader = _open(outer, "change")
    if reader is None:
        return None
    above, below = _read_number(reader, "above_percent"), _read_number(reader, "below_percent")
    written = reader.text("against") or PREVIOUS
    reader.finish()
    if not reader.given("above_percent", "below_percent"):
        reader.report("missing_key", f"{reader.what} has no `above_percent` or `below_percent`")
        return None
    if written == PREVIOUS:
        return Change(above, below, None)
    parts = parse_interval(written) or {}
    steps = _STEPS[granularity]
    if len(parts) == 1:
        [(unit, amount)] = parts.items()
        if unit in steps and 0 < amount <= LONGEST_HISTORY:
            return Change(above, below, (amount, unit))
    reader.report(
        "invalid_value",
        f"`against: {written[:60]}` is no way back from one {granularity} to another",
        None,
        f"write `{PREVIOUS}`, or `1 {steps[-1]}`",
    )
    return None


def _read_anomaly(outer: MappingReader, granularity: str) -> Anomaly | None:
    reader = _open(outer, "anomaly")
    if reader is None:
        return None
    seasons = SEASONS[granularity]
    season = reader.choice("season", {name: name for name in seasons}) or "none"
    sensitivity = _read_number(reader, "sensitivity")
    history = _read_number(reader, "history")
    direction = reader.choice("direction", {name: name for name in DIRECTIONS}) or "both"
    at_least = _read_number(reader, "at_least")
    reader.finish()
    if sensitivity is not None and not 1 <= sensitivity <= 100:  # noqa: PLR2004 - of spreads
        reader.report("invalid_value", "`sensitivity` is a number of spreads, from 1 to 100")
    if history is not None and not (history.is_integer() and 4 <= history <= LONGEST_HISTORY):  # noqa: PLR2004
        reader.report("invalid_value", f"`history` is a number of seasons, 4 to {LONGEST_HISTORY}")
        history = None
    if at_least is not None and at_least < 0:
        reader.report("invalid_value", "`at_least` is a distance: it cannot be negative")
    # Without a season one period is one season: then more of them are needed.
    usual = 8 if seasons[season] > 1 else 28
    return Anomaly(
        season,
        5.0 if sensitivity is None else sensitivity,
        usual if history is None else int(history),
        direction,
        at_least or 0.0,
    )


def _open(outer: MappingReader, key: str) -> MappingReader | None:
    node = outer.take(key)
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        outer.report("wrong_type", f"`{key}` must be a mapping", node.span)
        return None
    return MappingReader(node, f"`{key}` of {outer.what}", outer.problems)


def _read_member(reader: MappingReader, key: str, *, required: bool) -> Text | None:
    node = reader.take(key)
    if isinstance(node, ScalarNode) and isinstance(node.plain(), str):
        return Text(node.value, node)
    if node is not None:
        reader.report("wrong_type", f"`{key}` must be text", node.span)
    elif required:
        reader.report("missing_key", f"{reader.what} has no `{key}`")
    return None


def _read_number(reader: MappingReader, key: str) -> float | None:
    node = reader.take(key)
    if node is None:
        return None
    value = node.plain() if isinstance(node, ScalarNode) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    reader.report("wrong_type", f"`{key}` must be a number", node.span)
    return None


def _read_duration(reader: MappingReader, key: str) -> timedelta:
    written = reader.text(key)
    if written is None:
        return timedelta(0)
    parts = parse_interval(written)
    if parts and all(unit in _UNITS and amount >= 0 for unit, amount in parts.items()):
        seconds = sum(_UNITS[unit] * amount for unit, amount in parts.items())
        if seconds <= _LONGEST.total_seconds():
            return timedelta(seconds=seconds)
    reader.report(
        "invalid_value", f"`{key}: {written[:60]}` is no time", None, "write for example `2 hours`"
    )
    return timedelta(0)


def _read_words(reader: MappingReader, key: str) -> tuple[str, ...]:
    found = tuple(text.value.strip() for text in reader.texts(key) or ())
    if len(found) > MOST_NAMES:
        reader.report("source_limit", f"`{key}` of {reader.what} has more than {MOST_NAMES}")
    if any(not word or len(word) > 200 or not word.isprintable() for word in found):  # noqa: PLR2004
        reader.report("invalid_value", f"`{key}` of {reader.what} holds what is no name")
    return found


def _read_receivers(reader: MappingReader) -> tuple[str, ...]:
    found = reader.texts("to") or ()
    for text in found:
        if NAME.match(text.value.replace("-", "_")) is None:
            reader.report(
                "invalid_name",
                "a receiver of an alert is named, its address is no part of the model",
                text.span,
                "name it in DUCAT_ALERT_RECEIVERS, which may hold secrets",
            )
    return tuple(dict.fromkeys(text.value for text in found))


def _read_link(reader: MappingReader) -> str | None:
    link = reader.text("link")
    if link is None:
        return None
    safe = link.isprintable() and not set(link) & set(" \\<>\"'`")
    if safe and (link.startswith(("https://", "http://")) or link[:1] == "/" != link[1:2]):
        return link
    reader.report(
        "invalid_value",
        f"`link: {link[:60]}` leads nowhere",
        None,
        "write https://…, or the path of a page of Superset: /superset/dashboard/operations/",
    )
    return None
