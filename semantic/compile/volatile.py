"""SQL that may say something else each time, though its tables are the same."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_VOLATILE: Final = re.compile(
    r"\b(now|today|age|random|setseed|rand|uuid\w*|gen_random_uuid|nextval|currval|current_\w+"
    r"|local_?time\w*|get_current_\w+|transaction_timestamp|statement_timestamp|clock_timestamp"
    r"|getdate|sysdate|txid_\w+|pg_\w+|getvariable|getenv)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=2_048)
def is_volatile(sql: str) -> bool:
    """Whether SQL may say what is not in the tables; also where such a word is only a name."""
    return _VOLATILE.search(sql) is not None
