"""Checks of alerts over real tables, told to a real receiver: once, whatever is killed or runs twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from flows.alert_book import BOOK, FOLDER, Book, alone, read_book
from flows.alert_check import Audience, Outcome, check
from flows.alert_delivery import read_audience
from flows.alert_run import run_check, send_test
from flows.alerts_cli import alerts
from flows.errors import AlertError, AlertUndeliveredError
from semantic.errors import SettingsError
from semantic.project import Project
from semantic.service import SemanticLayer
from semantic.settings import Settings
from semantic.snapshot import (
    QualityState,
    Snapshot,
    TableSnapshot,
    identify,
    publish_snapshot,
)
from tests.e2e.prefect.receivers import receive_http
from tests.golden.queries.layer import BUILT_AT, publish, write_project
from tests.unit.quality.nycflights import build_candidate

ROOT = Path(__file__).parents[3]
MODEL = """
cubes:
  - name: orders
    sql_table: gold.orders
    dimensions:
      - {{name: id, type: number, sql: id, primary_key: true}}
      - {{name: at, type: time, sql: sold_at}}
      - {{name: city, type: string, sql: city}}
    measures:
      - name: amount
        title: Amount
        type: sum
        sql: amount
        format: number_0
        meta: {{owner: sales, ducat: {{alerts: {alerts}}}}}
views:
  - {{name: sales, cubes: [{{join_path: orders, includes: "*"}}]}}
"""
LOW = "{name: low, time_dimension: at, granularity: day, below: 10, severity: critical, link: /x/}"


class Shop:
    """A project with orders for each day of March 2024, and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.version = 0
        self.urls = ""
        self.receivers = "{}"

    def declare(self, alerts: str = LOW) -> None:
        write_project(self.folder, MODEL.format(alerts=f"[{alerts}]"))

    def sell(self, *rows: tuple[str, str, int | None]) -> None:
        """Put orders in service: when, where, how much."""
        self.version += 1
        values = ", ".join(
            f"({n}, TIMESTAMP '{at}', '{city}', {'NULL' if amount is None else amount})"
            for n, (at, city, amount) in enumerate(rows)
        )
        publish(
            self.home / "serving",
            f"CREATE TABLE gold.orders AS SELECT * FROM (VALUES {values}) t(id, sold_at, city, amount)",
            version=self.version,
        )

    def sell_days(self, **amounts: int | None) -> None:
        """Put one order for each `dDD` of March in service."""
        self.sell(*((f"2024-03-{day[1:]} 12:00:00", "Rome", n) for day, n in amounts.items()))

    @property
    def settings(self) -> Settings:
        return Settings(
            project=self.folder,
            home=self.home,
            alert_urls=SecretStr(self.urls),
            alert_receivers=SecretStr(self.receivers),
            superset_url="https://bi.example",
        )

    def layer(self) -> SemanticLayer:
        return SemanticLayer.of(self.settings)

    def check(
        self, day: int, hour: int = 1, **more: Any
    ) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
        """Check at an hour of a day of March; the day before is complete then."""
        layer = self.layer()
        try:
            now = datetime(2024, 3, day, hour, tzinfo=UTC)
            return run_check(self.settings, layer, now, waits=(), **more)
        finally:
            layer.close()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.declare()
    return made


@pytest.fixture
def inbox(shop: Shop) -> Iterator[Queue[str]]:
    with receive_http() as (port, received):
        shop.urls = f"json://127.0.0.1:{port}/alerts"
        yield received


def take(inbox: Queue[str]) -> list[dict[str, Any]]:
    """Return what came since, at once: apprise waits for the receiver's answer."""
    return [json.loads(inbox.get_nowait()) for _ in range(inbox.qsize())]


def titles(inbox: Queue[str]) -> list[str]:
    return [str(message["title"]) for message in take(inbox)]


def test_an_incident_is_told_when_it_opens_and_when_it_is_over_and_never_between(
    shop: Shop, inbox: Queue[str]
) -> None:
    shop.sell_days(d01=50, d02=5, d03=4, d04=60)
    shop.check(2)
    assert titles(inbox) == []
    shop.check(3)
    assert titles(inbox) == ["[critical] Amount: low, 2024-03-02"]
    shop.check(3)
    shop.check(4)
    assert titles(inbox) == []
    shop.check(5)
    assert titles(inbox) == ["[resolved] Amount: low, 2024-03-04"]
    shop.check(5)
    assert titles(inbox) == []


