"""The cache that the settings ask for."""

from __future__ import annotations

from semantic.cache.cache import AnswerCache
from semantic.errors import SettingsError
from semantic.settings import Settings


def open_cache(settings: Settings) -> AnswerCache:
    """Return a cache in memory, shared through Redis where a URL names one.

    Raises:
        SettingsError: the URL is not one of Redis.
    """
    url = settings.redis_url
    if url is None:
        return AnswerCache(settings.cache_bytes)
    from semantic.cache.redis_store import RedisStore  # noqa: PLC0415 -- who has no Redis waits for none

    try:
        store = RedisStore(url.get_secret_value(), seconds=settings.cache_seconds)
    except ValueError as malformed:
        raise SettingsError(
            "DUCAT_REDIS_URL is not the address of a Redis",
            suggestion="write redis://:password@host:6379/0, or rediss:// for TLS",
        ) from malformed
    return AnswerCache(settings.cache_bytes, store)
