"""Two runs never write one table: a global concurrency limit of one for each layer of a pipeline.

Each step holds only the slot of the layer that it writes, so that one run may ingest while another
publishes. A killed run holds its slot until its lease ends (five minutes); the file lock of the
served folder and Delta's own commit protocol stand behind these limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from prefect.client.orchestration import get_client

from flows.pipeline import Pipeline

Layer = Literal["bronze", "silver", "gold"]
LAYERS: Final[tuple[Layer, ...]] = ("bronze", "silver", "gold")


def name_limit(pipeline: str, layer: Layer) -> str:
    """Return the name of the limit that a writer of this layer holds."""
    return f"ducat-{pipeline}-{layer}"


def ensure_limits(pipelines: Iterable[Pipeline]) -> None:
    """Create the limits that do not exist yet."""
    with get_client(sync_client=True) as client:
        for pipeline in pipelines:
            for layer in LAYERS:
                client.upsert_global_concurrency_limit_by_name(
                    name_limit(pipeline.name, layer), limit=1
                )
