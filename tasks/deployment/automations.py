"""The automations: changed rules start a retraining, dead runs are marked as crashed, and a webhook is notified of failures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events import ResourceSpecification
from prefect.events.actions import CallWebhook, ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from tasks.deployment.changes import Change, apply
from tasks.deployment.events import GATE_FAILED, RULES_CHANGED

HEARTBEAT_S = 30
"""Seconds between the heartbeats of a flow run, set for every worker that `ascl worker` starts."""
LEAST_MISSED = 3
"""The least number of missed heartbeats after which a run may be marked as crashed; a healthy one may miss fewer."""
MISSED = 5
"""The number of missed heartbeats after which a run is marked as crashed: SQLite may delay one for a minute."""
UNSTARTED_S = 300
"""Seconds after which a run that is still Pending is marked as crashed: its worker ended while it started it."""
SLOW_START_S = 1800
"""The same where the run's container has to come first, with an image of many gigabytes."""
NEVER_STARTED = "it never started: its worker ended, or could not start it"
_RUNS = ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]})
_RULES = {
    "source": "{{ event.payload.source }}",
    "digest": "{{ event.payload.new_digest }}",
    "watched": "{{ event.payload.watched }}",
}
_NOTIFICATION = (
    '{"text": {{ ("ascl: " ~ event.resource.name|default(event.resource.id) ~ ": " ~ event.event) | tojson }}, '
    '"event": {{ event.event | tojson }}, "resource": {{ event.resource.id | tojson }}, "payload": {{ event.payload | tojson }}}'
)


def retrain_on_change(retrain: UUID, *, push: bool = False) -> AutomationCore:
    """Return the automation that starts `retrain` with the rules that the watcher's event names; its runs are pushed only if asked."""
    return AutomationCore(
        name="ascl: retrain where rules changed",
        description="The watcher's event starts retrain with the rules that it names.",
        trigger=EventTrigger(
            expect={RULES_CHANGED},
            match=ResourceSpecification({"prefect.resource.id": "ascl.rules.*"}),
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            RunDeployment(
                source="selected", deployment_id=retrain, parameters={"form": {"rules": _RULES, "push": push}}, job_variables=None
            )
        ],
    )


def crash_dead_runs(heartbeat_s: int = HEARTBEAT_S, within_s: int = MISSED * HEARTBEAT_S) -> AutomationCore:
    """Return the automation that marks a running flow run without events for `within_s` as crashed; one that waits has posted an event."""
    if within_s < LEAST_MISSED * heartbeat_s:
        raise ValueError(
            f"within {within_s} s is less than {LEAST_MISSED} heartbeats of {heartbeat_s} s: healthy runs would be marked as crashed"
        )
    what = f"A run that missed {MISSED} heartbeats in a row is not there any more."
    message = f"no heartbeat for {within_s} s: its process is gone"
    return _crash("ascl: dead runs are crashed", what, "prefect.flow-run.heartbeat", within_s, message)


def crash_unstarted_runs(within_s: int = UNSTARTED_S) -> AutomationCore:
    """Return the automation that marks a flow run as crashed that is Pending for `within_s`, as nothing else would end it."""
    what = "A run that stays Pending was lost with its worker."
    return _crash("ascl: runs that never started are crashed", what, "prefect.flow-run.Pending", within_s, NEVER_STARTED)


def _crash(name: str, description: str, after: str, within_s: int, message: str) -> AutomationCore:
    """Return the automation that marks a flow run as crashed if no event of it follows `after` within that time."""
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            after={after},
            expect={"prefect.flow-run.*"},
            match=_RUNS,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=within_s),
        ),
        actions=[ChangeFlowRunState(name=None, state=StateType.CRASHED, force=False, message=message)],
    )


def notify(webhook: UUID) -> list[AutomationCore]:
    """Return the automations that notify the webhook of a gate that did not pass, and of runs that failed or crashed."""
    expected = {"a gate that did not pass": {GATE_FAILED}, "crashed runs": {"prefect.flow-run.Crashed", "prefect.flow-run.Failed"}}
    return [
        AutomationCore(
            name=f"ascl: notify of {what}",
            description=f"Calls the webhook of the block ascl-webhook for {what}.",
            trigger=EventTrigger(expect=names, match=_RUNS, posture=Posture.Reactive, threshold=1, within=timedelta(0)),
            actions=[CallWebhook(block_document_id=webhook, payload=_NOTIFICATION)],
        )
        for what, names in expected.items()
    ]


def apply_automation(client: SyncPrefectClient, wanted: AutomationCore) -> Change:
    """Create or update the automation of that name, and switch it on if a person switched it off."""
    wanted = wanted.model_copy(update={"enabled": wanted.enabled})  # the client sends only what was set
    found = client.read_automations_by_name(wanted.name)
    present = AutomationCore.model_validate(found[0].model_dump()) if found else None
    return apply(
        *("automation", wanted.name, _values(wanted), present and _values(present)),
        lambda: client.create_automation(wanted),
        lambda: client.update_automation(found[0].id, wanted),
    )


def _values(automation: AutomationCore) -> dict[str, Any]:
    values = automation.model_dump(mode="json", exclude={"owner_resource", "tags"})
    for key in ("after", "expect", "for_each"):
        values["trigger"][key] = sorted(values["trigger"][key])
    return values
