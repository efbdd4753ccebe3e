"""Configuration that Apache Superset loads in its own environment (`SUPERSET_CONFIG_PATH`).

Standard library and Superset's own packages only: Ducat is not installed there. Every value that
differs between places comes from the environment, and no secret has a default:

    SUPERSET_SECRET_KEY     required; encrypts stored passwords and signs sessions
    SUPERSET_HOME           required; folder of Superset's files
    SUPERSET_METADATA_URI   SQLAlchemy address of its own tables; default SQLite in SUPERSET_HOME
    REDIS_URL               caches and rate limits shared by all workers; default none
    SUPERSET_GUEST_SECRET   signs the tokens of embedded dashboards; default derived from the key
    SUPERSET_HTTPS          `1` behind TLS: secure cookies and forwarded headers
    SUPERSET_EMBED_ORIGINS  origins whose pages may frame dashboards, with spaces between; default none
    SUPERSET_OIDC_ISSUER    signs people in at this OpenID Connect provider; default: passwords
    SUPERSET_OIDC_CLIENT_ID, SUPERSET_OIDC_CLIENT_SECRET   what the provider knows Superset by
    SUPERSET_OIDC_USER_CLAIM, SUPERSET_OIDC_GROUPS_CLAIM   default `sub` and `groups`
    SUPERSET_OIDC_SCOPE     default `openid profile email groups`
    SUPERSET_OIDC_ROLES     JSON: the provider's groups to lists of roles; others get no role
    SUPERSET_LOCAL_USERS    who may still use a password then, with spaces between; default `admin`
"""

import hashlib
import json
import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from ducat_superset.security import DucatSecurityManager  # type: ignore[import-not-found]


class SettingMissingError(RuntimeError):
    """Superset was started without a setting that has no default."""


def _required(name: str, purpose: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise SettingMissingError(
            f"{name} is not set: {purpose}. `ducat demo` generates one and keeps it; elsewhere set "
            "it yourself and keep it as long as the metadata database."
        )
    return value


class SettingUnsafeError(RuntimeError):
    """Superset was started with a setting that would leave it open."""


# Examples from the documentation of Superset and its images: everyone knows them.
_KNOWN = (
    "change_me", "change-me", "changeme", "thisismyscretkey", "test_non_dev", "your_own_random",
    "supersecret", "password", "example",
)  # fmt: skip
_SHORTEST_SECRET = 32


def _check_secret(name: str, value: str) -> str:
    """Return a secret that nobody can guess, as far as that can be seen."""
    lowered = value.lower()
    if (
        len(value) < _SHORTEST_SECRET
        or len(set(value)) < _SHORTEST_SECRET // 4
        or any(word in lowered for word in _KNOWN)
    ):
        raise SettingUnsafeError(
            f"{name} is too short or an example: make one with `openssl rand -base64 42`"
        )
    return value


def _check_origin(origin: str) -> str:
    """Return an origin as a policy may name it: a scheme and one host, no wildcard."""
    parts = urlsplit(origin)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "*" in origin
        or ";" in origin
        or f"{parts.scheme}://{parts.netloc}" != origin
    ):
        raise SettingUnsafeError(f"SUPERSET_EMBED_ORIGINS: {origin!r} is no origin")
    return origin


SECRET_KEY = _check_secret(
    "SUPERSET_SECRET_KEY",
    _required("SUPERSET_SECRET_KEY", "it encrypts stored passwords and signs sessions"),
)
_HOME = Path(_required("SUPERSET_HOME", "it is the folder of Superset's files"))
SQLALCHEMY_DATABASE_URI = os.environ.get("SUPERSET_METADATA_URI") or (
    f"sqlite:///{_HOME / 'superset.db'}?check_same_thread=false"
)

