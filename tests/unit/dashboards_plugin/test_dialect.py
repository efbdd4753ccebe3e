"""SQLAlchemy 1.4 with our dialect, in Superset's environment, against a real server."""

from __future__ import annotations

import json
from datetime import timedelta

from api.auth import make_token
from tests.unit.api.conftest import SECRET, Server
from tests.unit.dashboards_plugin.conftest import Snippet

ENGINE = """
from sqlalchemy import create_engine, inspect, select, table, column, text, func, literal_column
engine = create_engine(f"ducat+http://superset:{TOKEN}@{ADDRESS}/")
"""


def test_views_are_tables_and_dimensions_are_their_only_columns(run_snippet: Snippet) -> None:
    found = run_snippet(
        ENGINE
        + """
found = inspect(engine)
show({
    "schemas": found.get_schema_names(), "tables": found.get_table_names("public"),
    "views": found.get_view_names("public"), "exists": found.has_table("shop_sales"),
    "missing": found.has_table("secrets"), "keys": found.get_pk_constraint("shop_sales"),
    "columns": {c["name"]: [str(c["type"]), c["comment"]]
                for c in found.get_columns("shop_sales", "public")},
})"""
    )
    columns = found.pop("columns")
    assert found == {
        "schemas": ["public"],
        "tables": [],
        "views": ["shop_sales"],
        "exists": True,
        "missing": False,
        "keys": {"constrained_columns": [], "name": None},
    }
    assert list(columns) == ["sale_id", "sold_at", "is_online", "weight", "shop_city"]
    assert columns["sold_at"][0].startswith("TIMESTAMP")
    assert columns["is_online"][0] == "BOOLEAN"
    assert columns["shop_city"] == ["VARCHAR", "Where it is."]


def test_values_have_the_types_that_the_server_declares(
    run_snippet: Snippet, plugin_server: Server
) -> None:
    shown = run_snippet(
        ENGINE
        + """
sales = table("shop_sales", column("sold_at"), column("shop_city"), schema="public")
month = func.date_trunc("month", sales.c.sold_at)
asked = (select([month.label("sold_at"), literal_column("MEASURE(count)").label("count"),
                 literal_column("MEASURE(amount)").label("amount"),
                 literal_column("MEASURE(average_weight)").label("average_weight")])
         .where(sales.c.shop_city == 'Lyon "Nord"').group_by(month).order_by(month).limit(2))
sql = str(asked.compile(engine, compile_kwargs={"literal_binds": True}))
with engine.connect() as connection:
    rows = connection.execute(text(sql.replace("date_trunc('month'", "DATE_TRUNC('MONTH'"))).fetchall()
show([list(row) for row in rows])"""
    )
    expected = plugin_server.site.ask(
        "SELECT date_trunc('month', sold_at), count(*), sum(amount), avg(weight) "
        "FROM gold.fct_sale WHERE shop_id = 2 GROUP BY 1 ORDER BY 1 LIMIT 2"
    )
    assert [row[0] for row in shown] == [["datetime", str(row[0])] for row in expected]
    assert [row[1] for row in shown] == [row[1] for row in expected]
    assert [row[2] for row in shown] == [["Decimal", str(row[2])] for row in expected]
    assert [row[3] for row in shown] == [row[3] for row in expected]


def test_percent_signs_reach_the_server_as_they_were_written(run_snippet: Snippet) -> None:
    """SQLAlchemy doubles them, Superset undoes that and sends the text without parameters."""
    shown = run_snippet(
        ENGINE
        + """
sql = "SELECT MEASURE(count) AS n FROM shop_sales WHERE shop_city ILIKE '%on%'"
odd = "SELECT MEASURE(count) AS n FROM shop_sales WHERE shop_city = '100%%'"
sent = []
from ducat_superset import dbapi
send = dbapi.Connection.request
def spy(self, method, path, document=None):
    sent.append(document["sql"])
    return send(self, method, path, document)
dbapi.Connection.request = spy
with engine.connect() as connection:
    connection.execute(text(sql)).scalar()
raw = engine.raw_connection()
cursor = raw.cursor()
cursor.execute(sql)
cursor.execute(odd)
show({"sent": sent, "wanted": [sql, sql, odd]})"""
    )
    assert shown["sent"] == shown["wanted"]


