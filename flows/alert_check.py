"""Checks alerts: reads, judges, and turns verdicts into incidents, each told once.

    history ─ judge ─▶ verdict ─ fold ─▶ incident opened │ goes on │ resolved ─▶ messages in the book

A check judges each period that became complete since the one before (31 at most), so that an outage
of the checker hides nothing, and the last one again, for data that came late. Whoever calls `check`
holds the lock (`alert_book.alone`), and writes the book before anything is sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from flows.alert_book import Book, Event, Incident, Message, Watch, parse_time
from flows.alert_message import show_value, write_body, write_title
from flows.alert_periods import list_periods, move
from flows.alert_reading import CATCH_UP, Group, Reading, read_history
from flows.alerts import Verdict, count_lookback, judge
from flows.errors import AlertError
from semantic.catalog.alerts import Alert
from semantic.engine.result import AnswerState
from semantic.errors import DucatError, suggest
from semantic.service import SemanticLayer

_DRAWN = 120  # periods on a chart


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found for one alert and group. `event` is set when it is told (or `quiet`)."""

    alert: str
    group: Group
    verdict: Verdict | None
    event: Event | None = None
    open: bool = False
    quiet: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """Who there is: for each receiver's name its addresses by number; "" is who hears everything."""

    addresses: Mapping[str, tuple[str, ...]]
    superset: str | None = None

    def find(self, alert: Alert) -> tuple[str, ...]:
        """Return the receivers of an alert as the outbox names them: `name#number`.

        Raises:
            AlertError: the alert names one that there is not.
        """
        for name in alert.receivers:
            if name not in self.addresses:
                raise AlertError(
                    f"{alert.key} is for `{name}`, which DUCAT_ALERT_RECEIVERS does not name",
                    suggestion=suggest(name, [item for item in self.addresses if item])
                    or "set DUCAT_ALERT_RECEIVERS='{\"" + name + '": "slack://…"}\'',
                )
        names = alert.receivers or ("",)
        return tuple(
            f"{name}#{number}"
            for name in names
            for number in range(len(self.addresses.get(name, ())))
        )

    def link(self, alert: Alert) -> str | None:
        """Return where to look, if anywhere."""
        if alert.link is None or not alert.link.startswith("/"):
            return alert.link
        return None if self.superset is None else f"{self.superset.rstrip('/')}{alert.link}"


@dataclass(frozen=True, slots=True)
class _Teller:
    """Puts what happened to one alert into the outbox, once for each receiver."""

    book: Book
    alert: Alert
    receivers: tuple[str, ...]
    reading: Reading
    link: str | None

    def tell(self, group: Group, verdict: Verdict, event: Event, number: str) -> None:
        """Add the messages."""
        history = self.reading.groups.get(group, {})
        message = compose(
            self.alert, self.reading.state, self.link, group, verdict, event, number, history
        )
        self.book.outbox += [replace(message, receiver=name) for name in self.receivers]


def choose(alerts: Collection[Alert], names: Collection[str]) -> tuple[Alert, ...]:
    """Return the alerts of these keys (or short names, where they are unique); all without names.

    Raises:
        AlertError: there is none, or there are several.
    """
    found: dict[str, Alert] = {}
    for name in names:
        hits = [item for item in alerts if name == item.key]
        hits = hits or [item for item in alerts if name == item.name]
        if len(hits) != 1:
            keys = [item.key for item in hits or alerts]
            raise AlertError(
                f"{'several alerts are' if hits else 'no alert is'} called {name[:80]!r}",
                suggestion=", ".join(keys)
                if hits
                else suggest(name, keys) or "`ducat alerts list`",
            )
        found[hits[0].key] = hits[0]
    return tuple(found.values()) if names else tuple(alerts)


def check(
    layer: SemanticLayer,
    book: Book,
    audience: Audience,
    now: datetime,
    *,
    names: Collection[str] = (),
) -> tuple[Outcome, ...]:
    """Judge the alerts of the model and change the book; one that cannot be judged stops no other."""
    declared = layer.catalog.alerts
    keys = {item.key for item in declared}
    book.watches = {
        name: watch for name, watch in book.watches.items() if json.loads(name)[0] in keys
    }
    outcomes: list[Outcome] = []
    for alert in choose(declared, names):
        try:
            receivers = audience.find(alert)
            reading = read_history(layer, alert, now, since=_find_since(book, alert))
        except DucatError as failed:
            outcomes.append(Outcome(alert.key, (), None, error=f"{failed.code}: {failed.message}"))
            continue
        teller = _Teller(book, alert, receivers, reading, audience.link(alert))
        outcomes += _check_groups(teller, now)
    book.checked_at = now.isoformat()
    return tuple(outcomes)


