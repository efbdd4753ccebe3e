"""One server for the matrix, and every door to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.matrix.doors.agents import Agents
from tests.matrix.doors.arrow import Arrow
from tests.matrix.doors.client import OverHttp
from tests.matrix.doors.door import Door, Kinds
from tests.matrix.doors.flight import Flight
from tests.matrix.doors.graphql import GraphQL
from tests.matrix.doors.local import Local
from tests.matrix.doors.rest import Rest
from tests.matrix.doors.wire import Wire
from tests.matrix.question import Kind
from tests.matrix.site import Doors, build_site, run_doors
from tests.unit.api.conftest import Site

GRANULARITIES = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")


@pytest.fixture(scope="session")
def matrix_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return build_site(tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="session")
def doors(matrix_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with run_doors(matrix_site, tmp_path_factory.mktemp("matrix_server")) as running:
        yield running


@pytest.fixture(scope="session")
def kinds(doors: Doors) -> Kinds:
    """The kind of each column that a query may have, by what `meta` says of the members."""
    meta = doors.server.client.get("/cubejs-api/v1/meta").json()
    found: dict[str, Kind] = {}
    for cube in meta["cubes"]:
        for item in (*cube["measures"], *cube["dimensions"]):
            found[item["name"]] = item["type"]
            if item["type"] == "time":
                own = [cut["name"] for cut in item.get("granularities", ())]
                for cut in (*GRANULARITIES, *own):
                    found[f"{item['name']}.{cut}"] = "time"
    for made in ("before", "count__previous", "count__change"):
        found[f"entries.{made}"] = "number"
    return found


@pytest.fixture(scope="session")
def all_doors(doors: Doors, matrix_site: Site, kinds: Kinds) -> Iterator[dict[str, Door]]:
    made: list[Door] = [
        Local(matrix_site, kinds),
        Rest(doors.server, kinds, "default"),
        Rest(doors.server, kinds, "compact"),
        Rest(doors.server, kinds, "columnar"),
        GraphQL(doors.server, kinds),
        Wire(doors, kinds, "text"),
        Wire(doors, kinds, "binary"),
        Flight(doors, kinds),
        Agents(doors.server, kinds),
        Arrow(doors.server, kinds),
        OverHttp(doors.server, kinds),
    ]
    with ExitStack() as stack:
        for door in made:
            stack.callback(door.close)
        yield {door.name: door for door in made}
