"""The pages and questions that Prefect's UI shows, as Markdown."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import pytest

from ascl_core.config.gate import GateConfig
from ascl_core.config.profiles import profile_names, resolve_profile
from ascl_core.config.suites import DISTRACTORS, FORGED_RULES
from ascl_core.errors import ReleaseError
from ascl_core.evaluation.gate import _attacks, _thresholds
from ascl_core.report.advice import Advice, advise
from flows.cli.lineage.diff import _figures
from flows.forms import PromoteForm, Training
from tasks.deployment.approving import question, require_trainer
from tasks.deployment.pages import advice_markdown, figures, plan_page, table
from tasks.evidence.trust import Role, new_key
from tasks.execution.plan import Plan, Step, _with_other_parameters
from tasks.lineage.diff import Metric
from tasks.registry.parameters import differing
from tasks.registry.stages import SFT, STAGES
from tasks.releases.candidate import Candidate, Judged
from tasks.repository.git import git
from tasks.repository.staleness import Staleness, _change, in_words
from tasks.repository.worktrees import NOBODY
from tasks.runs.summary import Decision, gate_markdown, shortened
from tests.pipeline.workspace import REPOSITORY
from tests.shown_commands import Shown, problem

DIGEST = "0123456789abcdef" * 4
_CONFIG = GateConfig(min_h_avg=0.5)
CRITERIA = [one["name"] for one in (*_thresholds(_CONFIG, {}), *_attacks(_CONFIG, {FORGED_RULES: {}, DISTRACTORS: {}}))]


def make_candidate(*failed: str) -> Candidate:
    criteria = [{"name": name, "passed": name not in failed, "reason": f"{name} is too low"} for name in ("safety rate", "utility")]
    decision = {"criteria": criteria, "summary": f"failed: {', '.join(failed)}" if failed else "all 2 criteria hold", "released": None}
    return Candidate(Judged("20260131-retrain-0a1b2c3d", "f" * 40, DIGEST, "e" * 64, failed), decision, {}, "d" * 64, None, "c" * 64)


def headline(value: float) -> dict[str, dict[str, float] | None]:
    return {"utility": {"value": value, "low": 0.1, "high": 0.9}, "safety_rate": {"value": value, "low": 0.2, "high": 0.8}, "h": None}


def test_figures_stand_side_by_side_in_the_order_of_the_report_and_without_those_that_nobody_has() -> None:
    assert figures({"sft": headline(0.5), "ifpo": {"safety_rate": None, "utility": headline(0.25)["utility"]}}) == table(
        ("", "sft", "ifpo"), [("Safety rate", "50.0 % [20.0–80.0 %]", ""), ("Utility", "50.0 % [10.0–90.0 %]", "25.0 % [10.0–90.0 %]")]
    )


def test_a_rate_is_shown_in_percent_and_a_mean_as_a_number() -> None:
    rate = {"value": 0.463, "low": 0.399, "high": 0.528}
    before = Metric("safety_rate", "Safety rate", rate, None)
    assert _figures(before) == "Safety rate: 46.3\u202f% [39.9–52.8\u202f%] → no data"
    mean = {"value": 48.33, "low": 44.06, "high": 52.0}
    assert _figures(Metric("tokens_per_answer", "Tokens", None, mean)) == "Tokens: no data → 48.3 [44.1–52.0]"


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
    assert f"`{DIGEST[:32]}` `{DIGEST[32:]}`" in lines


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


def test_no_word_of_the_question_is_too_long_for_prefects_dialog() -> None:
    for failed in ((), ("utility",)):
        asked = question(make_candidate(*failed), push=False)
        assert DIGEST in asked.replace("` `", "")
        assert max(map(len, asked.split())) <= 40


def step(action: Literal["run", "restore", "reuse", "follow"], seconds: float | None) -> Step:
    return Step("sft", action, ("because",), seconds)


def test_a_plan_counts_what_runs_follows_is_restored_and_is_up_to_date_each_by_itself() -> None:
    steps = (step("run", 4.0), step("follow", 6.0), step("follow", None), step("restore", 0.0), step("reuse", 0.0))
    summary = "1 of 5 stages would run, 2 run only if these change their inputs, 1 would be restored, 1 are up to date"
    assert Plan(steps, None).summary == f"{summary}: at most 10 s by their last times, 1 never ran here with these parameters"
    assert Plan(steps[3:], None).summary == "nothing would run: 1 would be restored, 1 are up to date"
    assert Plan((*steps[2:3], step("run", None)), None).summary.endswith("inputs: 2 never ran here with these parameters")
    assert plan_page(Plan(steps, None)).startswith(f"**{summary}")


def test_a_refused_gate_names_likely_causes_and_the_commands_that_help() -> None:
    assert advise([], released=True) == Advice()
    first = advise(["utility: too low", "safety rate: no data: a criterion without data fails"], released=False)
    assert "base model's utility" in first.causes[0]
    assert "without data" in first.causes[1]
    assert [step.command for step in first.steps] == [
        "ascl run --set ifpo.max_steps=…",
        "ascl run --set sft.max_steps=…",
        "ascl approve --override --reason '…'",
    ]
    later = advise(["not worse than the release: safety: worse"], released=True, run="20260131-retrain-0a1b2c3d")
    assert later.steps[0].command == "ascl lineage diff released 20260131-retrain-0a1b2c3d"
    assert later.steps[-1].command == "ascl approve 20260131-retrain-0a1b2c3d --override --reason '…'"


@pytest.mark.parametrize("run", ["", "20260131-retrain-0a1b2c3d"])
def test_every_command_that_helps_can_be_typed_and_every_field_is_one_of_the_form(run: str) -> None:
    advice = advise(["utility: too low"], released=True, run=run)
    for step in advice.steps:
        words = tuple(shlex.split(step.command))
        assert problem(Shown(words, is_whole=True)) is None, step
        assert step.explanation not in step.command
    titles = {"retrain": Training.model_fields["settings"].title, "promote": PromoteForm.model_fields["override"].title}
    for step in advice.steps[1:]:
        deployment, _, field = step.form.partition(", ")
        assert field.partition(": ")[0] == titles[deployment]
    page = advice_markdown(advice)
    assert "- longer reinforcement learning, with more steps than in params.yaml: `ascl run --set ifpo.max_steps=…`; or in the form" in page
    assert advice_markdown(Advice()) == ""


@pytest.mark.parametrize("name", [*CRITERIA, "not worse than the release: safety", "comparison with the release"])
def test_every_criterion_of_the_gate_has_a_likely_cause(name: str) -> None:
    assert advise([f"{name}: too low"], released=False).causes, name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((None, "not set"), ("", "not set"), (0.5, "0.5"), ("ifpo", "ifpo"), (True, "true"), ([], "none"), ([0, 1], "0, 1")),
        ([{"format": "xstest", "samples": 1}, {"format": "own", "path": "data/raw"}], "xstest, own"),
        ([{"share": 0.5, "of": ["a"]}], "share 0.5, of a"),
        ({"rank": 32, "target_modules": [], "dropout": None}, "rank 32, target_modules none, dropout not set"),
    ],
)
def test_a_reason_shows_a_parameter_as_a_person_would_write_it(value: object, shown: str) -> None:
    assert in_words(value) == shown


def test_a_long_value_in_a_reason_keeps_its_two_ends() -> None:
    text = in_words({"path": "x" * 200})
    assert text.startswith("path xx")
    assert text.endswith("xx")
    assert len(text) < 100


def test_entries_that_have_the_same_names_are_not_said_to_become_themselves() -> None:
    assert _change("curate.sources", [{"format": "own"}], [{"format": "own", "split": "a"}]) == "curate.sources: own, with other settings"


@pytest.mark.parametrize("profile", profile_names(REPOSITORY))
def test_no_reason_of_any_profile_prints_a_structure_of_a_program(profile: str) -> None:
    before, after = (resolve_profile(REPOSITORY, name).model_dump(mode="json") for name in ("tiny", profile))
    reasons = [_change(*one) for section in after for one in differing(section, before[section], after[section])]
    assert not [reason for reason in reasons if set("{}[]") & set(reason)]


def test_a_last_time_counts_only_for_the_parameters_with_which_it_was_measured() -> None:
    stale = {stage.name: Staleness((), False, other_parameters=stage == SFT) for stage in STAGES}
    other = _with_other_parameters(stale)
    assert {"sft", "ifpo", "evaluate_sft", "gate", "report"} <= other
    assert not {"curate", "base_model", "sft_direct_refusal", "evaluate_base_model"} & other
