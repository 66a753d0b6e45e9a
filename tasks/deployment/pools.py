"""Work pools and the limit of the GPUs, as `profiles/pools/` describes them.

A file there names a type of Prefect's infrastructure and the job variables that differ from its own defaults; the pool's base job
template is Prefect's template for that type with these defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from pydantic import Field, field_validator

from ascl_core.artifacts import read_yaml
from ascl_core.config.base import Config, parse
from ascl_core.errors import ConfigError, nearest
from tasks.deployment.changes import Change, apply
from tasks.execution.policy import GPU_LIMIT
from tasks.host.interpreter import VARIABLE
from tasks.registry.paths import POOLS


class Pool(Config):
    """One file under `profiles/pools/`."""

    type: str
    description: str = ""
    concurrency_limit: int = Field(default=0, ge=0)
    """Flow runs at a time over all workers; 0: no limit."""
    python: str | None = None
    """The interpreter of the stages' processes: a path on the worker's machine or in the image; by default that of the flow run."""
    job_variables: dict[str, Any] = {}

    @field_validator("python")
    @classmethod
    def _absolute(cls, python: str | None) -> str | None:
        if python is not None and not python.startswith("/"):
            raise ValueError("no absolute path of an interpreter: runs work in worktrees of their own")
        return python

    @property
    def variables(self) -> dict[str, Any]:
        """The job variables, with the interpreter as a variable of the environment."""
        if self.python is None:
            return self.job_variables
        return {**self.job_variables, "env": {**self.job_variables.get("env", {}), VARIABLE: self.python}}


def read_pool(root: Path, name: str) -> Pool:
    """Read the pool of that name; `ConfigError` if there is none or its file is wrong."""
    path = root / POOLS / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (root / POOLS).glob("*.yaml"))
        raise ConfigError("no such pool", value=name, hint=nearest(name, known))
    return parse(Pool, read_yaml(path), file=path)


def base_job_template(pool: Pool, workers: Mapping[str, Any], *, file: object = None) -> dict[str, Any]:
    """Return Prefect's template for the pool's type with the job variables as defaults.

    `workers` is the server's answer to `read_worker_metadata`. `ConfigError` names a type, a job variable or a value that it does not know.
    """
    template = deepcopy(_template(workers, pool.type, file))
    variables = template["variables"]
    for name, value in pool.variables.items():
        if name not in variables["properties"]:
            hint = nearest(name, sorted(variables["properties"]))
            raise ConfigError("no such job variable", file=file, field=f"job_variables.{name}", value=value, hint=hint)
        variables["properties"][name]["default"] = value
    schema = {**variables, "required": [name for name in variables.get("required", ()) if name not in pool.variables]}
    try:
        jsonschema.validate(pool.variables, schema)
    except jsonschema.ValidationError as error:
        field = ".".join(["job_variables", *map(str, error.absolute_path)])
        raise ConfigError(error.message, file=file, field=field, value=error.instance, hint="correct this value") from error
    return template


def apply_pool(client: SyncPrefectClient, root: Path, name: str, described_by: str | None = None) -> Change:
    """Create or update the pool of that name from its file, or from that of `described_by`."""
    pool = read_pool(root, described_by or name)
    template = base_job_template(pool, client.read_worker_metadata(), file=root / POOLS / f"{described_by or name}.yaml")
    limit = pool.concurrency_limit or None
    try:
        found = client.read_work_pool(name)
        present: Any = (found.type, found.description, found.concurrency_limit, found.base_job_template)
    except ObjectNotFound:
        present = None
    if present is not None and present[0] != pool.type:
        hint = f"delete it first: prefect work-pool delete {name}"
        raise ConfigError("a pool cannot change its type", field=f"pool {name}", value=present[0], hint=hint)
    wanted = (pool.type, pool.description, limit, template)
    new = WorkPoolCreate(name=name, type=pool.type, description=pool.description, base_job_template=template, concurrency_limit=limit)
    new_values = WorkPoolUpdate(description=pool.description, base_job_template=template, concurrency_limit=limit)
    return apply(
        "work pool", name, wanted, present, lambda: client.create_work_pool(new), lambda: client.update_work_pool(name, new_values)
    )


def apply_gpu_limit(client: SyncPrefectClient, slots: int | None, found_gpus: int) -> Change:
    """Create or update the limit of the GPUs; without `slots` it keeps its number, or gets one for each GPU of this machine."""
    try:
        present = client.read_global_concurrency_limit_by_name(GPU_LIMIT).limit
    except ObjectNotFound:
        present = None
    wanted = slots or present or max(1, found_gpus)
    new = GlobalConcurrencyLimitCreate(name=GPU_LIMIT, limit=wanted)
    return apply(
        *("concurrency limit", f"{GPU_LIMIT} ({wanted} at a time)", wanted, present),
        lambda: client.create_global_concurrency_limit(new),
        lambda: client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, wanted),
    )


def _template(workers: Mapping[str, Any], kind: str, file: object) -> dict[str, Any]:
    """Return Prefect's own base job template of that type of pool."""
    known = {name: worker for collection in workers.values() for name, worker in collection.items()}
    if kind not in known:
        raise ConfigError("no such type of pool", file=file, field="type", value=kind, hint=nearest(kind, sorted(known)))
    return dict(known[kind]["default_base_job_configuration"])
