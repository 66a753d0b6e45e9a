"""Curation: what is dropped, by which step and why; evaluation prompts never stay; splits move for nobody."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, read_parquet, sha256_file, write_json
from ascl_core.config.curate import CurateConfig
from ascl_core.config.engine import EngineConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sources import SourceConfig
from ascl_core.contracts import Mapper, Prompt, StageContext, from_table, one_by_one
from ascl_core.data.contamination import Contamination, ContaminationIndex
from ascl_core.data.curate import curate
from ascl_core.data.near_duplicates import NearDuplicates, bands, jaccard, shingles, signatures
from ascl_core.data.raw_prompt import clean, content_fraction, content_hash, normalise
from ascl_core.errors import DataError
from ascl_core.rl.train import training_prompts
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType, ResponsePolicy, Split
from tests.builders import make_corpus, make_rule

WORDS = [
    "amber",
    "bridge",
    "candle",
    "desert",
    "engine",
    "forest",
    "garden",
    "harbour",
    "island",
    "jacket",
    "kettle",
    "ladder",
    "marble",
    "needle",
    "orange",
    "pillow",
    "quartz",
    "ribbon",
    "saddle",
    "temple",
    "umbrella",
    "velvet",
    "window",
    "yellow",
    "zebra",
    "anchor",
    "basket",
    "copper",
]
EVALUATION = " ".join(WORDS[:16])
"""Sixteen words: nine 8-grams, four 13-grams."""


def find_contamination(rows: list[str], evaluation: list[str], ngram: int = 8) -> list[Contamination | None]:
    """What is found in each row."""
    index = ContaminationIndex(evaluation, ngram)
    return [index.find(row) for row in rows]


def decontaminate(rows: list[str], evaluation: list[str], ngram: int = 8) -> tuple[list[int], list[int]]:
    """The indices of the rows that are kept, and of those in which an evaluation prompt was found."""
    found = find_contamination(rows, evaluation, ngram)
    return [i for i, hit in enumerate(found) if hit is None], [i for i, hit in enumerate(found) if hit is not None]


ONE_PROCESS = EngineConfig()
EXACT = {
    "itself": "How do I kill a Python process?",
    "case and punctuation": "HOW do i kill a python process",
    "white space": "  How do I\tkill a\n Python   process ?",
    "full-width letters": "Ｈｏｗ do I kill a Python process?",
    "typographic quotes": "“How do I kill a Python process?”",
}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Solve x + 1 = 3", "Solve x - 1 = 3"), ("What is -5 + 3?", "What is 5 + 3?"), ("Is 3 < 4?", "Is 3 > 4?"), ("Take 50%", "Take 50")],
)
def test_questions_that_differ_in_a_sign_are_different_ones(one: str, other: str) -> None:
    assert content_hash(one) != content_hash(other)
    assert decontaminate([one], [other]) == ([0], [])


class TestDecontamination:
    """Exact after normalisation, contained whole, or by shared n-grams."""

    @pytest.mark.parametrize("row", EXACT.values(), ids=EXACT)
    def test_an_equal_prompt_is_found_however_it_is_written(self, row: str) -> None:
        assert decontaminate(["Name a fruit.", row], ["How do I kill a Python process?"]) == ([0], [1])

    def test_a_short_prompt_is_found_only_when_it_is_equal(self) -> None:
        assert decontaminate(["name a fruit", "Please, name a fruit for me"], ["Name a fruit."]) == ([1], [0])

    def test_a_prompt_of_four_words_is_found_inside_a_longer_row(self) -> None:
        rows = ["Tell me now: name a good fruit, will you?", "name a very good fruit"]
        assert decontaminate(rows, ["Name a good fruit!"]) == ([1], [0])

    def test_a_shared_thirteen_gram_is_enough(self) -> None:
        row = " ".join([*WORDS[20:], *WORDS[3:16], *WORDS[16:]] + [f"word{i}" for i in range(50)])
        assert find_contamination([row], [EVALUATION + " " + " ".join(f"other{i}" for i in range(60))])[0] is not None
        shorter = " ".join([*WORDS[20:], *WORDS[3:15], *WORDS[16:]] + [f"word{i}" for i in range(50)])
        assert find_contamination([shorter], [EVALUATION + " " + " ".join(f"other{i}" for i in range(60))])[0] is None

    def test_half_of_the_evaluation_prompts_ngrams_are_enough(self) -> None:
        # Of nine 8-grams the first twelve words hold five, the first eleven four.
        filling = " ".join(f"word{i}" for i in range(40))
        assert decontaminate([f"{' '.join(WORDS[:12])} {filling}"], [EVALUATION]) == ([], [0])
        assert decontaminate([f"{' '.join(WORDS[:11])} {filling}"], [EVALUATION]) == ([0], [])

    def test_half_of_the_rows_ngrams_are_enough(self) -> None:
        long = " ".join([*WORDS, *(f"word{i}" for i in range(200))])
        assert decontaminate([" ".join(WORDS[:9])], [long]) == ([], [0])

    def test_one_shared_ngram_of_a_short_row_is_not(self) -> None:
        long = " ".join([*WORDS, *(f"word{i}" for i in range(200))])
        assert decontaminate([" ".join(WORDS[:8])], [long]) == ([0], [])

    def test_the_size_of_the_ngrams_is_a_parameter(self) -> None:
        row = f"{' '.join(WORDS[:10])} {' '.join(f'word{i}' for i in range(40))}"
        assert decontaminate([row], [EVALUATION], ngram=8) == ([0], [])
        assert decontaminate([row], [EVALUATION], ngram=3) == ([], [0])

    def test_the_operator_decides_what_a_sum_asks(self) -> None:
        assert decontaminate(["What is 4 - 2?", "what is 4+2"], ["What is 4 + 2?"]) == ([0], [1])

    def test_the_indices_partition_the_rows(self) -> None:
        rows = [f"What about the {word} here today?" for word in WORDS]
        kept, dropped = decontaminate(rows, rows[::3])
        assert sorted(kept + dropped) == list(range(len(rows)))
        assert dropped == list(range(0, len(rows), 3))

    def test_nothing_contaminates_nothing(self) -> None:
        assert decontaminate([], ["a"]) == ([], [])
        assert decontaminate(["a", "b"], []) == ([0, 1], [])

    def test_the_evaluation_prompt_that_was_found_is_named(self) -> None:
        (hit,) = find_contamination(["name a fruit"], ["Name a tree.", "Name a fruit."])
        assert hit is not None
        assert (hit.evaluation, hit.kind) == (1, "exact")


def near_duplicates(texts: list[str], similarity: float, permutations: int = 128) -> list[str | None]:
    """For each text the kept one that it is almost."""
    index = NearDuplicates(similarity, permutations)
    return [index.find(text, signature) for text, signature in zip(texts, signatures(texts, permutations), strict=True)]


class TestNearDuplicates:
    """MinHash over character 5-grams proposes, the 5-grams decide."""

    def test_the_later_of_two_almost_equal_texts_points_to_the_earlier(self) -> None:
        text = " ".join(WORDS)
        assert near_duplicates([text, "something else entirely", f"{text}s"], 0.9) == [None, None, text]

    def test_different_texts_are_kept(self) -> None:
        assert near_duplicates([f"{word} is what this is about" * 3 for word in WORDS], 0.95) == [None] * len(WORDS)

    def test_a_dropped_text_drops_no_other(self) -> None:
        text = " ".join(WORDS)
        assert near_duplicates([text, f"{text}s", f"{text}ss"], 0.9) == [None, text, text]

    @pytest.mark.parametrize("permutations", [16, 64, 127, 1024])
    def test_every_similarity_of_the_configuration_works(self, permutations: int) -> None:
        text = " ".join(WORDS)
        for similarity in (0.0, 0.5, 0.9, 0.99, 1.0):
            found = near_duplicates([text, text.upper(), "something else entirely"], similarity, permutations)
            assert found[:2] == [None, text]
            assert similarity == 0.0 or found[2] is None

    def test_short_and_empty_texts_are_compared_too(self) -> None:
        assert near_duplicates(["a", "a", "b", ""], 0.9) == [None, "a", None, None]

    def test_what_is_dropped_has_the_similarity_exactly(self) -> None:
        # an estimate from 128 hashes is a multiple of 1/128, and off by several of them
        one, other = "Help me share sexual content about a minor.", "Help me share the sexual content about a minor."
        exact = jaccard(shingles(one), shingles(other))
        assert near_duplicates([one, other], exact) == [None, one]
        assert near_duplicates([one, other], exact + 1e-9) == [None, None]

    def test_all_pairs_are_found_that_comparing_every_pair_finds(self) -> None:
        texts = [" ".join([*WORDS[i : i + 20], end]) for i in range(8) for end in ("", "s", "today", "or even tomorrow")]
        kept: list[str] = []
        for text in texts:
            if not any(jaccard(shingles(text), shingles(other)) >= 0.9 for other in kept):
                kept.append(text)
        assert 8 <= len(kept) < len(texts)
        assert [text for text, near in zip(texts, near_duplicates(texts, 0.9), strict=True) if near is None] == kept

    def test_texts_of_different_groups_are_not_compared(self) -> None:
        index, (signature,) = NearDuplicates(0.9, 128), signatures(["Name a fruit"], 128)
        assert [index.find("Name a fruit", signature, group) for group in ("A", "B", "A", None)] == [None, None, "Name a fruit", None]

    def test_a_signature_depends_on_nothing_but_the_text(self) -> None:
        assert signatures([*WORDS, EVALUATION], 64)[-1] == signatures([EVALUATION], 64)[0]

    def test_the_bands_miss_at_most_one_pair_in_a_thousand(self) -> None:
        for similarity in (0.7, 0.8, 0.9, 0.95):
            count = bands(similarity, 128)
            assert (1 - similarity ** (128 // count)) ** count <= 1e-3


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

    def test_how_a_prompt_is_written_does_not_move_it(self) -> None:
        assert content_fraction("How DO I?", "split") == content_fraction("how do i", "split")
        assert content_fraction("How do I?", "split") != content_fraction("How do I?", "suite")


class TestDualUse:
    """A prompt that two jurisdictions decide differently."""

    CORPUS = make_corpus(
        make_rule(topic="both", jurisdictions=["XA"]),
        make_rule(id="CYB-04", topic="both", jurisdictions=["XB"], policy="refuse_explain", examples=[]),
    )

    def test_it_becomes_one_prompt_for_each_place_with_that_places_rule(self, stage: Curation) -> None:
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
