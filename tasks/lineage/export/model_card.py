"""The model card of a checkpoint as CycloneDX 1.6 has it: how it was trained, on what, and the figures of its evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ascl_core.artifacts import read_json
from ascl_core.evaluation.figures import FIGURES
from tasks.evidence.graph import Found
from tasks.registry.stages import BASE, EVALUATE, IFPO

_TASK = "text-generation"
_LIMITS = (
    "It is safe only with the rules that it looks up; without the tool it decides by what it was trained on.",
    "Its figures are those of the suites on which it was evaluated, with the judge that its metrics name.",
)


def base_model(found: Found) -> tuple[str, str | None] | None:
    """Return name and revision of the pretrained model from which training started; None from scratch, or if no record says it."""
    node = found.graph.nodes.get(BASE.name)
    values = (node.record.parameters if node else {}).get("base_model") or {}
    return (str(values["path"]), values.get("revision")) if values.get("path") else None


def model_card(found: Found, data_sets: Iterable[str]) -> dict[str, Any]:
    """Return the card; `data_sets` are references within the bill. Figures are shares from 0 to 1, each with its 95 % interval."""
    file = found.snapshot.files(found.path).get("config.json")
    config = read_json(file) if file else {}
    parameters: dict[str, Any] = {
        "approach": {"type": "reinforcement-learning" if found.node.stage is IFPO else "supervised"},
        "task": _TASK,
        "datasets": [{"ref": ref} for ref in data_sets],
        "inputs": [{"format": "text"}],
        "outputs": [{"format": "text"}],
    }
    if config.get("model_type"):
        parameters |= {"architectureFamily": config["model_type"], "modelArchitecture": (config.get("architectures") or [""])[0]}
    card: dict[str, Any] = {"modelParameters": parameters, "considerations": {"technicalLimitations": list(_LIMITS)}}
    if figures := list(_figures(found)):
        card["quantitativeAnalysis"] = {"performanceMetrics": figures}
    return card


def _figures(found: Found) -> Iterator[dict[str, Any]]:
    """Yield the headline figures of the evaluation of exactly these bytes."""
    evaluation = EVALUATE.get(found.node.stage.name)
    node = found.graph.nodes.get(evaluation.name) if evaluation else None
    if evaluation is None or node is None or node.inputs.get(found.path) != found.sha256:
        return
    headline = (found.snapshot.json(evaluation.outputs["metrics"].path) or {}).get("headline") or {}
    for figure in FIGURES:
        if estimate := headline.get(figure.key):
            interval = {"lowerBound": str(estimate["low"]), "upperBound": str(estimate["high"])}
            yield {"type": figure.key, "value": str(estimate["value"]), "slice": "all suites", "confidenceInterval": interval}
