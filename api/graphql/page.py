"""The page at `/graphql`: GraphiQL when it was built (`make explorer`), else a plain page of ours.

Neither needs another host. GraphiQL is bundled by esbuild from `explorer/`; an installation without
Node.js has the plain page.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

SCRIPT: Final = "explorer.js"
STYLE: Final = "explorer.css"
HTML: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ducat \xc2\xb7 GraphQL</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/graphql/explorer.css">
</head>
<body>
<div id="explorer"></div>
<noscript>This page needs JavaScript; the door itself is POST /graphql.</noscript>
<script type="module" src="/graphql/explorer.js"></script>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """The page, and the files that it loads, by name: content type and bytes."""

    html: bytes
    assets: dict[str, tuple[str, bytes]]


def read_page() -> Page:
    """Return the page to explore GraphQL with."""
    built = files("api.graphql").joinpath("explorer", "dist")
    script, style = built.joinpath(SCRIPT), built.joinpath(STYLE)
    if not (script.is_file() and style.is_file()):
        return Page(files("api.graphql").joinpath("explorer.html").read_bytes(), {})
    return Page(
        HTML,
        {
            SCRIPT: ("text/javascript; charset=utf-8", script.read_bytes()),
            STYLE: ("text/css; charset=utf-8", style.read_bytes()),
        },
    )
