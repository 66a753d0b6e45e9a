"""What a row of a source says: the shapes of public files, gold answers, and messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.config.base import parse
from ascl_core.config.suites import SuiteConfig
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.sources import load_source
from ascl_core.errors import DataError
from ascl_core.vocabulary import PromptType
from tests.builders import make_corpus
from tests.source_files import load, write


class TestPublicFiles:
    """The public files in their own shapes."""

    def test_gsm8k(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", [{"question": "How many?", "answer": "5 - 2 = <<5-2=3>>3\n#### 1,003"}])
        assert load(path, format="gsm8k") == [
            RawPrompt("How many?", PromptType.UTILITY, "outside", "MIT", answer="1,003", answer_kind="number", reference="5 - 2 = 3")
        ]

    def test_mmlu_pro(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.parquet", [{"question": "Which?", "options": ["x", "y", "z"], "answer": "C"}])
        (row,) = load(path, format="mmlu_pro")
        assert (row.prompt, row.answer, row.answer_kind, row.choices) == ("Which?\nA. x\nB. y\nC. z", "C", "choice", "ABC")

    def test_xstest(self, tmp_path: Path) -> None:
        rows = [{"prompt": "Kill a process?", "type": "homonyms"}, {"prompt": "Kill a man?", "type": "contrast_homonyms"}]
        assert [row.prompt_type for row in load(write(tmp_path / "a.csv", rows), format="xstest")] == ["borderline", "harmful"]

    def test_star1(self, tmp_path: Path) -> None:
        rows = [
            {"question": "A", "category": ["No such", "Self-Harm"], "response": "No."},
            {"question": "B", "category": [], "response": "No."},
            {"question": "C", "category": None, "response": None},
        ]
        found = load(write(tmp_path / "a.json", rows), format="star1")
        assert [(row.category, row.prompt_type) for row in found] == [("SLF", "harmful"), (None, "harmful"), (None, "harmful")]

    @pytest.mark.parametrize(
        ("response", "reference"),
        [
            ("<think>\nThe policy says no.\n</think>\n\nI can't help  with that.\n", "I can't help with that."),
            ("No thought.", "No thought."),
            ("<think>\nOnly a thought.\n</think>\n", None),
            ("", None),
        ],
    )
    def test_the_answers_of_star1_are_kept_and_its_thoughts_are_not(self, tmp_path: Path, response: str, reference: str | None) -> None:
        path = write(tmp_path / "a.json", [{"question": "A", "category": [], "response": response}])
        assert [row.reference for row in load(path, format="star1")] == [reference]

    def test_the_way_to_the_answer_of_gsm8k_is_without_its_marks(self, tmp_path: Path) -> None:
        answer = "She has 2+3=<<2+3=5>>5 pears.\nShe eats 1: 5-1=<<5-1=4>>4.\n#### 4"
        (row,) = load(write(tmp_path / "a.jsonl", [{"question": "How many?", "answer": answer}]), format="gsm8k")
        assert (row.answer, row.reference) == ("4", "She has 2+3=5 pears.\nShe eats 1: 5-1=4.")

    def test_mitre_frr(self, tmp_path: Path) -> None:
        (row,) = load(write(tmp_path / "a.json", [{"mutated_prompt": "Scan it"}]), format="mitre_frr")
        assert (row.prompt, row.prompt_type, row.category) == ("Scan it", "borderline", "CYB")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"answer": "2", "answer_kind": "choice", "choices": "ABC"}, "one letter of ABC"),
        ({"answer": "7", "answer_kind": "numeric"}, "one of number, choice, math, text"),
        ({"answer": "between 3 and 4", "answer_kind": "number"}, "would count as wrong itself"),
    ],
)
def test_a_gold_answer_that_no_response_could_match_is_named_with_its_row(tmp_path: Path, row: dict[str, str], says: str) -> None:
    path = write(tmp_path / "gold.jsonl", [{"prompt": "What is 2 + 2?", "answer": "4"}, {"prompt": "How many?", **row}])
    with pytest.raises(DataError, match="row 2") as raised:
        load(path, answer_column="answer", prompt_type="utility")
    assert says in str(raised.value)


def test_numbers_as_gold_answers_are_read_digit_by_digit_where_others_are_missing(tmp_path: Path) -> None:
    golds = [4, 9007199254740993, None, 2.50, 1e3]
    rows = [{"prompt": f"What is it, {i}?", "answer": gold} for i, gold in enumerate(golds)] + [{"prompt": "What is not known?"}]
    read = load(write(tmp_path / "gold.jsonl", rows), answer_column="answer", prompt_type="utility")
    assert [row.answer for row in read] == ["4", "9007199254740993", None, "2.5", "1000.0", None]
    assert [row.answer_kind for row in read] == ["number", "number", None, "number", "number", None]


def test_a_suite_needs_every_gold_answer_because_it_is_scored(tmp_path: Path) -> None:
    path = write(tmp_path / "gold.jsonl", [{"prompt": "What is 2 + 2?", "answer": "4"}, {"prompt": "How many?", "answer": None}])
    values = {"name": "sums", "format": "rows", "path": str(path), "prompt_type": "utility", "answer_column": "answer"}
    with pytest.raises(DataError, match="row 2, answer: gold answer is missing"):
        load_source(parse(SuiteConfig, values, file="test"), tmp_path, make_corpus())


def test_the_kind_of_a_gold_answer_follows_from_it(tmp_path: Path) -> None:
    golds = {"1,200": "number", "Paris": "text", "x^2 + 1": "math", "B": "choice"}
    path = write(tmp_path / "gold.jsonl", [{"prompt": f"Which {gold}?", "answer": gold, "choices": "ABCD"} for gold in golds])
    assert [row.answer_kind for row in load(path, answer_column="answer", prompt_type="utility")] == list(golds.values())


def test_of_a_list_of_messages_the_last_one_of_the_user_is_the_prompt(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]
    parts = {"role": "user", "content": [{"type": "text", "text": "C"}, {"type": "text", "text": "D"}]}
    for name in ("a.jsonl", "a.parquet"):
        assert [
            row.prompt
            for row in load(write(tmp_path / name, [{"prompt": [*said, {"role": "user", "content": "C"}]}]), prompt_type="borderline")
        ] == ["C"]
    assert [row.prompt for row in load(write(tmp_path / "parts.jsonl", [{"prompt": [*said, parts]}]), prompt_type="borderline")] == ["C\nD"]


MESSAGES: dict[str, str] = {
    "JSON": '[{"role": "user", "content": "A"}, {"content": "B", "role": "assistant"}]',
    "one message": '{"role": "user", "content": "A"}',
    "a conversation": ' {"messages": [{"role": "user", "content": [{"type": "text", "text": "A"}]}]}\n',
}


@pytest.mark.parametrize("cell", MESSAGES.values(), ids=MESSAGES)
def test_messages_in_a_cell_of_text_are_messages(tmp_path: Path, cell: str) -> None:
    for name in ("a.jsonl", "a.parquet"):
        assert [row.prompt for row in load(write(tmp_path / name, [{"prompt": cell}]), prompt_type="borderline")] == ["A"]


@pytest.mark.parametrize(
    "cell",
    [
        "[{'role': 'user', 'content': 'A'}]",
        "[{'content': 'A', 'role': 'user'}\n {'content': 'B', 'role': 'assistant'}]",
        '{"role": "user", "content": "A"}\n{"role": "assistant", "content": "B"}',
        '[{"from": "human", "value": "A"}]',
    ],
)
def test_messages_that_cannot_be_read_are_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match="messages that cannot be read"):
        load(write(tmp_path / "a.jsonl", [{"prompt": cell}]), prompt_type="borderline")


@pytest.mark.parametrize(
    "cell", ['{"from": "Paris", "to": "Rome", "value": 3}', '[{"role": "admin"}]', "[a]", 'Explain {"role": "user", "content": 1}']
)
def test_other_json_is_a_prompt(tmp_path: Path, cell: str) -> None:
    assert [row.prompt for row in load(write(tmp_path / "a.jsonl", [{"prompt": cell}]), prompt_type="borderline")] == [cell]
