"""Opens the sets of conformance cases on ClickHouse (chdb) and on Spark."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.engine.clickhouse import ClickHouseEngine
from semantic.engine.query_engine import QueryEngine
from semantic.engine.spark import SparkEngine
from semantic.errors import DucatError
from tests.conformance.cases import CaseSet
from tests.conformance.engines import OpenedSet
from tests.engines.models import translate_model
from tests.engines.tables import fill_clickhouse, fill_spark, write_tables

DistributedName = Literal["clickhouse", "spark"]
DISTRIBUTED: tuple[DistributedName, ...] = ("clickhouse", "spark")
_NUMBERS = count(1)
SECONDS = 300


@dataclass(slots=True)
class Sets:
    """Opens sets, one at a time for each engine; `close` stops everything."""

    _stack: ExitStack = field(default_factory=ExitStack)

    def open(self, found: CaseSet, name: DistributedName) -> OpenedSet:
        """Return a set whose tables are there; they are DuckDB's, as its seed makes them."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ducat-cases-")))
        tables = write_tables(found.seed("duckdb"), folder)
        engine: QueryEngine
        match name:
            case "clickhouse":
                database = folder / "database"
                engine = clickhouse = ClickHouseEngine(
                    f"chdb://{database}", timeout_seconds=SECONDS, filling=True
                )
                self._stack.callback(engine.close)
                fill_clickhouse(clickhouse, tables)
                clickhouse.forbid_writes()
            case "spark":
                engine = spark = SparkEngine("spark://local", timeout_seconds=SECONDS)
                self._stack.callback(engine.close)
                fill_spark(spark, tables, f"cases_{next(_NUMBERS)}")
        return OpenedSet(engine, load(found, name))

    def close(self) -> None:
        """Close the engines and delete the files."""
        self._stack.close()


def load(found: CaseSet, dialect: str) -> Catalog | DucatError:
    """Return the model of a set in a dialect, or why it is none."""
    text = translate_model(found.model("duckdb"), dialect)
    try:
        return load_catalog_from_text({"model.yml": text}, dialect=dialect)
    except DucatError as refused:
        return refused
