"""`ducat query` answers in its own process, in a table for people and in JSON for scripts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from api.cli import run
from tests.unit.api.conftest import DUCAT, Server, Site

QUERY = (
    '{"measures": ["shop_sales.count"], "dimensions": ["shop_sales.shop_city"], '
    '"order": {"shop_sales.shop_city": "asc"}}'
)


def ask(site: Site, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DUCAT, "query", *arguments],
        env=site.environment(), input=text, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def expected(site: Site) -> dict[str | None, str]:
    return dict(
        site.ask(
            "SELECT city, CAST(count(*) AS VARCHAR) FROM gold.fct_sale "
            "JOIN gold.dim_shop USING (shop_id) GROUP BY 1"
        )
    )


def cells(line: str) -> tuple[str, str]:
    _, city, count, _ = line.split("│")
    return city.strip(), count.strip()


def test_the_table_shows_every_row_and_the_state(site: Site) -> None:
    shown = ask(site, QUERY)
    assert shown.returncode == 0, shown.stderr
    rows = dict(cells(line) for line in shown.stdout.splitlines() if line.startswith("│"))
    assert rows == {city or "": count for city, count in expected(site).items()}
    assert "3 rows, snapshot" in shown.stderr
    assert "quality passed" in shown.stderr


def test_json_is_what_load_answers(site: Site, server: Server) -> None:
    shown = json.loads(ask(site, "-", "--json", text=QUERY).stdout)
    served = server.load(json.loads(QUERY))
    assert shown["data"] == served["data"]
    assert {
        row["shop_sales.shop_city"]: row["shop_sales.count"] for row in shown["data"]
    } == expected(site)


@pytest.mark.parametrize("command", ["query", "explain"])
@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("nofile.json", "'nofile.json' is no query in JSON", "- < FILE"),
        ("[]", "the query is a list", "lists of queries are answered over REST"),
        ("7", "the query is no object", '"measures"'),
        ("", "the query is empty", '"measures"'),
        ('{"measures": [', "the query is not JSON", '"measures"'),
        ('{"limit": NaN}', "NaN is no number", '"measures"'),
        ('{"limit": 1, "limit": 2}', "the key 'limit' is there twice", '"measures"'),
    ],
)
def test_what_is_no_query_is_named_with_what_to_write(
    command: str, text: str, says: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, text]) == 1
    error, told = capsys.readouterr().err.splitlines()
    assert error.startswith("error[query_syntax]: ")
    assert says in error
    assert told.startswith(f"hint: write `ducat {command} ")
    assert hint in told


def test_commands_without_an_answer_say_what_they_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUCAT_HOME", str(tmp_path))
    assert run(["keys", "list"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"there are no keys in {tmp_path / 'api-keys.json'}" in shown.err
    assert run(["keys", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    out = tmp_path / "schema.json"
    assert run(["schema", "--out", str(out)]) == 0
    assert f"wrote the JSON Schema of the model's YAML to {out}" in capsys.readouterr().err
    assert json.loads(out.read_text())["$schema"]
    assert run(["schema", "--out", str(tmp_path / "none" / "schema.json")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_a_refused_query_prints_its_code(site: Site) -> None:
    failed = ask(site, '{"measures": ["shop_sales.cuont"]}')
    assert failed.returncode == 1
    assert failed.stderr.startswith("error[unknown_member]")
    assert "hint: did you mean shop_sales.count?" in failed.stderr
