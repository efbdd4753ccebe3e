"""GraphQL: a question as a document of `cube { ... }`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.matrix.doors.door import Kinds, Unspeakable, list_columns, read_part
from tests.matrix.question import Answer, Kind, Part, Question, Value
from tests.unit.api.conftest import Server

LISTS: Final = frozenset(
    {"contains", "notContains", "startsWith", "notStartsWith", "endsWith", "notEndsWith",
     "inDateRange", "notInDateRange"}
)  # fmt: skip
MANY: Final = {"equals": "in", "notEquals": "notIn", "in": "in", "notIn": "notIn"}
ARGUMENTS: Final = ("limit", "offset", "timezone", "total", "ungrouped")


class GraphQL:
    """`POST /graphql`."""

    name = "graphql"

    def __init__(self, server: Server, kinds: Kinds) -> None:
        self._server = server
        self._kinds = kinds

    def ask(self, question: Question) -> Answer:
        """Ask one document; several date ranges are one `cube` field."""
        text = spell(question, self._kinds)
        response = self._server.client.post("/graphql", json={"query": text})
        body = json.loads(response.text, parse_float=Decimal)
        assert "errors" not in body, (text, body)
        columns = list_columns(question.document)
        answers = body["extensions"]["ducat"]
        total = answers["cube"].get("total") if "cube" in answers else None
        rows = body["data"]["cube"]
        if question.compared is None:
            return Answer((self._part(columns, rows, total, question),))
        labels = list(dict.fromkeys(row["compareDateRange"] for row in rows))
        return Answer(
            tuple(
                self._part(
                    columns,
                    [row for row in rows if row["compareDateRange"] == label],
                    None,
                    question,
                )
                for label in labels
            )
        )

    def _part(
        self, columns: list[str], rows: list[Any], total: int | None, question: Question
    ) -> Part:
        found = [
            [self._read(_find(row, name), name, question.zone) for name in columns] for row in rows
        ]
        return read_part(columns, found, self._kinds, total)

    def _read(self, cell: Any, name: str, zone: str) -> Any:
        """Return a time as the wall clock of the query shows it; measures are in UTC."""
        if cell is None or self._kinds[name] != "time":
            return cell
        assert cell.endswith("Z"), cell
        instant = datetime.fromisoformat(cell)
        is_measure = name.count(".") == 1 and name.endswith("latest")
        return instant.astimezone(UTC if is_measure else ZoneInfo(zone)).replace(tzinfo=None)

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Times are instants, in milliseconds: one that clocks skip is that at which they moved."""
        del kind, column
        if not isinstance(value, datetime):
            return value
        shown = value.replace(microsecond=value.microsecond // 1000 * 1000)
        there = shown.replace(tzinfo=ZoneInfo(zone))
        back = there.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        return shown if back == shown else _next_moment(shown, ZoneInfo(zone))

    def try_words(self, words: str) -> object:
        """Ask a document."""
        body = self._server.client.post("/graphql", json={"query": words}).json()
        return None if body.get("errors") else body

    def close(self) -> None:
        """Nothing is open."""


def _next_moment(skipped: datetime, zone: ZoneInfo) -> datetime:
    """Return the wall clock just after the clocks moved over a time."""
    before = skipped.replace(tzinfo=zone, fold=0).utcoffset()
    after = skipped.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None
    assert after is not None
    # The gap is as long as the offsets differ; its end is the first time that exists again.
    low, high = skipped - abs(after - before), skipped + abs(after - before)
    while (high - low).total_seconds() > 1:
        middle = low + (high - low) / 2
        there = middle.replace(tzinfo=zone)
        real = there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == middle
        if real and middle > skipped:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


def _find(row: Mapping[str, Any], name: str) -> Any:
    owner, member, *cut = name.split(".")
    cell = row[owner][member]
    if isinstance(cell, dict):
        return cell[cut[0] if cut else "value"]
    return cell


def spell(question: Question, kinds: Kinds) -> str:
    """Return the document that asks a question.

    Raises:
        Unspeakable: GraphQL has no words for it.
    """
    document = question.document
    where = [
        _condition(item["dimension"], "inDateRange", _ends(item["dateRange"]), kinds)
        for item in document.get("timeDimensions", ())
        if "dateRange" in item
    ]
    where += [_spell_filter(item, kinds) for item in document.get("filters", ())]
    arguments = [f"{name}: {json.dumps(document[name])}" for name in ARGUMENTS if name in document]
    if where:
        arguments.append(f"where: {{ AND: [{', '.join(where)}] }}")
    if "order" in document:
        arguments.append(_spell_order(document["order"]))
    selected = _spell_selection(document, kinds)
    if question.compared is not None:
        dimension, ranges = question.compared
        written = json.dumps([_ends(item) for item in ranges])
        arguments.append(
            f"compareDateRange: {{ dimension: {json.dumps(dimension)}, ranges: {written} }}"
        )
        selected.append("compareDateRange")
    given = f"({', '.join(arguments)})" if arguments else ""
    return f"{{ cube{given} {{ {' '.join(selected)} }} }}"


def _ends(chosen: str | list[str]) -> list[str]:
    return [chosen] if isinstance(chosen, str) else chosen


def _spell_selection(document: dict[str, Any], kinds: Kinds) -> list[str]:
    fields: dict[str, list[str]] = {}
    cuts: dict[str, list[str]] = {}
    for name in document.get("dimensions", ()):
        if kinds[name] == "time":
            cuts.setdefault(name, []).append("value")
        else:
            _add(fields, name)
    for item in document.get("timeDimensions", ()):
        if "granularity" in item:
            cuts.setdefault(item["dimension"], []).append(item["granularity"])
    for name, parts in cuts.items():
        _add(fields, name, f" {{ {' '.join(dict.fromkeys(parts))} }}")
    for item in document.get("measures", ()):
        _add_measure(fields, item, document.get("compare"))
    segments: dict[str, list[str]] = {}
    for name in document.get("segments", ()):
        owner, _, short = name.partition(".")
        segments.setdefault(owner, []).append(short)
    return [
        owner
        + (f"(segments: [{', '.join(segments[owner])}])" if owner in segments else "")
        + f" {{ {' '.join(names)} }}"
        for owner, names in fields.items()
    ]


def _add_measure(fields: dict[str, list[str]], item: Any, compare: dict[str, Any] | None) -> None:
    if isinstance(item, str):
        _add(fields, item)
        if compare is None:
            return
        owner, _, short = item.partition(".")
        for show in compare["show"]:
            given = f"compareTo: {json.dumps(compare['to'])}, show: {show}"
            fields[owner].append(f"{short}__{show}: {short}({given})")
        return
    owner, _, short = item["measure"].partition(".")
    given = f"shift: {json.dumps(item['shift'])}"
    fields.setdefault(owner, []).append(f"{item['as']}: {short}({given})")


def _add(fields: dict[str, list[str]], name: str, below: str = "") -> None:
    owner, _, short = name.partition(".")
    fields.setdefault(owner, []).append(short + below)


def _spell_order(order: list[list[str]]) -> str:
    keys: dict[str, list[str]] = {}
    for name, way in order:
        owner, _, short = name.partition(".")
        keys.setdefault(owner, []).append(f"{short}: {way}")
    inner = ", ".join(f"{owner}: {{ {', '.join(items)} }}" for owner, items in keys.items())
    return f"orderBy: {{ {inner} }}"


def _spell_filter(item: dict[str, Any], kinds: Kinds) -> str:
    for word in ("and", "or"):
        if word in item:
            parts = ", ".join(_spell_filter(part, kinds) for part in item[word])
            return f"{{ {word.upper()}: [{parts}] }}"
    return _condition(item["member"], item["operator"], item.get("values", []), kinds)


def _condition(name: str, operator: str, values: list[Any], kinds: Kinds) -> str:
    if operator == "measureFilter":
        raise Unspeakable("the rows that a measure counts")
    owner, _, short = name.partition(".")
    if operator in {"set", "notSet"}:
        written = f"set: {json.dumps(operator == 'set')}"
    elif operator == "onTheDate":
        written = f"inDateRange: {json.dumps(values)}"
    elif operator in MANY and (len(values) > 1 or operator in {"in", "notIn"}):
        written = f"{MANY[operator]}: [{', '.join(_literal(item, kinds[name]) for item in values)}]"
    elif operator in LISTS:
        written = f"{operator}: [{', '.join(_literal(item, kinds[name]) for item in values)}]"
    else:
        (value,) = values
        written = f"{operator}: {_literal(value, kinds[name])}"
    return f"{{ {owner}: {{ {short}: {{ {written} }} }} }}"


def _literal(value: Any, kind: Kind) -> str:
    if value is None:
        return "null"
    return value if kind == "number" else json.dumps(value, ensure_ascii=False)
