"""SQL over cubes and views, compared with hand-written SQL on the tables."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.unit.api.conftest import Site
from tests.unit.api.postgres.conftest import Ask

JOINED = "gold.fct_sale s LEFT JOIN gold.dim_shop p ON s.shop_id = p.shop_id"
CASES = {
    "a regular question": (
        "SELECT shop_city, MEASURE(count), SUM(amount) FROM shop_sales GROUP BY 1",
        f"SELECT p.city, count(*), sum(amount) FROM {JOINED} GROUP BY 1",
    ),
    "a calculation over measures": (
        "SELECT shop_city, MEASURE(amount) / MEASURE(count) AS x FROM shop_sales GROUP BY 1",
        f"SELECT p.city, sum(amount) / count(*) FROM {JOINED} GROUP BY 1",
    ),
    "HAVING of a calculation": (
        "SELECT shop_city FROM shop_sales GROUP BY 1 HAVING MEASURE(count) * 2 > 266",
        f"SELECT p.city FROM {JOINED} GROUP BY 1 HAVING count(*) * 2 > 266",
    ),
    "an outer SUM over inner groups": (
        (
            "SELECT city, SUM(n), COUNT(*) FROM (SELECT shop_city AS city, is_online, "
            "MEASURE(count) AS n FROM shop_sales GROUP BY 1, 2) t GROUP BY city"
        ),
        (
            f"SELECT p.city, count(*), count(DISTINCT coalesce(is_online::int, 2)) FROM {JOINED} "
            "GROUP BY 1"
        ),
    ),
    "a measure over a wrapped projection, at the outer grain": (
        (
            "SELECT is_online, AVG(average_weight) FROM (SELECT * FROM sales WHERE weight > 10) t "
            "GROUP BY 1"
        ),
        "SELECT is_online, avg(weight) FROM gold.fct_sale WHERE weight > 10 GROUP BY 1",
    ),
    "a renamed column of a wrapped projection that another column is called": (
        (
            "SELECT online, MEASURE(amount) FROM (SELECT is_online AS online, amount FROM sales) t "
            "WHERE online IS NOT NULL GROUP BY online"
        ),
        "SELECT is_online, sum(amount) FROM gold.fct_sale WHERE is_online IS NOT NULL GROUP BY 1",
    ),
    "a window over a CTE": (
        (
            "WITH a AS (SELECT DATE_TRUNC('month', sold_at) AS m, MEASURE(count) AS n FROM sales "
            "GROUP BY 1) SELECT m, SUM(n) OVER (ORDER BY m) FROM a"
        ),
        (
            "SELECT m, sum(n) OVER (ORDER BY m) FROM (SELECT date_trunc('month', sold_at) m, "
            "count(*) n FROM gold.fct_sale GROUP BY 1)"
        ),
    ),
    "a window beside a measure": (
        "SELECT shop_city, RANK() OVER (ORDER BY MEASURE(count) DESC) FROM shop_sales GROUP BY 1",
        f"SELECT p.city, rank() OVER (ORDER BY count(*) DESC) FROM {JOINED} GROUP BY 1",
    ),
    "parts of a time that together are a month": (
        (
            "SELECT EXTRACT(year FROM sold_at), EXTRACT(month FROM sold_at), MEASURE(amount) "
            "FROM sales GROUP BY 1, 2"
        ),
        "SELECT year(sold_at), month(sold_at), sum(amount) FROM gold.fct_sale GROUP BY 1, 2",
    ),
    "a month as text": (
        "SELECT to_char(sold_at, 'YYYY-MM'), MEASURE(count) FROM sales GROUP BY 1",
        "SELECT strftime(sold_at, '%Y-%m'), count(*) FROM gold.fct_sale GROUP BY 1",
    ),
    "an expression of which the groups stay apart": (
        "SELECT UPPER(shop_city), MEASURE(count) FROM shop_sales GROUP BY UPPER(shop_city)",
        f"SELECT upper(p.city), count(*) FROM {JOINED} GROUP BY 1",
    ),
    "groups without a measure may fall together": (
        "SELECT EXTRACT(dow FROM sold_at) FROM sales GROUP BY 1",
        "SELECT DISTINCT dayofweek(sold_at) FROM gold.fct_sale",
    ),
    "least, greatest and distinct values of columns": (
        "SELECT MIN(sold_at), MAX(weight), COUNT(DISTINCT is_online) FROM sales",
        "SELECT min(sold_at), max(weight), count(DISTINCT is_online) FROM gold.fct_sale",
    ),
    "rows": (
        "SELECT sale_id, weight FROM sales WHERE weight > 131",
        "SELECT sale_id, weight FROM gold.fct_sale WHERE weight > 131",
    ),
    "the last rows, a page of them": (
        "SELECT sale_id FROM sales ORDER BY sale_id DESC LIMIT 3 OFFSET 2",
        "SELECT sale_id FROM gold.fct_sale ORDER BY sale_id DESC LIMIT 3 OFFSET 2",
    ),
    "every column of a cube": (
        "SELECT * FROM shops",
        "SELECT city, 1 FROM gold.dim_shop",
    ),
    "a join of two answers": (
        (
            "SELECT a.is_online, a.n, b.w FROM (SELECT is_online, MEASURE(count) n FROM sales GROUP BY 1)"
            " a JOIN (SELECT is_online, MEASURE(amount) w FROM sales GROUP BY 1) b USING (is_online)"
        ),
        (
            "SELECT is_online, count(*), sum(amount) FROM gold.fct_sale WHERE is_online IS NOT NULL "
            "GROUP BY 1"
        ),
    ),
    "a join of an answer with a cube's rows": (
        (
            "SELECT s.city, f.n FROM (SELECT shop_city, MEASURE(count) n FROM shop_sales GROUP BY 1) f "
            "JOIN shops s ON s.city = f.shop_city"
        ),
        f"SELECT p.city, count(*) FROM {JOINED} WHERE p.city IS NOT NULL GROUP BY 1",
    ),
    "a join of tables by USING": (
        "SELECT count(*) FROM sales a JOIN sales b USING (sale_id)",
        "SELECT count(*) FROM gold.fct_sale",
    ),
    "a condition that filters cannot say, on a group": (
        "SELECT shop_city, MEASURE(amount) FROM shop_sales WHERE shop_city LIKE 'P%' GROUP BY 1",
        f"SELECT p.city, sum(amount) FROM {JOINED} WHERE p.city LIKE 'P%' GROUP BY 1",
    ),
    "conditions that filters cannot say, with one that they can": (
        (
            "SELECT lower(shop_city), COUNT(*) FROM shop_sales WHERE lower(shop_city) = 'paris' "
            "AND weight > 50 GROUP BY lower(shop_city) HAVING COUNT(*) > 1"
        ),
        (
            f"SELECT lower(p.city), count(*) FROM {JOINED} WHERE p.city = 'Paris' AND weight > 50 "
            "GROUP BY 1"
        ),
    ),
    "a condition that filters cannot say, on rows": (
        "SELECT sale_id FROM sales WHERE sale_id % 100 = 7 ORDER BY 1 DESC LIMIT 2",
        "SELECT sale_id FROM gold.fct_sale WHERE sale_id IN (307, 207)",
    ),
    "a condition that filters cannot say, on distinct values": (
        "SELECT DISTINCT is_online FROM sales WHERE sale_id % 2 = 1",
        "SELECT DISTINCT is_online FROM gold.fct_sale WHERE sale_id % 2 = 1",
    ),
    "the greatest value of some rows": (
        "SELECT MAX(sold_at) FROM sales WHERE sale_id % 2 = 1",
        "SELECT max(sold_at) FROM gold.fct_sale WHERE sale_id % 2 = 1",
    ),
    "values": (
        "SELECT column2 FROM (VALUES (1, 'a'), (2, 'b')) t WHERE column1 = 2",
        "SELECT 'b'",
    ),
    "a union": (
        (
            "SELECT 'sales' AS k, MEASURE(count) FROM sales UNION ALL SELECT 'shops', MEASURE(count) "
            "FROM shops"
        ),
        (
            "SELECT 'sales', count(*) FROM gold.fct_sale UNION ALL SELECT 'shops', count(*) "
            "FROM gold.dim_shop"
        ),
    ),
    "how many rows a table has": (
        "SELECT COUNT(*) FROM (SELECT sale_id FROM sales) t",
        "SELECT count(*) FROM gold.fct_sale",
    ),
    "a condition with a sub-select": (
        "SELECT MEASURE(count) FROM sales WHERE sale_id > (SELECT MAX(sale_id) FROM sales) - 10",
        (
            "SELECT count(*) FROM gold.fct_sale WHERE sale_id > (SELECT max(sale_id) FROM gold.fct_sale)"
            " - 10"
        ),
    ),
    "a condition with IN and a sub-select": (
        "SELECT MEASURE(count) FROM shop_sales WHERE shop_city IN (SELECT city FROM shops)",
        f"SELECT count(*) FROM {JOINED} WHERE p.city IS NOT NULL",
    ),
    "a condition with what can be computed": (
        (
            "SELECT MEASURE(count) FROM sales WHERE sold_at >= date '2024-02-01' - interval '1 month'"
            " AND sold_at < DATE_TRUNC('month', timestamp '2024-02-29 10:00:00')"
        ),
        "SELECT count(*) FROM gold.fct_sale WHERE sold_at < '2024-02-01'",
    ),
    "a segment": (
        "SELECT MEASURE(count) FROM sales WHERE heavy",
        "SELECT count(*) FROM gold.fct_sale WHERE weight > 100",
    ),
    "a scalar sub-select among the columns": (
        (
            "SELECT shop_city, MEASURE(count), (SELECT MEASURE(count) FROM sales) FROM shop_sales "
            "GROUP BY 1"
        ),
        f"SELECT p.city, count(*), 400 FROM {JOINED} GROUP BY 1",
    ),
    "columns that an outer SELECT makes out of one row each": (
        "SELECT n, x FROM (SELECT unnest(ARRAY[1, 2]) AS n, 5 AS x FROM shops LIMIT 4) t",
        "SELECT n, 5 FROM (VALUES (1), (1), (2), (2)) t(n)",
    ),
    "NULLS FIRST": (
        "SELECT shop_city FROM shop_sales GROUP BY 1 ORDER BY 1 NULLS FIRST LIMIT 1",
        "SELECT NULL",
    ),
    "arithmetic as in PostgreSQL": (
        "SELECT 7 / 2, -7 / 2, 7 % 3, 7 / 2.0, round(2.675::numeric, 2)",
        "SELECT 3, -3, 1, 3.5, 2.68",
    ),
    "a quotient of sums is not cut": (
        (
            "SELECT s / 3 FROM (SELECT SUM(n) AS s FROM (SELECT is_online, MEASURE(count) AS n FROM "
            "sales GROUP BY 1) t) u"
        ),
        "SELECT 400 / 3",
    ),
}


def plain(value: Any) -> Any:
    """Return a value that compares by what it is: numbers as numbers, near enough."""
    if isinstance(value, Decimal | float | int) and not isinstance(value, bool):
        return round(float(value), 6)
    return value


def values(table: pa.Table) -> list[tuple[Any, ...]]:
    """Return a table's rows, though two columns may have one name."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def rows(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(plain(cell) for cell in row) for row in found), key=repr)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_answer_is_that_of_hand_written_sql(case: str, ask: Ask, site: Site) -> None:
    text, by_hand = CASES[case]
    assert rows(values(ask(text))) == rows(site.ask(by_hand))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_description_has_the_columns_and_no_rows(case: str, ask: Ask) -> None:
    text = CASES[case][0]
    described, found = ask(text, describe=True), ask(text)
    assert described.schema.names == found.schema.names
    assert described.schema.types == found.schema.types


