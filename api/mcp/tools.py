"""The tools of the agents' door: their names, what they take, and what they are for."""

from __future__ import annotations

from typing import Any, Final

from mcp_types import Tool, ToolAnnotations

INSTRUCTIONS: Final = """\
Ducat serves governed metrics: each measure is defined once and is the same number everywhere.
1. list_cubes, then describe_cube (or find_members) to learn the names. Never guess a name.
2. check_query tells whether a query can be answered, or why not, and how, without running it.
3. run_query answers it, with the definition of each number, the freshness of its tables and what
   their quality checks said. Tell people when `truncated` is true or the quality is not `passed`.
There is no free SQL: what is not a member of the model cannot be asked."""

_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
QUERY: Final[dict[str, Any]] = {
    "type": "object",
    "description": (
        "Cube's query format. Members are written cube.member. Example: "
        '{"measures": ["flights.count"], "dimensions": ["flights.carrier"], "timeDimensions": '
        '[{"dimension": "flights.flight_date", "granularity": "month", "dateRange": '
        '["2013-01-01", "2013-06-30"]}], "filters": [{"member": "flights.origin", "operator": '
        '"equals", "values": ["JFK"]}], "order": {"flights.count": "desc"}, "limit": 20}'
    ),
    "properties": {
        "measures": {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "object"}]},
            "description": (
                'numbers to compute; {"measure": "cube.m", "shift": "1 year"} is one a year earlier'
            ),
        },
        "compare": {
            "type": "object",
            "description": (
                'what each measure was before, and its change: {"to": "previous period"} or '
                '{"to": "1 year"}; needs a time dimension with a dateRange'
            ),
        },
        "dimensions": _TEXTS | {"description": "what to group by"},
        "timeDimensions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "dimension": {"type": "string"},
                    "granularity": {
                        "type": "string",
                        "description": "second … year, or a custom one of the dimension",
                    },
                    "dateRange": {
                        "description": 'a text ("last month", "last 7 days") or [from, to], both inclusive',
                        "anyOf": [{"type": "string"}, _TEXTS | {"minItems": 1, "maxItems": 2}],
                    },
                },
                "required": ["dimension"],
            },
        },
        "filters": {
            "type": "array",
            "description": (
                'each {"member", "operator", "values": [texts]} or {"and": [...]} or {"or": [...]}. '
                "Operators: equals, notEquals, contains, notContains, startsWith, endsWith, gt, gte, "
                "lt, lte, set, notSet, inDateRange, notInDateRange, beforeDate, afterDate"
            ),
            "items": {"type": "object"},
        },
        "segments": _TEXTS | {"description": "named conditions of the model"},
        "order": {
            "description": '{"cube.member": "asc" or "desc"} or [["cube.member", "desc"]]',
            "anyOf": [{"type": "object"}, {"type": "array"}],
        },
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        "offset": {"type": "integer", "minimum": 0},
        "timezone": {"type": "string", "description": "IANA name; UTC when left out"},
        "total": {"type": "boolean", "description": "count all rows, without limit"},
    },
}
READ_ONLY: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


def _tool(name: str, title: str, description: str, /, **properties: dict[str, Any]) -> Tool:
    return Tool(
        name=name,
        title=title,
        description=description,
        input_schema={
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
        annotations=READ_ONLY,
    )


TOOLS: Final = (
    _tool("list_cubes", "List cubes and views", "List the cubes and views of the model."),
    _tool(
        "describe_cube",
        "Describe a cube or view",
        "List measures, dimensions and segments of one cube or view, with their definitions.",
        name={"type": "string", "description": "the name of a cube or view"},
    ),
    _tool(
        "find_members",
        "Find members",
        "Find measures, dimensions and segments by words of their names or descriptions.",
        text={"type": "string", "description": "words, all of which must match", "maxLength": 200},
    ),
    _tool(
        "describe_member",
        "Define a number",
        "Say what one member means, how fresh its tables are and what their checks said.",
        name={"type": "string", "description": "cube.member"},
    ),
    _tool(
        "check_query",
        "Check a query",
        "Say whether a query can be answered (valid), or why not and what to do; how it is understood; "
        "what is read, which joins are made and why, and the SQL, if you may see it. Run nothing.",
        query=QUERY,
    ),
    _tool(
        "run_query",
        "Run a query",
        "Answer a query: rows, the definition of each number, freshness and quality of its tables.",
        query=QUERY,
    ),
)
