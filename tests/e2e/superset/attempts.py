"""What hostile people try in Superset: one request each, and who it is that refuses it.

    server     our metrics server, in its own words: Superset would have sent it
    role       the person's role in Superset has no permission for the door
    owner      Superset: the thing belongs to another, or is not the person's to read
    fault      the server or Superset, but Superset words it as its own fault
    superset   Superset's own checks of a request, or the door is switched off
    token      the guest token is not one, or is another's

People are those of `guarded.py`; `vera` is a Viewer, `guest` holds a good token of the dashboard
"Guarded", `nobody` is not signed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tests.e2e.superset.guarded import Guarded, ask

Json: TypeAlias = Mapping[str, Any]
REFUSALS: Final[Mapping[str, frozenset[int]]] = {
    "server": frozenset({400}),
    "fault": frozenset({400, 500}),
    "role": frozenset({401, 403, 404}),
    "owner": frozenset({403, 404}),
    "superset": frozenset({400, 403, 404, 405, 422}),
    "token": frozenset({401, 403, 404}),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request. `{...}` in its path are numbers of `Guarded`; `words` must be in the refusal."""

    name: str
    who: str
    method: str
    path: str
    refused_by: str
    body: Callable[[Guarded], Json] | None = None
    words: str = ""
    is_form: bool = False


def question(
    name: str, words: str, *, who: str = "ann", by: str = "server", **query: Any
) -> Attempt:
    """Return a question to `chart/data` that must not be answered."""
    whole = {"metrics": ["count"], **query}

    def body(guarded: Guarded) -> Json:
        return ask(guarded.dataset, **whole)

    return Attempt(name, who, "POST", "/api/v1/chart/data", by, body, words)


def sql(expression: str) -> dict[str, Any]:
    return {"expressionType": "SQL", "sqlExpression": expression, "label": "mine"}


def simple(aggregate: str, column: str) -> dict[str, Any]:
    return {
        "expressionType": "SIMPLE",
        "aggregate": aggregate,
        "column": {"column_name": column},
        "label": "mine",
    }


def always(body: Json) -> Callable[[Guarded], Json]:
    return lambda _: body


def post(
    name: str, who: str, path: str, by: str, body: Json | Callable[[Guarded], Json]
) -> Attempt:
    return Attempt(name, who, "POST", path, by, body if callable(body) else always(body))


def put(name: str, who: str, path: str, by: str, body: Json | Callable[[Guarded], Json]) -> Attempt:
    return Attempt(name, who, "PUT", path, by, body if callable(body) else always(body))


def get(name: str, who: str, path: str, by: str) -> Attempt:
    return Attempt(name, who, "GET", path, by)


def as_kind(kind: str, **query: Any) -> Callable[[Guarded], Json]:
    return lambda guarded: ask(guarded.dataset, **query) | {"result_type": kind}
