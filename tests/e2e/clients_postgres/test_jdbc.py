"""PostgreSQL's JDBC driver: metadata, prepared statements in binary, pages of rows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.api.postgres.conftest import WireServer

JAR = Path("/usr/share/java/postgresql.jar")
ROOT = Path(__file__).parents[3]
SOURCE = Path(__file__).with_name("Jdbc.java")


@pytest.fixture(scope="module")
def lines(wire: WireServer) -> list[str]:
    """Run the Java program and return what it prints."""
    subprocess.run(
        [ROOT / "deploy" / "install-packages", "libpostgresql-jdbc-java", "default-jdk-headless"],
        check=True, timeout=300,
    )  # fmt: skip
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", JAR, SOURCE, str(wire.port)],
        env={**os.environ, "PGPASSWORD": wire.token},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_metadata_is_that_of_the_model(lines: list[str]) -> None:
    tables = [line for line in lines if line.startswith("table ")]
    assert sorted(tables) == [
        "table sales TABLE", "table shop_sales VIEW", "table shops TABLE", "table slow TABLE"
    ]  # fmt: skip
    assert "column sold_at timestamp" in lines
    assert "column amount numeric" in lines
    assert "type int8" in lines
    assert "unexpected" not in lines


def test_a_prepared_statement_gives_the_numbers_of_hand_written_sql(
    lines: list[str], wire: WireServer
) -> None:
    rows = wire.site.ask(
        "SELECT p.city, count(*), sum(amount) FROM gold.fct_sale s LEFT JOIN gold.dim_shop p "
        "USING (shop_id) WHERE sale_id > 10 AND sold_at > '2024-01-02' GROUP BY 1 ORDER BY 1"
    )
    told = [f"{city or 'null'} {count} {amount.normalize():f}" for city, count, amount in rows]
    found = [line.removeprefix("answer ") for line in lines if line.startswith("answer ")]
    assert found == [f"{turn} {row}" for turn in range(7) for row in told]


def test_pages_hold_every_row_and_errors_their_state(lines: list[str], wire: WireServer) -> None:
    ((total,),) = wire.site.ask("SELECT sum(sale_id) FROM gold.fct_sale")
    assert f"paged {total}" in lines
    assert "refused 42703" in lines
