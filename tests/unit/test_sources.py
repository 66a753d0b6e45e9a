"""Prompts from any table: its shape is read, and one clear error names the file, the line and the hint."""

from __future__ import annotations

import base64
import csv
import gzip
import json
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ascl_core.config.sources import SourceConfig
from ascl_core.data.locations import expand, local_path
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.sources import load_source
from ascl_core.errors import DataError
from ascl_core.vocabulary import PromptType
from tests.source_files import CORPUS, load, write

ROWS = [
    {"prompt": "How do I kill a Python process?", "prompt_type": "borderline", "category": "CYB", "rule_id": "CYB-03", "answer": ""},
    {"prompt": "What is 2 + 2,\nexactly?", "prompt_type": "utility", "category": "", "rule_id": "", "answer": "4"},
]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_every_kind_of_table_gives_the_same_prompts(tmp_path: Path, suffix: str) -> None:
    found = load(write(tmp_path / f"rows.{suffix}", ROWS), answer_column="answer")
    assert found == [
        RawPrompt(ROWS[0]["prompt"], PromptType.BORDERLINE, "outside", "MIT", category="CYB", rule_id="CYB-03"),
        RawPrompt(ROWS[1]["prompt"], PromptType.UTILITY, "outside", "MIT", answer="4", answer_kind="number"),
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


def with_short_integers() -> bytes:
    """A Parquet file whose Arrow schema has integers of 3 bits."""
    file = BytesIO()
    pq.write_table(pa.table({"prompt": ["A"], "number": pa.array([1], pa.int64())}), file)
    kept = pq.ParquetFile(file).metadata.metadata[b"ARROW:schema"]
    short = base64.b64decode(kept).replace((64).to_bytes(4, "little"), (3).to_bytes(4, "little"))
    return file.getvalue().replace(kept, base64.b64encode(short))


PROBLEMS: dict[str, tuple[str, Any, dict[str, Any], str | None, str]] = {
    "corrupt parquet": ("a.parquet", b"PAR1 and no more", {}, None, "cannot be read"),
    "truncated parquet": ("a.parquet", b"", {}, None, "cannot be read"),
    "parquet of a kind that Arrow has no values of": ("a.parquet", with_short_integers(), {}, None, "cannot be read: Integers with"),
    "empty jsonl": ("a.jsonl", "", {}, "outside", "source has no prompts"),
    "empty json": ("a.json", "[]", {}, "outside", "source has no prompts"),
    "empty csv": ("a.csv", "", {}, "outside", "source has no prompts"),
    "csv with a header only": ("a.csv", "prompt,prompt_type\n", {}, "outside", "source has no prompts"),
    "parquet without rows": ("a.parquet", [], {}, "outside", "source has no prompts"),
    "broken line": ("a.jsonl", '{"prompt": "A"}\n{"prompt":\n', {}, "line 2", "not valid JSON"),
    "line that is no object": ("a.jsonl", '["A"]\n', {}, "line 1", "expected a JSON object"),
    "json that is no list": ("a.json", '{"prompt": "A"}', {}, None, "expected a list of objects"),
    "broken json": ("a.json", "[1, 2", {}, None, "cannot be read"),
    "not utf-8": ("a.csv", b"prompt\n\xff\xfe\n", {}, "line 2", "is not UTF-8"),
    "open quote": ("a.csv", 'prompt\n"A\n', {}, "line 2", "cannot be read"),
    "one cell too many": ("a.csv", "prompt,category\nA,\nB,,more\n", {}, "line 3", "3 cells"),
    "one cell too few": ("a.csv", "prompt,category\nA\n", {}, "line 2", "1 cells"),
    "a column twice": ("a.csv", "prompt,prompt\nA,B\n", {}, "line 1", "columns need different names"),
    "text after a quote": ("a.csv", 'prompt\n"A" B\n', {}, "line 2", "cannot be read"),
    "prompt that is a struct": ("a.jsonl", '{"prompt": {"text": "A"}}\n', {}, "row 1, prompt", "expected text, not a struct"),
    "messages without a user": (
        "a.jsonl",
        '{"prompt": [{"role": "system", "content": "A"}]}\n',
        {},
        "row 1, prompt",
        "no message of a user",
    ),
    "half a character": ("a.jsonl", '{"prompt": "A \\ud83d"}\n', {}, "row 1, prompt", "is no text"),
    "bytes that are no text": ("a.parquet", [{"prompt": b"\xff"}], {}, "row 1, prompt", "is no text"),
    "missing column": ("a.csv", "question\nA\n", {}, "prompt", "column is missing"),
    "missing answer column": ("a.csv", "prompt\nA\n", {"answer_column": "gold"}, "gold", "column is missing"),
    "unknown prompt type": ("a.csv", "prompt,prompt_type\nA,harmful\nB,evil\n", {}, "row 2, prompt_type", "no prompt type"),
    "no prompt type": ("a.csv", "prompt\nA\n", {"prompt_type": None}, "prompt_type", "column is missing"),
    "no type in a row": ("a.csv", "prompt,prompt_type\nA,\n", {"prompt_type": None}, "row 1, prompt_type", "no prompt type"),
    "unknown category": ("a.csv", "prompt,category\nA,CYP\n", {}, "row 1, category", "no such category"),
    "empty prompt": ("a.jsonl", '{"prompt": "A"}\n{"prompt": null}\n', {}, "row 2", "prompt is empty"),
    "prompt of spaces": ("a.jsonl", '{"prompt": " \\u200b"}\n', {}, "row 1", "prompt is empty"),
    "part that is missing": ("a.jsonl", '{"prompt": {"text": "A"}}\n', {"prompt_column": "prompt.en"}, "row 1, prompt.en", "has no part"),
    "packed file that ends too early": ("a.jsonl.gz", gzip.compress(b'{"prompt": "A"}\n')[:-9], {}, None, "cannot be read"),
    "unknown rule": ("a.csv", "prompt,rule_id\nA,CYB-03\nB,CYB-3\n", {}, "row 2, rule_id", "no such rule"),
    "list instead of a type": (
        "a.jsonl",
        '{"prompt": "A", "prompt_type": ["harmful"]}\n',
        {"prompt_type": None},
        "row 1, prompt_type",
        "expected text, not a list",
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
def test_a_problem_is_one_error_with_file_line_and_hint(
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
    assert expand("$ASCL_EXTERNAL_DATA/a") == "data/external/a"
    monkeypatch.setenv("ASCL_EXTERNAL_DATA", "")
    assert expand("$ASCL_EXTERNAL_DATA/a") == "data/external/a"
    with pytest.raises(DataError, match="NOT_SET_HERE") as caught:
        expand("$NOT_SET_HERE/a")
    assert caught.value.hint


def test_a_path_is_local_unless_it_is_a_url_or_a_hub_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anyone")
    monkeypatch.setenv("WHERE", "s3://bucket")
    paths = ("~/a.csv", "../a.csv", "hub:owner/name", "$WHERE/a.csv")
    assert [local_path(SourceConfig(format="rows", path=path)) for path in paths] == [
        "/home/anyone/a.csv",
        "../a.csv",
        None,
        None,
    ]


MIXED = [
    {"prompt": "What is 2 + 2?", "answer": 4},
    {"prompt": "Which number is it?", "answer": 9007199254740993},
    {"prompt": 'How many,\n"exactly"?', "answer": 7},
]


def _table(rows: list[dict[str, Any]]) -> str:
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.JSONL", "".join(json.dumps(row) + "\n" for row in MIXED)),
        ("a.ndjson", "".join(json.dumps(row) + "\r\n" for row in MIXED)),
        ("a.jsonl.gz", gzip.compress("".join(json.dumps(row) + "\n" for row in MIXED).encode())),
        ("a.csv", _table(MIXED)),
        ("a.csv", _table(MIXED).replace("\r\n", ",\r\n")),
        ("a.csv", _table(MIXED).encode("utf-16")),
        ("a.csv.gz", gzip.compress(_table(MIXED).encode("utf-8-sig"))),
        ("a.tsv", 'prompt\tanswer\nWhat is 2 + 2?\t4\nWhich number is it?\t9007199254740993\n"How many,\n""exactly""?"\t7\n'),
        ("a.parquet", MIXED),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_whole_numbers_quotes_and_encodings_survive_every_kind_of_file(tmp_path: Path, name: str, content: Any) -> None:
    rows = load(write(tmp_path / name, content), answer_column="answer", prompt_type="utility")
    assert [(row.prompt.replace("\r\n", "\n"), row.answer) for row in rows] == [(row["prompt"], str(row["answer"])) for row in MIXED]


def test_a_number_beside_a_gap_stays_whole(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.parquet"):
        path = write(tmp_path / name, [{"prompt": "One?", "answer": 9007199254740993}, {"prompt": "Two?", "answer": None}])
        assert [row.answer for row in load(path, answer_column="answer", prompt_type="borderline")] == ["9007199254740993", None]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_cells_of_a_csv_file_may_be_separated_by_something_else(tmp_path: Path, separator: str) -> None:
    lines = ["prompt,answer,prompt_type", "How many?,4,utility", "One; two| three\tfour?,4,utility"]
    text = "\n".join([line.replace(",", separator) for line in lines[:2]])
    assert [(row.prompt, row.answer) for row in load(write(tmp_path / "a.csv", text), answer_column="answer")] == [("How many?", "4")]
    usual = write(tmp_path / "b.csv", "\n".join(lines))
    assert load(usual, answer_column="answer")[1].prompt == "One; two| three\tfour?"


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_column_may_be_a_path_into_the_cells(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [{"turns": [{"value": "How many?"}], "gold": {"short": "4"}, "prompt_type": "utility"}])
    assert [(row.prompt, row.answer) for row in load(path, prompt_column="turns.0.value", answer_column="gold.short")] == [
        ("How many?", "4")
    ]


def test_a_number_of_single_precision_is_the_shortest_that_means_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["A", "B"], "answer": pa.array([0.1, None], pa.float32())}), tmp_path / "a.parquet")
    assert [row.answer for row in load(tmp_path / "a.parquet", answer_column="answer", prompt_type="borderline")] == ["0.1", None]


def test_quotes_of_a_tsv_file_that_enclose_nothing_are_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'prompt\tprompt_type\n"Hello" he said\tborderline\nA 5" screen\tborderline\n')
    assert [row.prompt for row in load(path)] == ['"Hello" he said', 'A 5" screen']


def test_a_folder_is_read_with_its_subfolders_and_what_is_no_table_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("a.CSV", "more/b.ndjson.gz", ".hidden/c.csv"):
        content = b"prompt\r\n" + name.encode() if "csv" in name.lower() else gzip.compress(json.dumps({"prompt": name}).encode())
        write(tmp_path / name, content)
    (tmp_path / "notes.txt").write_text("not a table")
    assert [row.prompt for row in load(tmp_path, prompt_type="borderline")] == ["a.CSV", "more/b.ndjson.gz"]
    assert "notes.txt" in caplog.text


def test_a_file_of_a_folder_without_a_needed_column_is_named_with_its_own_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "prompt\nA\n")
    write(tmp_path / "b.csv", "text\nB\n")
    with pytest.raises(DataError, match="column is missing") as raised:
        load(tmp_path, prompt_type="borderline")
    assert (raised.value.file, raised.value.hint) == (str(tmp_path / "b.csv"), "the columns are text")


def test_an_error_in_a_folder_names_the_file_and_the_row_in_it(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "prompt\nA\nB\n")
    write(tmp_path / "b.jsonl", '{"prompt": "C"}\n{"prompt": null}\n')
    with pytest.raises(DataError) as raised:
        load(tmp_path, prompt_type="borderline")
    assert (raised.value.file, raised.value.field) == (str(tmp_path / "b.jsonl"), "row 2")
