"""What a run reuses and restores: what is up to date when it is due, and nothing below a stage that it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.execution.prefect_stage import StageRunner
from tasks.execution.up_to_date import Outcome
from tasks.registry.stages import STAGES, VALIDATE_RULES, Stage
from tasks.repository import dvc
from tests.pipeline.workspace import Workspace, edit, ran, remove


def run_all(workspace: Workspace, done: Callable[[Stage, Outcome], None] = lambda stage, outcome: None) -> dict[str, str]:
    """What a run does with every stage."""

    @flow(persist_result=False)
    def work() -> dict[str, str]:
        with StageRunner(root=workspace.root, done=done) as run:
            for stage in STAGES:
                run(stage)
            return {outcome.stage: outcome.action for outcome in run.outcomes()}

    assert workspace.api_url is not None
    with temporary_settings({PREFECT_API_URL: workspace.api_url}):
        return work()


def lose(workspace: Workspace, *stages: Stage) -> None:
    """Remove all that these stages have written."""
    for stage in stages:
        for artifact in (*stage.outputs.values(), stage.record):
            remove(workspace.root / artifact.path)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands of DVC that this process runs."""
    commands, run = list[str](), dvc.run

    def count(root: Any, command: str, *arguments: str) -> Any:
        commands.append(command)
        return run(root, command, *arguments)

    monkeypatch.setattr(dvc, "run", count)
    return commands


def test_a_forced_stage_makes_what_reads_it_run(finished: Workspace) -> None:
    assert ran(finished.ascl("run", "--force", "gate")) == ["gate", "report"], "the report shows the records, and that of the gate is new"


def test_a_stage_whose_parameters_change_while_the_run_works_is_not_reused(finished: Workspace) -> None:
    def change(stage: Stage, outcome: Outcome) -> None:
        if stage == VALIDATE_RULES:
            edit(finished.root / "params.yaml", "min_utility: 0.5", "min_utility: 0.4")

    actions = run_all(finished, change)
    assert {name for name, action in actions.items() if action != "reused"} == {"gate", "report"}


def test_all_that_is_lost_and_still_right_is_restored_at_once(finished: Workspace, called: list[str]) -> None:
    recorded = finished.recorded()
    lose(finished, *STAGES)
    edit(finished.root / "params.yaml", "min_utility: 0.5", "min_utility: 0.4")
    assert run_all(finished) == {stage.name: "ran" if stage.name in ("gate", "report") else "restored" for stage in STAGES}
    assert called == ["checkout", "commit", "commit"]
    assert {path: md5 for path, md5 in finished.recorded().items() if not path.startswith("data/gate")} == {
        path: md5 for path, md5 in recorded.items() if not path.startswith("data/gate")
    }


def test_one_stage_that_is_lost_is_restored_and_nothing_else_is_touched(finished: Workspace, called: list[str]) -> None:
    own = str(finished.root / next(iter(VALIDATE_RULES.outputs.values())).path)
    before = finished.snapshot()
    lose(finished, VALIDATE_RULES)
    assert {stage: action for stage, action in run_all(finished).items() if action != "reused"} == {VALIDATE_RULES.name: "restored"}
    assert called == ["checkout"]
    after = finished.snapshot()
    assert {file for file in before.keys() | after.keys() if before.get(file) != after.get(file)} <= {own}
