"""Loading again after any edit gives what loading afresh gives: the catalog, or the same problems."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import ModelLoader, load_catalog
from semantic.errors import ModelError, Problem

CUBES = ("a", "b", "c", "d")
ALWAYS = """
    sql_table: t
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: at, type: time, sql: at}
      - {name: city, type: string, sql: city}
"""
DIMENSIONS = (
    "{name: town, type: string, sql: '{city}'}",
    "{name: far, type: string, sql: '{b.city}'}",
    "{name: deep, type: string, sql: '{CUBE.second.city}'}",
    "{name: period, type: time, sql: '{b.at.month}'}",
    "{name: size, type: string, sql: '{b.town}'}",
)
WRONG = (
    "{name: city, type: string, sql: other}",
    "{name: wrong, type: string, sql: '{citty}'}",
    "{name: broken, type: string, sql: 'a b c'}",
    "{name: loop, type: string, sql: '{loop}'}",
    "{name: odd, type: number, sql: x, colour: red}",
    "{name: lost, type: string, sql: '{e.city}'}",
)
JOINS = (
    "{name: b, relationship: many_to_one, sql: '{CUBE}.b_id = {b}.id'}",
    "{name: second, cube: b, relationship: many_to_one, sql: '{CUBE}.other = {second}.id'}",
    "{name: c, relationship: many_to_one, sql: '{CUBE}.c_id = {c}.id'}",
)
VIEWS = (
    "{name: v, cubes: [{join_path: a, includes: '*'}]}",
    "{name: v, cubes: [{join_path: a.b, includes: [city, id]}], view_group: g}",
    "{name: v, cubes: [{join_path: a.second, includes: [city]}], folders: [{name: F, includes: '*'}]}",
)
MORE_VIEWS = (
    "{name: w, extends: v, filters: [{member: city, operator: set}]}",
    "{name: x, cubes: [{join_path: c, includes: '*', split: true}, {join_path: d, includes: '*'}]}",
)


def write_cube(name: str, chance: random.Random) -> str:
    lines = [f"cubes:\n  - name: {name}"]
    if chance.random() < 0.15 and name == "d":
        lines.append("    extends: c")
    lines.append(ALWAYS.strip("\n"))
    if name != "b":
        lines += [f"      - {item}" for item in DIMENSIONS if chance.random() < 0.4]
    elif chance.random() < 0.8:
        lines.append(f"      - {DIMENSIONS[0]}")
    if chance.random() < 0.1:
        lines.append(f"      - {chance.choice(WRONG)}")
    if name in {"a", "d"}:
        lines += ["    joins:", *(f"      - {item}" for item in JOINS)]
    elif name == "c":
        lines += ["    joins:", *(f"      - {item}" for item in JOINS[:2])]
    return "\n".join(lines) + "\n"


def edit(folder: Path, chance: random.Random) -> None:
    """Write, change or remove one file."""
    match chance.randrange(8):
        case 0:
            chosen = [chance.choice(VIEWS)]
            chosen += [item for item in MORE_VIEWS if chance.random() < 0.5]
            text = "views:\n" + "".join(f"  - {item}\n" for item in chosen)
            (folder / "views.yml").write_text(text)
        case 1 if chance.random() < 0.3:
            (folder / f"{chance.choice(CUBES[1:])}.yml").unlink(missing_ok=True)
        case 2:
            path = folder / f"{chance.choice(CUBES)}.yml"
            if path.exists():
                path.write_text("# a comment moves everything\n" + path.read_text())
        case _:
            name = chance.choice(CUBES)
            (folder / f"{name}.yml").write_text(write_cube(name, chance))


def outcome(load: object) -> Catalog | list[Problem]:
    assert callable(load)
    try:
        catalog = load()
    except ModelError as invalid:
        return list(invalid.problems)
    assert isinstance(catalog, Catalog)
    return catalog


@pytest.mark.parametrize("seed", range(12))
def test_loading_again_after_random_edits_equals_loading_afresh(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    for name in CUBES:
        (tmp_path / f"{name}.yml").write_text(write_cube(name, chance))
    loader = ModelLoader(tmp_path)
    for _ in range(25):
        for _ in range(chance.randint(1, 3)):
            edit(tmp_path, chance)
        again = outcome(loader.load)
        afresh = outcome(lambda: load_catalog(tmp_path))
        assert again == afresh


def test_a_cube_that_nothing_touched_stays_the_same_object(tmp_path: Path) -> None:
    """Else a reload would cost as much as the first load."""
    cube = "cubes:\n  - {{name: {0}, sql_table: t, measures: [{{name: count, type: count{1}}}]}}\n"
    for name in CUBES:
        (tmp_path / f"{name}.yml").write_text(cube.format(name, ""))
    loader = ModelLoader(tmp_path)
    before = loader.load()
    (tmp_path / "b.yml").write_text(cube.format("b", ", title: Number"))
    after = loader.load()
    assert [before.cubes[name] is after.cubes[name] for name in CUBES] == [True, False, True, True]
    assert after.cubes["b"].measures["count"].short_title == "Number"
    assert after.version != before.version


def test_a_folder_that_cannot_be_listed_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "a.yml").write_text("cubes: []\n")

    def refuse(path: str, *, real: object = __import__("os").scandir) -> object:
        if path.endswith("hidden"):
            raise PermissionError(13, "Permission denied")
        assert callable(real)
        return real(path)

    monkeypatch.setattr("semantic.catalog.load.os.scandir", refuse)
    (problem,) = outcome(lambda: load_catalog(tmp_path))  # type: ignore[misc]
    assert problem.code == "unreadable_file"
