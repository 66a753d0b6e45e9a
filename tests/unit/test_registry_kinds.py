"""A stage that is added to the registry is known, by its kind, wherever kinds of stages and artifacts are asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ADDED = """
_DISTILLED = Stage(
    name="sft_distilled",
    kind=StageKind.TRAINING,
    function="ascl_core.sft.train:sft",
    summary="",
    sections=("sft",),
    inputs={"trajectories": (Artifact("data/sft/distilled.jsonl", ArtifactKind.TRAJECTORIES),), "base": BASE_MODEL},
    outputs={"checkpoint": _checkpoint("sft_distilled"), "log": _log("sft_distilled")},
)
STAGES = (*STAGES, _DISTILLED, _evaluate(_DISTILLED))
"""
ASK = """
import json
from tasks.evidence.attestations import _TESTED
from tasks.lineage import reads, row_counts

names = {"trains": reads._TRAINS, "evaluates": reads._EVALUATES, "data sets": reads.DATA_SETS, "checkpoints": reads.CHECKPOINTS}
print(json.dumps({**{name: sorted(value) for name, value in names.items()}, "keys": row_counts.KEYS, "tested": _TESTED}))
"""


def ask(tree: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def test_a_new_stage_is_one_entry_in_the_registry(tmp_path: Path) -> None:
    """Its data set, checkpoint, table of results and tested artifact are known to lineage and evidence."""
    shutil.copytree(ROOT / "tasks", tmp_path / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "ascl_core").symlink_to(ROOT / "ascl_core")
    registry = tmp_path / "tasks" / "registry" / "stages.py"
    text = registry.read_text(encoding="utf-8")
    before, found, after = text.partition("\n_PRODUCERS = ")
    assert found
    registry.write_text(before + ADDED + found + after, encoding="utf-8")
    known = ask(tmp_path)
    assert "data/sft/distilled.jsonl" in known["data sets"]
    assert "data/models/sft_distilled" in known["checkpoints"]
    assert known["keys"]["data/sft/distilled.jsonl"] == ["id"]
    assert known["keys"]["data/evaluation/sft_distilled/results.parquet"] == ["suite", "prompt_id", "sample"]
    assert "sft_distilled" in known["trains"]
    assert "evaluate_sft_distilled" in known["evaluates"]
    assert known["tested"]["evaluate_sft_distilled"] == "data/models/sft_distilled"
