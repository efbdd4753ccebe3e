"""Conversions to SQL."""

from __future__ import annotations

from semantic.compile.windows import Places
from semantic.compile.writer import Writer
from semantic.errors import InternalError
from semantic.plan.nodes import Conversions


def write_conversions(places: Places, writer: Writer, relation: Conversions) -> str:
    """Return the SELECT of a conversion measure."""
    del places, writer
    raise InternalError(relation.measure.name)
