"""PostgreSQL's words to DuckDB's, in the part of a statement that runs over answers.

Functions that ask who and where one is become values. Functions of pg_catalog become macros, which
`MACROS` makes. Table functions are those that make rows out of their arguments, no others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlglot import exp

from api.postgres.catalog.names import CLASS_OIDS
from api.postgres.errors import SqlError
from api.postgres.query.extract import DATE_PART, read_date_part, translate_part
from api.postgres.query.extract import MACROS as PART_MACROS
from api.postgres.query.parameters import split_array
from api.postgres.types import ITEMS, TYPES

VERSION: Final = "15.0"
BANNER: Final = f"PostgreSQL {VERSION} (Ducat)"
_MICROSECONDS: Final = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement runs: who asks, when, and what its settings say."""

    user: str
    database: str
    process: int
    now: datetime
    timezone: str
    settings: Callable[[str], str | None]
    find_table: Callable[[str], int | None]
    table_names: tuple[tuple[int, str], ...] = ()
    host: str = "127.0.0.1"
    port: int = 5432


def _format_cases() -> str:
    titles = " ".join(
        f"WHEN {item.oid} THEN '{item.title}'" for item in TYPES.values() if item.title
    )
    return f"CASE WHEN o IS NULL THEN NULL ELSE CASE o {titles} ELSE '???' END END"


