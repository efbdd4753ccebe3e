"""From a folder of YAML to a Catalog, or to one ModelError with every problem.

`ModelLoader` compares the bytes of each file with what it had: a file whose bytes did not change is
not parsed again, and the `Linker` finds again what was made of it. A file is not even read when the
system says that it is the one that was read: the same inode, size, time of its last change of any
kind (which no program can set back), and that time was long past when it was read. A file that
changed shortly before it was read may have changed once more without a later time to tell.
"""

from __future__ import annotations

import gc
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from semantic.catalog.catalog import Catalog
from semantic.catalog.linker import Linker
from semantic.errors import ModelError, Problem, Span
from semantic.spec.document import Document, read_document
from semantic.spec.sheet import DIALECT
from semantic.spec.source import MAXIMUM_CHARACTERS, decode_source

SUFFIXES = (".yml", ".yaml")

_SETTLED_NS: Final = 3_000_000_000
"""How long ago a file must have changed for its times to tell; some file systems keep 2 seconds."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was read. `stamp` is what the system said of it, () when it may not tell."""

    digest: str
    document: Document
    stamp: tuple[int, ...] = ()


@dataclass(slots=True)
class ModelLoader:
    """Loads one model folder, again and again. Not for use by several threads at once.

    `dialect` is the one that the SQL of the model is written in: that of the engine, as sqlglot
    calls it. `strict_joins` refuses models in which joins lead to a cube in more than one way.
    """

    folder: Path
    dialect: str = DIALECT
    strict_joins: bool = False
    _documents: dict[str, _Read] = field(default_factory=dict)
    _catalog: Catalog | None = None
    _linker: Linker = field(init=False)

    def __post_init__(self) -> None:
        self._linker = Linker(dialect=self.dialect, strict_joins=self.strict_joins)

    def load(self) -> Catalog:
        """Return the catalog of the files as they are now.

        Raises:
            ModelError: with every problem of every file.
        """
        with _uncollected():
            self._documents = {
                name: self._read(name, path) for name, path in _list_files(self.folder)
            }
            if not self._documents:
                raise ModelError(
                    [
                        Problem(
                            "empty_model",
                            f"there is no YAML file in {self.folder}",
                            None,
                            "put cubes into cubes/*.yml and views into views/*.yml",
                        )
                    ]
                )
            version = _hash(
                {name: read.digest for name, read in self._documents.items()}, self.dialect
            )
            if self._catalog is None or self._catalog.version != version:
                documents = [read.document for read in self._documents.values()]
                self._catalog = self._linker.link(documents, version)
            return self._catalog

    def _read(self, name: str, path: str) -> _Read:
        """Return the hash of a file and what it declares."""
        known = self._documents.get(name)
        try:
            if known is not None and known.stamp and known.stamp == _stamp(os.stat(path)):  # noqa: PTH116
                return known
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - of a thousand files
                now = time.time_ns()
                status = os.fstat(file.fileno())
                content = file.read(MAXIMUM_CHARACTERS + 1)
        except OSError as failed:
            problem = Problem(
                "unreadable_file", f"cannot be read: {failed.strerror}", Span(name, 1, 1)
            )
            return _Read("", Document(name, (), (), (), (problem,)))
        settled = max(status.st_ctime_ns, status.st_mtime_ns) + _SETTLED_NS < now
        stamp = _stamp(status) if settled else ()
        digest = hashlib.sha256(content).hexdigest()
        if known is not None and known.digest == digest:
            return _Read(digest, known.document, stamp)
        text = decode_source(content, name)
        if isinstance(text, Problem):
            return _Read(digest, Document(name, (), (), (), (text,)), stamp)
        return _Read(digest, read_document(text, name), stamp)


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """Return what tells a file from another, and from itself after a change."""
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip


def load_catalog(model: Path, dialect: str = DIALECT, *, strict_joins: bool = False) -> Catalog:
    """Return the catalog of the YAML files below `model`.

    Raises:
        ModelError: with every problem of every file.
    """
    return ModelLoader(model, dialect, strict_joins).load()


def load_catalog_from_text(
    files: Mapping[str, str], dialect: str = DIALECT, *, strict_joins: bool = False
) -> Catalog:
    """Return the catalog of texts by file name.

    Raises:
        ModelError: with every problem of every text.
    """
    documents: dict[str, Document] = {}
    digests: dict[str, str] = {}
    for name, text in sorted(files.items()):
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        digests[name], documents[name] = digest, read_document(text, name)
    linker = Linker(dialect=dialect, strict_joins=strict_joins)
    return linker.link(list(documents.values()), _hash(digests, dialect))


def _hash(digests: Mapping[str, str], dialect: str) -> str:
    """Return the version of a model of files with these hashes."""
    words = [dialect, *(f"{name}\0{digests[name]}\0" for name in sorted(digests))]
    return hashlib.sha256("".join(words).encode(errors="surrogatepass")).hexdigest()[:32]


def _list_files(folder: Path) -> list[tuple[str, str]]:
    """Return the names, relative to the folder, and the paths of its YAML files, in order."""
    return sorted(_walk(os.fspath(folder), ""), key=lambda found: found[0].split("/"))


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        if prefix:  # reading it fails as well, and is reported
            yield prefix.rstrip("/"), folder
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{name}/")
        elif entry.name.endswith(SUFFIXES) and entry.is_file():
            yield name, entry.path


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector away: it would look through all that a load makes, many times.

    Nearly all of it stays, so there is nothing to collect. At the end it goes to the oldest
    generation at once, as if it had been looked through already.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # else somebody froze something that is to stay frozen
            gc.freeze()
            gc.unfreeze()
        gc.enable()
