"""The page at `/`: what is in service, and where the doors are."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Final

from api.state import format_instant
from semantic.engine.result import AnswerState
from semantic.errors import DucatError
from semantic.service import SemanticLayer

DOORS: Final = (
    (
        "/graphql",
        "GraphQL",
        "An explorer page; POST answers requests, as does /cubejs-api/graphql.",
    ),
    ("/cubejs-api/v1/load", "REST: load", "Answers a query in Cube's JSON (GET or POST)."),
    ("/cubejs-api/v1/meta", "REST: meta", "The cubes, views and members that you may see."),
    ("/cubejs-api/v1/sql", "REST: sql", "The SQL that a query becomes."),
    ("/mcp", "MCP", "For agents: what there is, and answers with definition and freshness."),
    ("/ducat/v1/sql", "SQL", "Answers SELECT with MEASURE(...) over a view (POST)."),
    ("/readyz", "Health", "Whether queries can be answered; /livez: whether the process runs."),
    ("/metrics", "Metrics", "For Prometheus."),
    ("/openapi.json", "OpenAPI", "These routes, for tools."),
)

PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ducat</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
  td, th { text-align: left; padding: .3rem 1rem .3rem 0; vertical-align: top; }
  pre { padding: .8rem; border: 1px solid #8884; border-radius: 4px; overflow: auto; }
  .passed { color: #2a7a2a; } .failed { color: #c02020; }
</style>
</head>
<body>
<h1>Ducat</h1>
<p>One definition of a metric, the same number in every tool.</p>
<p>$state</p>
<table><tbody>
$doors
</tbody></table>
<h2>A first query</h2>
<p>With a token: the one that <code>ducat serve</code> or the demo printed, one of
<code>ducat token NAME</code> where <code>DUCAT_JWT_SECRET</code> is set, or one of your identity
provider. ADDRESS is this page's, CUBE.MEASURE any measure of
<a href="/cubejs-api/v1/meta">meta</a>. BI tools and psql find the same metrics at
<code>DUCAT_POSTGRES_PORT</code>, where that is set.</p>
<pre>curl -H "Authorization: $$TOKEN" -G ADDRESS/cubejs-api/v1/load \\
  --data-urlencode 'query={"measures": ["CUBE.MEASURE"]}'</pre>
</body>
</html>
""")


def render_landing(layer: SemanticLayer) -> str:
    """Return the page. It names no member and no table: it is shown without a token."""
    doors = "\n".join(
        f'<tr><th><a href="{escape(path)}">{escape(name)}</a></th>'
        f"<td><code>{escape(path)}</code><br>{escape(text)}</td></tr>"
        for path, name, text in DOORS
    )
    try:
        state = _describe(layer.state())
    except DucatError as reason:
        state = f'<span class="failed">No queries can be answered: {escape(reason.code)}.</span>'
    return PAGE.substitute(state=state, doors=doors)


def _describe(state: AnswerState) -> str:
    quality = state.quality.state
    text = (
        f"In service: snapshot <code>{escape(state.snapshot)}</code>, built "
        f"{format_instant(state.built_at)}, {len(state.tables)} tables, quality "
        f'<b class="{escape(quality)}">{escape(quality)}</b>.'
    )
    if any(check.state == "failed" for _, check in state.newest_check):
        text += " A newer build failed its checks: these are the last good tables."
    return text
