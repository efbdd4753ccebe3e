"""The documentation is complete: each command, setting, route and error code is described."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import click
import pytest

from semantic.errors import DucatError
from semantic.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("semantic", "api", "flows", "dashboards", "quality", "deploy")
READMES = {name: (ROOT / name / "README.md").read_text() for name in PACKAGES}
DOCUMENTED = "\n".join(READMES.values())


def _error_classes() -> list[type[DucatError]]:
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__, f"{name}."):
            if module.name.endswith(".errors"):
                importlib.import_module(module.name)
    found: list[type[DucatError]] = []
    pending: list[type[DucatError]] = [DucatError]
    while pending:
        known = pending.pop()
        pending += known.__subclasses__()
        found.append(known)
    ours = (error for error in found if not error.__module__.startswith("tests."))
    return [error for error in ours if error is not DucatError]


def _commands() -> list[tuple[str, click.Command]]:
    from api.cli import ducat  # noqa: PLC0415

    found: list[tuple[str, click.Command]] = []

    def walk(command: click.Command, path: str) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None, f"{path} {name}"
                walk(child, f"{path} {name}")
        else:
            found.append((path, command))

    walk(ducat, "ducat")
    return found


@pytest.mark.parametrize("error", _error_classes(), ids=lambda error: error.__name__)
def test_every_error_code_is_described(error: type[DucatError]) -> None:
    assert f"`{error.code}`" in DOCUMENTED


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in _error_classes()]
    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_described(name: str) -> None:
    assert f"`{PREFIX}{name.upper()}`" in READMES["deploy"]


def test_no_setting_is_described_that_does_not_exist() -> None:
    described = set(re.findall(rf"`({PREFIX}[A-Z_]+)`", DOCUMENTED))
    assert described <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize(("path", "command"), _commands(), ids=lambda value: str(value)[:40])
def test_every_command_is_described_and_has_help(path: str, command: click.Command) -> None:
    assert f"`{path}" in DOCUMENTED or f"`{path}" in (ROOT / "README.md").read_text()
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{path} {option.name}"
