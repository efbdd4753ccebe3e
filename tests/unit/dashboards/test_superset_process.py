"""Superset's processes get their own secrets and nothing of ours."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from dashboards.errors import SupersetMissingError
from dashboards.superset_process import SupersetSite, installed_versions, prepare


def _environment(folder: Path, *distributions: str) -> Path:
    site = folder / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    for name in distributions:
        (site / f"{name}.dist-info").mkdir()
    return folder


def test_an_environment_without_superset_or_plugin_says_what_is_missing(tmp_path: Path) -> None:
    only = _environment(tmp_path / "venv", "apache_superset-6.1.0")
    with pytest.raises(SupersetMissingError, match="has no ducat_superset"):
        prepare(only, tmp_path / "home")
    with pytest.raises(SupersetMissingError, match="no apache_superset and no ducat_superset"):
        installed_versions(tmp_path / "nothing")


def test_versions_are_read_without_starting_superset(tmp_path: Path) -> None:
    both = _environment(tmp_path, "apache_superset-6.1.0", "ducat_superset-0.1.0")
    assert installed_versions(both) == {"apache_superset": "6.1.0", "ducat_superset": "0.1.0"}


def test_a_failed_preparation_is_an_error_and_its_secrets_stay_private(tmp_path: Path) -> None:
    environment = _environment(tmp_path / "venv", "apache_superset-6.1.0", "ducat_superset-0.1.0")
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(sys.executable)
    home = tmp_path / "home"
    with pytest.raises(SupersetMissingError, match="No module named 'superset'"):
        prepare(environment, home)
    secrets = home / "secrets.json"
    kept = secrets.read_bytes()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert not (home / "prepared.json").exists()
    with pytest.raises(SupersetMissingError):
        prepare(environment, home)
    assert secrets.read_bytes() == kept


def test_a_superset_process_sees_no_setting_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCAT_JWT_SECRET", "ours")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    variables = SupersetSite(tmp_path, tmp_path, "key", "password").variables()
    assert not [name for name in variables if name.startswith(("DUCAT_", "PYTHONPATH"))]
    assert "password" not in variables.values()
    assert "REDIS_URL" not in variables


def test_the_command_listens_on_this_machine_only_unless_told(tmp_path: Path) -> None:
    command = SupersetSite(tmp_path, tmp_path, "key", "password").command(8088)
    assert "--bind=127.0.0.1:8088" in command
    assert "key" not in " ".join(command)
