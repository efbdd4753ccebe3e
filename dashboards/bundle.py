"""The zip that Superset imports: the same assets always give the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dashboards.assets import METADATA, Assets, write_yaml
from dashboards.errors import SupersetRefusedError
from semantic.errors import SettingsError

ROOT: Final = "ducat"
# Superset refuses a bundle without a time; a fixed one keeps the bytes fixed.
TIMESTAMP: Final = "2026-01-01T00:00:00+00:00"
_ZIP_DATE: Final = (2026, 1, 1, 0, 0, 0)


def source_uri(url: str, user: str, token: str) -> str:
    """Return the SQLAlchemy address by which Superset's plug-in reaches this server.

    Raises:
        SettingsError: `url` is not an http(s) address of a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(
            f"DUCAT_SUPERSET_SOURCE_URL is not an address: {url!r}",
            suggestion="give it as http://host:port, as Superset reaches this server",
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # Only a whole authority can be written: a path would be dropped by the plug-in, silently.
    if parts.path.strip("/") or parts.query:
        raise SettingsError(
            f"DUCAT_SUPERSET_SOURCE_URL must not have a path: {url!r}",
            suggestion="give scheme, host and port only",
        )
    return f"ducat+{parts.scheme}://{quote(user, safe='')}:{quote(token, safe='')}@{host}:{port}/"


def build_bundle(assets: Assets, *, uri: str) -> bytes:
    """Return the zip of all assets; the database's address, secret included, is filled in here."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for asset in assets.files:
            if asset.path == METADATA:
                content: Mapping[str, Any] = {**asset.content, "timestamp": TIMESTAMP}
            elif asset.kind == "databases":
                content = {**asset.content, "sqlalchemy_uri": uri}
            else:
                content = asset.content
            entry = zipfile.ZipInfo(f"{ROOT}/{asset.path}", _ZIP_DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, write_yaml(content))
    return stream.getvalue()


def read_bundle(content: bytes) -> dict[str, dict[str, Any]]:
    """Return the content of each asset of a bundle by UUID.

    Raises:
        SupersetRefusedError: these bytes are no bundle.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                if name.endswith(".yaml"):
                    asset = YAML(typ="safe", pure=True).load(archive.read(name).decode())
                    if isinstance(asset, dict) and "uuid" in asset:
                        found[str(asset["uuid"])] = asset
    except (zipfile.BadZipFile, UnicodeDecodeError, YAMLError) as broken:
        raise SupersetRefusedError(f"Superset's export cannot be read: {broken}") from broken
    return found
