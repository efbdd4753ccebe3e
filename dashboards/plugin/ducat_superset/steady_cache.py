"""Redis as a cache that may be gone: nothing is kept then, and every page works all the same.

Superset takes an error of its cache for an error of the page. Here one is said in the log, Redis is left
alone for some seconds, and what is asked meanwhile is computed. Only Superset imports this module, which
has flask-caching; the driver needs the standard library alone.
"""

import logging
import threading
import time

from flask_caching.backends.rediscache import RedisCache
from redis.exceptions import RedisError

PAUSE_SECONDS = 5.0
_LOG = logging.getLogger("ducat.cache")


class _Breaker:
    """Whether Redis is left alone just now. One for all caches of the process."""

    def __init__(self):
        self._lock = threading.Lock()
        self._resumes_at = 0.0

    @property
    def is_open(self):
        return time.monotonic() < self._resumes_at

    def open(self, failed):
        with self._lock:
            is_news = not self.is_open
            self._resumes_at = time.monotonic() + PAUSE_SECONDS
        if is_news:
            _LOG.warning("the cache does not answer, nothing is kept meanwhile: %s", failed)


_breaker = _Breaker()


def _steady(name, nothing):
    """Return a method that gives `nothing` while Redis does not answer."""
    original = getattr(RedisCache, name)

    def method(self, *arguments, **options):
        if _breaker.is_open:
            return nothing(*arguments)
        try:
            return original(self, *arguments, **options)
        except RedisError as failed:
            _breaker.open(failed)
            return nothing(*arguments)

    method.__name__ = name
    method.__doc__ = original.__doc__
    return method


class SteadyRedisCache(RedisCache):
    """Flask-Caching's Redis, without its errors."""

    get = _steady("get", lambda *_: None)
    get_many = _steady("get_many", lambda *keys: [None] * len(keys))
    set = _steady("set", lambda *_: False)
    add = _steady("add", lambda *_: False)
    set_many = _steady("set_many", lambda *_: [])
    delete = _steady("delete", lambda *_: False)
    delete_many = _steady("delete_many", lambda *_: [])
    has = _steady("has", lambda *_: False)
    clear = _steady("clear", lambda *_: False)
    inc = _steady("inc", lambda *_: None)
    dec = _steady("dec", lambda *_: None)
