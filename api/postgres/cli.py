"""`ducat password`: an entry of the file of users of the Postgres wire."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("user")
@click.option("--group", "groups", multiple=True, help="A group of the user; repeat for more.")
def password(user: str, groups: tuple[str, ...]) -> None:
    """Print USER's entry for DUCAT_POSTGRES_USERS; the password comes from the terminal or stdin."""
    import orjson  # noqa: PLC0415  (light command line)

    from api.postgres.protocol.scram import make_verifier  # noqa: PLC0415

    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\n")
    if not given:
        raise click.UsageError("the password is empty")
    entry = {user: {"verifier": str(make_verifier(given)), "groups": list(groups)}}
    click.echo(orjson.dumps(entry, option=orjson.OPT_INDENT_2).decode())