MACROS: Final = (
    *PART_MACROS,
    "CREATE MACRO pg_div(a, b) AS CASE WHEN b = 0 THEN error('division by zero') ELSE a // b END",
    "CREATE MACRO pg_mod(a, b) AS CASE WHEN b = 0 THEN error('division by zero') ELSE a % b END",
    f"CREATE MACRO pg_format_type(o, m) AS {_format_cases()}",
    "CREATE MACRO pg_getexpr(a, b, c := false) AS CAST(NULL AS VARCHAR)",
    "CREATE MACRO pg_null_text(a, b := NULL, c := NULL, d := NULL) AS CAST(NULL AS VARCHAR)",
    "CREATE MACRO pg_true(a, b := NULL, c := NULL, d := NULL) AS true",
    "CREATE MACRO pg_false(a := NULL, b := NULL, c := NULL) AS false",
    "CREATE MACRO pg_zero(a := NULL, b := NULL, c := NULL) AS CAST(0 AS BIGINT)",
    "CREATE MACRO pg_utf8(a) AS 6",
    "CREATE MACRO pg_array_upper(a, d) AS CASE WHEN len(a) > 0 THEN len(a) END",
    "CREATE MACRO pg_array_lower(a, d) AS CASE WHEN len(a) > 0 THEN 1 END",
    "CREATE MACRO pg_owner(a) AS 'ducat'",
    "CREATE MACRO pg_encoding(a) AS 'UTF8'",
    """CREATE MACRO pg_quote_ident(a) AS CASE WHEN regexp_full_match(a, '[a-z_][a-z0-9_$]*') THEN a
    ELSE '"' || replace(a, '"', '""') || '"' END""",
    "CREATE MACRO pg_quote_literal(a) AS '''' || replace(a, '''', '''''') || ''''",
)
# Function of PostgreSQL to macro; the arguments that follow the first ones are left out.
_MACROS: Final[dict[str, tuple[str, int]]] = {
    "format_type": ("pg_format_type", 2),
    "pg_get_expr": ("pg_getexpr", 3),
    "pg_get_constraintdef": ("pg_null_text", 2),
    "pg_get_indexdef": ("pg_null_text", 3),
    "pg_get_viewdef": ("pg_null_text", 2),
    "pg_get_ruledef": ("pg_null_text", 2),
    "pg_get_triggerdef": ("pg_null_text", 2),
    "pg_get_functiondef": ("pg_null_text", 1),
    "pg_get_function_result": ("pg_null_text", 1),
    "pg_get_function_arguments": ("pg_null_text", 1),
    "pg_get_function_identity_arguments": ("pg_null_text", 1),
    "pg_get_serial_sequence": ("pg_null_text", 2),
    "pg_get_partkeydef": ("pg_null_text", 1),
    "pg_get_statisticsobjdef_columns": ("pg_null_text", 1),
    "pg_tablespace_location": ("pg_null_text", 1),
    "pg_relation_filenode": ("pg_null_text", 1),
    "shobj_description": ("pg_null_text", 2),
    "inet_client_addr": ("pg_null_text", 1),
    "pg_table_is_visible": ("pg_true", 1),
    "pg_type_is_visible": ("pg_true", 1),
    "pg_function_is_visible": ("pg_true", 1),
    "pg_opclass_is_visible": ("pg_true", 1),
    "has_schema_privilege": ("pg_true", 3),
    "has_table_privilege": ("pg_true", 3),
    "has_column_privilege": ("pg_true", 4),
    "has_any_column_privilege": ("pg_true", 3),
    "has_database_privilege": ("pg_true", 3),
    "pg_has_role": ("pg_true", 3),
    "has_function_privilege": ("pg_false", 3),
    "has_sequence_privilege": ("pg_false", 3),
    "pg_is_in_recovery": ("pg_false", 0),
    "pg_is_other_temp_schema": ("pg_false", 1),
    "pg_relation_is_publishable": ("pg_false", 1),
    "row_security_active": ("pg_false", 1),
    "pg_total_relation_size": ("pg_zero", 1),
    "pg_relation_size": ("pg_zero", 1),
    "pg_table_size": ("pg_zero", 1),
    "pg_database_size": ("pg_zero", 1),
    "pg_my_temp_schema": ("pg_zero", 0),
    "pg_advisory_unlock_all": ("pg_null_text", 0),
    "pg_get_userbyid": ("pg_owner", 1),
    "pg_encoding_to_char": ("pg_encoding", 1),
    "pg_char_to_encoding": ("pg_utf8", 1),
    "getdatabaseencoding": ("pg_encoding", 1),
    "array_upper": ("pg_array_upper", 2),
    "array_lower": ("pg_array_lower", 2),
    "quote_ident": ("pg_quote_ident", 1),
    "quote_literal": ("pg_quote_literal", 1),
}
_ZERO_ARGUMENT: Final = frozenset({"pg_null_text", "pg_true", "pg_encoding"})
_FUNCTION_COLUMNS: Final = frozenset(
    {"typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typanalyze",
     "typsubscript", "amhandler"}
)  # fmt: skip
_TABLE_FUNCTIONS: Final = frozenset({"generate_series", "unnest", "explodinggenerateseries"})
_REFUSED: Final = ("duckdb_", "pragma_", "read_", "parquet_", "sniff_", "query", "getvariable",
                   "glob", "nextval", "currval", "setval", "dblink", "lo_", "pg_sleep", "pg_read",
                   "pg_ls", "pg_terminate", "pg_cancel", "pg_reload", "pg_logical", "which_secret",
                   "getenv", "write_log", "current_query", "checkpoint", "force_", "error", "seq_",
                   "arrow_", "pandas_", "python_", "iceberg_", "delta_", "st_", "storage_", "icu_",
                   "in_search_path", "json_execute", "test_", "summary", "repeat_row", "range")  # fmt: skip


def translate(tree: exp.Query, place: Place) -> set[str]:
    """Change a query to what DuckDB understands; return the catalog's tables that it now needs.

    Raises:
        SqlError: it calls what is not there, or may not be called.
    """
    needed: set[str] = set()
    _check_sources(tree)
    _number_tables(tree)
    # From the inside out: what a node is replaced by holds children that are done already.
    for node in reversed(list(tree.walk(bfs=False))):
        made = _translate(node, place, needed)
        if made is not None and made is not node:
            node.replace(made)
    return needed


def _number_tables(tree: exp.Query) -> None:
    """Write the OIDs of catalog tables for `tableoid`, a column that no table lists."""
    oids = {
        table.alias_or_name: CLASS_OIDS.get(table.name.rpartition(".")[2], 0)
        for table in tree.find_all(exp.Table)
    }
    for column in list(tree.find_all(exp.Column)):
        if column.name == "tableoid":
            column.replace(exp.Literal.number(oids.get(column.table, 0)))


