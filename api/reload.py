"""A changed model goes into service by itself; a broken one does not.

The files are polled, because file events do not cross the mounts of containers. A model that does
not load is logged with every problem and counted; the one before stays in service and
`ducat_model_is_current` is 0 until the files are right again.
"""

from __future__ import annotations

import threading
from typing import Final

import structlog

from api.metrics import Metrics
from semantic.errors import DucatError
from semantic.project import Project
from semantic.service import SemanticLayer

SECONDS: Final = 2.0
SUFFIXES: Final = frozenset({".yml", ".yaml"})
log = structlog.stdlib.get_logger("ducat.model")

Stamp = tuple[tuple[str, int, int], ...]


class ModelWatcher:
    """Polls the model files in a thread of its own."""

    def __init__(
        self, layer: SemanticLayer, project: Project, metrics: Metrics, seconds: float = SECONDS
    ) -> None:
        self._layer = layer
        self._project = project
        self._metrics = metrics
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="model-watcher", daemon=True)
        self._seen = stamp_model(project)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._seconds):
            stamp = stamp_model(self._project)
            if stamp != self._seen:
                self._seen = stamp
                self._reload()

    def _reload(self) -> None:
        try:
            self._layer.reload()
        except DucatError as refused:
            self._metrics.reload_failures.inc()
            self._metrics.set_model(is_current=False)
            log.error("the changed model is refused; the one before stays", reason=refused.message)  # noqa: TRY400
        except Exception:
            # The outermost boundary of a thread: a defect here must not end the watching.
            self._metrics.reload_failures.inc()
            self._metrics.set_model(is_current=False)
            log.exception("the changed model cannot be loaded; the one before stays")
        else:
            self._metrics.set_model(is_current=True)
            log.info("the changed model is in service", version=self._layer.catalog.version)


def stamp_model(project: Project) -> Stamp:
    """Return the name, time and size of every model file; files that vanish meanwhile count as gone."""
    stamp: list[tuple[str, int, int]] = []
    for path in sorted(project.model.rglob("*")):
        if path.suffix in SUFFIXES:
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            stamp.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(stamp)
