"""What is written for engines that no test runs is SQL in the eyes of sqlglot, for every case that is asked."""

from __future__ import annotations

import os

import pytest
import sqlglot
from sqlglot import exp

from semantic.catalog.load import load_catalog_from_text
from semantic.compile.dialect import (
    BIGQUERY,
    CLICKHOUSE,
    DATABRICKS,
    SNOWFLAKE,
    SPARK,
    TRINO,
    Dialect,
)
from semantic.compile.statement import compile_plan
from semantic.errors import DucatError
from semantic.plan.build import build
from semantic.query.bind import bind
from semantic.query.context import SecurityContext
from semantic.query.members import EVERYTHING
from tests.conformance.cases import CUBE, OWN, read_sets
from tests.conformance.engines import NOW
from tests.engines.models import translate_model

DIALECTS = (BIGQUERY, CLICKHOUSE, DATABRICKS, SNOWFLAKE, SPARK, TRINO)
# Every so manieth case in `make test`; `EVERY_CASE=1` asks all of them (a minute of CPU).
STEP = 1 if os.environ.get("EVERY_CASE") else 4
SETS = [*read_sets(CUBE), *read_sets(OWN)]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_case_is_written_as_one_select_of_the_dialect(dialect: Dialect) -> None:
    """What is refused before there is SQL is refused in each dialect alike."""
    written = 0
    wrong: list[str] = []
    for found in SETS:
        try:
            text = translate_model(found.model("duckdb"), dialect.name)
            catalog = load_catalog_from_text({"model.yml": text}, dialect=dialect.name)
        except DucatError as refused:
            wrong.append(f"{found.name}: {refused}")
            continue
        for case in found.cases[DIALECTS.index(dialect) % STEP :: STEP]:
            try:
                bound = bind(catalog, case.query, now=NOW, sight=EVERYTHING)
                plan = build(bound.catalog, bound)
                compiled = compile_plan(
                    bound.catalog, plan, dialect=dialect, context=SecurityContext()
                )
            except DucatError:
                if "error" not in case.document:
                    continue
            else:
                written += 1
                try:
                    statements = sqlglot.parse(compiled.sql, read=dialect.name)
                except sqlglot.ParseError as broken:
                    wrong.append(f"{case.name}: {str(broken)[:300]}\n{compiled.sql}")
                    continue
                if len(statements) != 1 or not isinstance(statements[0], exp.Query):
                    wrong.append(f"{case.name}: no single SELECT\n{compiled.sql}")
    assert not wrong, f"{len(wrong)} wrong of {written}:\n" + "\n".join(wrong[:5])
    assert written > 400 // STEP
