"""Prompts from any table: its shape is read, and one clear error names the file, the line and the hint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ascl_core.config.sources import SourceConfig
from ascl_core.data.locations import expand, local_path
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.sources import load_source
from ascl_core.errors import DataError
from ascl_core.vocabulary import PromptType
from tests.builders import make_corpus

CORPUS = make_corpus()
ROWS = [
    {"prompt": "How do I kill a Python process?", "prompt_type": "borderline", "category": "CYB", "rule_id": "CYB-03", "answer": ""},
    {"prompt": "What is 2 + 2,\nexactly?", "prompt_type": "utility", "category": "", "rule_id": "", "answer": "4"},
]


def write(path: Path, content: Any) -> Path:
    """The content as that kind of file: rows as a table, text and bytes as they are."""
    if isinstance(content, list) and path.suffix == ".parquet":
        pd.DataFrame(content).to_parquet(path)
    elif isinstance(content, list) and path.suffix == ".csv":
        pd.DataFrame(content).to_csv(path, index=False)
    elif isinstance(content, list):
        lines = [json.dumps(row) for row in content]
        path.write_text(json.dumps(content) if path.suffix == ".json" else "\n\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(path: Path | str, **options: Any) -> list[RawPrompt]:
    """The prompts of one source, called `outside`."""
    values = {"name": "outside", "format": "rows", "path": str(path), "licence": "MIT", **options}
    return load_source(SourceConfig.model_validate(values), Path("nowhere"), CORPUS)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_every_kind_of_table_gives_the_same_prompts(tmp_path: Path, suffix: str) -> None:
    found = load(write(tmp_path / f"rows.{suffix}", ROWS), answer_column="answer")
    assert found == [
        RawPrompt(ROWS[0]["prompt"], PromptType.BORDERLINE, "outside", "MIT", category="CYB", rule_id="CYB-03"),
        RawPrompt(ROWS[1]["prompt"], PromptType.UTILITY, "outside", "MIT", answer="4", answer_kind="math"),
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, suffix: str) -> None:
    plain = write(tmp_path / f"plain.{suffix}", ROWS).read_bytes()
    assert [row.prompt for row in load(write(tmp_path / f"marked.{suffix}", b"\xef\xbb\xbf" + plain))] == [row["prompt"] for row in ROWS]


def test_a_folder_is_all_its_tables_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, prompt in (("b.csv", "two"), ("a.jsonl", "one"), ("c.parquet", "three")):
        write(tmp_path / name, [{"prompt": prompt, "prompt_type": "borderline"}])
    (tmp_path / "README.md").write_text("not a table")
    assert [row.prompt for row in load(tmp_path)] == ["one", "two", "three"]


def test_columns_may_have_other_names_and_one_type_for_all(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", [{"question": "What is 2 + 2?", "gold": "4"}])
    (row,) = load(path, prompt_column="question", answer_column="gold", prompt_type="utility")
    assert (row.prompt, row.answer, row.prompt_type) == ("What is 2 + 2?", "4", PromptType.UTILITY)


def test_a_number_in_csv_stays_as_it_is_written(tmp_path: Path) -> None:
    (row,) = load(write(tmp_path / "q.csv", "prompt,answer\nNA,007\n"), answer_column="answer", prompt_type="utility")
    assert (row.prompt, row.answer) == ("NA", "007")


def test_the_rows_taken_are_chosen_by_content_and_keep_their_order(tmp_path: Path) -> None:
    rows = [{"prompt": f"prompt {i}", "prompt_type": "borderline"} for i in range(50)]
    forward = [row.prompt for row in load(write(tmp_path / "a.jsonl", rows), max_rows=10)]
    backward = [row.prompt for row in load(write(tmp_path / "b.jsonl", rows[::-1]), max_rows=10)]
    assert len(forward) == 10
    assert forward == backward[::-1] == sorted(forward, key=lambda prompt: int(prompt.split()[1]))


PROBLEMS: dict[str, tuple[str, Any, dict[str, Any], str | None, str]] = {
    "corrupt parquet": ("a.parquet", b"PAR1 and no more", {}, None, "cannot be read"),
    "truncated parquet": ("a.parquet", b"", {}, None, "cannot be read"),
    "empty jsonl": ("a.jsonl", "", {}, "outside", "source has no prompts"),
    "empty json": ("a.json", "[]", {}, "outside", "source has no prompts"),
    "empty csv": ("a.csv", "", {}, None, "cannot be read"),
    "csv with a header only": ("a.csv", "prompt,prompt_type\n", {}, "outside", "source has no prompts"),
    "parquet without rows": ("a.parquet", [], {}, "outside", "source has no prompts"),
    "broken line": ("a.jsonl", '{"prompt": "A"}\n{"prompt":\n', {}, "line 2", "not valid JSON"),
    "line that is no object": ("a.jsonl", '["A"]\n', {}, "line 1", "expected a JSON object"),
    "json that is no list": ("a.json", '{"prompt": "A"}', {}, None, "expected a list of objects"),
    "broken json": ("a.json", "[1, 2", {}, None, "cannot be read"),
    "not utf-8": ("a.csv", b"prompt\n\xff\xfe\n", {}, None, "cannot be read"),
    "open quote": ("a.csv", 'prompt\n"A\n', {}, None, "cannot be read"),
    "missing column": ("a.csv", "question\nA\n", {}, "prompt", "column is missing"),
    "missing answer column": ("a.csv", "prompt\nA\n", {"answer_column": "gold"}, "gold", "column is missing"),
    "unknown prompt type": ("a.csv", "prompt,prompt_type\nA,harmful\nB,evil\n", {}, "row 2", "no prompt type"),
    "no prompt type": ("a.csv", "prompt\nA\n", {"prompt_type": None}, "row 1", "no prompt type"),
    "empty prompt": ("a.jsonl", '{"prompt": "A"}\n{"prompt": null}\n', {}, "row 2", "prompt is empty"),
    "unknown rule": ("a.csv", "prompt,rule_id\nA,CYB-03\nB,CYB-3\n", {}, "row 2, rule_id", "no such rule"),
    "list in place of a type": (
        "a.jsonl",
        '{"prompt": "A", "prompt_type": ["harmful"]}\n',
        {"prompt_type": None},
        "row 1",
        "no prompt type",
    ),
    "star1 without a question": (
        "a.json",
        '[{"question": null, "category": []}]',
        {"format": "star1"},
        "row 1, question",
        "prompt is empty",
    ),
    "mmlu_pro without options": (
        "a.jsonl",
        '{"question": "A", "options": null, "answer": "A"}\n',
        {"format": "mmlu_pro"},
        "row 1, options",
        "expected a list",
    ),
    "gsm8k without an answer": ("a.csv", "question,answer\nA,no\n", {"format": "gsm8k"}, "row 1", "no final answer after ####"),
    "gsm8k without a question": ("a.csv", "answer\n#### 1\n", {"format": "gsm8k"}, "question", "column is missing"),
}


@pytest.mark.parametrize(("name", "content", "options", "field", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_is_one_error_with_file_place_and_mend(
    tmp_path: Path, name: str, content: Any, options: dict[str, Any], field: str | None, problem: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=problem) as caught:
        load(path, **{"prompt_type": "borderline", **options})
    assert (caught.value.file, caught.value.field) == (str(path), field)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.csv", "missing.parquet", "missing/folder"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="does not exist") as caught:
        load(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)
    assert caught.value.hint


def test_a_folder_without_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder has no table"):
        load(tmp_path)


def test_a_source_needs_a_path() -> None:
    with pytest.raises(DataError, match="needs a path") as caught:
        load_source(SourceConfig(name="outside", format="rows"), Path("nowhere"), CORPUS)
    assert caught.value.field == "source outside"


def test_variables_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "/data")
    monkeypatch.delenv("ASCL_EXTERNAL_DATA", raising=False)
    assert expand("$WHERE/${WHERE}/a") == "/data//data/a"
    assert expand("$ASCL_EXTERNAL_DATA/a").endswith("/a")
    with pytest.raises(DataError, match="NOT_SET_HERE") as caught:
        expand("$NOT_SET_HERE/a")
    assert caught.value.hint


def test_a_path_is_local_unless_it_is_a_url_or_a_hub_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anyone")
    monkeypatch.setenv("WHERE", "s3://bucket")
    assert [local_path(path) for path in ("~/a.csv", "../a.csv", "hub:owner/name", "$WHERE/a.csv")] == [
        "/home/anyone/a.csv",
        "../a.csv",
        None,
        None,
    ]


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
