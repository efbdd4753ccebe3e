"""SQL to an Arrow table: plan, ask the layer, compute the rest in the private DuckDB."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from api.postgres.catalog.names import CLASS_OIDS, find_relation
from api.postgres.catalog.names import relations as known_relations
from api.postgres.catalog.rows import Surroundings, build_relation
from api.postgres.query.columns import TypeBook
from api.postgres.query.functions import MACROS, Place, translate
from api.postgres.query.leaf import Leaf, Plan
from api.postgres.query.parse import Statement, parse_query
from api.postgres.query.plan import plan_query
from api.postgres.query.split import MOST_ROWS
from api.postgres.query.tables import TableBook, Tables
from api.postgres.types import PgType, type_of
from api.query_log import name_filters, name_members
from semantic.cache.answer import Outcome
from semantic.engine.scratch import Scratch
from semantic.errors import EngineError, InternalError, LimitExceededError, UnsupportedError
from semantic.query.context import SecurityContext
from semantic.query.query import Query
from semantic.service import SemanticLayer

MEMORY: Final = "1GB"
_ATTEMPTS: Final = 3
_NUMERIC: Final = pa.decimal128(38, 0)
_DEPTH: Final = 4
_PLANS: Final = 512
_LONGEST_KEPT: Final = 4_000


@dataclass(slots=True)
class Trace:
    """What a statement asked of the layer, for the query log."""

    members: tuple[str, ...] = ()
    filtered_by: tuple[str, ...] = ()
    snapshot: str | None = None
    built_at: datetime | None = None
    """When the tables were built that it read."""
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)
    """Where its answers came from."""
    queries: list[Query] = dataclasses.field(default_factory=list)

    def add(self, query: Query) -> None:
        """Add one question."""
        self.queries.append(query)
        self.members = tuple(dict.fromkeys([*self.members, *name_members(query)]))
        self.filtered_by = tuple(dict.fromkeys([*self.filtered_by, *name_filters(query)]))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, where, and with which settings."""

    context: SecurityContext
    place: Place
    settings: Mapping[str, str]
    renew: bool = False
    """Whether answers are computed, though they may be kept."""


