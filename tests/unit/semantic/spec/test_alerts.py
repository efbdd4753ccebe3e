"""Alerts beside a measure: what is read, how members are found, and what is refused, with its place."""

from __future__ import annotations

from datetime import timedelta

import pytest

from semantic.catalog.alerts import Alert
from semantic.catalog.load import load_catalog_from_text
from semantic.errors import ModelError, Problem
from semantic.spec.alerts import Anomaly, Change, Threshold

MODEL = """
cubes:
  - name: orders
    sql_table: gold.orders
    meta: {{owner: sales}}
    joins: [{{name: shops, relationship: many_to_one, sql: "{{CUBE}}.shop = {{shops}}.id"}}]
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: at, type: time, sql: at}}
      - {{name: city, type: string, sql: city}}
    measures:
      - {{name: label, type: string, sql: "max({{CUBE}}.city)"}}
      - name: amount
        type: sum
        sql: amount
        meta:
          certified: true
          ducat:
            alerts: {alerts}
  - name: shops
    sql_table: gold.shops
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: country, type: string, sql: country}}
views:
  - name: sales
    cubes:
      - {{join_path: orders, includes: [at, {{name: amount, alias: money}}]}}
      - {{join_path: orders.shops, includes: [country]}}
"""
START = "{name: low, time_dimension: at, granularity: day"


def load(alerts: str) -> tuple[Alert, ...]:
    return load_catalog_from_text({"model.yml": MODEL.format(alerts=alerts)}).alerts


def find_problems(alerts: str) -> tuple[Problem, ...]:
    with pytest.raises(ModelError) as refused:
        load(alerts)
    return refused.value.problems


def test_an_alert_of_a_cube_names_its_members_in_full() -> None:
    [alert] = load(f"[{START}, below: 10, dimensions: [city], to: [ops], delay: 2 hours}}]")
    assert alert.key == "orders.amount.low"
    assert (alert.measure, alert.time_dimension) == ("orders.amount", "orders.at")
    assert (alert.dimensions, alert.rule) == (("orders.city",), Threshold(None, 10.0))
    assert (alert.owners, alert.receivers) == (("sales",), ("ops",))
    assert (alert.delay, alert.severity, alert.timezone) == (timedelta(hours=2), "warning", "UTC")


def test_an_alert_through_a_view_asks_for_what_the_view_shows() -> None:
    [alert] = load(
        f"[{START}, view: sales, change: {{below_percent: -20, against: 1 week}}, "
        "dimensions: [sales.country], filters: [{member: country, operator: set}]}]"
    )
    assert (alert.measure, alert.time_dimension) == ("sales.money", "sales.at")
    assert alert.dimensions == ("sales.country",)
    assert alert.rule == Change(None, -20.0, (1, "week"))


def test_an_anomaly_has_defaults() -> None:
    [alert] = load(f"[{START}, anomaly: {{season: week}}}}]")
    assert alert.rule == Anomaly("week", 5.0, 8, "both", 0.0)


def test_what_is_declared_by_name_reads_as_a_list() -> None:
    [alert] = load("{low: {time_dimension: at, granularity: day, above: 3}}")
    assert alert.name == "low"


