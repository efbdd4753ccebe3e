"""Alerts reach a webhook, a Slack-compatible hook and a mailbox, sent by a real Prefect server."""

from __future__ import annotations

import time
from datetime import timedelta
from queue import Empty, Queue
from typing import TypeVar

import pytest

from flows.orchestration.automations import SLA_MISSED, sync_automations
from flows.orchestration.limits import LAYERS, ensure_limits, name_limit
from flows.pipeline import Pipeline, Schedule
from tests.e2e.prefect.receivers import receive_http, receive_mail

T = TypeVar("T")
SECONDS = 40


def _await_all(queue: Queue[T], texts: set[str]) -> None:
    """Return when a message with each of the texts has come, in whatever order."""
    missing = set(texts)
    seen: list[T] = []
    deadline = time.monotonic() + SECONDS
    while missing:
        try:
            message = queue.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            pytest.fail(f"no alert with {missing}; there were {seen}")
        seen.append(message)
        missing -= {text for text in missing if text in str(message)}


def test_a_failed_run_and_a_missed_sla_reach_every_address(prefect_client_settings: str) -> None:
    """One failing flow: the webhook, the Slack-compatible hook and the mailbox get its message."""
    from prefect import flow  # noqa: PLC0415
    from prefect.events import emit_event  # noqa: PLC0415

    @flow(name="broken")
    def broken() -> None:
        raise RuntimeError("the airports API sent a changed type")

    with (
        receive_http() as (http_port, hook),
        receive_http() as (slack_port, slack),
        receive_mail() as (mail_port, mails),
    ):
        names = sync_automations(
            [
                f"json://127.0.0.1:{http_port}/hook",
                f"mmost://127.0.0.1:{slack_port}/slackcompatibletoken",
                f"mailto://127.0.0.1:{mail_port}/?from=ducat@example.org&to=ops@example.org&mode=insecure",
            ],
            silence=timedelta(seconds=10),
        )
        assert names == ("ducat: run failed", "ducat: SLA missed", "ducat: nobody watches")
        from prefect import tags  # noqa: PLC0415

        with tags("ducat"), pytest.raises(RuntimeError):
            broken()
        emit_event(
            SLA_MISSED,
            resource={
                "prefect.resource.id": "ducat.table.fct_flights",
                "prefect.resource.name": "fct_flights",
            },
            payload={"message": "fct_flights was loaded 3 days ago"},
        )
        failure = "the airports API sent a changed type"
        stale = "fct_flights was loaded 3 days ago"
        # The watch never ran: within its silence the server itself says so.
        _await_all(mails, {failure, stale, "nobody watches"})
        _await_all(hook, {failure, stale, "nobody watches"})
        _await_all(slack, {failure, stale, "nobody watches"})
    assert sync_automations([]) == ()


def test_every_layer_of_a_pipeline_admits_one_writer(prefect_client_settings: str) -> None:
    """The limits exist with one slot each, and a second holder waits for the first."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.concurrency.sync import concurrency  # noqa: PLC0415

    pipeline = Pipeline("limited", "Limited", (), (), (), Schedule("0 4 * * *"))
    ensure_limits([pipeline])
    with get_client(sync_client=True) as client:
        for layer in LAYERS:
            assert (
                client.read_global_concurrency_limit_by_name(name_limit("limited", layer)).limit
                == 1
            )
    name = name_limit("limited", "silver")
    with (
        concurrency(name, occupy=1, strict=True),
        pytest.raises(TimeoutError),
        concurrency(name, occupy=1, strict=True, timeout_seconds=1),
    ):
        pytest.fail("two writers of one layer")
