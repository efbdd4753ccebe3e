"""Metrics in a notebook: the same numbers as Arrow, pandas, polars and Ibis, exact and whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import semantic
from semantic.errors import DucatError, SettingsError
from semantic.notebook import Metrics
from tests.unit.api.conftest import Site, make_site, publish


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = make_site(tmp_path_factory.mktemp("notebook"))
    publish(made)
    return made


@pytest.fixture
def ducat(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metrics]:
    monkeypatch.setenv("DUCAT_HOME", str(site.home))
    with semantic.connect(site.project) as opened:
        yield opened


def test_rows_are_those_of_hand_written_sql_in_every_form(site: Site, ducat: Metrics) -> None:
    answer = ducat.query(
        measures=["sales.count", "sales.amount"],
        dimensions=["shops.city"],
        order={"shops.city": "asc"},
    )
    expected = site.ask(
        "SELECT city, count(*), sum(amount) FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) "
        "GROUP BY 1 ORDER BY 1 NULLS LAST"
    )
    rows = [tuple(row.values()) for row in answer.to_arrow().to_pylist()]
    assert rows == expected
    assert isinstance(rows[0][2], Decimal)
    assert [tuple(row) for row in answer.to_polars().rows()] == expected
    frame = answer.to_pandas()
    assert list(frame.columns) == ["shops.city", "sales.count", "sales.amount"]
    assert [int(value) for value in frame["sales.count"]] == [row[1] for row in expected]
    assert list(frame["sales.amount"]) == [row[2] for row in expected]


def test_a_metric_composes_with_any_further_ibis_expression(site: Site, ducat: Metrics) -> None:
    table = ducat.query(
        measures=["sales.amount"],
        time_dimensions=[{"dimension": "sales.sold_at", "granularity": "month"}],
    ).to_ibis()
    best = table.order_by(table["sales.amount"].desc()).limit(1)
    joined = best.mutate(half=best["sales.amount"] / 2).to_pyarrow().to_pylist()
    [(month, amount)] = site.ask(
        "SELECT date_trunc('month', sold_at), sum(amount) FROM gold.fct_sale "
        "GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
    )
    [row] = joined
    assert row["sales.sold_at.month"].isoformat()[:10] == month.isoformat()[:10]
    assert row["sales.amount"] == amount
    assert float(row["half"]) == pytest.approx(float(amount) / 2)


def test_an_answer_is_whole_unless_a_limit_was_asked(ducat: Metrics) -> None:
    asked = {"dimensions": ["sales.sale_id"], "order": {"sales.sale_id": "asc"}}
    assert ducat.query(asked).to_arrow().num_rows == 400
    assert ducat.query(asked, limit=7).to_arrow().num_rows == 7
    sql, _ = ducat.query(asked).sql()
    assert "LIMIT" not in sql
    assert "plan" in ducat.query(asked).explain()
    assert ducat.query(asked).state.quality.state == "passed"


def test_what_is_no_query_is_refused_with_its_code(ducat: Metrics) -> None:
    with pytest.raises(DucatError) as refused:
        ducat.query(measures=["sales.cuont"]).to_arrow()
    assert refused.value.code == "unknown_member"
    with pytest.raises(DucatError) as refused:
        ducat.query(measure="sales.count")
    assert refused.value.code == "query_syntax"


def test_an_engine_that_is_not_proven_is_refused_without_its_password(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCAT_HOME", str(site.home))
    monkeypatch.setenv("DUCAT_ENGINE_URL", "oracle://me:hunter2@host/x")
    with pytest.raises(SettingsError, match="no engine for oracle") as refused:
        semantic.connect(site.project)
    assert "hunter2" not in str(refused.value)
    assert "PostgreSQL" in (refused.value.suggestion or "")


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = (
        "import sys, semantic; "
        "print(sorted({'ibis', 'pandas', 'polars', 'duckdb', 'sqlglot'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