@pytest.mark.parametrize(
    ("alerts", "code", "words"),
    [
        (f"[{START}, above: 1, treshold: 2}}]", "unknown_key", "treshold"),
        (f"[{START}}}]", "missing_key", "says not when"),
        ("[{name: low, granularity: day, above: 1}]", "missing_key", "time_dimension"),
        ("[{name: low, time_dimension: at, above: 1}]", "missing_key", "granularity"),
        (f"[{START}, above: 1, anomaly: {{season: week}}}}]", "conflicting_keys", "anomaly"),
        (f"[{START}, above: 1, below: 2}}]", "invalid_value", "every value"),
        (f"[{START}, above: .inf}}]", "wrong_type", "above"),
        (f"[{START}, above: many}}]", "wrong_type", "above"),
        (f"[{START}, above: true}}]", "wrong_type", "above"),
        (f"[{START}, change: {{}}}}]", "missing_key", "above_percent"),
        (f"[{START}, change: 5}}]", "wrong_type", "change"),
        (f"[{START}, change: {{above_percent: 1, against: 3 hours}}}}]", "invalid_value", "3 hours"),
        (f"[{START}, anomaly: {{season: year}}}}]", "invalid_value", "year"),
        (f"[{START}, anomaly: {{sensitivity: 0}}}}]", "invalid_value", "sensitivity"),
        (f"[{START}, anomaly: {{history: 2}}}}]", "invalid_value", "history"),
        (f"[{START}, anomaly: {{at_least: -1}}}}]", "invalid_value", "at_least"),
        (f"[{START}, above: 1, delay: 1 month}}]", "invalid_value", "1 month"),
        (f"[{START}, above: 1, timezone: Mars/Base}}]", "invalid_value", "Mars"),
        (f"[{START}, above: 1, to: ['json://user:pass@host']}}]", "invalid_name", "address"),
        (f"[{START}, above: 1, link: 'javascript:alert(1)'}}]", "invalid_value", "leads nowhere"),
        (f"[{START}, above: 1, link: //evil.example}}]", "invalid_value", "leads nowhere"),
        (f"[{START}, above: 1, severity: huge}}]", "invalid_value", "huge"),
        (f"[{START}, above: 1}}, {START}, below: 1}}]", "duplicate_name", "low"),
        (f"[{START}, above: 1, dimensions: [ctiy]}}]", "unknown_reference", "ctiy"),
        (f"[{START}, above: 1, view: sale}}]", "unknown_reference", "sale"),
        (f"[{START}, above: 1, filters: [{{member: amount, operator: set}}]}}]",
         "unknown_reference", "amount"),
        ("[{name: low, time_dimension: city, granularity: day, above: 1}]",
         "invalid_reference", "city"),
        ("[{name: 1st, time_dimension: at, granularity: day, above: 1}]", "invalid_name", "1st"),
        ("[[low]]", "wrong_type", "mapping"),
        ("low", "wrong_type", "list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(alerts: str, code: str, words: str) -> None:
    found = [item for item in find_problems(alerts) if item.code == code]
    assert any(words in item.message for item in found), find_problems(alerts)
    assert all(item.span is not None and item.span.line >= 17 for item in found)


def test_a_wrong_member_is_answered_with_the_right_one() -> None:
    [problem] = find_problems(f"[{START}, above: 1, dimensions: [ctiy]}}]")
    assert "city" in (problem.suggestion or "")


def test_a_text_in_place_of_what_ducat_adds_is_refused() -> None:
    text = MODEL.format(alerts="[]").replace(
        "          ducat:\n            alerts: []", "          ducat: no"
    )
    with pytest.raises(ModelError, match=r"meta\.ducat"):
        load_catalog_from_text({"model.yml": text})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("meta: {owner: sales}", "meta: {ducat: {alerts: []}}"),
        ("name: city, type: string,", "name: city, type: string, meta: {ducat: {}},"),
        ("alias: money", "alias: money, meta: {ducat: {}}"),
    ],
)
def test_alerts_where_nothing_reads_them_are_refused(before: str, after: str) -> None:
    text = MODEL.format(alerts=f"[{START}, above: 1}}]")
    assert before in text
    with pytest.raises(ModelError, match="unknown_key"):
        load_catalog_from_text({"model.yml": text.replace(before, after)})


def test_a_measure_of_text_has_no_alerts() -> None:
    text = MODEL.format(alerts="[]").replace(
        'sql: "max({CUBE}.city)"',
        f'sql: "max({{CUBE}}.city)", meta: {{ducat: {{alerts: [{START}, above: 1}}]}}}}',
    )
    with pytest.raises(ModelError, match="no number"):
        load_catalog_from_text({"model.yml": text})


def test_a_cube_that_extends_another_has_alerts_of_its_own() -> None:
    text = MODEL.format(alerts=f"[{START}, above: 1}}]").replace(
        "views:", "  - {name: returns, extends: orders, sql_table: gold.returns}\nviews:"
    )
    alerts = load_catalog_from_text({"model.yml": text}).alerts
    assert [item.key for item in alerts] == ["orders.amount.low", "returns.amount.low"]
