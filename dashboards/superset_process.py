"""Superset as processes on this machine: prepared once, then one gunicorn command to supervise.

Superset lives in an environment of its own (`.venv-superset`), and its state in one folder:

    <home>/superset.db       its own tables (SQLite, unless a metadata address is given)
    <home>/secrets.json      key and admin password, generated once, readable by the owner only
    <home>/prepared.json     for which versions the tables were made ready

`prepare` is safe to call again: it does nothing while the versions are the same. It starts one
process and waits for it. Nothing is left running; the caller supervises `SupersetSite.command`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from dashboards.errors import SupersetMissingError
from semantic.snapshot import replace_file

ADMIN: Final = "admin"
HEALTH: Final = "/health"
_HERE: Final = Path(__file__).parent
_CONFIG: Final = _HERE / "superset_config.py"
_INITIALISE: Final = _HERE / "superset_initialise.py"
_PREPARE_SECONDS: Final = 600
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


@dataclass(frozen=True, slots=True)
class SupersetSite:
    """A prepared Superset: where it is and the secrets that belong to it."""

    environment: Path
    home: Path
    secret_key: str
    admin_password: str
    metadata_uri: str | None = None
    redis_url: str | None = None

    @property
    def admin_user(self) -> str:
        """The name of the administrator that `prepare` made."""
        return ADMIN

    def variables(self) -> dict[str, str]:
        """Return the whole environment of a Superset process; nothing else is passed on."""
        variables = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        variables |= {
            "SUPERSET_CONFIG_PATH": str(_CONFIG),
            "SUPERSET_HOME": str(self.home),
            "SUPERSET_SECRET_KEY": self.secret_key,
            "FLASK_APP": "superset.app:create_app()",
            "PYTHONUNBUFFERED": "1",
            # Superset reads dates of other zones as UTC only when its own clock is UTC.
            "TZ": "UTC",
        }
        if self.metadata_uri is not None:
            variables["SUPERSET_METADATA_URI"] = self.metadata_uri
        if self.redis_url is not None:
            variables["REDIS_URL"] = self.redis_url
        return variables

    def command(self, port: int, *, host: str = "127.0.0.1", workers: int = 2) -> list[str]:
        """Return the command that serves Superset in the foreground; ready when HEALTH is 200."""
        program, *words = serve_command(host, str(port), workers=workers)
        return [str(self.environment / "bin" / program), *words]


def serve_command(host: str, port: str, *, workers: int = 2) -> tuple[str, ...]:
    """Return the command that serves Superset, its program by name: for a PATH or an image.

    Start it in Superset's own folder: gunicorn imports from where it stands.
    """
    return (
        "gunicorn",
        f"--bind={host}:{port}",
        f"--workers={workers}",
        "--worker-class=gthread",
        "--threads=8",
        "--timeout=120",
        # Less than the ten seconds that Docker waits between asking and killing.
        "--graceful-timeout=5",
        # Charts put their whole query into the address: Superset needs both limits off.
        "--limit-request-line=0",
        "--limit-request-field_size=0",
        "superset.app:create_app()",
    )


def prepare(
    environment: Path,
    home: Path,
    *,
    metadata_uri: str | None = None,
    redis_url: str | None = None,
    started: Callable[[subprocess.Popen[bytes]], None] = lambda _: None,
) -> SupersetSite:
    """Return Superset ready to be served, its tables, roles and administrator made.

    About 30 seconds the first time and after a change of version, else immediate. `started` is given
    the process that does it, in a group of its own, so that another thread can end it.

    Raises:
        SupersetMissingError: there is no Superset in `environment`, or preparing it failed.
    """
    versions = installed_versions(environment)
    home.mkdir(parents=True, exist_ok=True)
    kept = _read_secrets(home)
    site = SupersetSite(
        environment=environment.absolute(),
        home=home.absolute(),
        secret_key=kept["secret_key"],
        admin_password=kept["admin_password"],
        metadata_uri=metadata_uri,
        redis_url=redis_url,
    )
    metadata = hashlib.sha256((metadata_uri or "sqlite").encode()).hexdigest()
    mark = orjson.dumps({"versions": versions, "metadata": metadata})
    marker = home / "prepared.json"
    if marker.is_file() and marker.read_bytes() == mark and _has_tables(site):
        return site
    log = home / "prepare.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            # -I: the folder of the script, with our own modules, stays off Superset's path.
            [str(site.environment / "bin" / "python"), "-I", str(_INITIALISE)],
            env=site.variables()
            | {"SUPERSET_ADMIN_USER": ADMIN, "SUPERSET_ADMIN_PASSWORD": site.admin_password},
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started(process)
    try:
        code = process.wait(_PREPARE_SECONDS)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code != 0:
        raise SupersetMissingError(
            f"Superset's tables could not be prepared: {_last_line(log)}",
            suggestion=f"the whole output is in {log}",
        )
    replace_file(marker, mark)
    return site


def installed_versions(environment: Path) -> Mapping[str, str]:
    """Return the versions of Superset and of our plug-in in an environment, without starting it.

    Raises:
        SupersetMissingError: one of them is not installed there.
    """
    found: dict[str, str] = {}
    for folder in sorted(environment.glob("lib/python3.*/site-packages/*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        if name in {"apache_superset", "ducat_superset"}:
            found[name] = version
    missing = {"apache_superset", "ducat_superset"} - found.keys()
    if missing:
        raise SupersetMissingError(
            f"{environment} has no {' and no '.join(sorted(missing))}",
            suggestion="`make setup` installs Superset and the plug-in",
        )
    return found


def _read_secrets(home: Path) -> dict[str, str]:
    """Return the secrets of this home, generated at the first call and kept (mode 0600)."""
    path = home / "secrets.json"
    if not path.is_file():
        made = {
            "secret_key": secrets.token_urlsafe(42),
            "admin_password": secrets.token_urlsafe(15),
        }
        # A temporary file is 0600 from its first byte, and the rename keeps that.
        replace_file(path, orjson.dumps(made))
    read: dict[str, str] = orjson.loads(path.read_bytes())
    return read


def _has_tables(site: SupersetSite) -> bool:
    return site.metadata_uri is not None or (site.home / "superset.db").is_file()


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
