"""The semantic layer. `from semantic import connect` asks metrics in notebooks and scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semantic.notebook import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    """Import what notebooks use when it is asked for: most importers of this package need none."""
    if name == "connect":
        from semantic.notebook import connect  # noqa: PLC0415

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
