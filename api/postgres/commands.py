"""Statements that are no queries: what kind each is, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from sqlglot.tokenizer_core import TokenType

from api.postgres.errors import SqlError
from api.postgres.query.parse import Statement

Kind = Literal[
    "query", "begin", "commit", "rollback", "savepoint", "release", "rollback_to", "set", "show",
    "reset", "discard", "deallocate", "declare", "fetch", "close", "explain", "copy", "nothing",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """A statement by its kind.

    `text` is the query inside it (DECLARE, EXPLAIN, COPY), `name` what it names, `value` what it
    says about that, `options` what else was said, in capitals. `tag` is what completes it.
    """

    kind: Kind
    tag: str
    text: str = ""
    name: str = ""
    value: str | None = None
    options: tuple[tuple[str, str], ...] = ()


_WRITES: Final = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE",
     "COMMENT", "VACUUM", "ANALYZE", "ANALYSE", "REINDEX", "CLUSTER", "REFRESH", "IMPORT",
     "REASSIGN", "SECURITY", "CHECKPOINT"}
)  # fmt: skip
_REFUSED: Final = frozenset(
    {"PREPARE", "EXECUTE", "LISTEN", "NOTIFY", "LOCK", "LOAD", "DO", "CALL"}
)
_QUERIES: Final = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "("})
_SPACE: Final = re.compile(r"\s+")
_NAME: Final = r'("(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
_SET: Final = re.compile(
    r"SET\s+(?:(SESSION|LOCAL)\s+)?(TIME\s+ZONE|NAMES|SCHEMA|[\w.]+)\s*(?:=|\s+TO\s+|\s+)\s*(.+)",
    re.IGNORECASE | re.DOTALL,
)
_TRANSACTION: Final = re.compile(
    r"SET\s+(?:SESSION\s+CHARACTERISTICS\s+AS\s+|LOCAL\s+)?TRANSACTION\s+(.+)",
    re.IGNORECASE | re.DOTALL,
)
_DECLARE: Final = re.compile(
    rf"DECLARE\s+{_NAME}\s+((?:BINARY\s+|INSENSITIVE\s+|ASENSITIVE\s+|NO\s+SCROLL\s+|SCROLL\s+)*)"
    r"CURSOR\s+(?:(WITH|WITHOUT)\s+HOLD\s+)?FOR\s+(.+)",
    re.IGNORECASE | re.DOTALL,
)
_FETCH: Final = re.compile(
    rf"(FETCH|MOVE)\s+(?:(.*?)\s*(?:\b(?:FROM|IN)\s+|\s))?{_NAME}\s*", re.IGNORECASE | re.DOTALL
)
_EXPLAIN: Final = re.compile(
    r"EXPLAIN\s*((?:\((?:[^()]*)\))|(?:(?:ANALYZE|ANALYSE|VERBOSE)\s+)*)\s*(.+)",
    re.IGNORECASE | re.DOTALL,
)
_LEVELS: Final = frozenset(
    {"READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE"}
)


def read_command(statement: Statement) -> Command:
    """Return what a statement is.

    Raises:
        SqlError: it writes, or is nothing that is answered.
    """
    words = statement.words
    first = words[0]
    text = statement.text
    if first in _QUERIES:
        query = f"SELECT * FROM {text[5:]}" if first == "TABLE" else text  # noqa: S608 -- parsed, never run
        return Command("query", "SELECT", query)
    reader = _READERS.get(first)
    if reader is not None:
        return reader(statement)
    if first in _WRITES:
        raise SqlError(
            f"cannot execute {first} in a read-only transaction",
            sqlstate="25006",
            suggestion="Ducat answers queries; data comes in through the flows",
        )
    if first in _REFUSED:
        raise SqlError(f"{first} is not answered here", sqlstate="0A000")
    raise SqlError(f'syntax error at or near "{first[:50]}"', sqlstate="42601", position=1)


def unquote(name: str) -> str:
    """Return a name as it is meant: in lower case unless it is in double quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _begin(statement: Statement) -> Command:
    _check_level(" ".join(token.text.upper() for token in statement.tokens[1:]))
    return Command("begin", "BEGIN" if statement.words[0] == "BEGIN" else "START TRANSACTION")


def _check_level(text: str) -> None:
    found = re.search(r"ISOLATION LEVEL (.*?)(?:,|READ ONLY|READ WRITE|NOT|DEFERRABLE|$)", text)
    if found is not None and found[1].strip() not in _LEVELS:
        raise SqlError("unrecognized isolation level", sqlstate="42601")


def _commit(statement: Statement) -> Command:
    if "PREPARED" in statement.words:
        raise SqlError("two-phase commit is not answered", sqlstate="0A000")
    return Command("commit", "COMMIT")


