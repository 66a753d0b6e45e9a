"""Create or update the deployments of `prefect.yaml` on the server; `prefect deploy` reads the same file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from pydantic import Field

from ascl_core.artifacts import read_yaml
from ascl_core.config.base import Config, parse
from tasks.deployment.changes import Change, apply
from tasks.registry.paths import PREFECT_YAML

TRAINS = "trains"
"""The tag of deployments that train or evaluate, which another pool may run."""


class Schedule(Config):
    """A schedule of a deployment."""

    cron: str
    timezone: str = "UTC"
    active: bool = True
    slug: str = "default"


class WorkPool(Config):
    """The pool of its runs."""

    name: str
    job_variables: dict[str, Any] = {}


class Limit(Config):
    """How many of its runs may run at a time, and what happens to others."""

    limit: int = Field(ge=1)
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"


class Deployment(Config):
    """One deployment of `prefect.yaml`."""

    name: str
    entrypoint: str
    """`flows/FILE.py:FUNCTION`."""
    description: str
    tags: list[str] = []
    work_pool: WorkPool
    concurrency_limit: Limit | None = None
    schedules: list[Schedule] = []
    parameters: dict[str, Any] = {}


class PrefectFile(Config):
    """All of `prefect.yaml`."""

    name: str
    pull: list[dict[str, Any]]
    deployments: list[Deployment]


@dataclass(frozen=True)
class Flow:
    """A deployment's flow."""

    name: str
    schema: dict[str, Any]
    """The schema of its parameters, from which the form is drawn."""


def read_file(root: Path) -> PrefectFile:
    """Read `prefect.yaml`; `ConfigError` names what is wrong in it."""
    return parse(PrefectFile, read_yaml(root / PREFECT_YAML), file=root / PREFECT_YAML)


def is_scheduled(client: SyncPrefectClient, described: Deployment, flow: Flow) -> bool | None:
    """Return whether a schedule of the deployment is on at the server; None if it has none there."""
    try:
        found = client.read_deployment_by_name(f"{flow.name}/{described.name}").schedules
    except ObjectNotFound:
        return None
    return any(one.active for one in found) if found else None


def with_schedules(described: Deployment, on_server: bool | None, wanted: bool | None) -> Deployment:
    """Return the deployment with its schedules on or off as wanted, else as at the server, else as `prefect.yaml` says."""
    active = on_server if wanted is None else wanted
    schedules = [one if active is None else one.model_copy(update={"active": active}) for one in described.schedules]
    return described.model_copy(update={"schedules": schedules})


def apply_deployment(
    client: SyncPrefectClient, described: Deployment, pull: list[dict[str, Any]], flow: Flow, pool: str
) -> tuple[UUID, Change]:
    """Create or update the deployment in that pool; return its id and what changed."""
    wanted = _wanted(described, pull, flow, pool)
    try:
        found = client.read_deployment_by_name(f"{flow.name}/{described.name}")
        present: Any = _present(found, wanted)
    except ObjectNotFound:
        present = None

    def save() -> None:
        limit = described.concurrency_limit
        client.create_deployment(
            client.create_flow_from_name(flow.name),
            **{**wanted, "schedules": [_schedule(one) for one in described.schedules]},
            concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy(limit.collision_strategy))
            if limit
            else None,
        )

    change = apply("deployment", f"{flow.name}/{described.name}", _comparable(described, wanted), present, save, save)
    return client.read_deployment_by_name(f"{flow.name}/{described.name}").id, change


def _wanted(described: Deployment, pull: list[dict[str, Any]], flow: Flow, pool: str) -> dict[str, Any]:
    return {
        "name": described.name,
        "entrypoint": described.entrypoint,
        "description": described.description,
        "tags": sorted(described.tags),
        "work_pool_name": pool,
        "job_variables": described.work_pool.job_variables,
        "concurrency_limit": described.concurrency_limit.limit if described.concurrency_limit else None,
        "parameters": described.parameters,
        "parameter_openapi_schema": flow.schema,
        "pull_steps": pull,
        "path": ".",
        "enforce_parameter_schema": True,
    }


def _comparable(described: Deployment, wanted: dict[str, Any]) -> dict[str, Any]:
    limit = described.concurrency_limit
    schedules = [(one.cron, one.timezone, one.active, one.slug) for one in described.schedules]
    return {**wanted, "schedules": schedules, "collision_strategy": limit.collision_strategy if limit else None}


def _present(found: DeploymentResponse, wanted: dict[str, Any]) -> dict[str, Any]:
    values = {name: getattr(found, name) for name in wanted if name not in ("concurrency_limit", "tags")}
    schedules = [
        (schedule.cron, schedule.timezone, one.active, one.slug)
        for one in found.schedules
        if isinstance(schedule := one.schedule, CronSchedule)
    ]
    options, limit = found.concurrency_options, found.global_concurrency_limit
    return {
        **values,
        "tags": sorted(found.tags),
        "schedules": schedules,
        "concurrency_limit": limit.limit if limit else None,
        "collision_strategy": options.collision_strategy.value if options else None,
    }


def _schedule(described: Schedule) -> DeploymentScheduleCreate:
    schedule = CronSchedule(cron=described.cron, timezone=described.timezone)
    return DeploymentScheduleCreate(schedule=schedule, active=described.active, slug=described.slug)
