"""Curation: what is dropped, by which step and why; evaluation prompts never stay; splits move for nobody."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, read_parquet, sha256_file, write_json
from ascl_core.config.base import parse
from ascl_core.config.curate import CurateConfig
from ascl_core.config.engine import EngineConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sources import SourceConfig
from ascl_core.contracts import Mapper, Prompt, StageContext, from_table, one_by_one
from ascl_core.data.curate import curate
from ascl_core.data.raw_prompt import clean, content_fraction, normalise
from ascl_core.errors import ConfigError, DataError
from ascl_core.rl.train import training_prompts
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType, ResponsePolicy, Split
from tests.builders import make_corpus, make_rule
from tests.words import WORDS

ONE_PROCESS = EngineConfig()


@pytest.mark.parametrize(
    ("text", "shown"),
    [(" a \t b\u00a0c ", "a b c"), ("a\u0000b\u200bc", "a b c"), ("one \n  two ", "one\ntwo"), ("e\u0301", "é"), ("Ａ", "Ａ")],
)
def test_a_prompt_is_cleaned_and_not_changed_further(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert clean(shown) == shown


def test_normalised_texts_compare_by_their_words() -> None:
    assert normalise("  It’s: A\tTEST_case!! ") == "it s a test case"
    assert normalise(normalise("2+2 = Ｆour?")) == normalise("2 + 2 = four")


class Curation:
    """The stage's files in a folder, and the stage run on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def run(
        self,
        prompts: list[Any],
        evaluation: tuple[str, ...] = (),
        corpus: Corpus | None = None,
        at: date = date(2026, 11, 1),
        others: tuple[list[Any], ...] = (),
        engine: EngineConfig = ONE_PROCESS,
        on: Mapper = one_by_one,
        **config: Any,
    ) -> tuple[list[Prompt], dict[str, Any]]:
        """The curated prompts and the counts; prompts are rows, or texts about CYB-03."""
        sources = tuple(self._source(f"s{i}", rows) for i, rows in enumerate((prompts, *others)))
        write_json(self.folder / "corpus.json", (corpus or make_corpus()).to_json())
        write_json(self.folder / "texts.json", list(evaluation))
        figures = curate(
            curate=CurateConfig(sources=sources, **config),
            engine=engine,
            rules=RulesConfig(at=at),
            raw=self.folder,
            corpus=self.folder / "corpus.json",
            evaluation=self.folder / "texts.json",
            prompts=self.folder / "prompts.parquet",
            counts=self.folder / "counts.json",
            context=StageContext(state=self.new_state(), map=on),
        )
        rows = from_table(read_parquet(self.folder / "prompts.parquet"), Prompt)
        assert figures["prompts"] == len(rows)
        return rows, read_json(self.folder / "counts.json")

    def new_state(self) -> Path:
        """A folder for resumable state of its own, as every run with other inputs has."""
        self.runs += 1
        state = self.folder / f"state{self.runs}"
        state.mkdir()
        return state

    def _source(self, name: str, rows: list[Any]) -> SourceConfig:
        path = self.folder / f"{name}.jsonl"
        full = [row if isinstance(row, dict) else {"prompt": row, "rule_id": "CYB-03"} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in full))
        return SourceConfig(name=name, format="rows", path=str(path), prompt_type=PromptType.BORDERLINE, answer_column=None)


@pytest.fixture
def stage(tmp_path: Path) -> Curation:
    return Curation(tmp_path)


MANY = [f"What is the {a} of the {b} for?" for a in WORDS for b in WORDS[:10] if a != b]


def step(counts: dict[str, Any], name: str) -> dict[str, Any]:
    return next(step for step in counts["steps"] if step["step"] == name)


