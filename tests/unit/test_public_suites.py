"""The public suites: each loads from a file, a folder with the usual names and the hub, into the same prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ascl_core.artifacts import write_json
from ascl_core.catalogue import dataset
from ascl_core.config.base import parse
from ascl_core.config.sources import SourceConfig
from ascl_core.config.suites import SuiteConfig
from ascl_core.data.locations import expand
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.shaped import prompts_with_categories
from ascl_core.data.sources import load_source
from ascl_core.errors import DataError
from ascl_core.rewards.answers import verify
from tests.builders import make_corpus
from tests.public_files import PUBLIC_FILES, Expected, load_suite
from tests.settings import NOWHERE

CORPUS = make_corpus()
EXTERNAL = Path(expand("$ASCL_EXTERNAL_DATA"))


def facts(row: RawPrompt) -> Expected:
    return row.prompt, row.prompt_type, row.category, row.answer, row.choices


@pytest.mark.parametrize("name", PUBLIC_FILES)
def test_a_suite_loads_from_its_file(tmp_path: Path, name: str) -> None:
    public = PUBLIC_FILES[name]
    assert [facts(row) for row in load_suite(name, public.write(tmp_path))] == public.prompts


@pytest.mark.parametrize("name", PUBLIC_FILES)
def test_a_suite_loads_from_a_folder_with_the_usual_names_and_nothing_beside_it(tmp_path: Path, name: str) -> None:
    public = PUBLIC_FILES[name]
    public.write(tmp_path)
    found = load_suite(name, tmp_path)
    assert [facts(row) for row in found] == public.prompts
    assert {row.source for row in found} == {name}


@pytest.mark.parametrize("name", PUBLIC_FILES)
def test_a_suite_loads_from_the_hub_at_its_revision(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import datasets

    asked: list[Any] = []

    def load_dataset(*args: Any, **options: Any) -> datasets.Dataset:
        asked.append((*args, options))
        return datasets.Dataset.from_list(PUBLIC_FILES[name].rows)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setenv("ASCL_EXTERNAL_DATA", NOWHERE)
    where: dict[str, Any] = {"path": "hub:someone/copy", "revision": "c" * 40} if name == "oktest" else {}
    if name in ("wildchat", "star1_benign", "safechain"):
        where = {"revision": "c" * 40}
    assert [facts(row) for row in load_suite(name, **where)] == PUBLIC_FILES[name].prompts
    ((hub, config, options),) = asked
    assert (hub, config, options["split"]) == HUB[name]
    assert len(options["revision"]) == 40
    assert options.get("delimiter") == ("\t" if "wildjailbreak" in name else None)
    comma = PUBLIC_FILES[name].path.endswith((".csv", ".tsv")) and name not in ("oktest", "strongreject")
    assert options.get("keep_default_na") == (False if comma else None)


HUB = {
    "salad_bench": ("OpenSafetyLab/Salad-Data", "base_set", "train"),
    "salad_bench_attack": ("OpenSafetyLab/Salad-Data", "attack_enhanced_set", "train"),
    "strongreject": ("walledai/StrongREJECT", None, "train"),
    "star1_benign": ("UCSC-VLAA/STAR-benign-915", None, "train"),
    "safechain": ("UWNSL/SafeChain", None, "train"),
    "or_bench_80k": ("bench-llm/or-bench", "or-bench-80k", "train"),
    "xstest_safe": ("Paul/XSTest", None, "train"),
    "wildjailbreak": ("allenai/wildjailbreak", "eval", "train"),
    "wildjailbreak_benign": ("allenai/wildjailbreak", "eval", "train"),
    "jailbreakbench": ("JailbreakBench/JBB-Behaviors", "behaviors", "harmful"),
    "jailbreakbench_benign": ("JailbreakBench/JBB-Behaviors", "behaviors", "benign"),
    "wildchat": ("allenai/WildChat-1M-Full", None, "train"),
    "wildguardtest": ("allenai/wildguardmix", "wildguardtest", "test"),
    "wildguardtest_benign": ("allenai/wildguardmix", "wildguardtest", "test"),
    "xstest": ("Paul/XSTest", None, "train"),
    "oktest": ("someone/copy", None, "train"),
    "or_bench_hard": ("bench-llm/or-bench", "or-bench-hard-1k", "train"),
    "math_500": ("HuggingFaceH4/MATH-500", None, "test"),
    "gpqa_diamond": ("Idavidrein/gpqa", "gpqa_diamond", "train"),
    "mmlu_pro": ("TIGER-Lab/MMLU-Pro", None, "test"),
    "gsm8k": ("openai/gsm8k", "main", "test"),
    "arc_challenge": ("allenai/ai2_arc", "ARC-Challenge", "test"),
}


@pytest.mark.parametrize("name", ["salad_bench", "salad_bench_attack", "or_bench_80k"])
def test_a_training_source_is_read_from_its_own_page_by_its_name_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import datasets

    asked: list[Any] = []

    def load_dataset(*args: Any, **options: Any) -> datasets.Dataset:
        asked.append((*args, options["split"]))
        return datasets.Dataset.from_list(PUBLIC_FILES[name].rows)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = load_source(parse(SourceConfig, {"format": name}, file="test"), Path("nowhere"), CORPUS)
    assert [facts(row) for row in found] == PUBLIC_FILES[name].prompts
    assert asked == [HUB[name]]


def test_a_suite_is_no_training_source_unless_its_path_is_given() -> None:
    with pytest.raises(DataError, match="path") as caught:
        load_source(parse(SourceConfig, {"format": "strongreject"}, file="test"), Path("nowhere"), CORPUS)
    assert "give `path`" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["star1_benign", "safechain"])
def test_a_training_source_brings_its_answers_without_their_reasoning(tmp_path: Path, name: str) -> None:
    source = parse(SourceConfig, {"format": name, "path": str(PUBLIC_FILES[name].write(tmp_path))}, file="test")
    references = [row.reference for row in load_source(source, Path("nowhere"), CORPUS)]
    assert references
    assert all(text and text.startswith("Answer") for text in references)


def test_what_the_hub_library_reads_is_what_the_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library itself, on a repository in a folder: a cell `NA` stays text, and the tab separates.
    import datasets

    real = datasets.load_dataset
    repository = tmp_path / "repository"
    repository.mkdir()
    PUBLIC_FILES["wildjailbreak"].write(repository)
    (repository / "README.md").write_text("---\nconfigs:\n- config_name: eval\n  data_files: eval/eval.tsv\n---\n", encoding="utf-8")
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda _, *args, **options: real(str(repository), *args, cache_dir=str(tmp_path / "cache"), **options),
    )
    assert [facts(row) for row in load_suite("wildjailbreak")] == PUBLIC_FILES["wildjailbreak"].prompts


def test_a_hub_id_without_a_revision_is_asked_for_one() -> None:
    for name, options in {
        "wildchat": {},
        "safechain": {},
        "oktest": {"path": "hub:someone/copy"},
        "gsm8k": {"path": "hub:someone/copy"},
    }.items():
        with pytest.raises(DataError, match="without a pinned revision") as caught:
            load_suite(name, **options)
        assert caught.value.field == f"source {name}"
        assert "revision" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["wildguardtest", "gsm8k"])
def test_what_the_hub_refuses_is_one_error_with_its_hint(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import datasets

    def refuse(*_: Any, **__: Any) -> None:
        raise datasets.exceptions.DatasetNotFoundError("is a gated dataset")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    monkeypatch.setenv("ASCL_EXTERNAL_DATA", NOWHERE)
    with pytest.raises(DataError, match="cannot be loaded from the hub") as caught:
        load_suite(name)
    assert ("HF_TOKEN" in str(caught.value.hint)) == (name == "wildguardtest")


def test_a_suite_without_a_page_of_its_own_asks_for_its_download() -> None:
    with pytest.raises(DataError, match=r"oktest: file does not exist") as caught:
        load_suite("oktest")
    assert "ascl data fetch oktest" in str(caught.value.hint)


def test_a_training_source_is_never_a_suite_by_default() -> None:
    # The pages of the suites hold test sets: a source of training prompts says itself what it reads.
    source = parse(SourceConfig, {"format": "gsm8k"}, file="test")
    assert (source.path, source.hub_split, source.licence, source.revision) == (None, "train", "MIT", None)
    read = parse(SourceConfig, {"format": "gsm8k", "path": "hub:openai/gsm8k"}, file="test")
    assert (read.hub_split, read.hub_config, read.revision) == ("train", "main", "e53f048856ff4f594e959d75785d2c2d37b678ee")


def test_a_folder_gives_training_its_training_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"question": split, "answer": "#### 1"}) + "\n", encoding="utf-8")
    (row,) = load_source(SourceConfig(name="t", format="gsm8k", path=str(tmp_path)), Path("nowhere"), CORPUS)
    assert row.prompt == "train"
    assert [row.prompt for row in load_suite("gsm8k", tmp_path)] == ["test"]


def test_what_is_given_counts_more_than_the_catalogue() -> None:
    given = {"name": "mine", "format": "xstest", "path": "a.csv", "licence": "MIT", "kind": "safety", "revision": "b" * 40}
    suite = parse(SuiteConfig, given, file="test")
    assert {key: getattr(suite, key) for key in given} == given
    assert parse(SuiteConfig, suite.model_dump(mode="json"), file="test") == suite


def test_a_json_file_may_hold_an_object_a_line(tmp_path: Path) -> None:
    public = PUBLIC_FILES["salad_bench"]
    lines = "".join(json.dumps(row) + "\n" for row in public.rows)
    (tmp_path / "base_set.json").write_text(lines, encoding="utf-8-sig")
    assert [facts(row) for row in load_suite("salad_bench", tmp_path)] == public.prompts


def test_a_plain_request_is_read_where_a_file_has_one(tmp_path: Path) -> None:
    # As in the training set of WildJailbreak, where a plain request has an empty `adversarial`.
    rows = [
        {"vanilla": "plain wish", "adversarial": "", "data_type": "vanilla_harmful"},
        {"vanilla": "plain wish", "adversarial": "dressed wish", "data_type": "adversarial_harmful"},
        {"vanilla": "plain question", "adversarial": "", "data_type": "vanilla_benign"},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    assert [row.prompt for row in load_suite("wildjailbreak", tmp_path / "a.tsv")] == ["plain wish", "dressed wish"]
    assert [row.prompt for row in load_suite("wildjailbreak_benign", tmp_path / "a.tsv")] == ["plain question"]


def test_the_right_option_of_gpqa_stands_anywhere_and_depends_on_its_row_alone(tmp_path: Path) -> None:
    rows = [
        {"Question": f"Question {i}?", "Correct Answer": "right", **{f"Incorrect Answer {j}": f"wrong {j}" for j in (1, 2, 3)}}
        for i in range(200)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(rows[::-1]).to_csv(tmp_path / "b.csv", index=False)
    forward, backward = load_suite("gpqa_diamond", tmp_path / "a.csv"), load_suite("gpqa_diamond", tmp_path / "b.csv")
    assert forward == backward[::-1]
    for row in forward:
        assert f"\n{row.answer}. right" in row.prompt
    # Of 200 draws from 4 letters 50 are expected each, with a standard deviation of 6.1: below 26 is four of them away.
    assert all(sum(row.answer == letter for row in forward) > 26 for letter in "ABCD")


@pytest.mark.parametrize(("name", "said"), [("math_500", "\\boxed{1.5}"), ("gpqa_diamond", "D"), ("arc_challenge", "(A)"), ("gsm8k", "5")])
def test_the_gold_answer_is_one_that_the_verifier_knows(tmp_path: Path, name: str, said: str) -> None:
    row = load_suite(name, PUBLIC_FILES[name].write(tmp_path))[0]
    assert row.answer is not None
    assert row.answer_kind is not None
    assert verify(f"The answer is {said}.", row.answer, row.answer_kind, row.choices) == (True, True)
    assert verify("The answer is 7." if row.choices is None else "The answer is B.", row.answer, row.answer_kind, row.choices)[0] is False


REAL = {
    "xstest": ("xstest", 450, "harmful", 200),
    "gsm8k": ("gsm8k", 1319, "utility", 1319),
    "mmlu_pro": ("mmlu_pro", 280, "utility", 280),
}


TRAINING = {
    "star1": ("harmful", 1000, 1000, 1000),
    "mitre_frr": ("borderline", 750, 750, 0),
    "gsm8k": ("utility", 7473, 0, 7473),
}
"""Type, and how many rows there are, with a category, with a response of their own."""


def real(folder: str) -> Path:
    """A folder with real public files; skips the test where it is not there."""
    if not (EXTERNAL / folder).is_dir():
        pytest.skip(f"{EXTERNAL / folder} is not there; set ASCL_EXTERNAL_DATA to the folder with the public files")
    return EXTERNAL / folder


def test_every_label_of_a_row_adds_the_categories_that_fit_and_the_first_is_the_prompts(tmp_path: Path) -> None:
    labels = ["Self-Harm", "No such", "Harassment / Hate / Discrimination"]
    rows = [{"question": "A", "category": labels, "response": None}, {"question": "B", "category": [], "response": None}]
    write_json(tmp_path / "a.json", rows)
    source = parse(SourceConfig, {"format": "star1", "path": str(tmp_path / "a.json")}, file="test")
    found = [(row.category, fitting) for row, fitting in prompts_with_categories(source, dataset("star1"))]
    assert found == [("SLF", ("SLF", "HAT", "HAR")), (None, ())]


@pytest.mark.parametrize("name", TRAINING)
def test_a_real_training_source_is_read_whole_with_its_responses(name: str) -> None:
    kind, rows, with_category, with_response = TRAINING[name]
    found = load_source(parse(SourceConfig, {"format": name, "path": str(real(name))}, file="test"), Path("nowhere"), CORPUS)
    assert (len(found), {row.prompt_type for row in found}) == (rows, {kind})
    assert (sum(row.category is not None for row in found), sum(row.reference is not None for row in found)) == (
        with_category,
        with_response,
    )
    written = " ".join(row.reference or "" for row in found)
    assert not [mark for mark in ("<think>", "</think>", "####", "<<") if mark in written]


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_is_read_whole(name: str) -> None:
    folder, rows, kind, count = REAL[name]
    found = load_suite(name, real(folder))
    assert len(found) == rows
    assert sum(row.prompt_type == kind for row in found) == count
    assert all((row.answer is not None) == (row.prompt_type == "utility") for row in found)
