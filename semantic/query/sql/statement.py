"""What a SELECT came to: the query it asks, and the columns in which it wants the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from semantic.query.query import Query


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column of the answer: its name, and the column of the query's result that fills it.

    `source` is `view.member`, or `view.member.granularity`. It is None for a count of rows.
    """

    name: str
    source: str | None


@dataclass(frozen=True, slots=True)
class SqlQuery:
    """A SELECT that can be answered.

    `kind` `regular`: the rows of `query`, in `columns`. When `complete` the statement has no LIMIT
    that the server could honour (none, or one above its maximum): `query.limit` is one more than
    the maximum, and an answer that reaches it must be refused.

    `kind` `row_count`: one row with the number of rows that `query` has without any limit, cut to
    `inner_offset` and `inner_limit`, which the counted SELECT had.
    """

    query: Query
    columns: tuple[SqlColumn, ...]
    kind: Literal["regular", "row_count"] = "regular"
    complete: bool = False
    inner_limit: int | None = None
    inner_offset: int = 0

    def count_rows(self, total: int) -> int:
        """Return how many of `total` rows are left after the counted SELECT's OFFSET and LIMIT."""
        left = max(0, total - self.inner_offset)
        return left if self.inner_limit is None else min(left, self.inner_limit)
