"""API keys: made once, kept as hashes, revoked at once."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.auth import Authenticator
from api.errors import AuthenticationError, UnknownKeyError
from api.keys import KeyFile
from semantic.errors import SettingsError
from semantic.settings import Settings
from tests.unit.api.conftest import DUCAT, Server, Site

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "state" / "api-keys.json")


def test_a_key_opens_as_its_user_with_its_groups(file: KeyFile) -> None:
    text, made = file.create("nightly", ("analysts",), now=NOW)
    context = file.authenticate(text, NOW)
    assert (context.user, context.groups) == ("nightly", ("analysts",))
    assert context.claims["apiKey"] == made.id


def test_the_file_holds_the_hash_and_is_readable_by_its_owner_only(file: KeyFile) -> None:
    text, made = file.create("nightly", (), now=NOW)
    secret = text.split("_", 2)[2]
    written = file.path.read_text()
    assert secret not in written
    assert json.loads(written)["keys"][0]["hash"] == hashlib.sha256(secret.encode()).hexdigest()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert made.id in written


@pytest.mark.parametrize("change", ["id", "secret", "cut", "longer", "empty"])
def test_a_key_that_is_not_whole_opens_nothing(file: KeyFile, change: str) -> None:
    text, _ = file.create("nightly", (), now=NOW)
    head, key_id, secret = text.split("_", 2)
    wrong = {
        "id": f"{head}_{key_id[::-1]}x_{secret}",
        "secret": f"{head}_{key_id}_{'A' * 43}",
        "cut": text[:-1],
        "longer": text + "A",
        "empty": "dk_",
    }[change]
    with pytest.raises(AuthenticationError, match=r"^Invalid token$"):
        file.authenticate(wrong, NOW)


def test_a_key_is_over_when_its_time_has_passed(file: KeyFile) -> None:
    text, _ = file.create("nightly", (), now=NOW, lifetime=timedelta(days=1))
    assert file.authenticate(text, NOW + timedelta(hours=23)).user == "nightly"
    with pytest.raises(AuthenticationError):
        file.authenticate(text, NOW + timedelta(days=1))


def test_another_process_sees_a_revoked_key_at_its_next_request(file: KeyFile) -> None:
    text, made = file.create("nightly", (), now=NOW)
    other = KeyFile(file.path)
    assert other.authenticate(text, NOW).user == "nightly"
    file.revoke(made.id)
    with pytest.raises(AuthenticationError):
        other.authenticate(text, NOW)
    with pytest.raises(UnknownKeyError):
        file.revoke(made.id)


def test_a_file_that_is_none_of_ours_stops_the_start(file: KeyFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text('{"keys": [{"id": 1}]}')
    with pytest.raises(SettingsError, match="no file of API keys"):
        Authenticator.of(Settings(api_keys=file.path))


def test_keys_alone_are_enough_to_start_with(file: KeyFile) -> None:
    text, _ = file.create("nightly", (), now=datetime.now(UTC))
    guard = Authenticator.of(Settings(environment="production", api_keys=file.path))
    assert guard.authenticate({"authorization": text}).user == "nightly"


def ducat(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DUCAT, "keys", *arguments],
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_makes_a_key_that_a_running_server_takes_and_revokes_it(
    server: Server, site: Site
) -> None:
    made = ducat(site, "create", "export", "--group", "analysts", "--expires", "90d", "--note", "x")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    body = {"query": {"measures": ["sales.count"]}}
    path, headers = "/cubejs-api/v1/load", {"authorization": f"Bearer {key}"}
    answer = server.client.post(path, json=body, headers={**headers, "x-request-id": "key-1"})
    assert answer.json()["data"] == [{"sales.count": "400"}]
    log = (site.home / "query-log.ndjson").read_text().splitlines()
    (line,) = [json.loads(item) for item in log if '"key-1"' in item]
    listed = json.loads(ducat(site, "list", "--json").stdout)
    (mine,) = [item for item in listed if item["user"] == "export"]
    assert (line["user"], line["via"]) == ("export", f"key {mine['id']}")
    assert line["bytes"] == len(answer.content)
    assert "hash" not in mine
    assert key.split("_", 2)[2] not in ducat(site, "list").stdout
    assert ducat(site, "revoke", mine["id"]).returncode == 0
    assert server.client.post(path, json=body, headers=headers).status_code == 403
    (site.home / "api-keys.json").unlink()
