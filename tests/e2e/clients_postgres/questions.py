"""Questions that every client asks, and the same in hand-written SQL on the tables."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

JOINED: Final = "gold.fct_sale s LEFT JOIN gold.dim_shop p ON s.shop_id = p.shop_id"
QUESTIONS: Final[tuple[tuple[str, str], ...]] = (
    (
        ("SELECT shop_city, MEASURE(count) AS n, SUM(amount) AS a, AVG(average_weight) AS w "
        "FROM shop_sales GROUP BY 1 ORDER BY 1"),
        f"SELECT p.city, count(*), sum(amount), avg(weight) FROM {JOINED} GROUP BY 1 ORDER BY 1",
    ),
    (
        ("SELECT is_online, DATE_TRUNC('month', sold_at) AS m, MEASURE(count) AS n FROM sales "
        "GROUP BY 1, 2 ORDER BY 1, 2"),
        ("SELECT is_online, date_trunc('month', sold_at), count(*) FROM gold.fct_sale GROUP BY 1, 2 "
        "ORDER BY 1, 2"),
    ),
    (
        "SELECT sale_id, sold_at, is_online, weight FROM sales ORDER BY sale_id LIMIT 20",
        "SELECT sale_id, sold_at, is_online, weight FROM gold.fct_sale ORDER BY 1 LIMIT 20",
    ),
    (
        ("WITH m AS (SELECT DATE_TRUNC('month', sold_at) AS m, MEASURE(amount) AS a FROM sales "
        "GROUP BY 1) SELECT m, a, a / SUM(a) OVER () AS share FROM m ORDER BY m"),
        ("SELECT m, a, a / sum(a) OVER () FROM (SELECT date_trunc('month', sold_at) AS m, "
        "sum(amount) AS a FROM gold.fct_sale GROUP BY 1) ORDER BY 1"),
    ),
    ("SELECT MIN(sold_at), MAX(sold_at) FROM sales", "SELECT min(sold_at), max(sold_at) FROM gold.fct_sale"),
)  # fmt: skip


def plain(value: Any) -> Any:
    """Return a value that compares by what it is, whatever type a client made of it."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day).isoformat()  # noqa: DTZ001
    if isinstance(value, int | float | Decimal):
        return round(float(value), 6)
    return str(value)


def plain_rows(rows: Any) -> list[tuple[Any, ...]]:
    """Return rows that compare by what they are."""
    return [tuple(plain(cell) for cell in row) for row in rows]
