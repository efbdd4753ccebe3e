"""One small served file with the edges that SQL is tested at: nulls and single microseconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from semantic.engine.result import Result
from semantic.query.context import SecurityContext
from semantic.query.sql.parse import parse_sql
from semantic.query.sql.statement import SqlQuery
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer, read_rows

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: trips
    sql_table: gold.trips
    joins:
      - {name: cities, relationship: many_to_one, sql: "{CUBE}.city_id = {cities}.id"}
    dimensions:
      - {name: id, type: number, sql: "{CUBE}.id", primary_key: true, public: true}
      - {name: started, type: time, sql: "{CUBE}.started"}
      - {name: day, type: time, sql: "{CUBE}.day"}
      - {name: colour, type: string, sql: "{CUBE}.colour"}
      - {name: paid, type: boolean, sql: "{CUBE}.paid"}
      - {name: distance, type: number, sql: "{CUBE}.distance"}
      - {name: secret, type: string, sql: "{CUBE}.colour", public: false}
    measures:
      - {name: paid_count, type: count, filters: [{sql: "{CUBE}.paid"}]}
      - {name: count, type: count}
      - {name: total_distance, type: sum, sql: "{CUBE}.distance"}
      - {name: average_distance, type: avg, sql: "{CUBE}.distance"}
      - {name: longest, type: max, sql: "{CUBE}.distance"}
      - {name: colours, type: count_distinct, sql: "{CUBE}.colour"}
      - {name: paid_share, type: number, sql: "1.0 * {paid_count} / {count}"}
    segments:
      - {name: far, sql: "{CUBE}.distance > 5"}
  - name: cities
    sql_table: gold.cities
    dimensions:
      - {name: id, type: number, sql: "{CUBE}.id", primary_key: true}
      - {name: name, type: string, sql: "{CUBE}.name"}
    measures:
      - {name: count, type: count}
views:
  - name: city_trips
    cubes:
      - {join_path: trips.cities, includes: [{name: name, alias: city}, {name: count, alias: cities_count}]}
      - {join_path: trips, includes: "*"}
  - name: hidden_trips
    public: false
    cubes:
      - {join_path: trips, includes: "*"}
"""
SEED = """
CREATE TABLE gold.cities AS SELECT * FROM (VALUES (1, 'Lima'), (2, 'Oslo'), (3, NULL)) t(id, name);
CREATE TABLE gold.trips (id BIGINT, city_id BIGINT, started TIMESTAMP, day DATE, colour VARCHAR,
                         paid BOOLEAN, distance BIGINT);
INSERT INTO gold.trips VALUES
  (1, 1, '2023-12-31 23:59:59.999999', '2023-12-31', 'Red', true, 1),
  (2, 1, '2024-01-01 00:00:00', '2024-01-01', 'red', false, 9),
  (3, 2, '2024-01-01 00:00:00.000001', '2024-01-01', 'blue', NULL, 4),
  (4, 2, '2024-01-31 23:59:59.999999', '2024-01-31', NULL, true, NULL),
  (5, 3, '2024-02-01 00:00:00', '2024-02-01', '100%_done', false, 7),
  (6, NULL, NULL, NULL, 'dark red', true, 12),
  (7, 1, '2024-02-29 12:30:15.5', '2024-02-29', 'Reddish', true, 5);
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """A layer, and hand-written SQL on the same tables."""

    layer: SemanticLayer
    folder: Path

    def parse(self, text: str, timezone: str = "UTC") -> SqlQuery:
        """Return what a statement asks."""
        return parse_sql(
            text,
            self.layer.catalog,
            visible=self.layer.visible(SecurityContext()),
            timezone=timezone,
        )

    def answer(self, text: str, timezone: str = "UTC") -> list[tuple[object, ...]]:
        """Return the rows that a statement asks, in its columns."""
        asked = self.parse(text, timezone)
        result: Result = self.layer.load(asked.query, SecurityContext(), now=NOW)
        if asked.kind == "row_count":
            assert result.total is not None
            return [(asked.count_rows(result.total),)]
        rows = result.table.to_pylist()
        return [tuple(row[column.source or ""] for column in asked.columns) for row in rows]

    def read(self, text: str) -> list[tuple[object, ...]]:
        """Return what hand-written SQL reads."""
        return read_rows(self.folder, text)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    layer = open_layer(folder, MODEL, SEED)
    yield Desk(layer, folder)
    layer.close()
