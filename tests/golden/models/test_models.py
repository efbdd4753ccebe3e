"""Broken models, each beside the problems that it has: `line:column code`, reviewed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from semantic.catalog.load import load_catalog_from_text
from semantic.errors import ModelError

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_every_problem_of_a_broken_model_is_reported_at_its_place(path: Path) -> None:
    expected = path.with_suffix(".problems").read_text().splitlines()
    with pytest.raises(ModelError) as caught:
        load_catalog_from_text({path.name: path.read_text()})
    found = [
        f"{problem.span.line}:{problem.span.column} {problem.code}"
        for problem in caught.value.problems
        if problem.span is not None and problem.span.file == path.name
    ]
    assert found == expected, str(caught.value)
