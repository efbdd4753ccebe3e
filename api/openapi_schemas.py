"""The values of the OpenAPI document: requests and answers of Cube's protocol, as JSON Schemas."""

from __future__ import annotations

from typing import Any, Final, get_args

from semantic.query.from_json import MAXIMUM_QUERIES
from semantic.query.json_filters import MAXIMUM_FILTERS, MAXIMUM_VALUES
from semantic.query.json_shape import MAXIMUM_MEMBERS, MAXIMUM_TEXT
from semantic.query.query import MAXIMUM_LIMIT, Comparison, Operator

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string", "maxLength": MAXIMUM_TEXT}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
CACHE: Final[Schema] = {
    "enum": ["stale-if-slow", "stale-while-revalidate", "must-revalidate", "no-cache"]
}


def refer(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(item: Schema, most: int | None = None) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": item} | ({"maxItems": most} if most else {})


def make_object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """Return the schema of an object of an answer: more keys than these may come."""
    return {"type": "object", "properties": properties, "required": list(required)}


def make_request(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """Return the schema of an object of a request: other keys are refused."""
    return make_object(required, **properties) | {"additionalProperties": False}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


MEMBER: Final[Schema] = {
    "type": "string",
    "description": "cube.member; the name may lead through joins, and end in a granularity",
    "pattern": r"^[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)+$",
    "maxLength": MAXIMUM_TEXT,
}
DATE_RANGE: Final[Schema] = {
    "description": "a text such as `last 7 days`, or a start and an end",
    "anyOf": [TEXT, list_of(TEXT) | {"minItems": 1, "maxItems": 2}],
}
DIRECTION: Final[Schema] = {"enum": ["asc", "desc"]}
FILTER: Final[Schema] = {
    "anyOf": [
        make_request(
            ("member", "operator"),
            member=refer("Member"),
            operator={"enum": [name for name in get_args(Operator) if name != "measureFilter"]},
            values=list_of({"type": ["string", "number", "boolean", "null"]}, MAXIMUM_VALUES),
        ),
        make_request(
            ("or",), **{"or": list_of(refer("Filter"), MAXIMUM_FILTERS) | {"minItems": 1}}
        ),
        make_request(
            ("and",), **{"and": list_of(refer("Filter"), MAXIMUM_FILTERS) | {"minItems": 1}}
        ),
    ]
}
TIME_DIMENSION: Final[Schema] = make_request(
    ("dimension",),
    dimension=refer("Member"),
    granularity=_or_null({"type": "string", "maxLength": 128}),
    dateRange=_or_null(refer("DateRange")),
    compareDateRange=_or_null(list_of(refer("DateRange"), MAXIMUM_QUERIES) | {"minItems": 1}),
)
ORDER: Final[Schema] = {
    "anyOf": [
        {
            "type": "object",
            "propertyNames": refer("Member"),
            "additionalProperties": DIRECTION,
            "maxProperties": MAXIMUM_MEMBERS,
        },
        list_of(
            list_of({"anyOf": [refer("Member"), DIRECTION]}) | {"minItems": 2, "maxItems": 2},
            MAXIMUM_MEMBERS,
        ),
        {"type": "null"},
    ]
}
SHIFTED: Final[Schema] = make_request(
    ("measure", "shift"),
    measure=refer("Member"),
    shift=TEXT | {"examples": ["1 year"]},
    direction=_or_null({"enum": ["prior", "next"]}),
    timeDimension=_or_null(refer("Member")),
    **{"as": _or_null({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,62}$"})},
)
COMPARE: Final[Schema] = make_request(
    ("to",),
    to=TEXT | {"examples": ["1 year", "previous period"]},
    timeDimension=_or_null(refer("Member")),
    measures=_or_null(list_of(refer("Member"), MAXIMUM_MEMBERS)),
    show=_or_null(list_of({"enum": list(get_args(Comparison))})),
)
QUERY: Final[Schema] = make_request(
    measures=list_of({"anyOf": [refer("Member"), refer("ShiftedMeasure")]}, MAXIMUM_MEMBERS),
    dimensions=list_of(refer("Member"), MAXIMUM_MEMBERS),
    segments=list_of(refer("Member"), MAXIMUM_MEMBERS),
    filters=list_of(refer("Filter"), MAXIMUM_FILTERS),
    timeDimensions=list_of(refer("TimeDimension"), MAXIMUM_MEMBERS),
    order=refer("Order"),
    limit=_or_null({"type": "integer", "minimum": 0, "maximum": MAXIMUM_LIMIT}),
    offset=_or_null({"type": "integer", "minimum": 0, "maximum": 2**31}),
    total=_or_null({"type": "boolean"}),
    timezone=_or_null(TEXT | {"examples": ["America/New_York"]}),
    ungrouped=_or_null({"type": "boolean"}),
    joinHints=list_of(
        list_of({"type": "string", "pattern": "^[a-zA-Z0-9_]+$"}) | {"minItems": 2}, 50
    ),
    compare=_or_null(refer("Compare")),
    cache=_or_null(CACHE),
    cacheMode=_or_null(CACHE),
    responseFormat={"enum": ["default", "compact", "columnar"]},
)
LOAD: Final[Schema] = make_request(
    ("query",),
    query={"anyOf": [refer("Query"), list_of(refer("Query"), MAXIMUM_QUERIES) | {"minItems": 1}]},
    queryType=_or_null({"enum": ["multi", "regularQuery"]}),
    cache=_or_null(CACHE),
)
ERROR: Final[Schema] = make_object(
    ("error", "code", "sqlState"),
    type={"const": "UserError"},
    error={"type": "string"},
    code={"type": "string", "description": "stable; the tables of the READMEs list all"},
    sqlState={"type": "string", "pattern": "^[0-9A-Z]{5}$"},
    suggestion={"type": "string"},
    requestId={"type": "string"},
)
STATE: Final[Schema] = make_object(
    ("snapshot", "builtAt", "quality", "tables", "newestCheck"),
    snapshot={"type": "string"},
    builtAt=INSTANT,
    quality={"enum": ["passed", "failed", "unknown"]},
    tables=list_of(
        make_object(
            ("name", "version", "rows", "dataUntil", "loadedAt", "quality"),
            name={"type": "string"},
            version={"type": "integer"},
            rows={"type": ["integer", "null"]},
            dataUntil=_or_null(INSTANT),
            loadedAt=INSTANT,
            quality={"enum": ["passed", "failed", "unknown"]},
        )
    ),
    newestCheck=list_of(make_object(("table", "quality", "checkedAt", "failures"))),
)
_CELL: Final[Schema] = {"type": ["string", "boolean", "null"]}
ROWS: Final[Schema] = {
    "anyOf": [
        list_of({"type": "object", "additionalProperties": _CELL}),
        make_object(("members", "dataset"), members=list_of(TEXT), dataset=list_of(list_of(_CELL))),
        make_object(("members", "columns"), members=list_of(TEXT), columns=list_of(list_of(_CELL))),
    ]
}
RESULT: Final[Schema] = make_object(
    (
        "query",
        "lastRefreshTime",
        "annotation",
        "dataSource",
        "dbType",
        "external",
        "slowQuery",
        "usedPreAggregations",
        "ducat",
        "data",
    ),
    query={"type": "object"},
    lastRefreshTime=INSTANT,
    annotation=make_object(
        ("measures", "dimensions", "segments", "timeDimensions"),
        measures={"type": "object"},
        dimensions={"type": "object"},
        segments={"type": "object"},
        timeDimensions={"type": "object"},
    ),
    dataSource={"const": "default"},
    dbType={"enum": ["duckdb", "postgres", "clickhouse", "spark"]},
    external={"const": False},
    slowQuery={"const": False},
    usedPreAggregations={"type": "object"},
    total={"type": "integer"},
    ducat={"allOf": [refer("State"), make_object(("truncated", "seconds"))]},
    data=refer("Rows"),
)
RESULTS: Final[Schema] = make_object(
    ("queryType", "results", "pivotQuery", "slowQuery"),
    queryType={"enum": ["regularQuery", "compareDateRangeQuery", "blendingQuery"]},
    results=list_of(refer("Result")),
    pivotQuery={"type": "object"},
    slowQuery={"const": False},
)
CONTINUE_WAIT: Final[Schema] = make_object(("error",), error={"const": "Continue wait"})
_SQL: Final[Schema] = make_object(
    ("sql", "dataSource"),
    sql=make_object(
        ("sql", "order", "aliasNameToMember", "memberNames"),
        sql=list_of({"type": ["string", "array"]}) | {"minItems": 2, "maxItems": 2},
        order={"type": "object"},
        aliasNameToMember={"type": "object"},
        memberNames=list_of({"type": "string"}),
    ),
)
SQL_ANSWER: Final[Schema] = {
    "anyOf": [
        _SQL,
        list_of(_SQL),
        make_object(("sql",), sql=make_object(("status",), status={"enum": ["ok", "error"]})),
    ]
}
DRY_RUN: Final[Schema] = make_object(
    ("queryType", "normalizedQueries", "queryOrder", "transformedQueries", "pivotQuery"),
    queryType={"enum": ["regularQuery", "compareDateRangeQuery", "blendingQuery"]},
    normalizedQueries=list_of({"type": "object"}),
    queryOrder=list_of({"type": "object"}),
    transformedQueries=list_of({"type": "object"}),
    pivotQuery={"type": "object"},
)
_META_MEMBER: Final[Schema] = make_object(
    ("name", "title", "shortTitle", "isVisible", "public"),
    name=refer("Member"),
    title={"type": "string"},
    shortTitle={"type": "string"},
    description={"type": "string"},
    type={"type": "string"},
)
META: Final[Schema] = make_object(
    ("cubes", "ducat"),
    cubes=list_of(
        make_object(
            ("name", "type", "title", "public", "measures", "dimensions", "segments"),
            name={"type": "string"},
            type={"enum": ["cube", "view"]},
            title={"type": "string"},
            public={"const": True},
            measures=list_of(_META_MEMBER),
            dimensions=list_of(_META_MEMBER),
            segments=list_of(_META_MEMBER),
        )
    ),
    ducat=make_object(("catalogVersion",), catalogVersion={"type": "string"}),
)
CUBE_SQL: Final[Schema] = make_request(
    ("query",),
    query={"type": "string"},
    timezone={"type": "string"},
    cache=_or_null(CACHE),
    throwContinueWait={"type": "boolean"},
)
CONVERSION: Final[Schema] = make_object(
    ("input", "output", "query"),
    input={"const": "sql"},
    output={"const": "rest"},
    query={"type": "string"},
)
CONVERTED: Final[Schema] = make_object(
    ("status",),
    status={"enum": ["ok", "error"]},
    query=refer("Query"),
    error={"type": "string"},
)
JOBS: Final[Schema] = make_object(
    ("action",), action={"enum": ["get", "post"]}, tokens=list_of({"type": "string"}, 1000)
)
JOB_STATES: Final[Schema] = list_of(
    make_object(("token", "status"), token={"type": "string"}, status={"const": "not_found"})
)
SQL_REQUEST: Final[Schema] = make_request(
    ("sql",), sql={"type": "string"}, timezone=_or_null({"type": "string"})
)
SQL_ROWS: Final[Schema] = make_object(
    ("columns", "rows", "truncated", "state"),
    columns=list_of(
        make_object(
            ("name", "type"),
            name={"type": "string"},
            type={
                "enum": ["string", "number", "integer", "decimal", "boolean", "timestamp", "date"]
            },
        )
    ),
    rows=list_of(list_of({"type": ["string", "number", "boolean", "null"]})),
    truncated={"const": False},
    state=refer("State"),
)
SQL_VIEWS: Final[Schema] = make_object(
    ("views",),
    views=list_of(
        make_object(
            ("name", "title", "dimensions", "measures"),
            name={"type": "string"},
            dimensions=list_of(make_object(("name", "type", "title"))),
            measures=list_of(make_object(("name", "type", "title", "format"))),
        )
    ),
)
GRAPHQL: Final[Schema] = make_object(
    query={"type": "string"},
    variables=_or_null({"type": "object"}),
    operationName=_or_null({"type": "string"}),
    documentId=_or_null({"type": "string", "pattern": "^(sha256:)?[0-9a-f]{64}$"}),
)
GRAPHQL_ANSWER: Final[Schema] = make_object(
    data={"type": ["object", "null"]},
    errors=list_of(make_object(("message",), message={"type": "string"})),
    extensions={"type": "object"},
)
HEALTH: Final[Schema] = make_object(("health",), health={"enum": ["HEALTH", "DOWN"]})

SCHEMAS: Final[dict[str, Schema]] = {
    "Member": MEMBER,
    "DateRange": DATE_RANGE,
    "Filter": FILTER,
    "TimeDimension": TIME_DIMENSION,
    "Order": ORDER,
    "ShiftedMeasure": SHIFTED,
    "Compare": COMPARE,
    "Query": QUERY,
    "LoadRequest": LOAD,
    "Error": ERROR,
    "State": STATE,
    "Rows": ROWS,
    "Result": RESULT,
    "Results": RESULTS,
    "ContinueWait": CONTINUE_WAIT,
    "Sql": SQL_ANSWER,
    "DryRun": DRY_RUN,
    "Meta": META,
    "CubeSqlRequest": CUBE_SQL,
    "Conversion": CONVERSION,
    "Converted": CONVERTED,
    "Jobs": JOBS,
    "JobStates": JOB_STATES,
    "SqlRequest": SQL_REQUEST,
    "SqlRows": SQL_ROWS,
    "SqlViews": SQL_VIEWS,
    "GraphQL": GRAPHQL,
    "GraphQLAnswer": GRAPHQL_ANSWER,
    "Health": HEALTH,
}
