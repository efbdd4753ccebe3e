"""Compares plans that are kept with plans made anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from semantic.catalog.catalog import Catalog
from semantic.compile.dialect import DUCKDB, Dialect
from semantic.compile.plan_cache import PlanCache
from semantic.errors import DucatError
from semantic.plan.build import build
from semantic.plan.nodes import Plan
from semantic.plan.statistics import UNKNOWN, Statistics
from semantic.query.bound import BoundQuery
from semantic.query.context import SecurityContext
from semantic.query.query import Query
from semantic.query.visibility import Visibility

ANYBODY = SecurityContext()


class Pair:
    """A cache that keeps plans, and one that keeps none, of one model."""

    def __init__(
        self,
        catalog: Catalog,
        dialect: Dialect = DUCKDB,
        *,
        size: int = 100,
        statistics: Statistics = UNKNOWN,
    ) -> None:
        model = Visibility(catalog)
        self.kept = PlanCache(model, dialect, size=size, statistics=lambda: statistics)
        self.anew = PlanCache(model, dialect, size=0, statistics=lambda: statistics)

    def check(self, query: Query, now: datetime, context: SecurityContext = ANYBODY) -> bool:
        """Check that both give the same: SQL, values and their types, bound query, or error.

        Return whether there is an answer.
        """
        expected = _prepare(self.anew, query, now, context)
        found = _prepare(self.kept, query, now, context)
        assert found == expected, query
        return len(expected) > 2


def _prepare(
    cache: PlanCache, query: Query, now: datetime, context: SecurityContext
) -> tuple[Any, ...]:
    try:
        compiled, bound = cache.prepare(query, context, now)
    except DucatError as refused:
        return refused.code, str(refused)
    assert cache.compile(query, context, now) == compiled
    return compiled, [type(value) for value in compiled.values], bound


def watch_plannings(monkeypatch: pytest.MonkeyPatch) -> list[BoundQuery]:
    """Return a list to which each planning adds what it plans."""
    planned: list[BoundQuery] = []

    def note(catalog: Catalog, bound: BoundQuery, statistics: Statistics) -> Plan:
        planned.append(bound)
        return build(catalog, bound, statistics)

    monkeypatch.setattr("semantic.compile.plan_cache.build", note)
    return planned
