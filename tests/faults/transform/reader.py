"""A reader that asks what is in service all the time, until it is told to stop.

`python -m tests.faults.transform.reader FOLDER` prints each new answer: id and digest. Any error
ends it with a traceback and a code that is not 0.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.faults.transform.platform import fingerprint


def main() -> None:
    folder = Path(sys.argv[1])
    seen = None
    reads = 0
    while not (folder / "stop").exists():
        answer = fingerprint(folder)
        reads += 1
        if answer != seen:
            seen = answer
            print(*answer, flush=True)  # noqa: T201 - the parent reads it
        time.sleep(0.03)
    print("reads", reads, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
