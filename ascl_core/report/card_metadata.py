"""The YAML at the head of the cards, which hubs and their clients read: base model, data sets, licence, and figures as a model index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ascl_core.evaluation.figures import FIGURES
from ascl_core.released import LICENCE
from ascl_core.report.inputs import Inputs

_HUB = "hub:"
_BASE_STAGE = "base_model"
_TAGS = ["safety", "tool-use", "reinforcement-learning", "ascl"]


def model_metadata(inputs: Inputs, suites: Sequence[Mapping[str, Any]]) -> str:
    """Return the metadata of the model card, checked by `huggingface_hub`; figures are shares from 0 to 1."""
    from huggingface_hub import EvalResult, ModelCardData

    base = base_model(inputs.records)
    figures = [(figure, estimate) for figure in FIGURES if (estimate := inputs.candidate.estimate(figure.key))]
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="ascl/suites",
            dataset_name="the suites of the run's data card",
            metric_type=figure.key,
            metric_name=figure.name,
            metric_value=estimate["value"],
        )
        for figure, estimate in figures
    ]
    names = sorted({name for suite in suites if (name := _hub_name(suite.get("source")))})
    data = ModelCardData(
        language="en",
        license="other" if base else "apache-2.0",
        license_name=f"that of {base}" if base else None,
        license_link=LICENCE if base else None,
        base_model=base if base and "/" in base else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=_TAGS,
        datasets=names or None,
        model_name=inputs.candidate.label if results else None,
        eval_results=results or None,
    )
    return _front_matter(data)


def data_metadata(suites: Sequence[Mapping[str, Any]]) -> str:
    """Return the metadata of the data card."""
    from huggingface_hub import DatasetCardData

    licences = {str(suite["licence"]) for suite in suites if suite.get("licence")}
    known = licences == {"Apache-2.0"} or not licences
    return _front_matter(
        DatasetCardData(
            language="en",
            license="apache-2.0" if known else "other",
            license_name=None if known else "see-the-table-of-suites",
            task_categories=["text-generation"],
            pretty_name="Prompts and suites of an ASCL run",
            tags=_TAGS,
        )
    )


def _front_matter(data: Any) -> str:
    return f"---\n{data.to_yaml()}\n---\n"


def base_model(records: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the hub id, or the name without its folder, of the model that training started from; None from scratch."""
    for record in records:
        if record.get("stage") == _BASE_STAGE:
            path = (record.get("parameters") or {}).get(_BASE_STAGE, {}).get("path")
            return _named(str(path)) if path else None
    return None


def _named(path: str) -> str:
    is_hub_id = path.count("/") == 1 and path[0] not in "./~" and path[-1] != "/" and not Path(path).is_dir()
    return path if is_hub_id else path.rstrip("/").rpartition("/")[2].rpartition(":")[2]


def _hub_name(source: Any) -> str | None:
    name = str(source or "")
    return name.removeprefix(_HUB).partition("@")[0] if name.startswith(_HUB) else None
