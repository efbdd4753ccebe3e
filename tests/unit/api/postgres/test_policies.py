"""Access policies on the wire: what a caller may not see is not there, in tables, rows or errors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jwt
import psycopg
import pytest
from psycopg import errors

from tests.unit.api.conftest import SECRET, make_site, publish
from tests.unit.api.postgres.conftest import WireServer, run_wire
from tests.unit.api.test_policies import MODEL

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireServer]:
    site = make_site(tmp_path_factory.mktemp("guarded"))
    (site.project / "semantic" / "model" / "guarded.yml").write_text(MODEL)
    publish(site)
    with run_wire(
        site, tmp_path_factory.mktemp("guarded_wire"), DUCAT_SQL_GROUPS="auditors"
    ) as running:
        yield running


def connect(wire: WireServer, *groups: str, **claims: Any) -> Connection:
    """Log in as somebody of these groups."""
    told = {"sub": "ann", "groups": list(groups), "exp": int(time.time()) + 600, **claims}
    return wire.connect(password=jwt.encode(told, SECRET, "HS256"), autocommit=True)


def columns(db: Connection) -> set[str]:
    """Return the columns of `guarded` by both catalogs, which must agree."""
    listed = {
        row[0]
        for row in db.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'guarded'"
        )
    }
    attributes = {
        row[0]
        for row in db.execute(
            "SELECT attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "WHERE relname = 'guarded' AND attnum > 0"
        )
    }
    assert listed == attributes
    return listed


def test_explain_shows_the_sql_of_a_policy_to_those_who_may_see_sql(guarded: WireServer) -> None:
    text = "EXPLAIN SELECT MEASURE(count) FROM guarded"
    told = []
    for groups in (("readers",), ("readers", "auditors")):
        with connect(guarded, *groups) as db:
            told.append("\n".join(row[0] for row in db.execute(text)))
    assert all("measures: guarded.count" in lines for lines in told)
    assert "gold." not in told[0]
    assert "shop" not in told[0]
    assert "Values: " not in told[0]
    assert "gold.fct_sale" in told[1]


def test_a_reader_sees_its_members_and_rows_only(guarded: WireServer) -> None:
    by_hand = guarded.site.ask("SELECT count(*) FROM gold.fct_sale WHERE shop_id = 1")
    with connect(guarded, "readers") as db:
        assert columns(db) == {"count", "shop"}
        for text in (
            "SELECT MEASURE(count) FROM guarded",
            "SELECT SUM(n) FROM (SELECT shop, MEASURE(count) AS n FROM guarded GROUP BY 1) t",
            "SELECT COUNT(*) FROM (SELECT shop FROM guarded) t",
            "SELECT count(*) FROM (SELECT shop, shop + 1 FROM guarded) t",
        ):
            assert db.execute(text.encode()).fetchall() == by_hand, text
        assert db.execute("SELECT DISTINCT shop FROM guarded").fetchall() == [(1,)]


def test_hidden_and_absent_are_refused_in_the_same_words(guarded: WireServer) -> None:
    with connect(guarded, "readers") as db:
        told = []
        for name in ("weight", "nought"):
            with pytest.raises(errors.UndefinedColumn) as refused:
                db.execute(f"SELECT {name} FROM guarded".encode())
            told.append(str(refused.value).replace(name, "NAME"))
        assert told[0].splitlines()[0] == told[1].splitlines()[0]
        for text in (
            "SELECT shop FROM guarded ORDER BY weight",
            "SELECT MEASURE(count) FROM guarded WHERE weight > 3",
            "SELECT shop, MEASURE(count) FROM guarded GROUP BY 1 HAVING MEASURE(heaviest) > 3",
            "SELECT a.shop FROM guarded a JOIN guarded b ON a.weight = b.weight",
        ):
            with pytest.raises(psycopg.Error) as hidden:
                db.execute(text.encode())
            assert hidden.value.sqlstate == "42703", text


def test_one_callers_plan_gives_another_its_own_rows(guarded: WireServer) -> None:
    text = b"SELECT MEASURE(count) FROM guarded"
    with (
        connect(guarded, "tellers", shops=["1"]) as one,
        connect(guarded, "tellers", shops=["2", "3"]) as two,
    ):
        for _ in range(3):
            assert one.execute(text).fetchone() == (134,)
            assert two.execute(text).fetchone() == (266,)
    with connect(guarded) as nobody:
        with pytest.raises(psycopg.Error):
            nobody.execute(text)
        assert columns(nobody) == set()
    with connect(guarded, "bosses", is_boss=True) as boss:
        assert boss.execute(text).fetchone() == (400,)
        assert "weight" in columns(boss)