def test_a_message_says_what_is_expected_whose_it_is_and_how_fresh_with_a_picture(
    shop: Shop, inbox: Queue[str]
) -> None:
    shop.sell_days(d01=50, d02=5)
    shop.check(3)
    [message] = take(inbox)
    body = message["message"]
    for words in (
        "Amount, day 2024-03-02 (UTC)", "Value: 5", "5 is below 10", "Owner: sales",
        "orders, loaded 2026-01-02 03:04 UTC", "Quality: passed", "Look: https://bi.example/x/",
        "orders.amount.low",
    ):  # fmt: skip
        assert words in body
    [picture] = message["attachments"]
    assert picture["mimetype"] == "image/png"


def test_the_day_that_is_not_over_is_never_judged(shop: Shop, inbox: Queue[str]) -> None:
    shop.sell_days(d01=50, d02=5)
    shop.check(2, hour=23)
    assert titles(inbox) == []


def test_what_was_amiss_while_nobody_checked_is_told(shop: Shop, inbox: Queue[str]) -> None:
    shop.sell_days(d01=50, d02=50, d03=5, d04=50, d05=50)
    shop.check(3)
    shop.check(6)
    assert titles(inbox) == [
        "[critical] Amount: low, 2024-03-03",
        "[resolved] Amount: low, 2024-03-04",
    ]


def test_data_that_comes_late_ends_the_alert_of_its_absence(shop: Shop, inbox: Queue[str]) -> None:
    shop.sell_days(d01=50, d02=50)
    shop.check(4)
    assert titles(inbox) == ["[no data] Amount: low, 2024-03-03"]
    shop.sell_days(d01=50, d02=50, d03=50)
    shop.check(4, hour=2)
    assert titles(inbox) == ["[resolved] Amount: low, 2024-03-03"]


def test_data_may_be_late_by_a_declared_delay(shop: Shop, inbox: Queue[str]) -> None:
    shop.declare(LOW.replace("below: 10", "below: 10, delay: 6 hours"))
    shop.sell_days(d01=50, d02=50)
    shop.check(4, hour=5)
    assert titles(inbox) == []
    shop.check(4, hour=6)
    assert titles(inbox) == ["[no data] Amount: low, 2024-03-03"]


def test_a_cooldown_keeps_what_comes_back_soon_quiet(shop: Shop, inbox: Queue[str]) -> None:
    shop.declare(LOW.replace("below: 10", "below: 10, cooldown: 2 days"))
    shop.sell_days(d01=5, d02=50, d03=5, d04=50, d05=50, d06=5)
    for day in range(2, 8):
        shop.check(day)
    assert titles(inbox) == [
        "[critical] Amount: low, 2024-03-01",
        "[resolved] Amount: low, 2024-03-02",
        "[critical] Amount: low, 2024-03-06",
    ]


def test_days_are_those_of_the_alerts_time_zone(shop: Shop, inbox: Queue[str]) -> None:
    shop.declare(LOW.replace("below: 10", "below: 10, timezone: Asia/Tokyo"))
    shop.sell(("2024-03-01 20:00:00", "Rome", 5), ("2024-03-01 10:00:00", "Rome", 50))
    shop.check(2, hour=14)  # 23:00 of the 2nd in Tokyo
    assert titles(inbox) == []
    shop.check(2, hour=15)
    [message] = take(inbox)
    assert "Amount, day 2024-03-02 (Asia/Tokyo)" in message["message"]


def test_each_combination_is_an_incident_of_its_own(shop: Shop, inbox: Queue[str]) -> None:
    shop.declare(
        "{name: low, view: sales, time_dimension: at, granularity: day, below: 10, "
        "dimensions: [city], filters: [{member: city, operator: notEquals, values: [Pisa]}]}"
    )
    shop.sell(
        ("2024-03-01 10:00:00", "Rome", 5),
        ("2024-03-01 10:00:00", "Oslo", 50),
        ("2024-03-01 10:00:00", "Pisa", 1),
    )
    shop.check(2)
    assert titles(inbox) == ["[warning] Amount: low (city Rome), 2024-03-01"]


