"""The bundle: the same bytes for the same assets, and the secret only inside it."""

from __future__ import annotations

import io
import zipfile
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.assets import Assets
from dashboards.bundle import build_bundle, read_bundle, source_uri
from dashboards.errors import SupersetRefusedError
from semantic.errors import SettingsError

URI = "ducat+http://superset:s3cret-token@127.0.0.1:4000/"


def test_the_same_assets_give_the_same_bytes(project_assets: Assets) -> None:
    assert build_bundle(project_assets, uri=URI) == build_bundle(project_assets, uri=URI)


def test_the_bundle_has_one_root_and_the_metadata_that_superset_asks_for(
    project_assets: Assets,
) -> None:
    with zipfile.ZipFile(io.BytesIO(build_bundle(project_assets, uri=URI))) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"ducat"}
        metadata = archive.read("ducat/metadata.yaml").decode()
    assert "type: assets" in metadata
    assert "timestamp:" in metadata


def test_the_address_and_token_are_in_the_bundle_and_not_in_the_files(
    project_assets: Assets,
) -> None:
    (database,) = project_assets.of("databases")
    assert "XXXXXXXXXX" in database.content["sqlalchemy_uri"]
    assert (
        read_bundle(build_bundle(project_assets, uri=URI))[database.uuid]["sqlalchemy_uri"] == URI
    )


def test_what_is_read_back_is_what_was_written(project_assets: Assets) -> None:
    read = read_bundle(build_bundle(project_assets, uri=URI))
    for asset in project_assets.of("charts"):
        assert read[asset.uuid] == asset.content


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_user_and_token_come_out_of_the_address_unchanged(user: str, token: str) -> None:
    parts = urlsplit(source_uri("http://metrics:4000", user, token))
    assert unquote(parts.username or "") == user
    assert unquote(parts.password or "") == token
    assert (parts.hostname, parts.port) == ("metrics", 4000)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:4000", "ducat+http://u:t@h:4000/"),
        ("http://h", "ducat+http://u:t@h:80/"),
        ("https://h/", "ducat+https://u:t@h:443/"),
        ("http://[::1]:4000", "ducat+http://u:t@[::1]:4000/"),
    ],
)
def test_the_port_is_always_written(url: str, expected: str) -> None:
    assert source_uri(url, "u", "t") == expected


@pytest.mark.parametrize(
    "url", ["", "h:4000", "ftp://h", "http://", "http://h/base", "http://h?x=1"]
)
def test_an_address_that_would_be_cut_short_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="DUCAT_SUPERSET_SOURCE_URL"):
        source_uri(url, "u", "t")


def test_an_export_that_is_no_zip_is_refused() -> None:
    with pytest.raises(SupersetRefusedError):
        read_bundle(b"<html>")
