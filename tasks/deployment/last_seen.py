"""The newest rules that the watcher has seen at each source.

Prefect keeps events for a week only, and two of them may start two runs. So the newest rules are stored in a variable of the server, with
which a run that the watcher started compares its own: only the run for the newest rules continues.
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


def load(source: str) -> dict[str, Any] | None:
    """Return the digest and the revision that were last seen at a source; None before the first time."""
    return cast("dict[str, Any] | None", Variable.get(_name(source)))


def dump(source: str, digest: str, revision: str) -> None:
    """Store these rules as the newest that were seen at a source."""
    Variable.set(_name(source), {"source": source, "digest": digest, "revision": revision}, overwrite=True)


def newer_than(source: str, digest: str) -> str | None:
    """Return the digest of newer rules that were seen at a source; None if these are the newest, or the source is not watched."""
    known = load(source) if source else None
    return None if known is None or known["digest"] == digest else str(known["digest"])


def cancel_older_runs(client: SyncPrefectClient, flow: str, source: str, digest: str) -> list[str]:
    """Cancel the runs of `flow` that the watcher started for other rules of that source; return their names."""
    found = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_WAITING))),
        limit=_PAGE,
    )
    older = [run for run in found if _rules(run.parameters).get("watched") == source and _rules(run.parameters).get("digest") != digest]
    for run in older:
        client.set_flow_run_state(run.id, Cancelling(message=f"superseded: newer rules {digest[:12]} were seen at {source}"))
    return [run.name for run in older]


def _rules(parameters: dict[str, Any]) -> dict[str, Any]:
    form = parameters.get("form")
    rules = form.get("rules") if isinstance(form, dict) else None
    return rules if isinstance(rules, dict) else {}


def _name(source: str) -> str:
    return f"ascl_rules_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
