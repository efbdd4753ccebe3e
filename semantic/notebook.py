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
from semantic.engine.result import AnswerState, Result
from semantic.errors import UnsupportedError
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
        table = self.to_arrow()
        try:
            import pandas as pd  # noqa: PLC0415 -- not needed to serve
        except ImportError as missing:
            raise _not_installed("pandas") from missing
        return table.to_pandas(types_mapper=pd.ArrowDtype)

    def to_polars(self) -> Any:
        """Return a polars data frame."""
        table = self.to_arrow()
        try:
            import polars as pl  # noqa: PLC0415
        except ImportError as missing:
            raise _not_installed("polars") from missing
        return pl.from_arrow(table)

    def to_ibis(self) -> Any:
        """Return an Ibis table of the rows, to compose with any further expression."""
        table = self.to_arrow()
        try:
            import ibis  # noqa: PLC0415
        except ImportError as missing:
            raise _not_installed("ibis") from missing
        return ibis.memtable(table)

    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL that answers the query, and the values bound to it."""
        compiled = self._layer.compile(self._query, self._context, now=datetime.now(UTC))
        return compiled.sql, compiled.values  # noqa: PD011 -- no data frame

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


def _not_installed(package: str) -> UnsupportedError:
    return UnsupportedError(
        f"{package} is not installed", suggestion="install `ducat[client]`, or use to_arrow()"
    )
