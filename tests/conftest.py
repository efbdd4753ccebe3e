"""How tests are spread over processes: those that share real servers stay together."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests below one `conftest.py` in one process, and those of one file otherwise.

    A `conftest.py` starts servers once for all tests beside it; two processes would start them twice.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path)))


def _group(path: Path) -> str:
    for folder in path.parents:
        if folder == _HERE:
            break
        if (folder / "conftest.py").exists():
            return str(folder.relative_to(_HERE))
    return str(path.relative_to(_HERE))
