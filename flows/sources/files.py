"""Files dropped in a folder or a bucket, each one batch, in the order in which they arrived.

A file is known by its name, its size and the time of its last change: changed in place it is a new
delivery. Nothing is judged by a high-water mark of names or times, so a file that arrives late,
out of order or with an old date is read all the same.

A file that cannot be read as what it says it is (truncated, or not of its format) is yielded as a
`Damaged` batch with its bytes: it belongs into quarantine, not into the bin.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from flows.pipeline import Batch, Damaged, Position
from flows.sources.address import read_address
from flows.sources.retry import read_with_retries
from flows.sources.storage import open_storage

AT_ONCE: Final = 64
NULLS: Final = ["", "NA"]


@dataclass(frozen=True, slots=True)
class DroppedFiles:
    """The `.csv` and `.parquet` files below a folder; `schema` types the columns of CSV."""

    variable: str
    schema: pa.Schema

    def extract(self, position: Position) -> Iterator[Batch | Damaged]:
        """Yield each file that is not known yet, oldest arrival first.

        Raises:
            SourceMissingError: the address is not set.
            SourceDownError: the folder cannot be listed or a file cannot be fetched.
        """
        address = read_address(self.variable, means="the folder or s3:// address of the files")
        storage, folder = open_storage(address)
        found = read_with_retries(
            f"the folder {address}", lambda: _list(storage, folder), errors=(OSError,)
        )
        new = [
            (identity, info)
            for info in sorted(found, key=lambda info: (info.mtime_ns, info.path))
            if (identity := _identify(info, folder)) not in position.known
        ]
        with ThreadPoolExecutor(8) as pool:
            for start in range(0, len(new), AT_ONCE):
                chunk = new[start : start + AT_ONCE]
                yield from pool.map(lambda item: self._read(storage, *item), chunk)

    def _read(
        self, storage: pafs.FileSystem, identity: str, info: pafs.FileInfo
    ) -> Batch | Damaged:
        content = read_with_retries(
            f"the file {info.path}", lambda: _fetch(storage, info.path), errors=(OSError,)
        )
        try:
            if info.path.endswith(".parquet"):
                rows = pq.read_table(io.BytesIO(content))
            else:
                rows = read_csv(content, self.schema)
        except (pa.ArrowException, OSError, ValueError) as malformed:
            reason = str(malformed).splitlines()[0]
            return Damaged(identity, content, f"{info.path} cannot be read: {reason}")
        names = rows.schema.names
        if len(set(names)) < len(names):
            return Damaged(identity, content, f"{info.path} has two columns of one name")
        return Batch(identity, rows)


def read_csv(content: bytes, schema: pa.Schema) -> pa.Table:
    """Return the rows of a CSV file, its known columns typed by the schema.

    A column with a value that is not of its type comes back as text, for the schema's check to
    refuse and for a person to see.

    Raises:
        ArrowInvalid: it is no CSV file.
        ValueError: its last line has no end, so the file was cut off.
    """
    if content and not content.endswith(b"\n"):
        raise ValueError("the last line has no end: the file is truncated")
    text = {name: pa.string() for name in schema.names}
    options = {"null_values": NULLS, "strings_can_be_null": True}
    typed = {field.name: field.type for field in schema}
    try:
        return pacsv.read_csv(
            io.BytesIO(content), convert_options=pacsv.ConvertOptions(column_types=typed, **options)
        )
    except pa.ArrowInvalid as invalid:
        if "conversion error" not in str(invalid):
            raise
    rows = pacsv.read_csv(
        io.BytesIO(content), convert_options=pacsv.ConvertOptions(column_types=text, **options)
    )
    columns = []
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        if name in typed:
            try:
                columns.append(column.cast(typed[name]))
            except pa.ArrowInvalid:
                columns.append(column)
        else:
            columns.append(column)
    return pa.Table.from_arrays(columns, names=rows.schema.names)


def _list(storage: pafs.FileSystem, folder: str) -> Sequence[pafs.FileInfo]:
    selector = pafs.FileSelector(folder, recursive=True)
    return [
        info
        for info in storage.get_file_info(selector)
        if info.type == pafs.FileType.File
        and info.path.endswith((".csv", ".parquet"))
        # A writer's temporary file: it gets its real name when it is complete.
        and not info.base_name.startswith((".", "_"))
    ]


def _identify(info: pafs.FileInfo, folder: str) -> str:
    name = info.path.removeprefix(folder).lstrip("/")
    return f"{name}@{info.size}-{info.mtime_ns}"


def _fetch(storage: pafs.FileSystem, path: str) -> bytes:
    with storage.open_input_stream(path) as stream:
        content: bytes = stream.read()
    return content
