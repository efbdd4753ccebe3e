"""Row filters of access policies, and the members that are computed apart from the query's rows.

A sub-query reads rows of its own, a multi-stage measure may lift filters or move times. What a
policy guards must not be lifted on the way: where it would be, the query is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from semantic.catalog.catalog import Catalog, MultiStage
from semantic.errors import UnsupportedError
from semantic.query.bound import Condition, DimensionUse
from semantic.query.conditions import uses_of
from semantic.query.defaults import Key, name_use
from semantic.query.references import Reference


def check_stages(
    catalog: Catalog, references: Iterable[Reference], guards: Sequence[Condition]
) -> None:
    """Check that nothing which the query computes in stages lifts one of the guards.

    Raises:
        UnsupportedError: a stage would.
    """
    if not guards:
        return
    names = [{name_use(use) for use in uses_of(guard)} for guard in guards]
    timed = any(
        isinstance(use, DimensionUse) and use.dimension.type == "time"
        for guard in guards
        for use in uses_of(guard)
    )
    for guard in guards:
        for use in uses_of(guard):
            if isinstance(use, DimensionUse) and (
                use.dimension.multi_stage is not None or use.dimension.sub_query
            ):
                raise _refuse(f"{use.dimension.cube}.{use.dimension.name}")
    for reference in references:
        cube = catalog.cubes[reference.cube]
        measure = cube.measures.get(reference.member) if reference.member else None
        if measure is None or measure.multi_stage is None:
            continue
        if _lifts(measure.multi_stage, names) or (timed and measure.multi_stage.time_shifts):
            raise _refuse(f"{measure.cube}.{measure.name}")


def refuse_inner(asked: str, reference: Reference) -> UnsupportedError:
    """Return the error of a sub-query over rows of which the caller may see only some."""
    return UnsupportedError(
        f"{asked} is computed by a sub-query over {reference.cube}, "
        "of which you may see only some rows",
        suggestion=f"ask for a measure of {reference.cube} itself",
    )


def _lifts(stage: MultiStage, guards: Sequence[set[Key]]) -> bool:
    """Whether the stage's filters could do without a part of a guard."""
    if stage.filter is None:
        return False
    excluded = {(item.cube, item.member) for item in stage.filter.exclude}
    if any(excluded & names for names in guards):
        return True
    if stage.filter.keep_only is None:
        return False
    kept = {(item.cube, item.member) for item in stage.filter.keep_only}
    return not all(names <= kept for names in guards)


def _refuse(member: str) -> UnsupportedError:
    return UnsupportedError(
        f"{member} is computed in stages that would lift the row filter of an access policy",
        suggestion="ask for it as somebody who may see all rows, or without stages",
    )
