"""Opens the sets on both databases and asks their cases, below every face: all members are visible."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.compile.compiled import CompiledQuery
from semantic.compile.statement import compile_plan
from semantic.engine.execute import Engine
from semantic.engine.postgres import PostgresEngine
from semantic.engine.query_engine import QueryEngine
from semantic.errors import DucatError
from semantic.plan.build import build
from semantic.query.bind import bind
from semantic.query.bound import BoundQuery
from semantic.query.context import SecurityContext
from semantic.query.members import EVERYTHING
from semantic.service import result_columns
from tests.conformance.cases import Case, CaseSet, EngineName, answer_rows, find_difference
from tests.conformance.server import start_postgres
from tests.golden.queries.layer import publish

_NUMBERS = count(1)
NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case ended. `failure` is None when it passed; `sql` is what ran, when it came to that."""

    failure: str | None = None
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedSet:
    """A set whose tables are there, and its model, or why it is not usable."""

    engine: QueryEngine
    catalog: Catalog | DucatError

    def prepare(self, case: Case) -> tuple[BoundQuery, CompiledQuery]:
        """Return the case's query and its SQL."""
        if isinstance(self.catalog, DucatError):
            raise self.catalog
        bound = bind(self.catalog, case.query, now=NOW, sight=EVERYTHING)
        plan = build(bound.catalog, bound)
        return bound, compile_plan(
            bound.catalog, plan, dialect=self.engine.dialect, context=SecurityContext()
        )

    def check(self, case: Case) -> Verdict:
        """Ask the case and say what is wrong with the answer."""
        expected_error = case.document.get("error")
        compiled = None
        try:
            bound, compiled = self.prepare(case)
            columns = result_columns(bound.columns)
            rows = answer_rows(columns, self.engine.execute(compiled, bound, columns).table)
        except DucatError as refused:
            if expected_error is not None and expected_error in str(refused):
                return Verdict()
            text = f"{refused.code}: {refused}"
            return Verdict(text, compiled.sql if compiled else None)
        if expected_error is not None:
            return Verdict(f"expected an error with {expected_error!r}, got {rows}", compiled.sql)
        difference = find_difference(case, rows)
        return Verdict(difference, compiled.sql)


@dataclass(slots=True)
class Engines:
    """Opens sets when they are first asked for; `close` stops everything but the server."""

    _opened: dict[tuple[str, EngineName], OpenedSet] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def open(self, found: CaseSet, engine: EngineName) -> OpenedSet:
        """Return the set on a database."""
        key = (found.name, engine)
        if key not in self._opened:
            running = self._open_duckdb(found) if engine == "duckdb" else self._open_postgres(found)
            self._stack.callback(running.close)
            self._opened[key] = OpenedSet(running, _load(found.model(engine), engine))
        return self._opened[key]

    def close(self) -> None:
        """Close the connections and delete the files."""
        self._stack.close()
        self._opened.clear()

    def _open_duckdb(self, found: CaseSet) -> QueryEngine:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ducat-cases-"))
        publish(Path(folder), found.seed("duckdb"))
        return Engine(Path(folder), memory_limit="1GB", timeout_seconds=60)

    def _open_postgres(self, found: CaseSet) -> QueryEngine:
        address = make_database(found.seed("postgres"))
        return PostgresEngine(address, timeout_seconds=60, connections=1)


def make_database(seed: str) -> str:
    """Make a database on the server of this run, fill it, and return its address."""
    server = start_postgres()
    name = f"cases_{next(_NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    address = f"{server.rpartition('/')[0]}/{name}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(seed.encode())
    return address


def _load(text: str, engine: EngineName) -> Catalog | DucatError:
    try:
        return load_catalog_from_text({"model.yml": text}, dialect=engine)
    except DucatError as refused:
        return refused
