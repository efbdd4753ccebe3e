"""The checks of the served tables are read when their file was replaced, and not for each query."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from semantic.engine import checks
from semantic.engine.checks import CheckFile
from semantic.errors import SnapshotError
from semantic.snapshot import CHECKS, QualityState, write_checks

PASSED = QualityState("passed", datetime(2013, 1, 1, tzinfo=UTC), ())
FAILED = QualityState("failed", datetime(2013, 1, 2, tzinfo=UTC), ("a row is missing",))


def test_a_new_check_is_seen_and_a_known_one_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = CheckFile(tmp_path)
    assert file.read() == {}
    write_checks(tmp_path, {"sales": PASSED})
    assert file.read() == {"sales": PASSED}
    with monkeypatch.context() as patched:
        patched.setattr(checks, "read_checks", None)
        assert file.read() == {"sales": PASSED}
    write_checks(tmp_path, {"sales": FAILED})
    assert file.read() == {"sales": FAILED}
    (tmp_path / CHECKS).unlink()
    assert file.read() == {}


def test_a_broken_file_is_said_each_time(tmp_path: Path) -> None:
    file = CheckFile(tmp_path)
    (tmp_path / CHECKS).write_text("{")
    for _ in range(2):
        with pytest.raises(SnapshotError):
            file.read()
