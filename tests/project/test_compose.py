"""What Compose would start is what the demo starts, and it is closed by default."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml

from deploy.services import SERVICES, Service
from semantic.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
OURS = ("ducat", "flows", "prefect-server", "superset")
ONE_SHOT = {"lake-init", "superset-init", "dashboards"}


def _read_env(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.partition("=")[::2] for line in lines)


@pytest.fixture(scope="module")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.env` as the script writes it for an operator."""
    made = subprocess.run(
        ["python3", "-I", ROOT / "deploy/docker/make_env.py"], capture_output=True, check=True
    )
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_bytes(made.stdout)
    return path


def _compose(env_file: Path) -> subprocess.CompletedProcess[str]:
    """Let the real docker-compose read the file: it checks the format and fills in variables."""
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    profiles = ("--profile", "cube", "--profile", "publish")
    command = ("docker-compose", "--env-file", env_file, "--file", ROOT / "docker-compose.yml")
    return subprocess.run(
        [*command, *profiles, "config"], capture_output=True, text=True, env=known, check=False
    )


@pytest.fixture(scope="module")
def document(env_file: Path) -> dict[str, Any]:
    """The Compose file as docker-compose understands it, variables filled in."""
    outcome = _compose(env_file)
    assert outcome.returncode == 0, outcome.stderr
    parsed: dict[str, Any] = yaml.safe_load(outcome.stdout)
    return parsed


