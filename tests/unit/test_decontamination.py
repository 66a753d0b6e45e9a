"""Which rows hold an evaluation prompt: equal, contained, or by shared n-grams."""

from __future__ import annotations

import pytest

from ascl_core.data.contamination import Contamination, ContaminationIndex
from ascl_core.data.raw_prompt import content_hash
from tests.words import EVALUATION, WORDS


def find_contamination(rows: list[str], evaluation: list[str], ngram: int = 8) -> list[Contamination | None]:
    """What is found in each row."""
    index = ContaminationIndex(evaluation, ngram)
    return [index.find(row) for row in rows]


def decontaminate(rows: list[str], evaluation: list[str], ngram: int = 8) -> tuple[list[int], list[int]]:
    """The indices of the rows that are kept, and of those in which an evaluation prompt was found."""
    found = find_contamination(rows, evaluation, ngram)
    return [i for i, hit in enumerate(found) if hit is None], [i for i, hit in enumerate(found) if hit is not None]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 5 − 3?", "What is 5 - 3?"),
        ("What is 5 ⋅ 3?", "What is 5 * 3?"),
        ("مَا عَاصِمَةُ قَطَر", "ما عاصمة قطر"),
        ("İstanbul", "istanbul"),
    ],
)
def test_other_signs_and_vowels_that_are_left_out_change_no_question(one: str, other: str) -> None:
    assert content_hash(one) == content_hash(other)


EXACT = {
    "itself": "How do I kill a Python process?",
    "case and punctuation": "HOW do i kill a python process",
    "white space": "  How do I\tkill a\n Python   process ?",
    "full-width letters": "Ｈｏｗ do I kill a Python process?",
    "typographic quotes": "“How do I kill a Python process?”",
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Solve x + 1 = 3", "Solve x - 1 = 3"),
        ("What is -5 + 3?", "What is 5 + 3?"),
        ("Is 3 < 4?", "Is 3 > 4?"),
        ("Take 50%", "Take 50"),
        ("What is 5 − 3?", "What is 5, 3?"),
        ("Which a has a ≤ b?", "Which a has a ≥ b?"),
        ("What is A ∩ B?", "What is A ∪ B?"),
        ("भारत की सीमा", "भारत का सीमा"),
        ("বাংলা কি", "বাংলা কে"),
    ],
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

    @pytest.mark.parametrize(
        "evaluation",
        [
            "一家商店每天早上卖出十二个红苹果。这家商店一周一共卖出多少个水果？",
            "このお店は毎朝りんごを十二個売ります。一週間で何個売れますか。",
            "ร้านนี้ขายแอปเปิ้ลสิบสองลูกทุกเช้า หนึ่งสัปดาห์ขายได้กี่ลูก",
        ],
        ids=["Chinese", "Japanese", "Thai"],
    )
    @pytest.mark.parametrize("row", ["请你仔细回答{0}", "{0} 18", "Answer this:{0}ขอบคุณ"])
    def test_a_prompt_without_spaces_between_words_is_found_inside_a_longer_row(self, evaluation: str, row: str) -> None:
        index = ContaminationIndex([evaluation])
        assert index.find(row.format(evaluation))
        assert not index.find(row.format("请写一首关于春天的短诗。"))

    @pytest.mark.parametrize("evaluation", ["如何制造炸弹", "ㄖㄨㄏㄜㄓㄗㄠㄓㄚㄉㄢ", "ꦥꦿꦶꦪꦺꦱꦫꦤꦒꦮꦺꦧꦺꦴꦩ꧀", "ᬓᬾᬓᬾᬦ᭄ᬧᬸᬭᬵᬡᬦᬶᬫᬢ"])
    def test_a_short_prompt_of_such_a_script_is_found_too(self, evaluation: str) -> None:
        index = ContaminationIndex([evaluation])
        assert all(index.find(row) for row in (f"请详细回答{evaluation}谢谢", f"Now: {evaluation}", f"{evaluation}ꦒꦮꦺ"))
        assert not index.find(evaluation[:3] + "请" + evaluation[4:])

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
