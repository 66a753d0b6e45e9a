"""The pages and questions that Prefect's UI shows, as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from ascl_core.config.gate import GateConfig
from ascl_core.config.suites import DISTRACTORS, FORGED_RULES
from ascl_core.errors import ReleaseError
from ascl_core.evaluation.gate import _attacks, _thresholds
from tasks.deployment.approving import question, require_trainer
from tasks.deployment.pages import figures, plan_page, table
from tasks.evidence.trust import Role, new_key
from tasks.execution.plan import Plan, Step
from tasks.releases.candidate import Candidate, Judged
from tasks.repository.git import git
from tasks.repository.staleness import _shown
from tasks.repository.worktrees import NOBODY
from tasks.runs.advice import advise
from tasks.runs.summary import Decision, gate_markdown, shortened

DIGEST = "0123456789abcdef" * 4
_CONFIG = GateConfig(min_h_avg=0.5)
CRITERIA = [one["name"] for one in (*_thresholds(_CONFIG, {}), *_attacks(_CONFIG, {FORGED_RULES: {}, DISTRACTORS: {}}))]


def make_candidate(*failed: str) -> Candidate:
    criteria = [{"name": name, "passed": name not in failed, "reason": f"{name} is too low"} for name in ("safety rate", "utility")]
    decision = {"criteria": criteria, "summary": f"failed: {', '.join(failed)}" if failed else "all 2 criteria hold", "released": None}
    return Candidate(Judged("20260131-retrain-0a1b2c3d", "f" * 40, DIGEST, "e" * 64, failed), decision, {}, "d" * 64, None)


def headline(value: float) -> dict[str, dict[str, float] | None]:
    return {"utility": {"value": value, "low": 0.1, "high": 0.9}, "safety_rate": {"value": value, "low": 0.2, "high": 0.8}, "h": None}


def test_figures_stand_side_by_side_in_the_order_of_the_report_and_without_those_that_nobody_has() -> None:
    assert figures({"sft": headline(0.5), "ifpo": {"safety_rate": None, "utility": headline(0.25)["utility"]}}) == table(
        ("", "sft", "ifpo"), [("Safety rate", "0.500 [0.200, 0.800]", ""), ("Utility", "0.500 [0.100, 0.900]", "0.250 [0.100, 0.900]")]
    )


def test_more_checkpoints_than_a_page_carries_stand_below_each_other() -> None:
    lines = figures({f"run-{number}": headline(0.5) for number in range(6)}).splitlines()
    assert lines[0] == "|  | Safety rate | Utility |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| run-{number}" for number in range(6)]


@pytest.mark.parametrize(
    ("reasons", "shown"),
    [([], ""), (["a", "b"], "a; b"), (["a", "b", "c", "d"], "a; b; and 2 more")],
)
def test_a_row_carries_two_reasons_and_says_how_many_more_there_are(reasons: list[str], shown: str) -> None:
    assert shortened(reasons) == shown


def test_each_criterion_that_failed_has_a_line_of_its_own() -> None:
    decision = Decision(False, "failed: utility, safety rate", ("utility: too low", "safety rate: too low"))
    assert gate_markdown(decision) == "**Gate: not passed.** What failed:\n\n- utility: too low\n- safety rate: too low\n"
    assert gate_markdown(Decision(True, "all 2 criteria hold", ())) == "**Gate: passed.** all 2 criteria hold\n"


def test_the_digest_and_the_command_to_sign_stand_in_lines_of_their_own() -> None:
    lines = question(make_candidate(), push=False).splitlines()
    assert "The release pushes nothing." in lines
    assert "to origin." in question(make_candidate(), push=True)
    assert "The gate passed: all 2 criteria hold" in lines
    assert "`ascl approve 20260131-retrain-0a1b2c3d --reason '…'`" in lines
    assert f"`{DIGEST}`" in lines


def test_a_worker_whose_key_cannot_sign_releases_says_so_before_anybody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASCL_TRAINER_KEY", raising=False)
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    new_key(root, Role.TRAINER, "ci", tmp_path / "ci.pem")
    new_key(root, Role.APPROVER, "ada", tmp_path / "ada.pem")
    git(root, "add", "data")
    git(root, "commit", "--quiet", "-m", "keys", environment=NOBODY)
    with pytest.raises(ReleaseError, match="ASCL_TRAINER_KEY"):
        require_trainer(root)
    monkeypatch.setenv("ASCL_TRAINER_KEY", str(tmp_path / "ada.pem"))
    with pytest.raises(ReleaseError, match="trainer"):
        require_trainer(root)
    monkeypatch.setenv("ASCL_TRAINER_KEY", str(tmp_path / "ci.pem"))
    require_trainer(root)


def test_a_gate_that_did_not_pass_asks_for_two_persons_and_says_what_failed() -> None:
    asked = question(make_candidate("utility"), problem="2 signed approvals are needed", push=False)
    assert asked.startswith("**The last answer was not accepted:** 2 signed approvals are needed\n\n")
    assert "- utility: utility is too low\n" in asked
    assert "safety rate" not in asked
    assert "Two people sign" in asked
    assert "ascl approve 20260131-retrain-0a1b2c3d --reason '…' --override`\n" in asked


def step(action: Literal["run", "restore", "reuse", "follow"], seconds: float | None) -> Step:
    return Step("sft", action, ("because",), seconds)


def test_a_plan_counts_what_runs_follows_is_restored_and_is_up_to_date_each_by_itself() -> None:
    steps = (step("run", 4.0), step("follow", 6.0), step("follow", None), step("restore", 0.0), step("reuse", 0.0))
    summary = "1 of 5 stages would run, 2 run only if these change their inputs, 1 would be restored, 1 are up to date"
    assert Plan(steps, None).summary == f"{summary}: at most 10 s by their last times, 1 never ran here"
    assert Plan(steps[3:], None).summary == "nothing would run: 1 would be restored, 1 are up to date"
    assert Plan((*steps[2:3], step("run", None)), None).summary.endswith("inputs: 2 never ran here")
    assert plan_page(Plan(steps, None)).startswith(f"**{summary}")


def test_a_refused_gate_names_likely_causes_and_the_commands_that_help() -> None:
    assert advise([], "release/1") == []
    lines = advise(["utility: too low", "safety rate: no data: a criterion without data fails"], None)
    assert [line.partition(":")[0] for line in lines] == ["likely cause", "likely cause", "try", "or"]
    assert "base model's utility" in lines[0]
    assert "without data" in lines[1]
    assert "ascl approve --override --reason" in lines[-1]
    compared = advise(["not worse than the release: safety: worse"], "release/1", "20260131-retrain-0a1b2c3d")
    assert any("ascl lineage diff released 20260131-retrain-0a1b2c3d" in line for line in compared)
    assert "ascl approve 20260131-retrain-0a1b2c3d --override" in compared[-1]


@pytest.mark.parametrize("name", [*CRITERIA, "not worse than the release: safety", "comparison with the release"])
def test_every_criterion_of_the_gate_has_a_likely_cause(name: str) -> None:
    assert advise([f"{name}: too low"], None)[0].startswith("likely cause: "), name


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "not set"), (0.5, "0.5"), ("ifpo", "ifpo"), (True, "true"), ([{"format": "xstest"}], '[{"format": "xstest"}]')],
)
def test_a_reason_shows_a_parameter_as_a_person_would_write_it(value: object, shown: str) -> None:
    assert _shown(value) == shown


def test_a_long_value_in_a_reason_keeps_its_two_ends() -> None:
    text = _shown({"path": "x" * 200})
    assert text.startswith('{"path": "xx')
    assert text.endswith('x"}')
    assert len(text) < 100
