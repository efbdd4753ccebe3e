"""Contract files, read strictly: every problem with file, line and column, all of them at once.

What may stand in a file is in `quality/promise.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from quality.consistency import Locate, Steps, check_alone, check_together
from quality.errors import ContractError
from quality.promise import CONTRACT, Column, Contract, Freshness, PerDay, Rows
from semantic.errors import Problem, Span, suggest

__all__ = ["Contract", "load_contracts"]

_MAX_BYTES: Final = 1_000_000
_MAX_DEPTH: Final = 20
_KEYS: Final = {
    (): Contract,
    ("rows",): Rows,
    ("rows", "per_day"): PerDay,
    ("freshness",): Freshness,
    ("columns", 0): Column,
}


def load_contracts(folder: Path) -> tuple[Contract, ...]:
    """Return the contracts of all `*.yml` files of a folder, in the order of their file names.

    Raises:
        ContractError: something is wrong in the files; names each problem and its place. A folder
            without contracts is one too: a gate without contracts would let everything pass.
    """
    paths = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    if not paths:
        message = f"{folder} has no contract (*.yml)"
        raise ContractError([Problem("no_contracts", message)])
    problems: list[Problem] = []
    read: list[tuple[Contract, Locate]] = []
    for path in paths:
        try:
            read.append(_read_file(path, f"{folder.name}/{path.name}"))
        except ContractError as wrong:
            problems += wrong.problems
    for contract, locate in read:
        problems += check_alone(contract, locate)
    # A file that could not be read may hold the table that another one refers to.
    problems += check_together(read, complete=len(read) == len(paths))
    if problems:
        raise ContractError(problems)
    return tuple(contract for contract, _ in read)


def _read_file(path: Path, name: str) -> tuple[Contract, Locate]:
    yaml = YAML(typ="safe", pure=True)
    try:
        content = path.read_bytes()
        if len(content) > _MAX_BYTES:
            raise ContractError([Problem("contract_syntax", f"{name} is larger than 1 MB")])
        text = content.decode()
        _refuse_tricks(text, name)
        node = yaml.compose(text)
        document = YAML(typ="safe", pure=True).load(text)
    except (OSError, UnicodeDecodeError) as unreadable:
        problem = Problem("contract_syntax", f"{name} cannot be read: {unreadable}")
        raise ContractError([problem]) from unreadable
    except (YAMLError, ValueError) as malformed:
        raise ContractError([_describe_yaml(malformed, name)]) from malformed

    def locate(path: Steps) -> Span:
        return _find(node, path, name)

    if not isinstance(document, dict):
        raise ContractError([Problem("contract_syntax", "not a mapping", Span(name, 1, 1))])
    try:
        return CONTRACT.validate_python(document), locate
    except ValidationError as invalid:
        problems = sorted(_describe(invalid, locate), key=_order)
        raise ContractError(problems) from invalid


def _refuse_tricks(text: str, name: str) -> None:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent)
        depth -= isinstance(event, CollectionEndEvent)
        if isinstance(event, AliasEvent) or depth > _MAX_DEPTH:
            what = "aliases are not read" if isinstance(event, AliasEvent) else "nested too deeply"
            mark = event.start_mark
            span = Span(name, mark.line + 1, mark.column + 1)
            raise ContractError([Problem("contract_syntax", what, span)])


def _describe_yaml(malformed: Exception, name: str) -> Problem:
    if isinstance(malformed, MarkedYAMLError) and malformed.problem_mark is not None:
        mark = malformed.problem_mark
        span = Span(name, mark.line + 1, mark.column + 1)
        return Problem("contract_syntax", str(malformed.problem), span)
    return Problem("contract_syntax", str(malformed).splitlines()[0], Span(name, 1, 1))


def _find(root: Node | None, path: Steps, file: str) -> Span:
    """Return where a path leads; as far as it leads, when it names something that is not there."""
    place, node = root, root
    for step in path:
        if isinstance(node, MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == step), None)
            if pair is None:
                break
            place, node = pair
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            place = node = node.value[step]
        else:
            break
    if place is None:
        return Span(file, 1, 1)
    return Span(file, place.start_mark.line + 1, place.start_mark.column + 1)


def _describe(invalid: ValidationError, locate: Locate) -> Iterator[Problem]:
    seen: set[Span] = set()
    errors = invalid.errors()
    for error in errors:
        path = error["loc"]
        span = locate(path)
        match error["type"]:
            case "unexpected_keyword_argument" | "extra_forbidden":
                hint = suggest(str(path[-1]), _known_keys(path[:-1]))
                yield Problem("unknown_key", f"unknown key {path[-1]}", span, hint)
            case "missing":
                yield Problem("missing_key", f"{path[-1]} is missing", span)
            case "too_short" if any(
                other["loc"][: len(path)] == path != other["loc"] for other in errors
            ):
                pass  # its items were all invalid, which is said of each of them
            case _ if span not in seen:
                # A union complains once for each of its branches; the first says enough.
                seen.add(span)
                text = error["msg"].removeprefix("Value error, ")
                yield Problem("invalid_value", f"{_spell(path)}: {text}", span)
            case _:
                pass


def _order(problem: Problem) -> tuple[int, int]:
    return (problem.span.line, problem.span.column) if problem.span else (0, 0)


def _known_keys(path: Steps) -> Sequence[str]:
    shape = tuple(0 if isinstance(step, int) else step for step in path)
    return tuple(field.name for field in fields(_KEYS[shape])) if shape in _KEYS else ()


def _spell(path: Steps) -> str:
    words = [str(step + 1) if isinstance(step, int) else step for step in path]
    return ".".join(word for word in words if word.islower() or word.isdigit()) or "the file"
