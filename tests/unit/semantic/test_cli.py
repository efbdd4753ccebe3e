"""`ducat validate` on a good and on a broken project."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from semantic.cli import explain, schema, validate
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


@pytest.fixture
def two_ways(tmp_path: Path) -> Path:
    folder = tmp_path / "semantic" / "model"
    folder.mkdir(parents=True)
    key = "dimensions: [{name: id, type: number, sql: id, primary_key: true}]"
    join = '{name: %s, relationship: many_to_one, sql: "{CUBE}.x = {%s}.x"}'
    (folder / "shop.yml").write_text(
        "cubes:\n"
        f"  - {{name: a, sql_table: a, joins: [{join % ('b', 'b')}, {join % ('c', 'c')}], {key}}}\n"
        f"  - {{name: b, sql_table: b, joins: [{join % ('c', 'c')}], {key}}}\n"
        f"  - {{name: c, sql_table: c, {key}}}\n"
    )
    return tmp_path


def test_a_longer_way_to_join_is_a_warning_that_leaves_the_model_valid(two_ways: Path) -> None:
    outcome = CliRunner().invoke(validate, obj=two_ways)
    assert outcome.exit_code == 0
    warning, hint = outcome.stderr.splitlines()
    assert warning.startswith("semantic/model/shop.yml:3:")
    assert "warning: join_alternatives: a joins c as a.c, though a.b.c leads there too" in warning
    assert hint.startswith("  hint: ")
    outcome = CliRunner().invoke(validate, ["--json"], obj=two_ways)
    assert [item["code"] for item in orjson.loads(outcome.stdout)["warnings"]] == [
        "join_alternatives"
    ]


def test_strict_joins_make_it_an_error(two_ways: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUCAT_STRICT_JOINS", "true")
    outcome = CliRunner().invoke(validate, obj=two_ways)
    assert outcome.exit_code == 1
    assert "join_alternatives" in outcome.stderr


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = CliRunner().invoke(schema, [])
    assert printed.exit_code == 0
    assert orjson.loads(printed.stdout)["$schema"].endswith("2020-12/schema")
    file = tmp_path / "model.schema.json"
    written = CliRunner().invoke(schema, ["--out", str(file)])
    assert (written.exit_code, written.stdout) == (0, "")
    assert file.read_text() == printed.stdout