def _rollback(statement: Statement) -> Command:
    words = [token.text for token in statement.tokens]
    upper = [word.upper() for word in words]
    if "PREPARED" in upper:
        raise SqlError("two-phase commit is not answered", sqlstate="0A000")
    if "TO" in upper:
        return Command("rollback_to", "ROLLBACK", name=words[-1].lower())
    return Command("rollback", "ROLLBACK")


def _savepoint(statement: Statement) -> Command:
    return Command("savepoint", "SAVEPOINT", name=statement.tokens[-1].text.lower())


def _release(statement: Statement) -> Command:
    return Command("release", "RELEASE", name=statement.tokens[-1].text.lower())


def _set(statement: Statement) -> Command:
    text = statement.text.strip()
    transaction = _TRANSACTION.fullmatch(text)
    if transaction is not None:
        _check_level(_SPACE.sub(" ", transaction[1].upper()))
        return Command("nothing", "SET")
    words = statement.words
    if words[1:3] == ("SESSION", "AUTHORIZATION"):
        raise SqlError("permission denied to set session authorization", sqlstate="42501")
    if words[1:2] == ("CONSTRAINTS",):
        return Command("nothing", "SET CONSTRAINTS")
    found = _SET.fullmatch(text)
    if found is None:
        raise SqlError(f'syntax error in "{text[:50]}"', sqlstate="42601")
    scope, name, value = found[1] or "", _SPACE.sub(" ", found[2]), found[3].strip()
    options = (("LOCAL", ""),) if scope.upper() == "LOCAL" else ()
    return Command("set", "SET", name=name, value=_read_setting(name, value), options=options)


def _read_setting(name: str, value: str) -> str | None:
    if value.upper() in {"DEFAULT", "LOCAL"} and not value.startswith("'"):
        return None
    if name.upper() == "TIME ZONE" and value.upper().startswith("INTERVAL"):
        raise SqlError("a time zone is given by its name", sqlstate="0A000")
    parts = [part.strip() for part in value.split(",")]
    read = [
        part[1:-1].replace("''", "'") if part.startswith("'") and part.endswith("'") else part
        for part in parts
    ]
    return ", ".join(part.strip('"') if len(read) == 1 else part for part in read)


def _show(statement: Statement) -> Command:
    name = statement.text.strip()[4:].strip()
    return Command("show", "SHOW", name=name.strip('"'))


def _reset(statement: Statement) -> Command:
    name = statement.text.strip()[5:].strip()
    if name.upper() == "SESSION AUTHORIZATION":
        return Command("nothing", "RESET")
    return Command("reset", "RESET", name=name.strip('"'))


def _discard(statement: Statement) -> Command:
    what = statement.words[1] if len(statement.words) > 1 else ""
    if what not in {"ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"}:
        raise SqlError('syntax error after "DISCARD"', sqlstate="42601")
    return Command("discard", f"DISCARD {what}", name=what)


def _deallocate(statement: Statement) -> Command:
    tokens = [token for token in statement.tokens[1:] if token.text.upper() != "PREPARE"]
    if len(tokens) != 1:
        raise SqlError('syntax error after "DEALLOCATE"', sqlstate="42601")
    quoted = tokens[0].token_type == TokenType.IDENTIFIER
    if tokens[0].text.upper() == "ALL" and not quoted:
        return Command("deallocate", "DEALLOCATE ALL")
    name = tokens[0].text if quoted else tokens[0].text.lower()
    return Command("deallocate", "DEALLOCATE", name=name)


def _declare(statement: Statement) -> Command:
    found = _DECLARE.fullmatch(statement.text.strip())
    if found is None:
        raise SqlError("syntax error in DECLARE", sqlstate="42601")
    words = (found[2] or "").upper()
    options = [(word, "") for word in ("BINARY",) if word in words]
    if "SCROLL" in words and "NO SCROLL" not in _SPACE.sub(" ", words):
        options.append(("SCROLL", ""))
    if (found[3] or "").upper() == "WITH":
        options.append(("HOLD", ""))
    return Command("declare", "DECLARE CURSOR", found[4], unquote(found[1]), options=tuple(options))


def _fetch(statement: Statement) -> Command:
    found = _FETCH.fullmatch(statement.text.strip())
    if found is None:
        raise SqlError("syntax error in FETCH", sqlstate="42601")
    count = _SPACE.sub(" ", (found[2] or "").upper()).removesuffix(" FROM").removesuffix(" IN")
    count = count.removeprefix("FORWARD").strip() or "1"
    if count == "NEXT":
        count = "1"
    if count != "ALL" and not count.isdigit():
        raise SqlError(
            "cursor can only scan forward",
            sqlstate="55000",
            suggestion="use FETCH NEXT, FETCH n, FETCH FORWARD n or FETCH ALL",
        )
    return Command("fetch", found[1].upper(), name=unquote(found[3]), value=count)


