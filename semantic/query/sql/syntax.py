"""What a SELECT says, as it is written: names and values without meaning yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Comparison = Literal["=", "<>", "<", "<=", ">", ">="]
LiteralKind = Literal["text", "number", "boolean", "null", "date", "timestamp", "instant"]


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name; `quoted` names mean themselves, others ignore case."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class ColumnName:
    """`column`, `table.column` or `schema.table.column`."""

    parts: tuple[Identifier, ...]

    @property
    def last(self) -> Identifier:
        """The name of the column itself."""
        return self.parts[-1]

    def __str__(self) -> str:
        return ".".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value. `date`, `timestamp` and `instant` (with time zone) are text with a declared type."""

    kind: LiteralKind
    text: str

    def __str__(self) -> str:
        return f"'{self.text}'" if self.kind == "text" else self.text


@dataclass(frozen=True, slots=True)
class Star:
    """`*`."""

    def __str__(self) -> str:
        return "*"


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `function` is in capitals."""

    function: str
    arguments: tuple[Expression, ...]
    distinct: bool = False

    def __str__(self) -> str:
        listed = ", ".join(describe(argument) for argument in self.arguments)
        return f"{self.function}({'DISTINCT ' * self.distinct}{listed})"


@dataclass(frozen=True, slots=True)
class CastTo:
    """`CAST(expression AS type)` or `expression::type`; the type in capitals."""

    expression: Expression
    type: str


@dataclass(frozen=True, slots=True)
class Compared:
    """`left operator right`."""

    operator: Comparison
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class InList:
    """`operand [NOT] IN (values)`."""

    operand: Expression
    values: tuple[Expression, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Between:
    """`operand [NOT] BETWEEN low AND high`, both inclusive."""

    operand: Expression
    low: Expression
    high: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class Like:
    """`operand [NOT] LIKE pattern [ESCAPE character]`; ILIKE is `insensitive`."""

    operand: Expression
    pattern: str
    escape: str
    insensitive: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class Is:
    """`operand IS [NOT] NULL`, TRUE or FALSE (`value` None, True, False)."""

    operand: Expression
    value: bool | None
    negated: bool


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression


Expression: TypeAlias = (
    ColumnName
    | Constant
    | Star
    | Call
    | CastTo
    | Compared
    | InList
    | Between
    | Like
    | Is
    | And
    | Or
    | Not
)


@dataclass(frozen=True, slots=True)
class Item:
    """One column of the SELECT list."""

    expression: Expression
    alias: Identifier | None = None


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of ORDER BY."""

    expression: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True)
class TableName:
    """`FROM table` or `FROM schema.table`, under its alias."""

    parts: tuple[Identifier, ...]
    alias: Identifier | None = None

    @property
    def last(self) -> Identifier:
        """The name of the table itself."""
        return self.parts[-1]


@dataclass(frozen=True, slots=True)
class Select:
    """A SELECT statement."""

    items: tuple[Item, ...]
    source: TableName | Select
    distinct: bool = False
    where: Expression | None = None
    group: tuple[Expression, ...] = ()
    having: Expression | None = None
    order: tuple[SortKey, ...] = ()
    limit: int | None = None
    offset: int = 0


def describe(expression: Expression) -> str:
    """Return the expression as a message shows it; what is long is only named."""
    match expression:
        case ColumnName() | Constant() | Call() | Star():
            return str(expression)
        case CastTo():
            return f"CAST({describe(expression.expression)} AS {expression.type})"
        case _:
            return "a condition"