def _values(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What stands for the placeholders of deploy/services.py in containers."""
    ports = {"ducat": "4000", "prefect-server": "4200", "flows": "8080", "superset": "8088"}
    prefect = "127.0.0.1" if name == "prefect-server" else "prefect-server"
    database = f"postgresql+asyncpg://prefect:{variables['PREFECT_DB_PASSWORD']}"
    metadata = f"postgresql+psycopg2://superset:{variables['SUPERSET_DB_PASSWORD']}"
    return {
        "host": "0.0.0.0",  # noqa: S104  inside a container
        "port": ports[name],
        "project": "/project",
        "home": "/state",
        "jwt_secret": variables["DUCAT_JWT_SECRET"],
        "ducat_url": "http://ducat:4000",
        "prefect_url": f"http://{prefect}:4200",
        "prefect_database": f"{database}@postgres:5432/prefect",
        "superset_home": "/superset",
        "superset_secret": variables["SUPERSET_SECRET_KEY"],
        "superset_guest_secret": variables["SUPERSET_GUEST_SECRET"],
        "superset_database": f"{metadata}@postgres:5432/superset",
        "redis_url": f"redis://:{variables['REDIS_PASSWORD']}@redis:6379/0",
    }


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_compose_starts_each_service_as_the_demo_does(
    service: Service, document: dict[str, Any], env_file: Path
) -> None:
    composed = document["services"][service.name]
    values = _values(service.name, _read_env(env_file))
    filled = service.fill(values)
    assert tuple(composed["command"]) == filled.command
    assert composed.get("working_dir", "/project") == filled.folder
    given = {name: str(value) for name, value in composed["environment"].items()}
    assert {name: given.get(name) for name in filled.environment} == dict(filled.environment)
    probe = f"http://127.0.0.1:{values['port']}{service.health}"
    assert composed["healthcheck"]["test"] == ["CMD", "healthy", probe]


def test_every_service_of_ours_is_described_once(document: dict[str, Any]) -> None:
    assert {service.name for service in SERVICES} == set(OURS)
    assert set(OURS) <= set(document["services"])


def test_every_variable_of_ours_is_a_setting(document: dict[str, Any]) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    given = {
        name
        for service in document["services"].values()
        for name in service.get("environment", {})
        if name.startswith(PREFIX)
    }
    assert given <= known


def test_the_addresses_of_the_sources_are_passed_on(env_file: Path, tmp_path: Path) -> None:
    sources = (ROOT / "flows/pipelines/flights/sources.py").read_text()
    names = set(re.findall(r"\bFLIGHTS_[A-Z]+_URL\b", sources))
    assert names
    filled = tmp_path / ".env"
    filled.write_text(env_file.read_text() + "".join(f"{name}=http://{name}/\n" for name in names))
    given = yaml.safe_load(_compose(filled).stdout)["services"]["flows"]["environment"]
    assert {name: given[name] for name in names} == {name: f"http://{name}/" for name in names}


def test_the_settings_of_superset_are_passed_on(env_file: Path, tmp_path: Path) -> None:
    config = (ROOT / "dashboards/superset_config.py").read_text()
    names = set(
        re.findall(r"\bSUPERSET_(?:OIDC_[A-Z_]+|HTTPS|EMBED_ORIGINS|LOCAL_USERS)\b", config)
    )
    assert len(names) == 10
    filled = tmp_path / ".env"
    filled.write_text(env_file.read_text() + "".join(f"{name}=its-value\n" for name in names))
    given = yaml.safe_load(_compose(filled).stdout)["services"]["superset"]["environment"]
    assert {name: given[name] for name in names} == dict.fromkeys(names, "its-value")


def test_every_long_running_service_has_a_health_check_and_limits(
    document: dict[str, Any],
) -> None:
    for name, service in document["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        if name not in ONE_SHOT:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_our_containers_have_no_rights_and_a_root_that_cannot_be_written(
    document: dict[str, Any],
) -> None:
    for name in (*OURS, "superset-init", "dashboards"):
        service = document["services"][name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_ports_are_open_on_this_host_only_and_stores_are_out_of_reach(
    document: dict[str, Any],
) -> None:
    for name, service in document["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert document["networks"]["back"]["internal"] is True
    for name in ("postgres", "redis", "seaweedfs"):
        assert set(document["services"][name]["networks"]) == {"back"}
        assert "ports" not in document["services"][name]


def test_no_secret_has_a_default_and_a_missing_one_stops_compose(
    env_file: Path, tmp_path: Path
) -> None:
    variables = _read_env(env_file)
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", TEXT))
    assert used == set(variables) == set(_read_env(ROOT / ".env.example"))
    # Every use demands its value; only the profile `cube` may go without its own.
    assert set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+):?-", TEXT)) == {"CUBE_API_SECRET"}
    for missing in sorted(variables.keys() - {"CUBE_API_SECRET"}):
        partial = tmp_path / missing
        rest = {name: value for name, value in variables.items() if name != missing}
        partial.write_text("".join(f"{name}={value}\n" for name, value in rest.items()))
        outcome = _compose(partial)
        assert outcome.returncode != 0, missing
        assert "make_env.py" in outcome.stderr


def test_the_example_holds_no_value() -> None:
    assert set(_read_env(ROOT / ".env.example").values()) == {""}


def test_the_made_secrets_are_long_new_and_fit_into_addresses(env_file: Path) -> None:
    made = runpy.run_path(str(ROOT / "deploy/docker/make_env.py"))["make_variables"]()
    first = _read_env(env_file)
    assert all(first[name] != made[name] for name in made)
    assert all(re.fullmatch(r"[\w.-]{32,}", value) for value in first.values())


def test_the_made_token_is_one_of_the_service_user(env_file: Path) -> None:
    variables = _read_env(env_file)
    claims = jwt.decode(
        variables["DUCAT_SUPERSET_SOURCE_TOKEN"], variables["DUCAT_JWT_SECRET"], ["HS256"]
    )
    assert claims["sub"] == Settings.model_fields["service_user"].default
    assert claims["exp"] - claims["iat"] == 365 * 24 * 3600


def test_the_images_install_by_hash_as_a_user_without_rights_and_copy_what_exists() -> None:
    lines = (ROOT / "deploy/docker/Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split() for line in lines if line and not line.startswith("#")]
    stages = {step[3] for step in steps if step[0] == "FROM"}
    assert {"server", "worker", "superset"} <= stages
    bases = {step[1] for step in steps if step[0] == "FROM"}
    assert bases <= stages | {"${PYTHON}"}
    installs = [" ".join(step) for step in steps if "install" in step or "sync" in step]
    packages = [line for line in installs if "pip" in line]
    assert packages
    assert all("--require-hashes" in line or "--no-deps" in line for line in packages)
    assert ["USER", "ducat"] in steps
    for step in steps:
        if step[0] == "COPY" and not step[1].startswith("--from"):
            sources = [part for part in step[1:-1] if not part.startswith("--")]
            assert all((ROOT / source).exists() for source in sources), step
    assert "http" not in " ".join(lines)


def test_what_the_compose_file_mounts_exists(document: dict[str, Any]) -> None:
    for name, service in document["services"].items():
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith("/"):
                assert Path(source).exists(), f"{name}: {source}"
                assert mode == ["ro"], f"{name}: {target}"
            else:
                assert source in document["volumes"]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_probe_of_the_images_says_whether_a_service_answers_200(status: int, code: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/readyz"
            probe = ["python3", "-I", str(ROOT / "deploy/docker/healthy"), url]
            assert subprocess.run(probe, capture_output=True, check=False).returncode == code
        finally:
            server.shutdown()
            thread.join()
    outcome = subprocess.run(probe, capture_output=True, check=False)
    assert outcome.returncode == 1
