"""The flights of New York: from four source systems to the tables of the demo's cubes."""

from flows.pipeline import Pipeline, Schedule

from .gold import GOLD
from .silver import SILVER
from .sources import SOURCES

PIPELINE = Pipeline(
    name="flights",
    title="Flights from New York",
    sources=SOURCES,
    silver=SILVER,
    gold=GOLD,
    schedule=Schedule(cron="15 * * * *", timezone="America/New_York"),
    owner="data-platform",
    tags=("demo",),
)
