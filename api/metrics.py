"""Prometheus metrics of one server: what is asked, how long it takes, how old the answers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from semantic.engine.result import AnswerState
from semantic.errors import DucatError
from semantic.shadow import ShadowTally

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class TimeHistogram(Histogram):
    """A histogram that takes many short times at once."""

    def observe_short(self, count: int, total: float) -> None:
        """Count so many times, each within the first bucket, and `total` seconds together."""
        self._sum.inc(total)
        self._buckets[0].inc(count)


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(
        self, read_state: Callable[[], AnswerState], read_shadow: Callable[[], ShadowTally]
    ) -> None:
        self.registry = CollectorRegistry()
        self.queries = Counter(
            "ducat_queries",
            "Queries by door and outcome.",
            ("face", "code"),
            registry=self.registry,
        )
        self.query_seconds = TimeHistogram(
            "ducat_query_seconds",
            "Time from a query's arrival to its answer.",
            ("face",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "ducat_queries_in_flight",
            "Queries that run or wait.",
            ("face",),
            registry=self.registry,
        )
        self.cached = Counter(
            "ducat_answers",
            "Answers by where they came from: miss, hit, shared, ready (bytes of before), off.",
            ("cache",),
            registry=self.registry,
        )
        self.requests = Counter(
            "ducat_http_requests",
            "HTTP requests by method and status.",
            ("method", "status"),
            registry=self.registry,
        )
        self.reload_failures = Counter(
            "ducat_model_reload_failures",
            "Changed models that were refused; the one before stays in service.",
            registry=self.registry,
        )
        self.model_is_current = Gauge(
            "ducat_model_is_current",
            "1 when the model in service is the one in the files, 0 when those are refused.",
            registry=self.registry,
        )
        self.set_model(is_current=True)
        self.registry.register(_Freshness(read_state))
        self.registry.register(_Shadow(read_shadow))

    def set_model(self, *, is_current: bool) -> None:
        """Say whether the model in service is the one in the files."""
        self.has_current_model = is_current
        self.model_is_current.set(int(is_current))

    def render(self) -> bytes:
        """Return the page that Prometheus scrapes."""
        return generate_latest(self.registry)


class _Shadow(Collector):
    """How answers from rollups compared with the rows."""

    def __init__(self, read: Callable[[], ShadowTally]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield one counter."""
        tally = self._read()
        found = CounterMetricFamily(
            "ducat_rollup_comparisons",
            "Answers from rollups that were asked of the rows again: equal, different, skipped.",
            labels=["outcome"],
        )
        found.add_metric(["equal"], tally.compared - tally.different)
        found.add_metric(["different"], tally.different)
        found.add_metric(["skipped"], tally.skipped)
        yield found


class _Freshness(Collector):
    """Reads the state of what is served when it is scraped."""

    def __init__(self, read_state: Callable[[], AnswerState]) -> None:
        self._read_state = read_state

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; only `ducat_ready 0` when nothing is in service."""
        ready = GaugeMetricFamily("ducat_ready", "1 when queries can be answered.")
        try:
            state = self._read_state()
        except DucatError:
            ready.add_metric([], 0)
            yield ready
            return
        ready.add_metric([], 1)
        yield ready
        now = datetime.now(UTC)
        age = GaugeMetricFamily(
            "ducat_snapshot_age_seconds", "Time since the tables in service were built."
        )
        age.add_metric([], (now - _aware(state.built_at)).total_seconds())
        yield age
        yield from _tables(state)


def _tables(state: AnswerState) -> Iterator[Metric]:
    rows = GaugeMetricFamily("ducat_table_rows", "Rows of a served table.", labels=["table"])
    until = GaugeMetricFamily(
        "ducat_table_data_until_seconds",
        "Newest event in a served table, Unix time.",
        labels=["table"],
    )
    passed = GaugeMetricFamily(
        "ducat_table_quality_passed",
        "1 when the served table's contract held, 0 when it failed or was not checked.",
        labels=["table"],
    )
    newest = GaugeMetricFamily(
        "ducat_table_newest_check_passed",
        "0 when a newer build of the table was refused and an older one is served.",
        labels=["table"],
    )
    failing = {name for name, check in state.newest_check if check.state == "failed"}
    for table in state.tables:
        rows.add_metric([table.name], table.rows)
        if table.data_until is not None:
            until.add_metric([table.name], _aware(table.data_until).timestamp())
        passed.add_metric([table.name], int(table.quality.state == "passed"))
        newest.add_metric([table.name], int(table.name not in failing))
    yield from (rows, until, passed, newest)


def _aware(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
