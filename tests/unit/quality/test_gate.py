"""What the gate lets through, and which rows it names when it does not."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from quality.errors import CandidateError
from quality.gate import CheckOutcome, GateResult, check_candidate
from tests.unit.quality.conftest import NOW, Check, make_contract

COLUMNS = [
    {"name": "id", "type": "integer"},
    {"name": "customer", "type": "integer", "references": "customers.id"},
    {"name": "placed_on", "type": "date", "min": date(2026, 1, 1)},
    {"name": "amount", "type": "integer", "nullable": True, "max_null_rate": 0.4, "min": 0},
    {"name": "share", "type": "double", "nullable": True, "min": 0, "max": 1},
    {"name": "color", "type": "text", "values": ["red", "blue"]},
    {"name": "code", "type": "text", "pattern": "[A-Z]{2}", "max_length": 3, "unique": True},
    {"name": "paid", "type": "boolean"},
    {"name": "note", "type": "text"},
]

TABLES = """
    CREATE TABLE gold.customers (id BIGINT);
    INSERT INTO gold.customers VALUES (1), (2);
    CREATE TABLE gold.orders (id BIGINT, customer BIGINT, placed_on DATE, amount BIGINT,
        share DOUBLE, color VARCHAR, code VARCHAR, paid BOOLEAN, note VARCHAR);
"""
GOOD = """
    INSERT INTO gold.orders VALUES
        (1, 1, '2026-01-01', 0, 0.0, 'red', 'AA', true, ''),
        (2, 1, '2026-01-02', 9007199254740993, 1.0, 'blue', 'AB', false, 'x'),
        (3, 2, '2026-01-03', NULL, NULL, 'red', 'AC', true, 'y');
"""
FAULTS = """
    INSERT INTO gold.orders VALUES
        (1, 1, '2026-01-01', 0, 0.0, 'red', 'AA', true, ''),
        (2, 3, '2025-12-31', -1, 1.5, 'green', 'AB', NULL, 'x'),
        (2, NULL, '2026-01-03', NULL, 'NaN', 'red', 'AA', true, NULL),
        (4, 2, '2026-01-04', NULL, 'inf', 'blue', 'abcd', true, 'y'),
        (5, 2, '2026-01-04', NULL, -0.5, 'Red', E'AD\\n', true, 'y');