def _check_sources(tree: exp.Query) -> None:
    for values in tree.find_all(exp.Values):
        alias, first = values.args.get("alias"), values.expressions[0]
        if alias is not None and not alias.args.get("columns"):
            count = len(first.expressions) if isinstance(first, exp.Tuple) else 1
            names = [exp.to_identifier(f"column{at + 1}") for at in range(count)]
            alias.set("columns", names)
    for table in tree.find_all(exp.Table):
        call = table.this
        if isinstance(call, exp.Identifier):
            continue
        if isinstance(call, exp.Dot):
            call = call.expression
            table.set("this", call)
        table.set("db", None)
        alias = table.args.get("alias")
        if alias is not None and not alias.args.get("columns"):
            # PostgreSQL calls the only column of a function as its table.
            alias.set("columns", [alias.this.copy()])
        name = call.name.lower() if isinstance(call, exp.Anonymous) else type(call).__name__.lower()
        if name in {"generateseries", "unnest", "explodinggenerateseries", "explode"}:
            continue
        if name not in _TABLE_FUNCTIONS:
            raise SqlError(f"function {name[:60]} is not answered in FROM", sqlstate="42883")


def _translate(  # noqa: C901, PLR0912 -- a branch for each kind of node
    node: exp.Expr, place: Place, needed: set[str]
) -> exp.Expr | None:
    match node:
        case exp.Dot() if not isinstance(node.expression, exp.Identifier | exp.Star):
            schema = node.this.name.lower()
            if schema not in {"pg_catalog", "information_schema", "public"}:
                raise SqlError(f'schema "{schema[:60]}" does not exist', sqlstate="3F000")
            return _expr(node.expression)
        case exp.Anonymous():
            return _call(node, place, needed)
        case exp.Operator():
            return _operator(node)
        case exp.Collate():
            return _expr(node.this)
        case exp.Cast():
            return _cast(node, place)
        case exp.Div():
            # Of whole numbers the whole part, of others the quotient: DuckDB's // does both.
            return exp.Anonymous(this="pg_div", expressions=[node.this, node.expression])
        case exp.Sum():
            return _sum(node)
        case exp.Extract():
            return translate_part(node, place.timezone)
        case exp.Mod():
            return exp.Anonymous(this="pg_mod", expressions=[node.this, node.expression])
        case exp.Column():
            node.set("db", None)
            node.set("catalog", None)
            return None if node.table or node.this.args.get("quoted") else _bare(node, place)
        case exp.EQ() | exp.NEQ():
            return _among(node) or _compare_function(node)
        case exp.CurrentTimestamp() | exp.CurrentTimestampLTZ():
            return _literal_time(place.now, "TIMESTAMPTZ")
        case exp.CurrentDate():
            local = place.now.astimezone(ZoneInfo(place.timezone))
            return _as(exp.Literal.string(local.date().isoformat()), "DATE")
        case exp.Localtimestamp() | exp.CurrentDatetime():
            local = place.now.astimezone(ZoneInfo(place.timezone)).replace(tzinfo=None)
            return _literal_time(local, "TIMESTAMP")
        case exp.CurrentUser() | exp.SessionUser() | exp.CurrentRole():
            return exp.Literal.string(place.user)
        case exp.CurrentCatalog() | exp.CurrentDatabase():
            return exp.Literal.string(place.database)
        case exp.CurrentSchema():
            return exp.Literal.string("public")
        case exp.CurrentVersion() | exp.Version():
            return exp.Literal.string(BANNER)
        case exp.Func():
            _check_name(node.sql_name().lower())
            return None
        case exp.Parameter() | exp.Placeholder():
            raise SqlError("there is no such parameter", sqlstate="42P02")
        case _:
            return None