class TestStage:
    """From sources to prompts, with counts at every step."""

    def test_every_step_counts_what_it_dropped_and_shows_why(self, stage: Curation) -> None:
        about = "Explain at some length how this amber bridge holds up in winter"
        rows, counts = stage.run(
            ["ab", "Name a fruit", "name a FRUIT!", about, f"{about}s", "How do I kill a Python process?"],
            evaluation=("how do I kill a python process",),
        )
        assert sorted(row.prompt for row in rows) == sorted(["Name a fruit", about])
        assert [(s["step"], s["kept"], s["dropped"]) for s in counts["steps"]] == [
            ("loaded", 6, 0),
            ("length", 5, 1),
            ("exact duplicates", 4, 1),
            ("near-duplicates", 3, 1),
            ("decontamination", 2, 1),
            ("resolved against the rules", 2, 0),
        ]
        assert step(counts, "length")["examples"] == [{"prompt": "ab", "reason": "2 characters"}]
        assert step(counts, "exact duplicates")["examples"] == [{"prompt": "name a FRUIT!", "reason": "same as one of s0"}]
        assert about in step(counts, "near-duplicates")["examples"][0]["reason"]
        assert step(counts, "decontamination")["examples"][0]["reason"] == "exact: 'how do I kill a python process'"

    def test_counts_are_divided(self, stage: Curation) -> None:
        rows, counts = stage.run(MANY[:30], others=(MANY[25:40],), near_duplicate_similarity=1.0)
        assert counts["by_source"] == {"s0": 30, "s1": 10}
        assert step(counts, "loaded")["by_source"] == {"s0": 30, "s1": 15}
        assert sum(counts["by_split"].values()) == counts["by_prompt_type"]["borderline"] == len(rows)

    def test_at_most_five_examples_are_shown(self, stage: Curation) -> None:
        _, counts = stage.run(["Name a fruit"] * 9)
        assert (step(counts, "exact duplicates")["dropped"], len(step(counts, "exact duplicates")["examples"])) == (8, 5)

    def test_of_two_duplicates_the_earlier_source_stays(self, stage: Curation) -> None:
        rows, _ = stage.run(["Name a fruit"], others=(["Name a fruit"],))
        assert [row.source for row in rows] == ["s0"]

    def test_no_evaluation_prompt_stays(self, stage: Curation) -> None:
        rows, _ = stage.run(MANY, evaluation=tuple(MANY[::7]), near_duplicate_similarity=1.0)
        assert {row.prompt for row in rows} == set(MANY) - set(MANY[::7])

    def test_prompts_that_look_alike_and_are_decided_by_different_rules_both_stay(self, stage: Curation) -> None:
        other = make_rule(id="CYB-04", query="something else")
        about = "Explain at some length how this amber bridge holds up in winter"
        prompts = [{"prompt": about, "rule_id": "CYB-03"}, {"prompt": f"{about}s", "rule_id": "CYB-04"}]
        rows, _ = stage.run(prompts, corpus=make_corpus(make_rule(), other))
        assert len(rows) == 2

    def test_if_nothing_is_left_it_says_at_which_step(self, stage: Curation) -> None:
        with pytest.raises(DataError, match="no prompt is left") as caught:
            stage.run(["ab"])
        assert caught.value.field == "length"
        assert not (stage.folder / "prompts.parquet").exists()

    def test_a_prompt_whose_rule_is_nowhere_in_force_is_counted_out(self, stage: Curation) -> None:
        later = make_rule(id="CYB-04", query="something else", effective_from="2027-01-01")
        prompts = ["Name a fruit", {"prompt": "Name another tree", "rule_id": "CYB-04"}]
        rows, counts = stage.run(prompts, corpus=make_corpus(make_rule(), later))
        assert [row.prompt for row in rows] == ["Name a fruit"]
        resolved = step(counts, "resolved against the rules")
        assert (resolved["kept"], resolved["dropped"]) == (1, 1)
        assert resolved["examples"] == [{"prompt": "Name another tree", "reason": "rule CYB-04 is nowhere in force"}]

    def test_without_a_rule_in_force_it_says_so(self, stage: Curation) -> None:
        with pytest.raises(DataError, match="no prompt has a rule in force"):
            stage.run(["Name a fruit"], at=date(2020, 1, 1))


