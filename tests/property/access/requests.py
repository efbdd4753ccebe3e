"""Random requests, most of them curious: names that are hidden, nearly right, or nowhere."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from tests.property.access.realm import BASE, Door, Request
from tests.property.access.world import MEMBERS, VIEWED

OWNERS: Final = {
    **{name: [(item.name, item.kind, item.type) for item in members] for name, members in MEMBERS.items()},
    **{
        view: [
            (alias, *next((m.kind, m.type) for m in MEMBERS[cube] if m.name == name))
            for alias, cube, name in VIEWED
        ]
        for view in ("board", "desk")
    },
}  # fmt: skip
NEAR: Final = (
    "secrets",
    "secret_tota",
    "kinds",
    "lev",
    "owners",
    "nothing",
    "zz_secret",
    "id",
    "shop_id",
    "counts",
)
OPERATORS: Final = {
    "string": (("equals", ["web"]), ("contains", ["e"]), ("set", []), ("notSet", [])),
    "number": (("gt", ["1"]), ("equals", ["2"]), ("set", [])),
    "boolean": (("equals", ["true"]),),
    "time": (("inDateRange", ["2024-01-05", "2024-02-01"]), ("set", [])),
}  # fmt: skip
CATALOG: Final = (
    "SELECT table_name, column_name, data_type, ordinal_position FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public'",
    "SELECT relname, relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'public'",
    "SELECT attname, attnum FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE relname IN ('sales', 'desk') AND attnum > 0",
    "SELECT description FROM pg_description",
    "SELECT count(*) FROM pg_catalog.pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE relname IN ('sales', 'shops', 'items', 'board', 'desk')",
    "SELECT to_regclass('shops') IS NULL, to_regclass('items') IS NULL",
    "SELECT * FROM sales LIMIT 0",
    "SELECT * FROM desk LIMIT 0",
    "SHOW TABLES",
)  # fmt: skip
INTROSPECTION: Final = (
    "{ __schema { types { name fields { name } inputFields { name } enumValues { name } } } }",
    '{ __type(name: "SalesMembers") { fields { name description } } }',
    '{ __type(name: "ShopsWhereInput") { inputFields { name } } }',
    "{ meta { cubes { name type title description members { name kind type title description } } } }",
    "{ cube { __typename sales { __typename count } } }",
)  # fmt: skip
ABOUT: Final = ("objects", "columns", "keys", "parameters")
WORDS: Final = ("secret", "owner", "level size", "shop", "count", "kin")


def make_request(random: Random) -> Request:
    """Return a request."""
    turn = random.randrange(20)
    match turn:
        case 0:
            path = random.choice(
                (
                    f"{BASE}/meta",
                    f"{BASE}/meta?extended",
                    "/ducat/v1/sql/meta",
                    f"{BASE}/meta?onlyViews=true",
                )
            )
            return Request("get", path)
        case 1:
            return Request("graphql", "/graphql", {"query": random.choice(INTROSPECTION)})
        case 2 | 3:
            return _make_catalog(random, over_flight=turn == 3)
        case 4:
            return _make_tool(random)
        case 5 | 6 | 7 | 8 | 9:
            return _make_rest(random, _make_query(random))
        case 10 | 11 | 12:
            return Request(
                "graphql", "/graphql", {"query": write_graphql(_make_query(random, one=True))}
            )
        case 13 | 14 | 15 | 16:
            door: Door = "flight" if turn == 16 else "wire"
            return Request(door, write_sql(random, _make_query(random, one=True)))
        case 17:
            text = write_sql(random, _make_query(random, one=True, views=True))
            path, key = random.choice((("/ducat/v1/sql", "sql"), (f"{BASE}/cubesql", "query")))
            return Request("sql", path, {key: text})
        case 18:
            text = write_sql(random, _make_query(random, one=True, views=True))
            body = {"input": "sql", "output": "rest", "query": text}
            return Request("sql", f"{BASE}/convert-query", body)
        case _:
            tool = random.choice(("run_query", "run_query", "check_query"))
            return Request("mcp", tool, {"query": _make_query(random)})


def _make_catalog(random: Random, *, over_flight: bool) -> Request:
    if not over_flight:
        return Request("wire", random.choice(CATALOG))
    owner = random.choice([*OWNERS, "secrets"])
    return Request("flight", owner, random.choice(ABOUT))


def _make_rest(random: Random, query: dict[str, Any]) -> Request:
    path = random.choice((*[f"{BASE}/load"] * 5, f"{BASE}/dry-run", f"{BASE}/sql"))
    return Request("rest", path, {"query": query})


def _make_tool(random: Random) -> Request:
    owner = random.choice([*OWNERS, "sale", "secrets"])
    match random.randrange(4):
        case 0:
            return Request("mcp", "list_cubes", {})
        case 1:
            return Request("mcp", "describe_cube", {"name": owner})
        case 2:
            return Request("mcp", "find_members", {"text": random.choice(WORDS)})
        case _:
            return Request(
                "mcp", "describe_member", {"name": f"{owner}.{_pick_name(random, owner)}"}
            )


def _pick_name(random: Random, owner: str) -> str:
    if random.random() < 0.06 or owner not in OWNERS:
        return random.choice(NEAR)
    return random.choice(OWNERS[owner])[0]


def _pick(random: Random, owner: str, kind: str) -> str:
    if random.random() < 0.04:
        return f"{owner}.{random.choice(NEAR)}"
    names = [name for name, found, _ in OWNERS[owner] if found == kind]
    return f"{owner}.{random.choice(names)}" if names else f"{owner}.low"


def _make_query(random: Random, *, one: bool = False, views: bool = False) -> dict[str, Any]:
    owners = random.choices(("sales", "shops", "items", "board", "desk"), (4, 2, 2, 2, 3))
    if views:
        owners = [random.choice(("board", "desk"))]
    if not one and owners[0] in {"sales", "shops", "items"} and random.random() < 0.3:
        owners.append(random.choice(("sales", "shops", "items")))
    query: dict[str, Any] = {}
    query["measures"] = [
        _pick(random, random.choice(owners), "measure") for _ in range(random.choice((0, 1, 1, 2)))
    ]
    query["dimensions"] = [
        _pick(random, random.choice(owners), "dimension")
        for _ in range(random.choice((0, 1, 1, 2)))
    ]
    if not query["measures"] and not query["dimensions"]:
        query["measures"] = [f"{owners[0]}.{random.choice(('count', 'total'))}"]
    if random.random() < 0.2 and owners[0] in {"sales", "board", "desk"}:
        query["timeDimensions"] = [{"dimension": f"{owners[0]}.at", "granularity": "month"}]
    filters = [
        _make_filter(random, random.choice(owners)) for _ in range(random.choice((0, 0, 1, 1, 2)))
    ]
    if len(filters) == 2 and random.random() < 0.4:
        filters = [{random.choice(("or", "and")): filters}]
    query["filters"] = filters
    _add_parts(random, query, owners[0], one=one)
    return {key: value for key, value in query.items() if value}


def _add_parts(random: Random, query: dict[str, Any], owner: str, *, one: bool) -> None:
    if random.random() < 0.12:
        query["segments"] = [_pick(random, owner, "segment")]
    if random.random() < 0.2:
        kind = random.choice(("measure", "dimension"))
        query["order"] = [[_pick(random, owner, kind), random.choice(("asc", "desc"))]]
    if random.random() < 0.15 and not one:
        query["total"] = True
    if random.random() < 0.08:
        query["ungrouped"] = True
    if random.random() < 0.05 and not one:
        query["joinHints"] = [
            random.choice((["sales", "shops"], ["sales", "items"], ["shops", "items"]))
        ]


def _make_filter(random: Random, owner: str) -> dict[str, Any]:
    candidates = [(name, type_) for name, kind, type_ in OWNERS[owner] if kind != "segment"]
    name, type_ = random.choice(candidates)
    if random.random() < 0.04:
        name = random.choice(NEAR)
    kind = type_ if type_ in OPERATORS else "number"
    operator, values = random.choice(OPERATORS[kind])
    written: dict[str, Any] = {"member": f"{owner}.{name}", "operator": operator}
    return written | ({"values": values} if values else {})


def write_graphql(query: dict[str, Any]) -> str:
    """Return a query as a document of GraphQL."""
    owner = next(iter(_names(query))).partition(".")[0]
    types = {name: type_ for name, _, type_ in OWNERS.get(owner, ())}
    fields = []
    for name in _names(query):
        short = name.partition(".")[2]
        fields.append(f"{short} {{ value }}" if types.get(short) == "time" else short)
    fields += [
        f"{item['dimension'].partition('.')[2]} {{ month }}"
        for item in query.get("timeDimensions", ())
    ]
    conditions = [_write_condition(item, types) for item in query.get("filters", ())]
    arguments = [f"where: {{ AND: [{', '.join(conditions)}] }}"] if conditions else []
    if query.get("order"):
        ((name, way),) = query["order"]
        arguments.append(f"orderBy: {{ {name.partition('.')[2]}: {way} }}")
    if query.get("segments"):
        shorts = ", ".join(name.partition(".")[2] for name in query["segments"])
        arguments.append(f"segments: [{shorts}]")
    inner = f"({', '.join(arguments)})" if arguments else ""
    outer = "(ungrouped: true)" if query.get("ungrouped") else ""
    return f"{{ cube{outer} {{ {owner}{inner} {{ {' '.join(dict.fromkeys(fields))} }} }} }}"


def _names(query: dict[str, Any]) -> list[str]:
    return [*query.get("dimensions", ()), *query.get("measures", ())]


def _write_condition(item: dict[str, Any], types: dict[str, str]) -> str:
    for word in ("and", "or"):
        if word in item:
            return f"{{ {word.upper()}: [{', '.join(_write_condition(part, types) for part in item[word])}] }}"
    name = item["member"].partition(".")[2]
    operator, values = item["operator"], item.get("values", [])
    if operator in {"set", "notSet"}:
        return f"{{ {name}: {{ set: {'true' if operator == 'set' else 'false'} }} }}"
    quoted = [
        value if types.get(name) not in {"string", "time", "boolean"} else f'"{value}"'
        for value in values
    ]
    text = f"[{', '.join(quoted)}]" if operator in {"contains", "inDateRange"} else quoted[0]
    return f"{{ {name}: {{ {operator}: {text} }} }}"


def write_sql(random: Random, query: dict[str, Any]) -> str:
    """Return a query as a SELECT."""
    owner = next(iter(_names(query))).partition(".")[0]
    types = {name: type_ for name, _, type_ in OWNERS.get(owner, ())}
    keys = [name.partition(".")[2] for name in query.get("dimensions", ())]
    keys += [
        f"DATE_TRUNC('month', {item['dimension'].partition('.')[2]})"
        for item in query.get("timeDimensions", ())
    ]
    values = [f"MEASURE({name.partition('.')[2]})" for name in query.get("measures", ())]
    where, having = [], []
    measures = {name for name, kind, _ in OWNERS.get(owner, ()) if kind == "measure"}
    for item in query.get("filters", ()):
        if "member" not in item:
            continue
        name = item["member"].partition(".")[2]
        if name in measures:
            having.append(_write_comparison(f"MEASURE({name})", item, types.get(name, "")))
        else:
            where.append(_write_comparison(name, item, types.get(name, "")))
    where += [name.partition(".")[2] for name in query.get("segments", ())]
    text = f"SELECT {', '.join([*keys, *values])} FROM {owner}"
    text += f" WHERE {' AND '.join(where)}" if where else ""
    if keys and (values or having or random.random() < 0.7):
        text += f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}"
    text += f" HAVING {' AND '.join(having)}" if having else ""
    if query.get("order") and random.random() < 0.5:
        name = query["order"][0][0].partition(".")[2]
        text += f" ORDER BY {f'MEASURE({name})' if name in measures else name}"
    match random.randrange(12):
        case 0:
            return f"SELECT count(*) FROM ({text}) t"
        case 1:
            return f"WITH x AS ({text}) SELECT * FROM x"
        case 2:
            return f"EXPLAIN {text}"
        case _:
            return text


def _write_comparison(column: str, item: dict[str, Any], type_: str) -> str:
    values = item.get("values", [""])
    match item["operator"]:
        case "set":
            return f"{column} IS NOT NULL"
        case "notSet":
            return f"{column} IS NULL"
        case "gt":
            return f"{column} > {values[0]}"
        case "contains":
            return f"{column} ILIKE '%{values[0]}%'"
        case "inDateRange":
            return f"{column} >= '{values[0]}' AND {column} < '{values[1]}'"
        case _:
            return f"{column} = '{values[0]}'" if type_ == "string" else f"{column} = {values[0]}"
