"""Jinja in model files: rendered in a sandbox, with no variables and a budget of work.

A template may build YAML by loops, macros and filters. It sees no environment, no files and no
clock: the same text always renders to the same model. The budget (loop steps, size of the output,
no padding) stops accidents; who may write a model may also write SQL, and is trusted that far. (Cube's Python functions and
`COMPILE_CONTEXT` are not offered.)
"""

from __future__ import annotations

from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAXIMUM_RENDERED: Final = 2_000_000
MAXIMUM_STEPS: Final = 200_000
# They pad to a width: a few characters of template would make gigabytes of text.
_PADDING: Final = frozenset(
    {"center", "ljust", "rjust", "zfill", "format", "format_map", "expandtabs", "indent"}
)


class TemplateProblem(Exception):  # noqa: N818 - becomes a Problem, is never shown as an error
    """The template does not render; `line` is where, 1 when unknown."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
        self._steps = 0
        self.globals = {"range": self._range, "dict": dict}
        self.filters = {name: use for name, use in self.filters.items() if name not in _PADDING}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse what the sandbox refuses, and methods that pad."""
        return attr not in _PADDING and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse products that make long texts, lists or numbers out of short ones."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if not numbers or (operator == "**" and abs(right) > 64):  # noqa: PLR2004 - 64 bits
            message = f"`{operator}` is for numbers of ordinary size here"
            raise SecurityError(message)
        return super().call_binop(context, operator, left, right)

    def _range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        self._steps += len(numbers) + 1
        if self._steps > MAXIMUM_STEPS:
            message = f"the loops take more than {MAXIMUM_STEPS:,} steps"
            raise SecurityError(message)
        return numbers


def is_template(text: str) -> bool:
    """Return whether the text has Jinja in it."""
    return "{{" in text or "{%" in text or "{#" in text


def render_template(text: str) -> str:
    """Return the rendered text.

    Raises:
        TemplateProblem: a syntax error, an unknown name, or more work than is allowed.
    """
    try:
        template = _Environment().from_string(text)
        pieces: list[str] = []
        size = 0
        for piece in template.generate():
            pieces.append(piece)
            size += len(piece)
            if size > MAXIMUM_RENDERED:
                message = f"the template renders to more than {MAXIMUM_RENDERED:,} characters"
                raise TemplateProblem(message)
        return "".join(pieces)
    except TemplateSyntaxError as invalid:
        raise TemplateProblem(str(invalid.message), invalid.lineno) from invalid
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as failed:
        raise TemplateProblem(str(failed) or type(failed).__name__) from failed
    except (AttributeError, MemoryError, RecursionError) as failed:
        raise TemplateProblem(f"{type(failed).__name__} while rendering") from failed
