"""A folder that goes when its player goes.

A player that is killed (`kill -9`) cannot tidy up: the next one removes its folder. A lock on the
folder says whether its player still lives.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOCK: Final = "player.lock"


@contextmanager
def own_folder(place: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in `place`, which is removed after; remove those of killed players, too."""
    remove_abandoned(place, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    with (folder / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(place: Path, prefix: str) -> None:
    """Remove the folders of players that were killed."""
    for folder in place.glob(f"{prefix}*"):
        try:
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            # It is in use, being made or removed by another player, or not ours to open.
            continue