@pytest.mark.parametrize("days", [1, 2])
def test_more_combinations_than_anybody_reads_are_refused(
    shop: Shop, inbox: Queue[str], days: int
) -> None:
    shop.declare(LOW.replace("below: 10", "below: 10, dimensions: [city]"))
    shop.sell(
        *((f"2024-03-0{1 + n % days} 10:00:00", f"city {n // days}", 5) for n in range(201 * days))
    )
    [outcome], _ = shop.check(days + 1)
    assert "combinations of values, at most 200" in (outcome.error or "")
    assert titles(inbox) == []


def test_a_value_of_the_data_begins_no_line_of_a_message(shop: Shop, inbox: Queue[str]) -> None:
    shop.declare(LOW.replace("below: 10", "below: 10, dimensions: [city]"))
    shop.sell(("2024-03-01 10:00:00", "Rome\nOwner: nobody\r\nBcc: x@example.org", 5))
    shop.check(2)
    [message] = take(inbox)
    assert message["title"].splitlines() == [message["title"]]
    owners = [line for line in message["message"].splitlines() if line.startswith("Owner:")]
    assert owners == ["Owner: sales"]


def test_hours_are_judged_up_to_their_last_microsecond(shop: Shop, inbox: Queue[str]) -> None:
    shop.declare(LOW.replace("granularity: day", "granularity: hour"))
    shop.sell(("2024-03-01 10:00:00", "Rome", 5), ("2024-03-01 10:59:59.999999", "Rome", 5))
    layer = shop.layer()
    now = datetime(2024, 3, 1, 11, tzinfo=UTC)
    [outcome] = check(layer, Book(), Audience({"": ()}), now)
    layer.close()
    assert outcome.verdict is not None
    assert (outcome.verdict.kind, outcome.verdict.value) == ("ok", 10.0)
    assert titles(inbox) == []


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from flows.alert_run import run_check
from semantic.service import SemanticLayer
from semantic.settings import read_settings
settings = read_settings()
run_check(settings, SemanticLayer.of(settings), datetime(2024, 3, 3, 1, tzinfo=UTC),
          judged=lambda: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_kill_between_the_verdict_and_its_delivery_neither_loses_nor_doubles_it(
    shop: Shop, inbox: Queue[str]
) -> None:
    shop.sell_days(d01=50, d02=5)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DUCAT_")}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=ROOT,
        env={
            **clean,
            "DUCAT_PROJECT": str(shop.folder),
            "DUCAT_HOME": str(shop.home),
            "DUCAT_ALERT_URLS": shop.urls,
        },
        check=False,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL
    assert titles(inbox) == []
    assert len(read_book(shop.home).outbox) == 1
    shop.check(3)
    assert titles(inbox) == ["[critical] Amount: low, 2024-03-02"]
    shop.check(3)
    assert titles(inbox) == []


def test_two_checks_at_once_tell_an_incident_once(shop: Shop, inbox: Queue[str]) -> None:
    shop.sell_days(d01=50, d02=5)
    together = threading.Barrier(3)

    def run() -> None:
        together.wait(120)
        shop.check(3)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert titles(inbox) == ["[critical] Amount: low, 2024-03-02"]


def test_a_check_that_cannot_have_its_turn_says_so(shop: Shop) -> None:
    with (
        alone(shop.home),
        pytest.raises(AlertError, match="does not end"),
        alone(shop.home, patience=0.1),
    ):
        pytest.fail("two checks at once")


def test_a_receiver_that_is_down_gets_its_messages_when_it_is_up_again(shop: Shop) -> None:
    """Another receiver of the same alert is told at once, and once."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    shop.sell_days(d01=50, d02=5, d03=50)
    with receive_http() as (up, inbox):
        shop.urls = f"json://127.0.0.1:{port}/down json://127.0.0.1:{up}/up"
        _, undelivered = shop.check(3)
        assert undelivered == ("#0: [critical] Amount: low, 2024-03-02",)
        assert titles(inbox) == ["[critical] Amount: low, 2024-03-02"]
        assert [item.attempts for item in read_book(shop.home).outbox] == [1]
        shop.urls = f"json://127.0.0.1:{up}/down json://127.0.0.1:{up}/up"
        _, undelivered = shop.check(4)
        assert undelivered == ()
        # First what waited, then what is new, for both.
        assert titles(inbox) == [
            "[critical] Amount: low, 2024-03-02",
            "[resolved] Amount: low, 2024-03-03",
            "[resolved] Amount: low, 2024-03-03",
        ]
    assert read_book(shop.home).outbox == []


def test_what_waits_for_a_receiver_that_is_no_longer_named_is_dropped_and_said_once(
    shop: Shop,
) -> None:
    shop.sell_days(d01=50, d02=5)
    shop.urls = "json://127.0.0.1:1/down"
    shop.check(3)
    shop.urls = ""
    _, undelivered = shop.check(3)
    assert undelivered == (
        "#0: [critical] Amount: low, 2024-03-02 (no such receiver any more: dropped)",
    )
    assert shop.check(3)[1] == ()


def test_named_receivers_hear_what_is_for_them(shop: Shop, inbox: Queue[str]) -> None:
    shop.receivers = json.dumps({"ops": shop.urls})
    shop.urls = ""
    shop.declare(
        LOW.replace("below: 10", "below: 10, to: [ops]")
        + ", "
        + LOW.replace("name: low", "name: least")
    )
    shop.sell_days(d01=5)
    shop.check(2)
    assert titles(inbox) == ["[critical] Amount: low, 2024-03-01"]


def test_an_alert_that_cannot_be_judged_stops_no_other(shop: Shop, inbox: Queue[str]) -> None:
    wrong = LOW.replace("name: low", "name: wrong")
    shop.declare(", ".join([
        wrong.replace("below: 10", "below: 10, to: [nobody]"),
        wrong.replace("name: wrong", "name: data").replace("below: 10", "below: 10, as_of: data"), LOW,
    ]))  # fmt: skip
    shop.sell_days(d01=5)
    outcomes, _ = shop.check(2)
    assert [item.error is not None for item in outcomes] == [True, True, False]
    assert "`nobody`" in (outcomes[0].error or "")
    assert titles(inbox) == ["[critical] Amount: low, 2024-03-01"]


def test_an_alert_that_left_the_model_is_forgotten(shop: Shop, inbox: Queue[str]) -> None:
    shop.sell_days(d01=5)
    shop.check(2)
    shop.declare(LOW.replace("name: low", "name: other").replace("below", "above"))
    shop.check(2)
    assert list(read_book(shop.home).watches) == ['["orders.amount.other"]']
    assert len(titles(inbox)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 2}',
        '{"format": 1, "watches": {"a": 3}, "outbox": [], "checked_at": null}',
    ],
)
def test_a_torn_book_is_refused_and_nothing_is_told_twice_by_it(shop: Shop, text: str) -> None:
    shop.sell_days(d01=5)
    (shop.home / FOLDER).mkdir()
    (shop.home / FOLDER / BOOK).write_text(text)
    with pytest.raises(AlertError, match="cannot be read"):
        shop.check(2)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"": "json://x"}', '{"a": " "}'])
def test_receivers_that_are_none_are_refused(shop: Shop, text: str) -> None:
    shop.receivers = text
    with pytest.raises(SettingsError, match="DUCAT_ALERT_RECEIVERS"):
        read_audience(shop.settings)


def test_a_test_message_reaches_the_receivers_and_changes_nothing(
    shop: Shop, inbox: Queue[str]
) -> None:
    shop.sell_days(d01=5)
    layer = shop.layer()
    now = datetime(2024, 3, 2, 1, tzinfo=UTC)
    assert send_test(shop.settings, layer, "low", now, waits=()) == ("#0",)
    assert titles(inbox) == ["[test] Amount: low, 2024-03-01"]
    assert not (shop.home / FOLDER / BOOK).exists()
    with pytest.raises(AlertError, match="no alert is called"):
        send_test(shop.settings, layer, "lov", now)
    shop.urls = "json://127.0.0.1:1/nobody"
    with pytest.raises(AlertUndeliveredError, match="did not take"):
        send_test(shop.settings, layer, "low", now, waits=())
    layer.close()


def test_the_command_lists_and_checks(
    shop: Shop, inbox: Queue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCAT_HOME", str(shop.home))
    monkeypatch.setenv("DUCAT_ALERT_URLS", shop.urls)
    shop.sell_days(d01=50, d02=5)
    run = CliRunner()

    def answer(*arguments: str) -> Any:
        result = run.invoke(alerts, [*arguments, "--json"], obj=shop.folder, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    [row] = answer("list")
    assert (row["alert"], row["state"], row["owners"]) == (
        "orders.amount.low",
        "unchecked",
        ["sales"],
    )
    [found] = answer("check", "low", "--at", "2024-03-03T01:00")["outcomes"]
    assert (found["verdict"], found["value"], found["event"]) == ("breach", 5.0, "opened")
    assert titles(inbox) == []
    answer("check")  # today there is no data
    assert len(titles(inbox)) == 1
    [row] = answer("list")
    assert (row["state"], row["incidents"][0]["kind"]) == ("open", "missing")
    shown = run.invoke(alerts, ["check", "--dry-run"], obj=shop.folder)
    assert "there is no value for this day" in shown.output
    assert run.invoke(alerts, ["check", "--at", "soon"], obj=shop.folder).exit_code == 2


# What the shipped alert finds, said by hand: a weekday's median of eight weeks, and the median
# distance of all 56 days from the medians of their weekdays.
BY_HAND = """
WITH days AS (
  SELECT flight_date AS day, avg(CASE WHEN is_cancelled THEN 1.0 ELSE 0.0 END) AS rate
  FROM gold.fct_flights GROUP BY ALL
), pairs AS (
  SELECT this.day, this.rate, past.rate AS before, date_diff('day', past.day, this.day) % 7 AS phase
  FROM days AS this JOIN days AS past
    ON past.day < this.day AND past.day >= this.day - INTERVAL 56 DAY
), centers AS (
  SELECT *, median(before) OVER (PARTITION BY day, phase) AS center FROM pairs
)
SELECT day, any_value(rate), any_value(center) FILTER (phase = 0),
       greatest(5 * 1.4826 * median(abs(before - center)), 0.1),
       count(*) FILTER (phase = 0)
FROM centers GROUP BY day ORDER BY day
"""


def test_the_snow_storm_of_february_2013_is_found_and_quiet_weeks_are_not(tmp_path: Path) -> None:
    """The alert of the flights model agrees with SQL written by hand on every day of the winter."""
    serving = tmp_path / "serving"
    serving.mkdir()
    build_candidate(serving / "gold-1.duckdb", "2013-03-15")
    with duckdb.connect(str(serving / "gold-1.duckdb"), read_only=True) as connection:
        names = [name for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables()").fetchall()]  # fmt: skip
        by_hand = connection.execute(BY_HAND).fetchall()
    until = datetime(2013, 3, 16, 3, 59, tzinfo=UTC)
    tables = tuple(
        TableSnapshot(
            name, 1, 1, until if name == "fct_flights" else None, BUILT_AT,
            QualityState("passed", BUILT_AT),
        )
        for name in names
    )  # fmt: skip
    publish_snapshot(serving, Snapshot(identify(tables), "gold-1.duckdb", BUILT_AT, tables))
    layer = SemanticLayer.open(Project.open(ROOT), serving=serving, memory_limit="1GB")
    found = set()
    for day, rate, expected, reach, same in by_hand:
        now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=1)
        [outcome] = check(layer, Book(), Audience({"": ()}), now, names=("unusual",))
        verdict = outcome.verdict
        assert verdict is not None
        if now > until:  # the data goes no further
            continue
        assert verdict.period.date() == day
        assert verdict.value == pytest.approx(rate)
        if same < 4:
            assert verdict.kind == "unknown"
            continue
        assert verdict.expected == pytest.approx(expected)
        assert verdict.high == pytest.approx(expected + reach)
        assert verdict.kind == ("breach" if rate > expected + reach else "ok")
        if verdict.kind == "breach":
            found.add(day.strftime("%m-%d"))
    layer.close()
    assert found == {"02-08", "02-09", "03-06", "03-08"}
