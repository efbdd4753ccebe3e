"""Plans by the shape of their query: a shape that was planned takes other values without planning.

    Query ─ take_shape ─▶ shape, texts ─▶ Recipe: texts → typed values ─▶ Template: does all that
    planning asked of its values hold for these? ─▶ its SQL with these values, or a planning anew

A template is made of a planning with traced values (`trace.py`), so what it answers is what planning
would answer. A query that cannot be traced is planned each time.

Hits take no lock: a look-up in a dict, and a mark of the time of use. What is kept is bounded by
the number of shapes and of templates for each; values of callers are in no entry but those of the
query that it was made from, and those are few (`MOST_TEXTS`).
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from semantic.compile.compiled import CompiledQuery
from semantic.compile.dialect import Dialect
from semantic.compile.shape import take_shape
from semantic.compile.slots import Recipe, Tracer
from semantic.compile.statement import compile_plan
from semantic.compile.template import Filled, Planning, Template, make_template
from semantic.compile.trace import Trace, UntraceableError
from semantic.compile.watched import Path, watch_claims, watch_now
from semantic.errors import DucatError
from semantic.plan.build import build
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bind import bind
from semantic.query.bound import BoundQuery
from semantic.query.context import SecurityContext
from semantic.query.members import PUBLIC
from semantic.query.query import Query
from semantic.query.visibility import Visibility
from semantic.steps import step

KEPT_PLANS: Final = 512
_TEMPLATES: Final = 4
_FAILURES: Final = 3


@dataclass(slots=True)
class _Entry:
    """A shape: how its texts are read, and its templates, newest first."""

    recipe: Recipe | None = None
    templates: tuple[Template, ...] = ()
    failures: int = 0
    used: int = 0


class PlanCache:
    """Plans of one model and dialect. Safe to use from several threads."""

    __slots__ = (
        "_clock",
        "_dialect",
        "_entries",
        "_guarded",
        "_lock",
        "_model",
        "_size",
        "statistics",
    )

    def __init__(
        self,
        model: Visibility,
        dialect: Dialect,
        *,
        size: int,
        statistics: Callable[[], Statistics] = lambda: UNKNOWN,
    ) -> None:
        """Keep at most `size` shapes; 0 keeps none. Plans are made by the `statistics` of their day."""
        self.statistics = statistics
        self._model = model
        self._dialect = dialect
        self._size = size
        self._guarded = model.sight(SecurityContext()) is not PUBLIC
        self._entries: dict[Hashable, _Entry] = {}
        self._clock = itertools.count(1)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def forget(self) -> None:
        """Plan everything anew, because the tables are not what they were."""
        with self._lock:
            self._entries.clear()

    def compile(self, query: Query, context: SecurityContext, now: datetime) -> CompiledQuery:
        """Return what planning gives.

        Raises:
            DucatError: the query cannot be answered.
        """
        with step("plan") as planning:
            texts: list[str] = []
            key = self._key(query, context, texts)
            found = None if key is None else self._find(key, query, texts, context, now)
            planning.note("ducat.plan_cache.hit", found is not None)
            if found is not None:
                return found.compiled
            return self._plan(key, query, texts, context, now)[0]

    def prepare(
        self, query: Query, context: SecurityContext, now: datetime
    ) -> tuple[CompiledQuery, BoundQuery]:
        """Return what planning gives, and the bound query.

        Raises:
            DucatError: the query cannot be answered.
        """
        with step("plan") as planning:
            texts: list[str] = []
            key = self._key(query, context, texts)
            found = None if key is None else self._find(key, query, texts, context, now)
            planning.note("ducat.plan_cache.hit", found is not None)
            if found is not None:
                return found.compiled, found.bind(query, now)
            return self._plan(key, query, texts, context, now)

    def _key(self, query: Query, context: SecurityContext, texts: list[str]) -> Hashable | None:
        if not self._size:
            return None
        shape = take_shape(query, texts)
        return (shape, context.groups) if self._guarded and shape is not None else shape

    def _find(
        self,
        key: Hashable,
        query: Query,
        texts: list[str],
        context: SecurityContext,
        now: datetime,
    ) -> Filled | None:
        entry = self._entries.get(key)
        if entry is None or entry.recipe is None:
            return None
        entry.used = next(self._clock)
        try:
            typed = entry.recipe.read(texts, now)
            for template in entry.templates:
                filled = template.fill(query, typed, context, self._dialect)
                if filled is not None:
                    return filled
        except (DucatError, UntraceableError):
            return None  # planning says what is wrong
        return None

    def _plan(
        self,
        key: Hashable | None,
        query: Query,
        texts: list[str],
        context: SecurityContext,
        now: datetime,
    ) -> tuple[CompiledQuery, BoundQuery]:
        """Plan, and remember the plan where it can be."""
        entry = None if key is None else self._entry(key)
        if entry is not None and entry.failures < _FAILURES:
            try:
                return self._trace(entry, query, texts, context, now)
            except UntraceableError:
                entry.failures += 1
            except DucatError:
                pass  # planning plain values says so in plain words
        bound = self._bind(query, context, now)
        return self._compile(bound, context), bound

    def _bind(self, query: Query, context: SecurityContext, now: datetime) -> BoundQuery:
        return bind(self._model.whole, query, now=now, sight=self._model.sight(context))

    def _compile(self, bound: BoundQuery, context: SecurityContext) -> CompiledQuery:
        return compile_plan(
            bound.catalog,
            build(bound.catalog, bound, self.statistics()),
            total=bound.query.total,
            dialect=self._dialect,
            context=context,
        )

    def _trace(
        self,
        entry: _Entry,
        query: Query,
        texts: list[str],
        context: SecurityContext,
        now: datetime,
    ) -> tuple[CompiledQuery, BoundQuery]:
        """Plan with traced values, and add the template to the entry."""
        trace = Trace()
        claims: dict[Path, Hashable] = {}
        watched = watch_claims(context, trace, claims)
        clock = watch_now(now)
        bound = self._bind(query, watched, clock)
        zone = ZoneInfo(bound.timezone)
        recipe, traced = Tracer(bound.catalog, trace, texts, now, zone).trace(query, bound)
        compiled = self._compile(traced, watched)
        if clock.uses != recipe.clock_reads:
            raise UntraceableError("the model looks at the clock")
        bound = dataclasses.replace(bound, now=now)
        typed = recipe.read(texts, now)
        template = make_template(
            Planning(query, bound, traced, typed, compiled), trace, claims, self._dialect
        )
        filled = template.fill(query, typed, context, self._dialect)
        if filled is None:
            raise UntraceableError("its own values do not fit")
        entry.recipe = recipe
        entry.templates = (template, *entry.templates)[:_TEMPLATES]
        return filled.compiled, bound

    def _entry(self, key: Hashable) -> _Entry:
        """Return the entry of a shape, made when there was none; the longest unused make room."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                if len(self._entries) >= self._size:
                    kept = sorted(self._entries.items(), key=lambda item: item[1].used)
                    for old, _ in kept[: max(1, self._size // 8)]:
                        del self._entries[old]
                entry = self._entries[key] = _Entry()
            entry.used = next(self._clock)
            return entry
