"""A server over the sales of the unit tests, for real clients of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.api.conftest import Site, make_site, publish
from tests.unit.api.postgres.conftest import WireServer, run_wire


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = make_site(tmp_path_factory.mktemp("clients"))
    publish(made)
    return made


@pytest.fixture(scope="session")
def wire(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireServer]:
    with run_wire(site, tmp_path_factory.mktemp("wire")) as running:
        yield running
