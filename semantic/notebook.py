"""Metrics in a notebook or a script: `from semantic import connect`.

    with connect("path/of/the/project") as ducat:
        answer = ducat.query(measures=["flights.count"], dimensions=["flights.carrier"])
        answer.to_pandas()
        answer.to_ibis().filter(lambda t: t["flights.count"] > 1000)

The same layer as behind every door, in this process: policies, planner and engine are those of the
server. An answer is whole unless a limit was asked, and comes from one state of the tables. An Ibis
table holds the rows of the answer, not the query: what is composed with it runs on those, so a
number in it stays the number of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import pyarrow as pa

from semantic.catalog.catalog import Catalog
from semantic.client import frames
from semantic.engine.result import AnswerState, Result, ResultColumn
from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.query.query import Query
from semantic.service import SemanticLayer
from semantic.settings import read_settings


class Answer:
    """A query that is answered when it is first looked at, and then stays as it was."""

    def __init__(self, layer: SemanticLayer, query: Query, context: SecurityContext) -> None:
        self._layer = layer
        self._query = query
        self._context = context
        self._result: Result | None = None

    def run(self) -> Result:
        """Return the result with its columns, and the state of the tables it was computed from.

        Raises:
            DucatError: the query was refused or failed.
        """
        if self._result is None:
            now = datetime.now(UTC)
            self._result = self._layer.load(self._query, self._context, now=now)
        return self._result

    @property
    def state(self) -> AnswerState:
        """How fresh the tables are, and what their checks said."""
        return self.run().state

    def to_arrow(self) -> pa.Table:
        """Return the rows; columns are called as the members are, decimals stay decimals."""
        return self.run().table

    def to_pandas(self) -> Any:
        """Return a pandas data frame, with Arrow's types, so that no number is rounded."""
        return frames.to_pandas(self.to_arrow())

    def to_polars(self) -> Any:
        """Return a polars data frame."""
        return frames.to_polars(self.to_arrow())

    def to_ibis(self) -> Any:
        """Return an Ibis table of the rows, to compose with any further expression."""
        return frames.to_ibis(self.to_arrow())

    @property
    def total(self) -> int | None:
        """How many rows there are without limit and offset, where `total` was asked."""
        return self.run().total

    def meta(self) -> dict[str, dict[str, Any]]:
        """Return what each column means: member, title, type, format …, in Cube's words."""
        return {column.name: _describe(column) for column in self.run().columns}

    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL that answers the query, and the values bound to it."""
        compiled = self._layer.compile(self._query, self._context, now=datetime.now(UTC))
        return compiled.sql, compiled.values

    def explain(self) -> dict[str, Any]:
        """Return the plan as a tree, the joins and why, and the SQL."""
        return self._layer.explain(self._query, self._context, now=datetime.now(UTC))


class Metrics:
    """The metrics of a project, for one caller."""

    def __init__(self, layer: SemanticLayer, context: SecurityContext) -> None:
        self._layer = layer
        self._context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def catalog(self) -> Catalog:
        """The model, without what this caller may not see."""
        return self._layer.visible(self._context)

    def query(self, document: Mapping[str, Any] | None = None, /, **parts: Any) -> Answer:
        """Return the answer to a query in Cube's JSON, or given by its parts.

        `time_dimensions`, `join_hints` and so on may be written with underscores.

        Raises:
            QueryError, UnsupportedError: it is no query.
        """
        asked = {_camel(name): _plain(value) for name, value in parts.items()}
        query = parse_json({**(document or {}), **asked}, unlimited=True)
        return Answer(self._layer, query, self._context)

    def close(self) -> None:
        """Close the engine."""
        self._layer.close()


def connect(
    project: str | Path | None = None,
    *,
    user: str = "local",
    groups: Sequence[str] = (),
    claims: Mapping[str, Any] | None = None,
) -> Metrics:
    """Return the metrics of a project folder (default: `DUCAT_PROJECT`, else the current folder).

    `user`, `groups` and `claims` are what access policies look at.

    Raises:
        SettingsError, ProjectError, ModelError: there is no usable project.
    """
    settings = read_settings(None if project is None else Path(project))
    context = SecurityContext(user, tuple(groups), MappingProxyType(dict(claims or {})))
    return Metrics(SemanticLayer.of(settings), context)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _describe(column: ResultColumn) -> dict[str, Any]:
    described = {
        "member": column.member,
        "kind": column.kind,
        "title": column.title,
        "shortTitle": column.short_title,
        "type": column.type,
        "description": column.description,
        "format": column.format,
        "currency": column.currency,
    }
    return {name: value for name, value in described.items() if value}
