"""Who has to approve a run, what an approval is bound to, and how long it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ascl_core.errors import ReleaseError
from tasks.evidence.trust import read_trust
from tasks.releases.approvals import check_approvals, sign_approval, verify_approvals
from tasks.releases.candidate import Candidate
from tests.pipeline.release_world import World, _made, made, no, yes

__all__ = ["_made", "made", "no", "yes"]


@pytest.mark.long
def test_one_approver_suffices_where_the_gate_passed_and_a_replay_for_another_run_does_not(
    made: World, yes: Candidate, no: Candidate
) -> None:
    envelopes = made.approvals(yes, "ada")
    (approval,) = verify_approvals(made.root, yes, envelopes)
    assert (approval.approver, approval.reason, approval.override) == ("ada", "ada read it", ())
    with pytest.raises(ReleaseError, match="ada's approval is for the run yes, but this one is refused"):
        verify_approvals(made.root, no, [*made.approvals(no, "ben"), *envelopes])
    for name, value in (("checkpoint", "0" * 64), ("run", "other"), ("commit", "0" * 40), ("decision", "0" * 64)):
        other = replace(yes, judged=replace(yes.judged, **{name: value}))
        with pytest.raises(ReleaseError, match="approval is for the"):
            verify_approvals(made.root, other, envelopes)
    with pytest.raises(ReleaseError, match="1 approver must sign"):
        verify_approvals(made.root, yes, [])


def test_the_trainer_cannot_approve_and_nobody_signs_for_another(made: World, yes: Candidate) -> None:
    with pytest.raises(ReleaseError, match="ci's key has the role trainer"):
        verify_approvals(made.root, yes, [sign_approval(yes, "ci", "mine", made.key("ci"))])
    with pytest.raises(ReleaseError, match="the approval is by ben, but the key is ada's"):
        verify_approvals(made.root, yes, [sign_approval(yes, "ben", "his", made.key("ada"))])


def test_an_override_needs_two_people_who_each_list_what_failed(made: World, no: Candidate) -> None:
    ada, ben = made.approvals(no, "ada", "ben")
    assert [a.override for a in verify_approvals(made.root, no, [ada, ben])] == [no.judged.failed] * 2
    again = made.approvals(no, "ada")[0]
    for envelopes in ([ada], [ada, ada], [ada, again]):
        with pytest.raises(ReleaseError, match=r"2 approvers must sign, as these criteria failed: .*utility"):
            verify_approvals(made.root, no, envelopes)
    shorter = replace(no, judged=replace(no.judged, failed=no.judged.failed[:1]))
    with pytest.raises(ReleaseError, match="ben's approval is for the override"):
        verify_approvals(made.root, no, [ada, *made.approvals(shorter, "ben")])
    with pytest.raises(ReleaseError, match="the gate did not pass: "):
        sign_approval(no, "ada", "why not", made.key("ada"))


def test_an_approval_needs_a_reason_and_grows_old(made: World, yes: Candidate) -> None:
    with pytest.raises(ReleaseError, match="needs a reason"):
        sign_approval(yes, "ada", "  ", made.key("ada"))
    with pytest.raises(ReleaseError, match="nothing to override"):
        sign_approval(yes, "ada", "all the same", made.key("ada"), override=True)
    envelopes, trust, now = made.approvals(yes, "ada"), read_trust(made.root), datetime.now(UTC)
    assert check_approvals(trust, yes.judged, envelopes, now + timedelta(days=6))
    for days in (8, -1):
        with pytest.raises(ReleaseError, match="older than 7 days, or from the future"):
            check_approvals(trust, yes.judged, envelopes, now + timedelta(days=days))
