"""No text of the model leaves its literal, no name its quotes, and no value of a caller is in the SQL."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
import sqlglot
from sqlglot import exp

from semantic.compile.compiled import Parameters
from semantic.compile.dialect import (
    BIGQUERY,
    CLICKHOUSE,
    DATABRICKS,
    SNOWFLAKE,
    SPARK,
    TRINO,
    Dialect,
)
from semantic.compile.dialects.trino import order_values
from semantic.engine.clickhouse import write_value

DIALECTS = (BIGQUERY, CLICKHOUSE, DATABRICKS, SNOWFLAKE, SPARK, TRINO)
HOSTILE = ("it's", "' OR 1=1 --", "\\' OR 1=1 --", "a\\", "''", "x'; DROP TABLE t; --", 'é`"')


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_literal_is_read_as_the_text(dialect: Dialect, text: str) -> None:
    tree = sqlglot.parse_one(f"SELECT {dialect.quote_text(text)} AS a", read=dialect.name)
    assert isinstance(tree, exp.Select)
    [item] = tree.selects
    assert isinstance(item.this, exp.Literal)
    assert item.this.this == text


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_bound_text_stands_in_the_sql(dialect: Dialect, text: str) -> None:
    parameters = Parameters(dialect)
    assert text not in parameters.bind(text)
    assert parameters.values == (text,)


def test_values_for_clickhouse_are_escaped_as_in_its_tab_separated_files() -> None:
    assert write_value("a\\N\t\n'") == "a\\\\N\\t\\n'"
    assert write_value(Decimal("1E+3")) == "1000"
    assert write_value(True) == "true"  # noqa: FBT003
    moment = datetime(2024, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001 -- a wall clock
    assert write_value(moment) == "2024-01-02 03:04:05.000006"


def test_values_for_trino_follow_its_placeholders() -> None:
    parameters = Parameters(TRINO)
    first, second = parameters.bind("a"), parameters.bind(2)
    sql = f"SELECT {second}, {first}, {second}"
    assert order_values(sql, parameters.values) == [2, "a", 2]
