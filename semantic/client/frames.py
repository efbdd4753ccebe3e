"""Rows of Arrow as what people work with; each package is imported when it is asked for."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from semantic.errors import UnsupportedError


def to_pandas(table: pa.Table) -> Any:
    """Return a pandas data frame, with Arrow's types, so that no number is rounded.

    Raises:
        UnsupportedError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 -- not needed to serve
    except ImportError as missing:
        raise _not_installed("pandas") from missing
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def to_polars(table: pa.Table) -> Any:
    """Return a polars data frame.

    Raises:
        UnsupportedError: polars is not installed.
    """
    try:
        import polars as pl  # noqa: PLC0415
    except ImportError as missing:
        raise _not_installed("polars") from missing
    return pl.from_arrow(table)


def to_ibis(table: pa.Table) -> Any:
    """Return an Ibis table of the rows, to compose with any further expression.

    Raises:
        UnsupportedError: Ibis is not installed.
    """
    try:
        import ibis  # noqa: PLC0415
    except ImportError as missing:
        raise _not_installed("ibis") from missing
    return ibis.memtable(table)


def _not_installed(package: str) -> UnsupportedError:
    return UnsupportedError(
        f"{package} is not installed", suggestion="install `ducat[client]`, or use to_arrow()"
    )
