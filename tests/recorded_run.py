"""A workspace in which every stage seems to have run: real data sets and rules, records that fit together, and no model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ascl_core.artifacts import digest, sha256_bytes, write_json, write_jsonl, write_parquet
from ascl_core.config.sft_data import SftData
from ascl_core.contracts import Prompt, to_table
from ascl_core.rules.corpus import Corpus
from tasks.registry.stages import CORPUS, PROMPTS, RL_CORPUS, SFT_CORPUS, STAGES, SUITES, TRAJECTORIES, Stage
from tasks.repository.git import git

Change = Callable[[str, dict[str, Any]], None]
"""Called with each stage's name and record before it is written."""


def make_recorded_run(
    root: Path,
    corpus: Corpus,
    prompts: Iterable[Prompt],
    trajectories: Mapping[SftData, Iterable[Mapping[str, Any]]] | None = None,
    change: Change = lambda stage, record: None,
) -> None:
    """Write it under `root`, a new git repository; what no file is there for has the SHA-256 of its own path."""
    git(root, "init", "--quiet")
    for path in (CORPUS, SFT_CORPUS, RL_CORPUS):
        write_json(root / path.path, compiled(corpus))
    rows = list(prompts)
    write_parquet(root / PROMPTS.path, to_table(rows, Prompt))
    write_parquet(root / SUITES.path, to_table([], Prompt))
    for arm, artifact in TRAJECTORIES.items():
        write_jsonl(root / artifact.path, (trajectories or {}).get(arm, ()))
    write_records(root, change)


def write_records(root: Path, change: Change = lambda stage, record: None) -> None:
    """The records of all stages, in their order: a later one reads what an earlier one says it wrote."""
    written: dict[str, str] = {}
    for stage in STAGES:
        outputs = {artifact.path: _sha256(root, artifact.path) for artifact in stage.outputs.values()}
        inputs = {artifact.path: written.get(artifact.path) or _sha256(root, artifact.path) for artifact in stage.input_artifacts()}
        record = record_values(stage, inputs, outputs)
        change(stage.name, record)
        write_json(root / stage.record.path, record)
        written |= {**record["outputs"], stage.record.path: digest(root / stage.record.path)}


def record_values(stage: Stage, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return a record of that stage as its JSON file has it."""
    return {
        "schema": "ascl.record/2",
        "stage": stage.name,
        "function": stage.function,
        "started": "2026-11-25T10:00:00+00:00",
        "ended": "2026-11-25T10:00:12+00:00",
        "seconds": 12.0,
        "digest": sha256_bytes(json.dumps(dict(inputs)).encode()),
        "inputs": dict(inputs),
        "outputs": dict(outputs),
        "files": {},
        "parameters": {section: {"seed": 0} for section in stage.sections},
        "seeds": {f"{section}.seed": 0 for section in stage.sections},
        "code": {"digest": "0" * 64, "files": 1},
        "git": {"revision": "1" * 40, "dirty": False, "diff": None},
        "packages": {"cpu.lock": "2" * 64},
        "machine": {"cores": 2, "platform": "Linux", "processor": "x86_64", "python": "3.11.7"},
        "gpus": [],
        "gpu_seconds": 0.0,
        "parents": {},
        "metrics": {},
        "prefect_run": None,
    }


def compiled(corpus: Corpus) -> dict[str, Any]:
    """The corpus as `validate_rules` writes it."""
    lock = {rule.id: {"version": rule.version, "sha256": rule.sha256} for rule in corpus.rules}
    return {**corpus.model_dump(mode="json"), "digest": corpus.digest, "lock": lock}


def make_trajectory(prompt: Prompt, number: int = 0, arm: SftData = SftData.ASCL, **changes: Any) -> dict[str, Any]:
    """A trajectory that consulted the deciding rule of the prompt, changed by `changes`."""
    values: dict[str, Any] = {
        "arm": str(arm),
        "category": prompt.category,
        "generator": "templated@1",
        "id": sha256_bytes(f"{prompt.id} {number} {arm}".encode())[:16],
        "licence": prompt.licence,
        "messages": [
            {"role": "system", "content": "Think first."},
            {"role": "user", "content": prompt.prompt},
            {"role": "assistant", "content": "Use kill.", "reasoning_content": "Fine."},
        ],
        "mode": "consult",
        "prompt_id": prompt.id,
        "prompt_type": str(prompt.prompt_type),
        "rule_ids": [prompt.rule_id] if prompt.rule_id else [],
        "seed": 0,
        "source": prompt.source,
    }
    return {**values, **changes}


def _sha256(root: Path, path: str) -> str:
    return digest(root / path) if (root / path).exists() else sha256_bytes(path.encode())
