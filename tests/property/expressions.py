"""The little language of the random models: written into the YAML, and evaluated here by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, assert_never

from tests.property.values import (
    Joined,
    Value,
    compare,
    conjunction,
    disjunction,
    negation,
    truth,
)

Function = Literal["sum", "count", "avg", "min", "max", "count_distinct", "bool_or"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a cube's rows; `bare` leaves the cube out."""

    cube: str
    name: str
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A dimension or measure of a cube; `bare` leaves the cube out."""

    cube: str
    name: str
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    value: Value


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function over its operands."""

    name: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate over the rows of a group; without operand it counts rows."""

    function: Function
    operand: Expression | None


Expression = Column | Member | Constant | Call | Aggregate
_SIGNS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_INFIX = _SIGNS | {"+", "-", "*", "/", "||", "and", "or"}


def call(name: str, *operands: Expression) -> Call:
    """Return a call."""
    return Call(name, operands)


def write_sql(item: Expression, own: str) -> str:
    """Return the snippet that stands in the YAML of the cube `own`."""
    match item:
        case Column():
            if item.bare and item.cube == own:
                return item.name
            return f"{{{'CUBE' if item.cube == own else _short(item.cube)}}}.{item.name}"
        case Member():
            if item.bare and item.cube == own:
                return f"{{{item.name}}}"
            return f"{{{'CUBE' if item.cube == own else _short(item.cube)}.{item.name}}}"
        case Constant():
            return write_literal(item.value)
        case Aggregate():
            return _write_aggregate(item, own)
        case Call():
            return _write_call(item, own)
        case _ as unreachable:
            assert_never(unreachable)


def _short(cube: str) -> str:
    """Return the name of a cube, or of the join that makes it a role."""
    return cube.rpartition(".")[2]


def _write_aggregate(item: Aggregate, own: str) -> str:
    if item.operand is None:
        return "count(*)"
    operand = write_sql(item.operand, own)
    if item.function == "count_distinct":
        return f"count(DISTINCT {operand})"
    return f"{item.function}({operand})"


def _write_call(item: Call, own: str) -> str:
    operands = [write_sql(part, own) for part in item.operands]
    if item.name == "/":
        return f"(1.0 * {operands[0]} / {operands[1]})"  # PostgreSQL divides integers whole
    if item.name in _INFIX:
        return "(" + f" {item.name.upper()} ".join(operands) + ")"
    match item.name:
        case "not":
            return f"(NOT {operands[0]})"
        case "is null" | "is not null":
            return f"({operands[0]} {item.name.upper()})"
        case _:
            return f"{item.name}({', '.join(operands)})"


def write_literal(value: Value) -> str:
    """Return a literal that DuckDB and PostgreSQL read alike."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            return f"({value})" if value < 0 else str(value)


def evaluate_row(item: Expression, row: Joined, members: Mapping[tuple[str, str], Any]) -> Value:
    """Return the value in one row. `members` holds the dimensions, as functions of a row."""
    match item:
        case Column():
            found = row[item.cube]
            return None if found is None else found[item.name]
        case Member():
            value: Value = members[item.cube, item.name](row)
            return value
        case Constant():
            return item.value
        case Call():
            return apply(item.name, [evaluate_row(part, row, members) for part in item.operands])
        case Aggregate():
            raise TypeError(item)
        case _ as unreachable:
            assert_never(unreachable)


def apply(name: str, values: Sequence[Value]) -> Value:
    """Return what a function gives."""
    match name:
        case "and":
            return conjunction(map(truth, values))
        case "or":
            return disjunction(map(truth, values))
        case "not":
            return negation(truth(values[0]))
        case "is null":
            return values[0] is None
        case "is not null":
            return values[0] is not None
        case "coalesce":
            return next((value for value in values if value is not None), None)
        case "nullif":
            return None if compare("=", values[0], values[1]) else values[0]
    if name in _SIGNS:
        return compare(name, values[0], values[1])
    return None if None in values else _calculate(name, values)


def _calculate(name: str, values: Sequence[Any]) -> Value:
    left, right = values
    if isinstance(left, float) or isinstance(right, float):
        left, right = float(left), float(right)
    found: Value
    match name:
        case "+":
            found = left + right
        case "-":
            found = left - right
        case "*":
            found = left * right
        case "/":
            found = float(left) / float(right)
        case "||":
            found = left + right
        case _:
            raise ValueError(name)
    return found


def aggregate(function: Function, values: Sequence[Value]) -> Value:
    """Return an aggregate of the values, of which nulls do not count."""
    found: list[Any] = [value for value in values if value is not None]
    if any(isinstance(value, float) for value in found):  # exact numbers and others, as SQL does
        found = [float(value) for value in found]
    match function:
        case "count":
            return len(found)
        case "count_distinct":
            return len(set(found))
        case "sum":
            return sum(found[1:], found[0]) if found else None
        case "avg":
            return float(Decimal(sum(found))) / len(found) if found else None
        case "min":
            return min(found) if found else None
        case "max":
            return max(found) if found else None
        case "bool_or":
            return any(found) if found else None
        case _ as unreachable:
            assert_never(unreachable)


def walk(item: Expression) -> Iterator[Expression]:
    """Yield the expression and all its parts, from left to right."""
    yield item
    match item:
        case Call():
            for part in item.operands:
                yield from walk(part)
        case Aggregate():
            if item.operand is not None:
                yield from walk(item.operand)
        case _:
            pass
