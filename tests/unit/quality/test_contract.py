"""Contract files: strict, with every problem and its place."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from quality.contract import load_contracts
from quality.errors import ContractError
from quality.promise import Reference, contract_schema

SHIPPED = Path(__file__).parents[3] / "quality" / "contracts"

GOOD = """
table: orders
title: Orders
owner: sales
description: One row per order.
key: [id]
freshness: {loaded_within: 26 hours}
rows: {min: 2, per_day: {column: day, max: 9}}
columns:
  - {name: id, type: integer, min: 1}
  - {name: day, type: date, min: 2026-01-01, nullable: true, max_null_rate: 0.5}
  - {name: customer, type: integer, references: customers.id, severity: warning}
"""
CUSTOMERS = """
table: customers
title: Customers
owner: sales
description: One row per customer.
key: [id]
columns:
  - {name: id, type: integer}
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text)
    return folder


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(ContractError) as caught:
        load_contracts(folder)
    assert caught.value.code == "invalid_contract"
    return [str(problem) for problem in caught.value.problems]


def test_a_contract_is_read_with_its_types(tmp_path: Path) -> None:
    customers, orders = load_contracts(write(tmp_path, orders=GOOD, customers=CUSTOMERS))
    assert customers.table == "customers"
    assert orders.freshness is not None
    assert orders.freshness.loaded_within == timedelta(hours=26)
    assert orders.rows.per_day is not None
    assert (orders.rows.per_day.column, orders.rows.per_day.max) == ("day", 9)
    day, customer = orders.columns[1:]
    assert (day.min, day.max_null_rate, day.database_type) == (date(2026, 1, 1), 0.5, "DATE")
    assert (customer.references, customer.severity) == (Reference("customers", "id"), "warning")
    assert (orders.columns[0].nullable, orders.severity) == (False, "error")


def test_all_problems_of_all_files_are_listed_at_once_with_their_places(tmp_path: Path) -> None:
    wrong = GOOD.replace("owner: sales\n", "").replace("nullable: true", "nulable: true")
    typos = CUSTOMERS.replace("type: integer", "type: number").replace("title:", "titl:")
    folder = write(tmp_path, orders=wrong, customers=typos)
    name = folder.name
    types = "a type is one of text, integer, double, boolean, date, timestamp, decimal(p, s)"
    assert problems_of(folder) == [
        f"{name}/customers.yml:2:1: missing_key: title is missing",
        f"{name}/customers.yml:3:1: unknown_key: unknown key titl (did you mean title?)",
        f"{name}/customers.yml:8:16: invalid_value: columns.1.type: {types}",
        f"{name}/orders.yml:2:1: missing_key: owner is missing",
        f"{name}/orders.yml:10:46: unknown_key: unknown key nulable (did you mean nullable?)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "key: [id]",
            "key: [idd]",
            "orders.yml:6:7: unknown_column: no column idd (did you mean id?)",
        ),
        ("key: [id]", "key: [day]", "day is part of the key and cannot be nullable"),
        ("26 hours", "26h", "freshness.loaded_within: write a duration as `26 hours`"),
        (
            "customers.id",
            "customers.idd",
            "unknown_reference: no column customers.idd (did you mean",
        ),
        ("customers.id", "customer", "write a reference as `table.column`"),
        (
            "name: customer, type: integer",
            "name: customer, type: text",
            "customer is text, customers.id",
        ),
        ("column: day", "column: id", "id is integer, not date"),
        ("integer, min: 1", "integer, min: 1.5", "id: 1.5 is no bound for integer"),
        ("integer, min: 1", "integer, min: 3, max: 2", "id: max is less than min"),
        ("integer, min: 1", "integer, pattern: a", "id: pattern is for text, not for integer"),
        ("integer, min: 1", "integer, values: [a]", "id: 'a' is no value of integer"),
        ("integer, min: 1", "integer, max_null_rate: 0.1", "max_null_rate needs `nullable: true`"),
        (
            "id, type: integer, min: 1",
            "id, type: text, pattern: '('",
            "id: not a regular expression",
        ),
        ("min: 2, per", "min: 2, max: 1, per", "invalid_value: max is less than min"),
        ("- {name: id,", "- {name: day,", "duplicate_column: column day is described twice"),
        (
            "26 hours}",
            "26 hours, data_within: 1 day}",
            "data_within and event_time belong together",
        ),
        ("owner: sales", "owner: sales\nowner: x", "contract_syntax: found duplicate key"),
        ("owner: sales", "owner: [", "contract_syntax"),
        (
            "owner: sales",
            "owner: &a sales\ndescription2: *a",
            "contract_syntax: aliases are not read",
        ),
        ("owner: sales", "owner: " + "[" * 30 + "]" * 30, "contract_syntax: nested too deeply"),
    ],
)
def test_what_cannot_be_meant_is_a_problem(
    old: str, new: str, problem: str, tmp_path: Path
) -> None:
    assert old in GOOD
    found = problems_of(write(tmp_path, orders=GOOD.replace(old, new, 1), customers=CUSTOMERS))
    assert any(problem in one for one in found), found


def test_two_contracts_of_one_table_are_a_problem(tmp_path: Path) -> None:
    (found,) = problems_of(write(tmp_path, a=CUSTOMERS, b=CUSTOMERS))
    assert found == f"{tmp_path.name}/b.yml:2:1: duplicate_table: customers has two contracts"


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    (found,) = problems_of(tmp_path)
    assert found.startswith("no_contracts")


def test_a_file_that_is_no_text_or_no_mapping_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.yml").write_text("- 1\n")
    assert [one.split(": ")[0:2] for one in problems_of(tmp_path)] == [
        ["contract_syntax", f"{tmp_path.name}/a.yml cannot be read"],
        [f"{tmp_path.name}/b.yml:1:1", "contract_syntax"],
    ]


def test_the_json_schema_accepts_the_shipped_contracts_and_refuses_unknown_keys() -> None:
    schema = contract_schema()
    for path in SHIPPED.glob("*.yml"):
        # As an editor sees them: YAML's dates are texts there.
        document = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
        jsonschema.validate(document, schema)
    orders = {"table": "a", "title": "A", "owner": "o", "description": "d", "key": ["id"]}
    column = {"name": "id", "type": "integer"}
    jsonschema.validate(orders | {"columns": [column]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(orders | {"columns": [column | {"nulable": True}]}, schema)
