"""Orders from a file that a test rewrites."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.pipeline import Batch, Pipeline, Position, Schedule, Source, Transform

SCHEMA = pa.schema([("id", pa.int64()), ("day", pa.string()), ("amount", pa.int64())])


def extract_orders(position: Position) -> Iterator[Batch]:
    """Yield the whole file as one batch, unless it is the one that was read last."""
    text = Path(os.environ["SHOP_ORDERS"]).read_text()
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest != position.cursor:
        rows = pa.Table.from_pylist([json.loads(line) for line in text.splitlines()])
        yield Batch(id=digest, rows=rows, cursor=digest)


def build_staged(tables: Mapping[str, Any]) -> Any:
    """Return the newest delivery of each order."""
    orders = tables["shop.orders"]
    newest = orders.group_by("id").agg(_batch_number=orders["_batch_number"].max())
    return orders.semi_join(newest, ["id", "_batch_number"]).select(
        "id", "amount", day=orders["day"].cast("date")
    )


def build_orders(tables: Mapping[str, Any]) -> Any:
    """Return the orders as they are."""
    return tables["stg_orders"].select("id", "day", "amount")


PIPELINE = Pipeline(
    name="shop",
    title="Shop",
    sources=(Source("orders", "files", SCHEMA, ("id",), extract_orders),),
    silver=(Transform("stg_orders", ("shop.orders",), build_staged, ("id",)),),
    gold=(Transform("fct_orders", ("stg_orders",), build_orders, ("id",)),),
    schedule=Schedule("0 4 * * *"),
)
