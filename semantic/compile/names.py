"""Names and literals, quoted. Values of callers never come here: they are bound."""

from __future__ import annotations


def quote_name(name: str) -> str:
    """Return an identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text literal; for texts of the model and checked names, not of callers."""
    return "'" + text.replace("'", "''") + "'"


def group_name(index: int) -> str:
    """Return what a stage calls its group column number `index`."""
    return f"_group{index}"


def value_name(index: int) -> str:
    """Return what a stage calls its measure number `index`."""
    return f"_value{index}"


PRESENT = "_present"
"""A column that is true in each row of a relation; null where a LEFT JOIN found none."""