def test_times_are_local_to_the_session(ask: Ask, site: Site) -> None:
    text = "SELECT DATE_TRUNC('day', sold_at) AS d, MEASURE(count) AS n FROM sales GROUP BY 1"
    found = values(ask(text, timezone="America/New_York"))
    by_hand = (
        "SELECT date_trunc('day', (sold_at AT TIME ZONE 'UTC') AT TIME ZONE 'America/New_York'), "
        "count(*) FROM gold.fct_sale GROUP BY 1"
    )
    assert rows(found) == rows(site.ask(by_hand))


def test_the_catalog_lists_what_the_caller_sees(ask: Ask) -> None:
    found = ask("SELECT relname, relkind FROM pg_class ORDER BY 1").to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("sales", "r"), ("shop_sales", "v"), ("shops", "r"), ("slow", "r")
    ]  # fmt: skip
    columns = ask(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_name = 'sales' AND column_name IN ('amount', 'sold_at', 'count')"
    ).to_pylist()
    assert {row["column_name"]: row["data_type"] for row in columns} == {
        "sold_at": "timestamp without time zone", "count": "bigint", "amount": "numeric",
    }  # fmt: skip


def test_a_plan_that_was_kept_answers_its_own_text_only(ask: Ask, site: Site) -> None:
    by_zone = "SELECT DATE_TRUNC('day', sold_at) AS d, MEASURE(count) AS n FROM sales GROUP BY 1"
    texts = [by_zone, "SELECT MEASURE(count) FROM sales", "SELECT MEASURE(amount) FROM sales"]
    fresh = {text: values(ask(text)) for text in texts}
    for _ in range(3):
        for text in texts:
            assert rows(values(ask(text, kept=True))) == rows(fresh[text])
    tokyo = "Asia/Tokyo"
    assert rows(values(ask(by_zone, tokyo, kept=True))) == rows(values(ask(by_zone, tokyo)))
    assert rows(values(ask(by_zone, tokyo))) != rows(fresh[by_zone])
