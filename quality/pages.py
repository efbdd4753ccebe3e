"""The pages that people read: Great Expectations' own, made to stand alone, and an index of ours.

As they come, Data Docs load scripts, styles, a logo and an icon font from outside hosts: a page
about internal data would tell others when it is read, and without a network its index is empty. So
what is loaded from outside is taken out, a small style is put in, and the index is written here:
it also has what Data Docs cannot know, the keys of the failing rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from quality.outcome import GateResult
from quality.promise import Contract

_LOADED: Final = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|url\(['\"]?https?:[^)]*\)",
    re.DOTALL | re.IGNORECASE,
)
_LINK: Final = re.compile(r"<a\s[^>]*href=\"https?:[^>]*>(.*?)</a>", re.DOTALL | re.IGNORECASE)

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --warn: #9a6700 }
@media (prefers-color-scheme: dark) {
  :root { --good: #4cc26a; --bad: #ff7b72; --warn: #d9a520 }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1.5rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere }
code { font-size: 13px } small { opacity: .75 }
h4, h5, h6 { font-size: 1.05rem; margin: 1.5rem 0 .3rem }
ol.breadcrumb { display: flex; gap: .5rem; list-style: none; margin: 0; padding: 0 }
.breadcrumb-item + .breadcrumb-item::before { content: "/"; margin-right: .5rem; opacity: .6 }
.passed, .text-success { color: var(--good) } .failed, .text-danger { color: var(--bad) }
.warning, .text-warning { color: var(--warn) }
.fa-check-circle::before { content: "✓" } .fa-times::before { content: "✗" }
.fa-exclamation-triangle::before { content: "!" }
/* What needs scripts does nothing here: filters, the folding table of contents. */
.sticky, footer, .modal, button, [data-toggle=collapse] { display: none }
"""

_INDEX: Final = Environment(autoescape=True, undefined=StrictUndefined).from_string("""\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Data quality</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{{ style | safe }}</style></head>
<body>
<h1>Data quality: <span class="{{ 'passed' if result.passed else 'failed' }}">
{{- 'passed' if result.passed else 'failed' }}</span></h1>
<p>Checked {{ result.checked_at.strftime('%Y-%m-%d %H:%M:%S %Z') }}.
<a href="{{ tables_page }}">Tables and contracts</a></p>
<table>
<tr><th>Table</th><th>State</th><th>Checks</th><th>Owner</th><th>Pages of Great Expectations</th></tr>
{%- for table in result.tables %}
<tr><td><a href="#{{ table.table }}">{{ table.table }}</a></td>
<td class="{{ 'passed' if table.passed else 'failed' }}">{{ 'passed' if table.passed else 'failed' }}
{%- if table.passed and table.failures %} <span class="warning">with warnings</span>{% endif %}</td>
<td>{{ table.checks | length }}</td><td>{{ owners.get(table.table, 'nobody') }}</td>
<td>{% for name, page in pages.get(table.table, {}).items() %}<a href="{{ page }}">{{ name }}</a>
{% endfor %}</td></tr>
{%- endfor %}
</table>
{%- for table in result.tables %}
<h2 id="{{ table.table }}">{{ table.table }}</h2>
<table>
<tr><th>Check</th><th>Column</th><th>Outcome</th><th>Expected</th><th>Found</th></tr>
{%- for check in table.checks %}
{%- set state = 'passed' if check.passed else ('warning' if check.severity == 'warning' else 'failed') %}
<tr><td>{{ check.name }}</td><td>{{ check.column or '' }}</td>
<td class="{{ state }}">{{ state }}</td><td>{{ check.expected }}</td><td>{{ check.observed }}
{%- for row in check.failing_rows %}<br><code>{{ row }}</code>{% endfor %}</td></tr>
{%- endfor %}
</table>
{%- endfor %}
</body>
</html>
""")


def finish_pages(folder: Path, result: GateResult, contracts: tuple[Contract, ...]) -> None:
    """Make the pages in a folder stand alone, and write their index."""
    for page in folder.rglob("*.html"):
        page.write_text(stand_alone(page.read_text(encoding="utf-8")), encoding="utf-8")
    index = _INDEX.render(
        result=result,
        style=_STYLE,
        owners={contract.table: contract.owner for contract in contracts},
        pages={check.table: _find_pages(folder, check.table) for check in result.tables},
        tables_page=_find_pages(folder, "tables").get("gold-tables", ""),
    )
    (folder / "index.html").write_text(index, encoding="utf-8")


def stand_alone(page: str) -> str:
    """Return a page without anything that is loaded from, or leads to, another host."""
    page = _LINK.sub(r"\1", _LOADED.sub("", page))
    return page.replace("</head>", f"<style>{_STYLE}</style></head>", 1)


def _find_pages(folder: Path, table: str) -> Mapping[str, str]:
    found = sorted((folder / "validations" / table).rglob("*.html"))
    names = (page.stem.removeprefix(f"gold-{table}.") for page in found)
    return {name: str(page.relative_to(folder)) for name, page in zip(names, found, strict=True)}
