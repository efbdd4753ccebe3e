"""The project's own assets and model, and a small model to change at will."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dashboards.assets import Assets, read_assets
from semantic.catalog.catalog import Catalog
from semantic.catalog.load import load_catalog, load_catalog_from_text

ROOT = Path(__file__).parents[3]

SMALL = """
cubes:
  - name: orders
    sql_table: shop.orders
    dimensions:
      - {name: id, type: number, sql: "{CUBE}.id", primary_key: true}
      - {name: city, type: string, sql: "{CUBE}.city", title: Town}
      - {name: ordered_at, type: time, sql: "{CUBE}.ordered_at"}
      - {name: secret, type: string, sql: "{CUBE}.secret", public: false}
    measures:
      - {name: count, type: count, title: Orders, description: All orders.}
      - {name: revenue, type: sum, sql: "{CUBE}.amount", format: currency}
      - {name: share, type: number, sql: "1.0 * {revenue} / {count}", format: percent_2}
views:
  - name: sales
    cubes:
      - {join_path: orders, includes: "*"}
  - name: hidden
    public: false
    cubes:
      - {join_path: orders, includes: [count]}
"""


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(ROOT / "semantic" / "model")


@pytest.fixture(scope="session")
def small() -> Catalog:
    return load_catalog_from_text({"shop.yml": SMALL})


@pytest.fixture(scope="session")
def project_assets() -> Assets:
    return read_assets(ROOT / "dashboards" / "assets")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the assets folder that a test may change."""
    return Path(shutil.copytree(ROOT / "dashboards" / "assets", tmp_path / "assets"))