"""


def orders(**parts: Any) -> Any:
    return make_contract(**({"columns": COLUMNS} | parts))


def customers() -> Any:
    return make_contract(table="customers")


def find(result: GateResult, name: str, column: str | None, table: str = "orders") -> CheckOutcome:
    check = next(check for check in result.tables if check.table == table)
    (found,) = [one for one in check.checks if (one.name, one.column) == (name, column)]
    return found


def test_a_table_that_keeps_its_contract_passes_every_check(way: str, check: Check) -> None:
    result = check(TABLES + GOOD, orders(), customers())
    assert [str(one) for table in result.tables for one in table.checks if not one.passed] == []
    assert result.passed
    assert {name: state.state for name, state in result.states().items()} == {
        "orders": "passed",
        "customers": "passed",
    }


def test_each_broken_rule_names_the_rows_that_break_it(way: str, check: Check) -> None:
    result = check(TABLES + FAULTS, orders(), customers())
    (table,) = [table for table in result.tables if table.table == "orders"]
    found = {
        (one.name, one.column): ([row["id"] for row in one.failing_rows], one.failing_count)
        for one in table.checks
        if not one.passed
    }
    # Read off the rows above by hand.
    assert found == {
        ("key", None): ([2, 2], 2),
        ("not_null", "customer"): ([2], 1),
        ("references", "customer"): ([2], 1),
        ("range", "placed_on"): ([2], 1),
        ("not_null", "amount"): ([2, 4, 5], 3),
        ("range", "amount"): ([2], 1),
        ("finite", "share"): ([2, 4], 2),
        ("range", "share"): ([2, 4, 5], 3),
        ("values", "color"): ([2, 5], 2),
        ("unique", "code"): ([1, 2], 2),
        ("pattern", "code"): ([4, 5], 2),
        ("max_length", "code"): ([4], 1),
        ("not_null", "paid"): ([2], 1),
        ("not_null", "note"): ([2], 1),
    }
    assert find(result, "range", "amount").failing_rows == ({"id": 2, "amount": -1},)
    assert find(result, "values", "color").failing_rows[0] == {"id": 2, "color": "green"}
    assert not result.passed
    assert find(result, "column", "id", "customers").passed


def test_a_warning_is_reported_and_lets_the_candidate_pass(check: Check) -> None:
    columns = [{"name": "id", "type": "integer", "max": 1, "severity": "warning"}]
    result = check(
        "CREATE TABLE gold.orders AS SELECT unnest([1, 2]) :: BIGINT AS id",
        make_contract(columns=columns),
    )
    assert result.passed
    state = result.states()["orders"]
    assert (state.state, state.checked_at) == ("passed", NOW)
    assert state.failures == ("warning: id range: expected at most 1, found 1 of 2 rows otherwise",)


def test_at_most_twenty_failing_rows_are_named_and_all_are_counted(check: Check) -> None:
    result = check(
        "CREATE TABLE gold.orders AS SELECT range AS id FROM range(50)",
        make_contract(columns=[{"name": "id", "type": "integer", "max": 4}]),
    )
    outcome = find(result, "range", "id")
    assert outcome.failing_count == 45
    assert [row["id"] for row in outcome.failing_rows] == list(range(5, 25))


def test_missing_tables_and_columns_other_types_and_further_columns_fail(check: Check) -> None:
    columns = [
        {"name": "id", "type": "integer"},
        {"name": "amount", "type": "decimal(18, 2)", "min": 0},
        {"name": "paid", "type": "boolean"},
    ]
    result = check(
        "CREATE TABLE gold.orders (id INTEGER, amount DECIMAL(18,2), extra DATE);"
        "CREATE TABLE gold.nobodys (x BIGINT)",
        make_contract(columns=columns, rows={"min": 0}),
        make_contract(table="gone"),
    )
    assert not result.passed
    seen = {
        (table.table, one.name, one.column, one.observed)
        for table in result.tables
        for one in table.failures
    }
    assert seen == {
        ("orders", "column", "id", "INTEGER"),
        ("orders", "column", "paid", "no such column"),
        ("orders", "column", "extra", "DATE"),
        ("orders", "key", None, "not checked: id is INTEGER"),
        ("orders", "not_null", "id", "not checked: id is INTEGER"),
        ("orders", "not_null", "paid", "not checked: orders has no column paid"),
        ("gone", "table", None, "no such table"),
        ("nobodys", "contract", None, "no contract"),
    }


def test_a_reference_to_a_missing_table_fails(check: Check) -> None:
    contract = make_contract(columns=[{"name": "id", "type": "integer", "references": "gone.id"}])
    result = check("CREATE TABLE gold.orders AS SELECT 1 :: BIGINT AS id", contract)
    assert find(result, "references", "id").observed == "not checked: gone has no column id"
    assert not result.passed


def test_no_tables_at_all_do_not_pass(check: Check) -> None:
    assert not check("").passed


def test_row_counts_outside_their_range_fail(way: str, check: Check) -> None:
    sql = "CREATE TABLE gold.orders AS SELECT range AS id FROM range(3)"
    assert check(sql, make_contract(rows={"min": 3, "max": 3})).passed
    few = check(sql, make_contract(rows={"min": 4}))
    many = check(sql, make_contract(rows={"max": 2}))
    assert (few.passed, many.passed) == (False, False)
    assert find(few, "row_count", None).observed == "3 rows"


def test_days_with_too_few_or_too_many_rows_are_named_and_a_gap_is_a_day(check: Check) -> None:
    columns = [{"name": "id", "type": "integer"}, {"name": "day", "type": "date"}]
    result = check(
        "CREATE TABLE gold.orders AS SELECT * FROM (VALUES (1::BIGINT, DATE '2026-01-01'), "
        "(2, '2026-01-01'), (3, '2026-01-03'), (4, '2026-01-03'), (5, '2026-01-03')) AS t(id, day)",
        make_contract(columns=columns, rows={"per_day": {"column": "day", "min": 1, "max": 2}}),
    )
    outcome = find(result, "rows_per_day", "day")
    assert outcome.failing_rows == (
        {"day": "2026-01-02", "rows": 0},
        {"day": "2026-01-03", "rows": 3},
    )
    assert outcome.failing_count == 2
    assert not result.passed


@pytest.mark.parametrize(
    ("age", "passes"),
    [
        (timedelta(hours=26), True),
        (timedelta(hours=26, seconds=1), False),
        (timedelta(minutes=-4), True),
        (timedelta(minutes=-6), False),
        (None, False),
    ],
)
def test_the_load_time_must_be_known_young_and_not_in_the_future(
    age: timedelta | None, passes: bool, check: Check
) -> None:
    result = check(
        "CREATE TABLE gold.orders AS SELECT 1 :: BIGINT AS id",
        make_contract(freshness={"loaded_within": "26 hours", "severity": "error"}),
        loaded_at={} if age is None else {"orders": NOW - age},
    )
    assert find(result, "loaded_within", None).passed is passes
    assert result.passed is passes


@pytest.mark.parametrize(
    ("newest", "passes"),
    [
        ("TIMESTAMP '2026-11-22 12:00:00'", True),
        ("TIMESTAMP '2026-11-22 11:59:00'", False),
        ("NULL", False),
    ],
)
def test_the_newest_event_must_be_young_enough(newest: str, passes: bool, check: Check) -> None:
    columns = [
        {"name": "id", "type": "integer"},
        {"name": "at", "type": "timestamp", "nullable": True},
    ]
    promise = {"data_within": "1 day", "event_time": "at", "severity": "error"}
    result = check(
        f"CREATE TABLE gold.orders AS SELECT 1 :: BIGINT AS id, CAST({newest} AS TIMESTAMP) AS at",
        make_contract(columns=columns, freshness=promise),
    )
    assert find(result, "data_within", "at").passed is passes


def test_names_and_values_of_a_contract_reach_sql_as_names_and_values(
    way: str, check: Check
) -> None:
    columns = [
        {"name": "id", "type": "integer"},
        {"name": "select", "type": "text", "values": ["it's", 'say "hi"; DROP']},
    ]
    result = check(
        'CREATE TABLE gold."table" (id BIGINT, "select" VARCHAR);'
        """INSERT INTO gold."table" VALUES (1, 'it''s'), (2, 'say "hi"; DROP'), (3, 'no')""",
        make_contract(table="table", columns=columns),
    )
    outcome = find(result, "values", "select", "table")
    assert outcome.failing_rows == ({"id": 3, "select": "no"},)


def test_a_composite_key_is_unique_as_a_whole(way: str, check: Check) -> None:
    columns = [{"name": "id", "type": "integer"}, {"name": "line", "type": "integer"}]
    sql = "CREATE TABLE gold.orders AS SELECT * FROM (VALUES (1::BIGINT, 1::BIGINT), (1, 2){}) AS t(id, line)"
    contract = make_contract(columns=columns, key=["id", "line"])
    assert check(sql.format(""), contract).passed
    outcome = find(check(sql.format(", (1, 2)"), contract), "key", None)
    assert outcome.failing_rows == ({"id": 1, "line": 2}, {"id": 1, "line": 2})


def test_a_file_that_is_no_database_is_an_error_and_not_an_outcome(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.duckdb"
    with pytest.raises(CandidateError, match="does not exist"):
        check_candidate(wrong, (), now=NOW, loaded_at={}, docs=None)
    wrong.write_bytes(b"not a database" * 1000)
    with pytest.raises(CandidateError, match="cannot be read"):
        check_candidate(wrong, (), now=NOW, loaded_at={}, docs=None)
