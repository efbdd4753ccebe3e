"""The command line: light, complete, and clear when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import jwt
import pytest

from api.cli import COMMANDS, ducat, run
from semantic.settings import Settings

DUCAT = Path(sys.executable).parent / "ducat"
HEAVY = (
    "fastapi", "pyarrow", "duckdb", "graphql", "prefect", "great_expectations", "structlog",
    "pydantic", "sqlglot", "rich", "uvicorn", "jwt",
)  # fmt: skip
SECRET = "0123456789abcdef0123456789abcdef"


def call(
    *arguments: str, environment: Mapping[str, str] | None = None, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DUCAT_")}
    return subprocess.run(
        [DUCAT, *arguments],
        env={**clean, **(environment or {})},
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command() -> None:
    shown = call("--help")
    assert shown.returncode == 0
    for name, (_, text) in COMMANDS.items():
        assert name in shown.stdout
        assert text in shown.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from api.cli import run; run(['--help']); "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ducat.get_command(click.Context(ducat), name)
    assert isinstance(command, click.Command)
    assert run([name, "--help"]) == 0
    assert f"ducat {name}" in capsys.readouterr().out


def test_wrong_usage_exits_2() -> None:
    assert run(["no-such-command"]) == 2
    assert run(["token"]) == 2
    assert run(["token", "me", "--expires", "soon"]) == 2 or "DUCAT_JWT_SECRET" not in os.environ
    assert run(["--project", "/no/such/folder", "settings"]) == 2


def test_an_error_is_printed_with_its_code_and_a_hint() -> None:
    failed = call("token", "ann")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error[invalid_setting]: DUCAT_JWT_SECRET is not set")
    assert "\nhint: " in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_misspelt_setting_is_refused() -> None:
    failed = call("token", "ann", environment={"DUCAT_JWT_SECRTE": SECRET})
    assert failed.returncode == 1
    assert "unknown setting DUCAT_JWT_SECRTE" in failed.stderr
    assert "did you mean DUCAT_JWT_SECRET?" in failed.stderr


def test_a_defect_is_short_and_its_traceback_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUCAT_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(COMMANDS, "serve", ("api.no_such_module:serve", "x"))
    assert run(["serve"]) == 70
    printed = capsys.readouterr().err
    assert printed.startswith("error[internal_error]: ModuleNotFoundError")
    assert "Traceback" not in printed
    assert "Traceback" in (tmp_path / "home" / "crash.log").read_text()
    assert run(["--traceback", "serve"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_token_makes_what_the_server_accepts() -> None:
    made = call(
        "token", "ann", "--group", "analysts", "--group", "managers", "--expires", "8h",
        environment={"DUCAT_JWT_SECRET": SECRET, "DUCAT_JWT_ISSUER": "here"},
    )  # fmt: skip
    claims = jwt.decode(made.stdout.strip(), SECRET, algorithms=["HS256"], issuer="here")
    assert (claims["sub"], claims["groups"]) == ("ann", ["analysts", "managers"])
    assert claims["exp"] - claims["iat"] == 8 * 3600


def test_settings_lists_every_variable() -> None:
    listed = json.loads(call("settings", "--json").stdout)
    assert {item["name"] for item in listed} == set(Settings.model_fields)
    assert {item["name"]: item["default"] for item in listed}["port"] == "4000"
    text = call("settings").stdout
    assert all(item["variable"] in text and item["description"] in text for item in listed)


def test_a_query_that_is_not_json_is_refused(tmp_path: Path) -> None:
    failed = call("--project", str(tmp_path), "query", "{measures}")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error[query_syntax]")


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    failed = call("--project", str(tmp_path), "serve", environment={"DUCAT_JWT_SECRET": SECRET})
    assert failed.returncode == 1
    assert failed.stderr.startswith("error[invalid_project]")


def test_production_refuses_to_start_without_a_secret(tmp_path: Path) -> None:
    (tmp_path / "semantic" / "model").mkdir(parents=True)
    failed = call(
        "--project", str(tmp_path), "serve", "--port", "0",
        environment={"DUCAT_ENVIRONMENT": "production"},
    )  # fmt: skip
    assert failed.returncode == 1
    assert "DUCAT_ENVIRONMENT is production" in failed.stderr
