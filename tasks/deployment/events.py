"""The events that this project posts; automations listen to them."""

from __future__ import annotations

from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.events import Event, Resource

from tasks.deployment.own_run import flow_run

RULES_CHANGED = "ascl.rules.changed"
GATE_FAILED = "ascl.gate.failed"
WAITS = "prefect.flow-run.waits-for-approval"
"""Named like Prefect's own events of flow runs, so that automations for those react to it."""


def rules_changed(client: SyncPrefectClient, source: str, payload: dict[str, Any]) -> None:
    """Post that the rules of a source changed."""
    resource = {"prefect.resource.id": f"ascl.rules.{source}", "prefect.resource.name": source}
    _post(client, Event(event=RULES_CHANGED, resource=Resource(resource), payload=payload))


def waits(client: SyncPrefectClient, run: Any) -> None:
    """Post that a flow run waits for a person."""
    _post(client, Event(event=WAITS, resource=Resource(_named(run))))


def gate_failed(client: SyncPrefectClient, payload: dict[str, Any]) -> None:
    """Post that this flow run's checkpoint did not pass the gate."""
    _post(client, Event(event=GATE_FAILED, resource=Resource(_named(flow_run())), payload=payload))


def _named(run: Any) -> dict[str, str]:
    return {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": str(run.name)}


def _post(client: SyncPrefectClient, event: Event) -> None:
    """Post the event and wait until the server has it, as the process may end right after."""
    client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()
