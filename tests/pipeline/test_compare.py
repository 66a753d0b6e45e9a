"""The comparison: every arm in a workspace of its own, what they share made once, and the repository left as it was."""

from __future__ import annotations

import re

import pytest

from ascl_core.artifacts import read_json
from tests.pipeline.workspace import Workspace

pytestmark = pytest.mark.timeout(1800)
ASKS = ("compare", "--seeds", "0,1", "--arm", "sft", "--arm", "grpo")


@pytest.mark.long
def test_a_comparison_trains_what_is_new_and_reuses_the_rest(finished: Workspace) -> None:
    before, tracked = finished.snapshot(), finished.run("git", "status", "--porcelain")
    said = finished.ascl(*ASKS)
    done = {name: action for action, name in re.findall(r"^(\w+) +(\w+ in [\w-]+) ", said, re.MULTILINE)}
    assert done["sft in seed-0"] == "restored", said
    assert done["sft in seed-1"] == done["ifpo in seed-1-grpo"] == done["ifpo in seed-0-grpo"] == "ran"
    assert finished.snapshot() == before, "the repository's own outputs are as they were"
    assert finished.run("git", "status", "--porcelain") == tracked
    for seed in (0, 1):
        data = finished.root / f".ascl/workspaces/seed-{seed}/data"
        judged = read_json(data / "records/evaluate_sft.json")["inputs"]["data/models/sft"]
        assert judged == read_json(data / "records/sft.json")["outputs"]["data/models/sft"], "each seed's own checkpoint was evaluated"
    figures = read_json(finished.root / "data/comparison/comparison.json")
    assert figures["seeds"] == [0, 1]
    assert set(figures["figures"]["Consult rate"]) == {"sft", "grpo"}
    assert all(len(estimate["by_seed"]) == 2 for estimate in figures["figures"]["Consult rate"].values())
    assert set(figures["changed_rules"]) == {"sft", "grpo"}
    assert figures["changed_rules"]["sft"]["prompts"] > 0
    assert figures["paired"].keys() == {"sft", "grpo"}
    assert "<svg" in (finished.root / "data/comparison/index.html").read_text(encoding="utf-8")
    again = finished.ascl(*ASKS)
    assert re.search(r"^0 of \d+ stages ran", again, re.MULTILINE), again
