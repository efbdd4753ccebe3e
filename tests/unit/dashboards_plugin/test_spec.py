"""The engine spec, in Superset's environment: what Superset offers its users."""

from __future__ import annotations

from tests.unit.api.conftest import Server
from tests.unit.dashboards_plugin.conftest import Snippet


def test_superset_finds_the_plugin_by_its_entry_points(run_snippet: Snippet) -> None:
    shown = run_snippet(
        """
from importlib.metadata import entry_points
from sqlalchemy.engine.url import make_url
show({
    "dialects": [make_url(f"{name}://u:t@h/").get_dialect().__module__
                 for name in ("ducat", "ducat+http", "ducat+https")],
    "spec": [point.value for point in entry_points(group="superset.db_engine_specs")
             if point.name == "ducat"],
})"""
    )
    assert shown == {
        "dialects": ["ducat_superset.dialect"] * 3,
        "spec": ["ducat_superset.spec:DucatEngineSpec"],
    }


def test_an_address_says_scheme_port_token_and_user(run_snippet: Snippet) -> None:
    shown = run_snippet(
        """
from sqlalchemy.engine.url import make_url
def arguments(text):
    url = make_url(text)
    return url.get_dialect()().create_connect_args(url)[1]
show([arguments("ducat+https://ann%40x:t%2Fk@h/"), arguments("ducat+http://u:t@[::1]:4000/base")])"""
    )
    assert shown == [
        {"host": "h", "port": 443, "scheme": "https", "token": "t/k", "user": "ann@x", "path": ""},
        {
            "host": "::1",
            "port": 4000,
            "scheme": "http",
            "token": "t",
            "user": "u",
            "path": "/base",
        },
    ]


def test_datasets_get_the_governed_measures_and_only_answered_time_grains(
    run_snippet: Snippet, plugin_server: Server
) -> None:
    shown = run_snippet(
        """
import os, tempfile
os.environ.pop("SUPERSET_CONFIG_PATH", None)
os.environ["SUPERSET_HOME"] = tempfile.mkdtemp()
os.environ["SUPERSET_SECRET_KEY"] = "0123456789abcdef0123456789abcdef0123456789"
from contextlib import contextmanager
from types import SimpleNamespace
from superset.app import create_app
with create_app().app_context():
    from sqlalchemy import create_engine, inspect
    from superset.db_engine_specs import get_engine_spec
    engine = create_engine(f"ducat+http://superset:{TOKEN}@{ADDRESS}/")
    spec = get_engine_spec("ducat", "http")
    @contextmanager
    def get_inspector():
        yield inspect(engine)
    database = SimpleNamespace(get_inspector=get_inspector)
    show({
        "spec": [spec.__module__, spec.__name__, spec.engine_name],
        "other": get_engine_spec("ducat", "https").__name__,
        "metrics": spec.get_metrics(database, None, SimpleNamespace(table="shop_sales")),
        "grains": sorted(str(grain.duration) for grain in spec.get_time_grains()),
        "cuts": [text.format(col="sold_at")
                 for text in spec.get_time_grain_expressions().values()],
        "joins": spec.allows_joins, "subqueries": spec.allows_subqueries,
        "time": spec.convert_dttm("TIMESTAMP", datetime.datetime(2024, 1, 9, 1, 30)),
    })"""
    )
    metrics = {item["metric_name"]: item for item in shown.pop("metrics")}
    assert list(metrics) == ["count", "amount", "average_weight", "online_share", "online"]
    assert metrics["online_share"]["expression"] == "MEASURE(online_share)"
    assert metrics["online_share"]["d3format"] == ".2%"
    assert metrics["online_share"]["verbose_name"]
    for cut in shown.pop("cuts"):
        sql = (
            f"SELECT {cut} AS t, MEASURE(count) AS n FROM public.shop_sales GROUP BY {cut} LIMIT 5"
        )
        answer = plugin_server.client.post("/ducat/v1/sql", json={"sql": sql})
        assert answer.status_code == 200, answer.text
    assert shown == {
        "spec": ["ducat_superset.spec", "DucatEngineSpec", "Ducat"],
        "other": "DucatEngineSpec",
        "grains": ["P1D", "P1M", "P1W", "P1Y", "P3M", "PT1H", "PT1M", "PT1S"],
        "joins": False,
        "subqueries": True,
        "time": "TO_TIMESTAMP('2024-01-09 01:30:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')",
    }
