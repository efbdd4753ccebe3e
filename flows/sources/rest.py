"""Rows of a paged JSON API, read with dlt's REST client.

dlt follows the pages and tries again after 429, 5xx and broken connections with growing waits,
honouring `Retry-After`. The whole list is one batch: an API that has no cursor of changes can
only be compared as a whole, and its digest says whether anything changed. A batch is named by the
batches before it as well: a list that returns to what it once was is a new delivery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from flows.errors import SourceDownError, SourceMalformedError
from flows.pipeline import Batch, Position
from flows.sources.address import read_address
from flows.sources.digest import digest_rows

ATTEMPTS: Final = 5
LONGEST_WAIT: Final = 10


@dataclass(frozen=True, slots=True)
class RestList:
    """A list of records behind pages. `items` is the key of the records in a page.

    `total` is the key of the number of all records: where a page has it, it must be what was read.
    """

    variable: str
    path: str
    items: str
    next_url: str = "next"
    total: str = "total"
    page_size: int = 100

    def extract(self, position: Position) -> Iterator[Batch]:
        """Yield the whole list as one batch, unless it is the one that was read last.

        Raises:
            SourceMissingError: the address is not set.
            SourceDownError: the API did not answer, after all retries.
            SourceMalformedError: its answer is not such a list.
        """
        address = read_address(self.variable, means="the address of the API")
        records = self._read(address)
        if not records:
            return
        try:
            rows = pa.Table.from_pylist(records)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            # A column with values of several types: as text, so that quarantine can show them.
            rows = pa.Table.from_pylist(
                [{name: _as_text(value) for name, value in record.items()} for record in records]
            )
        digest = digest_rows(rows)
        newest, _, chain = (position.cursor or "").partition("|")
        if digest == newest:
            return
        if not chain:
            # Nothing was read yet, or the lake forgot how far: what is known stands for it.
            chain = _chain(*sorted(position.known))
        following = _chain(chain, digest)
        yield Batch(id=f"{self.path}#{following}", rows=rows, cursor=f"{digest}|{following}")

    def _read(self, address: str) -> list[dict[str, Any]]:
        import requests  # noqa: PLC0415  (two seconds of imports, only where an API is read)
        from dlt.sources.helpers.requests import Client  # noqa: PLC0415
        from dlt.sources.helpers.rest_client.client import RESTClient  # noqa: PLC0415
        from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator  # noqa: PLC0415

        session = Client(
            request_timeout=30,
            request_max_attempts=ATTEMPTS,
            request_backoff_factor=0.5,
            request_max_retry_delay=LONGEST_WAIT,
        ).session
        client = RESTClient(
            base_url=address,
            paginator=JSONLinkPaginator(next_url_path=self.next_url),
            data_selector=self.items,
            session=session,
        )
        records: list[Any] = []
        total: Any = None
        try:
            for page in client.paginate(self.path, params={"per_page": self.page_size}):
                records.extend(page)
                total = _check_page(page.response.json(), f"{address}{self.path}", self)
        except requests.exceptions.JSONDecodeError as malformed:
            raise SourceMalformedError(
                f"{address}{self.path} answered what is not JSON: {malformed}",
                suggestion="see what stands between here and the API",
            ) from malformed
        except requests.exceptions.RequestException as failed:
            raise SourceDownError(
                f"the API at {address}{self.path} did not answer after {ATTEMPTS} tries: {failed}",
                suggestion="see whether it is up and its address is right; a rerun begins anew",
            ) from failed
        if not all(isinstance(record, dict) for record in records):
            raise SourceMalformedError(f"{address}{self.path}: a record is not an object")
        if total is not None and total != len(records):
            raise SourceMalformedError(
                f"{address}{self.path} says that it has {total} records and gave {len(records)}",
                suggestion="it may have changed while it was read; run again",
            )
        return records


def _check_page(document: Any, address: str, source: RestList) -> Any:
    """Return how many records a page says there are in all, None when it says nothing."""
    if not isinstance(document, dict) or not isinstance(document.get(source.items), list):
        raise SourceMalformedError(f"{address}: a page has no list {source.items!r}")
    return document.get(source.total)


def _chain(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:20]


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)
