"""Everything that `ascl deploy` creates on the server, in order of need."""

from __future__ import annotations

import importlib
from pathlib import Path

from prefect import Flow as PrefectFlow
from prefect import get_client

from ascl_core.errors import ConfigError, nearest
from tasks.deployment import automations, deployments, pools, s3_credentials, webhook
from tasks.deployment.changes import Change
from tasks.deployment.deployments import TRAINS, Deployment, Flow
from tasks.host.gpus import gpus

_POOLS = ("cpu", "gpu")


def deploy_all(
    root: Path, *, training_pool: str, gpu_slots: int | None, infrastructure: str, watch: bool | None, push: bool
) -> tuple[list[Change], bool]:
    """Create or update pools, limits, secret blocks, deployments and automations; return the changes, and whether anything is scheduled.

    `watch` turns the schedules on or off, None leaves them; `push` says whether the retrainings that the watcher starts are pushed.
    """
    if training_pool not in _POOLS:
        raise ConfigError("no such pool", field="--training-pool", value=training_pool, hint=nearest(training_pool, _POOLS))
    described = deployments.read_file(root)
    flows = {one.name: _flow(one) for one in described.deployments}
    with get_client(sync_client=True) as client:
        by = None if infrastructure == "process" else infrastructure
        changes = [pools.apply_pool(client, root, name, by) for name in _POOLS]
        changes.append(pools.apply_gpu_limit(client, gpu_slots, len(gpus())))
        if kept := s3_credentials.apply_credentials(client):
            changes.append(kept)
        ids, scheduled = {}, False
        for file_says in described.deployments:
            on_server = deployments.is_scheduled(client, file_says, flows[file_says.name])
            one = deployments.with_schedules(file_says, on_server, watch)
            scheduled |= any(schedule.active for schedule in one.schedules)
            pool = training_pool if TRAINS in one.tags else one.work_pool.name
            ids[one.name], change = deployments.apply_deployment(client, one, described.pull, flows[one.name], pool)
            changes.append(change)
        unstarted = automations.crash_unstarted_runs(automations.UNSTARTED_S if by is None else automations.SLOW_START_S)
        wanted = [automations.retrain_on_change(ids["retrain"], push=push), automations.crash_dead_runs(), unstarted]
        if applied := webhook.apply_webhook(client):
            changes.append(applied[1])
            wanted += automations.notify(applied[0])
        return [*changes, *(automations.apply_automation(client, one) for one in wanted)], scheduled


def _flow(described: Deployment) -> Flow:
    module, _, function = described.entrypoint.removesuffix(")").partition(".py:")
    found: PrefectFlow[..., object] = getattr(importlib.import_module(module.replace("/", ".")), function)
    return Flow(found.name, found.parameters.model_dump_for_openapi())