class TestSplit:
    """By content alone."""

    def splits(self, rows: list[Prompt]) -> dict[str, Split | None]:
        return {row.prompt: row.split for row in rows}

    def test_adding_rows_moves_no_other(self, stage: Curation) -> None:
        few, _ = stage.run(MANY[::2], near_duplicate_similarity=1.0)
        many, _ = stage.run(MANY[::-1], near_duplicate_similarity=1.0)
        assert self.splits(few).items() <= self.splits(many).items()
        assert {row.id for row in few} <= {row.id for row in many}

    def test_about_the_asked_share_is_held_out(self, stage: Curation) -> None:
        rows, counts = stage.run(MANY, near_duplicate_similarity=1.0, validation_fraction=0.2)
        assert counts["by_split"]["validation"] / len(rows) == pytest.approx(0.2, abs=0.06)

    def test_a_larger_share_takes_more_and_gives_none_back(self, stage: Curation) -> None:
        held_out = []
        for share in (0.1, 0.3):
            rows, _ = stage.run(MANY, near_duplicate_similarity=1.0, validation_fraction=share)
            held_out.append({row.prompt for row in rows if row.split is Split.VALIDATION})
        assert held_out[0] < held_out[1]

    def test_no_share_holds_nothing_out(self, stage: Curation) -> None:
        rows, _ = stage.run(MANY[:20], near_duplicate_similarity=1.0, validation_fraction=0.0)
        assert {row.split for row in rows} == {Split.TRAIN}

    def test_reinforcement_learning_gets_prompts_of_its_own(self, stage: Curation) -> None:
        rows, counts = stage.run(MANY, near_duplicate_similarity=1.0, validation_fraction=0.2, rl_fraction=0.5)
        held_out, _ = stage.run(MANY, near_duplicate_similarity=1.0, validation_fraction=0.2)
        assert counts["by_split"]["rl"] / len(rows) == pytest.approx(0.4, abs=0.08)
        assert {row.id for row in rows if row.split is Split.VALIDATION} == {row.id for row in held_out if row.split is Split.VALIDATION}
        assert {row.split for row in training_prompts(rows)} == {Split.RL}
        assert {row.split for row in training_prompts(held_out)} == {Split.TRAIN}

    def test_a_source_may_be_for_reinforcement_learning_alone(self, stage: Curation) -> None:
        rows, _ = stage.run(MANY[::2], others=(MANY[1::2],), near_duplicate_similarity=1.0, rl_fraction=0.25, rl_sources=("s1",))
        splits = {name: Counter(row.split for row in rows if row.source == name) for name in ("s0", "s1")}
        assert splits["s1"].keys() == {Split.VALIDATION, Split.RL}
        assert splits["s0"][Split.TRAIN] > splits["s0"][Split.RL] > 0

    def test_a_source_for_reinforcement_learning_that_is_not_there_is_named(self) -> None:
        with pytest.raises(ConfigError, match="rl_sources names 'salad_bench', which is no source; expected one of own, star1"):
            parse(CurateConfig, {"sources": [{"format": "own"}, {"format": "star1"}], "rl_sources": ["salad_bench"]}, file="test")

    def test_how_a_prompt_is_written_does_not_move_it(self) -> None:
        assert content_fraction("How DO I?", "split") == content_fraction("how do i", "split")
        assert content_fraction("How do I?", "split") != content_fraction("How do I?", "suite")


class TestDualUse:
    """A prompt that two jurisdictions decide differently."""

    CORPUS = make_corpus(
        make_rule(topic="both", jurisdictions=["XA"]),
        make_rule(id="CYB-04", topic="both", jurisdictions=["XB"], policy="refuse_explain", examples=[]),
    )

    def test_it_becomes_one_prompt_for_each_jurisdiction_with_that_jurisdictions_rule(self, stage: Curation) -> None:
        rows, _ = stage.run(["Name a fruit"], corpus=self.CORPUS)
        assert {(row.jurisdiction, row.rule_id, row.prompt_type, row.policy) for row in rows} == {
            ("XA", "CYB-03", PromptType.BORDERLINE, ResponsePolicy.COMPLY),
            ("XB", "CYB-04", PromptType.HARMFUL, ResponsePolicy.REFUSE_EXPLAIN),
        }
        assert all(row.dual_use for row in rows)
        assert len({row.id for row in rows}) == 2

    def test_both_sides_fall_into_one_split(self, stage: Curation) -> None:
        rows, _ = stage.run(MANY, corpus=self.CORPUS, near_duplicate_similarity=1.0, validation_fraction=0.5)
        assert len(rows) == 2 * len(MANY)
        assert len({(row.prompt, row.split) for row in rows}) == len(MANY)


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        stage = Curation(tmp_path / name)
        stage.run(MANY, evaluation=tuple(MANY[:5]))
        digests.append([sha256_file(stage.folder / file) for file in ("prompts.parquet", "counts.json")])
    assert digests[0] == digests[1]
