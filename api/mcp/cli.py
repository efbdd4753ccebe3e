"""`ducat mcp`: the agents' door over standard input and output."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import click

from semantic.settings import read_settings


@click.command()
@click.option("--user", default="local", show_default=True, help="Who asks, for access rules.")
@click.option("--group", "groups", multiple=True, help="A group of that user; repeat for more.")
@click.pass_obj
def mcp(root: Path | None, user: str, groups: tuple[str, ...]) -> None:
    """Speak the Model Context Protocol over standard input and output, for agents.

    An agent's configuration names this command, for example
    {"command": "ducat", "args": ["--project", "/path", "mcp"]}. A running server speaks the same
    at /mcp, with a token.
    """
    from api.auth import make_secret  # noqa: PLC0415  (light command line)
    from api.gateway import Asker, Gateway  # noqa: PLC0415
    from api.logs import configure_logs  # noqa: PLC0415
    from api.mcp.server import serve_stdio  # noqa: PLC0415
    from semantic.query.context import SecurityContext  # noqa: PLC0415
    from semantic.service import SemanticLayer  # noqa: PLC0415

    settings = read_settings(root)
    configure_logs(settings)
    layer = SemanticLayer.of(settings)
    try:
        gateway = Gateway(layer, settings, secret=make_secret())
        try:
            asker = Asker(SecurityContext(user=user, groups=groups), "mcp", uuid.uuid4().hex)
            asyncio.run(serve_stdio(gateway, asker))
        finally:
            gateway.close()
    finally:
        layer.close()
