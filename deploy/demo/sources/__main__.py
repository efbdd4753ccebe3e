"""`python -m deploy.demo.sources`: play the systems until SIGTERM, for the demo's supervisor."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from deploy.demo.sources.play import play_sources
from semantic.snapshot import replace_file


def main() -> None:
    """Play, write the variables into the ready file, and wait to be told to stop."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.sources", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for the files")
    parser.add_argument("--days", type=int, required=True, help="days of 2013")
    parser.add_argument(
        "--ready-file", type=Path, required=True, help="where to write the variables"
    )
    asked = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with play_sources(asked.home, days=asked.days) as variables:
        replace_file(asked.ready_file, json.dumps(dict(variables)).encode())
        stopped.wait()


if __name__ == "__main__":
    main()
