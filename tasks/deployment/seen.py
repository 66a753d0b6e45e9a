"""The newest rules that the watcher has seen at each place, and what gives way to them.

Prefect keeps events for a week only, and two of them may start two runs; what was seen last is a variable of the server, and a run
that the watcher started compares itself with it: only the run for the newest rules goes on.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling
from prefect.variables import Variable

_WAITING = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED]
_PAGE = 200


def seen_at(place: str) -> dict[str, Any] | None:
    """What was seen last at that place: its digest, and where exactly; None before the first look."""
    return cast("dict[str, Any] | None", Variable.get(_name(place)))


def remember(place: str, digest: str, exactly: str) -> None:
    """Have these rules be the newest that were seen at that place."""
    Variable.set(_name(place), {"place": place, "digest": digest, "exactly": exactly}, overwrite=True)


def newer_than(place: str, digest: str) -> str | None:
    """The digest of newer rules that were seen at that place; None where these are the newest, or nobody watches it."""
    seen = seen_at(place) if place else None
    return None if seen is None or seen["digest"] == digest else str(seen["digest"])


def end_older(client: SyncPrefectClient, flow: str, place: str, digest: str) -> list[str]:
    """Cancel the runs of `flow` that the watcher started for other rules of that place; returns their names."""
    found = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_WAITING))),
        limit=_PAGE,
    )
    older = [run for run in found if _rules(run.parameters).get("watched") == place and _rules(run.parameters).get("digest") != digest]
    for run in older:
        client.set_flow_run_state(run.id, Cancelling(message=f"superseded: newer rules {digest[:12]} were seen at {place}"))
    return [run.name for run in older]


def _rules(parameters: dict[str, Any]) -> dict[str, Any]:
    form = parameters.get("form")
    rules = form.get("rules") if isinstance(form, dict) else None
    return rules if isinstance(rules, dict) else {}


def _name(place: str) -> str:
    return f"ascl_rules_{hashlib.sha256(place.encode()).hexdigest()[:16]}"
