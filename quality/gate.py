"""The gate between a candidate and service: do all contracts hold for this file?

    file ──figures──▶ types, figures, values ──demands──▶ evidence ──judge──▶ verdicts ──▶ outcomes
                                                         (Great Expectations)

A candidate passes when every demand of severity `error` is met. What is not there fails: a
missing table or column, a table without a contract, a contract without its table, a rule that
could not be judged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quality import demands as d
from quality import figures
from quality.checks import (
    DataWithin,
    LoadedWithin,
    RowCount,
    RowsPerDay,
    Rule,
    demand_rules,
    describe_rule,
    name_column,
    name_needed,
    name_rule,
)
from quality.docs import replace_folder
from quality.judge import Verdict, judge
from quality.outcome import CheckOutcome, GateResult, TableCheck
from quality.pages import finish_pages
from quality.promise import Contract, Severity

if TYPE_CHECKING:
    import duckdb

__all__ = ["CheckOutcome", "GateResult", "TableCheck", "check_candidate"]

Schema = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A check of which the verdict is still to come."""

    key: str
    name: str
    column: str | None
    severity: Severity
    expected: str
    observed: str | None = None
    rule: Rule | None = None
    figure: Any = None


def check_candidate(
    database: Path,
    contracts: tuple[Contract, ...],
    *,
    now: datetime,
    loaded_at: Mapping[str, datetime],
    docs: Path | None,
) -> GateResult:
    """Check the tables in schema `gold` of a DuckDB file against their contracts.

    `loaded_at` gives for each table when its newest source batch was loaded; `now` and these times
    carry a zone. With `docs` the pages of this check replace those in that folder.

    Raises:
        CandidateError: the file is not there or is no DuckDB database. Everything that is wrong
            inside it is an outcome, not an error.
    """
    begun = time.monotonic()
    with figures.open_candidate(database) as connection:
        schema = figures.read_schema(connection)
        tables = [
            _TableGate(connection, contract, schema, now, loaded_at.get(contract.table))
            for contract in contracts
            if contract.table in schema
        ]
        evidence = [
            _compare_tables(contracts, schema),
            *(item for table in tables for item in table.evidence),
        ]
        with replace_folder(docs) if docs else nullcontext() as pages:
            verdicts = judge(evidence, now=now, pages=pages)
            checked = {table.contract.table: table.conclude(verdicts) for table in tables}
            checks = tuple(
                checked.get(name) or _miss_table(name, contract=name not in schema)
                for name in dict.fromkeys([*(contract.table for contract in contracts), *schema])
            )
            passed = all(check.passed for check in checks) and bool(checks)
            result = GateResult(passed, checks, time.monotonic() - begun, now)
            if pages is not None:
                finish_pages(pages, result, contracts)
    return result


def _compare_tables(contracts: tuple[Contract, ...], schema: Schema) -> d.Evidence:
    import pandas as pd  # noqa: PLC0415  heavy: only what checks pays for it

    promised = {contract.table for contract in contracts}
    good = "table and contract"
    states = {
        name: good
        if name in promised and name in schema
        else ("contract without a table" if name in promised else "table without a contract")
        for name in sorted(promised | set(schema))
    }
    wanted = tuple(d.demand_of_state(name, good, f"tables/{name}", "error") for name in states)
    return d.Evidence("tables", pd.DataFrame([states]), wanted)


def _miss_table(table: str, *, contract: bool) -> TableCheck:
    name, found, expected = (
        ("table", "no such table", "a table in schema gold")
        if contract
        else ("contract", "no contract", "a contract")
    )
    outcome = CheckOutcome(
        name, None, passed=False, severity="error", observed=found, expected=expected
    )
    return TableCheck(table, passed=False, checks=(outcome,))


