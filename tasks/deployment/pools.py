"""Work pools and the limit of the GPUs, as `profiles/pools/` describes them.

A file there names a type of Prefect's infrastructure and the job variables that differ from its own defaults; the pool's base job
template is Prefect's template for that type with those defaults laid over it.
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
from pydantic import Field

from ascl_core.artifacts import read_yaml
from ascl_core.config.base import Config, parse
from ascl_core.errors import ConfigError
from tasks.deployment.changes import Change, bring_about
from tasks.execution.policy import GPU_LIMIT

FOLDER = Path("profiles") / "pools"


class Pool(Config):
    """One file under `profiles/pools/`."""

    type: str
    description: str = ""
    concurrency_limit: int = Field(default=0, ge=0)
    """Flow runs at a time over all workers; 0: no limit."""
    job_variables: dict[str, Any] = {}


def read_pool(root: Path, name: str) -> Pool:
    """The pool that the file of that name describes; `ConfigError` where there is none or something in it is wrong."""
    path = root / FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (root / FOLDER).glob("*.yaml")))
        raise ConfigError("no such pool", file=path, field="pool", value=name, hint=f"one of {known}")
    return parse(Pool, read_yaml(path), file=path)


def base_job_template(pool: Pool, workers: Mapping[str, Any], *, file: object = None) -> dict[str, Any]:
    """Return Prefect's template for the pool's type with the job variables as defaults.

    `workers` is the server's answer to `read_worker_metadata`. `ConfigError` names a type, a job variable or a value that it does not know.
    """
    template = deepcopy(_template(workers, pool.type, file))
    variables = template["variables"]
    for name, value in pool.job_variables.items():
        if name not in variables["properties"]:
            known = ", ".join(sorted(variables["properties"]))
            raise ConfigError("no such job variable", file=file, field=f"job_variables.{name}", value=value, hint=f"one of {known}")
        variables["properties"][name]["default"] = value
    schema = {**variables, "required": [name for name in variables.get("required", ()) if name not in pool.job_variables]}
    try:
        jsonschema.validate(pool.job_variables, schema)
    except jsonschema.ValidationError as error:
        field = ".".join(["job_variables", *map(str, error.absolute_path)])
        raise ConfigError(error.message, file=file, field=field, value=error.instance, hint="correct this value") from error
    return template


def apply_pool(client: SyncPrefectClient, root: Path, name: str, described_by: str | None = None) -> Change:
    """Have the pool of that name be as its file, or that of `described_by`, says."""
    pool = read_pool(root, described_by or name)
    template = base_job_template(pool, client.read_worker_metadata(), file=root / FOLDER / f"{described_by or name}.yaml")
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
    return bring_about(
        "work pool", name, wanted, present, lambda: client.create_work_pool(new), lambda: client.update_work_pool(name, new_values)
    )


def apply_gpu_limit(client: SyncPrefectClient, slots: int | None, found_gpus: int) -> Change:
    """Have the limit of the GPUs exist, with so many slots; without a number it keeps what it has, or gets one a GPU found here."""
    try:
        present = client.read_global_concurrency_limit_by_name(GPU_LIMIT).limit
    except ObjectNotFound:
        present = None
    wanted = slots or present or max(1, found_gpus)
    new = GlobalConcurrencyLimitCreate(name=GPU_LIMIT, limit=wanted)
    return bring_about(
        *("concurrency limit", f"{GPU_LIMIT} ({wanted} at a time)", wanted, present),
        lambda: client.create_global_concurrency_limit(new),
        lambda: client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, wanted),
    )


def _template(workers: Mapping[str, Any], kind: str, file: object) -> dict[str, Any]:
    """Return Prefect's own base job template of that type of pool."""
    known = {name: worker for collection in workers.values() for name, worker in collection.items()}
    if kind not in known:
        raise ConfigError("no such type of pool", file=file, field="type", value=kind, hint=f"one of {', '.join(sorted(known))}")
    return dict(known[kind]["default_base_job_configuration"])
