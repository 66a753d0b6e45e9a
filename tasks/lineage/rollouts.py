"""The rollouts of the reinforcement learning that an artifact comes from, read with DuckDB from the file that the training wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from ascl_core.errors import ConfigError, DataError
from ascl_core.rules.corpus import nearest_rule
from tasks.evidence.graph import Found
from tasks.lineage.database import files, opened, rows_of
from tasks.registry.stages import ArtifactKind

_MEMORY = "1GB"
_SELECTED = """
FROM read_parquet($file)
WHERE ($rule::VARCHAR IS NULL OR rule_id = $rule OR list_contains(list_transform(rules, lambda r: r.id), $rule))
  AND ($prompt::VARCHAR IS NULL OR starts_with(prompt_id, $prompt))
  AND ($step::INTEGER IS NULL OR step = $step)
"""
_COUNTS = f"SELECT count(*) AS count, count_if(mode = 'consult') AS consulted, avg(reward) AS mean_reward {_SELECTED}"
_ROWS = f'SELECT * {_SELECTED} ORDER BY step, "group", sample LIMIT $limit'


@dataclass(frozen=True)
class Rollouts:
    """Some rollouts of one training."""

    path: str
    sha256: str
    """Of the file, as the record of the training has it."""
    snapshot: str
    count: int
    """Rollouts that were asked for; `rows` are the first of them."""
    consulted: int
    """How many of them looked a rule up."""
    mean_reward: float | None
    """Over those that have a reward; None if none has."""
    rows: list[dict[str, Any]]


def find_rollouts(
    found: Found, *, rule: str | None = None, prompt: str | None = None, step: int | None = None, limit: int = 20, fetch: bool = False
) -> Rollouts:
    """Return the rollouts of the training upstream of an artifact.

    `rule` selects those that found the rule or whose prompt it decides, `prompt` those whose prompt's id begins so. `DataError` if there
    was no such training, or its file is from before rollouts were kept, missing here, or broken. `ConfigError` names the nearest rule of
    that training if this one is unknown.
    """
    path = _path(found)
    known = (found.graph.producers[path].record.rules or {}).get("rules", {})
    if rule is not None and known and rule not in known:
        raise ConfigError("the training had no such rule", field="--rule", value=rule, hint=nearest_rule(rule, known, "ascl rules list"))
    file = found.snapshot.files(path, fetch=fetch).get("")
    if file is None:
        raise DataError("is not available here", file=path, field=f"in {found.snapshot.name}", hint="--fetch gets it from the remote")
    values: dict[str, Any] = {"rule": rule, "prompt": prompt, "step": step, "file": files([file])}
    with opened(_MEMORY, paths=[file]) as connection:
        try:
            [counts] = rows_of(connection, _COUNTS, values)
            rows = rows_of(connection, _ROWS, {**values, "limit": limit})
        except duckdb.Error as error:
            raise DataError(
                f"cannot be read: {str(error).splitlines()[0]}", file=path, hint="restore it: dvc checkout, or ascl pull"
            ) from error
    return Rollouts(path, found.graph.producers[path].outputs[path], found.snapshot.name, **counts, rows=rows)


def _path(found: Found) -> str:
    written = [
        (node, artifact.path)
        for node in found.graph.upstream(found.node)
        for artifact in node.stage.outputs.values()
        if artifact.kind == ArtifactKind.ROLLOUTS
    ]
    kept = [path for node, path in written if path in node.outputs]
    if not kept:
        problem = "its training kept no rollouts" if written else "was made without reinforcement learning"
        hint = "train again: ascl run" if written else "name a checkpoint, such as release/1"
        raise DataError(problem, file=found.path, field=f"in {found.snapshot.name}", hint=hint)
    return kept[-1]