def name_watch(alert: Alert, group: Group) -> str:
    """Return under which name the book keeps a group of an alert."""
    return json.dumps([alert.key, *([member, value] for member, value in group)])


def _find_since(book: Book, alert: Alert) -> datetime | None:
    judged = [
        watch.judged
        for name, watch in book.watches.items()
        if json.loads(name)[0] == alert.key and watch.judged is not None
    ]
    return move(parse_time(min(judged)), 1, alert.granularity) if judged else None


def _check_groups(teller: _Teller, now: datetime) -> Iterator[Outcome]:
    book, alert, reading = teller.book, teller.alert, teller.reading
    zone, show = ZoneInfo(alert.timezone), partial(show_value, style=alert.format)
    for group, history in reading.groups.items():
        watch = book.watches.setdefault(name_watch(alert, group), Watch())
        first = reading.last
        if watch.judged is not None:
            first = min(first, move(parse_time(watch.judged), 1, alert.granularity))
            first = max(first, move(reading.last, 1 - CATCH_UP, alert.granularity))
        outcome = Outcome(alert.key, group, None)
        for period in list_periods(first, reading.last, alert.granularity, zone):
            verdict = judge(alert, history, period, show)
            event, number = _fold(alert, group, watch, verdict, now)
            if event is not None and number is not None:
                teller.tell(group, verdict, event, number)
            quiet = event is not None and number is None
            outcome = replace(outcome, verdict=verdict, event=event, quiet=quiet)
        watch.judged = max(watch.judged or "", reading.last.isoformat())
        yield replace(outcome, open=watch.incident is not None)
    yield from _end_what_went(teller)


def _end_what_went(teller: _Teller) -> Iterator[Outcome]:
    """Resolve the incidents of groups that have no rows any more, and forget those groups."""
    alert, watches = teller.alert, teller.book.watches
    here = {name_watch(alert, group) for group in teller.reading.groups}
    for name in [name for name in watches if json.loads(name)[0] == alert.key]:
        if name in here:
            continue
        incident = watches.pop(name).incident
        if incident is None:
            continue
        group = tuple((member, value) for member, value in json.loads(name)[1:])
        verdict = Verdict(teller.reading.last, "unknown", "there are no such values any more")
        if incident.told:
            teller.tell(group, verdict, "resolved", incident.number)
        yield Outcome(alert.key, group, verdict, "resolved", quiet=not incident.told)


def _fold(
    alert: Alert, group: Group, watch: Watch, verdict: Verdict, now: datetime
) -> tuple[Event | None, str | None]:
    """Change the watch by a verdict; return what happened, and the incident if it is to be told."""
    known = watch.incident
    match verdict.kind:
        case "unknown":
            return None, None
        case "ok":
            if known is None:
                return None, None
            watch.incident, watch.ended = None, now.isoformat()
            return "resolved", known.number if known.told else None
        case "breach" | "missing":
            if known is not None and known.kind == verdict.kind:
                return None, None
            ended = None if watch.ended is None else parse_time(watch.ended)
            calm = ended is not None and known is None and now < ended + alert.cooldown
            text = f"{name_watch(alert, group)} {verdict.kind} {verdict.period.isoformat()}"
            number = hashlib.sha256(text.encode()).hexdigest()[:12]
            watch.incident = Incident(
                number, verdict.kind, verdict.period.isoformat(), told=not calm
            )
            return "opened", None if calm else number


def compose(
    alert: Alert,
    state: AnswerState,
    link: str | None,
    group: Group,
    verdict: Verdict,
    event: Event,
    number: str,
    history: Mapping[datetime, float],
) -> Message:
    """Return the message about a verdict, for a receiver yet to be named."""
    start = move(verdict.period, -min(_DRAWN, count_lookback(alert)), alert.granularity)
    points = sorted(
        (begin.isoformat(), value)
        for begin, value in history.items()
        if start <= begin <= verdict.period
    )
    return Message(
        number=number,
        alert=alert.key,
        event=event,
        receiver="",
        title=write_title(alert, group, verdict, event),
        body=write_body(alert, group, verdict, event, state, link, number),
        severity=alert.severity,
        points=tuple(points),
        period=verdict.period.isoformat(),
        low=verdict.low,
        high=verdict.high,
        expected=verdict.expected,
        style=alert.format,
    )