def _close(statement: Statement) -> Command:
    token = statement.tokens[-1]
    quoted = token.token_type == TokenType.IDENTIFIER
    if token.text.upper() == "ALL" and not quoted:
        return Command("close", "CLOSE CURSOR ALL")
    return Command("close", "CLOSE CURSOR", name=token.text if quoted else token.text.lower())


def _explain(statement: Statement) -> Command:
    found = _EXPLAIN.fullmatch(statement.text.strip())
    if found is None:
        raise SqlError("syntax error in EXPLAIN", sqlstate="42601")
    if re.search(r"FORMAT\s+(?!TEXT)", found[1] or "", re.IGNORECASE):
        raise SqlError("EXPLAIN answers in text", sqlstate="0A000")
    return Command("explain", "EXPLAIN", found[2])


def _copy(statement: Statement) -> Command:
    depth = 0
    tokens = statement.tokens
    place = 0
    for token in tokens[1:]:
        place += 1
        depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
        if depth == 0 and token.text.upper() in {"TO", "FROM"} and token.token_type not in {
            TokenType.STRING, TokenType.IDENTIFIER,
        }:  # fmt: skip
            break
    else:
        raise SqlError("syntax error in COPY", sqlstate="42601")
    if tokens[place].text.upper() == "FROM":
        raise SqlError("cannot execute COPY FROM in a read-only transaction", sqlstate="25006")
    start, end = tokens[0].start, tokens[place].start
    source = statement.text[tokens[1].start - start : end - start].strip()
    rest = [token.text for token in tokens[place + 1 :]]
    if not rest or rest[0].upper() != "STDOUT":
        raise SqlError("COPY goes to STDOUT only", sqlstate="42501")
    return Command("copy", "COPY", _copied(source), options=_copy_options(rest[1:]))


def _copied(source: str) -> str:
    if source.startswith("(") and source.endswith(")"):
        # Without them it is the query itself, whose columns have the types that it is described
        # with; as a sub-select it would be computed with, and its sums be numeric.
        return source[1:-1].strip()
    name, bracket, columns = source.partition("(")
    # Parsed again like any other text, never run as it is.
    return f"SELECT {columns.rstrip(') ') if bracket else '*'} FROM {name}"  # noqa: S608


def _copy_options(words: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the options of COPY; FORMAT and HEADER are known, and an encoding that is UTF8."""
    rest = [word.upper() for word in words if word.upper() not in {"WITH", "(", ")", ","}]
    found: dict[str, str] = {"FORMAT": "TEXT"}
    while rest:
        word = rest.pop(0)
        if word in {"BINARY", "CSV"}:
            found["FORMAT"] = word
        elif word == "FORMAT" and rest:
            found["FORMAT"] = rest.pop(0)
        elif word == "HEADER":
            is_off = bool(rest) and rest[0] in {"FALSE", "OFF", "0"}
            if rest and rest[0] in {"TRUE", "ON", "1", "FALSE", "OFF", "0"}:
                rest.pop(0)
            if not is_off:
                found["HEADER"] = "ON"
        elif word == "ENCODING" and rest and rest.pop(0).replace("-", "") == "UTF8":
            continue
        else:
            raise SqlError(f"COPY option {word[:30]} is not answered", sqlstate="0A000")
    if found["FORMAT"] not in {"TEXT", "CSV", "BINARY"}:
        raise SqlError("COPY format not recognized", sqlstate="22023")
    if found["FORMAT"] == "BINARY" and "HEADER" in found:
        raise SqlError("cannot specify HEADER in BINARY mode", sqlstate="22023")
    return tuple(found.items())


def _unlisten(_: Statement) -> Command:
    return Command("nothing", "UNLISTEN")


_READERS: Final = {
    "BEGIN": _begin,
    "START": _begin,
    "COMMIT": _commit,
    "END": _commit,
    "ROLLBACK": _rollback,
    "ABORT": _rollback,
    "SAVEPOINT": _savepoint,
    "RELEASE": _release,
    "SET": _set,
    "SHOW": _show,
    "RESET": _reset,
    "DISCARD": _discard,
    "DEALLOCATE": _deallocate,
    "DECLARE": _declare,
    "FETCH": _fetch,
    "MOVE": _fetch,
    "CLOSE": _close,
    "EXPLAIN": _explain,
    "COPY": _copy,
    "UNLISTEN": _unlisten,
}
