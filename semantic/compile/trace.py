"""Values that remember where they come from, and tell on whoever looks at them.

A query is planned once with *traced* values in place of the caller's. A traced value is equal to
what the plain one is equal to, so planning goes the very way that it goes with plain values; and all
that it did with them is known afterwards:

- *comparing* two of them, or one with anything else, is noted with its outcome;
- *deriving* (a date as text, a pattern from a text, a time a millisecond earlier) gives a traced
  value again, with the function that made it;
- anything else (hashing, reading an attribute, arithmetic, formatting) raises UntraceableError.

So if other values of the same types give the same outcomes, planning would have gone the same way,
and its SQL would be the same text: see `template.py`.

What the planner takes from the model or the caller's claims may be traced as a *constant*: it hides
nothing, but comparisons of others with it are noted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, NoReturn, cast

from semantic.compile.dialects.periods import Parameter

Derive = Callable[[Any], Parameter]
Comparison = tuple[int, int | None, Parameter, bool]
"""An atom, another (or None and a constant), and whether they are equal."""
CONSTANT: Final = -1
UNKNOWN: Final = -2
_SEEN: Final = frozenset({"atom", "derive", "isoformat", "plain", "trace"})


class UntraceableError(Exception):
    """Planning used a value in a way that is not known to end the same for another value."""


class Trace:
    """What one planning did with its traced values, which are numbered: its *atoms*."""

    __slots__ = ("atoms", "compared", "derived")

    def __init__(self) -> None:
        self.atoms = 0
        self.derived: dict[int, tuple[int, Derive]] = {}
        self.compared: list[Comparison] = []

    def add(self, value: Parameter) -> Parameter:
        """Return the value as the next atom. A boolean, of which there are two, stays plain."""
        number = self.atoms
        self.atoms += 1
        return make_traced(value, self, number)

    def derive(self, atom: int, function: Derive, value: Parameter) -> Parameter:
        """Return the value that `function` makes of an atom, itself an atom."""
        found = self.add(value)
        self.derived[self.atoms - 1] = (atom, function)
        return found


def _refuse(self: object, *_: object) -> NoReturn:
    raise UntraceableError(type(self).__name__)


class Traced:
    """What all traced values do; it comes before their type."""

    trace: Trace | None = None
    atom: int = UNKNOWN
    plain: Parameter

    def __getattribute__(self, name: str) -> Any:
        if name in _SEEN or name.startswith("__"):
            return super().__getattribute__(name)
        if super().__getattribute__("atom") != CONSTANT:
            raise UntraceableError(name)
        return getattr(super().__getattribute__("plain"), name)

    def __eq__(self, other: object) -> bool:
        plain = other.plain if isinstance(other, Traced) else other
        if self.atom == UNKNOWN or (isinstance(other, Traced) and other.atom == UNKNOWN):
            raise UntraceableError("==")
        outcome = bool(self.plain == plain)
        if self.atom != CONSTANT:
            _note(self, other, outcome=outcome)
        elif isinstance(other, Traced) and other.atom != CONSTANT:
            _note(other, self, outcome=outcome)
        return outcome

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_open(self, "hash"))

    def derive(self, function: Derive) -> Parameter:
        """Return what the function makes of the value, traced."""
        if self.atom == UNKNOWN or self.trace is None:
            raise UntraceableError("derive")
        made = function(self.plain)
        if self.atom == CONSTANT:
            return make_traced(made, self.trace, CONSTANT)
        return self.trace.derive(self.atom, function, made)

    def __str__(self) -> str:
        return str(_open(self, "str"))

    def __format__(self, how: str) -> str:
        return format(_open(self, "format"), how)

    def __bool__(self) -> bool:
        nothing = (
            type(self.plain)() if isinstance(self.plain, str | int | float | Decimal) else None
        )
        return self != nothing

    def __len__(self) -> int:
        return len(_open(self, "len"))

    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _refuse
    __pow__ = __rpow__ = __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _refuse
    __neg__ = __pos__ = __abs__ = __invert__ = __int__ = __float__ = __index__ = _refuse
    __round__ = __trunc__ = __floor__ = __ceil__ = _refuse
    __contains__ = __getitem__ = __iter__ = _refuse


class TracedText(Traced, str):  # noqa: SLOT000 -- marked in its __dict__
    """A text."""


class TracedInteger(Traced, int):
    """A whole number."""


class TracedFloat(Traced, float):
    """A number that no DECIMAL can hold."""


class TracedDecimal(Traced, Decimal):  # type: ignore[misc]  # its __format__ takes less
    """An exact number."""


class TracedMoment(Traced, datetime):
    """A wall clock time or a moment in UTC. What datetime itself makes of one is unknown."""

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """Return the time as text, traced."""
        text: Any = self.derive(partial(_write, sep, timespec))
        return cast("str", text)

    def __sub__(self, other: object) -> Any:  # type: ignore[override]
        if isinstance(other, timedelta):
            return self.derive(partial(_move, -other))
        raise UntraceableError("-")

    def __add__(self, other: object) -> Any:  # type: ignore[override]
        if isinstance(other, timedelta):
            return self.derive(partial(_move, other))
        raise UntraceableError("+")


def _open(value: Traced, how: str) -> Any:
    """Return the plain value of a constant."""
    if value.atom != CONSTANT:
        raise UntraceableError(how)
    return value.plain


def _note(value: Traced, other: object, *, outcome: bool) -> None:
    if value.trace is None:
        raise UntraceableError("==")
    if isinstance(other, Traced) and other.atom != CONSTANT:
        value.trace.compared.append((value.atom, other.atom, False, outcome))
        return
    plain = other.plain if isinstance(other, Traced) else other
    if isinstance(plain, str | int | float | Decimal | datetime):
        value.trace.compared.append((value.atom, None, plain, outcome))


def _write(sep: str, timespec: str, moment: datetime) -> str:
    return moment.isoformat(sep, timespec)


def _move(length: timedelta, moment: datetime) -> datetime:
    return moment + length


def make_traced(value: Parameter, trace: Trace, atom: int) -> Parameter:
    """Return the value as an atom (or CONSTANT) of a trace."""
    found: Traced
    match value:
        case bool() | Traced():
            return value
        case str():
            found = TracedText(value)
        case int():
            found = TracedInteger(value)
        case float():
            found = TracedFloat(value)
        case Decimal():
            found = TracedDecimal(value)
        case datetime():
            found = TracedMoment.combine(value.date(), value.timetz())
    own = object.__getattribute__(found, "__dict__")
    own["trace"], own["atom"], own["plain"] = trace, atom, value
    return cast("Parameter", found)  # each of them is of its plain type, too


def write_plain(value: Parameter) -> Parameter:
    """Return the plain value.

    Raises:
        UntraceableError: it was made of a traced value by unknown means.
    """
    if not isinstance(value, Traced):
        return value
    if value.atom == UNKNOWN:
        raise UntraceableError("a value made of another")
    return value.plain
