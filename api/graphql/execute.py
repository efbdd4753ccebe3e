"""One GraphQL request: parsed, limited, validated, executed, and written as bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    validate,
)
from graphql.execution import execute
from graphql.language import parse

from api.annotation import annotate
from api.errors import graphql_extensions, present, shorten
from api.gateway import Asker, Gateway
from api.graphql.documents import GraphQLRequest, read_documents
from api.graphql.limits import MOST_TOKENS, check_cost
from api.graphql.resolve import Call, RowsExecutor, resolve_cube
from api.graphql.schema import CubeSchema, build_schema
from api.graphql.static import describe_meta
from api.members import Model, list_owners
from api.state import describe_answer, describe_state, format_instant, list_tables
from semantic.catalog.catalog import Catalog, Cube, View
from semantic.engine.result import Result
from semantic.errors import DucatError, QuerySyntaxError

SCHEMAS_KEPT: Final = 8
DOCUMENTS_KEPT: Final = 256
LONGEST_KEPT: Final = 16 * 1024
OK: Final = 200
BAD_REQUEST: Final = 400
log = structlog.stdlib.get_logger("ducat.graphql")


class RejectedError(Exception):
    """A request that is not executed: GraphQL's errors, and the code that they all have."""

    def __init__(self, errors: list[GraphQLError], code: str | None = None) -> None:
        super().__init__(errors[0].message)
        self.errors = errors
        self.code = code


@dataclass(frozen=True, slots=True)
class Answered:
    """The body of an answer, ready to be written.

    `ran`: the operation was executed. `repeats`: it is a subscription. `results`: what an answer
    without errors is made of, when that follows from them and the clock has no part in it.
    """

    body: dict[str, Any]
    ran: bool
    repeats: bool
    results: tuple[Result, ...] = ()


class GraphQLFace:
    """Answers GraphQL requests; keeps the schemas of the catalogs that callers see."""

    def __init__(self, gateway: Gateway) -> None:
        """Wire the door.

        Raises:
            SettingsError: the registered documents cannot be read.
        """
        settings = gateway.settings
        self._gateway = gateway
        self._documents = read_documents(
            settings.graphql_documents, only_registered=settings.graphql_documents_only
        )
        self._schemas: OrderedDict[tuple[str, ...], CubeSchema] = OrderedDict()
        # Documents that were valid, by text and schema: reading one costs more than answering it.
        self._read_before: OrderedDict[tuple[str, int], tuple[CubeSchema, DocumentNode]] = (
            OrderedDict()
        )

    async def answer(
        self, request: GraphQLRequest, asker: Asker
    ) -> tuple[int, bytes, tuple[Result, ...]]:
        """Return status and body of the answer to a query, and what its whole body is made of."""
        try:
            answered = await self.execute(request, asker, frozenset({OperationType.QUERY}))
        except RejectedError as rejected:
            return BAD_REQUEST, _write_errors(rejected.errors, rejected.code), ()
        return (OK if answered.ran else BAD_REQUEST), orjson.dumps(answered.body), answered.results

    async def execute(
        self, request: GraphQLRequest, asker: Asker, allowed: frozenset[OperationType]
    ) -> Answered:
        """Answer a request once. A subscription is answered as the query that it repeats.

        Raises:
            RejectedError: it is not GraphQL, too large, not valid for what the caller may see, or
                of a kind that is not allowed here.
        """
        visible = self._gateway.layer.visible(asker.context)
        whole = self._gateway.layer.catalog
        cubes = self._schema(visible, whole)
        document = self._read(request, cubes)
        kind = find_kind(document, request.operation)
        if kind is not None and kind not in allowed:
            raise RejectedError([GraphQLError(_misplaced(kind))], "GRAPHQL_VALIDATION_FAILED")
        call = Call(
            self._gateway, asker, visible, whole, cubes.owners, _variables(document, request)
        )
        executed = execute(
            cubes.schema,
            document,
            context_value=call,
            variable_values=request.variables,
            operation_name=request.operation,
            executor_class=RowsExecutor,
        )
        result = executed if isinstance(executed, ExecutionResult) else await executed
        return _write_result(result, call, repeats=kind is OperationType.SUBSCRIPTION)

    def _read(self, request: GraphQLRequest, cubes: CubeSchema) -> DocumentNode:
        try:
            request = self._documents.complete(request)
            known = self._read_before.get((request.query, id(cubes)))
            if known is not None and known[0] is cubes:
                return known[1]
            document = parse(request.query, max_tokens=MOST_TOKENS)
            check_cost(document)
        except GraphQLSyntaxError as malformed:
            raise RejectedError([malformed], "GRAPHQL_PARSE_FAILED") from malformed
        except RecursionError as deep:
            refused = QuerySyntaxError("the query is nested too deeply to be read")
            wrapped = GraphQLError(refused.message, original_error=refused)
            raise RejectedError([wrapped]) from deep
        except DucatError as refused:
            wrapped = GraphQLError(refused.message, original_error=refused)
            raise RejectedError([wrapped]) from refused
        invalid = validate(cubes.schema, document)
        if invalid:
            raise RejectedError(invalid, "GRAPHQL_VALIDATION_FAILED")
        if len(request.query) <= LONGEST_KEPT:
            self._read_before[request.query, id(cubes)] = (cubes, document)
            while len(self._read_before) > DOCUMENTS_KEPT:
                self._read_before.popitem(last=False)
        return document

    def _schema(self, visible: Catalog, whole: Catalog) -> CubeSchema:
        names = (
            name for owner in list_owners(visible) for name in (owner.name, *_member_names(owner))
        )
        key = (whole.version, *names)
        found = self._schemas.get(key)
        if found is None:
            found = build_schema(
                visible,
                whole,
                resolve_cube=resolve_cube,
                resolve_meta=lambda _, info: describe_meta(
                    info.context.visible, info.context.whole
                ),
                resolve_freshness=lambda _, info: _freshness(info.context),
            )
            self._schemas[key] = found
            while len(self._schemas) > SCHEMAS_KEPT:
                self._schemas.popitem(last=False)
        self._schemas.move_to_end(key)
        return found


