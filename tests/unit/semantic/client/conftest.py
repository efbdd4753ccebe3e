"""A server over a million rows, and false servers that answer badly."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import duckdb
import pytest

from api.auth import make_token
from tests.unit.api.conftest import SECRET, Server, Site, make_site, publish, run_server

ROWS = 1_000_000
BIG = f"""
CREATE TABLE gold.big AS
SELECT i AS id, 'name ' || (i % 1000) AS name, (i * 1.25)::DECIMAL(18, 2) AS price,
       TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS sold_at,
       CASE WHEN i % 10 = 0 THEN NULL ELSE i % 7 END AS number
FROM range({ROWS}) t(i)
"""
MODEL = """
cubes:
  - name: big
    sql_table: gold.big
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true, public: true}
      - {name: name, type: string, sql: name}
      - {name: sold_at, type: time, sql: sold_at}
      - {name: broken, type: number, sql: "CASE WHEN id = 999999 THEN error('broken') ELSE id END"}
    measures:
      - {name: count, type: count}
      - {name: price, type: sum, sql: price}
      - {name: number, type: sum, sql: number}
"""
ROWS_QUERY = {
    "dimensions": ["big.id", "big.name", "big.sold_at"],
    "measures": ["big.price", "big.number"],
    "ungrouped": True,
    "order": [],
}


@pytest.fixture(scope="package")
def big_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = make_site(tmp_path_factory.mktemp("big"))
    with duckdb.connect(str(made.database)) as connection:
        connection.execute(BIG)
    (made.project / "semantic" / "model" / "big.yml").write_text(MODEL)
    publish(made)
    return made


@pytest.fixture(scope="package")
def big(big_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"DUCAT_CONTINUE_WAIT_SECONDS": "0.3", "DUCAT_QUERY_CONCURRENCY": "2"}
    settings |= {"DUCAT_QUERY_TIMEOUT_SECONDS": "20", "DUCAT_SQL_GROUPS": "analysts"}
    with run_server(big_site, tmp_path_factory.mktemp("server"), **settings) as running:
        yield running


@pytest.fixture(scope="package")
def token() -> str:
    return make_token(SECRET, user="ann", groups=("analysts",))


@contextmanager
def play(
    answer: Callable[[BaseHTTPRequestHandler], None], context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Run a server that answers each request with `answer`; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            answer(self)

        do_GET = do_POST = _answer  # noqa: N815 -- the names of the base class

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        scheme = "http" if context is None else "https"
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
