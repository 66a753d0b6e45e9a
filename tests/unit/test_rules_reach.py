"""How far a change reaches: which corpora move, compared with those of the release, and how prompts are decided again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import write_json
from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.resolve import resolve, resolve_again
from ascl_core.errors import AsclError, DataError, RuleError
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.diff import ChangeClass
from ascl_core.rules.editions import editions_of
from ascl_core.rules.reach import Corpora, change, released_corpora
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.vocabulary import PromptType, ResponsePolicy, Split
from tests.builders import make_corpus, make_rule

AT = date(2026, 11, 1)
OTHER = make_rule(id="CYB-09", title="Another rule", text="Answer what is asked about firewalls, in full.", query="firewalls", examples=[])
THIRD = make_rule(id="CYB-10", title="A third rule", text="Answer what is asked about cables, in full.", query="cables", examples=[])
REFUSES: dict[str, Any] = {"policy": "refuse_explain", "examples": []}


def rules(version: str = "1.0.0", *more: Any, **changes: Any) -> Corpus:
    """Two rules, the first changed by `changes`, and more of them."""
    return make_corpus(make_rule(version=version, **changes), OTHER, *more)


START = rules()
WORDED = rules("1.0.1", title="Administration")
FLIPPED = rules("2.0.0", **REFUSES)
WIDER = rules("1.0.0", THIRD)
NARROWER = make_corpus(make_rule())
DRAFT = rules("1.0.0", make_rule(id="CYB-10", status="draft"))


def moved(new: Corpus, released: Corpora) -> tuple[str, ...]:
    return change(new, released, AT).moved


def test_without_a_release_everything_is_made_with_the_new_rules() -> None:
    found = change(START, None, AT)
    assert (found.change_class, found.moved) == (ChangeClass.STRUCTURAL, ("sft", "rl", "served"))
    assert found.corpora == Corpora(START, START, START)
    assert "nothing is released" in found.reasons[0]


@pytest.mark.parametrize(
    ("new", "change_class", "expected"),
    [
        (START, ChangeClass.NONE, Corpora(START, START, START)),
        (WORDED, ChangeClass.WORDING, Corpora(START, START, WORDED)),
        (DRAFT, ChangeClass.WORDING, Corpora(START, START, DRAFT)),
        (FLIPPED, ChangeClass.VERDICT, Corpora(START, FLIPPED, FLIPPED)),
        (WIDER, ChangeClass.STRUCTURAL, Corpora(WIDER, WIDER, WIDER)),
        (NARROWER, ChangeClass.STRUCTURAL, Corpora(NARROWER, NARROWER, NARROWER)),
    ],
    ids=["none", "wording", "a draft", "verdict", "a rule more", "a rule less"],
)
def test_a_change_moves_the_corpora_that_its_class_reaches(new: Corpus, change_class: ChangeClass, expected: Corpora) -> None:
    found = change(new, Corpora(START, START, START), AT)
    assert (found.change_class, found.corpora) == (change_class, expected)
    assert bool(found.reasons) is (change_class is not ChangeClass.NONE)


def test_each_corpus_is_compared_with_the_released_one_of_its_use() -> None:
    after_a_flip = Corpora(START, FLIPPED, FLIPPED)
    again = rules("2.0.1", title="Administration", **REFUSES)
    assert change(again, after_a_flip, AT).corpora == Corpora(START, FLIPPED, again), (
        "the SFT data stays with the rules that it was made with"
    )
    assert change(again, after_a_flip, AT).change_class is ChangeClass.WORDING
    back = rules("3.0.0")
    assert change(back, after_a_flip, AT).corpora == Corpora(START, back, back)
    worded = Corpora(START, START, WORDED)
    assert moved(WORDED, worded) == ()
    assert moved(FLIPPED, worded) == ("rl", "served")


def test_small_changes_add_up_against_the_release() -> None:
    """Two changes of which neither is released are judged together."""
    both = rules("2.0.1", title="Administration", **REFUSES)
    assert moved(both, Corpora(START, START, START)) == ("rl", "served")


def test_what_is_written_of_a_change_is_the_same_each_time_and_names_the_corpora() -> None:
    found = change(FLIPPED, Corpora(START, START, START), AT)
    assert found.files() == change(FLIPPED, Corpora(START, START, START), AT).files()
    assert found.files()["sft_corpus"] == START.to_json()
    assert found.to_json() == {
        "schema": "ascl.rules-change/1",
        "class": "verdict",
        "work": "reinforcement learning again, and evaluate",
        "reasons": ["CYB-03 flips the verdict of 1 example"],
        "moved": ["rl", "served"],
        "corpora": {"sft": START.digest, "rl": FLIPPED.digest, "served": FLIPPED.digest},
    }


class TestReleased:
    """Reading the corpora of a release."""

    def write(self, folder: Path, tag: str | None, *names: str) -> Path:
        """A release with these corpora."""
        write_json(folder / "release.json", {"tag": tag})
        for name in names:
            write_json(folder / "corpora" / f"{name}.json", START.to_json())
        return folder

    def test_nothing_is_released_without_a_tag(self, tmp_path: Path) -> None:
        assert released_corpora(self.write(tmp_path, None)) is None
        assert released_corpora(self.write(tmp_path, None, "sft", "rl", "served")) is None

    def test_a_release_has_three(self, tmp_path: Path) -> None:
        assert released_corpora(self.write(tmp_path, "v1", "sft", "rl", "served")) == Corpora(START, START, START)

    def test_one_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"corpora/rl\.json: the release does not say which rules") as error:
            released_corpora(self.write(tmp_path, "v1", "sft", "served"))
        assert error.value.hint == "ascl release sync"

    def test_one_that_was_edited_is_refused(self, tmp_path: Path) -> None:
        folder = self.write(tmp_path, "v1", "sft", "rl", "served")
        write_json(folder / "corpora/rl.json", {**START.to_json(), "digest": "0" * 64})
        with pytest.raises(RuleError, match="digest does not match"):
            released_corpora(folder)

    @pytest.mark.parametrize("content", [[], {}, {"tag": 1}])
    def test_a_file_that_does_not_say_what_is_released_is_an_error(self, tmp_path: Path, content: Any) -> None:
        write_json(tmp_path / "release.json", content)
        with pytest.raises(AsclError, match="expected an object with the tag"):
            released_corpora(tmp_path)


class TestResolvedAgain:
    """Prompts that were resolved against one corpus, by another."""

    ROWS = (
        *(RawPrompt(f"How do I stop process {n}?", PromptType.BORDERLINE, "own", "MIT", "CYB", "CYB-03") for n in range(20)),
        RawPrompt("What is 2 + 2?", PromptType.UTILITY, "own", "MIT", answer="4", answer_kind="number"),
    )
    HERE = make_rule(topic="admin", jurisdictions=["XA"])
    THERE = make_rule(id="CYB-04", topic="admin", jurisdictions=["XB"], version="1.0.0")

    def resolved(self, corpus: Corpus) -> list[Prompt]:
        """The rows, for training."""
        return [replace(prompt, split=Split.RL) for prompt in resolve(self.ROWS, corpus, AT)]

    def test_under_the_same_rules_they_are_the_same(self) -> None:
        dual = make_corpus(self.HERE, make_rule(id="CYB-04", topic="admin", jurisdictions=["XB"], **REFUSES))
        for corpus in (START, make_corpus(self.HERE, self.THERE), dual):
            prompts = self.resolved(corpus)
            assert resolve_again(prompts, corpus, AT) == prompts

    def test_a_flipped_rule_decides_them_otherwise_where_they_are(self) -> None:
        before = self.resolved(START)
        after = resolve_again(before, FLIPPED, AT)
        assert [(p.id, p.jurisdiction, p.split) for p in after] == [(p.id, p.jurisdiction, p.split) for p in before]
        assert {(p.policy, p.prompt_type) for p in after[:-1]} == {(ResponsePolicy.REFUSE_EXPLAIN, PromptType.HARMFUL)}
        assert after[-1] == before[-1], "no rule decides arithmetic"

    def test_a_jurisdiction_that_decides_otherwise_now_makes_them_dual_use_everywhere_and_the_reverse(self) -> None:
        alike = make_corpus(self.HERE, self.THERE)
        apart = make_corpus(self.HERE, make_rule(id="CYB-04", topic="admin", jurisdictions=["XB"], version="2.0.0", **REFUSES))
        after = resolve_again(self.resolved(alike), apart, AT)
        assert after == self.resolved(apart)
        assert len(after) == 41
        assert len({p.id for p in after}) == 41
        assert [p.prompt for p in resolve_again(after, alike, AT)] == [row.prompt for row in self.ROWS]

    def test_a_rule_that_ended_at_one_jurisdiction_moves_them_and_one_that_ended_everywhere_drops_them(self) -> None:
        before = self.resolved(make_corpus(self.HERE, self.THERE))
        one = make_corpus(self.HERE, make_rule(id="CYB-04", topic="admin", jurisdictions=["XB"], status="retired"))
        assert {(p.jurisdiction, p.rule_id) for p in resolve_again(before, one, AT)[:-1]} == {("XA", "CYB-03")}
        none = make_corpus(make_rule(status="retired"), OTHER)
        assert [p.prompt for p in resolve_again(self.resolved(START), none, AT)] == ["What is 2 + 2?"]


def test_a_changed_edition_decides_by_its_own_rules_whatever_was_looked_up_before() -> None:
    corpus = make_corpus(*(make_rule(id=f"CYB-{number:02}") for number in range(1, 9)))
    assert corpus.rule("CYB-01").policy is ResponsePolicy.COMPLY
    _, *others = editions_of(corpus, RuleIndex(corpus, AT), ConversationConfig(), changed=True)
    for edition in others:
        assert edition.corpus.digest != corpus.digest
        assert [edition.corpus.rule(rule.id) for rule in edition.corpus.rules] == list(edition.corpus.rules)