# Governed data only: the server refuses everything that is not a measure or a dimension, and the
# interface offers nothing else. CACHE_IMPERSONATION puts the user into the key of each cached
# answer; without it one person would see the rows of another.
FEATURE_FLAGS = {
    "CACHE_IMPERSONATION": True,
    "DASHBOARD_RBAC": True,
    "EMBEDDED_SUPERSET": True,
    "DRILL_TO_DETAIL": False,
    "ENABLE_TEMPLATE_PROCESSING": False,
    "ALLOW_ADHOC_SUBQUERY": False,
    "DASHBOARD_VIRTUALIZATION": False,
}
PUBLIC_ROLE_LIKE = None
AUTH_ROLE_PUBLIC = "Public"  # without any permission
GUEST_ROLE_NAME = "Embedded"
# Two keys from one secret must differ, or a guest token could pass for a session.
GUEST_TOKEN_JWT_SECRET = _check_secret(
    "SUPERSET_GUEST_SECRET",
    os.environ.get("SUPERSET_GUEST_SECRET")
    or hashlib.sha256(b"guest token:" + SECRET_KEY.encode()).hexdigest(),
)
if GUEST_TOKEN_JWT_SECRET == SECRET_KEY:
    raise SettingUnsafeError("SUPERSET_GUEST_SECRET must not be SUPERSET_SECRET_KEY")
GUEST_TOKEN_JWT_EXP_SECONDS = 300
_EMBED_ORIGINS = [
    _check_origin(item) for item in os.environ.get("SUPERSET_EMBED_ORIGINS", "").split()
]

# Who signs in, and how: `ducat_superset.security` says what it adds to Superset's own.
CUSTOM_SECURITY_MANAGER = DucatSecurityManager
AUTH_USER_REGISTRATION = False
DUCAT_LOGIN_FAILURES = "10 per 5 minutes"
RATELIMIT_ENABLED = True
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "5 per second"
# People of one office share an address, and a dashboard asks dozens of times at once.
RATELIMIT_APPLICATION = "1000 per second"
PERMANENT_SESSION_LIFETIME = timedelta(hours=12)
_SHORTEST_PASSWORD = 12


def _check_password(password: str) -> None:
    from flask_appbuilder.exceptions import (  # type: ignore[import-not-found]  # noqa: PLC0415
        PasswordComplexityValidationError,
    )

    if len(password) < _SHORTEST_PASSWORD:
        raise PasswordComplexityValidationError(
            f"a password has at least {_SHORTEST_PASSWORD} characters"
        )


FAB_PASSWORD_COMPLEXITY_ENABLED = True
FAB_PASSWORD_COMPLEXITY_VALIDATOR = _check_password

DUCAT_LOCAL_USERS: "frozenset[str] | None" = None
_ISSUER = os.environ.get("SUPERSET_OIDC_ISSUER", "")
if _ISSUER:
    from flask_appbuilder.const import AUTH_OAUTH  # type: ignore[import-not-found]

    AUTH_TYPE = AUTH_OAUTH
    AUTH_USER_REGISTRATION = True
    AUTH_USER_REGISTRATION_ROLE = AUTH_ROLE_PUBLIC
    AUTH_ROLES_SYNC_AT_LOGIN = True
    AUTH_GROUPS_SYNC_AT_LOGIN = True
    AUTH_AUTO_CREATE_GROUPS = True
    AUTH_ROLES_MAPPING = json.loads(os.environ.get("SUPERSET_OIDC_ROLES") or "{}")
    # Publishing signs in by the API as a local user; the security manager lets in nobody else there.
    AUTH_API_LOGIN_ALLOW_MULTIPLE_PROVIDERS = True
    DUCAT_LOCAL_USERS = frozenset(os.environ.get("SUPERSET_LOCAL_USERS", "admin").split())
    DUCAT_OIDC_CLAIMS = {
        "user": os.environ.get("SUPERSET_OIDC_USER_CLAIM") or "sub",
        "groups": os.environ.get("SUPERSET_OIDC_GROUPS_CLAIM") or "groups",
    }
    OAUTH_PROVIDERS = [
        {
            "name": "oidc",
            "icon": "fa-key",
            "token_key": "access_token",
            "remote_app": {
                "client_id": _required("SUPERSET_OIDC_CLIENT_ID", "the provider asks for it"),
                "client_secret": _required("SUPERSET_OIDC_CLIENT_SECRET", "it proves who asks"),
                "server_metadata_url": f"{_ISSUER.rstrip('/')}/.well-known/openid-configuration",
                "client_kwargs": {
                    "scope": os.environ.get("SUPERSET_OIDC_SCOPE") or "openid profile email groups",
                    "code_challenge_method": "S256",
                },
            },
        }
    ]


