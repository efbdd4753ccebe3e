"""Ctrl-C and SIGTERM end the demo once, and surely.

An exception that a signal handler raises can be lost: Python drops what is raised while it runs the
callbacks of a fork, and starting a process is one. So the wish to stop is also kept, and whoever
waits or goes on to something new asks for it. A second signal is ignored: it would interrupt the
ending of what runs.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Final

import click

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_ASKED: Final = threading.Event()


def listen() -> None:
    """Take SIGTERM and SIGINT as the wish to stop.

    SIGINT too: a shell without job control starts what is in the background deaf to it.
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def raise_if_asked() -> None:
    """Raise a KeyboardInterrupt when somebody asked to stop."""
    if _ASKED.is_set():
        raise KeyboardInterrupt


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _ASKED.set()
    click.echo("\nstopping…", err=True)
    raise KeyboardInterrupt
