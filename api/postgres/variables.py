"""The settings of a session: SET, SHOW and RESET."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from api.postgres.errors import SqlError
from api.postgres.query.functions import VERSION

# What clients are told when it changes, in the names that they know.
REPORTED: Final = (
    "server_version", "server_encoding", "client_encoding", "application_name", "is_superuser",
    "session_authorization", "DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes",
    "standard_conforming_strings", "default_transaction_read_only", "in_hot_standby",
)  # fmt: skip
_DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "server_version": VERSION,
        "server_version_num": "150000",
        "server_encoding": "UTF8",
        "client_encoding": "UTF8",
        "application_name": "",
        "is_superuser": "off",
        "session_authorization": "",
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
        "timezone": "UTC",
        "integer_datetimes": "on",
        "standard_conforming_strings": "on",
        "default_transaction_read_only": "on",
        "transaction_read_only": "on",
        "in_hot_standby": "off",
        "transaction_isolation": "read committed",
        "default_transaction_isolation": "read committed",
        "transaction_deferrable": "off",
        "default_transaction_deferrable": "off",
        "search_path": '"$user", public',
        "max_identifier_length": "63",
        "extra_float_digits": "1",
        "statement_timeout": "0",
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "idle_session_timeout": "0",
        "bytea_output": "hex",
        "client_min_messages": "notice",
        "lc_collate": "C.UTF-8",
        "lc_ctype": "C.UTF-8",
        "lc_messages": "C.UTF-8",
        "lc_monetary": "C.UTF-8",
        "lc_numeric": "C.UTF-8",
        "lc_time": "C.UTF-8",
        "jit": "off",
        "geqo": "off",
        "enable_seqscan": "on",
        "row_security": "on",
        "role": "none",
        "backslash_quote": "safe_encoding",
        "escape_string_warning": "on",
        "xmloption": "content",
        "synchronous_commit": "off",
        "work_mem": "4MB",
        "default_tablespace": "",
        "default_table_access_method": "heap",
        "default_toast_compression": "pglz",
        "check_function_bodies": "on",
        "cursor_tuple_fraction": "0.1",
        "max_index_keys": "32",
        "max_connections": "100",
        "ssl": "off",
    }
)
_READ_ONLY: Final = frozenset(
    {"server_version", "server_version_num", "server_encoding", "is_superuser", "integer_datetimes",
     "in_hot_standby", "lc_collate", "lc_ctype", "max_identifier_length", "max_index_keys",
     "max_connections", "ssl", "session_authorization"}
)  # fmt: skip
_ALIASES: Final = MappingProxyType(
    {"time zone": "timezone", "names": "client_encoding", "schema": "search_path",
     "transaction isolation level": "transaction_isolation",
     "session characteristics as transaction isolation level": "default_transaction_isolation"}
)  # fmt: skip
_LONGEST: Final = 1024
_MILLISECONDS: Final = re.compile(r"(\d{1,9})\s*(ms|s|min|h)?")
_UNITS: Final = {None: 1, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
_ON: Final = frozenset({"on", "true", "yes", "1"})
_OFF: Final = frozenset({"off", "false", "no", "0"})


class Variables:
    """The values of one session. A transaction that is rolled back takes its changes with it."""

    __slots__ = ("_defaults", "_saved", "_values")

    def __init__(self, started: Mapping[str, str]) -> None:
        """Begin with what the client asked for at its start; what cannot be is refused.

        Raises:
            SqlError: a value is not allowed.
        """
        self._values = dict(_DEFAULTS)
        self._saved: dict[str, str] | None = None
        for name, value in started.items():
            self.set(name, value)
        self._defaults = dict(self._values)

    def get(self, name: str) -> str | None:
        """Return a value, or None for a name that is none."""
        return self._values.get(self._name(name))

    def show(self, name: str) -> str:
        """Return a value.

        Raises:
            SqlError: there is no such setting.
        """
        value = self.get(name)
        if value is None:
            raise _unknown(name)
        return value

    def all(self) -> Mapping[str, str]:
        """Return every value by its name."""
        return MappingProxyType(self._values)

    def force(self, name: str, value: str) -> None:
        """Give a value that no client may change."""
        self._values[name] = value
        self._defaults[name] = value

    def set(self, name: str, value: str | None) -> None:
        """Change a value; None gives the default back.

        Raises:
            SqlError: there is no such setting, or it cannot have that value.
        """
        key = self._name(name)
        if value is None:
            self.reset(key)
            return
        if len(value) > _LONGEST:
            raise _invalid(name, value)
        if key in _READ_ONLY:
            raise SqlError(f'parameter "{name}" cannot be changed', sqlstate="55P02")
        if key not in self._values and "." not in key:
            raise _unknown(name)
        check = _CHECKS.get(key)
        self._values[key] = value if check is None else check(name, value)

    def reset(self, name: str) -> None:
        """Give a value, or with `all` every value, back as it was at the start."""
        key = self._name(name)
        if key == "all":
            self._values = dict(self._defaults)
        elif key in self._defaults:
            self._values[key] = self._defaults[key]
        elif "." in key:
            self._values.pop(key, None)
        else:
            raise _unknown(name)

    def begin(self) -> None:
        """Remember the values at the start of a transaction."""
        self._saved = dict(self._values)

    def end(self, *, kept: bool, local: frozenset[str] = frozenset()) -> None:
        """Keep the changes of a transaction, without those of SET LOCAL, or take them back."""
        saved, self._saved = self._saved, None
        if saved is None:
            return
        if not kept:
            self._values = saved
            return
        for name in local:
            if name in saved:
                self._values[name] = saved[name]

    def reported(self) -> dict[str, str]:
        """Return what clients follow, in their names."""
        return {name: self._values[name.lower()] for name in REPORTED}

    @property
    def statement_timeout(self) -> float:
        """Seconds that a statement may take; 0 without a limit of the session's own."""
        return int(self._values["statement_timeout"].removesuffix("ms")) / 1000

    def key_of(self, name: str) -> str:
        """Return the name under which a setting is kept."""
        return self._name(name)

    def _name(self, name: str) -> str:
        lower = " ".join(name.lower().split())
        return _ALIASES.get(lower, lower)


