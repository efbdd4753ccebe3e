"""Every error that Ducat shows a person, in one tree with stable codes.

    DucatError                  code · message · suggestion
    ├─ SettingsError            a setting is missing, unknown or malformed
    ├─ ProjectError             the project folder is not one
    ├─ SnapshotError            what is served is absent or unreadable
    ├─ ModelError               the author's: carries every Problem, each with file:line:column
    ├─ QueryError               the caller's
    │  ├─ QuerySyntaxError        not a query
    │  ├─ UnknownMemberError      no such member, or hidden from this caller (same words)
    │  ├─ NoJoinPathError         the members cannot be joined
    │  ├─ AmbiguousJoinPathError  several equally short paths
    │  ├─ UnsafeAggregationError  the answer would double count; says which join and what to do
    │  └─ LimitExceededError      more was asked than may be answered
    ├─ UnsupportedError         valid Cube, not ours yet: refused, never ignored
    ├─ EngineError              the database's
    │  ├─ SourceUnavailableError
    │  ├─ QueryTimeoutError
    │  └─ QueryCancelledError
    └─ InternalError            ours: an invariant broke; callers see no detail

`flows`, `quality`, `dashboards` and `deploy` add subclasses of `DucatError` in their own
`errors.py`. A code never changes its meaning; each is described in a README (a test checks both
ways), and `api/errors.py` maps classes to HTTP status, GraphQL code and SQLSTATE.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text file: 1-based line and column, as editors count."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in something a person wrote."""

    code: str
    message: str
    span: Span | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        place = f"{self.span}: " if self.span else ""
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{place}{self.code}: {self.message}{hint}"


class DucatError(Exception):
    """The root: a stable `code`, a `message` for a person, and a `suggestion` of what to do."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion

    def __str__(self) -> str:
        return f"{self.message} ({self.suggestion})" if self.suggestion else self.message


class SettingsError(DucatError):
    """A setting is missing, unknown or malformed."""

    code = "invalid_setting"


class ProjectError(DucatError):
    """The folder given as a project is not one."""

    code = "invalid_project"


class SnapshotError(DucatError):
    """No tables are in service, or what describes them cannot be read."""

    code = "no_snapshot"


class ModelError(DucatError):
    """The model is not usable; `problems` lists everything that is wrong with it, at once."""

    code = "invalid_model"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            f"the model has {count} {noun}:\n{lines}",
            suggestion="correct them; `ducat validate` lists what is left",
        )


class QueryError(DucatError):
    """The caller asked for something that cannot be asked."""

    code = "invalid_query"


class QuerySyntaxError(QueryError):
    """The text or JSON is not a query."""

    code = "query_syntax"


class UnknownMemberError(QueryError):
    """No such member, or one this caller may not see: the words are the same."""

    code = "unknown_member"


class NoJoinPathError(QueryError):
    """No chain of declared joins connects the members asked for."""

    code = "no_join_path"


class AmbiguousJoinPathError(QueryError):
    """Two join paths are equally short, and nothing says which one is meant."""

    code = "ambiguous_join_path"


class UnsafeAggregationError(QueryError):
    """The joins would count rows of a measure more than once, and no sound plan is known."""

    code = "unsafe_aggregation"


class LimitExceededError(QueryError):
    """More rows, members or cost were asked for than this server allows."""

    code = "limit_exceeded"


class UnsupportedError(DucatError):
    """Valid in Cube's format, but not something this version answers."""

    code = "unsupported"


class EngineError(DucatError):
    """The database refused or failed."""

    code = "engine_error"


class SourceUnavailableError(EngineError):
    """The database cannot be reached or its tables are not there."""

    code = "source_unavailable"


class QueryTimeoutError(EngineError):
    """The query ran longer than its deadline and was stopped."""

    code = "query_timeout"


class QueryCancelledError(EngineError):
    """The caller went away and the query was stopped."""

    code = "query_cancelled"


class InternalError(DucatError):
    """An invariant of ours broke. The text is for the log; callers see only the code."""

    code = "internal_error"


def suggest(name: str, known: Iterable[str]) -> str | None:
    """Return "did you mean X?" for the nearest known name, or None when nothing is near.

    >>> suggest("flights.cuont", ["flights.count", "flights.delay"])
    'did you mean flights.count?'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else None
