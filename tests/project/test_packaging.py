"""The packages are ours, and the import boundaries hold."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("semantic", "api", "flows", "dashboards", "quality", "deploy")


def test_no_dependency_installs_a_package_of_our_names() -> None:
    owners = packages_distributions()
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(ROOT), name
        assert set(owners.get(name, ["ducat"])) <= {"ducat"}, name


def test_the_wheel_holds_the_engine_and_no_content(tmp_path: Path) -> None:
    subprocess.run(
        [
            ROOT / ".tools/bin/uv",
            *("build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable),
            *("--out-dir", tmp_path, ROOT),
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "semantic/service.py" in names
    assert "deploy/demo/cli.py" in names
    assert "api/starter/pipeline.txt" in names  # what `ducat init` writes
    content = ("semantic/model/", "flows/pipelines/", "quality/contracts/", "dashboards/assets/")
    assert [name for name in names if name.startswith(content) and not name.endswith("/")] == []


def test_the_server_can_be_imported_without_the_heavy_frameworks() -> None:
    code = (
        "import sys, api.app; "
        "heavy = {'prefect', 'great_expectations', 'pandas', 'dlt', 'ibis'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
