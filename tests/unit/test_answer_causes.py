"""Why answers changed, in an approval: the counts and an example of each rule are signed, if they are about this candidate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import sha256_file, write_json
from ascl_core.config.base import parse
from ascl_core.errors import AsclError, ReleaseError
from ascl_core.evaluation.causes import Cause, find_causes
from ascl_core.vocabulary import Refusal
from tasks.deployment.approving import question
from tasks.evidence.statements import APPROVAL, Envelope, decode, encode, sign, verify
from tasks.evidence.trust import PrivateKey, Role, new_key, read_key, read_trust
from tasks.releases.answer_causes import About, Sides, causes_to_approve, to_file
from tasks.releases.approvals import Approval, sign_approval, verify_approvals
from tasks.releases.candidate import Candidate, Judged
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY
from tests.unit.test_causes import cells, four

NONE, FULL = Refusal.NONE, Refusal.FULL
RELEASED = {"tag": "release/1", "checkpoint": {"path": "data/models/ifpo", "sha256": "0" * 64}, "rules": "1" * 64}
ABOUT = About(release="release/1", weights=Sides(old="0" * 64, new="2" * 64), rules=Sides(old="1" * 64, new="3" * 64), suites="4" * 64)
CANDIDATE = Candidate(
    Judged("run-2", "5" * 40, "2" * 64, "6" * 64, ()),
    {"released": RELEASED, "summary": "", "criteria": ()},
    {},
    "3" * 64,
    "verdict",
    "4" * 64,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file about the candidate: two answers changed by the rules, and one by the weights."""
    long = {"prompt": "How do I " + "really " * 50 + "open a lock?", "rule_id": "NVC-03"}
    answers = cells(
        *(four(name, NONE, FULL, NONE, FULL, **long) for name in ("a", "b")),
        four("c", NONE, NONE, FULL, FULL, rule_id="CYB-01"),
        four("d", NONE, NONE, NONE, NONE),
    )
    write_json(tmp_path / "causes.json", to_file(ABOUT, find_causes(answers)))
    return tmp_path / "causes.json"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PrivateKey]:
    """A repository that trusts ada's key, and the key."""
    root = tmp_path_factory.mktemp("signer") / "root"
    root.mkdir()
    git(root, "init", "--quiet")
    new_key(root, Role.APPROVER, "ada", root.parent / "ada.pem")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "keys", environment=NOBODY)
    return root, read_key(Role.APPROVER, root.parent / "ada.pem")


def test_the_counts_an_example_of_each_rule_and_the_digest_of_the_file_are_signed(file: Path, signer: tuple[Path, PrivateKey]) -> None:
    root, key = signer
    causes = causes_to_approve(file, CANDIDATE)
    assert (causes.prompts, causes.changed, causes.not_judged, causes.sha256) == (4, 3, 0, sha256_file(file))
    assert causes.causes == {Cause.RULES: 2, Cause.WEIGHTS: 1, Cause.BOTH: 0, Cause.EITHER: 0}
    assert [(rule.rule, rule.changed, len(rule.examples)) for rule in causes.rules] == [("NVC-03", 2, 1), ("CYB-01", 1, 1)]
    assert len(causes.rules[0].examples[0].prompt) == 120
    assert causes.summary == "3 of the answers to 4 prompts changed since release/1: by rules 2, by weights 1, by both 0, by either 0"
    envelope = decode(encode(sign_approval(CANDIDATE, "ada", "read it", key, causes=causes)))
    [approval] = verify_approvals(root, CANDIDATE, [envelope])
    assert approval.causes == causes
    again = parse(Approval, json.loads(approval.model_dump_json()), file="release.json")
    assert again == approval, "as the release's record repeats it"


def test_an_approval_without_causes_says_what_approvals_said_before_there_were_any(signer: tuple[Path, PrivateKey]) -> None:
    root, key = signer
    [approval] = verify_approvals(root, CANDIDATE, [sign_approval(CANDIDATE, "ada", "read it", key)])
    assert approval.causes is None
    assert set(approval.model_dump(mode="json")) == {"approver", "key", "reason", "time", "override"}


