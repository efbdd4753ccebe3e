"""`ducat token`, `ducat keys`, `ducat settings` and `ducat query`."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from semantic.errors import SettingsError
from semantic.settings import PREFIX, Settings, read_settings

DURATION: Final = re.compile(r"(\d{1,5})([smhd])")
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@click.command()
@click.argument("user")
@click.option("--group", "groups", multiple=True, help="A group of the user; repeat for more.")
@click.option("--expires", default="30d", show_default=True, help="Lifetime: 90s, 15m, 8h or 30d.")
@click.pass_obj
def token(root: Path | None, user: str, groups: tuple[str, ...], expires: str) -> None:
    """Make an access token for USER, signed with DUCAT_JWT_SECRET."""
    from api.auth import make_token  # noqa: PLC0415  (light command line)

    settings = read_settings(root)
    if settings.jwt_secret is None:
        raise SettingsError(
            "DUCAT_JWT_SECRET is not set, so no token can be signed",
            suggestion="set it to the secret of the server; make one with `openssl rand -hex 32`",
        )
    written = make_token(
        settings.jwt_secret.get_secret_value(),
        user=user,
        groups=groups,
        expires_in=_read_duration(expires),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )
    click.echo(written)


@click.group()
def keys() -> None:
    """Make, list and revoke API keys, which are kept as hashes."""


@keys.command()
@click.argument("user")
@click.option("--group", "groups", multiple=True, help="A group of the user; repeat for more.")
@click.option("--expires", help="Lifetime: 15m, 8h or 90d. Without it, until it is revoked.")
@click.option("--note", default="", help="What the key is for.")
@click.pass_obj
def create(
    root: Path | None, user: str, groups: tuple[str, ...], expires: str | None, note: str
) -> None:
    """Make a key with which a program asks as USER. It is printed once."""
    from api.claims import LONGEST_NAME  # noqa: PLC0415
    from api.keys import KeyFile  # noqa: PLC0415

    if not 0 < len(user) <= LONGEST_NAME:
        raise click.BadParameter(f"a user's name has 1 to {LONGEST_NAME} characters")
    lifetime = None if expires is None else _read_duration(expires)
    file = KeyFile(read_settings(root).api_keys_path)
    text, made = file.create(user, groups, now=datetime.now(UTC), lifetime=lifetime, note=note)
    click.echo(text)
    click.echo(f"key {made.id} is kept as a hash in {file.path}; it is not shown again", err=True)


@keys.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(root: Path | None, *, as_json: bool) -> None:
    """List the keys: id, user, groups, when made, when over."""
    import orjson  # noqa: PLC0415

    from api.keys import KeyFile, describe_key  # noqa: PLC0415

    file = KeyFile(read_settings(root).api_keys_path)
    found = [describe_key(key) for key in file.read().values()]
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    if not found:
        click.echo(
            f"there are no keys in {file.path}; `ducat keys create USER` makes one", err=True
        )
    for key in found:
        over = f"until {key['expires']}" if key["expires"] else "until revoked"
        ended = " (over)" if key["expired"] else ""
        groups = ",".join(key["groups"]) or "-"
        click.echo(f"{key['id']}  {key['user']}  {groups}  {over}{ended}  {key['note']}".rstrip())


@keys.command()
@click.argument("key_id", metavar="ID")
@click.pass_obj
def revoke(root: Path | None, key_id: str) -> None:
    """Revoke the key ID: servers refuse it from their next request on."""
    from api.keys import KeyFile  # noqa: PLC0415

    gone = KeyFile(read_settings(root).api_keys_path).revoke(key_id)
    click.echo(f"key {gone.id} of {gone.user} is revoked", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def settings(*, as_json: bool) -> None:
    """List every setting, its variable, its default and what it does."""
    listed = [
        {
            "name": name,
            "variable": f"{PREFIX}{name.upper()}",
            "default": _show_default(field.default),
            "description": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        import orjson  # noqa: PLC0415

        click.echo(orjson.dumps(listed, option=orjson.OPT_INDENT_2).decode())
        return
    for item in listed:
        default = f" [default: {item['default']}]" if item["default"] is not None else ""
        click.echo(f"{item['variable']}{default}\n    {item['description']}")


@click.command()
@click.argument("document", metavar="QUERY")
@click.option("--user", default="local", show_default=True, help="Who asks, for access rules.")
@click.option("--group", "groups", multiple=True, help="A group of that user; repeat for more.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as `load` gives it.")
@click.pass_obj
def query(
    root: Path | None, document: str, user: str, groups: tuple[str, ...], *, as_json: bool
) -> None:
    """Answer QUERY, Cube's query JSON (- reads it from the input), in this process."""
    text = sys.stdin.read() if document == "-" else document
    from api.members import Model  # noqa: PLC0415
    from api.rest.answer import encode_load  # noqa: PLC0415  (light command line)
    from api.rest.request import read_request  # noqa: PLC0415
    from semantic.cli import read_document  # noqa: PLC0415
    from semantic.query.context import SecurityContext  # noqa: PLC0415
    from semantic.service import SemanticLayer  # noqa: PLC0415

    read_document("query", text)
    written = text.encode(errors="surrogateescape")
    asked = read_request("POST", b"", b'{"query":' + written + b"}")
    asked.check_kind()
    chosen = read_settings(root)
    layer = SemanticLayer.of(chosen)
    try:
        context = SecurityContext(user=user, groups=groups)
        now = datetime.now(UTC)
        result = layer.load(asked.query, context, now=now)
        if as_json:
            model = Model(layer.catalog, layer.visible(context))
            click.echo(encode_load(result, asked, model, now=now))
            return
    finally:
        layer.close()
    _print_table(result)


def _print_table(result: Any) -> None:
    import orjson  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from api.rest.answer import encode_rows  # noqa: PLC0415

    rows = orjson.loads(encode_rows(result))
    table = Table()
    for column in result.columns:
        table.add_column(
            column.name, justify="right" if column.type == "number" else "left", overflow="fold"
        )
    for row in rows:
        values = (row[column.name] for column in result.columns)
        table.add_row(*("" if value is None else str(value) for value in values))
    Console().print(table)
    state = result.state
    click.echo(
        f"{len(rows)} rows, snapshot {state.snapshot}, built {state.built_at:%Y-%m-%d %H:%M} UTC, "
        f"quality {state.quality.state}" + (", truncated" if result.truncated else ""),
        err=True,
    )


def _read_duration(text: str) -> timedelta:
    match = DURATION.fullmatch(text)
    if match is None or not int(match[1]):
        raise click.BadParameter(f"{text!r} is no duration: write 90s, 15m, 8h or 30d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _show_default(default: object) -> str | None:
    if default is None or type(default).__name__ == "SecretStr":
        return None
    return str(default)
