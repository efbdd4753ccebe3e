"""Computing a table's touched days, and which of them really differ from what is there.

    inputs changed since the recorded versions ──▶ touched days
    build(whole inputs) filtered to them       ──▶ rebuilt rows, checked
    rebuilt against existing rows              ──▶ changed days: all that a commit replaces

Two things make this safe.

*A record may move to another day* (a correction changes its date). The day it leaves does not show
among the changed input rows. So the rebuilt keys are looked up among the existing rows, and the
days where they live are rebuilt too, until no key is left outside.

*A day that comes out equal is not written.* So repeating a run, or receiving once more what is
already there, makes no new version.

Rows live in a DuckDB in memory with a limit, which spills to a temporary folder beyond it.
"""

# ruff: noqa: S608 - every name in the SQL below is quoted, every value is ours

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import pyarrow as pa
from deltalake import DeltaTable

from flows.days import EVERY, NO_DAYS, Days, quote
from flows.errors import TransformError
from flows.inputs import CODE_KEY, Input, recorded_days
from flows.lake import Lake, read_dataset, read_difference
from flows.pipeline import Transform

if TYPE_CHECKING:
    import ibis.expr.types as ir

Progress = Callable[[str], None]

MEMORY_LIMIT: Final = "2GB"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A DuckDB in memory, reached by Ibis (`backend`) and by SQL (`sql`)."""

    backend: Any
    sql: duckdb.DuckDBPyConnection

    def table(self, name: str) -> ir.Table:
        """Return a registered table as an Ibis table."""
        return self.backend.table(name)

    def scalar(self, query: str) -> Any:
        """Return the one value of a query."""
        row = self.sql.execute(query).fetchone()
        return row[0] if row else None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a table's rows become.

    `relation` names the rebuilt rows of `touched` days in the workspace, None when no input
    changed. `days` are those of them that differ from `existing`; a table without days has
    EVERY or NO_DAYS. `whole` says that the table is to be written anew with these columns.
    `state` is what the commit records.
    """

    transform: Transform
    existing: DeltaTable | None
    relation: str | None
    schema: pa.Schema | None
    touched: Days
    days: Days
    whole: bool
    state: dict[str, int]
    rows: int

    @property
    def changed(self) -> bool:
        """Whether the table's rows differ from what is there."""
        return self.whole or bool(self.days)

    def select(self, *, ordered: bool = True) -> str:
        """Return SQL of the rows that are to be written."""
        condition = ""
        if self.transform.day_column and not self.whole:
            condition = f" WHERE {self.days.predicate(self.transform.day_column)}"
        order = f" ORDER BY {order_by(self.transform)}" if ordered else ""
        return f"SELECT * FROM {quote(self.relation or '')}{condition}{order}"


@contextmanager
def open_workspace(memory_limit: str = MEMORY_LIMIT) -> Iterator[Workspace]:
    """Open a DuckDB in memory for the time of a `with` block."""
    with tempfile.TemporaryDirectory(prefix="ducat-") as folder:
        backend = ibis.duckdb.connect(
            temp_directory=folder, memory_limit=memory_limit, allow_unsigned_extensions=False
        )
        # DuckDB 1.5.5 miscounts where a statement repeats the same joins (see semantic/engine/served.py).
        backend.con.execute("SET disabled_optimizers = 'common_subplan'")
        try:
            yield Workspace(backend, backend.con)
        finally:
            backend.disconnect()


def order_by(transform: Transform) -> str:
    """Return the SQL list of columns that a table's rows are kept in order of: day, then key."""
    columns = [transform.day_column] if transform.day_column else []
    columns += [name for name in transform.key if name not in columns]
    return ", ".join(quote(name) for name in columns)


