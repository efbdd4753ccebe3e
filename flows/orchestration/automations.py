"""Alerts that do not depend on the worker: automations of the Prefect server, sent by apprise.

`DUCAT_ALERT_URLS` holds apprise addresses (`slack://…`, `mailto://…`, `pagerduty://…`,
`json://…`). For each, a notification block is kept on the Prefect server. Of Prefect's own block
types, `SlackWebhook` is the one that hands every address on to apprise unchanged, so it carries
all of them. Three automations use the blocks:

- a run failed or crashed: the message of the run's state says why and what to do;
- a freshness SLA was missed (the `watch` flow found a table that is too old);
- nobody watches: no `watch` run completed for two hours, so the worker itself is down.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from pydantic import SecretStr

SLA_MISSED: Final = "ducat.freshness.missed"
SLA_CHECKED: Final = "ducat.freshness.checked"
TAG: Final = "ducat"
RUN_MATCH: Final = {"prefect.resource.id": "prefect.flow-run.*"}
FLOW_MATCH: Final = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}


def sync_automations(
    urls: Sequence[str], *, silence: timedelta = timedelta(hours=2)
) -> tuple[str, ...]:
    """Make the server's alerts those of `urls`; return the names of the automations.

    Without addresses there is nobody to tell and Ducat's automations are removed.
    """
    blocks = tuple(_save_block(number, url) for number, url in enumerate(urls))
    wanted = _describe_automations(blocks, silence) if blocks else ()
    with get_client(sync_client=True) as client:
        for automation in wanted:
            existing = client.read_automations_by_name(automation.name)
            if existing:
                client.update_automation(existing[0].id, automation)
            else:
                client.create_automation(automation)
        names = {automation.name for automation in wanted}
        for name in ("ducat: run failed", "ducat: SLA missed", "ducat: nobody watches"):
            if name not in names:
                for stale in client.read_automations_by_name(name):
                    client.delete_automation(stale.id)
    return tuple(automation.name for automation in wanted)


def _save_block(number: int, url: str) -> UUID:
    block = SlackWebhook(url=SecretStr(url), notify_type="failure")
    saved = block.save(f"ducat-alert-{number}", overwrite=True)
    # Awaitable only inside an event loop, and this command runs outside one.
    assert isinstance(saved, UUID)  # noqa: S101
    return saved


def _describe_automations(blocks: Sequence[UUID], silence: timedelta) -> tuple[AutomationCore, ...]:
    run = "{{ flow.name }}/{{ flow_run.name }}"
    return (
        AutomationCore(
            name="ducat: run failed",
            description="A run of Ducat's flows failed, crashed or timed out.",
            trigger=EventTrigger(
                expect={
                    "prefect.flow-run.Failed",
                    "prefect.flow-run.Crashed",
                    "prefect.flow-run.TimedOut",
                },
                match=RUN_MATCH,
                match_related=FLOW_MATCH,
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=_notify(
                blocks,
                subject=f"Ducat: {run} {{{{ flow_run.state.name }}}}",
                body=f"{run}: {{{{ flow_run.state.message }}}}",
            ),
        ),
        AutomationCore(
            name="ducat: SLA missed",
            description="A served table is older than its contract allows.",
            trigger=EventTrigger(
                expect={SLA_MISSED},
                match={"prefect.resource.id": "ducat.table.*"},
                posture=Posture.Reactive,
                threshold=1,
            ),
            actions=_notify(
                blocks,
                subject="Ducat: SLA missed by {{ event.resource.name }}",
                body="{{ event.payload.message }}",
            ),
        ),
        AutomationCore(
            name="ducat: nobody watches",
            description="No freshness check completed lately: the worker may be down.",
            trigger=EventTrigger(
                expect={SLA_CHECKED},
                match={"prefect.resource.id": "ducat.project"},
                posture=Posture.Proactive,
                threshold=1,
                within=silence,
            ),
            actions=_notify(
                blocks,
                subject="Ducat: nobody watches",
                body=f"No freshness check completed within {silence}. Is `ducat flows serve` up?",
            ),
        ),
    )


def _notify(blocks: Sequence[UUID], *, subject: str, body: str) -> list[SendNotification]:
    return [
        SendNotification(block_document_id=block, subject=subject, body=body) for block in blocks
    ]
