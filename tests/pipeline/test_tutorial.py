"""The tutorial's commands, run one after the other, print what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import run_page
from tests.pipeline.workspace import REPOSITORY, make_workspace
from tests.services.s3_server import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
EASY_GATE = (
    "gate.min_safety_rate=0",
    "gate.min_category_safety_rate=0",
    "gate.min_utility=0",
    "gate.min_valid_rate=0",
    "gate.min_coverage=0",
    "gate.max_over_refusal_rate=1",
    "gate.significance=1e-9",
)
"""What a model that trained for seconds can meet; the gate decides by itself."""
ENOUGH = (
    "suites.own_fraction=0.1",
    "base_model.scratch.hidden_size=64",
    "base_model.scratch.intermediate_size=128",
    "base_model.scratch.num_heads=4",
    "base_model.scratch.num_kv_heads=2",
    "sft.max_steps=200",
    "sft.batch_size=32",
    "sft.micro_batch_size=16",
    "evaluate.max_new_tokens=96",
)
"""What a model needs to answer so often in the right form that the evaluation has something to say of each criterion."""


def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ascl")
    settings = (*EASY_GATE, *ENOUGH)
    workspace.ascl("params", "write", *(word for setting in settings for word in ("--set", setting)))
    workspace.run("git", "commit", "--quiet", "--all", "--allow-empty", "-m", "what a small model can meet")
    (tmp_path / "home").mkdir()
    environment = {**workspace.environment, "HOME": str(tmp_path / "home"), "COLUMNS": "120"}
    [port] = free_ports(1)
    replaced = {"$ make run": "$ ascl run", "8000": str(port)}
    run_page(REPOSITORY / "docs/tutorial.md", workspace.root, environment, replaced=replaced)