# The engine name of our plug-in speaks PostgreSQL's SQL; `MEASURE(x)` passes as a function.
def SQLGLOT_DIALECTS_EXTENSIONS() -> dict[str, object]:  # noqa: N802 - Superset's name
    """Tell Superset's SQL parser which dialect our engine speaks."""
    from sqlglot import Dialects  # noqa: PLC0415 - only needed inside Superset

    return {"ducat": Dialects.POSTGRES}


# The server's own limit is what counts: these keep Superset from asking for more than it can draw.
ROW_LIMIT = 10_000
SQL_MAX_ROW = 50_000
SAMPLES_ROW_LIMIT = 100
NATIVE_FILTER_DEFAULT_ROW_LIMIT = 1_000
FILTER_SELECT_ROW_LIMIT = 5_000
SUPERSET_WEBSERVER_TIMEOUT = 60

_REDIS = os.environ.get("REDIS_URL")
_PATIENCE = {"socket_connect_timeout": 0.5, "socket_timeout": 1.0}
if _REDIS:

    def _cache(prefix: str, seconds: int) -> dict[str, object]:
        return {
            # A Redis that is gone costs what is kept, and no page.
            "CACHE_TYPE": "ducat_superset.steady_cache.SteadyRedisCache",
            "CACHE_OPTIONS": _PATIENCE,
            "CACHE_REDIS_URL": _REDIS,
            "CACHE_KEY_PREFIX": f"superset_{prefix}_",
            "CACHE_DEFAULT_TIMEOUT": seconds,
        }

    # Answers live one minute: the metrics server is fast, and fresh data should be seen soon.
    CACHE_CONFIG = _cache("metadata", 300)
    DATA_CACHE_CONFIG = _cache("data", 60)
    FILTER_STATE_CACHE_CONFIG = _cache("filter", 86_400)
    EXPLORE_FORM_DATA_CACHE_CONFIG = _cache("explore", 86_400)
    RATELIMIT_STORAGE_URI = _REDIS
    RATELIMIT_STORAGE_OPTIONS = _PATIENCE
    RATELIMIT_IN_MEMORY_FALLBACK_ENABLED = True  # each worker counts for itself meanwhile
    # Of requests that meet a dead Redis at the same moment only the first falls back by itself.
    RATELIMIT_SWALLOW_ERRORS = True
else:
    # Without a shared cache nothing is cached: workers must not disagree about a number.
    CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
    DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}

_HTTPS = os.environ.get("SUPERSET_HTTPS") == "1"
SESSION_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
ENABLE_PROXY_FIX = _HTTPS
PREVENT_UNSAFE_DB_CONNECTIONS = True
ENABLE_CORS = False
# Nothing is uploaded, fetched from an address that a file names, or shown that helps to break in.
ALLOWED_EXTENSIONS: set[str] = set()
DATASET_IMPORT_ALLOWED_DATA_URLS: list[str] = []
SHOW_STACKTRACE = False
FAB_API_SWAGGER_UI = False
MAPBOX_API_KEY = ""
# No outside host: no telemetry pixel, no fonts, no map tiles.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'self'", *_EMBED_ORIGINS],
    },
    # The older header knows one origin only; where pages of others embed, the policy above decides.
    "frame_options": None if _EMBED_ORIGINS else "SAMEORIGIN",
    "referrer_policy": "strict-origin-when-cross-origin",
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": _HTTPS,
    "session_cookie_secure": _HTTPS,
}
TALISMAN_DEV_CONFIG = TALISMAN_CONFIG
THEME_FONT_URL_ALLOWED_DOMAINS: list[str] = []


def FLASK_APP_MUTATOR(app: object) -> None:  # noqa: N802 - Superset's name
    """Guard certifications once the models are there."""
    del app
    from ducat_superset.certify import guard  # type: ignore[import-not-found]  # noqa: PLC0415

    guard()


APP_NAME = "Ducat"
# Blue for what is as it should be, orange for what needs a look; told apart by everyone.
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "ducat",
        "label": "Ducat",
        "description": "",
        "isDefault": False,
        "colors": [
            "#1F5FA8",
            "#E8833A",
            "#3AA6A0",
            "#8A5BB5",
            "#D1495B",
            "#6C8EAD",
            "#EDAE49",
            "#5B7F4B",
            "#A36A5A",
            "#30638E",
        ],
    }
]
