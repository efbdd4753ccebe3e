"""Everything that the demo starts, in the order in which it can be started.

    sources (PostgreSQL, REST API, files) ─┐
    Prefect server ──▶ flows (deployments) ┴▶ run/flights ──▶ Ducat ─┐
    Superset's set-up (beside the above) ──▶ Superset ───────────────┴▶ publish

The processes are the services of `deploy/services.py`, the ones that Compose starts. All state is
below one folder; secrets are made anew for each run and never written outside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.auth import make_token
from dashboards.superset_process import SupersetSite, prepare
from deploy.demo import processes
from deploy.demo.faces import Doors
from deploy.demo.orchestrator import run_deployment
from deploy.demo.ports import LOOPBACK, find_port
from deploy.demo.processes import Process
from deploy.demo.steps import Steps
from deploy.errors import DemoRunningError, ToolMissingError
from deploy.services import DUCAT, FLOWS, PREFECT_SERVER, SUPERSET, Service

SUPERSET_ENVIRONMENT: Final = ".venv-superset"
PORTS: Final[Mapping[str, int]] = {
    "ducat": 4000,
    "postgres": 15432,
    "prefect": 4200,
    "superset": 8088,
}


@dataclass(frozen=True, slots=True)
class Platform:
    """The running platform."""

    doors: Doors
    prefect_url: str
    docs: Path
    processes: tuple[Process, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Where the demo works, and what its services need to know of each other."""

    project: Path
    home: Path
    values: Mapping[str, str]

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.home / "logs"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a child: ours, without Ducat's settings, and `extra`."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DUCAT_", "FLIGHTS_", "PREFECT_", "SUPERSET_"))
        }
        tools = f"{Path(sys.executable).parent}{os.pathsep}"
        return kept | {"PATH": tools + os.environ.get("PATH", "")} | dict(extra or {})


