"""The order of the stages: it follows from what they read and write, in the registry, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ascl_core.errors import ConfigError
from flows import compare, post_train
from tasks.execution.prefect_stage import StageRunner
from tasks.registry.stages import (
    BASE,
    CORPUS,
    CURATE,
    EVALUATION,
    GATE,
    IFPO,
    INDEX_RULES,
    REPORT,
    RL_CORPUS,
    RULES,
    SFT,
    STAGES,
    VALIDATE_RULES,
    Artifact,
    Stage,
    upstream,
)

ROOT, ARM = Path("/repository"), Path("/repository/.ascl/workspaces/seed-0")


class Recorder(StageRunner):
    """A runner that keeps what each stage would wait for, and what its worktree would fetch, instead of starting it."""

    def __init__(self) -> None:
        super().__init__(root=ROOT)
        self.waits: dict[tuple[Path, str], list[str]] = {}
        self.fetched: dict[tuple[Path, str], Any] = {}

    def _task(self, stage: Stage, root: Path | None, prepare: Any) -> Any:
        recorder, key = self, (root or self._root, stage.name)

        class Task:
            def submit(self, wait_for: list[Any]) -> str:
                recorder.waits[key] = wait_for
                if prepare is not None:
                    prepare()
                return f"{key[0].name}/{stage.name}"

        return Task()


def test_upstream_names_the_stage_that_makes_each_input() -> None:
    made = upstream(IFPO)
    assert {stage.name for stage in made.values()} == {SFT.name, CURATE.name, VALIDATE_RULES.name}
    assert made[RL_CORPUS] == VALIDATE_RULES
    assert upstream(GATE) == dict.fromkeys((EVALUATION.outputs["metrics"], EVALUATION.outputs["results"]), EVALUATION)
    assert RULES not in upstream(VALIDATE_RULES), "people write the rules"


def test_the_registry_lists_each_stage_after_those_that_it_needs_and_every_artifact_has_one_maker() -> None:
    known: set[str] = set()
    for stage in STAGES:
        assert {made.name for made in upstream(stage).values()} <= known, stage.name
        known.add(stage.name)
    outputs = [artifact.path for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)]
    assert len(outputs) == len(set(outputs))
    for stage in STAGES:
        assert {a for a in stage.input_artifacts() if not a.source} == set(upstream(stage)), f"{stage.name} reads what no stage makes"


def test_the_runner_waits_for_exactly_the_stages_upstream_whatever_else_was_submitted() -> None:
    run = Recorder()
    for stage in STAGES:
        run(stage)
        run(stage)  # twice is once
    for stage in STAGES:
        assert set(run.waits[ROOT, stage.name]) == {f"repository/{made.name}" for made in upstream(stage).values()}
    assert len(run.waits) == len(STAGES)
    assert len(run.waits[ROOT, REPORT.name]) == len(STAGES) - 1, "the report reads the records of all others"


def test_a_stage_in_a_worktree_waits_for_the_root_that_makes_each_input_and_fetches_it_from_there() -> None:
    run, fetched = Recorder(), {}
    for stage in (VALIDATE_RULES, INDEX_RULES, CURATE, BASE):
        run(stage)
    run(SFT, worktree=ARM, sources=[ROOT], prepare=lambda made_in: fetched.update(sft=made_in))
    run(IFPO, worktree=ARM, sources=[ROOT], prepare=lambda made_in: fetched.update(ifpo=made_in))
    assert fetched["ifpo"][SFT.outputs["checkpoint"]] == ARM
    assert fetched["ifpo"][RL_CORPUS] == ROOT
    assert set(run.waits[ARM, IFPO.name]) == {"seed-0/sft", "repository/curate", "repository/validate_rules"}
    run(INDEX_RULES, worktree=ARM, sources=[ROOT])
    assert {"seed-0/sft", "seed-0/ifpo"} <= set(run.waits[ARM, INDEX_RULES.name]), "one stage at a time in a worktree"
    assert CORPUS in upstream(INDEX_RULES)


@pytest.mark.parametrize("module", [post_train, compare])
def test_no_flow_repeats_the_edges_of_the_registry(module: Any) -> None:
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert "wait_for" not in source
    assert ".submit(" not in source


@pytest.mark.parametrize(
    "outputs", [{"a": CORPUS}, {"a": Artifact("data/new"), "b": Artifact("data/new")}], ids=["an input", "another output"]
)
def test_an_output_that_is_something_else_too_is_an_error_where_the_stage_is_defined(outputs: dict[str, Artifact]) -> None:
    with pytest.raises(ConfigError, match="an output is also an input, or another output") as caught:
        Stage(name="new", function="module:function", summary="", sections=(), inputs={"corpus": CORPUS}, outputs=outputs)
    assert (caught.value.field, caught.value.value) == ("stage new", outputs["a"].path)
