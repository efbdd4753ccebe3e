"""A process whose children build rollups over and over, to be killed: `python -m ... SERVING`.

It imports everything once and forks for each line that it reads: the line is how many seconds the
child may live before it is killed (-9). It answers each line with one of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from flows.rollups import build_rollups
from semantic.catalog.load import ModelLoader
from semantic.compile.rollup import rollup_builds


def main(folder: Path) -> None:
    """Fork, wait, kill, until there are no more lines."""
    builds = rollup_builds(ModelLoader(folder / "semantic" / "model").load(), ("UTC",))
    _say("ready")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            while True:
                build_rollups(folder / "serving", builds, force=True)
        time.sleep(float(line))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        _say("killed")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
