"""psql: its backslash commands, its output, its COPY."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.unit.api.postgres.conftest import WireServer


def psql(wire: WireServer, *commands: str, check: bool = True) -> str:
    """Run commands and return what psql prints."""
    arguments = [item for command in commands for item in ("-c", command)]
    done = subprocess.run(
        ["psql", f"host=127.0.0.1 port={wire.port} user=ann dbname=ducat", "-AtX", *arguments],
        env={**os.environ, "PGPASSWORD": wire.token},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if check:
        assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_queries_print_as_postgresql_prints_them(wire: WireServer) -> None:
    found = psql(
        wire, "SELECT shop_city, MEASURE(count), SUM(amount) FROM shop_sales GROUP BY 1 ORDER BY 1"
    )
    rows = wire.site.ask(
        "SELECT coalesce(p.city, ''), count(*), sum(amount) FROM gold.fct_sale s "
        "LEFT JOIN gold.dim_shop p USING (shop_id) GROUP BY p.city ORDER BY p.city"
    )
    assert found.splitlines() == ["|".join(map(str, row)) for row in rows]


def test_tables_and_views_are_listed(wire: WireServer) -> None:
    assert psql(wire, r"\dt").splitlines() == [
        f"public|{name}|table|ducat" for name in ("sales", "shops", "slow")
    ]
    assert psql(wire, r"\dv").splitlines() == ["public|shop_sales|view|ducat"]
    assert "secrets" not in psql(wire, r"\d") + psql(wire, r"\d *")


def test_a_table_is_described(wire: WireServer) -> None:
    lines = psql(wire, r"\d sales").splitlines()
    assert "sold_at|timestamp without time zone|||" in lines
    assert "amount|numeric|||" in lines
    assert "Where it is." in psql(wire, r"\d+ shop_sales")
    assert "Did not find any relation" in psql(wire, r"\d secrets", check=False)


@pytest.mark.parametrize(
    "command",
    [r"\l", r"\dn", r"\dn+", r"\du", r"\df", r"\di", r"\ds", r"\dp", r"\dT", r"\dx", r"\dt+",
     r"\d+", r"\dS", r"\db", r"\dC", r"\dd", r"\dE", r"\dm", r"\do", r"\dy", r"\dew",
     r"\des", r"\dRp", r"\dF", r"\dL", r"\dO", r"\dl", r"\drds", r"\conninfo"],
)  # fmt: skip
def test_every_backslash_command_is_answered(wire: WireServer, command: str) -> None:
    assert "ERROR" not in psql(wire, command)


def test_copy_writes_csv(wire: WireServer) -> None:
    found = psql(
        wire,
        r"\copy (SELECT * FROM shops WHERE city = 'Paris') TO STDOUT WITH (FORMAT csv, HEADER)",
    )
    assert found == "city,count\nParis,1\n"


def test_an_error_has_its_state_hint_and_place(wire: WireServer) -> None:
    found = psql(
        wire, r"\set VERBOSITY verbose", "SELECT amount FROM sales GROUP BY 1", check=False
    )
    assert "ERROR:  42000: amount is a measure" in found
    assert "HINT:  write MEASURE(amount)" in found
    assert "LINE 1: SELECT a b c" in psql(wire, "SELECT a b c FROM sales", check=False)
