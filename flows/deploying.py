"""Everything that `ascl deploy` brings to the server, in the order in which one needs the other."""

from __future__ import annotations

import importlib
from pathlib import Path

from prefect import Flow as PrefectFlow
from prefect import get_client

from ascl_core.errors import ConfigError
from tasks.deployment import automations, deployments, pools, s3_credentials, webhook
from tasks.deployment.changes import Change
from tasks.deployment.deployments import TRAINS, Deployment, Flow
from tasks.host.gpus import gpus

_POOLS = ("cpu", "gpu")


def deploy_all(root: Path, *, training_pool: str, gpu_slots: int | None, infrastructure: str) -> list[Change]:
    """Have the server hold pools, limits, blocks of secrets, deployments and automations as this repository describes them."""
    if training_pool not in _POOLS:
        raise ConfigError("no such pool", field="--training-pool", value=training_pool, hint=f"one of {', '.join(_POOLS)}")
    described = deployments.read_file(root)
    flows = {one.name: _flow(one) for one in described.deployments}
    with get_client(sync_client=True) as client:
        by = None if infrastructure == "process" else infrastructure
        changes = [pools.apply_pool(client, root, name, by) for name in _POOLS]
        changes.append(pools.apply_gpu_limit(client, gpu_slots, len(gpus())))
        if kept := s3_credentials.apply_credentials(client):
            changes.append(kept)
        ids = {}
        for one in described.deployments:
            pool = training_pool if TRAINS in one.tags else one.work_pool.name
            ids[one.name], change = deployments.apply_deployment(client, one, described.pull, flows[one.name], pool)
            changes.append(change)
        wanted = [automations.retrain_on_change(ids["retrain"]), automations.crash_dead_runs()]
        if told := webhook.apply_webhook(client):
            changes.append(told[1])
            wanted += automations.tell(told[0])
        return [*changes, *(automations.apply_automation(client, one) for one in wanted)]


def _flow(described: Deployment) -> Flow:
    module, _, function = described.entrypoint.removesuffix(")").partition(".py:")
    found: PrefectFlow[..., object] = getattr(importlib.import_module(module.replace("/", ".")), function)
    return Flow(found.name, found.parameters.model_dump_for_openapi())
