"""Put the assets in git into a running Superset, and say what that changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboards.assets import Assets
from dashboards.bundle import build_bundle, read_bundle, source_uri
from dashboards.client import SupersetClient
from dashboards.errors import SupersetRefusedError
from dashboards.roles import provision_roles
from semantic.errors import SettingsError
from semantic.settings import Settings


@dataclass(frozen=True, slots=True)
class Target:
    """Where to publish, and how that Superset reaches this server."""

    url: str
    user: str
    password: str
    source_uri: str


@dataclass(frozen=True, slots=True)
class Published:
    """What is in Superset now. `roles` are those that were created or corrected."""

    databases: int
    datasets: int
    charts: int
    dashboards: tuple[str, ...]
    roles: tuple[str, ...]


def read_target(settings: Settings) -> Target:
    """Return the target that the settings describe.

    Raises:
        SettingsError: one of the four settings without a default is missing.
    """
    password = settings.superset_password
    token = settings.superset_source_token
    needed = {
        "DUCAT_SUPERSET_URL": settings.superset_url,
        "DUCAT_SUPERSET_PASSWORD": password,
        "DUCAT_SUPERSET_SOURCE_URL": settings.superset_source_url,
        "DUCAT_SUPERSET_SOURCE_TOKEN": token,
    }
    missing = [name for name, value in needed.items() if value is None]
    if (
        missing
        or settings.superset_url is None
        or password is None
        or settings.superset_source_url is None
        or token is None
    ):
        raise SettingsError(
            f"not set: {', '.join(missing)}",
            suggestion="publishing needs Superset's address and admin, and how it reaches Ducat",
        )
    return Target(
        url=settings.superset_url,
        user=settings.superset_user,
        password=password.get_secret_value(),
        source_uri=source_uri(
            settings.superset_source_url, settings.service_user, token.get_secret_value()
        ),
    )


def publish(
    assets: Assets, target: Target, *, report: Callable[[str], None] = lambda _: None
) -> Published:
    """Import the assets, set the roles, drop cached answers. Safe to repeat; all or nothing.

    Raises:
        SupersetDownError: Superset cannot be reached.
        SupersetRefusedError: it refused a step; nothing of the bundle is imported then.
    """
    with SupersetClient(target.url) as client:
        report(f"logging in to {client.url}")
        client.log_in(target.user, target.password)
        report(f"importing {len(assets.files) - 1} assets")
        client.import_assets(build_bundle(assets, uri=target.source_uri))
        databases = _ids(
            client, "/api/v1/database/", {item.uuid for item in assets.of("databases")}
        )
        datasets = _ids(client, "/api/v1/dataset/", {item.uuid for item in assets.of("datasets")})
        report("setting roles")
        changed: set[str] = set()
        for asset in assets.of("databases"):
            changed |= set(
                provision_roles(
                    client,
                    database=(str(asset.content["database_name"]), databases[asset.uuid]),
                    datasets=datasets.values(),
                )
            )
        report("dropping cached answers")
        client.post(
            "/api/v1/cachekey/invalidate",
            {"datasource_uids": [f"{number}__table" for number in sorted(datasets.values())]},
        )
    return Published(
        databases=len(databases),
        datasets=len(datasets),
        charts=len(assets.of("charts")),
        dashboards=tuple(
            f"{target.url.rstrip('/')}/superset/dashboard/{asset.content['slug']}/"
            for asset in assets.of("dashboards")
        ),
        roles=tuple(sorted(changed)),
    )


def fetch(target: Target) -> dict[str, dict[str, Any]]:
    """Return what Superset has now: the content of each asset by UUID."""
    with SupersetClient(target.url) as client:
        client.log_in(target.user, target.password)
        exported = client.export_assets()
    return read_bundle(exported)


def _ids(client: SupersetClient, path: str, wanted: set[str]) -> dict[str, int]:
    """Return Superset's own number of each asset, by UUID."""
    found = {
        str(row["uuid"]): int(row["id"]) for row in client.rows(path) if str(row["uuid"]) in wanted
    }
    if missing := wanted - found.keys():
        raise SupersetRefusedError(
            f"Superset took the bundle but does not list {', '.join(sorted(missing))}",
            suggestion="publish as a user with the role Admin",
        )
    return found