class PlanBook:
    """Keeps the plans of statements that ask one question. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, int], tuple[Tables, Leaf]] = OrderedDict()

    def find(self, text: str, zone: str, tables: Tables) -> Leaf | None:
        """Return the plan of a text over these tables."""
        with self._lock:
            found = self._kept.get((text, zone, id(tables)))
        return found[1] if found is not None and found[0] is tables else None

    def keep(self, text: str, zone: str, tables: Tables, leaf: Leaf) -> None:
        """Keep a plan; short texts only, and not for ever."""
        if len(text) > _LONGEST_KEPT:
            return
        with self._lock:
            # The tables are kept with the plan: their id stays their own.
            self._kept[text, zone, id(tables)] = (tables, leaf)
            while len(self._kept) > _PLANS:
                self._kept.popitem(last=False)


class Answerer:
    """Answers queries over one layer. Safe to use from several threads.

    `shows_sql` says whether a caller may see SQL of the model: EXPLAIN shows it to those only.
    """

    def __init__(
        self,
        layer: SemanticLayer,
        *,
        timeout_seconds: float,
        shows_sql: Callable[[SecurityContext], bool] = lambda _: False,
    ) -> None:
        self.layer = layer
        self._shows_sql = shows_sql
        self.types = TypeBook(layer)
        self._book = TableBook()
        self.plans = PlanBook()
        self._scratch = Scratch(memory_limit=MEMORY, timeout_seconds=timeout_seconds, setup=MACROS)

    def close(self) -> None:
        """Close the private DuckDB."""
        self._scratch.close()

    def tables(self, context: SecurityContext) -> Tables:
        """Return the tables that a caller may name."""
        return self._book.open(self.layer.catalog, self.layer.visible(context))

    def parse(self, statement: Statement) -> exp.Query:
        """Return the tree of a query."""
        return parse_query(statement)

    def column_type(
        self, node: exp.Expr, tree: exp.Query, tables: Tables, context: SecurityContext
    ) -> PgType | None:
        """Return the type of a column or a measure that a statement names, or None."""
        inner = node.unnest()
        if isinstance(inner, exp.Anonymous | exp.AggFunc):
            inner = inner.expressions[0] if inner.expressions else inner.this
        if not isinstance(inner, exp.Column) or isinstance(inner.this, exp.Star):
            return None
        for source in tree.find_all(exp.Table):
            table = tables.find(source.name)
            for column in () if table is None else table.columns:
                if table is not None and column.name == inner.name:
                    return self.types.find(table, column, context, datetime.now(UTC))
        relations = (find_relation(item.db, item.name) for item in tree.find_all(exp.Table))
        for relation in relations:
            schema = None if relation is None else known_relations()[relation]
            if schema is not None and inner.name in schema.names:
                return type_of(schema.field(inner.name).type)
        return None

    def answer(
        self,
        tree: exp.Query,
        caller: Caller,
        *,
        cancelled: threading.Event | None = None,
        describe: bool = False,
        trace: Trace | None = None,
        text: str | None = None,
    ) -> pa.Table:
        """Return the answer to a query whose parameters are filled in.

        With `describe` the columns are right and there are no rows. `text` is what the tree was
        read from when it has no parameters: its plan is then kept where it asks but one question.

        Raises:
            DucatError: it cannot be answered, or was stopped.
        """
        run = _Run(self, caller, cancelled, trace or Trace(), describe=describe)
        if text is None:
            return run.answer(tree)
        return run.answer_text(tree, text)

    def find_question(self, tree: exp.Query, caller: Caller) -> Leaf | None:
        """Return the one question that a query asks, or None where more is computed.

        Its limit is that of the statement, or none: such an answer may be read piece by piece,
        however long it is. Nothing is asked of the engine.

        Raises:
            DucatError: it cannot be answered.
        """
        try:
            plan = plan_query(
                tree.copy(),
                self.tables(caller.context),
                timezone=caller.place.timezone,
                evaluate=_refuse_computing,
            )
        except _ComputingError:
            return None
        leaf = _unwrap(plan)
        if leaf is None:
            return None
        if tree.find(exp.Limit, exp.Fetch) is not None:
            return None if (leaf.query.limit or 0) > MOST_ROWS else leaf
        return dataclasses.replace(
            leaf, query=dataclasses.replace(leaf.query, limit=None, unlimited=True)
        )

    def find_computing(self, tree: exp.Query, caller: Caller) -> str:
        """Return why a statement asks more than one question: what is computed besides.

        Raises:
            DucatError: it cannot be answered.
        """
        tables = self.tables(caller.context)
        try:
            plan = plan_query(
                tree.copy(),
                tables,
                timezone=caller.place.timezone,
                evaluate=_refuse_computing,
            )
        except _ComputingError:
            return "a condition compares with a sub-select, which is answered first"
        if plan.catalog:
            return f"{min(plan.catalog)} is a table of the catalog"
        if len(plan.leaves) != 1:
            count = len(plan.leaves)
            return f"it puts {count} answers together" if count else "it reads no cube or view"
        if plan.checks:
            return f"it groups by {plan.checks[0].shown}, which is computed over the answer"
        return f"{_find_computed(plan)} is computed over the answer"

    def explain(self, tree: exp.Query, caller: Caller) -> list[str]:
        """Return how a query would be answered, as lines; SQL for those who may see it."""
        shows_sql = self._shows_sql(caller.context)
        run = _Run(self, caller, None, Trace(), describe=True)
        plan = run.plan(tree)
        lines: list[str] = []
        for leaf in plan.leaves:
            told = self.layer.explain(leaf.query, caller.context, now=caller.place.now)
            lines += [f"Question {leaf.name}", *_indent(_tell_query(leaf.query))]
            if shows_sql:
                sql = _indent(str(told["sql"]).splitlines())
                tables = ", ".join(told["tables"])
                lines += _indent(["SQL:", *sql, f"Values: {told['values']}", f"Tables: {tables}"])
            else:
                lines += _indent(["SQL: shown to the groups that DUCAT_SQL_GROUPS names"])
        for check in plan.checks:
            lines.append(f"Check that no two groups fall together: {check.shown}")
        if plan.outer is not None:
            lines += ["Computed over the answers:", *_indent(run.write(plan).splitlines())]
        return lines


class _ComputingError(Exception):
    """A part of the statement must be computed before it can be planned."""


def _refuse_computing(query: exp.Query) -> pa.Table:
    raise _ComputingError(type(query).__name__)


@dataclass(slots=True)
class _Run:
    """One statement while it is answered."""

    answerer: Answerer
    caller: Caller
    cancelled: threading.Event | None
    trace: Trace
    describe: bool
    depth: int = 0
    folded: bool = False
    """Whether the plan holds values that were computed for it: those of another time differ."""

    def plan(self, tree: exp.Query) -> Plan:
        """Plan a query; the tree may be one that others hold too, and stays as it is."""
        tables = self.answerer.tables(self.caller.context)
        return plan_query(
            tree.copy(), tables, timezone=self.caller.place.timezone, evaluate=self._evaluate
        )

    def answer_text(self, tree: exp.Query, text: str) -> pa.Table:
        """Answer a text that may have come before."""
        tables = self.answerer.tables(self.caller.context)
        zone = self.caller.place.timezone
        leaf = self.answerer.plans.find(text, zone, tables)
        if leaf is not None:
            return self._load(leaf, exact=False)[0]
        plan = self.plan(tree)
        if plan.outer is None and not self.folded:
            self.answerer.plans.keep(text, zone, tables, plan.leaves[0])
        return self._answer(plan)

    def answer(self, tree: exp.Query) -> pa.Table:
        return self._answer(self.plan(tree))

    def _answer(self, plan: Plan) -> pa.Table:
        if plan.outer is None:
            leaf = plan.leaves[0]
            return self._load(leaf, exact=False)[0]
        text = self.write(plan)
        relations = plan.catalog | self._needed
        tables = self._load_all(plan)
        for name in relations:
            tables[name] = self._relation(name)
        scratch = self.answerer._scratch  # noqa: SLF001 -- a part of the answerer
        for check in plan.checks:
            translate(check.count, self._place())
            merged = scratch.run(check.count.sql("duckdb"), tables, cancelled=self.cancelled)
            if merged.column(0)[0].as_py():
                raise UnsupportedError(
                    f"GROUP BY {check.shown} puts groups together, and a measure of the whole "
                    "is not made of measures of its parts",
                    suggestion="group by columns and DATE_TRUNC of times, or have a dimension for "
                    "this expression added to the model",
                )
        return scratch.run(text, tables, cancelled=self.cancelled)

    _needed: frozenset[str] = frozenset()

    def write(self, plan: Plan) -> str:
        """Return the part of a plan that DuckDB computes, as its SQL."""
        if plan.outer is None:
            raise InternalError("nothing is computed")
        self._needed = frozenset(translate(plan.outer, self._place()))
        try:
            return plan.outer.sql("duckdb", unsupported_level=ErrorLevel.RAISE)
        except (SqlglotError, ValueError) as unsupported:
            raise UnsupportedError(
                f"this cannot be computed over an answer: {str(unsupported)[:200]}"
            ) from unsupported

    def _place(self) -> Place:
        tables = self.answerer.tables(self.caller.context)

        def find(name: str) -> int | None:
            short = name.rpartition(".")[2].strip('"')
            table = tables.find(short)
            return CLASS_OIDS.get(short) if table is None else table.oid

        names = [(table.oid, table.name) for table in tables.tables]
        names += [(oid, name) for name, oid in CLASS_OIDS.items()]
        return dataclasses.replace(self.caller.place, find_table=find, table_names=tuple(names))

    def _evaluate(self, query: exp.Query) -> pa.Table:
        self.folded = True
        if self.depth >= _DEPTH:
            raise LimitExceededError("the statement is nested too deeply")
        inner = _Run(
            self.answerer, self.caller, self.cancelled, self.trace,
            describe=False, depth=self.depth + 1,
        )  # fmt: skip
        return inner.answer(query)

    def _load_all(self, plan: Plan) -> dict[str, pa.Table]:
        """Ask all questions of one snapshot."""
        for _ in range(_ATTEMPTS):
            found = {leaf.name: self._load(leaf) for leaf in plan.leaves}
            if len({snapshot for _, snapshot in found.values()}) <= 1:
                return {name: table for name, (table, _) in found.items()}
        raise EngineError("the tables changed while they were read", suggestion="ask again")

    def _load(self, leaf: Leaf, *, exact: bool = True) -> tuple[pa.Table, str]:
        """Return an answer and its snapshot; `exact`: for computing, where a sum is numeric."""
        query = leaf.query
        if self.describe:
            query = dataclasses.replace(query, limit=0, offset=0)
        self.trace.add(query)
        result = self.answerer.layer.load(
            query,
            self.caller.context,
            now=self.caller.place.now,
            cancelled=self.cancelled,
            renew=self.caller.renew,
        )
        self.trace.snapshot = result.state.snapshot or None
        self.trace.built_at = result.state.built_at
        self.trace.outcomes.append(result.cache)
        table = result.table
        if table.num_rows > MOST_ROWS:
            raise LimitExceededError(
                f"a SELECT over a table has more than {MOST_ROWS:,} rows",
                suggestion="add a filter, a LIMIT or a coarser time grain to it",
            )
        places = {column.name: place for place, column in enumerate(result.columns)}
        arrays, names = [], []
        for name, source in leaf.columns:
            if source not in places:
                raise InternalError(f"the answer has no column {source}")
            place = places[source]
            array = table.column(place)
            if result.columns[place].type == "string" and not _is_text(array.type):
                array = array.cast(pa.string())
            if exact and array.type == pa.int64() and self._is_sum(result.columns[place].member):
                array = array.cast(_NUMERIC)
            arrays.append(array)
            names.append(name)
        return pa.Table.from_arrays(arrays, names=names), result.state.snapshot

    def _is_sum(self, member: str) -> bool:
        owner, _, name = member.partition(".")
        table = self.answerer.tables(self.caller.context).find(owner)
        found = () if table is None else table.columns
        return any(item.name == name and item.type == "sum" for item in found)

    def _relation(self, name: str) -> pa.Table:
        answerer, caller = self.answerer, self.caller
        place = caller.place
        return build_relation(
            name,
            Surroundings(
                tables=answerer.tables(caller.context),
                type_of=lambda table, column: answerer.types.find(
                    table, column, caller.context, place.now
                ),
                database=place.database,
                user=place.user,
                process=place.process,
                started=place.now,
                settings=caller.settings,
                columns_of=lambda table: table.columns,
            ),
        )


def _unwrap(plan: Plan) -> Leaf | None:
    """Return the only question of a plan, if its answer is the statement's, but for names and order."""
    if len(plan.leaves) != 1 or plan.checks or plan.catalog:
        return None
    (leaf,) = plan.leaves
    outer = plan.outer
    if outer is None:
        return leaf
    said = {part for part, value in outer.args.items() if value}
    if not isinstance(outer, exp.Select) or said != {"expressions", "from_"}:
        return None
    source = outer.args["from_"].this
    if not isinstance(source, exp.Table) or source.name != leaf.name:
        return None
    if {part for part, value in source.args.items() if value} - {"this", "alias", "quoted"}:
        return None
    found = dict(leaf.columns)
    columns = []
    for item in outer.expressions:
        inner = item.unalias()
        if not isinstance(inner, exp.Column) or inner.name not in found:
            return None
        columns.append((item.alias_or_name, found[inner.name]))
    return dataclasses.replace(leaf, columns=tuple(columns))


