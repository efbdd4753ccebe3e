"""Configuration that Apache Superset loads in its own environment (`SUPERSET_CONFIG_PATH`).

Standard library and Superset's own packages only: Ducat is not installed there. Every value that
differs between places comes from the environment, and no secret has a default:

    SUPERSET_SECRET_KEY     required; encrypts stored passwords and signs sessions
    SUPERSET_HOME           required; folder of Superset's files
    SUPERSET_METADATA_URI   SQLAlchemy address of its own tables; default SQLite in SUPERSET_HOME
    REDIS_URL               caches and rate limits shared by all workers; default none
    SUPERSET_GUEST_SECRET   signs the tokens of embedded dashboards; default derived from the key
    SUPERSET_HTTPS          `1` behind TLS: secure cookies and forwarded headers
"""

import hashlib
import os
from pathlib import Path


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


SECRET_KEY = _required("SUPERSET_SECRET_KEY", "it encrypts stored passwords and signs sessions")
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
GUEST_ROLE_NAME = "Public"
# Two keys from one secret must differ, or a guest token could pass for a session.
GUEST_TOKEN_JWT_SECRET = os.environ.get("SUPERSET_GUEST_SECRET") or (
    hashlib.sha256(b"guest token:" + SECRET_KEY.encode()).hexdigest()
)
GUEST_TOKEN_JWT_EXP_SECONDS = 300


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
if _REDIS:

    def _cache(prefix: str, seconds: int) -> dict[str, object]:
        return {
            "CACHE_TYPE": "RedisCache",
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
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": _HTTPS,
    "session_cookie_secure": _HTTPS,
}
THEME_FONT_URL_ALLOWED_DOMAINS: list[str] = []

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
