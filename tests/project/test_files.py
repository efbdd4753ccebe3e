"""What holds for every file of the project."""

from __future__ import annotations

import re
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("semantic", "api", "flows", "dashboards", "quality", "deploy")
BANNED = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
# The outermost boundary of a server or of a command line, where nothing may escape.
BROAD_EXCEPTS_ALLOWED = {
    "api/asgi.py": "the outermost boundary of the server: every failure becomes an answer",
    "api/cli.py": "the outermost boundary of the command line",
    "api/flight/errors.py": "the boundary of a call: whatever fails is its answer, with its code",
    "api/flight/server.py": "the boundary of a stream: whatever fails is recorded, and goes on",
    "api/mcp/server.py": "the outermost boundary of a tool: an agent gets an answer, the log the defect",
    "api/postgres/server.py": "the outermost boundary of a connection: a defect ends it alone",
    "api/postgres/session.py": "the boundary of a statement: whatever fails is its answer",
    "api/rest/live.py": "the boundary of one message: whatever fails is its answer, the rest goes on",
    "api/reload.py": "the outermost boundary of a thread: the old model stays in service",
    "api/workers.py": "the outermost boundary of a worker: it must end, never go on as its supervisor",
}


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_no_python_file_is_longer_than_600_lines_and_most_are_below_200() -> None:
    sizes = {
        path: len(path.read_text().splitlines()) for path in _tracked("*.py") if path.stat().st_size
    }
    too_long = {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 600}
    assert not too_long
    assert statistics.median(sizes.values()) < 200


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = [
        path
        for path in _tracked("*.py")
        if BANNED & set(path.relative_to(ROOT).with_suffix("").parts)
    ]
    assert not named


def test_no_broad_except_outside_the_outermost_boundaries() -> None:
    pattern = re.compile(r"^\s*except( Exception| BaseException)?( as \w+)?:\s*(#.*)?$")
    found = []
    for path in _tracked(*(f"{package}/*.py" for package in PACKAGES)):
        name = str(path.relative_to(ROOT))
        if name in BROAD_EXCEPTS_ALLOWED:
            continue
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            # Cleaning up and raising on is not swallowing.
            if pattern.match(line) and "raise" not in {
                part.strip() for part in lines[number : number + 6]
            }:
                found.append(f"{name}:{number + 1}")
    assert not found


def test_no_tracked_file_names_a_registry_or_a_machine_path() -> None:
    pattern = re.compile(
        r"https?://[^\s\"']*(?:pypi|pythonhosted|npmjs|deb\.debian)|(?:^|[\"' =])/(?:root|work)/"
    )
    found = []
    for path in _tracked():
        if path.suffix in {".png", ".parquet", ".duckdb"} or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line[:120]}")
    assert not found


def test_locks_carry_hashes_and_no_addresses() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text, path
        pinned = re.findall(r"^[a-z0-9].*==", text, flags=re.MULTILINE)
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)


def test_the_readme_fits_150_lines_and_every_top_level_folder_has_one() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    for folder in (*PACKAGES, "tests"):
        assert (ROOT / folder / "README.md").is_file(), folder
