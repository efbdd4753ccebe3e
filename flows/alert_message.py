"""What people read: values as the measure's format shows them, and the text of a message."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from flows.alert_book import Event
from flows.alert_reading import Group
from flows.alerts import Verdict
from semantic.catalog.alerts import Alert
from semantic.engine.result import AnswerState

_FORMAT: Final = re.compile(r"(number|percent|currency|accounting|abbr)(?:_([0-6]))?\Z")


def show_value(value: float, style: str | None) -> str:
    """Return a value for people.

    >>> show_value(0.5123, "percent_1"), show_value(1234.5, "number_0"), show_value(0.25, None)
    ('51.2 %', '1,234', '0.25')
    """
    match = _FORMAT.match(style or "")
    if match is None or match[1] == "abbr":
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"  # noqa: PLR2004
    digits = int(match[2] or 2)
    if match[1] == "percent":
        return f"{value * 100:,.{digits}f} %"
    return f"{value:,.{digits}f}"


def show_period(period: datetime, granularity: str) -> str:
    """Return a period's name: the day it begins on, or the hour."""
    match granularity:
        case "hour":
            return f"{period:%Y-%m-%d %H:%M}"
        case "day":
            return f"{period:%Y-%m-%d}"
        case "month":
            return f"{period:%Y-%m}"
        case "quarter":
            return f"{period:%Y} Q{(period.month - 1) // 3 + 1}"
        case "year":
            return f"{period:%Y}"
        case _:
            return f"week of {period:%Y-%m-%d}"


def name_group(group: Group) -> str:
    """Return the values of a group: `carrier UA, origin EWR`; nothing without dimensions."""
    return ", ".join(
        f"{member.rpartition('.')[2]} {'(none)' if value is None else _flatten(value[:100])}"
        for member, value in group
    )


def _flatten(text: str) -> str:
    """Return a text without lines: a value of the data must not begin a line of its own."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def write_title(alert: Alert, group: Group, verdict: Verdict, event: Event) -> str:
    """Return the subject of a message."""
    about = f"{alert.title} ({name_group(group)})" if group else alert.title
    lead: str = event
    if event == "opened":
        lead = "no data" if verdict.kind == "missing" else alert.severity
    return _flatten(f"[{lead}] {about}, {show_period(verdict.period, alert.granularity)}")


def write_body(
    alert: Alert,
    group: Group,
    verdict: Verdict,
    event: Event,
    state: AnswerState,
    link: str | None,
    number: str,
) -> str:
    """Return the text of a message: what, why, whose, how fresh and how good the data is."""
    when = show_period(verdict.period, alert.granularity)
    lines = [f"{alert.measure_title}, {alert.granularity} {when} ({alert.timezone})"]
    if group:
        lines.append(f"Where: {name_group(group)}")
    if event == "test":
        lines.append("This is a test: nobody needs to do anything.")
    if verdict.value is not None:
        lines.append(f"Value: {show_value(verdict.value, alert.format)}")
    if verdict.expected is not None:
        lines.append(f"Expected: {show_value(verdict.expected, alert.format)}")
    lines.append(f"Why: {verdict.why}")
    if alert.description:
        lines.append(f"About: {alert.description}")
    lines.append(f"Owner: {', '.join(alert.owners) or 'nobody is named'}")
    lines += list(_describe_state(state))
    if link is not None:
        lines.append(f"Look: {link}")
    lines.append(f"Alert: {alert.key} · incident {number}")
    return "\n".join(lines)


def _describe_state(state: AnswerState) -> list[str]:
    lines = []
    for table in state.tables:
        until = f", data until {table.data_until:%Y-%m-%d %H:%M}" if table.data_until else ""
        lines.append(f"Data: {table.name}, loaded {table.loaded_at:%Y-%m-%d %H:%M} UTC{until}")
    lines.append(f"Quality: {state.quality.state}")
    lines += [
        f"Quality: the newest check of {name} {its.state}" for name, its in state.newest_check
    ]
    return lines
