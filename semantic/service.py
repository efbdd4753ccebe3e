"""SemanticLayer: the façade that every face calls, and the only thing of `semantic` it needs.

Everything before the engine is a pure function of the catalog, the query, the caller and `now`. The
catalog is one immutable value; a reload replaces the reference, and requests that began keep theirs.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from semantic.cache.cache import AnswerCache, Question
from semantic.cache.open_cache import open_cache
from semantic.catalog.catalog import Catalog, DimensionType, MeasureType
from semantic.catalog.load import ModelLoader
from semantic.compile.compiled import CompiledQuery
from semantic.compile.plan_cache import KEPT_PLANS, PlanCache
from semantic.compile.rollup import RollupBuild, rollup_builds
from semantic.compile.rollup_set import RollupCatalog
from semantic.compile.statement import compile_plan
from semantic.engine.open_engine import open_engine
from semantic.engine.query_engine import QueryEngine, RollupReader, StalePlanError
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.engine.stream import ResultStream
from semantic.errors import DucatError, SourceUnavailableError
from semantic.plan.build import build
from semantic.plan.candidates import RollupSet
from semantic.plan.explain import (
    explain_joins,
    explain_measures,
    explain_plan,
    explain_rollups,
    explain_root,
)
from semantic.plan.nodes import Plan
from semantic.plan.statistics import Statistics
from semantic.project import Project
from semantic.query.bind import bind
from semantic.query.bound import BoundColumn, BoundQuery, DimensionUse, MeasureUse
from semantic.query.context import SecurityContext
from semantic.query.query import Query
from semantic.query.visibility import Visibility
from semantic.settings import Settings
from semantic.shadow import Shadow
from semantic.steps import step

_PLANNINGS: Final = 5


class SemanticLayer:
    """A model over the served tables. Safe to use from several threads at once."""

    def __init__(
        self,
        loader: ModelLoader,
        engine: QueryEngine,
        *,
        plan_cache: int = KEPT_PLANS,
        answers: AnswerCache | None = None,
        shadow: float = 0.0,
    ) -> None:
        """Answer by an engine; `answers` keeps answers, without it none is kept.

        `shadow` is the share of answers from rollups that are compared with the rows.
        """
        self._loader = loader
        self._engine = engine
        self._answers = answers or AnswerCache(0)
        self._kept_plans = plan_cache
        self._shadow = Shadow(shadow, self._distrust)
        self._reloading = threading.Lock()
        self._model = Visibility(loader.load())
        self._plans = self._plan_cache()

    @classmethod
    def open(
        cls,
        project: Project,
        *,
        serving: Path,
        memory_limit: str = "4GB",
        timeout_seconds: float = 60.0,
        strict_joins: bool = False,
        plan_cache: int = KEPT_PLANS,
        engine_url: str | None = None,
        engine_connections: int = 4,
        answers: AnswerCache | None = None,
        shadow: float = 0.0,
    ) -> SemanticLayer:
        """Return the layer of a project's model over the tables in `serving`, or at `engine_url`.

        The tables need not be there yet; each query looks for what is in service. With
        `strict_joins` a model in which joins lead to a cube in several ways is not usable.
        `plan_cache` is the number of shapes of queries whose plans are kept; 0 keeps none.

        Raises:
            ModelError: the model is not usable.
            SettingsError: there is no engine for the URL.
        """
        loader = ModelLoader(project.model, strict_joins=strict_joins)
        engine = open_engine(
            engine_url,
            serving=serving,
            memory_limit=memory_limit,
            timeout_seconds=timeout_seconds,
            connections=engine_connections,
        )
        try:
            return cls(loader, engine, plan_cache=plan_cache, answers=answers, shadow=shadow)
        except BaseException:
            engine.close()
            raise

    @classmethod
    def of(cls, settings: Settings) -> SemanticLayer:
        """Return the layer of the project and the engine that the settings name.

        Raises:
            ProjectError, ModelError, SettingsError: there is no usable project, engine or Redis.
        """
        url = settings.engine_url
        return cls.open(
            Project.open(settings.project),
            serving=settings.serving_path,
            memory_limit=settings.memory_limit,
            timeout_seconds=settings.query_timeout_seconds,
            strict_joins=settings.strict_joins,
            plan_cache=settings.plan_cache,
            engine_url=None if url is None else url.get_secret_value(),
            engine_connections=settings.engine_connections,
            answers=open_cache(settings),
            shadow=settings.shadow,
        )

    @property
    def catalog(self) -> Catalog:
        """The current model."""
        return self._model.whole

    def reload(self) -> bool:
        """Read the model's files again; return whether anything changed.

        Raises:
            ModelError: the files are not usable. The model that was in use stays in use.
        """
        with self._reloading:
            catalog = self._loader.load()
            if catalog.version == self._model.whole.version:
                return False
            self._model = Visibility(catalog)
            self._plans = self._plan_cache()
            return True

    def load(
        self,
        query: Query,
        context: SecurityContext,
        *,
        now: datetime,
        cancelled: threading.Event | None = None,
        renew: bool = False,
    ) -> Result:
        """Return the answer; with `renew` it is computed though it may be kept.

        Raises:
            QueryError, UnsupportedError: what was asked cannot be answered.
            SnapshotError, EngineError: what is served cannot be read, or the query was stopped.
        """
        for _ in range(_PLANNINGS):
            compiled, bound = self._plans.prepare(query, context, now)
            columns = result_columns(bound.columns)
            run = partial(self._execute, compiled, bound, columns)
            try:
                if self._engine.stamp() is None:  # nothing says whether its tables changed
                    return run(cancelled)
                answer = self._answers.answer(
                    Question(compiled, bound, columns),
                    self._engine.state(compiled.tables),
                    run,
                    cancelled=cancelled,
                    renew=renew,
                )
            except StalePlanError:  # tables with other types were published meanwhile
                self._plans.forget()
            else:
                if answer.rollups and answer.cache != "hit":
                    again = partial(self._ask_rows, query, context, now)
                    self._shadow.consider(answer, again)
                return answer
        raise _too_fast()

    def _ask_rows(self, query: Query, context: SecurityContext, now: datetime) -> Result:
        """Return the answer from rows, though rollups would say the same."""
        model = self._model
        bound = bind(model.whole, query, now=now, sight=model.sight(context))
        known = self._engine.statistics()
        none = RollupSet(known.stored_version)
        plan = build(bound.catalog, bound, dataclasses.replace(known, rollups=none))
        compiled = compile_plan(
            bound.catalog,
            plan,
            total=query.total,
            dialect=self._engine.dialect,
            context=context,
        )
        return self._engine.execute(compiled, bound, result_columns(bound.columns))

    def _distrust(self, names: tuple[str, ...]) -> None:
        if isinstance(self._engine, RollupReader):
            self._engine.distrust(names)

    @property
    def shadow(self) -> Shadow:
        """What compares answers from rollups with the rows."""
        return self._shadow

    def stream(
        self,
        query: Query,
        context: SecurityContext,
        *,
        now: datetime,
        cancelled: threading.Event | None = None,
        wide: bool = False,
        renew: bool = False,
    ) -> ResultStream:
        """Return the answer, to be read piece by piece and then closed (`semantic/engine/stream.py`).

        A query that is `unlimited` and has no limit is answered whole. With `wide` the types follow
        from the query alone: sums of whole numbers are decimal128(38, 0). Short answers may be kept
        ones, but with `renew`.

        Raises:
            DucatError: as for `load`; what fails after the first rows is raised by `read`.
        """
        for _ in range(_PLANNINGS):
            compiled, bound = self._plans.prepare(query, context, now)
            columns = result_columns(bound.columns)
            start = partial(self._start, compiled, bound, columns, cancelled, wide=wide)
            try:
                return self._answers.stream(
                    Question(compiled, bound, columns),
                    self._engine.state(compiled.tables),
                    start,
                    wide=wide,
                    renew=renew,
                )
            except StalePlanError:  # tables with other types were published meanwhile
                self._plans.forget()
        raise _too_fast()

    def compile(self, query: Query, context: SecurityContext, *, now: datetime) -> CompiledQuery:
        """Return the SQL that answers the query, and its values, without running it."""
        return self._plans.compile(query, context, now)

    def explain(self, query: Query, context: SecurityContext, *, now: datetime) -> dict[str, Any]:
        """Return how the query is answered: plan, joins and why, measures, SQL, values, tables.

        The query is planned anew, whatever plans are kept.
        """
        bound, plan, compiled = self._prepare(query, context, now)
        return {
            "plan": explain_plan(plan),
            "root": explain_root(plan),
            "joins": explain_joins(plan),
            "measures": explain_measures(plan),
            "dateRanges": [
                None if found is None else [str(found.start.local), str(found.end.local)]
                for found in bound.ranges
            ],
            "sql": compiled.sql,
            "values": [
                value if isinstance(value, str | bool | int | float) else str(value)
                for value in compiled.values
            ],
            "tables": list(compiled.tables),
            "preAggregations": explain_rollups(plan),
            "cache": self._explain_cache(compiled, bound),
            "model": self._model.whole.version,
        }

    def known(self) -> Statistics:
        """Return what is known of the tables in service, and of the rollups of the model."""
        return self._plans.statistics()

    def rollup_builds(self, timezones: Sequence[str]) -> tuple[RollupBuild, ...]:
        """Return how to make the table of each pre-aggregation of the model, for these time zones."""
        return rollup_builds(self._model.whole, timezones, self._engine.statistics())

    def _execute(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        cancelled: threading.Event | None,
    ) -> Result:
        with step("warehouse") as reading:
            reading.note("ducat.tables", compiled.tables)
            return self._engine.execute(compiled, bound, columns, cancelled=cancelled)

    def _start(
        self,
        compiled: CompiledQuery,
        bound: BoundQuery,
        columns: tuple[ResultColumn, ...],
        cancelled: threading.Event | None,
        *,
        wide: bool,
    ) -> ResultStream:
        with step("warehouse") as reading:
            reading.note("ducat.tables", compiled.tables)
            return self._engine.stream(compiled, bound, columns, cancelled=cancelled, wide=wide)

    def _explain_cache(self, compiled: CompiledQuery, bound: BoundQuery) -> str:
        if self._engine.stamp() is None:
            return "not kept"
        try:
            state = self._engine.state(compiled.tables)
        except DucatError:
            return "nothing is in service"
        question = Question(compiled, bound, result_columns(bound.columns))
        match self._answers.holds(question, state):
            case None:
                return "not kept"
            case True:
                return "kept in memory"
            case False:
                return "not kept yet"

    def stamp(self) -> Hashable | None:
        """Return what changes with the model, the tables in service and their checks; cheap.

        None where that cannot be known.
        """
        data = self._engine.stamp()
        return None if data is None else (self._model.whole.version, data)

    def is_timeless(
        self, query: Query, context: SecurityContext, now: datetime, later: timedelta
    ) -> bool:
        """Whether the query asks the same `later` than `now`, when plans are kept."""
        plans = self._plans
        one = plans.compile(query, context, now)
        other = plans.compile(query, context, now + later)
        return (one.sql, one.values) == (other.sql, other.values)

    @property
    def cache_bytes(self) -> int:
        """How many bytes of answers are kept in memory."""
        return self._answers.used

    def visible(self, context: SecurityContext) -> Catalog:
        """Return the model without what this caller may not see."""
        return self._model.visible(context)

    def state(self, tables: Iterable[str] | None = None) -> AnswerState:
        """Return freshness and quality of the named tables, or of all that are in service.

        Raises:
            SnapshotError: nothing is in service.
        """
        return self._engine.state(None if tables is None else tuple(tables))

    def close(self) -> None:
        """Close the served file, and forget what is kept."""
        self._shadow.stop()
        self._answers.close()
        self._engine.close()

    def _plan_cache(self) -> PlanCache:
        engine = self._engine
        known = RollupCatalog(self._model.whole, engine.statistics)
        return PlanCache(
            self._model, engine.dialect, size=self._kept_plans, statistics=known.statistics
        )

    def _prepare(
        self, query: Query, context: SecurityContext, now: datetime
    ) -> tuple[BoundQuery, Plan, CompiledQuery]:
        model = self._model
        bound = bind(model.whole, query, now=now, sight=model.sight(context))
        plan = build(bound.catalog, bound, self._plans.statistics())
        dialect = self._engine.dialect
        compiled = compile_plan(
            bound.catalog, plan, total=query.total, dialect=dialect, context=context
        )
        return bound, plan, compiled


def _too_fast() -> SourceUnavailableError:
    return SourceUnavailableError(
        "the served tables change their types faster than queries are planned",
        suggestion="ask again",
    )


def result_columns(columns: Iterable[BoundColumn]) -> tuple[ResultColumn, ...]:
    """Return the columns of an answer as faces describe them."""
    return tuple(_result_column(column) for column in columns)


def _result_column(column: BoundColumn) -> ResultColumn:
    kind: Literal["measure", "dimension", "time_dimension"]
    type_: DimensionType | MeasureType
    match column.use:
        case DimensionUse(dimension):
            kind, type_ = "dimension", dimension.type
        case MeasureUse(measure):
            kind, type_ = "measure", measure.type
    return ResultColumn(
        name=column.name,
        member=column.member,
        kind="time_dimension" if column.granularity else kind,
        type=_type(type_),
        title=column.title,
        short_title=column.short_title,
        granularity=column.granularity,
        description=column.description,
        format=column.format,
        currency=column.currency,
    )


def _type(
    type_: DimensionType | MeasureType,
) -> Literal["string", "number", "boolean", "time"]:
    match type_:
        case "string" | "boolean" | "time":
            return type_
        case "geo" | "switch":
            return "string"
        case _:
            return "number"
