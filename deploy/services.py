"""The long-running processes of the platform: one description for Compose and for the demo.

`docker-compose.yml` starts these services in containers, `ducat demo` starts the same ones as
plain processes. Both take command, environment and health check from here: the supervisor by
filling in the placeholders, Compose by writing them out, compared by
`tests/project/test_compose.py`. So what the demo proves is what Compose runs.

Placeholders are in braces and are filled by `Service.fill`:

    {host} {port}            where this service listens
    {project} {home}         the project folder, and the folder of its state
    {jwt_secret}             the secret of the tokens
    {ducat_url}              the metrics server, as the other services reach it
    {prefect_url}            the Prefect server, as the other services reach it
    {prefect_database}       SQLAlchemy address of Prefect's database
    {superset_home}          Superset's folder for files
    {superset_secret}        encrypts the passwords that Superset stores; keep it
    {superset_guest_secret}  signs the tokens of embedded dashboards
    {superset_database}      SQLAlchemy address of Superset's metadata
    {redis_url}              where Superset caches
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from dashboards.superset_process import serve_command
from semantic.errors import InternalError

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Service:
    """A process that runs until it is stopped.

    `command` is an argument list (no shell); `environment` what it must find there, besides what
    the operating system gives; `health` the path that answers 200 on `http://{host}:{port}` when
    the service can do its work; `folder` is where it works.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: str
    folder: str = "{project}"

    def fill(self, values: Mapping[str, str]) -> Service:
        """Return the service with each placeholder replaced by its value.

        Raises:
            InternalError: a placeholder has no value. Values that no placeholder asks for are
                fine: one mapping serves all services.
        """

        def put(text: str) -> str:
            return _PLACEHOLDER.sub(lambda match: values[match[1]], text)

        try:
            return replace(
                self,
                command=tuple(put(part) for part in self.command),
                environment={name: put(value) for name, value in self.environment.items()},
                folder=put(self.folder),
            )
        except KeyError as missing:
            raise InternalError(f"service {self.name} has no value for {missing}") from missing

    def placeholders(self) -> frozenset[str]:
        """Return the names that `fill` needs."""
        texts = (*self.command, *self.environment.values(), self.folder)
        return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text))


# No process of ours reports to its vendor.
NO_TELEMETRY: Final = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "SCARF_ANALYTICS": "false",
}

DUCAT: Final = Service(
    name="ducat",
    command=("ducat", "serve", "--host", "{host}", "--port", "{port}"),
    environment={
        "DUCAT_PROJECT": "{project}",
        "DUCAT_HOME": "{home}",
        "DUCAT_JWT_SECRET": "{jwt_secret}",
        **NO_TELEMETRY,
    },
    health="/readyz",
)

PREFECT_SERVER: Final = Service(
    name="prefect-server",
    command=("prefect", "server", "start", "--host", "{host}", "--port", "{port}"),
    environment={
        "PREFECT_HOME": "{home}/prefect",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "{prefect_database}",
        # The page asks the API under these; with --port alone it would ask port 4200.
        "PREFECT_SERVER_API_HOST": "{host}",
        "PREFECT_SERVER_API_PORT": "{port}",
        "PREFECT_SERVER_UI_API_URL": "{prefect_url}/api",
        # Pages are unpacked here: the package's own folder belongs to root in an image.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": "{home}/prefect/ui",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        **NO_TELEMETRY,
    },
    health="/api/health",
)

FLOWS: Final = Service(
    name="flows",
    command=("ducat", "flows", "serve"),
    environment={
        "DUCAT_PROJECT": "{project}",
        "DUCAT_HOME": "{home}",
        "PREFECT_API_URL": "{prefect_url}/api",
        "PREFECT_HOME": "{home}/prefect",
        # Prefect's runner answers for itself: unhealthy when it stopped polling for runs.
        "PREFECT_RUNNER_SERVER_ENABLE": "true",
        "PREFECT_RUNNER_SERVER_HOST": "{host}",
        "PREFECT_RUNNER_SERVER_PORT": "{port}",
        **NO_TELEMETRY,
    },
    health="/health",
)

SUPERSET: Final = Service(
    name="superset",
    command=serve_command("{host}", "{port}"),
    environment={
        "SUPERSET_HOME": "{superset_home}",
        "SUPERSET_CONFIG_PATH": "{project}/dashboards/superset_config.py",
        "SUPERSET_SECRET_KEY": "{superset_secret}",
        "SUPERSET_GUEST_SECRET": "{superset_guest_secret}",
        "SUPERSET_METADATA_URI": "{superset_database}",
        "REDIS_URL": "{redis_url}",
        "FLASK_APP": "superset.app:create_app()",
        # Superset reads dates of other zones as UTC only when its own clock is UTC.
        "TZ": "UTC",
        **NO_TELEMETRY,
    },
    health="/health",
    # gunicorn imports from where it stands: not from our folders.
    folder="{superset_home}",
)

SERVICES: Final[tuple[Service, ...]] = (DUCAT, PREFECT_SERVER, FLOWS, SUPERSET)
