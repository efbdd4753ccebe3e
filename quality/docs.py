"""Where the pages of the checks are, and how they are replaced.

The pages (Great Expectations' Data Docs: an index, the suites, the results) are built in a folder
beside, then put in place by renaming a symbolic link: a reader finds the old pages or the new.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semantic.settings import Settings


def docs_path(settings: Settings) -> Path:
    """Return the folder in which the pages of the newest check are."""
    return settings.home_path / "quality" / "docs"


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Give a new empty folder to fill; afterwards it is found at `folder`, at once and whole.

    `folder` becomes a symbolic link. When the block raises, what was there stays. The folder
    before the last one is removed, so that one who is just reading pages can finish.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    built = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        built.chmod(0o755)
        yield built
        link = built.with_name(f"{built.name}.link")
        link.symlink_to(built.name)
        if folder.is_dir() and not folder.is_symlink():
            folder.rename(folder.with_name(f".{folder.name}-before"))
        previous = folder.readlink().name if folder.is_symlink() else None
        link.replace(folder)
    except BaseException:
        shutil.rmtree(built, ignore_errors=True)
        raise
    for other in folder.parent.glob(f".{folder.name}-*"):
        if other.name not in {built.name, previous} and other.is_dir():
            shutil.rmtree(other, ignore_errors=True)


def is_current(folder: Path) -> bool:
    """Return whether pages were built there."""
    return os.path.lexists(folder) and (folder / "index.html").is_file()
