"""Whether the rewards and advantages of the rollouts that a training kept follow from their terms, their modes and its parameters."""

from __future__ import annotations

import pkgutil

from tasks.evidence.collected import Evidence
from tasks.registry.stages import ArtifactKind

_RECOMPUTE = "ascl_core.rl.recompute:recompute"
"""By name, as it computes with torch, which no other question needs."""


def check_rollouts(evidence: Evidence) -> int:
    """Return how many rollouts were computed again; `DataError` names the first that differs.

    0 without reinforcement learning, or with records from before rollouts were kept. The files are those whose bytes were compared.
    """
    count = 0
    for node in evidence.nodes:
        for artifact in node.stage.outputs.values():
            file = evidence.snapshot.files(artifact.path).get("") if artifact.path in node.outputs else None
            if artifact.kind == ArtifactKind.ROLLOUTS and file is not None:
                count += pkgutil.resolve_name(_RECOMPUTE)(file, node.record.parameters["ifpo"], name=artifact.path)
    return count
