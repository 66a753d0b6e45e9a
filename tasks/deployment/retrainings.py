"""Whether the retraining of announced rules got under way: a lost one is started again, and reported if that does not help.

A run is lost if its worker ends while it is Pending, if its process dies, or if the announcement started none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelling, Crashed, Scheduled

from tasks.deployment import last_seen
from tasks.deployment.automations import NEVER_STARTED, UNSTARTED_S

STARTS = 3
"""The number of times in all that the watcher has the rules trained on; after that it only reports."""
_LATE_S = 900.0
_PAGE = 200
_UNFINISHED = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED)


@dataclass(frozen=True)
class Recovery:
    """What was wrong with a retraining, and what follows."""

    action: Literal["started again", "announce again", "waits", "lost"]
    """`announce again` is up to the caller; `lost` needs a person."""
    message: str


def recover(client: SyncPrefectClient, flow: str, source: str, digest: str) -> Recovery | None:
    """Start the newest run of `flow` for these rules again if it was lost; None if it is under way or ended, or nothing was announced."""
    known = last_seen.load(source)
    announced = None if known is None or known["digest"] != digest else known.get("announced")
    if announced is None:
        return None
    run = next((one for one in _started_by_watcher(client, flow, source) if _rules(one).get("digest") == digest), None)
    if run is None:
        if _seconds_since(datetime.fromisoformat(announced)) < UNSTARTED_S:
            return None
        return _again("announce again", f"no {flow} started for rules {digest[:12]}", "ascl deploy restores what starts it", source)
    if run.state_name == "Late" and _seconds_since(run.expected_start_time) > _LATE_S:
        return _waiting(client, run)
    is_stuck = run.state_type == StateType.PENDING and run.state is not None and _seconds_since(run.state.timestamp) > UNSTARTED_S
    if not is_stuck and run.state_type != StateType.CRASHED:
        return None
    hint = "read its log and its worker's; then Retry it in the UI, or cancel it"
    found = _again("started again", f"{run.name} was {run.state_name}", hint, source)
    if found.action == "started again":
        if is_stuck:
            client.set_flow_run_state(run.id, Crashed(message=NEVER_STARTED))  # which frees its slot
        client.set_flow_run_state(run.id, Scheduled(name="AwaitingRetry", message="started again by watch-rules"), force=True)
    return found


def cancel_older(client: SyncPrefectClient, flow: str, source: str, digest: str) -> list[str]:
    """Cancel the unfinished runs of `flow` that the watcher started for other rules of that source; return their names."""
    older = [run for run in _started_by_watcher(client, flow, source, _UNFINISHED) if _rules(run).get("digest") != digest]
    for run in older:
        client.set_flow_run_state(run.id, Cancelling(message=f"superseded: newer rules {digest[:12]} were seen at {source}"))
    return [run.name for run in older]


def _started_by_watcher(client: SyncPrefectClient, flow: str, source: str, kinds: Sequence[StateType] = tuple(StateType)) -> list[FlowRun]:
    """Return the runs of `flow` for rules of that source in one of these states, the newest first."""
    found = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(kinds)))),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=_PAGE,
    )
    return [run for run in found if _rules(run).get("watched") == source]


def _again(action: Literal["started again", "announce again"], problem: str, hint: str, source: str) -> Recovery:
    """Return the action, and count it as another start; return `lost` instead after too many."""
    starts = last_seen.count_start(source, most=STARTS)
    if starts is None:
        return Recovery("lost", f"{problem}, and {STARTS} starts did not help; {hint}")
    return Recovery(action, f"{problem}; start {starts} of {STARTS}")


def _waiting(client: SyncPrefectClient, run: FlowRun) -> Recovery:
    pool = str(run.work_pool_name)
    workers = [one for one in client.read_workers_for_work_pool(pool) if one.status == "ONLINE"] if run.work_pool_name else []
    waits = f"{run.name} waits since {run.expected_start_time:%Y-%m-%d %H:%M} UTC for a worker of the pool {pool}"
    return Recovery("waits", f"{waits}, whose workers are busy") if workers else Recovery("lost", f"{waits}: ascl worker --pool {pool}")


def _rules(run: FlowRun) -> dict[str, object]:
    form = run.parameters.get("form")
    rules = form.get("rules") if isinstance(form, dict) else None
    return rules if isinstance(rules, dict) else {}


def _seconds_since(time: datetime | None) -> float:
    return 0.0 if time is None else datetime.now(UTC).timestamp() - time.timestamp()
