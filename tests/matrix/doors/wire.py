"""SQL over the Postgres wire: a question as SELECT statements, by psycopg, in text and in binary."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import psycopg

from tests.matrix.doors.door import Kinds, Unspeakable, list_columns, read_part
from tests.matrix.question import Answer, Kind, Part, Question, Value
from tests.matrix.site import Doors

TYPES: Final = {
    "number": (int, float, Decimal), "string": (str,), "boolean": (bool,), "time": (datetime, date),
}  # fmt: skip
SIGNS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
PATTERNS: Final = {"contains": "%{}%", "startsWith": "{}%", "endsWith": "%{}"}


class Wire:
    """A connection of psycopg 3."""

    def __init__(self, doors: Doors, kinds: Kinds, form: Literal["text", "binary"]) -> None:
        self.name = f"wire {form}"
        self._kinds = kinds
        self._binary = form == "binary"
        self._connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
            host="127.0.0.1", port=doors.wire_port, user="ann", password=doors.token,
            dbname="ducat", autocommit=True,
        )  # fmt: skip

    def ask(self, question: Question) -> Answer:
        """Ask a SELECT for each date range, and one for the total."""
        self._run(f"SET TIME ZONE '{question.zone}'")
        return Answer(tuple(self._ask(part) for part in question.parts))

    def _ask(self, document: dict[str, Any]) -> Part:
        text = spell(document, self._kinds)
        rows = self._run(text)
        total = None
        if document.get("total"):
            whole = {
                key: value for key, value in document.items() if key not in {"limit", "offset"}
            }
            ((total,),) = self._run(f"SELECT count(*) FROM ({spell(whole, self._kinds)}) t")
        columns = list_columns(document)
        for row in rows:
            for name, cell in zip(columns, row, strict=True):
                assert cell is None or isinstance(cell, TYPES[self._kinds[name]]), (name, cell)
        return read_part(columns, rows, self._kinds, total)

    def _run(self, text: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor(binary=self._binary) as cursor:
            cursor.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def see(self, value: Value, kind: Kind, column: str, zone: str) -> Value:
        """Everything is as it is."""
        del kind, column, zone
        return value

    def try_words(self, words: str) -> object:
        """Ask a statement."""
        try:
            return self._run(words)
        except psycopg.Error as refused:
            return None if refused.sqlstate not in {None, "XX000"} else refused

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def spell(document: dict[str, Any], kinds: Kinds) -> str:
    """Return the SELECT that asks one query.

    Raises:
        Unspeakable: SQL has no words for it.
    """
    measures = document.get("measures", [])
    owners = {name.partition(".")[0] for name in _members(document)}
    if len(owners) > 1:
        raise Unspeakable("members of two cubes")
    if "compare" in document or not all(isinstance(item, str) for item in measures):
        raise Unspeakable("measures of the query")
    is_rows = bool(document.get("ungrouped"))
    keys = _list_keys(document)
    named = [(name, _short(name) if is_rows else f"MEASURE({_short(name)})") for name in measures]
    where = [_short(name) for name in document.get("segments", ())]
    where += [
        _spell_range(_short(item["dimension"]), item["dateRange"])
        for item in document.get("timeDimensions", ())
        if "dateRange" in item
    ]
    having: list[str] = []
    for item in document.get("filters", ()):
        written, about = _spell_filter(item, kinds, set(measures))
        (having if about == "groups" else where).append(written)
    text = f"SELECT {', '.join(column for _, column in [*keys, *named])} FROM {owners.pop()}"
    text += f" WHERE {' AND '.join(where)}" if where else ""
    if keys and not is_rows:
        text += f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}"
    text += f" HAVING {' AND '.join(having)}" if having else ""
    return text + _spell_page(document, [name for name, _ in [*keys, *named]])


def _list_keys(document: dict[str, Any]) -> list[tuple[str, str]]:
    keys = [(name, _short(name)) for name in document.get("dimensions", ())]
    keys += [
        (item["dimension"], f"DATE_TRUNC('{item['granularity']}', {_short(item['dimension'])})")
        for item in document.get("timeDimensions", ())
        if "granularity" in item
    ]
    return keys


def _spell_page(document: dict[str, Any], names: list[str]) -> str:
    text = ""
    if document.get("order"):
        order = ", ".join(f"{names.index(name) + 1} {way}" for name, way in document["order"])
        text = f" ORDER BY {order}"
    for word in ("limit", "offset"):
        text += f" {word} {document[word]}" if document.get(word) else ""
    return text


def _short(name: str) -> str:
    return name.partition(".")[2]


def _members(document: dict[str, Any]) -> list[str]:
    names = [
        item if isinstance(item, str) else item["measure"] for item in document.get("measures", ())
    ]
    names += document.get("dimensions", ())
    names += [item["dimension"] for item in document.get("timeDimensions", ())]
    names += [item["member"] for item in document.get("filters", ()) if "member" in item]
    return names


def _spell_filter(
    item: dict[str, Any], kinds: Kinds, measures: set[str]
) -> tuple[str, Literal["rows", "groups"]]:
    for word in ("and", "or"):
        if word in item:
            parts = [_spell_filter(part, kinds, measures) for part in item[word]]
            assert len({about for _, about in parts}) == 1
            return f"({f' {word} '.join(text for text, _ in parts)})", parts[0][1]
    name = item["member"]
    is_measure = name in measures
    column = f"MEASURE({_short(name)})" if is_measure else _short(name)
    written = _spell_condition(column, item["operator"], item.get("values", []), kinds[name])
    return written, "groups" if is_measure else "rows"


def _spell_condition(column: str, operator: str, values: list[Any], kind: Kind) -> str:
    if operator == "measureFilter":
        raise Unspeakable("the rows that a measure counts")
    if operator in {"set", "notSet"}:
        return f"{column} IS {'NOT ' if operator == 'set' else ''}NULL"
    if kind == "time":
        return _spell_time(column, operator, values)
    texts = [_literal(value, kind) for value in values if value is not None]
    is_null = f"{column} IS NULL"
    match operator:
        case "equals" | "in":
            found = f"{column} IN ({', '.join(texts)})"
            return f"({found} OR {is_null})" if None in values else found
        case "notEquals" | "notIn":
            return f"({column} NOT IN ({', '.join(texts)}) OR {is_null})"
        case "gt" | "gte" | "lt" | "lte":
            return f"{column} {SIGNS[operator]} {texts[0]}"
        case "contains" | "startsWith" | "endsWith":
            return f"({' OR '.join(_like(column, operator, value) for value in values)})"
        case _:
            plain = operator[3:4].lower() + operator[4:]
            found = " OR ".join(_like(column, plain, value) for value in values)
            return f"(NOT ({found}) OR {is_null})"


def _like(column: str, operator: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{column} ILIKE {_literal(PATTERNS[operator].format(escaped), 'string')}"


def _literal(value: str, kind: Kind) -> str:
    if kind == "string":
        return "'" + value.replace("'", "''") + "'"
    return value


def _spell_time(column: str, operator: str, values: list[str]) -> str:
    start, end = f"{column} >= {_moment(values[0])}", f"{column} < {_after(values[-1])}"
    match operator:
        case "inDateRange" | "onTheDate" | "equals":
            return f"{start} AND {end}"
        case "notInDateRange":
            return f"(NOT ({start} AND {end}) OR {column} IS NULL)"
        case "beforeDate":
            return f"{column} < {_moment(values[0])}"
        case "beforeOrOnDate":
            return end
        case "afterDate":
            return f"{column} >= {_after(values[0])}"
        case "afterOrOnDate":
            return start
        case _:
            raise Unspeakable(operator)


def _spell_range(column: str, chosen: str | list[str]) -> str:
    ends = [chosen] if isinstance(chosen, str) else chosen
    return f"{column} >= {_moment(ends[0])} AND {column} < {_after(ends[-1])}"


def _moment(text: str) -> str:
    return f"TIMESTAMP '{text.replace('T', ' ')}'"


def _after(text: str) -> str:
    """Return the first moment after a day, or after a time to the millisecond."""
    moment = datetime.fromisoformat(text)
    is_day = len(text) == len("2024-01-01")
    return _moment(str(moment + (timedelta(days=1) if is_day else timedelta(milliseconds=1))))
