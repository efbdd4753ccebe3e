"""Judges a period of a measure by those before it: pure functions from a history to a verdict.

Three rules (`semantic/spec/alerts.py`). An anomaly is found by medians only, so that the storms of
the past move nothing: what is expected is the median of the same phase of the season (the same
weekday, say) in the seasons before; every period of that time has a distance from the median of
its own phase, and 1.4826 times the median of those distances is the spread, which for values of a
normal distribution is their standard deviation. Distances of all phases together, not of one: eight
Fridays alone would make a spread by luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final, Literal, assert_never

from flows.alert_periods import move
from semantic.catalog.alerts import Alert
from semantic.spec.alerts import SEASONS, Anomaly, Change, Threshold

LEAST: Final = 4  # periods of the same phase; fewer are no pattern
_NORMAL: Final = 1.4826
_ROUNDING: Final = 1e-9
_USUAL: Final = 0.5  # of the seasons before: then a value is usual there, and its absence is not

Kind = Literal["ok", "breach", "missing", "unknown"]
History = Mapping[datetime, float]
Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a period is: `low` and `high` bound what was expected (None: no bound), `why` says it."""

    period: datetime
    kind: Kind
    why: str
    value: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None


def count_lookback(alert: Alert) -> int:
    """Return how many periods before the judged one the rule looks at."""
    match alert.rule:
        case Threshold():
            return max(SEASONS[alert.granularity].values()) * LEAST
        case Change(against=None):
            return max(1, max(SEASONS[alert.granularity].values()) * LEAST)
        case Change(against=(count, unit)):
            first = datetime(2000, 1, 3)  # noqa: DTZ001 - a local time
            back, found = move(first, -count, unit), 0
            while move(first, -found, alert.granularity) > back:
                found += 1
            return max(found, max(SEASONS[alert.granularity].values()) * LEAST)
        case Anomaly(season=season, history=seasons):
            return SEASONS[alert.granularity][season] * seasons
        case Change():
            raise AssertionError
        case _ as other:
            assert_never(other)


def judge(alert: Alert, history: History, period: datetime, show: Show) -> Verdict:
    """Return what the period is; `history` has the values that are known, also later ones.

    A period without a value is missing where one is usual: when at least half of the same phases
    of the weeks (or the season) before have one, or when there is nothing before at all.
    """
    value = history.get(period)
    if value is None or not math.isfinite(value):
        return _judge_missing(alert, history, period)
    match alert.rule:
        case Threshold() as rule:
            return _judge_threshold(rule, period, value, show)
        case Change() as rule:
            return _judge_change(alert, rule, history, period, value, show)
        case Anomaly() as rule:
            return _judge_anomaly(alert, rule, history, period, value, show)
        case _ as other:
            assert_never(other)


def _judge_missing(alert: Alert, history: History, period: datetime) -> Verdict:
    if not alert.missing:
        return Verdict(period, "unknown", "there is no value, and none is asked for")
    season = max(SEASONS[alert.granularity].values())
    if isinstance(alert.rule, Anomaly):
        season = max(season, SEASONS[alert.granularity][alert.rule.season])
    phases = [move(period, -season * count, alert.granularity) for count in range(1, LEAST + 1)]
    before = [start for start in history if start < period]
    known = [start in history for start in phases if before and start >= min(before)]
    if known and sum(known) < _USUAL * len(known):
        return Verdict(period, "ok", "there is no value, as in the seasons before")
    return Verdict(period, "missing", f"there is no value for this {alert.granularity}")


def _judge_threshold(rule: Threshold, period: datetime, value: float, show: Show) -> Verdict:
    if rule.above is not None and value > rule.above:
        kind: Kind = "breach"
        why = f"{show(value)} is above {show(rule.above)}"
    elif rule.below is not None and value < rule.below:
        kind, why = "breach", f"{show(value)} is below {show(rule.below)}"
    else:
        kind, why = "ok", f"{show(value)} is within its bounds"
    return Verdict(period, kind, why, value, None, rule.below, rule.above)


def _judge_change(
    alert: Alert, rule: Change, history: History, period: datetime, value: float, show: Show
) -> Verdict:
    count, unit = rule.against or (1, alert.granularity)
    before = history.get(move(period, -count, unit))
    name = f"the {alert.granularity} before" if rule.against is None else f"{count} {unit} before"
    if before is None or not math.isfinite(before):
        return Verdict(period, "unknown", f"there is no value of {name} to compare with", value)
    if before == 0:
        return Verdict(period, "unknown", f"{name} was 0: no percentage of it", value, before)
    size = abs(before) / 100
    low = None if rule.below_percent is None else before + rule.below_percent * size
    high = None if rule.above_percent is None else before + rule.above_percent * size
    change = (value - before) / size
    broken = (rule.above_percent is not None and change > rule.above_percent) or (
        rule.below_percent is not None and change < rule.below_percent
    )
    why = f"{show(value)} is {change:+.1f} % against {show(before)}, {name}"
    return Verdict(period, "breach" if broken else "ok", why, value, before, low, high)


def _judge_anomaly(
    alert: Alert, rule: Anomaly, history: History, period: datetime, value: float, show: Show
) -> Verdict:
    length = SEASONS[alert.granularity][rule.season]
    phases: dict[int, list[float]] = {}
    for back in range(1, length * rule.history + 1):
        known = history.get(move(period, -back, alert.granularity))
        if known is not None and math.isfinite(known):
            phases.setdefault(back % length, []).append(known)
    same = phases.get(0, [])
    if len(same) < LEAST:
        why = f"only {len(same)} of the same phase before, {LEAST} are needed to judge"
        return Verdict(period, "unknown", why, value)
    expected = median(same)
    distances = [
        abs(known - center)
        for values in phases.values()
        for center in [median(values)]
        for known in values
    ]
    spread = _NORMAL * median(distances)
    reach = max(rule.sensitivity * spread, rule.at_least, _ROUNDING * max(1.0, abs(expected)))
    low = None if rule.direction == "above" else expected - reach
    high = None if rule.direction == "below" else expected + reach
    broken = (low is not None and value < low) or (high is not None and value > high)
    bounds = " and ".join(show(bound) for bound in (low, high) if bound is not None)
    word = {"both": "between", "above": "at most", "below": "at least"}[rule.direction]
    distance = f"{rule.sensitivity:g} spreads of {show(spread)}"
    if reach > rule.sensitivity * spread:
        distance = f"{show(reach)} at least, {distance} are less"
    why = (
        f"{show(value)} where {show(expected)} was expected, {word} {bounds} "
        f"(median of {len(same)} like it; {distance})"
    )
    return Verdict(period, "breach" if broken else "ok", why, value, expected, low, high)
