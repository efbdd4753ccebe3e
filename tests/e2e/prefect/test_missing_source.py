"""Sources whose address nobody set, as a person sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
OURS = ("DUCAT_", "FLIGHTS_", "PREFECT_")


def _run(project: Path, settings: dict[str, str]) -> str:
    """Run the flows of the shipped project, which must fail; return what was said."""
    for folder in ("semantic/model", "flows/pipelines", "quality/contracts"):
        shutil.copytree(ROOT / folder, project / folder)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    outcome = subprocess.run(
        [Path(sys.executable).parent / "ducat", "--project", project, "flows", "run"],
        env={**clean, **settings},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 1, said
    assert "Traceback" not in said, said
    return said


def test_a_missing_source_is_named_and_not_what_follows_from_it(
    tmp_path: Path, prefect_url: str
) -> None:
    """Without any data the contracts do not hold either: the sources are what must be mended."""
    (tmp_path / "batches").mkdir()
    said = _run(
        tmp_path,
        {
            "PREFECT_API_URL": f"{prefect_url}/api",
            "FLIGHTS_BATCHES_URL": str(tmp_path / "batches"),
        },
    )
    error, hint = said.splitlines()[-2:]
    assert error.startswith("error[ingest_failed]: ")
    for variable in ("WEATHER_URL", "API_URL", "DATABASE_URL"):
        assert f"source_missing: FLIGHTS_{variable} is not set" in error
    assert "BATCHES_URL" not in error
    assert "nothing was published: gate_failed" in error
    assert hint.startswith("hint: ")


def test_without_any_source_a_run_says_so_once_and_makes_nothing(tmp_path: Path) -> None:
    """Nor does it start a Prefect server of its own, or make empty tables."""
    error, hint = _run(tmp_path, {}).splitlines()
    assert error.startswith("error[source_missing]: ")
    for variable in ("BATCHES_URL", "WEATHER_URL", "API_URL", "DATABASE_URL"):
        assert error.count(f"FLIGHTS_{variable}") == 1
    assert "make demo" in hint
    assert not (tmp_path / ".ducat" / "lake").exists()
