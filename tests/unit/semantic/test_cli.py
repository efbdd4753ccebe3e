"""`ducat validate` on a good and on a broken project."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from semantic.cli import explain, validate
from semantic.errors import ProjectError, QuerySyntaxError, UnknownMemberError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    folder = tmp_path / "semantic" / "model" / "cubes"
    folder.mkdir(parents=True)
    (folder / "orders.yml").write_text(
        "cubes:\n"
        "  - name: orders\n"
        "    sql_table: orders\n"
        "    measurs:\n"
        "      - {name: count, type: count}\n"
        "    dimensions:\n"
        '      - {name: id, type: number, sql: "{CUBE.key}"}\n'
    )
    return tmp_path


def test_a_valid_model_is_counted() -> None:
    outcome = CliRunner().invoke(validate, obj=ROOT)
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("the model is valid: 8 cubes, 2 views, ")


def test_a_valid_model_is_counted_as_json() -> None:
    outcome = CliRunner().invoke(validate, ["--json"], obj=ROOT)
    found = orjson.loads(outcome.stdout)
    assert found["valid"] is True
    assert (found["cubes"], found["views"]) == (8, 2)


def test_each_problem_is_printed_with_its_place_and_a_hint(broken: Path) -> None:
    outcome = CliRunner().invoke(validate, obj=broken)
    assert outcome.exit_code == 1
    assert outcome.stdout == ""
    assert outcome.stderr.splitlines() == [
        "semantic/model/cubes/orders.yml:4:5: unknown_key: cube `orders` has no key `measurs`",
        "  hint: did you mean measures?",
        "semantic/model/cubes/orders.yml:7:40: unknown_reference: orders has no member `key`",
        "2 problems",
    ]


def test_each_problem_is_an_object_in_json(broken: Path) -> None:
    outcome = CliRunner().invoke(validate, ["--json"], obj=broken)
    assert outcome.exit_code == 1
    found = orjson.loads(outcome.stdout)
    assert found["valid"] is False
    assert found["problems"][0] == {
        "code": "unknown_key",
        "message": "cube `orders` has no key `measurs`",
        "suggestion": "did you mean measures?",
        "file": "semantic/model/cubes/orders.yml",
        "line": 4,
        "column": 5,
    }


def test_a_folder_without_a_model_is_no_project(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(validate, obj=tmp_path)
    assert isinstance(outcome.exception, ProjectError)


QUERY = '{"measures": ["flight_operations.on_time_rate"], "dimensions": ["flight_operations.airline_name"]}'


def test_a_query_is_explained_with_its_joins_and_sql_without_any_data() -> None:
    outcome = CliRunner().invoke(explain, [QUERY], obj=ROOT)
    assert outcome.exit_code == 0, outcome.exception
    assert "join flights -> airlines (many_to_one)" in outcome.stdout
    assert "LEFT JOIN gold.dim_airline" in outcome.stdout
    [reads] = [line for line in outcome.stdout.splitlines() if line.startswith("reads: ")]
    assert set(reads.removeprefix("reads: ").split(", ")) == {
        "gold.dim_airline",
        "gold.fct_flights",
    }


def test_a_query_from_standard_input_is_explained_as_json() -> None:
    outcome = CliRunner().invoke(explain, ["-", "--json"], input=QUERY, obj=ROOT)
    found = orjson.loads(outcome.stdout)
    assert found["root"] == "flights"
    assert [join["to"] for join in found["joins"]] == ["airlines"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("{", QuerySyntaxError),
        ("[1]", QuerySyntaxError),
        ('{"measures": ["flights.cuont"]}', UnknownMemberError),
    ],
)
def test_what_is_no_query_is_refused(query: str, error: type[Exception]) -> None:
    outcome = CliRunner().invoke(explain, [query], obj=ROOT)
    assert isinstance(outcome.exception, error)