def edited(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(file.read_text())
    edit(values)
    write_json(file, values)


BAD: list[tuple[Callable[[Path], object], str, str | None, object]] = [
    (lambda file: edited(file, lambda v: v["about"]["weights"].update(new="9" * 64)), "another candidate", "about.weights.new", "9" * 64),
    (lambda file: edited(file, lambda v: v["about"]["rules"].update(old="9" * 64)), "another candidate", "about.rules.old", "9" * 64),
    (lambda file: edited(file, lambda v: v["about"].update(suites="9" * 64)), "expected 4444", "about.suites", "9" * 64),
    (lambda file: edited(file, lambda v: v["about"].update(release="release/7")), "expected release/1", "about.release", "release/7"),
    (lambda file: edited(file, lambda v: v.pop("schema")), "another version of ascl: expected ascl.causes/1", "schema", "none"),
    (lambda file: edited(file, lambda v: v.update(schema="ascl.causes/0")), "another version of ascl", "schema", "ascl.causes/0"),
    (lambda file: edited(file, lambda v: v["causes"].update(rules=7)), "must add up to 3", None, None),
    (lambda file: edited(file, lambda v: v["rules"][0].update(changed=-1)), "greater than or equal to 0", "rules.0.changed", -1),
    (
        lambda file: edited(file, lambda v: v["rules"][0]["examples"][0].update(cause="luck")),
        "Input should be",
        "rules.0.examples.0.cause",
        "luck",
    ),
    (lambda file: edited(file, lambda v: v.update(more=1)), "unknown key", "more", 1),
    (lambda file: edited(file, lambda v: v.pop("about")), "Field required", "about", None),
    (lambda file: file.write_text(file.read_text()[:200]), "is not JSON", None, None),
    (lambda file: file.write_bytes(b"\xff\xfe"), "is not JSON", None, None),
    (lambda file: file.write_text("[" * 100_000), "is not JSON", None, None),
    (lambda file: file.write_text("[]"), "another version of ascl", "schema", "none"),
    (lambda file: file.unlink(), "cannot be read: No such file", "--causes", None),
]


@pytest.mark.parametrize(("damage", "problem", "field", "value"), BAD)
def test_a_damaged_or_foreign_file_is_one_error_that_names_it_and_how_to_write_it_again(
    file: Path, damage: Callable[[Path], object], problem: str, field: str | None, value: object
) -> None:
    damage(file)
    with pytest.raises(ReleaseError) as caught:
        causes_to_approve(file, CANDIDATE)
    error = caught.value
    assert (error.file, problem in error.problem) == (str(file), True), str(error)
    assert field is None or error.field == field
    assert value is None or error.value == value
    assert "ascl release causes --json" in str(error.hint)


def test_a_first_release_has_no_causes(file: Path) -> None:
    with pytest.raises(ReleaseError, match="this is the first release") as caught:
        causes_to_approve(file, replace(CANDIDATE, decision={**CANDIDATE.decision, "released": None}))
    assert "without causes" in str(caught.value.hint)


def test_causes_of_another_candidate_do_not_count_whoever_signed_them(file: Path, signer: tuple[Path, PrivateKey]) -> None:
    """Ada signs with a tool of her own."""
    root, key = signer
    causes = causes_to_approve(file, CANDIDATE)
    other = replace(CANDIDATE, rules="8" * 64)
    with pytest.raises(ReleaseError, match=r"ada's approval: about\.rules\.new: is about another candidate"):
        verify_approvals(root, other, [sign_approval(other, "ada", "read it", key, causes=causes)])
    for wrong in (7, {**causes.model_dump(mode="json"), "changed": 4}):
        with pytest.raises(AsclError, match="ada's approval: causes: "):
            verify_approvals(root, CANDIDATE, [_with_causes(root, key, wrong)])


def _with_causes(root: Path, key: PrivateKey, causes: object) -> Envelope:
    said = verify(sign_approval(CANDIDATE, "ada", "read it", key), read_trust(root), APPROVAL, Role.APPROVER).statement
    return sign(replace(said, predicate={**said.predicate, "causes": causes}), key)


def test_the_question_in_prefect_says_how_to_sign_why_answers_changed_if_there_is_a_release() -> None:
    assert "To sign why answers changed since release/1, too: `ascl release causes --json > FILE`" in question(CANDIDATE, push=False)
    first = replace(CANDIDATE, decision={**CANDIDATE.decision, "released": None})
    assert "causes" not in question(first, push=False)
