"""What makes a stage stale, and that it makes no other one stale."""

from __future__ import annotations

import re

import pytest

from ascl_core.artifacts import read_json
from tasks.execution.plan import make_plan
from tasks.registry.code import code_files
from tasks.registry.parameters import planned_values
from tasks.registry.stages import EVALUATE, STAGES, get_stage
from tasks.repository.params_file import write_params
from tasks.repository.staleness import staleness
from tests.pipeline.workspace import Workspace, remove

TRAINS = {"sft", "sft_direct_refusal", "sft_context_distillation"}
EVALUATES = {stage.name for stage in EVALUATE.values()}
USERS = {
    "ascl_core/rl/advantages.py": {"ifpo"},
    "ascl_core/rewards/reward.py": {"ifpo"},
    "ascl_core/sft/trainer.py": TRAINS,
    "ascl_core/sft/templated_teacher.py": {"build_sft"},
    "ascl_core/data/near_duplicates.py": {"curate"},
    "ascl_core/data/expectations.py": {"validate_data"},
    "ascl_core/evaluation/metrics.py": EVALUATES | {"build_suites", "report"},
    "ascl_core/rules/retrieval.py": {"build_sft", "ifpo", "index_rules", *EVALUATES},
    "ascl_core/report/style.css": {"report"},
    "ascl_core/judges/exemplars.jsonl": {"build_sft", "ifpo", *EVALUATES},
    # a file of data belongs to its whole package
    "ascl_core/conversation/chat_template.jinja": {stage.name for stage in STAGES} - {"validate_rules", "curate", "validate_data", "gate"},
    "ascl_core/artifacts.py": {stage.name for stage in STAGES},
    "flows/post_train.py": set(),
    "tasks/execution/runner.py": set(),
    "README.md": set(),
}


def stale(workspace: Workspace) -> set[str]:
    return {name for name, why in staleness(workspace.root, list(STAGES)).items() if why}


def test_an_edit_makes_stale_exactly_the_stages_that_use_the_file(finished: Workspace) -> None:
    assert stale(finished) == set()
    for path, users in USERS.items():
        file = finished.root / path
        before = file.read_bytes()
        file.write_bytes(before + (b"\nCHANGED = 1\n" if path.endswith(".py") else b"\n"))
        found = staleness(finished.root, list(STAGES))
        assert {name for name, why in found.items() if why} == users, path
        assert all(path in reason for why in found.values() for reason in why.reasons)
        file.write_bytes(before)
    assert stale(finished) == set()


@pytest.mark.parametrize(
    ("setting", "users", "reason"),
    [
        ("sft.max_steps=7", TRAINS, "sft.max_steps: 24 → 7"),
        ("ifpo.rebalance=none", {"ifpo"}, "ifpo.rebalance: ifpo → none"),
        ("gate.min_utility=0.1", {"gate"}, "gate.min_utility: 0.5 → 0.1"),
        ("evaluate.seed=1", EVALUATES, "evaluate.seed: 0 → 1"),
        ("ifpo.seed=0", set(), ""),
    ],
)
def test_a_parameter_makes_stale_the_stages_that_read_it(finished: Workspace, setting: str, users: set[str], reason: str) -> None:
    write_params(finished.root, None, [setting])
    found = {name: why.reasons for name, why in staleness(finished.root, list(STAGES)).items() if why}
    assert found == dict.fromkeys(users, (reason,))


def test_a_plan_with_another_parameter_says_what_it_would_run_and_why_and_writes_nothing(finished: Workspace) -> None:
    said = finished.ascl("plan", "--set", "sft.max_steps=7")
    assert set(re.findall(r"^(\w+) +run ", said, re.MULTILINE)) == TRAINS
    assert "sft.max_steps: 24 → 7" in said
    assert stale(finished) == set()


def test_a_comment_on_a_rule_runs_the_stage_that_compiles_it(finished: Workspace) -> None:
    file = finished.root / "data/rules/CYB.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    steps = {step.stage: step for step in make_plan(finished.root).steps}
    assert steps["validate_rules"].action == "run"
    assert steps["validate_rules"].reasons == ("data/rules changed",)
    assert {name for name, step in steps.items() if step.action != "reuse"} == {"validate_rules", "report"}
    said = finished.ascl("run")
    ran = re.findall(r"^ran +(\w+) ", said, re.MULTILINE)
    assert ran == ["validate_rules", "report"], "a comment compiles to the same corpus: only the record that the report shows is new"
    git = read_json(finished.root / "data/records/validate_rules.json")["git"]
    assert (git["dirty"], len(git["diff"])) == (True, 64)


def test_rules_that_do_not_compile_are_planned_for_as_if_anything_might_follow(finished: Workspace) -> None:
    (finished.root / "data/rules/CYB.yaml").write_text("rules: [", encoding="utf-8")
    plan = make_plan(finished.root)
    assert plan.change is None
    assert [step.stage for step in plan.steps if step.action == "run"] == ["validate_rules"]
    assert all(step.action == "follow" for step in plan.steps if step.stage != "validate_rules")


def test_outputs_that_are_recorded_and_not_here_are_restored_in_the_plan_too(finished: Workspace) -> None:
    for stage in STAGES:
        for artifact in (*stage.outputs.values(), stage.record):
            remove(finished.root / artifact.path)
    plan = make_plan(finished.root)
    assert {step.action for step in plan.steps} == {"restore"}
    assert plan.summary == f"nothing would run: {len(STAGES)} would be restored"


def test_a_last_time_is_unknown_for_other_parameters(finished: Workspace) -> None:
    values = planned_values(finished.root, None, ("ifpo.max_steps=13",))
    seconds = {step.stage: step.seconds for step in make_plan(finished.root, frozenset({"sft"}), values).steps}
    assert seconds["sft"]
    assert seconds["ifpo"] is None
    assert seconds["evaluate_ifpo"] is None


def test_a_command_that_changed_in_the_registry_is_a_reason(finished: Workspace) -> None:
    file = finished.root / "dvc.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("tasks/stage.sh gate", "tasks/stage.sh gate "), encoding="utf-8")
    said = finished.ascl("run", status=1)
    assert "dvc.yaml" in said
    assert "ascl stages write" in said


def test_code_of_a_stage_is_what_it_imports_and_their_data(fresh: Workspace) -> None:
    files = code_files(fresh.root, get_stage("gate"))
    assert {"ascl_core/evaluation/gate.py", "ascl_core/evaluation/paired.py", "ascl_core/artifacts.py", "ascl_core/__init__.py"} <= set(
        files
    )
    assert not [name for name in files if "/rl/" in name or "/sft/" in name or name.startswith(("tasks", "flows"))]
