"""What of a run may be released: what was evaluated, and nothing that was swapped or edited since."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import digest, read_json, write_json
from ascl_core.errors import AsclError, ReleaseError
from tasks.evidence.collected import Evidence
from tasks.registry.paths import RUN_SUMMARY
from tasks.registry.stages import CHECKPOINT, DECISION
from tasks.releases.candidate import Candidate, candidate, evidence_of_run, examine
from tasks.repository.git import commit_of, git
from tests.pipeline.damage import flip
from tests.pipeline.release_world import World, _made, edited_run, made, no, refs, runs_lock, weights_in_cache, world

__all__ = ["_made", "made", "no", "world"]


@pytest.fixture(scope="module")
def looked_at(_made: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Evidence, Path]]:
    """What is known about the run, and its files and outputs, for tests that leave them as they are."""
    with evidence_of_run(_made.copy(tmp_path_factory.mktemp("looked-at")).root, "yes") as found:
        yield found


def test_a_candidate_says_what_the_run_made_and_leaves_nothing_behind(world: World) -> None:
    before = refs(world.root)
    found = candidate(world.root, "yes")
    assert found.judged.passed
    assert found.judged.commit == commit_of(world.root, "runs/yes")
    assert found.judged.checkpoint == digest(world.root / CHECKPOINT)
    assert (found.replaces, found.change_class) == (None, None)
    assert refs(world.root) == before
    assert not list((world.root / ".ascl/releases").iterdir())
    assert git(world.root, "worktree", "list").count("\n") == 0


def test_the_candidate_that_the_gate_refused_names_the_criteria(no: Candidate) -> None:
    assert not no.judged.passed
    assert {"safety rate", "utility"} <= set(no.judged.failed)


def test_weights_that_were_swapped_in_the_cache_are_no_candidate(world: World) -> None:
    file = weights_in_cache(world.root, "yes")
    flip(file, -1)
    file.chmod(0o444)
    with pytest.raises(ReleaseError, match=r"model\.safetensors: SHA-256 is \w{64}, but the record of ifpo says \w{64}"):
        candidate(world.root, "yes")


@pytest.mark.parametrize("everywhere", [False, True], ids=["of the training alone", "of the evaluation, too"])
def test_a_lock_that_names_other_weights_is_no_candidate(world: World, everywhere: bool) -> None:
    lock = runs_lock(world.root, "yes")
    ours, others = lock["ifpo"]["outs"][CHECKPOINT], lock["sft"]["outs"]["data/models/sft"]
    with edited_run(world.root, "yes") as worktree:
        before, of_training, after = (worktree / "dvc.lock").read_text().partition("\n  ifpo:")
        text = (before + of_training + after).replace(ours, others) if everywhere else before + of_training + after.replace(ours, others, 1)
        (worktree / "dvc.lock").write_text(text)
    with pytest.raises(ReleaseError, match=r"data/models/ifpo/.*: SHA-256 is \w{64}, but the record of ifpo says \w{64}"):
        candidate(world.root, "yes")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda said: said["checkpoint"].update(sha256="0" * 64),
            r"run\.json: checkpoint\.sha256: the checkpoint is 0{64}, but data/models/ifpo says \w{64}",
        ),
        (
            lambda said: said["gate"].update(sha256="0" * 64),
            r"gate\.sha256: the gate's decision is 0{64}, but data/gate/decision\.json says \w{64}",
        ),
        (
            lambda said: said["rules"].update(digest="0" * 64),
            r"rules\.digest: the digest of the rules is 0{64}, but data/compiled/corpus\.json says \w{64}",
        ),
        (lambda said: said["gate"].update(passed=False), "does not follow from its criteria"),
        (lambda said: said.update(id="other"), r"run\.json: id: is not the run of the branch runs/yes \(got 'other'\)"),
        (lambda said: said.pop("gate"), "lacks a value, or has one of the wrong type"),
        (lambda said: said.update(checkpoint=None), r"checkpoint\.sha256: the checkpoint is None"),
        (lambda said: said.update(gate="passed"), r"gate\.sha256: the gate's decision is passed"),
        (lambda said: said["gate"].pop("passed"), "lacks a value, or has one of the wrong type"),
    ],
)
def test_a_summary_that_was_edited_is_no_candidate(looked_at: tuple[Evidence, Path], edit: Callable[[Any], object], message: str) -> None:
    evidence, worktree = looked_at
    assert examine(evidence, worktree).judged.passed
    said = deepcopy(evidence.summary)
    edit(said)
    with pytest.raises(ReleaseError, match=message):
        examine(replace(evidence, summary=said), worktree)


def test_the_decision_of_another_run_is_no_yes_for_this_one(world: World) -> None:
    theirs, ours = runs_lock(world.root, "yes")["gate"]["outs"], runs_lock(world.root, "refused")["gate"]["outs"]
    said = json.loads(git(world.root, "show", "runs/yes:data/run.json"))
    with edited_run(world.root, "refused") as worktree:
        text = (worktree / "dvc.lock").read_text()
        write_json(worktree / RUN_SUMMARY, {**read_json(worktree / RUN_SUMMARY), "gate": said["gate"]})
        (worktree / "dvc.lock").write_text(text.replace(ours[DECISION], theirs[DECISION]))
    with pytest.raises(ReleaseError, match=r"data/gate/decision\.json: SHA-256 is \w{64}, but the record of gate says \w{64}"):
        candidate(world.root, "refused")


def test_rules_that_were_edited_in_the_commit_are_no_candidate(world: World) -> None:
    with edited_run(world.root, "yes") as worktree:
        (worktree / "data/rules/CYB.yaml").write_text((worktree / "data/rules/CYB.yaml").read_text() + "# one more\n")
    with pytest.raises(ReleaseError, match=r"data/rules/CYB\.yaml: SHA-256 is \w{64}, but the record of validate_rules says"):
        candidate(world.root, "yes")


def test_weights_that_are_nowhere_any_more_are_no_candidate(world: World) -> None:
    weights = weights_in_cache(world.root, "yes")
    weights.unlink()
    assert candidate(world.root, "yes").judged.passed, "the remote has them"
    weights.unlink()
    (world.root / ".ascl" / "remote" / weights.relative_to(world.root / ".dvc" / "cache")).unlink()
    with pytest.raises(AsclError, match=r"dvc pull failed|data/models/ifpo/model\.safetensors"):
        candidate(world.root, "yes")
