"""The semantic layer. `from semantic import connect` asks metrics in notebooks and scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from semantic.client import AsyncClient
    from semantic.notebook import Metrics

__all__ = ["connect", "connect_async"]

_SCHEMES = ("http://", "https://")


@overload
def connect(
    target: Path | None = None,
    *,
    user: str = "local",
    groups: Sequence[str] = (),
    claims: Mapping[str, Any] | None = None,
) -> Metrics: ...


@overload
def connect(target: str, **options: Any) -> Any: ...


def connect(target: str | Path | None = None, **options: Any) -> Any:
    """Return the metrics of a project's folder, in this process, or of a server's address.

    A folder (default: `DUCAT_PROJECT`, else the current one) takes `user`, `groups` and `claims`, and
    gives `semantic.notebook.Metrics`. An address (`https://…`) takes `token`, `timeout`, `stalled`,
    `codec` and `verify`, and gives `semantic.client.Client`. Both are asked in the same words. Only
    what is needed is imported.

    Raises:
        SettingsError, ProjectError, ModelError: there is no usable project.
        DucatClientError: it is no address of a server.
    """
    if isinstance(target, str) and target.lower().startswith(_SCHEMES):
        from semantic.client import Client  # noqa: PLC0415

        return Client(target, **options)
    from semantic.notebook import connect as open_project  # noqa: PLC0415

    return open_project(target, **options)


def connect_async(address: str, **options: Any) -> AsyncClient:
    """Return the metrics of a server's address, for programs that do other things meanwhile.

    Raises:
        DucatClientError: it is no address of a server.
    """
    from semantic.client import AsyncClient  # noqa: PLC0415

    return AsyncClient(address, **options)
