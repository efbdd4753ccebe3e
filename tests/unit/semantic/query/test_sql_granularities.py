"""SQL cuts times to the granularities of the dimension, its own ones too."""

from __future__ import annotations

import pytest

from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import UnsupportedError
from semantic.query.query import TimeDimension
from semantic.query.sql.parse import parse_sql

MODEL = """
cubes:
  - name: orders
    sql_table: orders
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - name: placed_at
        type: time
        sql: placed_at
        granularities: [{name: half_year, interval: 6 months}]
      - {name: paid_at, type: time, sql: paid_at}
    measures: [{name: count, type: count}]
views:
  - name: sales
    cubes: [{join_path: orders, includes: [placed_at, paid_at, count]}]
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog_from_text({"orders.yml": MODEL})


@pytest.mark.parametrize("grain", ["half_year", "HALF_YEAR", "month"])
def test_a_time_is_cut_to_a_granularity_that_it_has(catalog: Catalog, grain: str) -> None:
    text = f"SELECT DATE_TRUNC('{grain}', placed_at), MEASURE(count) FROM sales GROUP BY 1"
    (found,) = parse_sql(text, catalog).query.time_dimensions
    assert found == TimeDimension("sales.placed_at", grain.lower())


@pytest.mark.parametrize(("grain", "column"), [("half_year", "paid_at"), ("season", "placed_at")])
def test_a_granularity_of_another_time_is_none(catalog: Catalog, grain: str, column: str) -> None:
    with pytest.raises(UnsupportedError, match="no such time grain"):
        parse_sql(f"SELECT DATE_TRUNC('{grain}', {column}) FROM sales GROUP BY 1", catalog)
