"""Every code that a Problem of the model can have is in the README's table, and the other way."""

from __future__ import annotations

import ast
import re
from pathlib import Path

SEMANTIC = Path(__file__).parents[3] / "semantic"
MAKERS = {"Problem", "_Fault", "report", "_report", "_refusal"}


def used_codes() -> set[str]:
    found: set[str] = set()
    for path in (*(SEMANTIC / "spec").glob("*.py"), *(SEMANTIC / "catalog").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                first = node.args[0] if node.args else None
                if name in MAKERS and isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def test_the_table_of_problem_codes_is_complete() -> None:
    text = (SEMANTIC / "README.md").read_text()
    table = text.partition("### Problems of a model")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`([a-z_]+)`", " ".join(rows))) == used_codes()
