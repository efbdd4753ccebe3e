"""One whole check of a home: alone, judged, written, and then sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from flows.alert_book import alone, read_book, write_book
from flows.alert_check import Outcome, check, choose, compose
from flows.alert_delivery import WAITS, deliver, read_audience, send
from flows.alert_message import show_value
from flows.alert_reading import read_history
from flows.alerts import judge
from flows.errors import AlertError, AlertUndeliveredError
from semantic.service import SemanticLayer
from semantic.settings import Settings


def run_check(
    settings: Settings,
    layer: SemanticLayer,
    now: datetime,
    *,
    names: Collection[str] = (),
    waits: Sequence[float] = WAITS,
    judged: Callable[[], None] = lambda: None,
) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
    """Check alerts and send what there is to tell, also what an earlier check could not send.

    Returns what was found, and what a receiver did not take. `judged` is called between the two.

    Raises:
        AlertError: there is no alert of such a name, or another check does not end.
        SettingsError: DUCAT_ALERT_RECEIVERS cannot be read.
    """
    audience = read_audience(settings)
    home = settings.home_path
    with alone(home):
        book = read_book(home)
        outcomes = check(layer, book, audience, now, names=names)
        write_book(home, book)
        judged()
        return outcomes, deliver(home, book, audience, waits=waits)


def send_test(
    settings: Settings,
    layer: SemanticLayer,
    name: str,
    now: datetime,
    *,
    waits: Sequence[float] = WAITS,
) -> tuple[str, ...]:
    """Send what the newest period of an alert is to its receivers, as a test; return their names.

    Raises:
        AlertError: there is no such alert, or nobody would be told.
        AlertUndeliveredError: a receiver did not take it.
    """
    audience = read_audience(settings)
    [alert] = choose(layer.catalog.alerts, (name,))
    receivers = audience.find(alert)
    if not receivers:
        raise AlertError(
            f"nobody is told of {alert.key}",
            suggestion="set DUCAT_ALERT_URLS, or name receivers in its `to`",
        )
    reading = read_history(layer, alert, now)
    group, history = next(iter(reading.groups.items()), ((), {}))
    verdict = judge(alert, history, reading.last, partial(show_value, style=alert.format))
    message = compose(
        alert, reading.state, audience.link(alert), group, verdict, "test", "test", history
    )
    for receiver in receivers:
        owner, _, number = receiver.rpartition("#")
        address = audience.addresses[owner][int(number)]
        if not send(replace(message, receiver=receiver), address, waits=waits):
            raise AlertUndeliveredError(
                f"receiver {receiver} did not take the test of {alert.key}",
                suggestion="see whether it is up, and whether apprise knows its address",
            )
    return receivers