def _as(node: exp.Expr, kind: str | exp.DataType) -> exp.Cast:
    """Cast, without sqlglot's look at what is cast: types of pg_catalog confuse it."""
    return exp.Cast(
        this=node, to=exp.DataType.build(kind, dialect="duckdb") if isinstance(kind, str) else kind
    )


def _expr(node: object) -> exp.Expr:
    if not isinstance(node, exp.Expr):
        raise SqlError("this is not answered here", sqlstate="0A000")
    return node


def _literal_time(moment: datetime, kind: str) -> exp.Expr:
    return _as(exp.Literal.string(moment.isoformat(" ")), kind)


def _check_name(name: str) -> None:
    if name.startswith(_REFUSED) and name not in {"json_extract", "string_split", "range_agg"}:
        raise SqlError(f"function {name[:60]} does not exist", sqlstate="42883")


def _call(  # noqa: C901, PLR0912 -- a branch for each function
    node: exp.Anonymous, place: Place, needed: set[str]
) -> exp.Expr | None:
    name = node.name.lower()
    arguments = list(node.expressions)
    macro = _MACROS.get(name)
    if macro is not None:
        target, most = macro
        given = arguments[:most]
        if not given and target in _ZERO_ARGUMENT:
            given = [exp.Null()]
        return exp.Anonymous(this=target, expressions=given)
    match name:
        case _ if name == DATE_PART:
            part = read_date_part(arguments)
            if not isinstance(part, exp.Extract):
                raise SqlError("date_part takes a field's name and a time", sqlstate="42883")
            return translate_part(part, place.timezone)
        case "version":
            return exp.Literal.string(BANNER)
        case "current_schema":
            return exp.Literal.string("public")
        case "current_schemas":
            implicit = (
                bool(arguments) and isinstance(arguments[0], exp.Boolean) and arguments[0].this
            )
            names = ["pg_catalog", "public"] if implicit else ["public"]
            return exp.Array(expressions=[exp.Literal.string(item) for item in names])
        case "current_database" | "current_catalog":
            return exp.Literal.string(place.database)
        case "pg_backend_pid":
            return exp.Literal.number(place.process)
        case "pg_postmaster_start_time" | "pg_conf_load_time":
            return _literal_time(place.now, "TIMESTAMPTZ")
        case "statement_timestamp" | "clock_timestamp" | "transaction_timestamp":
            return _literal_time(place.now, "TIMESTAMPTZ")
        case "inet_server_addr":
            return exp.Literal.string(place.host)
        case "inet_server_port":
            return exp.Literal.number(place.port)
        case "current_setting":
            return _setting(arguments, place)
        case "set_config" if len(arguments) == 3:  # noqa: PLR2004
            return _expr(arguments[1])
        case "json_build_object" | "jsonb_build_object":
            return exp.Anonymous(this="json_object", expressions=arguments)
        case "txid_current" | "pg_current_xact_id":
            return exp.Literal.number(1)
        case "obj_description" | "col_description":
            needed.add("pg_catalog.pg_description")
            return _description(name, arguments)
        case "to_regclass" | "to_regtype":
            return exp.Null() if not arguments else _regclass(arguments[0], place, missing_ok=True)
        case "_pg_expandarray":
            # Of the columns of indexes, of which there are none.
            return _as(exp.Null(), "STRUCT(x UINTEGER, n INTEGER)")
        case "measure":
            raise SqlError(
                "MEASURE(…) needs a SELECT over one cube or view",
                sqlstate="42809",
                suggestion="put MEASURE(…) into the SELECT that reads the table",
            )
        case "pg_div" | "pg_mod" | "pg_format_type" | "pg_getexpr" | "pg_null_text" | "error":
            if name == "error":
                raise SqlError("function error does not exist", sqlstate="42883")
            return None
        case _:
            _check_name(name)
            return None