def test_bound_values_are_written_as_literals_that_mean_the_same(
    run_snippet: Snippet, plugin_server: Server
) -> None:
    shown = run_snippet(
        ENGINE
        + """
asked = text('''SELECT MEASURE(count) AS n FROM shop_sales
    WHERE shop_city <> :city AND sold_at >= :start AND is_online = :online AND weight < :weight''')
with engine.connect() as connection:
    show(connection.execute(asked, city="it's \\\\ 5%", start=datetime.datetime(2024, 1, 9, 1, 30),
                            online=True, weight=decimal.Decimal("99.5")).scalar())"""
    )
    expected = plugin_server.site.ask(
        "SELECT count(*) FROM gold.fct_sale s JOIN gold.dim_shop USING (shop_id) "
        "WHERE city IS NOT NULL AND sold_at >= TIMESTAMP '2024-01-09 01:30:00' "
        "AND is_online AND weight < 99.5"
    )
    assert shown == expected[0][0] > 0


def test_a_refusal_is_shown_in_the_servers_own_words(run_snippet: Snippet) -> None:
    shown = run_snippet(
        ENGINE
        + """
from sqlalchemy.exc import DatabaseError
said = []
for sql in ("SELECT SUM(weight) FROM shop_sales", "SELECT nothing FROM shop_sales GROUP BY 1",
            "DROP TABLE shop_sales"):
    try:
        engine.connect().execute(text(sql))
    except DatabaseError as refused:
        said.append(str(refused.orig))
show(said)"""
    )
    assert len(shown) == 3
    assert "SUM(weight)" in shown[0]
    assert "MEASURE(average_weight)" in shown[0]
    assert "nothing" in shown[1]
    assert "only a SELECT" in shown[2]


def test_a_wrong_or_expired_token_is_an_error_of_the_connection_test(run_snippet: Snippet) -> None:
    snippet = """
from sqlalchemy import create_engine
raw = None
try:
    engine = create_engine(f"ducat+http://ann:{TOKEN}@{ADDRESS}/")
    raw = engine.raw_connection()
    show(["pinged", engine.dialect.do_ping(raw)])
except Exception as refused:
    show([type(refused).__name__, str(refused)])"""
    assert run_snippet(snippet, token=make_token(SECRET, user="superset")) == ["pinged", True]
    old = make_token(SECRET, user="superset", expires_in=timedelta(days=-1))
    for token in (old, "wrong"):
        kind, message = run_snippet(snippet, token=token)
        assert kind == "DatabaseError"
        assert "Invalid token" in message


def test_the_user_of_the_address_is_who_asks(run_snippet: Snippet, plugin_server: Server) -> None:
    """Only the service's token may name another user; a person's own token may not."""
    snippet = """
from ducat_superset import dbapi
host, port = ADDRESS.split(":")
def ask(user):
    try:
        cursor = dbapi.connect(host=host, port=int(port), token=TOKEN, user=user).cursor()
        return cursor.execute("SELECT MEASURE(count) FROM shop_sales").fetchall()
    except dbapi.Error as refused:
        return [type(refused).__name__, str(refused)]
show([ask("José Pérez"), ask("Łukasz"), ask("eve\\r\\nAuthorization: x")])"""
    shown = run_snippet(snippet)
    assert shown[0] == [[400]]
    assert [kind for kind, _ in shown[1:]] == ["InterfaceError", "InterfaceError"]
    log = (plugin_server.site.home / "query-log.ndjson").read_text("utf-8")
    last = json.loads(log.splitlines()[-1])
    assert (last["user"], last["face"]) == ("José Pérez", "sql")
    kind, message = run_snippet(snippet, token=make_token(SECRET, user="ann"))[0]
    assert kind == "DatabaseError"
    assert "may not speak for another user" in message
