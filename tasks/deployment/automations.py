"""The automations: rules that changed start a retraining, dead runs are called so, and a webhook is told what needs a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events import ResourceSpecification
from prefect.events.actions import CallWebhook, ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from tasks.deployment.changes import Change, bring_about
from tasks.deployment.events import GATE_FAILED, RULES_CHANGED

HEARTBEAT_S = 30
"""How often a flow run says that it lives; every worker that `ascl worker` starts is told so."""
LEAST_MISSED = 3
"""With fewer heartbeats missed than so many, healthy runs would be called dead."""
MISSED = 5
"""How many must be missed: SQLite alone may hold one back for a minute."""
_RUNS = ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]})
_RULES = {
    "source": "{{ event.payload.place }}",
    "digest": "{{ event.payload.new_digest }}",
    "watched": "{{ event.payload.watched }}",
}
_TOLD = (
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
    """A flow run that runs and then says nothing for `within_s` is dead; one that waits for an approval has said so, and is not."""
    if within_s < LEAST_MISSED * heartbeat_s:
        raise ValueError(
            f"within {within_s} s is less than {LEAST_MISSED} heartbeats of {heartbeat_s} s: healthy runs would be called dead"
        )
    return AutomationCore(
        name="ascl: dead runs are crashed",
        description=f"A run that missed {MISSED} heartbeats in a row is not there any more.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match=_RUNS,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=within_s),
        ),
        actions=[
            ChangeFlowRunState(
                name=None, state=StateType.CRASHED, force=False, message=f"no heartbeat for {within_s} s: its process is gone"
            )
        ],
    )


def tell(webhook: UUID) -> list[AutomationCore]:
    """The webhook is told of a gate that did not pass, and of runs that failed or crashed."""
    expected = {"a gate that did not pass": {GATE_FAILED}, "crashed runs": {"prefect.flow-run.Crashed", "prefect.flow-run.Failed"}}
    return [
        AutomationCore(
            name=f"ascl: tell of {what}",
            description=f"Calls the webhook of the block ascl-webhook for {what}.",
            trigger=EventTrigger(expect=names, match=_RUNS, posture=Posture.Reactive, threshold=1, within=timedelta(0)),
            actions=[CallWebhook(block_document_id=webhook, payload=_TOLD)],
        )
        for what, names in expected.items()
    ]


def apply_automation(client: SyncPrefectClient, wanted: AutomationCore) -> Change:
    """Have the automation of that name be as wanted."""
    found = client.read_automations_by_name(wanted.name)
    present = AutomationCore.model_validate(found[0].model_dump()) if found else None
    return bring_about(
        *("automation", wanted.name, _values(wanted), present and _values(present)),
        lambda: client.create_automation(wanted),
        lambda: client.update_automation(found[0].id, wanted),
    )


def _values(automation: AutomationCore) -> dict[str, Any]:
    values = automation.model_dump(mode="json", exclude={"owner_resource", "tags"})
    for key in ("after", "expect", "for_each"):
        values["trigger"][key] = sorted(values["trigger"][key])
    return values