def _description(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    if not arguments:
        raise SqlError(f"function {name}() does not exist", sqlstate="42883")
    number = arguments[1] if name == "col_description" and len(arguments) > 1 else None
    texts = exp.select(exp.column("description", "d$", quoted=True)).from_(
        exp.alias_(exp.to_table('"pg_catalog.pg_description"'), "d$", table=True, quoted=True)
    )
    for column, value in (("objoid", arguments[0]), ("objsubid", number or exp.Literal.number(0))):
        texts = texts.where(
            exp.EQ(
                this=exp.column(column, "d$", quoted=True),
                expression=_as(value.copy(), "BIGINT"),
            )
        )
    return exp.Subquery(this=texts.limit(1))


def _setting(arguments: list[exp.Expr], place: Place) -> exp.Expr:
    first = arguments[0] if arguments else None
    while isinstance(first, exp.Cast | exp.Paren):
        first = first.this
    if isinstance(first, exp.Null):
        return _as(exp.Null(), "VARCHAR")
    if not isinstance(first, exp.Literal) or not first.is_string:
        raise SqlError("current_setting takes the name of a setting", sqlstate="22023")
    value = place.settings(first.name)
    if value is not None:
        return exp.Literal.string(value)
    if len(arguments) > 1:
        return exp.Null()
    raise SqlError(f'unrecognized configuration parameter "{first.name[:60]}"', sqlstate="42704")


def _operator(node: exp.Operator) -> exp.Expr:
    sign = str(node.args["operator"]).rpartition(".")[2].strip()
    left, right = node.this, node.expression
    kinds: dict[str, Callable[[], exp.Expr]] = {
        "~": lambda: exp.RegexpLike(this=left, expression=right),
        "!~": lambda: exp.Not(this=exp.RegexpLike(this=left, expression=right)),
        "~*": lambda: exp.RegexpILike(this=left, expression=right),
        "=": lambda: exp.EQ(this=left, expression=right),
        "<>": lambda: exp.NEQ(this=left, expression=right),
        "~~": lambda: exp.Like(this=left, expression=right),
        "~~*": lambda: exp.ILike(this=left, expression=right),
        "<": lambda: exp.LT(this=left, expression=right),
        ">": lambda: exp.GT(this=left, expression=right),
        "+": lambda: exp.Add(this=left, expression=right),
        "||": lambda: exp.DPipe(this=left, expression=right),
    }
    make = kinds.get(sign)
    if make is None:
        raise SqlError(f"operator {sign[:20]} is not answered", sqlstate="42883")
    return make()


def _cast(  # noqa: C901 -- a branch for each type
    node: exp.Cast, place: Place
) -> exp.Expr | None:
    kind = _type_name(node.to)
    inner = node.this
    match kind:
        case "regclass":
            if isinstance(node.parent, exp.Cast) and _type_name(node.parent.to) in {
                "oid",
                "int",
                "bigint",
            }:
                return _regclass(inner, place) if isinstance(inner, exp.Literal) else inner
            if isinstance(inner, exp.Literal) and inner.is_string and not inner.name.isdigit():
                return _regclass(inner, place)
            return exp.Case(
                this=_as(inner, "BIGINT"),
                ifs=[
                    exp.If(this=exp.Literal.number(oid), true=exp.Literal.string(name))
                    for oid, name in place.table_names
                ],
                default=_as(inner.copy(), "VARCHAR"),
            )
        case "regtype":
            if isinstance(inner, exp.Literal) and inner.is_string:
                return _regtype(inner)
            return exp.Anonymous(this="pg_format_type", expressions=[inner, exp.Null()])
        case "regproc" | "regprocedure" if isinstance(inner, exp.Literal):
            short = inner.name.rpartition(".")[2]
            if short.endswith(("in", "out", "recv", "send")):
                return exp.Literal.string(short)  # of a type: pg_type calls them so
            raise SqlError(f'function "{inner.name[:60]}" does not exist', sqlstate="42883")
        case "regproc" | "regprocedure" | "regnamespace" | "regrole" | "regoper":
            return _as(inner, "VARCHAR")
        case "oid" | "xid" | "cid":
            return _as(inner, "UINTEGER")
        case "name" | "bpchar" | "citext" | "char" | "cstring" | "tid":
            return _as(inner, "VARCHAR")
        case "array" if isinstance(inner, exp.Literal) and inner.name.startswith("{"):
            return _array(node, inner)
        case "array" if str(node.to.sql()).upper() == "ARRAY<BIT>":
            return _as(inner, "UINTEGER[]")
        case "decimal" if not node.to.expressions:
            return _as(inner, exp.DataType.build("DECIMAL(38, 12)"))
        case _:
            return None


def _array(node: exp.Cast, text: exp.Literal) -> exp.Cast:
    """Return an array that is written in braces."""
    items = [
        exp.Null() if item is None else exp.Literal.string(item) for item in split_array(text.name)
    ]
    kind = "UINTEGER[]" if node.to.sql().upper() == "ARRAY<BIT>" else node.to.sql("duckdb")
    return _as(exp.Array(expressions=items), kind)


def _among(node: exp.Expr) -> exp.Expr | None:
    """Write a comparison with the items of an array as a function: DuckDB makes a sub-select of it."""
    word = exp.Any if isinstance(node, exp.EQ) else exp.All
    listed = node.args["expression"]
    if not isinstance(listed, word):
        return None
    array = listed.this.unnest()
    if isinstance(array, exp.Query | exp.Literal):
        return None
    found = exp.Anonymous(this="list_contains", expressions=[array, node.this])
    return found if isinstance(node, exp.EQ) else exp.Not(this=found)


def _compare_function(node: exp.Expr) -> exp.Expr | None:
    """Compare a column of functions with none: that is 0, and reads as a hyphen."""
    for side, other in (("this", "expression"), ("expression", "this")):
        column, value = node.args[side], node.args[other]
        is_zero = isinstance(value, exp.Literal) and not value.is_string and value.name == "0"
        if is_zero and isinstance(column, exp.Column) and column.name in _FUNCTION_COLUMNS:
            node.set(other, exp.Literal.string("-"))
    return None


def _type_name(kind: exp.Expr) -> str:
    if isinstance(kind, exp.ObjectIdentifier):
        return kind.name.lower()
    if not isinstance(kind, exp.DataType):
        return kind.name.lower()
    if kind.this == exp.DType.USERDEFINED:
        inner = kind.args.get("kind")
        name = inner if isinstance(inner, str) else (inner.name if inner is not None else "")
        return str(name).lower().rpartition(".")[2]
    return str(kind.this.value).lower()


def _regclass(node: exp.Expr, place: Place, *, missing_ok: bool = False) -> exp.Expr:
    if not isinstance(node, exp.Literal):
        return node
    if node.name.isdigit():
        return exp.Literal.number(node.name)
    oid = place.find_table(node.name)
    if oid is None and not missing_ok:
        raise SqlError(f'relation "{node.name[:60]}" does not exist', sqlstate="42P01")
    return exp.Null() if oid is None else exp.Literal.number(oid)


def _regtype(node: exp.Literal) -> exp.Expr:
    asked = node.name.lower().removeprefix("pg_catalog.")
    for item in TYPES.values():
        if asked in {item.name, item.title} or (item.oid in ITEMS and asked == item.title):
            return exp.Literal.number(item.oid)
    raise SqlError(f'type "{asked[:60]}" does not exist', sqlstate="42704")


def _sum(node: exp.Sum) -> exp.Expr | None:
    """Make a sum of whole numbers numeric, as it is in PostgreSQL: its quotient is not cut."""
    inner = node.this
    distinct = isinstance(inner, exp.Distinct) and len(inner.expressions) == 1
    operand = inner.expressions[0] if distinct else inner
    zero = _as(exp.Literal.number(0), exp.DataType.build("DECIMAL(1, 0)"))
    widened = exp.Add(this=exp.Paren(this=operand.copy()), expression=zero)
    node.set("this", exp.Distinct(expressions=[widened]) if distinct else widened)
    return None


def _bare(node: exp.Column, place: Place) -> exp.Expr | None:
    match node.name:
        case "current_database" | "current_catalog":
            return exp.Literal.string(place.database)
        case "user":
            return exp.Literal.string(place.user)
        case _:
            return None
