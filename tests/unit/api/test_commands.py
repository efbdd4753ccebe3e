"""`ducat query` answers in its own process, in a table for people and in JSON for scripts."""

from __future__ import annotations

import json
import subprocess

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


def test_a_refused_query_prints_its_code(site: Site) -> None:
    failed = ask(site, '{"measures": ["shop_sales.cuont"]}')
    assert failed.returncode == 1
    assert failed.stderr.startswith("error[unknown_member]")
    assert "hint: did you mean shop_sales.count?" in failed.stderr
