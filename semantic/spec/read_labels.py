"""Keys that named things share: labels, formats, currencies, aliases."""

from __future__ import annotations

import re
from collections.abc import Callable

from semantic.spec.cube import Labels
from semantic.spec.formats import is_number_format
from semantic.spec.reader import MappingReader
from semantic.spec.source import MappingNode, Node, ScalarNode

_CURRENCY = re.compile(r"[A-Za-z]{3}\Z")


def read_labels(reader: MappingReader, *, extended: bool = False) -> Labels:
    """Take the keys that every named thing may have.

    `extended`: something under `meta.ducat` is read elsewhere; else it would be ignored.
    """
    if not extended:
        refuse_extension(reader)
    return Labels(
        title=reader.text("title"),
        description=reader.text("description"),
        public=reader.flag("public", "shown"),
        meta=reader.mapping("meta"),
    )


def find_extension(reader: MappingReader) -> Node | None:
    """Return what stands under `meta.ducat`, or None; `meta` is left to be taken."""
    meta = reader.peek("meta")
    if not isinstance(meta, MappingNode) or "ducat" not in meta.entries:
        return None
    return meta.entries["ducat"][1]


def refuse_extension(reader: MappingReader) -> None:
    """Report what stands under `meta.ducat` where nothing reads it."""
    found = find_extension(reader)
    if found is not None:
        reader.report(
            "unknown_key",
            f"`meta` of {reader.what} has no key `ducat`",
            found.span,
            "alerts stand beside a measure of a cube",
        )


def read_aliases(reader: MappingReader) -> tuple[str, ...]:
    """Take `aliases`: other names that people know a member by."""
    return tuple(text.value for text in reader.texts("aliases") or ())


def any_format(value: str) -> bool:
    """Return whether `value` is a format of a measure that is no number."""
    return "%" in value or is_number_format(value)


def read_format(reader: MappingReader, accepts: Callable[[str], bool]) -> str | None:
    """Take `format`, when the type accepts it."""
    node = reader.take("format")
    if node is None:
        return None
    if isinstance(node, MappingNode):
        inner = MappingReader(node, f"`format` of {reader.what}", reader.problems)
        kind, label = inner.text("type"), inner.text("label")
        inner.finish()
        if kind != "link" or label is None or not accepts("link"):
            inner.report("invalid_value", f"{inner.what} is `type: link` with a `label`, for text")
            return None
        return "link"
    if isinstance(node, ScalarNode) and accepts(node.value):
        return node.value
    reader.report(
        "invalid_value",
        f"`format` of {reader.what} is not one that its type can have",
        node.span,
        "use number_0, percent_1, currency_2, abbr, id, a d3-format, or link and imageUrl "
        "for text, strftime for times",
    )
    return None


def read_link_label(reader: MappingReader) -> str | None:
    """Return the label of `format: {type: link, label}`; what is wrong with it, `format` reports."""
    entry = reader.node.entries.get("format")
    if entry is None or not isinstance(entry[1], MappingNode):
        return None
    label = entry[1].entries.get("label")
    return label[1].value if label and isinstance(label[1], ScalarNode) else None


def read_currency(reader: MappingReader, *, numeric: bool) -> str | None:
    """Take `currency`."""
    value = reader.text("currency")
    if value is None:
        return None
    if not numeric:
        reader.report("invalid_value", f"{reader.what} is no number: it has no currency")
    elif not _CURRENCY.match(value):
        reader.report("invalid_value", f"`{value}` is no ISO 4217 currency", None, "write USD")
    return value.upper()