def _unknown(name: str) -> SqlError:
    return SqlError(f'unrecognized configuration parameter "{name[:60]}"', sqlstate="42704")


def _invalid(name: str, value: str, hint: str | None = None) -> SqlError:
    return SqlError(
        f'invalid value for parameter "{name[:60]}": "{value[:60]}"',
        sqlstate="22023",
        suggestion=hint,
    )


def _check_zone(name: str, value: str) -> str:
    zones = _zones()
    found = zones.get(value.strip().lower())
    if found is None:
        raise _invalid(name, value, "use a name of the IANA time zones, such as Europe/Paris")
    ZoneInfo(found)
    return found


_FOUND: dict[str, str] = {}


def _zones() -> Mapping[str, str]:
    if not _FOUND:
        _FOUND.update({name.lower(): name for name in available_timezones()})
    return _FOUND


def _check_encoding(name: str, value: str) -> str:
    if value.strip().strip("'\"").lower().replace("-", "").replace("_", "") not in {
        "utf8",
        "unicode",
        "default",
    }:
        raise _invalid(name, value, "this server speaks UTF8")
    return "UTF8"


def _check_dates(name: str, value: str) -> str:
    words = {word.strip().lower() for word in value.split(",")}
    if not words <= {"iso", "mdy", "dmy", "ymd", "us", "european"} or "iso" not in words | {"mdy"}:
        raise _invalid(name, value, "dates are written in ISO style")
    if not words & {"iso"} and not words <= {"mdy", "us", "dmy", "ymd", "european"}:
        raise _invalid(name, value)
    order = "DMY" if words & {"dmy", "european"} else "YMD" if "ymd" in words else "MDY"
    return f"ISO, {order}"


def _only(*allowed: str) -> Callable[[str, str], str]:
    def check(name: str, value: str) -> str:
        lower = value.strip().lower()
        if lower not in allowed:
            raise _invalid(name, value, f"it can be {', '.join(allowed)} only")
        return lower

    return check


def _check_on(name: str, value: str) -> str:
    if value.strip().lower() not in _ON:
        raise _invalid(name, value, "it can be on only")
    return "on"


def _check_switch(name: str, value: str) -> str:
    lower = value.strip().lower()
    if lower not in _ON | _OFF:
        raise _invalid(name, value)
    return "on" if lower in _ON else "off"


def _check_read_only(name: str, value: str) -> str:
    if _check_switch(name, value) == "off":
        # Clients turn it off by habit; a write is refused when it comes.
        return "on"
    return "on"


def _check_timeout(name: str, value: str) -> str:
    found = _MILLISECONDS.fullmatch(value.strip().strip("'"))
    if found is None:
        raise _invalid(name, value)
    return str(int(found[1]) * _UNITS[found[2]])


def _check_path(name: str, value: str) -> str:
    names = [part.strip().strip('"').lower() for part in value.split(",")]
    allowed = {"public", "$user", "pg_catalog", "information_schema", "", "''", "default"}
    if not set(names) <= allowed:
        raise _invalid(name, value, "there are the schemas public, pg_catalog, information_schema")
    return value


_CHECKS: Final[Mapping[str, Callable[[str, str], str]]] = MappingProxyType(
    {
        "timezone": _check_zone,
        "client_encoding": _check_encoding,
        "datestyle": _check_dates,
        "intervalstyle": _only("postgres"),
        "standard_conforming_strings": _check_on,
        "bytea_output": _only("hex"),
        "statement_timeout": _check_timeout,
        "lock_timeout": _check_timeout,
        "idle_in_transaction_session_timeout": _check_timeout,
        "transaction_read_only": _check_read_only,
        "default_transaction_read_only": _check_read_only,
        "search_path": _check_path,
        "row_security": _check_switch,
        "role": _only("none"),
    }
)
