"""PostgreSQL's aggregate functions are known as such, as the server itself lists them."""

from __future__ import annotations

import psycopg
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from semantic.spec.aggregates import POSTGRES_AGGREGATES, is_aggregate
from tests.unit.flows.postgres import run_postgres


def test_every_aggregate_function_of_postgres_is_known_as_one() -> None:
    with run_postgres() as address, psycopg.connect(address) as connection:
        rows = connection.execute(
            "SELECT DISTINCT proname FROM pg_proc WHERE prokind = 'a' AND proname ~ '^[a-z_0-9]+$'"
        ).fetchall()
    names = {name for (name,) in rows}
    assert len(names) > 40
    assert [name for name in sorted(names) if not _aggregates(name)] == []
    assert names >= POSTGRES_AGGREGATES


def _aggregates(name: str) -> bool:
    dialect = Dialect.get_or_raise("postgres")
    for arguments in ("x", "x, y", "x, y, z"):
        try:
            [tree] = dialect.parse_into(exp.Condition, f"{name}({arguments})")
        except (SqlglotError, ValueError, TypeError, IndexError):
            # A function that takes another number of arguments.
            continue
        if tree is not None and any(is_aggregate(node) for node in tree.walk()):
            return True
    return False