def plan_site(project: Path, home: Path) -> Site:
    """Return a site with free ports and new secrets."""
    ports = {name: find_port(port) for name, port in PORTS.items()}
    urls = {f"{name}_url": f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    values = {
        "host": LOOPBACK,
        "project": str(project),
        "home": str(home),
        "jwt_secret": secrets.token_urlsafe(48),
        "superset_secret": secrets.token_urlsafe(48),
        "superset_guest_secret": secrets.token_urlsafe(48),
        "superset_home": str(home / "superset"),
        "superset_database": f"sqlite:///{home / 'superset' / 'superset.db'}?check_same_thread=false",
        "prefect_database": f"sqlite+aiosqlite:///{home / 'prefect' / 'prefect.db'}",
        "redis_url": "",
        **urls,
        **{f"{name}_port": str(port) for name, port in ports.items()},
    }
    return Site(project, home, values)


@contextmanager
def start_platform(project: Path, home: Path, *, days: int, steps: Steps) -> Iterator[Platform]:
    """Start everything, load `days` days, publish the dashboards; stop everything at the end.

    Raises:
        ProcessFailedError: something did not start; names its log.
        ToolMissingError: Superset's environment is not there.
    """
    superset_bin = project / SUPERSET_ENVIRONMENT / "bin"
    if not (superset_bin / "gunicorn").exists():
        raise ToolMissingError(
            f"Superset is not installed in {superset_bin.parent}", suggestion="run `make setup`"
        )
    for folder in ("logs", "superset", "prefect"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    site = plan_site(project, home)
    with ExitStack() as stack:
        running: list[Process] = []

        def start(
            service: Service,
            port: int,
            extra: Mapping[str, str] | None = None,
            programs: Path | None = None,
        ) -> Process:
            filled = service.fill({**site.values, "port": str(port)})
            program = (programs or Path(sys.executable).parent) / filled.command[0]
            process = processes.start(
                service.name,
                (str(program), *filled.command[1:]),
                environment=site.environment({**filled.environment, **(extra or {})}),
                folder=Path(filled.folder),
                log=site.logs / f"{service.name}.log",
            )
            stack.callback(processes.stop, process)
            running.append(process)
            return process

        def wait(process: Process, service: Service, port: int, seconds: float) -> None:
            url = f"http://{LOOPBACK}:{port}{service.health}"
            processes.wait_until_healthy(process, url, seconds=seconds)

        pool = stack.enter_context(ThreadPoolExecutor(1))
        preparing = _Preparing()
        # The pool waits for its thread, and that for its process: who leaves early ends it first.
        stack.callback(preparing.end)
        superset_ready = pool.submit(
            prepare, project / SUPERSET_ENVIRONMENT, home / "superset", started=preparing.take
        )
        prefect_port = int(site.values["prefect_port"])
        prefect = start(PREFECT_SERVER, prefect_port)
        sources, ready_file = _start_sources(site, days)
        stack.callback(processes.stop, sources)
        running.append(sources)

        with steps.step("sources", "PostgreSQL, airports API, weather files, flight batches"):
            source_urls = _wait_for_sources(sources, ready_file)
        with steps.step("Prefect server", site.values["prefect_url"]):
            wait(prefect, PREFECT_SERVER, prefect_port, 120)
        flows_port = find_port()
        with steps.step("flows", "deployments and schedules registered"):
            flows = start(FLOWS, flows_port, source_urls)
            wait(flows, FLOWS, flows_port, 180)
        with steps.step("run/flights", f"{days} days: ingest, transform, check, publish"):
            run_deployment(site.values["prefect_url"], "run/flights", seconds=1200)
        ducat_port = int(site.values["ducat_port"])
        with steps.step("Ducat", site.values["ducat_url"]):
            wire = {"DUCAT_POSTGRES_PORT": site.values["postgres_port"]}
            ducat = start(DUCAT, ducat_port, wire)
            wait(ducat, DUCAT, ducat_port, 60)
        with steps.step("Superset set-up", "database, roles, admin"):
            superset_site = superset_ready.result()
        superset_port = int(site.values["superset_port"])
        with steps.step("Superset", site.values["superset_url"]):
            superset = start(
                SUPERSET,
                superset_port,
                {"SUPERSET_SECRET_KEY": superset_site.secret_key},
                programs=superset_bin,
            )
            wait(superset, SUPERSET, superset_port, 180)
        with steps.step("dashboards", "published through the plug-in"):
            _publish_dashboards(site, superset_site)
        yield Platform(
            doors=Doors(
                project=project,
                serving=home / "serving",
                ducat_url=site.values["ducat_url"],
                postgres_port=int(site.values["postgres_port"]),
                token=make_token(site.values["jwt_secret"], user="demo", groups=("analysts",)),
                superset_url=site.values["superset_url"],
                superset_user=superset_site.admin_user,
                superset_password=superset_site.admin_password,
            ),
            prefect_url=site.values["prefect_url"],
            docs=home / "quality" / "docs" / "index.html",
            processes=tuple(running),
        )


@dataclass(slots=True)
class _Preparing:
    """The process that another thread starts, and whether it is wanted still."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _started: subprocess.Popen[bytes] | None = None
    _ended: bool = False

    def take(self, started: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._started = started
            if self._ended:
                _kill(started)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            if self._started is not None:
                _kill(self._started)


def _kill(started: subprocess.Popen[bytes]) -> None:
    """Kill a process that runs still, with all that it started."""
    if started.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)


def _start_sources(site: Site, days: int) -> tuple[Process, Path]:
    ready_file = site.home / "sources-ready.json"
    ready_file.unlink(missing_ok=True)
    process = processes.start(
        "sources",
        (
            *(sys.executable, "-m", "deploy.demo.sources"),
            *("--home", str(site.home / "sources")),
            *("--days", str(days)),
            *("--ready-file", str(ready_file)),
        ),
        environment=site.environment(),
        folder=site.project,
        log=site.logs / "sources.log",
    )
    return process, ready_file


def _wait_for_sources(process: Process, ready_file: Path) -> dict[str, str]:
    deadline = time.monotonic() + 120
    while not ready_file.exists():
        processes.require_running(process)
        if time.monotonic() > deadline:
            raise processes.describe_failure(process, "was not ready within 120 s")
        time.sleep(0.1)
    urls: dict[str, str] = json.loads(ready_file.read_text())
    return urls


def _publish_dashboards(site: Site, superset: SupersetSite) -> None:
    token = make_token(site.values["jwt_secret"], user="superset", groups=())
    processes.run(
        "dashboards publish",
        (str(Path(sys.executable).parent / "ducat"), "dashboards", "publish"),
        environment=site.environment(
            {
                "DUCAT_PROJECT": str(site.project),
                "DUCAT_HOME": str(site.home),
                "DUCAT_SUPERSET_URL": site.values["superset_url"],
                "DUCAT_SUPERSET_USER": superset.admin_user,
                "DUCAT_SUPERSET_PASSWORD": superset.admin_password,
                "DUCAT_SUPERSET_SOURCE_URL": site.values["ducat_url"],
                "DUCAT_SUPERSET_SOURCE_TOKEN": token,
            }
        ),
        folder=site.project,
        log=site.logs / "dashboards-publish.log",
        seconds=180,
    )


@contextmanager
def hold_folder(home: Path) -> Iterator[None]:
    """Keep other demos out of `home` as long as the block runs.

    Raises:
        DemoRunningError: one runs there already.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            lock.seek(0)
            raise DemoRunningError(
                f"a demo is running in {home} already (process {lock.read().strip() or '?'})",
                suggestion="stop it with Ctrl-C, or clone the repository once more",
            ) from held
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def empty_folder(home: Path) -> None:
    """Remove what an earlier demo left in `home`."""
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
