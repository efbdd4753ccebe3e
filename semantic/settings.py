"""Every setting, read from the environment once, in one place.

The environment variable of a field is `DUCAT_` and its name in capitals. A `DUCAT_` variable
that is no setting is an error: a misspelt setting that is silently ignored is a wrong number
waiting to happen. `deploy/README.md` lists them all (a test compares).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from semantic.errors import SettingsError, suggest

PREFIX = "DUCAT_"


class Settings(BaseSettings):
    """The settings of one process. Frozen: what was read at the start holds to the end."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    environment: Literal["development", "production"] = Field(
        "development", description="`production` refuses to start without secrets"
    )
    project: Path = Field(Path(), description="the project folder")
    home: Path | None = Field(None, description="where state is kept; default `<project>/.ducat`")
    lake: str | None = Field(
        None, description="folder or s3:// address of the Delta tables; default `<home>/lake`"
    )
    serving: Path | None = Field(
        None, description="folder of the served DuckDB file; default `<home>/serving`"
    )
    host: str = Field("127.0.0.1", description="address that `ducat serve` listens on")
    port: int = Field(4000, ge=0, le=65535, description="port of `ducat serve`; 0 takes a free one")
    workers: int = Field(1, ge=1, le=64, description="processes of `ducat serve` behind one port")
    drain_seconds: float = Field(
        0.0,
        ge=0,
        le=600,
        description="after SIGTERM, how long `/readyz` says DOWN while requests are still taken",
    )
    jwt_secret: SecretStr | None = Field(
        None, description="shared secret of the tokens (HS256), at least 32 characters"
    )
    jwt_issuer: str | None = Field(None, description="the `iss` that a token must carry")
    jwt_audience: str | None = Field(None, description="the `aud` that a token must carry")
    jwt_jwks_url: str | None = Field(
        None, description="https address of the identity provider's public keys (JWKS)"
    )
    jwt_algorithms: str = Field(
        "RS256,PS256,ES256,EdDSA", description="algorithms allowed with those keys"
    )
    jwt_clock_skew_seconds: float = Field(
        30.0, ge=0, le=600, description="how far the clocks of tokens may differ"
    )
    jwt_require_expiry: bool = Field(
        default=False, description="refuse tokens that never expire (without `exp`)"
    )
    jwt_user_claim: str = Field(
        "sub", min_length=1, description="claim of the user's name, or a path to it with dots"
    )
    jwt_groups_claim: str = Field(
        "groups", min_length=1, description="claim of the list of groups, or a path to it with dots"
    )
    group_map: str | None = Field(
        None,
        description='JSON of the provider\'s groups to ours, `{"theirs": ["ours"]}`; others are dropped',
    )
    api_keys: Path | None = Field(
        None, description="file of the API keys' hashes; default `<home>/api-keys.json`"
    )
    sql_groups: str = Field(
        "",
        description="groups that may see SQL, separated by commas; `*` everybody; default: "
        "everybody in development, nobody in production",
    )
    service_user: str = Field(
        "superset", description="token subject that may speak for another user (impersonation)"
    )
    cors_origins: str = Field("", description="origins allowed by CORS, separated by commas")
    graphql_documents: Path | None = Field(
        None, description='JSON file of registered GraphQL documents, `{"sha256": "document"}`'
    )
    graphql_documents_only: bool = Field(
        default=False, description="answer registered GraphQL documents only"
    )
    query_timeout_seconds: float = Field(60.0, gt=0, description="deadline of one query")
    query_concurrency: int = Field(4, ge=1, description="queries that run at once")
    continue_wait_seconds: float = Field(
        10.0, gt=0, description="after this time `load` answers Continue wait, and goes on"
    )
    caller_concurrency: int = Field(
        32, ge=1, description="queries that one caller may have running or waiting"
    )
    caller_rate: int = Field(
        0, ge=0, description="queries that one caller may ask in a minute; 0 sets no limit"
    )
    engine_url: SecretStr | None = Field(
        None,
        description="database that queries run on, `postgres://user:password@host/database`; "
        "without it the tables that the flows serve",
    )
    engine_connections: int = Field(
        4, ge=1, le=200, description="connections to the database of `DUCAT_ENGINE_URL`"
    )
    memory_limit: str = Field("4GB", description="memory of the query engine before it spills")
    rollup_timezones: str = Field(
        "UTC",
        description="time zones that pre-aggregations are built for, separated by commas; a rollup "
        "by days of DATEs, or without times, needs none",
    )
    rollup_timeout_seconds: float = Field(
        3_600.0, gt=0, description="deadline of building one pre-aggregation"
    )
    shadow: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the answers from rollups that are compared with the rows, such as 0.01",
    )
    plan_cache: int = Field(
        512, ge=0, description="shapes of queries whose plans are kept; 0 keeps none"
    )
    cache_bytes: int = Field(
        256 * 2**20, ge=0, description="memory for answers that are kept; 0 keeps none"
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis in which servers share answers, `redis://:password@host:6379/0`",
    )
    cache_seconds: int = Field(
        86_400, ge=1, description="time after which an answer leaves Redis, asked for or not"
    )
    strict_joins: bool = Field(
        default=False,
        description="refuse a model in which joins lead to a cube in more than one way",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged"
    )
    log_format: Literal["json", "console"] = Field("json", description="form of the log lines")
    query_log: Path | None = Field(
        None, description="file of the query log (NDJSON); default `<home>/query-log.ndjson`"
    )
    postgres_port: int | None = Field(
        None, ge=0, le=65535, description="port of the Postgres wire; 0 takes a free one; none: off"
    )
    postgres_host: str = Field("127.0.0.1", description="address that the Postgres wire listens on")
    postgres_tls_cert: Path | None = Field(
        None, description="certificate of the Postgres wire, PEM; with it clients may ask for TLS"
    )
    postgres_tls_key: Path | None = Field(None, description="key of that certificate, PEM")
    postgres_users: Path | None = Field(
        None, description="JSON file of users with SCRAM verifiers, made by `ducat password`"
    )
    postgres_connections: int = Field(
        100, ge=1, description="logged-in connections of the Postgres wire at once"
    )
    postgres_idle_seconds: float = Field(
        3600.0, gt=0, description="time after which an idle connection of the wire is closed"
    )
    flight_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="port of Arrow Flight SQL, with host, TLS and users of the Postgres wire; "
        "0 takes a free one; none: off",
    )
    token: SecretStr | None = Field(
        None, description="token that the Python client (`connect` with an address) presents"
    )
    alert_urls: SecretStr = Field(
        SecretStr(""), description="apprise addresses that alerts go to, separated by spaces"
    )
    alert_receivers: SecretStr = Field(
        SecretStr("{}"),
        description='JSON of the receivers that alerts on metrics name, `{"ops": "slack://… json://…"}`',
    )
    superset_url: str | None = Field(
        None, description="address of Superset for `dashboards publish`"
    )
    superset_user: str = Field("admin", description="Superset user that publishes")
    superset_password: SecretStr | None = Field(None, description="its password")
    superset_source_url: str | None = Field(
        None, description="address at which Superset reaches this server"
    )
    superset_source_token: SecretStr | None = Field(
        None, description="token that Superset sends to this server"
    )

    @property
    def rollup_zones(self) -> tuple[str, ...]:
        """The time zones that pre-aggregations are built for.

        Raises:
            SettingsError: one of them is none.
        """
        zones = tuple(part.strip() for part in self.rollup_timezones.split(",") if part.strip())
        for zone in zones:
            if zone not in available_timezones():
                raise SettingsError(
                    f"DUCAT_ROLLUP_TIMEZONES: {zone[:60]!r} is no time zone",
                    suggestion="write names of the IANA database, such as Europe/Rome",
                )
        return zones or ("UTC",)

    @property
    def home_path(self) -> Path:
        """The folder of all state."""
        return (self.home or self.project / ".ducat").absolute()

    @property
    def lake_uri(self) -> str:
        """The root of the Delta tables."""
        return self.lake or str(self.home_path / "lake")

    @property
    def serving_path(self) -> Path:
        """The folder of the served DuckDB file and its manifest."""
        return (self.serving or self.home_path / "serving").absolute()

    @property
    def query_log_path(self) -> Path:
        """The file of the query log."""
        return (self.query_log or self.home_path / "query-log.ndjson").absolute()

    @property
    def api_keys_path(self) -> Path:
        """The file of the API keys."""
        return (self.api_keys or self.home_path / "api-keys.json").absolute()


def read_settings(project: Path | None = None) -> Settings:
    """Return the settings of this process; `project` overrides the environment.

    Raises:
        SettingsError: a variable is unknown or its value is not allowed; names each one.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(unknown)}",
            suggestion=suggest(unknown[0], known) or "`ducat settings` lists them all",
        )
    try:
        return Settings() if project is None else Settings(project=project)
    except ValidationError as invalid:
        problems = "; ".join(
            f"{PREFIX}{'.'.join(str(part) for part in error['loc']).upper()}: {error['msg']}"
            for error in invalid.errors()
        )
        raise SettingsError(problems, suggestion="`ducat settings` lists them all") from invalid
