"""The clock and the claims of a caller, which note what is read of them while a query is planned."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from semantic.compile.trace import CONSTANT, Trace, UntraceableError, make_traced
from semantic.query.context import SecurityContext

Path = tuple[str, ...]
_MISSING: Final = "missing"
_MAPPING: Final = "mapping"


class WatchedNow(datetime):
    """A moment that counts how often it is asked for its wall clock; nothing else may be asked."""

    plain: datetime
    uses: int

    def astimezone(self, tz: tzinfo | None = None) -> Any:
        """Return the wall clock, and count."""
        self.uses += 1
        return self.plain.astimezone(tz)

    def __getattribute__(self, name: str) -> Any:
        if name in {"plain", "uses", "astimezone"} or name.startswith("__"):
            return super().__getattribute__(name)
        raise UntraceableError(name)

    def _refuse(self, *_: object) -> Any:
        raise UntraceableError("now")

    __add__ = __radd__ = __sub__ = __rsub__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __str__ = __format__ = _refuse

    def __eq__(self, other: object) -> bool:
        raise UntraceableError("now")

    def __hash__(self) -> int:
        raise UntraceableError("now")


def watch_now(now: datetime) -> WatchedNow:
    """Return the same moment, watched."""
    watched = WatchedNow.combine(now.date(), now.timetz())
    watched.plain = now
    watched.uses = 0
    return watched


class ReadClaims(Mapping[str, Any]):
    """Claims that note in `reads` what is read of them, by its path; what they give is constant."""

    __slots__ = ("_claims", "_path", "_reads", "_trace")

    def __init__(
        self, claims: Mapping[str, Any], trace: Trace, reads: dict[Path, Hashable], path: Path = ()
    ) -> None:
        self._claims = claims
        self._trace = trace
        self._reads = reads
        self._path = path

    def __getitem__(self, name: str) -> Any:
        path = (*self._path, name)
        value = self._claims.get(name)
        self._reads[path] = freeze(value)
        match value:
            case None:
                return None
            case Mapping():
                return ReadClaims(value, self._trace, self._reads, path)
            case list() | tuple():
                return [self._constant(item) for item in value]
            case _:
                return self._constant(value)

    def _constant(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        return make_traced(value, self._trace, CONSTANT)

    def __iter__(self) -> Iterator[str]:
        raise UntraceableError("claims")

    def __len__(self) -> int:
        raise UntraceableError("claims")


def watch_claims(
    context: SecurityContext, trace: Trace, reads: dict[Path, Hashable]
) -> SecurityContext:
    """Return the same caller, with claims that note what is read of them."""
    return SecurityContext(context.user, context.groups, ReadClaims(context.claims, trace, reads))


def read_claim(context: SecurityContext, path: Path) -> Hashable:
    """Return the claim at a path as `ReadClaims` notes it."""
    found: Any = context.claims
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return freeze(found)


def freeze(value: Any) -> Hashable:
    """Return a claim so that equal ones are the same to every planning.

    Raises:
        UntraceableError: it is of no kind that a token's claim is.
    """
    match value:
        case None:
            return _MISSING
        case Mapping():
            return _MAPPING
        case list() | tuple():
            return ("list", *[freeze(item) for item in value])
        case str() | bool() | int() | float():
            return (type(value).__name__, value)
        case _:
            raise UntraceableError("claims")
