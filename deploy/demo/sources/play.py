"""All four systems at once, and the variables that tell the flows where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.demo.sources.airports import run_api
from deploy.demo.sources.database import run_database
from deploy.demo.sources.deliveries import deliver_flights, deliver_weather


@contextmanager
def play_sources(home: Path, *, days: int) -> Iterator[Mapping[str, str]]:
    """Play the systems with the first `days` days of 2013; yield the variables of the flows."""
    weather, batches = home / "weather", home / "flights"
    for folder in (weather, batches):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(2))
        written = (
            pool.submit(deliver_weather, weather, days),
            pool.submit(deliver_flights, batches, days),
        )
        database = stack.enter_context(run_database())
        api, _ = stack.enter_context(run_api())
        for delivery in written:
            delivery.result()
        yield {
            "FLIGHTS_DATABASE_URL": database,
            "FLIGHTS_API_URL": api,
            "FLIGHTS_WEATHER_URL": str(weather),
            "FLIGHTS_BATCHES_URL": str(batches),
        }
