"""What a comparison says is what asking for the earlier time itself says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from semantic.query.context import SecurityContext
from semantic.query.from_json import parse_json
from semantic.service import SemanticLayer
from tests.golden.queries.layer import open_layer

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MODEL = """
cubes:
  - name: sales
    sql_table: sales
    dimensions:
      - {name: id, type: number, sql: id, primary_key: true}
      - {name: kind, type: string, sql: kind}
      - {name: sold_at, type: time, sql: sold_at}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: mean, type: number, sql: "{total} / NULLIF({count}, 0)"}
      - {name: kinds, type: count_distinct, sql: kind}
"""
SEED = """
CREATE TABLE sales AS
SELECT n AS id, CASE WHEN n % 9 = 0 THEN NULL ELSE 'k' || (hash(n) % 4) END AS kind,
       CASE WHEN n % 8 = 0 THEN NULL ELSE n % 50 END AS amount,
       TIMESTAMP '2023-01-01' + n * INTERVAL '8 hour 20 minute' AS sold_at
FROM range(2500) t(n)
"""
MEASURES = ["sales.count", "sales.total", "sales.mean", "sales.kinds"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York"]


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    opened = open_layer(tmp_path_factory.mktemp("laws"), MODEL, SEED)
    yield opened
    opened.close()


def ask(layer: SemanticLayer, **query: Any) -> dict[Any, tuple[Any, ...]]:
    """Return the values of each kind."""
    asked = parse_json({"dimensions": ["sales.kind"], **query})
    found = layer.load(asked, SecurityContext(), now=NOW).table.to_pylist()
    return {row["sales.kind"]: tuple(row.values())[1:] for row in found}


def within(start: date, end: date) -> list[dict[str, Any]]:
    days = [start.isoformat(), end.isoformat()]
    return [{"dimension": "sales.sold_at", "dateRange": days}]


@pytest.mark.parametrize("seed", range(16))
def test_the_previous_period_is_the_earlier_range(layer: SemanticLayer, seed: int) -> None:
    random = Random(seed)
    start = date(2023, 6, 1) + timedelta(days=random.randrange(400))
    if seed % 4 == 0:
        start = start.replace(day=1)
        end = (start.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        before = ((start - timedelta(days=1)).replace(day=1), start - timedelta(days=1))
    else:
        end = start + timedelta(days=random.randrange(25))
        before = (start - (end - start) - timedelta(days=1), start - timedelta(days=1))
    zone, measure = random.choice(ZONES), random.choice(MEASURES)
    rest = {"measures": [measure], "timezone": zone}
    compared = ask(
        layer, **rest, timeDimensions=within(start, end), compare={"to": "previous period"}
    )
    now = ask(layer, **rest, timeDimensions=within(start, end))
    then = ask(layer, **rest, timeDimensions=within(*before))
    assert compared.keys() == now.keys() | then.keys()
    for kind, (value, previous, change, percent) in compared.items():
        assert (value,) == now.get(kind, (None,))
        assert (previous,) == then.get(kind, (None,))
        known = value is not None and previous is not None
        assert change == (value - previous if known else None)
        if known and previous:
            assert percent == pytest.approx(100 * float(value - previous) / float(previous))
        else:
            assert percent is None


@pytest.mark.parametrize("measure", MEASURES)
def test_there_and_back_again_is_the_measure_itself(layer: SemanticLayer, measure: str) -> None:
    """A week on from the week before is this week."""
    later = ask(
        layer,
        measures=[{"measure": measure, "shift": "1 week", "direction": "next", "as": "later"}],
        timeDimensions=within(date(2024, 2, 19), date(2024, 3, 3)),
    )
    assert later == ask(
        layer, measures=[measure], timeDimensions=within(date(2024, 2, 26), date(2024, 3, 10))
    )


@pytest.mark.parametrize("measure", MEASURES)
def test_a_comparison_beside_a_measure_changes_no_value_of_it(
    layer: SemanticLayer, measure: str
) -> None:
    times = within(date(2024, 3, 1), date(2024, 3, 31))
    alone = ask(layer, measures=[measure], timeDimensions=times)
    for to in ("1 day", "1 month", "1 year", "10 year", "previous period"):
        beside = ask(layer, measures=[measure], timeDimensions=times, compare={"to": to})
        assert {kind: beside[kind][:1] for kind in alone} == alone
        added = beside.keys() - alone.keys()
        assert all(beside[kind][0] is None for kind in added)
