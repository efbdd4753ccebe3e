"""What row filters of access policies may be about.

They hold wherever protected rows are read: in each stage, in sub-queries, at shifted times. A filter
on a member that is itself computed from such rows would be about what it makes, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from semantic.catalog.catalog import Catalog
from semantic.errors import UnsupportedError
from semantic.query.bound import Condition, DimensionUse
from semantic.query.conditions import uses_of
from semantic.query.references import References


def check_guards(catalog: Catalog, references: References, guards: Iterable[Condition]) -> None:
    """Check that no row filter of a policy is about a computed member.

    Raises:
        UnsupportedError: one is.
    """
    for guard in guards:
        for use in uses_of(guard):
            if not isinstance(use, DimensionUse):
                continue
            for part in references.of(use.dimension.cube, use.dimension.name):
                item = catalog.cubes[part.cube].dimensions.get(part.member or "")
                if item is not None and (item.multi_stage is not None or item.sub_query):
                    raise UnsupportedError(
                        f"an access policy filters rows by {item.cube}.{item.name}, which is "
                        "computed from measures",
                        suggestion="filter by a member of the rows themselves",
                    )
