"""From a folder of YAML to a Catalog, or to one ModelError with every problem.

`ModelLoader` reads every file each time and compares what it read with what it had: a file whose
bytes did not change is not parsed again, and the `Linker` finds again what was made of it.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from semantic.catalog.catalog import Catalog
from semantic.catalog.linker import Linker
from semantic.errors import ModelError, Problem, Span
from semantic.spec.document import Document, read_document
from semantic.spec.sheet import DIALECT
from semantic.spec.source import MAXIMUM_CHARACTERS, decode_source

SUFFIXES = (".yml", ".yaml")


@dataclass(slots=True)
class ModelLoader:
    """Loads one model folder, again and again. Not for use by several threads at once.

    `dialect` is the one that the SQL of the model is written in: that of the engine, as sqlglot
    calls it. `strict_joins` refuses models in which joins lead to a cube in more than one way.
    """

    folder: Path
    dialect: str = DIALECT
    strict_joins: bool = False
    _documents: dict[str, tuple[str, Document]] = field(default_factory=dict)
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
            version = _hash(self._documents, self.dialect)
            if self._catalog is None or self._catalog.version != version:
                documents = [document for _, document in self._documents.values()]
                self._catalog = self._linker.link(documents, version)
            return self._catalog

    def _read(self, name: str, path: str) -> tuple[str, Document]:
        """Return the hash of a file and what it declares."""
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - of a thousand files
                content = file.read(MAXIMUM_CHARACTERS + 1)
        except OSError as failed:
            problem = Problem(
                "unreadable_file", f"cannot be read: {failed.strerror}", Span(name, 1, 1)
            )
            return "", Document(name, (), (), (), (problem,))
        digest = hashlib.sha256(content).hexdigest()
        known = self._documents.get(name)
        if known is not None and known[0] == digest:
            return known
        text = decode_source(content, name)
        if isinstance(text, Problem):
            return digest, Document(name, (), (), (), (text,))
        return digest, read_document(text, name)


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
    documents = {}
    for name, text in sorted(files.items()):
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        documents[name] = (digest, read_document(text, name))
    linker = Linker(dialect=dialect, strict_joins=strict_joins)
    return linker.link([document for _, document in documents.values()], _hash(documents, dialect))


def _hash(documents: Mapping[str, tuple[str, Document]], dialect: str) -> str:
    digest = hashlib.sha256(dialect.encode())
    for name in sorted(documents):
        digest.update(f"{name}\0{documents[name][0]}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]


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

    Nearly all of it stays, so there is nothing to collect.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
