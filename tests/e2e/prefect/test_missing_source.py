"""A source whose address nobody set, as a person sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_missing_source_is_named_and_not_what_follows_from_it(
    tmp_path: Path, prefect_url: str
) -> None:
    """Without any data the contracts do not hold either: the sources are what must be mended."""
    for folder in ("semantic/model", "flows/pipelines", "quality/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    ours = ("DUCAT_", "FLIGHTS_", "PREFECT_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    outcome = subprocess.run(
        [Path(sys.executable).parent / "ducat", "--project", tmp_path, "flows", "run"],
        env={**clean, "PREFECT_API_URL": f"{prefect_url}/api"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 1, said
    assert "Traceback" not in said, said
    error, hint = said.splitlines()[-2:]
    assert error.startswith("error[ingest_failed]: ")
    for variable in ("BATCHES_URL", "WEATHER_URL", "API_URL", "DATABASE_URL"):
        assert f"source_missing: FLIGHTS_{variable} is not set" in error
    assert "nothing was published: gate_failed" in error
    assert hint.startswith("hint: ")