def _member_names(owner: Cube | View) -> list[str]:
    if isinstance(owner, View):
        return list(owner.members)
    return [*owner.measures, *owner.dimensions, *owner.segments]


def _freshness(call: Call) -> dict[str, Any]:
    state = call.gateway.layer.state(list_tables(call.visible, call.whole))
    return describe_state(state, call.whole) | {
        "isLastGood": any(check.state == "failed" for _, check in state.newest_check)
    }


def _variables(document: DocumentNode, request: GraphQLRequest) -> dict[str, Any]:
    """Return the variables as they were written: the defaults of the operation, then the given."""
    written: dict[str, Any] = {}
    for definition in document.definitions:
        for variable in getattr(definition, "variable_definitions", None) or ():
            if variable.default_value is not None:
                written[variable.variable.name.value] = variable.default_value
    return written | request.variables


def find_kind(document: DocumentNode, name: str | None) -> OperationType | None:
    """Return the kind of the operation that is meant; None when none of the document is."""
    found = [item for item in document.definitions if isinstance(item, OperationDefinitionNode)]
    meant = [item for item in found if name is None or (item.name and item.name.value == name)]
    return meant[0].operation if len(meant) == 1 else None


def _misplaced(kind: OperationType) -> str:
    match kind:
        case OperationType.SUBSCRIPTION:
            return "subscriptions are answered over a WebSocket at this address"
        case OperationType.QUERY | OperationType.MUTATION:
            return f"a {kind.value} is not answered here"


def _write_result(result: ExecutionResult, call: Call, *, repeats: bool) -> Answered:
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = [_write_error(error, call.asker.request_id) for error in result.errors]
    body["data"] = result.data
    if call.results:
        annotation: dict[str, dict[str, Any]] = {}
        model = Model(call.whole, call.visible)
        for answer in call.results.values():
            for kind, items in annotate(answer, model).items():
                annotation.setdefault(kind, {}).update(items)
        body["extensions"] = {
            "annotation": annotation,
            "lastRefreshTime": format_instant(
                min(answer.state.built_at for answer in call.results.values())
            ),
            "ducat": {
                key: describe_answer(answer, call.whole)
                | ({"total": answer.total} if answer.query.total else {})
                for key, answer in call.results.items()
            },
        }
    ran = result.data is not None or bool(call.results) or _is_execution(result)
    # Ranges that are compared are named by their dates, which the clock may have chosen.
    is_plain = not result.errors and not any("[" in key for key in call.results)
    results = tuple(call.results.values()) if is_plain else ()
    return Answered(body, ran=ran, repeats=repeats, results=results)


def _is_execution(result: ExecutionResult) -> bool:
    """Whether the errors come from resolvers, not from variables or a missing operation."""
    return any(error.path for error in result.errors or ())


def _write_errors(errors: list[GraphQLError], code: str | None = None) -> bytes:
    return orjson.dumps({"errors": describe_errors(errors, code)})


def describe_errors(errors: list[GraphQLError], code: str | None = None) -> list[dict[str, Any]]:
    """Return rejections as they are written."""
    written = [_write_error(error, None) for error in errors]
    if code is not None:
        for error in written:
            error["extensions"] = {"code": code}
    return written


def _write_error(error: GraphQLError, request_id: str | None) -> dict[str, Any]:
    written: dict[str, Any] = {"message": shorten(error.message)}
    cause = error.original_error
    if cause is not None and not isinstance(cause, GraphQLError):
        if not isinstance(cause, DucatError):
            log.error("resolver failed", request_id=request_id, exc_info=cause)
        shown = present(cause)
        written["message"] = shorten(shown.message)
        written["extensions"] = graphql_extensions(shown)
        if request_id:
            written["extensions"]["requestId"] = request_id
    if error.locations:
        written["locations"] = [
            {"line": place.line, "column": place.column} for place in error.locations
        ]
    if error.path:
        written["path"] = [shorten(step) if isinstance(step, str) else step for step in error.path]
    return written
