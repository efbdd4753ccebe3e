"""Datasets follow the model: governed measures, visible dimensions, and nothing else."""

from __future__ import annotations

import pytest

from api.rest.sql_query import to_d3
from dashboards.generate import generate_datasets, measure_format
from semantic.catalog.catalog import Catalog, Measure, MeasureType
from semantic.catalog.load import load_catalog_from_text
from tests.unit.dashboards.conftest import SMALL

NAMES = ("number", "percent", "currency", "abbr", "accounting")
PATH = "datasets/ducat/sales.yaml"


def test_every_public_view_has_a_dataset_and_no_hidden_one(small: Catalog) -> None:
    assert list(generate_datasets(small)) == [PATH]


def test_a_metric_is_the_governed_measure_and_never_an_aggregate(small: Catalog) -> None:
    metrics = {m["metric_name"]: m for m in generate_datasets(small)[PATH]["metrics"]}
    assert {name: m["expression"] for name, m in metrics.items()} == {
        "count": "MEASURE(count)",
        "revenue": "MEASURE(revenue)",
        "share": "MEASURE(share)",
    }
    assert metrics["count"]["verbose_name"] == "Orders"
    assert metrics["count"]["description"] == "All orders."
    assert metrics["share"]["d3format"] == ".2%"
    assert metrics["revenue"]["d3format"] == "$,.2f"


def test_columns_are_the_dimensions_that_may_be_seen(small: Catalog) -> None:
    dataset = generate_datasets(small)[PATH]
    columns = {c["column_name"]: c for c in dataset["columns"]}
    assert "secret" not in columns
    assert columns["city"]["verbose_name"] == "Town"
    assert columns["ordered_at"]["is_dttm"] is True
    assert dataset["main_dttm_col"] == "ordered_at"


def test_a_new_measure_in_the_model_is_a_new_metric() -> None:
    text = SMALL.replace(
        "      - {name: revenue",
        "      - {name: buyers, type: count_distinct, sql: '{CUBE}.buyer'}\n      - {name: revenue",
    )
    made = generate_datasets(load_catalog_from_text({"shop.yml": text}))[PATH]
    assert "MEASURE(buyers)" in [m["expression"] for m in made["metrics"]]


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("count", None, ",d"),
        ("sum", "number_2", ",.2f"),
        ("avg", None, ",.1f"),
        ("number", "percent", ".2%"),
        ("number", "percent_0", ".0%"),
        ("sum", "currency_0", "$,.0f"),
        ("sum", "accounting_0", "(,.0f"),
        ("sum", "abbr_3", ".3s"),
        ("number", ",.3r", ",.3r"),
        ("number", "id", "d"),
        ("string", None, None),
        ("time", "number_1", None),
    ],
)
def test_numbers_are_shown_as_their_format_says(
    kind: MeasureType, given: str | None, expected: str | None
) -> None:
    assert measure_format(Measure("c", "m", kind, None, "M", "M", format=given)) == expected


@pytest.mark.parametrize(("currency", "expected"), [("EUR", ",.2f"), ("usd", "$,.2f")])
def test_an_amount_never_carries_the_sign_of_another_currency(currency: str, expected: str) -> None:
    amount = Measure("c", "m", "sum", None, "M", "M", format="currency", currency=currency)
    assert measure_format(amount) == expected


@pytest.mark.parametrize("currency", [None, "USD", "EUR"])
@pytest.mark.parametrize(
    "form",
    [
        *(f"{name}{digits}" for name in NAMES for digits in ("", "_0", "_1", "_4")),
        ",.3r",
        "$,.2f",
        "s",
    ],
)
def test_a_dataset_and_the_sql_door_show_a_format_alike(form: str, currency: str | None) -> None:
    """`api` and `dashboards` do not know each other, so each has the rule; this holds them equal."""
    measure = Measure("c", "m", "sum", None, "M", "M", format=form, currency=currency)
    assert measure_format(measure) == to_d3(form, currency)