def _find_computed(plan: Plan) -> str:
    """Return what an outer query computes, as it was written."""
    outer = plan.outer
    if isinstance(outer, exp.Select):
        for item in outer.expressions:
            if not isinstance(item.unalias(), exp.Column):
                return str(item.unalias().sql("postgres"))[:100]
        clauses = {"where": "WHERE", "group": "GROUP BY", "having": "HAVING", "order": "ORDER BY",
                   "limit": "LIMIT", "offset": "OFFSET", "distinct": "DISTINCT", "joins": "a join",
                   "with_": "WITH"}  # fmt: skip
        for part, name in clauses.items():
            if outer.args.get(part):
                return name
    return "UNION" if isinstance(outer, exp.SetOperation) else "a part of it"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _indent(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _tell_query(query: Query) -> list[str]:
    parts = (
        ("measures", query.measures),
        ("dimensions", query.dimensions),
        ("times", [f"{item.dimension}.{item.granularity}" for item in query.time_dimensions]),
        ("filters", query.filters),
        ("segments", query.segments),
        ("order", [f"{item.member}{' desc' * item.descending}" for item in query.order or ()]),
    )
    lines = [f"{name}: {', '.join(map(str, values))}" for name, values in parts if values]
    lines.append(f"limit: {query.limit}, offset: {query.offset}, timezone: {query.timezone}")
    return lines + (["single rows, not grouped"] if query.ungrouped else [])
