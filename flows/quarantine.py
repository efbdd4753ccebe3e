"""Where a batch waits that bronze cannot take: its rows or bytes, and why.

    <lake>/quarantine/<pipeline>/<source>/<digest of the batch id>/
        batch.parquet or the raw file    what came
        reason.json                      batch id, code, message, time
        skipped.json                     an operator decided to go on without it

A quarantined batch stops its table until the source delivers it anew in order, or an operator
lets it be skipped (`ducat flows quarantine skip`). Nothing is deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from flows.errors import LakeError
from flows.lake import Lake, lake_errors
from flows.sources.storage import open_storage

REASON: Final = "reason.json"
SKIPPED: Final = "skipped.json"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One batch in quarantine."""

    pipeline: str
    source: str
    batch: str
    code: str
    message: str
    since: str
    skipped: bool
    folder: str


def quarantine(
    lake: Lake,
    pipeline: str,
    source: str,
    batch: str,
    content: pa.Table | bytes,
    *,
    code: str,
    message: str,
    now: datetime,
) -> str:
    """Keep a batch and the reason; return the folder's address. The same batch again replaces it."""
    uri = lake.uri("quarantine", pipeline, source, _digest(batch))
    with lake_errors(uri):
        storage, folder = open_storage(uri)
        storage.create_dir(folder, recursive=True)
        match content:
            case bytes():
                with storage.open_output_stream(f"{folder}/batch.raw") as stream:
                    stream.write(content)
            case _:
                pq.write_table(content, f"{folder}/batch.parquet", filesystem=storage)
        reason = {
            "pipeline": pipeline,
            "source": source,
            "batch": batch,
            "code": code,
            "message": message,
            "since": now.isoformat(),
        }
        with storage.open_output_stream(f"{folder}/{REASON}") as stream:
            stream.write(orjson.dumps(reason, option=orjson.OPT_INDENT_2))
    return uri


def list_quarantined(lake: Lake, pipeline: str, source: str) -> Iterator[Quarantined]:
    """Yield the batches of one source that are, or were, in quarantine."""
    uri = lake.uri("quarantine", pipeline, source)
    with lake_errors(uri):
        storage, folder = open_storage(uri)
        selector = pafs.FileSelector(folder, recursive=True, allow_not_found=True)
        files = {info.path for info in storage.get_file_info(selector)}
        for path in sorted(files):
            if not path.endswith(f"/{REASON}"):
                continue
            with storage.open_input_stream(path) as stream:
                reason = orjson.loads(stream.read())
            inside = path.removesuffix(f"/{REASON}")
            yield Quarantined(**reason, skipped=f"{inside}/{SKIPPED}" in files, folder=inside)


def skip(lake: Lake, pipeline: str, source: str, batch: str, *, now: datetime) -> None:
    """Let ingestion go on without a quarantined batch.

    Raises:
        LakeError: no such batch is in quarantine.
    """
    known = {item.batch for item in list_quarantined(lake, pipeline, source)}
    if batch not in known:
        raise LakeError(
            f"{batch!r} is not in the quarantine of {pipeline}.{source}",
            suggestion="`ducat flows quarantine list` shows what is",
        )
    uri = lake.uri("quarantine", pipeline, source, _digest(batch))
    with lake_errors(uri):
        storage, folder = open_storage(uri)
        with storage.open_output_stream(f"{folder}/{SKIPPED}") as stream:
            stream.write(orjson.dumps({"at": now.isoformat()}))


def _digest(batch: str) -> str:
    return hashlib.sha256(batch.encode()).hexdigest()[:20]