def rebuild(
    workspace: Workspace,
    transform: Transform,
    inputs: tuple[Input, ...],
    existing: DeltaTable | None,
    *,
    lake: Lake,
    forced: Days = NO_DAYS,
    progress: Progress | None = None,
) -> Rebuilt:
    """Return what `transform` makes of its inputs, as far as it can differ from `existing`.

    Raises:
        TransformError: the rows break the promised key, day or column types.
    """
    for each in inputs:
        workspace.sql.register(each.view, each.rows())
    expression = _conform(
        transform, transform.build({each.name: workspace.table(each.view) for each in inputs})
    )
    source, code = _compile(workspace, transform, expression)
    state = {CODE_KEY: code}
    for each in inputs:
        state |= each.state
    workspace.sql.execute(f"CREATE TEMP VIEW {quote(f'all_{transform.name}')} AS {source}")
    schema = (
        workspace.sql.execute(f"SELECT * FROM {quote(f'all_{transform.name}')} LIMIT 0")
        .to_arrow_table()
        .schema
    )
    whole = existing is None or not _same_columns(existing, schema)
    touched = EVERY
    if existing is not None and not whole and existing.transaction_version(CODE_KEY) == code:
        touched = forced | _touched_days(workspace, transform, inputs, existing, lake)
    unchanged = Rebuilt(
        transform, existing, None, schema, NO_DAYS, NO_DAYS, whole=False, state=state, rows=0
    )
    if not touched:
        return unchanged
    if not transform.day_column:
        touched = EVERY
    relation = f"rebuilt_{transform.name}"
    if existing is not None:
        workspace.sql.register(f"existing_{transform.name}", read_dataset(existing))
    while True:
        rows = _materialise(workspace, transform, relation, touched)
        _check(workspace, transform, relation)
        moved = NO_DAYS if whole else _moved_days(workspace, transform, relation, touched)
        if not moved:
            break
        touched |= moved
    if progress:
        progress(f"{transform.name}:rebuilt")
    days = EVERY if whole else _changed_days(workspace, transform, relation, touched, schema)
    return replace(unchanged, relation=relation, touched=touched, days=days, whole=whole, rows=rows)


def _conform(transform: Transform, expression: ir.Table) -> ir.Table:
    """Return the rows with the lake's types: 64 bit numbers, timestamps without zone."""
    types = dict(expression.schema().items())
    missing = [
        name for name in (*transform.key, transform.day_column) if name and name not in types
    ]
    if missing:
        raise TransformError(f"{transform.name} has no column {', '.join(missing)}")
    if transform.day_column and not types[transform.day_column].is_date():
        raise TransformError(f"{transform.name}.{transform.day_column} is its day but not a date")
    columns = []
    for name, kind in types.items():
        column = expression[name]
        if kind.is_integer():
            target: Any = dt.int64
        elif kind.is_floating():
            target = dt.float64
        elif kind.is_timestamp() and kind.timezone is None:
            target = dt.Timestamp(scale=6)
        elif kind.is_boolean() or kind.is_string() or kind.is_date() or kind.is_decimal():
            target = kind
        else:
            raise TransformError(
                f"{transform.name}.{name} is a {kind}, which tables of the lake cannot have",
                suggestion="cast it; a timestamp with a zone: to UTC, and then without its zone",
            )
        columns.append((column.cast(target) if target != kind else column).name(name))
    return expression.select(columns)


def _compile(workspace: Workspace, transform: Transform, expression: ir.Table) -> tuple[str, int]:
    """Return the SQL of a transform, and a digest of all that decides what it computes.

    Tables that the transform holds in memory have random names; their content counts instead.
    """
    source = str(workspace.backend.compile(expression))
    text = "\n".join((source, repr(transform.key), repr(transform.day_column)))
    for held in expression.op().find(ops.InMemoryTable):
        rows = held.data.to_pyarrow(held.schema)
        workspace.sql.register(held.name, rows)
        text = text.replace(held.name, hashlib.sha256(repr(rows.to_pylist()).encode()).hexdigest())
    return source, int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)


def _same_columns(existing: DeltaTable, schema: pa.Schema) -> bool:
    found = read_dataset(existing).schema
    return [(f.name, f.type) for f in found] == [(f.name, f.type) for f in schema]


def _touched_days(
    workspace: Workspace,
    transform: Transform,
    inputs: tuple[Input, ...],
    existing: DeltaTable,
    lake: Lake,
) -> Days:
    touched = NO_DAYS
    for each in inputs:
        touched |= _touched_by(workspace, transform, each, existing, lake)
    return touched


