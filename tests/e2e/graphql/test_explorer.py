"""GraphiQL in a real Chromium, over a real server: a token, a query, its answer; nothing from elsewhere."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from tests.e2e.superset.browser import Browser
from tests.unit.api.conftest import Server, make_site, publish, run_server

ASK = "{ cube(orderBy: {shop_sales: {count: desc, shop_city: asc}}) { shop_sales { shop_city count } } }"
LIVE = "subscription { cube { sales { count } } }"
RESULT = "document.querySelector('.result-window .CodeMirror').CodeMirror.getValue()"


def ask(browser: Browser, text: str) -> None:
    editor = "document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror"
    browser.wait_for("document.querySelector('.graphiql-query-editor .CodeMirror') !== null")
    browser.run(f"{editor}.setValue({json.dumps(text)})")
    time.sleep(1)  # GraphiQL reads what was typed a moment later
    browser.run("document.querySelector('.graphiql-execute-button').click()")


def test_a_person_asks_in_graphiql_and_sees_the_number(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    publish(site)
    with run_server(site, tmp_path) as server, Browser(tmp_path / "profile") as browser:
        browser.open(f"{server.url}/graphql")
        token = str(server.client.headers["authorization"])
        browser.wait_for("document.querySelector('#token') !== null")
        browser.type_into("#token", token)
        browser.run("document.querySelector('#token').blur()")
        ask(browser, ASK)
        browser.wait_for(f"{RESULT}.includes('shop_city')")
        found = json.loads(browser.run(RESULT))
        with duckdb.connect(str(site.database), read_only=True) as connection:
            expected = connection.execute(
                "SELECT city, count(*) FROM gold.fct_sale JOIN gold.dim_shop USING (shop_id) "
                "GROUP BY 1 ORDER BY 2 DESC, 1"
            ).fetchall()
        rows = [row["shop_sales"] for row in found["data"]["cube"]]
        assert [(row["shop_city"], row["count"]) for row in rows] == expected
        browser.screenshot(tmp_path / "graphiql.png")
        _see_a_live_answer(browser, server)
        host = urlsplit(server.url).netloc
        web = [answer.url for answer in browser.answers if answer.url.startswith("http")]
        assert {urlsplit(url).netloc for url in web} == {host}


def _see_a_live_answer(browser: Browser, server: Server) -> None:
    ask(browser, LIVE)
    ((count,),) = server.site.ask("SELECT count(*) FROM gold.fct_sale")
    browser.wait_for(f"{RESULT}.includes('\"count\": {count}')")
    assert "errors" not in json.loads(browser.run(RESULT))
