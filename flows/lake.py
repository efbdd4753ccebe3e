"""The lake: Delta tables in a folder or a bucket, and how they are opened, read and committed to.

    <lake>/bronze/<pipeline>/<source>    rows as they came
    <lake>/silver/<table>                typed, one row per record
    <lake>/gold/<table>                  what is measured

Delta gives one atomic commit per table and refuses a commit that does not know of another
writer's rows. Who lost such a race has to read again and decide again, so `commit_with_retries`
takes the whole operation (read, decide, write), never the write alone.

Tables are read as lists of Parquet files. That is wrong for a table in which another engine marks
deleted rows in deletion vectors instead of rewriting files, so such a table is refused.
"""

from __future__ import annotations

import errno
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as pafs
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)

from flows.errors import DiskFullError, LakeConflictError, LakeError

Layer = Literal["bronze", "silver", "gold", "quarantine"]
T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]*")
_NO_SPACE: Final = ("No space left on device", "(os error 28)", "Disk quota exceeded")
# Two writers that create the same table: the loser is told in one of these words.
_LOST_CREATION: Final = ("already exists", "TransactionAlreadyExists", "VersionAlreadyExists")


@dataclass(frozen=True, slots=True)
class Lake:
    """Where the tables are: a folder or an `s3://` address, and what opens it."""

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, uri: str, environment: Mapping[str, str] | None = None) -> Lake:
        """Return the lake at a folder or `s3://` address.

        Object storage takes the usual `AWS_…` variables of `environment` (the process's own by
        default): keys, region, `AWS_ENDPOINT_URL`. An endpoint of plain `http` is allowed, for
        stores inside a private network.
        """
        if not uri.startswith("s3://"):
            return cls(uri)
        variables = os.environ if environment is None else environment
        options = {name: value for name, value in variables.items() if name.startswith("AWS_")}
        if options.get("AWS_ENDPOINT_URL", "").startswith("http://"):
            options.setdefault("AWS_ALLOW_HTTP", "true")
        return cls(uri, options)

    @property
    def is_local(self) -> bool:
        """Whether the tables are in a folder of this machine."""
        return "://" not in self.root

    def uri(self, layer: Layer, *names: str) -> str:
        """Return the address of a table.

        Raises:
            LakeError: a name could lead out of the lake's folder.
        """
        for name in names:
            if not _NAME.fullmatch(name) or ".." in name:
                raise LakeError(
                    f"{name!r} is not the name of a lake table",
                    suggestion="use letters, digits and _",
                )
        return "/".join((self.root.rstrip("/"), layer, *names))

    def open(self, layer: Layer, *names: str) -> DeltaTable | None:
        """Return the newest version of a table, or None when it was never written.

        Raises:
            LakeError: it is there and cannot be read.
        """
        return self._open(self.uri(layer, *names), None)

    def open_version(self, version: int, layer: Layer, *names: str) -> DeltaTable | None:
        """Return a table as it was at `version`, or None when that is no longer known."""
        try:
            return self._open(self.uri(layer, *names), version)
        except LakeError:
            return None

    def commit(
        self,
        table: DeltaTable | None,
        data: pa.Table | pa.RecordBatchReader,
        layer: Layer,
        *names: str,
        mode: Literal["append", "overwrite"],
        predicate: str | None = None,
        schema_mode: Literal["merge", "overwrite"] | None = None,
        transactions: Mapping[str, int] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        """Write rows, with the state of who wrote them, as the version after `table`'s; return it.

        `table` is the table as `open` gave it, None when it did not exist. The commit fails when
        anyone committed since, whatever they wrote: left to itself Delta would let two writers
        both create a table, and keep the rows of both.

        Raises:
            CommitFailedError: another writer was first; call within `commit_with_retries`.
            LakeError, DiskFullError: as `lake_errors` says.
        """
        uri = self.uri(layer, *names)
        properties = CommitProperties(
            custom_metadata=dict(metadata or {}),
            max_commit_retries=0,
            app_transactions=[Transaction(app, at) for app, at in (transactions or {}).items()],
        )
        options = dict(self.storage_options)
        with lake_errors(uri):
            if table is None:
                write_deltalake(
                    uri, data, mode="error", storage_options=options, commit_properties=properties
                )
                return 0
            version = table.version() + 1
            if mode == "append":
                write_deltalake(
                    table,
                    data,
                    mode="append",
                    schema_mode="merge" if schema_mode else None,
                    storage_options=options,
                    commit_properties=properties,
                )
            else:
                write_deltalake(
                    table,
                    data,
                    mode="overwrite",
                    predicate=predicate,
                    schema_mode=schema_mode,
                    storage_options=options,
                    commit_properties=properties,
                )
        return version

    def _open(self, uri: str, version: int | None) -> DeltaTable | None:
        try:
            with lake_errors(uri):
                return DeltaTable(uri, version=version, storage_options=dict(self.storage_options))
        except LakeError as failed:
            if isinstance(failed.__cause__, TableNotFoundError):
                return None
            raise


@contextmanager
def lake_errors(table: str) -> Iterator[None]:
    """Turn what storage, Delta and DuckDB raise into our errors; lost races pass unchanged.

    Raises:
        DiskFullError: no space is left.
        LakeError: anything else.
    """
    try:
        yield
    except CommitFailedError:
        raise
    except (
        OSError,
        DeltaError,
        DeltaProtocolError,
        SchemaMismatchError,
        TableNotFoundError,
        duckdb.Error,
        pa.ArrowException,
    ) as failed:
        if is_disk_full(failed):
            raise DiskFullError(
                f"no space is left to write {table}; nothing was half-written",
                suggestion="free some space and run again: the run goes on from what is complete",
            ) from failed
        if isinstance(failed, DeltaError) and any(word in str(failed) for word in _LOST_CREATION):
            raise CommitFailedError(str(failed)) from failed
        # Delta's engine appends a stack trace to some messages.
        raise LakeError(f"{table}: {str(failed).splitlines()[0]}") from failed


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error, of whichever library, says that no space is left."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return True
    return any(words in str(error) for words in _NO_SPACE)


def commit_with_retries(operation: Callable[[], T], *, table: str = "", attempts: int = 12) -> T:
    """Return what `operation` returns; call it again while another writer wins the commit.

    `operation` opens the table, decides and commits: a retry must see the winner's rows. Waits
    between tries grow from 20 ms to 2 s and are random, so that losers do not meet again.

    Raises:
        LakeConflictError: the last of `attempts` tries lost as well.
        LakeError: the storage failed; DiskFullError: no space is left.
    """
    lost: CommitFailedError | None = None
    for attempt in range(attempts):
        try:
            with lake_errors(table or "the lake"):
                return operation()
        except CommitFailedError as conflict:
            lost = conflict
            time.sleep(random.uniform(0.5, 1.0) * min(0.04 * 2**attempt, 2.0))  # noqa: S311 - jitter
    raise LakeConflictError(
        f"{table or 'the lake'}: another writer kept winning the commit, {attempts} times",
        suggestion="wait for the other run to finish and run again",
    ) from lost


def read_dataset(table: DeltaTable) -> pads.Dataset:
    """Return the rows of a Delta table, at the version it is open at, to be streamed.

    Raises:
        LakeError: the table has deletion vectors or another feature that file lists miss.
    """
    features = table.protocol().reader_features or []
    if "deletionVectors" in features:
        raise LakeError(
            f"{table.table_uri} has deletion vectors: its files hold rows that were deleted",
            suggestion="purge them where they were made, e.g. REORG TABLE … APPLY (PURGE), and "
            "switch delta.enableDeletionVectors off",
        )
    with lake_errors(table.table_uri):
        return table.to_pyarrow_dataset()


def read_difference(older: DeltaTable, newer: DeltaTable) -> tuple[pads.Dataset, ...] | None:
    """Return the files that only one of two versions of a table has: what may differ.

    For a table that is only appended to these are exactly the new rows. After a rewrite
    (compaction, deletion) they are more rows than have changed, never fewer. Each dataset has
    the columns of its own version. None when files of the older version are gone (vacuumed).
    """
    before, after = read_dataset(older), read_dataset(newer)
    old_files, new_files = before.files, after.files
    differing = []
    for dataset, others in ((before, set(new_files)), (after, set(old_files))):
        fragments = [part for part in dataset.get_fragments() if part.path not in others]
        if dataset is before and not _all_exist(dataset, fragments):
            return None
        if fragments:
            differing.append(
                pads.FileSystemDataset(
                    fragments, dataset.schema, dataset.format, dataset.filesystem
                )
            )
    return tuple(differing)


def _all_exist(dataset: pads.Dataset, fragments: list[pads.Fragment]) -> bool:
    with lake_errors("the lake"):
        found = dataset.filesystem.get_file_info([part.path for part in fragments])
    return all(info.type == pafs.FileType.File for info in found)
