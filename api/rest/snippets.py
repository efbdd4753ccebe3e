"""SQL snippets of the model as their authors may write them: references in braces."""

from __future__ import annotations

from typing import assert_never

from semantic.catalog.catalog import (
    Argument,
    CaseExpression,
    ColumnReference,
    ContextValue,
    CubeSource,
    Expression,
    ExpressionPart,
    FilterGroup,
    FilterParameter,
    LocalTime,
    MemberReference,
    SwitchExpression,
)


def render_expression(
    expression: Expression | CaseExpression | SwitchExpression | None,
) -> str | None:
    """Return the text of a member's `sql` or `case`; None when it has none."""
    match expression:
        case None:
            return None
        case Expression():
            return _render(expression)
        case CaseExpression():
            branches = " ".join(
                f"WHEN {_render(branch.condition)} THEN {_label(branch.label)}"
                for branch in expression.branches
            )
            otherwise = expression.otherwise
            tail = f" ELSE {_label(otherwise)}" if otherwise is not None else ""
            return f"CASE {branches}{tail} END"
        case SwitchExpression():
            branches = " ".join(
                f"WHEN {', '.join(_quote(value) for value in branch.values)} "
                f"THEN {_render(branch.sql)}"
                for branch in expression.branches
            )
            rest = expression.otherwise
            tail = f" ELSE {_render(rest)}" if rest is not None else ""
            return f"CASE {_part(expression.switch)} {branches}{tail} END"
        case _ as unreachable:
            assert_never(unreachable)


def _render(expression: Expression) -> str:
    return "".join(_part(part) for part in expression.parts)


def _part(part: ExpressionPart) -> str:
    match part:
        case str():
            return part
        case ColumnReference():
            return f"{{{part.cube}}}"
        case MemberReference():
            # A role is named by its whole path already.
            tail = f".{part.granularity}" if part.granularity else ""
            return f"{{{part.cube}.{part.member}{tail}}}"
        case CubeSource():
            return f"{{{part.cube}.sql()}}"
        case FilterParameter():
            return f"{{{_parameter(part)}}}"
        case FilterGroup():
            return f"{{FILTER_GROUP({', '.join(_parameter(item) for item in part.parameters)})}}"
        case LocalTime():
            return f"{{SQL_UTILS.convertTz({_render(part.expression)})}}"
        case ContextValue():
            return f"{{COMPILE_CONTEXT.securityContext.{'.'.join(part.path)}}}"
        case _ as unreachable:
            assert_never(unreachable)


def _parameter(parameter: FilterParameter) -> str:
    texts = []
    for part in parameter.template:
        match part:
            case str():
                texts.append(part)
            case ColumnReference():
                texts.append(f"{{{part.cube}}}")
            case Argument():
                texts.append(f"{{{part.index}}}")
            case _ as unreachable:
                assert_never(unreachable)
    template = "".join(texts)
    return f"FILTER_PARAMS.{parameter.cube}.{parameter.member}.filter({_quote(template)})"


def _label(label: str | Expression) -> str:
    return _quote(label) if isinstance(label, str) else _render(label)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