def _touched_by(
    workspace: Workspace, transform: Transform, each: Input, existing: DeltaTable, lake: Lake
) -> Days:
    """Return the days of the output whose rows may differ because of one input."""
    if each.table is None:
        return NO_DAYS
    since = each.consumed(existing)
    if since is None or since > each.table.version():
        return EVERY
    if since == each.table.version():
        return NO_DAYS
    recorded = recorded_days(each, since)
    if recorded is not None and not recorded:
        return NO_DAYS
    how = (transform.touches or {}).get(each.name)
    if how is None or not transform.day_column:
        return EVERY
    if recorded is not None and how == each.day_column:
        return recorded
    older = lake.open_version(since, each.layer, *each.path)
    difference = read_difference(older, each.table) if older is not None else None
    # The log or the files of that version are gone: nobody can say what has come since.
    if difference is None:
        return EVERY
    days: set[date] = set()
    for number, part in enumerate(difference):
        name = f"difference_{each.view}_{number}"
        workspace.sql.register(name, part)
        table = workspace.table(name)
        column = table[how] if isinstance(how, str) else how(table)
        if not column.type().is_date():
            raise TransformError(f"{transform.name}: what {each.name} touches is not a date")
        found = workspace.backend.to_pyarrow(table.select(day=column).distinct())
        workspace.sql.unregister(name)
        days |= {day for day in found["day"].to_pylist() if day is not None}
    return Days(frozenset(days))


def _materialise(workspace: Workspace, transform: Transform, relation: str, days: Days) -> int:
    condition = ""
    if transform.day_column and not days.every:
        # A row without a day belongs to none; it must come out to be refused.
        day = quote(transform.day_column)
        condition = f" WHERE {days.predicate(transform.day_column)} OR {day} IS NULL"
    workspace.sql.execute(
        f"CREATE OR REPLACE TEMP TABLE {quote(relation)} AS "
        f"SELECT * FROM {quote(f'all_{transform.name}')}{condition}"
    )
    return int(workspace.scalar(f"SELECT count(*) FROM {quote(relation)}"))


def _check(workspace: Workspace, transform: Transform, relation: str) -> None:
    """Refuse rows without key or day, and keys that occur twice."""
    required = [*transform.key, *([transform.day_column] if transform.day_column else [])]
    absent = " OR ".join(f"{quote(name)} IS NULL" for name in required)
    lacking = workspace.scalar(f"SELECT count(*) FROM {quote(relation)} WHERE {absent}")
    if lacking:
        raise TransformError(
            f"{transform.name}: {lacking} rows have no {' or no '.join(dict.fromkeys(required))}",
            suggestion="look at the newest batch in bronze; a record without its key cannot be kept",
        )
    keys = ", ".join(quote(name) for name in transform.key)
    twice = workspace.sql.execute(
        f"SELECT {keys} FROM {quote(relation)} GROUP BY {keys} HAVING count(*) > 1 "
        f"ORDER BY {keys} LIMIT 1"
    ).fetchone()
    if twice:
        raise TransformError(
            f"{transform.name}: the key ({', '.join(transform.key)}) occurs more than once, "
            f"for example {twice}",
            suggestion="`build` must keep one row per key",
        )


def _moved_days(workspace: Workspace, transform: Transform, relation: str, touched: Days) -> Days:
    """Return the days outside `touched` in which rebuilt keys live among the existing rows."""
    if touched.every or not transform.day_column:
        return NO_DAYS
    keys = ", ".join(quote(name) for name in transform.key)
    day = quote(transform.day_column)
    found = workspace.sql.execute(
        f"SELECT DISTINCT {day} FROM {quote(f'existing_{transform.name}')} "
        f"SEMI JOIN {quote(relation)} USING ({keys}) "
        f"WHERE NOT {touched.predicate(transform.day_column)}"
    ).fetchall()
    return Days(frozenset(row[0] for row in found))


def _changed_days(
    workspace: Workspace, transform: Transform, relation: str, touched: Days, schema: pa.Schema
) -> Days:
    columns = ", ".join(quote(name) for name in schema.names)
    condition = ""
    if transform.day_column and not touched.every:
        condition = f" WHERE {touched.predicate(transform.day_column)}"
    new = f"SELECT {columns} FROM {quote(relation)}"
    old = f"SELECT {columns} FROM {quote(f'existing_{transform.name}')}{condition}"
    differing = f"(({new} EXCEPT ALL {old}) UNION ALL ({old} EXCEPT ALL {new}))"
    if not transform.day_column:
        return EVERY if workspace.scalar(f"SELECT count(*) FROM {differing}") else NO_DAYS
    found = workspace.sql.execute(
        f"SELECT DISTINCT {quote(transform.day_column)} FROM {differing}"
    ).fetchall()
    return Days(frozenset(row[0] for row in found))
