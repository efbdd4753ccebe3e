"""The picture beside a message: the periods before, what was expected, and the one that it is about."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Final

from flows.alert_book import Message
from flows.alert_message import show_value

_WIDTH: Final = 8.0  # inches, at 100 dots each
_HEIGHT: Final = 3.2
_LINE, _ALERT, _BAND = "#33658a", "#c1292e", "#b7c9d6"


def draw_chart(message: Message) -> bytes:
    """Return a PNG of 800 x 320 dots. Without periods only the bounds are drawn."""
    # Agg alone: no window system is looked for, and nothing is shared between threads.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (takes a second)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    times = [_to_days(when) for when, _ in message.points]
    values = [value for _, value in message.points]
    axes.plot(times, values, color=_LINE, linewidth=1.4, marker="." if len(times) < 60 else "")  # noqa: PLR2004
    if message.low is not None and message.high is not None:
        axes.axhspan(message.low, message.high, color=_BAND, alpha=0.4, linewidth=0)
    for bound in (message.low, message.high):
        if bound is not None:
            axes.axhline(bound, color=_ALERT, linewidth=0.8, linestyle="--")
    if message.expected is not None:
        axes.axhline(message.expected, color=_LINE, linewidth=0.8, linestyle=":")
    if message.period:
        moment = _to_days(message.period)
        axes.axvline(moment, color=_ALERT, linewidth=0.6, alpha=0.5)
        at = dict(message.points).get(message.period)
        if at is not None:
            axes.plot([moment], [at], color=_ALERT, marker="o")
    axes.xaxis_date()
    axes.yaxis.set_major_formatter(lambda value, _: show_value(value, message.style))
    # A `$` would begin a formula.
    axes.set_title(message.title.replace("$", r"\$")[:110], fontsize=10, loc="left")
    axes.grid(visible=True, color="#dddddd", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    target = BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()


def _to_days(when: str) -> float:
    """Return a time as matplotlib's axes have it: days since 1970."""
    return (datetime.fromisoformat(when) - datetime(1970, 1, 1)) / timedelta(days=1)  # noqa: DTZ001


def write_chart(message: Message, folder: Path) -> Path:
    """Write the picture into a folder and return its path."""
    path = folder / f"{message.number}-{message.event}.png"
    path.write_bytes(draw_chart(message))
    return path
