"""One publisher per serving folder at a time, also over processes, also after a kill."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.errors import LakeConflictError

LOCK: Final = ".publish.lock"


@dataclass(slots=True)
class PublishLock:
    """The right to publish into a folder. The system takes it back when the process ends."""

    descriptor: int | None

    @classmethod
    def take(cls, serving: Path, *, patience: float = 0.5) -> PublishLock:
        """Take the lock of a serving folder (made if need be), waiting `patience` seconds.

        Raises:
            LakeConflictError: another run holds it.
        """
        serving.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(serving / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as held:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    raise LakeConflictError(
                        f"another run is publishing into {serving}",
                        suggestion="wait until it has finished and run again",
                    ) from held
                time.sleep(0.05)
            else:
                return cls(descriptor)

    @property
    def held(self) -> bool:
        """Whether the lock is still ours."""
        return self.descriptor is not None

    def release(self) -> None:
        """Give the lock back; again is allowed."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
