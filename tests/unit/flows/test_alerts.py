"""Verdicts on a period, beside an independent computation of what was to be expected."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from scipy.stats import median_abs_deviation  # type: ignore[import-untyped]

from flows.alert_book import Message
from flows.alert_chart import draw_chart
from flows.alert_message import show_period, show_value
from flows.alert_periods import begin, find_last_complete, list_periods, move
from flows.alerts import Verdict, judge
from semantic.catalog.alerts import Alert
from semantic.errors import Span
from semantic.spec.alerts import Anomaly, Change, Rule, Threshold

SHOW = partial(show_value, style="number_2")
MONDAY = datetime(2024, 1, 1)  # noqa: DTZ001 - local, as all periods
ALERT = Alert(
    key="c.m.a", name="a", title="A", description=None, measure="c.m", measure_title="M",
    format=None, time_dimension="c.t", granularity="day", rule=Threshold(1, None), dimensions=(),
    filters=(), timezone="UTC", as_of="now", delay=timedelta(0), cooldown=timedelta(0),
    missing=True, severity="warning", owners=(), receivers=(), groups=(), link=None,
    span=Span("m.yml", 1, 1),
)  # fmt: skip
WEEKLY = Anomaly("week", 5.0, 8, "both", 0.0)


def day(number: int) -> datetime:
    return MONDAY + timedelta(days=number)


def decide(rule: Rule, values: dict[int, float], at: int, granularity: str = "day") -> Verdict:
    history = {move(MONDAY, number, granularity): value for number, value in values.items()}
    alert = replace(ALERT, rule=rule, granularity=granularity)
    return judge(alert, history, move(MONDAY, at, granularity), SHOW)


@pytest.mark.parametrize(
    ("rule", "value", "kind"),
    [
        (Threshold(10, None), 10.0, "ok"),
        (Threshold(10, None), 10.01, "breach"),
        (Threshold(None, 3), 3.0, "ok"),
        (Threshold(None, 3), 2.9, "breach"),
        (Threshold(10, 3), -7.0, "breach"),
    ],
)
def test_a_threshold_is_crossed_by_what_is_beyond_it(
    rule: Threshold, value: float, kind: str
) -> None:
    assert decide(rule, {5: value}, 5).kind == kind


@pytest.mark.parametrize(
    ("rule", "before", "value", "kind"),
    [
        (Change(None, -20, None), {6: 100.0}, 79.0, "breach"),
        (Change(None, -20, None), {6: 100.0}, 80.0, "ok"),
        (Change(50, None, None), {6: 100.0}, 151.0, "breach"),
        (Change(50, None, (1, "week")), {0: 10.0, 6: 100.0}, 16.0, "breach"),
        (Change(50, None, None), {6: -100.0}, -40.0, "breach"),  # of the size of what was
        (Change(50, None, None), {6: 0.0}, 5.0, "unknown"),
        (Change(50, None, None), {5: 3.0}, 5.0, "unknown"),
    ],
)
def test_a_change_is_a_percentage_of_what_was(
    rule: Change, before: dict[int, float], value: float, kind: str
) -> None:
    assert decide(rule, {**before, 7: value}, 7).kind == kind


def test_an_anomaly_is_judged_by_medians_of_its_weekday_and_of_all_distances() -> None:
    """Expected value and bounds are those that scipy and numpy compute from the same weeks."""
    chance = random.Random(7)
    level = [10, 12, 11, 13, 20, 5, 4]
    values = {n: level[n % 7] + chance.gauss(0, 1) for n in range(70)}
    for at in range(56, 70):
        found = decide(WEEKLY, values, at)
        # A row for each of the seven days back, the same weekday last; a column for each week.
        weeks = np.array(
            [[values[at - phase - 7 * week] for week in range(8)] for phase in range(1, 8)]
        )
        expected = float(np.median(weeks[6]))
        distances = (weeks - np.median(weeks, axis=1, keepdims=True)).ravel()
        spread = float(median_abs_deviation(distances, center=lambda *_, **__: 0.0, scale="normal"))
        assert found.expected == pytest.approx(expected)
        assert found.high == pytest.approx(expected + 5 * spread, rel=1e-4)
        assert found.low == pytest.approx(expected - 5 * spread, rel=1e-4)
        assert found.kind == "ok"
        assert decide(WEEKLY, {**values, at: expected + 5.1 * spread}, at).kind == "breach"
        assert decide(WEEKLY, {**values, at: expected - 5.1 * spread}, at).kind == "breach"


def test_past_storms_move_neither_what_is_expected_nor_the_spread() -> None:
    values = {n: 100.0 + n % 3 for n in range(56)}
    quiet = decide(WEEKLY, {**values, 56: 101.0}, 56)
    stormy = decide(WEEKLY, {**values, 7: 9999.0, 21: -500.0, 33: 9999.0, 56: 101.0}, 56)
    assert (quiet.kind, stormy.kind) == ("ok", "ok")
    assert stormy.expected is not None
    assert abs(stormy.expected - 101) <= 1
    assert stormy.high is not None
    assert stormy.high < 120


def test_a_direction_and_a_least_distance_limit_what_is_told() -> None:
    values = {n: float(n % 7) for n in range(57)}
    low = {**values, 56: -50.0}
    assert decide(replace(WEEKLY, direction="above"), low, 56).kind == "ok"
    assert decide(replace(WEEKLY, direction="below"), low, 56).kind == "breach"
    assert decide(replace(WEEKLY, at_least=60.0), low, 56).kind == "ok"


def test_few_seasons_say_nothing() -> None:
    values = dict.fromkeys(range(21, 56), 1.0) | {56: 100.0}
    assert decide(WEEKLY, values, 56).kind == "breach"
    few = {n: value for n, value in values.items() if n > 30}
    assert decide(WEEKLY, few, 56).kind == "unknown"


def test_equal_values_are_no_anomaly_by_rounding() -> None:
    values = dict.fromkeys(range(56), 0.1 + 0.2) | {56: 0.3}
    assert decide(WEEKLY, values, 56).kind == "ok"


def test_an_absent_value_is_missing_where_one_is_usual() -> None:
    workdays = {n: 5.0 for n in range(56) if n % 7 < 5}
    assert decide(WEEKLY, workdays, 56).kind == "missing"  # a Monday
    assert decide(WEEKLY, workdays, 54).kind == "ok"  # a Saturday
    assert decide(Threshold(1, None), {}, 3).kind == "missing"
    assert decide(Threshold(9, None), {1: float("nan")}, 1).kind == "missing"
    quiet = judge(replace(ALERT, missing=False), {}, day(3), SHOW)
    assert quiet.kind == "unknown"


def test_a_period_is_judged_when_it_is_over() -> None:
    rome, zero = ZoneInfo("Europe/Rome"), timedelta(0)
    midnight = datetime(2024, 6, 4, 22, 0, tzinfo=UTC)  # in Rome, of the 5th
    assert find_last_complete(midnight, "day", rome, zero) == datetime(2024, 6, 4)  # noqa: DTZ001
    before = midnight - timedelta(microseconds=1)
    assert find_last_complete(before, "day", rome, zero) == datetime(2024, 6, 3)  # noqa: DTZ001
    assert find_last_complete(midnight, "day", rome, timedelta(hours=1)) == datetime(2024, 6, 3)  # noqa: DTZ001
    assert find_last_complete(midnight, "quarter", rome, zero) == MONDAY
    assert find_last_complete(midnight, "year", rome, zero) == datetime(2023, 1, 1)  # noqa: DTZ001


def test_hours_that_clocks_leave_out_are_no_periods() -> None:
    rome = ZoneInfo("Europe/Rome")
    found = list(list_periods(datetime(2024, 3, 31), datetime(2024, 3, 31, 4), "hour", rome))  # noqa: DTZ001
    assert [item.hour for item in found] == [0, 1, 3, 4]


def test_the_hour_that_comes_twice_is_over_when_its_second_one_is() -> None:
    rome = ZoneInfo("Europe/Rome")
    second = datetime(2024, 10, 27, 1, 30, tzinfo=UTC)  # 02:30 in Rome, the second time
    assert find_last_complete(second, "hour", rome, timedelta(0)).hour == 1
    over = datetime(2024, 10, 27, 2, 0, tzinfo=UTC)
    assert find_last_complete(over, "hour", rome, timedelta(0)).hour == 2


@pytest.mark.parametrize(
    ("granularity", "first", "shown"),
    [
        ("hour", datetime(2024, 5, 15, 17), "2024-05-15 17:00"),  # noqa: DTZ001
        ("day", datetime(2024, 5, 15), "2024-05-15"),  # noqa: DTZ001
        ("week", datetime(2024, 5, 13), "week of 2024-05-13"),  # noqa: DTZ001
        ("month", datetime(2024, 5, 1), "2024-05"),  # noqa: DTZ001
        ("quarter", datetime(2024, 4, 1), "2024 Q2"),  # noqa: DTZ001
        ("year", datetime(2024, 1, 1), "2024"),  # noqa: DTZ001
    ],
)
def test_periods_begin_where_calendars_say(granularity: str, first: datetime, shown: str) -> None:
    moment = datetime(2024, 5, 15, 17, 45, 3)  # noqa: DTZ001
    assert begin(moment, granularity) == first
    assert show_period(first, granularity) == shown
    assert move(move(first, 5, granularity), -5, granularity) == first


def test_a_year_after_a_leap_day_is_the_last_of_february() -> None:
    assert move(datetime(2024, 2, 29), 1, "year") == datetime(2025, 2, 28)  # noqa: DTZ001


@pytest.mark.parametrize("points", [0, 1, 90])
def test_a_chart_is_a_picture_of_its_size(points: int) -> None:
    message = Message(
        "n", "c.m.a", "opened", "", "50 $ of 100 $ are 50 %", "", "warning",
        tuple((day(n).isoformat(), float(n % 7)) for n in range(points)),
        day(max(0, points - 1)).isoformat(), 1.0, 5.0, 3.0,
    )  # fmt: skip
    picture = draw_chart(message)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (800, 320)
