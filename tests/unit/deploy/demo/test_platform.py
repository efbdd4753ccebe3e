"""The demo's folder belongs to one demo; what it starts ends with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo.platform import hold_folder
from deploy.errors import DemoRunningError

HOLD = """
import sys
from pathlib import Path
from deploy.demo.platform import hold_folder
with hold_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_demo_in_a_folder_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    home = tmp_path / ".ducat" / "demo"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    )
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DemoRunningError, match=rf"process {other.pid}\)"), hold_folder(home):
            pass
    finally:
        other.kill()
        other.communicate()
    with hold_folder(home):  # a killed demo holds nothing
        pass
