"""References that are calls: FILTER_PARAMS, FILTER_GROUP, SQL_UTILS, contexts, `cube.sql()`.

What stands in the braces has the syntax of a Python expression, as in Cube's YAML, and is read as
one by `ast`, never run: attribute chains, calls with one text or lambda, f-strings of the lambda's
parameters, and nothing else.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final

CONTEXT_NAMES: Final = (
    "FILTER_PARAMS", "FILTER_GROUP", "SECURITY_CONTEXT", "COMPILE_CONTEXT", "SQL_UTILS",
)  # fmt: skip
_CLOSINGS: Final = 40
_MAXIMUM: Final = 4_000
_CLAIMS: Final = frozenset({"securityContext", "security_context"})
_BACKTICKS: Final = re.compile(r"`([^`\n]*)`")


@dataclass(frozen=True, slots=True)
class SourceReference:
    """`{cube.sql()}`."""

    cube: str


@dataclass(frozen=True, slots=True)
class FilterReference:
    """`FILTER_PARAMS.cube.member.filter(...)`; in `template` a number is a lambda's parameter."""

    cube: str
    member: str
    template: tuple[str | int, ...]
    is_lambda: bool


@dataclass(frozen=True, slots=True)
class FilterGroupReference:
    """`FILTER_GROUP(...)`."""

    filters: tuple[FilterReference, ...]


@dataclass(frozen=True, slots=True)
class LocalTimeReference:
    """`SQL_UTILS.convertTz(...)` of an expression."""

    sql: str


@dataclass(frozen=True, slots=True)
class ContextReference:
    """A claim of the caller: a path into the security context."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextFilterReference:
    """`SECURITY_CONTEXT.a.filter('column')`: the column equals the caller's claim."""

    path: tuple[str, ...]
    column: str


ContextCall = (
    SourceReference
    | FilterReference
    | FilterGroupReference
    | LocalTimeReference
    | ContextReference
    | ContextFilterReference
)


class _RefusedError(ValueError):
    """What stands in the braces is no call that is known."""


def is_call(text: str, position: int) -> bool:
    """Whether the braces that open at `position` hold a call or a context."""
    inside = text[position + 1 : position + 1 + 40].lstrip()
    if inside.startswith(CONTEXT_NAMES):
        return True
    close = text.find("}", position)
    return close >= 0 and text[position + 1 : close].rstrip().endswith(".sql()")


def read_call(text: str, position: int) -> tuple[ContextCall, int] | str:
    """Return what the braces hold and where they end, or what is wrong."""
    close = position
    for _ in range(_CLOSINGS):
        close = text.find("}", close + 1)
        if close < 0 or close - position > _MAXIMUM:
            break
        try:
            inside = _BACKTICKS.sub(lambda found: repr(found[1]), text[position + 1 : close])
            tree = ast.parse(inside.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        try:
            return _read(tree.body), close + 1
        except _RefusedError as refused:
            return str(refused)
    return f"`{text[position : position + 60]}` is not closed, or no expression"


def _read(node: ast.expr) -> ContextCall:
    match node:
        case ast.Call(func=ast.Name(id="FILTER_GROUP"), args=args, keywords=[]):
            filters = tuple(_read(argument) for argument in args)
            found = tuple(item for item in filters if isinstance(item, FilterReference))
            if not found or len(found) < len(filters):
                raise _RefusedError("FILTER_GROUP takes FILTER_PARAMS, and nothing else")
            return FilterGroupReference(found)
        case ast.Call(func=ast.Attribute() as function, args=args, keywords=[]):
            return _read_method(_chain(function), args)
        case ast.Attribute() | ast.Subscript():
            path = _chain(node)
            if path[0] == "COMPILE_CONTEXT" and len(path) > 2 and path[1] in _CLAIMS:  # noqa: PLR2004
                return ContextReference(path[2:])
            if path[0] == "SECURITY_CONTEXT" and len(path) > 1:
                return ContextReference(path[1:])
    raise _RefusedError("it is no reference that is known")


def _read_method(path: tuple[str, ...], args: list[ast.expr]) -> ContextCall:
    *owner, method = path
    match owner, method, args:
        case [cube], "sql", []:
            return SourceReference(cube)
        case ["FILTER_PARAMS", cube, member], "filter", [argument]:
            template, is_lambda = _template(argument)
            return FilterReference(cube, member, template, is_lambda)
        case ["SQL_UTILS"], "convertTz" | "convert_tz", [argument]:
            return LocalTimeReference(_sql(argument))
        case ["SECURITY_CONTEXT", *rest], "filter", [ast.Constant(value=str() as column)] if rest:
            return ContextFilterReference(tuple(rest), column)
        case ["SECURITY_CONTEXT", *_], "unsafeValue" | "unsafe_value", []:
            raise _RefusedError("unsafeValue puts a claim into SQL as text: use filter('column')")
        case _:
            raise _RefusedError("it is no call that is known")


def _chain(node: ast.expr) -> tuple[str, ...]:
    names: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=value, attr=name):
                names.append(name)
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)):
                names.append(name)
            case _:
                break
        node = value
    if not isinstance(node, ast.Name):
        raise _RefusedError("a reference is names with dots between them")
    return (node.id, *reversed(names))


def _sql(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(piece) for piece in _pieces(node, []))
    return f"{{{'.'.join(_chain(node))}}}"


def _template(node: ast.expr) -> tuple[tuple[str | int, ...], bool]:
    match node:
        case ast.Constant(value=str() as column):
            return (column,), False
        case ast.JoinedStr():
            return tuple(_pieces(node, [])), False
        case ast.Lambda(args=arguments, body=body):
            plain = not (arguments.defaults or arguments.kwonlyargs or arguments.vararg)
            if not plain or arguments.kwarg or arguments.posonlyargs:
                raise _RefusedError("a lambda has plain parameters only")
            names = [item.arg for item in arguments.args]
            return tuple(_pieces(body, names)), True
        case _:
            raise _RefusedError("filter() takes a column's name, or a lambda")


def _pieces(node: ast.expr, names: list[str]) -> list[str | int]:
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.Name(id=name) if name in names:
            return [names.index(name)]
        case ast.JoinedStr(values=values):
            return [piece for value in values for piece in _pieces(value, names)]
        case ast.FormattedValue(value=ast.Attribute() as value, conversion=-1, format_spec=None):
            return [f"{{{'.'.join(_chain(value))}}}"]
        case ast.FormattedValue(value=ast.Name(id=name), conversion=-1, format_spec=None) if (
            name not in names
        ):
            return [f"{{{name}}}"]
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _pieces(value, names)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*_pieces(left, names), *_pieces(right, names)]
        case _:
            raise _RefusedError("a lambda puts texts and its parameters together, nothing else")
