"""Sends what the outbox holds, through apprise. A message leaves the book when its receiver took it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import orjson

from flows.alert_book import Book, Message, write_book
from flows.alert_chart import write_chart
from flows.alert_check import Audience
from semantic.errors import SettingsError
from semantic.settings import Settings

WAITS: Final = (1.0, 4.0)  # seconds between the attempts of one check
_TYPES: Final = {"info": "info", "warning": "warning", "critical": "failure"}


def read_audience(settings: Settings) -> Audience:
    """Return who is told: the receivers by name, and under "" those of DUCAT_ALERT_URLS.

    Raises:
        SettingsError: DUCAT_ALERT_RECEIVERS is no JSON of names and addresses.
    """
    hint = 'write {"ops": "slack://… json://…"}'
    try:
        named = orjson.loads(settings.alert_receivers.get_secret_value() or "{}")
    except orjson.JSONDecodeError as malformed:
        raise SettingsError("DUCAT_ALERT_RECEIVERS is no JSON", suggestion=hint) from malformed
    if not isinstance(named, dict) or not all(
        name and isinstance(text, str) and text.split() for name, text in named.items()
    ):
        raise SettingsError(
            "DUCAT_ALERT_RECEIVERS does not hold names and their addresses", suggestion=hint
        )
    everybody = tuple(settings.alert_urls.get_secret_value().split())
    addresses = {name: tuple(text.split()) for name, text in named.items()}
    return Audience({**addresses, "": everybody}, settings.superset_url)


def deliver(
    home: Path,
    book: Book,
    audience: Audience,
    *,
    waits: Sequence[float] = WAITS,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Send every message, in order; return what was not taken: `receiver: title`.

    What waits for a receiver that is no longer named is dropped, and returned as such. The book is
    written after each message. A receiver that fails is not asked again for its later messages in
    this call: they would come out of order.
    """
    waiting: list[Message] = list(book.outbox)
    failed: dict[str, str] = {}
    gone: list[str] = []
    for message in waiting:
        if message.receiver in failed:
            continue
        address = _find_address(audience.addresses, message.receiver)
        index = book.outbox.index(message)
        if address is None:  # said once; kept, it would fail every check to come
            gone.append(f"{message.receiver}: {message.title} (no such receiver any more: dropped)")
            del book.outbox[index]
        elif send(message, address, waits=waits, sleep=sleep):
            del book.outbox[index]
        else:
            failed[message.receiver] = f"{message.receiver}: {message.title}"
            book.outbox[index] = replace(message, attempts=message.attempts + 1)
        write_book(home, book)
    return (*gone, *failed.values())


def send(
    message: Message,
    address: str,
    *,
    waits: Sequence[float] = WAITS,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Send one message with its picture; return whether the receiver took it, after some attempts."""
    import apprise  # noqa: PLC0415  (takes a second)

    target = apprise.Apprise()
    if not target.add(address):
        return False
    with TemporaryDirectory(prefix="ducat-alert-") as folder:
        picture = write_chart(message, Path(folder))
        for wait in (*waits, None):
            if target.notify(
                title=message.title,
                body=message.body,
                body_format=apprise.NotifyFormat.TEXT,
                notify_type="success" if message.event == "resolved" else _TYPES[message.severity],
                attach=str(picture),
            ):
                return True
            if wait is not None:
                sleep(wait)
    return False


def _find_address(addresses: Mapping[str, tuple[str, ...]], receiver: str) -> str | None:
    name, _, number = receiver.rpartition("#")
    known = addresses.get(name, ())
    return known[int(number)] if int(number) < len(known) else None
