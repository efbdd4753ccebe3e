"""Cube's JavaScript packages as npm installs them, and scripts that use them in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

FOLDER = Path(__file__).parent / "js"


def install() -> None:
    """Install the packages of the lock file, unless they are there."""
    lock, mark = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    if mark.exists() and mark.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = shutil.which("npm")
    assert npm is not None, "npm is not installed: `make packages`"
    subprocess.run([npm, "ci", "--ignore-scripts", "--silent"], cwd=FOLDER, check=True)


def build_page() -> Path:
    """Bundle the page and return the folder that it is served from."""
    install()
    subprocess.run(
        ["npm", "run", "--silent", "build", "--", "--log-level=error"], cwd=FOLDER, check=True
    )
    shutil.copy(FOLDER / "page.html", FOLDER / "dist" / "index.html")
    return FOLDER / "dist"


def read_version(package: str) -> str:
    """Return the version of an installed package."""
    text = (FOLDER / "node_modules" / package / "package.json").read_text()
    return str(json.loads(text)["version"])


@contextmanager
def run_script(name: str, *arguments: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Run a script and yield the JSON objects that it prints, as it prints them."""
    install()
    process = subprocess.Popen(
        ["node", name, *arguments],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield _read(process, process.stdout)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _read(process: subprocess.Popen[str], lines: IO[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        yield json.loads(line)
    code = process.wait(60)
    if code:
        assert process.stderr is not None
        raise AssertionError(process.stderr.read()[-1500:])
