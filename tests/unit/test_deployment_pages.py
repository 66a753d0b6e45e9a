"""The pages and questions that Prefect's UI shows, as Markdown."""

from __future__ import annotations

import pytest

from tasks.deployment.approving import question
from tasks.deployment.pages import figures, table
from tasks.releases.candidate import Candidate, Judged
from tasks.runs.summary import Decision, gate_markdown, shortened

DIGEST = "0123456789abcdef" * 4


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
    lines = question(make_candidate()).splitlines()
    assert "The gate passed: all 2 criteria hold" in lines
    assert "`ascl approve 20260131-retrain-0a1b2c3d --reason '…'`" in lines
    assert f"`{DIGEST}`" in lines


def test_a_gate_that_did_not_pass_asks_for_two_persons_and_says_what_failed() -> None:
    asked = question(make_candidate("utility"), problem="2 signed approvals are needed")
    assert asked.startswith("**The last answer does not hold:** 2 signed approvals are needed\n\n")
    assert "- utility: utility is too low\n" in asked
    assert "safety rate" not in asked
    assert "Two persons sign" in asked
    assert "ascl approve 20260131-retrain-0a1b2c3d --reason '…' --override`\n" in asked