class _TableGate:
    """One table on its way through the gate: its evidence, later its outcomes."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: Contract,
        schema: Schema,
        now: datetime,
        loaded_at: datetime | None,
    ) -> None:
        self.contract = contract
        self._connection = connection
        self._schema = schema
        self._now = now
        self._loaded_at = loaded_at
        self._asked: list[_Asked] = []
        self._missed: list[CheckOutcome] = []
        self._rows = figures.count_rows(connection, contract.table)
        rules = self._sort_out(demand_rules(contract))
        self.evidence = [self._show_columns(), *self._show_rules(rules)]

    def _sort_out(self, rules: tuple[Rule, ...]) -> list[tuple[str, Rule]]:
        """Keep the rules whose columns are there with their types; the others fail at once."""
        kept = []
        for number, rule in enumerate(rules):
            lacking = next(
                filter(None, (self._lack(*needed) for needed in name_needed(rule))), None
            )
            if lacking is None:
                kept.append((f"{self.contract.table}/{number}", rule))
                continue
            self._missed.append(
                CheckOutcome(
                    name_rule(rule),
                    name_column(rule),
                    passed=False,
                    severity=rule.severity,
                    observed=f"not checked: {lacking}",
                    expected=describe_rule(rule),
                )
            )
        return kept

    def _lack(self, table: str | None, column: str) -> str | None:
        columns = self._schema.get(table or self.contract.table, {})
        promised = self.contract.find(column) if table is None else None
        if column not in columns:
            return f"{table or self.contract.table} has no column {column}"
        if promised and promised.database_type != columns[column]:
            return f"{column} is {columns[column]}"
        return None

    def _show_columns(self) -> d.Evidence:
        import pandas as pd  # noqa: PLC0415  heavy: only what checks pays for it

        table = self.contract.table
        found = self._schema[table]
        expected = {column.name: column.database_type for column in self.contract.columns}
        for name in [*expected, *(name for name in found if name not in expected)]:
            own = self.contract.find(name)
            asked = _Asked(
                f"{table}/column/{name}",
                "column",
                name,
                (own and own.severity) or self.contract.severity,
                expected.get(name, "no such column"),
                found.get(name, "no such column"),
            )
            self._asked.append(asked)
        columns = [asked for asked in self._asked if asked.name == "column"]
        frame = pd.DataFrame([{asked.column: asked.observed for asked in columns}])
        wanted = tuple(
            d.demand_of_state(str(asked.column), asked.expected, asked.key, asked.severity)
            for asked in columns
        )
        return d.Evidence(f"{table}.columns", frame, wanted)

    def _show_rules(self, rules: list[tuple[str, Rule]]) -> list[d.Evidence]:
        import pandas as pd  # noqa: PLC0415  heavy: only what checks pays for it

        table = self.contract.table
        small = self._rows <= d.NATIVE_ROWS
        native = {key: (small and d.demand_of_values(rule, key)) or None for key, rule in rules}
        counted = [(key, rule) for key, rule in rules if native[key] is None]
        found = figures.read_figures(self._connection, table, [rule for _, rule in counted])
        measured = {
            key: self._measure(rule, figure)
            for (key, rule), figure in zip(counted, found, strict=True)
        }
        self._asked += [
            _Asked(
                key,
                name_rule(rule),
                name_column(rule),
                rule.severity,
                describe_rule(rule),
                rule=rule,
                figure=measured.get(key),
            )
            for key, rule in rules
        ]
        frame = pd.DataFrame([{d.label_rule(rule): measured[key] for key, rule in counted}])
        wanted = tuple(d.demand_of_figure(rule, key, self._rows) for key, rule in counted)
        evidence = [d.Evidence(f"{table}.figures", frame, wanted)]
        direct = tuple(demand for demand in native.values() if demand)
        if direct:
            columns = {
                column.name: column.database_type
                for column in self.contract.columns
                if self._lack(None, column.name) is None
            }
            values = figures.read_values(self._connection, table, columns)
            evidence.append(d.Evidence(f"{table}.values", values, direct))
        return evidence

    def _measure(self, rule: Rule, figure: Any) -> Any:
        match rule:
            case LoadedWithin():
                return d.measure_age(self._loaded_at, self._now)
            case DataWithin():
                newest = figure.replace(tzinfo=UTC) if figure else None
                return d.measure_age(newest, self._now)
            case _:
                return figure

    def conclude(self, verdicts: Mapping[str, Verdict]) -> TableCheck:
        """Return the outcomes, now that the verdicts are there."""
        checks = (
            *self._missed,
            *(self._conclude_one(asked, verdicts[asked.key]) for asked in self._asked),
        )
        passed = all(check.passed or check.severity == "warning" for check in checks)
        return TableCheck(self.contract.table, passed, checks)

    def _conclude_one(self, asked: _Asked, verdict: Verdict) -> CheckOutcome:
        rule = asked.rule
        count = 0
        rows: tuple[dict[str, Any], ...] = ()
        match rule:
            case None | RowCount() | LoadedWithin() | DataWithin():
                pass
            case _:
                count = verdict.unexpected if asked.figure is None else asked.figure
        if rule is not None and not verdict.met:
            contract = self.contract
            key = tuple(name for name in contract.key if self._lack(None, name) is None)
            rows = figures.read_violations(self._connection, contract.table, key, rule)
        return CheckOutcome(
            asked.name,
            asked.column,
            verdict.met,
            asked.severity,
            verdict.problem or asked.observed or self._observe(rule, asked.figure, count),
            asked.expected,
            rows,
            count,
        )

    def _observe(self, rule: Rule | None, figure: Any, count: int) -> str:
        match rule:
            case RowCount():
                return f"{figure} rows"
            case LoadedWithin():
                return f"{figure:.1f} hours ago" if self._loaded_at else "load time not known"
            case DataWithin():
                return f"{figure:.1f} hours old"
            case RowsPerDay():
                return f"{count} days otherwise"
            case _:
                return f"{count} of {self._rows} rows otherwise"
