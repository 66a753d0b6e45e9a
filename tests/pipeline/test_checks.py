"""A check that does not pass on what is here now blocks whatever reads what it checks, by every way to start a stage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ascl_core.errors import DataQualityError, RuleError, StageError
from tasks.execution.checks import changes_since_pass, require_checks, upstream_checks
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.stages import BUILD_SFT, CURATE, GATE, IFPO, REPORT, STAGES, VALIDATE_DATA, VALIDATE_RULES, Stage, StageKind
from tests.pipeline.workspace import Workspace, remove

REJECTED = "a rejected row with number"


def test_whoever_reads_what_a_check_tests_waits_for_that_check() -> None:
    for check in (stage for stage in STAGES if stage.kind == StageKind.CHECK):
        tested = check.input_artifacts()[0]
        readers = [stage for stage in STAGES if tested in stage.input_artifacts() and stage != check]
        assert not [stage.name for stage in readers if check not in upstream_checks(stage)], check.name
    assert upstream_checks(IFPO) == [VALIDATE_RULES, VALIDATE_DATA]
    assert upstream_checks(REPORT) == [VALIDATE_RULES, VALIDATE_DATA, GATE]


def with_rejected_rows(workspace: Workspace) -> None:
    """Curate a source that makes one prompt type far too common."""
    rows = "".join(f"{REJECTED} {number} of {number * number}\n" for number in range(6000))
    (workspace.root / "rows.csv").write_text(f"prompt\n{rows}", encoding="utf-8")
    source = "{name: mine, format: rows, path: rows.csv, prompt_type: borderline}"
    workspace.ascl("params", "write", "--set", f"curate.sources=[{{name: own, format: own}}, {source}]")
    workspace.ascl("stages", "write")
    assert bring_up_to_date(CURATE, root=workspace.root).action == "ran"


def with_a_stricter_limit(workspace: Workspace) -> None:
    workspace.ascl("params", "write", "--set", "validate_data.min_rows_per_type=1000000")


def with_a_rule_that_is_wrong(workspace: Workspace) -> None:
    file = workspace.root / "data/rules/CYB.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("policy: comply\n", "policy: complie\n", 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "check", "error"),
    [
        (with_rejected_rows, VALIDATE_DATA, DataQualityError),
        (with_a_stricter_limit, VALIDATE_DATA, DataQualityError),
        (with_a_rule_that_is_wrong, VALIDATE_RULES, RuleError),
    ],
)
def test_a_check_that_failed_does_not_count_with_its_last_pass(
    finished: Workspace, change: Callable[[Workspace], None], check: Stage, error: type[Exception]
) -> None:
    change(finished)
    with pytest.raises(error):
        bring_up_to_date(check, root=finished.root)
    for stage in (one for one in STAGES if check in upstream_checks(one)):
        with pytest.raises(StageError, match=f"needs the check {check.name}, which has not passed since this changed"):
            bring_up_to_date(stage, root=finished.root)
    said = finished.ascl("stages", "run", "build_sft", status=1)
    assert f"{check.name}: build_sft needs the check" in said
    assert f"ascl stages run {check.name}" in said
    said = finished.run("python", "-m", "tasks", "build_sft", status=1)
    assert said.startswith(f"error: {check.name}: build_sft needs the check")
    said = finished.run("dvc", "repro", "--single-item", "--force", "build_sft", status=None)
    assert "build_sft needs the check" in said
    assert not [file for file in (finished.root / "data/sft").glob("*.jsonl") if REJECTED in file.read_text(encoding="utf-8")]


def test_a_check_that_was_not_run_again_or_whose_result_was_edited_does_not_count_either(finished: Workspace) -> None:
    root = finished.root
    assert changes_since_pass(root, VALIDATE_DATA) == []
    result = VALIDATE_DATA.outputs["validation"].path
    content = (root / result).read_bytes()
    remove(root / result)
    (root / result).write_bytes(content + b"\n")
    assert changes_since_pass(root, VALIDATE_DATA) == [result]
    assert bring_up_to_date(VALIDATE_DATA, root=root).action == "restored"
    require_checks(root, BUILD_SFT)
    with_rejected_rows(finished)
    assert changes_since_pass(root, VALIDATE_DATA) == ["data/prompts/prompts.parquet"]
    with pytest.raises(StageError, match=r"data/prompts/prompts\.parquet"):
        bring_up_to_date(BUILD_SFT, root=root)


def test_a_report_needs_the_decision_about_what_it_reports(finished: Workspace) -> None:
    finished.ascl("stages", "run", "report", "--set", "report.sample_conversations=3")
    said = finished.ascl("stages", "run", "report", "--set", "gate.min_utility=0.99", status=1)
    assert "report needs the check gate, which has not passed since this changed: gate" in said
    assert "the gate has not decided on what is here now" in finished.ascl("status")
    finished.ascl("stages", "run", "gate")
    finished.ascl("stages", "run", "report")
    assert "has not decided" not in finished.ascl("status")


def test_a_new_clone_fetches_what_the_checks_need_to_see(finished: Workspace) -> None:
    for path in ("data/compiled", "data/prompts", "data/validation", "data/records", "data/report"):
        remove(finished.root / path)
    said = finished.ascl("stages", "run", "report")
    assert said.startswith(("report restored", "report reused")), said
