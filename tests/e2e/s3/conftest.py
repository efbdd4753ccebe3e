"""A real S3 server (SeaweedFS, the one of docker-compose.yml), once for all tests here."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from deploy.demo import processes
from deploy.demo.ports import LOOPBACK, find_port
from flows.sources.storage import open_storage

WEED = Path(sys.executable).parent / "weed"
SERVERS = ("master", "volume", "filer", "s3")
SETTLE_SECONDS = 60
BUCKET = "lake"


@dataclass(frozen=True, slots=True)
class Store:
    """A running S3 server, and the variables with which a client finds it."""

    variables: dict[str, str]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    home = tmp_path_factory.mktemp("s3")
    (home / "data").mkdir()
    port = find_port()
    keys = {
        "AWS_ACCESS_KEY_ID": secrets.token_hex(8),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
    }
    ports = {"s3.port": port, "s3.port.iceberg": 0, "s3.port.lance": 0}
    ports |= {f"{server}.port.grpc": find_port() for server in SERVERS}
    ports |= {f"{server}.port": find_port() for server in SERVERS if server != "s3"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = processes.start(
        "weed",
        (
            *(str(WEED), "server", f"-dir={home / 'data'}", "-s3", "-master.telemetry=false"),
            *(f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-volume.max=20"),
            *("-master.volumeSizeLimitMB=64", *(f"-{name}={at}" for name, at in ports.items())),
        ),
        environment={**kept, **keys},
        folder=home,
        log=home / "weed.log",
    )
    try:
        processes.wait_until_healthy(process, f"http://{LOOPBACK}:{port}/healthz", seconds=120)
        variables = {
            **keys,
            "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{port}",
            "AWS_REGION": "us-east-1",
        }
        _make_bucket(variables)
        yield Store(variables)
    finally:
        # What it holds is of no use any more, and it would take its time to close it.
        processes.stop(process, seconds=1)


@pytest.fixture
def bucket(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty folder of the bucket; this process's environment opens it, as an operator's would."""
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{secrets.token_hex(6)}"


def _make_bucket(variables: dict[str, str]) -> None:
    admin = pafs.S3FileSystem(
        access_key=variables["AWS_ACCESS_KEY_ID"],
        secret_key=variables["AWS_SECRET_ACCESS_KEY"],
        region=variables["AWS_REGION"],
        scheme="http",
        endpoint_override=variables["AWS_ENDPOINT_URL"].removeprefix("http://"),
        allow_bucket_creation=True,
    )
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        # It answers a little before it has volumes to write to.
        try:
            admin.create_dir(BUCKET)
            with admin.open_output_stream(f"{BUCKET}/settled") as stream:
                stream.write(b"yes")
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return


def put(address: str, content: bytes) -> None:
    """Write one object, as a sender would."""
    storage, path = open_storage(address)
    with storage.open_output_stream(path) as stream:
        stream.write(content)
