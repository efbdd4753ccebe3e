"""Settings are read once, and a variable that is no setting is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from semantic.errors import SettingsError
from semantic.settings import read_settings


def test_the_defaults_keep_all_state_below_the_project(tmp_path: Path) -> None:
    settings = read_settings(tmp_path)
    assert settings.home_path == tmp_path / ".ducat"
    assert settings.lake_uri == str(tmp_path / ".ducat" / "lake")
    assert settings.serving_path == tmp_path / ".ducat" / "serving"


def test_a_misspelt_setting_is_refused_with_the_right_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DUCAT_JWT_SECRT", "x")
    with pytest.raises(SettingsError, match=r"DUCAT_JWT_SECRT.*did you mean DUCAT_JWT_SECRET"):
        read_settings()


def test_a_value_that_is_not_allowed_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUCAT_PORT", "70000")
    with pytest.raises(SettingsError, match="DUCAT_PORT"):
        read_settings()


def test_a_secret_does_not_show_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUCAT_JWT_SECRET", "s3cret-s3cret-s3cret-s3cret-s3cret")
    assert "s3cret" not in repr(read_settings())
