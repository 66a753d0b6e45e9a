"""`ascl eval`: any checkpoint, into any folder, and what is in the folder never counts for another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.artifacts import digest, read_json, read_parquet
from tests.pipeline.workspace import Workspace


def evaluated(workspace: Workspace, checkpoint: str, folder: Path, *options: str) -> list[str]:
    """What the checkpoint said, by the results; the metrics name it."""
    workspace.ascl("eval", checkpoint, "--out", str(folder), *options)
    assert read_json(folder / "metrics.json")["checkpoint_sha256"] == digest(workspace.root / checkpoint)
    return list(read_parquet(folder / "results.parquet", ["text"])["text"].to_pylist())


@pytest.mark.long
def test_one_folder_serves_many_checkpoints_and_parameters(finished: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    sft = evaluated(finished, "data/models/sft", folder)
    assert evaluated(finished, "data/models/base", folder) != sft
    finished.ascl("params", "write", "--set", "evaluate.seed=1")
    assert evaluated(finished, "data/models/sft", folder) != sft
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "progress.jsonl", "results.parquet"]


def test_an_error_names_the_parameter_and_not_an_earlier_problem(finished: Workspace, tmp_path: Path) -> None:
    (tmp_path / "error.json").write_text("{}")
    file = finished.root / "params.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("max_new_tokens: 8", "max_new_token: 8"), encoding="utf-8")
    said = finished.ascl("eval", "data/models/sft", "--out", str(tmp_path), status=1)
    assert "evaluate.max_new_token" in said
    assert "did you mean 'max_new_tokens'?" in said
