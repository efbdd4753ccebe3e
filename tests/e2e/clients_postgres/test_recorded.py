"""What BI tools ask while they look around is answered, every statement of it."""

from __future__ import annotations

from pathlib import Path

from api.postgres.query.parse import split_statements
from tests.unit.api.postgres.conftest import WireServer

RECORDED = Path(__file__).with_name("recorded.sql")


def test_every_recorded_statement_is_answered(wire: WireServer) -> None:
    statements = split_statements(RECORDED.read_text())
    assert len(statements) > 50
    with wire.connect(autocommit=True) as db:
        for statement in statements:
            db.execute(statement.text.encode())
            db.execute(statement.text.encode(), binary=True)


def test_the_questions_among_them_give_the_right_numbers(wire: WireServer) -> None:
    by_hand = (
        "SELECT p.city, sum(amount) FROM gold.fct_sale s LEFT JOIN gold.dim_shop p USING (shop_id) "
        "GROUP BY 1 ORDER BY 1"
    )
    with wire.connect() as db:
        for text in (
            (
                'SELECT "s"."shop_city" AS "c", SUM("s"."amount") AS "sum:amount:ok" '
                'FROM "public"."shop_sales" "s" GROUP BY 1 ORDER BY 1'
            ),
            (
                'SELECT "_"."shop_city", "_"."C1" FROM (SELECT "rows"."shop_city" AS "shop_city", '
                'MEASURE("rows"."amount") AS "C1" FROM (SELECT "shop_city", "amount" FROM '
                '"public"."shop_sales" "$Table") "rows" GROUP BY "shop_city") "_" ORDER BY 1'
            ),
        ):
            assert db.execute(text.encode()).fetchall() == wire.site.ask(by_hand)
