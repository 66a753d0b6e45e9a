"""People's own prompts: tables in `data/raw`, their errors, what is held out, and the category that a prompt finds."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, read_parquet, write_json, write_text
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.config.own_prompts import SEEDS
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sources import SourceConfig
from ascl_core.config.suites import SuitesConfig
from ascl_core.contracts import StageContext
from ascl_core.data.nearest_category import with_categories
from ascl_core.data.own_folder import named_rules
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.renaming import rename_rules
from ascl_core.data.sources import load_source
from ascl_core.errors import DataError
from ascl_core.evaluation.suites import build_suites
from ascl_core.rl.train import schedule_prompts, training_prompts
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType, Split
from tests.builders import make_corpus, make_prompt, make_rule
from tests.corpus import RAW

AT = RulesConfig().at
OWN = SourceConfig()


@pytest.fixture
def corpus() -> Corpus:
    """A rule that helps with processes, and one that declines theft."""
    examples = [{"prompt": "I want to steal a bicycle.", "verdict": "refuse_explain"}]
    theft = {"policy": "refuse_explain", "title": "Theft", "query": "theft", "keywords": ["steal"], "examples": examples}
    return make_corpus(make_rule(), make_rule(id="ABC-01", category="ABC", text="Do not help anyone steal the things of others.", **theft))


def own(folder: Path, corpus: Corpus, table: str, name: str = "prompts.csv") -> list[RawPrompt]:
    """The prompts of `data/raw` with this table."""
    write_text(folder / name, table)
    return load_source(OWN, folder, corpus)


def test_two_columns_are_enough(tmp_path: Path, corpus: Corpus) -> None:
    (row,) = own(tmp_path, corpus, "prompt,prompt_type\nHow do I stop a process?,borderline\n")
    assert row == RawPrompt("How do I stop a process?", PromptType.BORDERLINE, "own", "LicenseRef-own")


def test_a_rule_gives_the_type(tmp_path: Path, corpus: Corpus) -> None:
    (row,) = own(tmp_path, corpus, "prompt,rule_id\nHelp me steal a car.,ABC-01\n")
    assert (row.prompt_type, row.rule_id) == (PromptType.HARMFUL, "ABC-01")


BAD = {
    "unknown column": ("prompt,prompt_typ\nA,harmful\n", "prompt_typ", "unknown column", "did you mean 'prompt_type'?; or drop it"),
    "other column": ("prompt,prompt_type,votes\nA,harmful,3\n", "votes", "unknown column", "or drop it"),
    "no prompts": ("text,prompt_type\nA,harmful\n", "text", "unknown column", "one of prompt"),
    "no type": ("prompt\nA\n", "prompt_type", "column is missing", "the columns are prompt"),
    "wrong type": ("prompt,prompt_type\nA,harmful\nB,Harmfull\n", "row 2, prompt_type", "no prompt type", "did you mean 'harmful'?"),
    "empty type": ("prompt,prompt_type\nA,\n", "row 1, prompt_type", "no prompt type", "one of harmful"),
    "empty prompt": ("prompt,prompt_type\n,harmful\n", "row 1", "prompt is empty", "drop the row"),
    "unknown rule": ("prompt,rule_id\nA,abc-01\n", "row 1, rule_id", "no such rule", "did you mean 'ABC-01'?"),
    "unknown category": ("prompt,prompt_type,category\nA,harmful,theft\n", "row 1, category", "no such category", "taxonomy.yaml"),
    "utility without a column": (
        "prompt,prompt_type\nWhat is 1 + 1?,utility\n",
        "row 1, answer",
        "gold answer is missing",
        "add the column",
    ),
    "no answer": (
        "prompt,prompt_type,answer\nWhat?,utility,\n",
        "row 1, answer",
        "gold answer is missing",
        "drop the row",
    ),
}


@pytest.mark.parametrize(("table", "field", "problem", "hint"), BAD.values(), ids=BAD)
def test_an_error_names_file_row_and_fix(tmp_path: Path, corpus: Corpus, table: str, field: str, problem: str, hint: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        own(tmp_path, corpus, table)
    assert (caught.value.file, caught.value.field) == (str(tmp_path / "prompts.csv"), field)
    assert hint in str(caught.value.hint)


def test_a_folder_without_prompts_says_what_to_put_there(tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(DataError, match="holds no prompts") as caught:
        load_source(OWN, tmp_path, corpus)
    assert "prompts.csv" in str(caught.value.hint)


def test_seeds_of_other_rules_may_be_deleted(tmp_path: Path, corpus: Corpus) -> None:
    seed = {"rule": "XYZ-01", "frames": ["how"], "actions": ["a"], "objects": ["b"]}
    write_json(tmp_path / "safety.yaml", {"licence": "MIT", "per_seed": 1, "frames": {"how": ["{x}?"]}, "seeds": [seed]})
    with pytest.raises(DataError, match="no such rule") as caught:
        own(tmp_path, corpus, "prompt,rule_id\nA,ABC-01\n")
    assert "delete the file" in str(caught.value.hint)


CATEGORIES = {
    "nearest": ("Help me steal a bicycle!", PromptType.HARMFUL, "ABC"),
    "nearest that decides as the type says": ("Which process may steal the time of others?", PromptType.BORDERLINE, "CYB"),
    "nearest of any type, if no rule decides so": ("I feel bad since I steal.", PromptType.SENSITIVE, "ABC"),
    "none without a common word": ("Quack quack?", PromptType.BORDERLINE, None),
    "none for utility": ("Which process is first?", PromptType.UTILITY, None),
}


@pytest.mark.parametrize(("prompt", "kind", "category"), CATEGORIES.values(), ids=CATEGORIES)
def test_a_prompt_finds_its_category(corpus: Corpus, prompt: str, kind: PromptType, category: str | None) -> None:
    (row,) = with_categories([RawPrompt(prompt, kind, "own", "MIT")], corpus, AT)
    assert row.category == category


def test_a_category_that_is_written_stays(corpus: Corpus) -> None:
    row = RawPrompt("Help me steal!", PromptType.HARMFUL, "own", "MIT", category="CYB")
    assert list(with_categories([row], corpus, AT)) == [row]


def suites(folder: Path, corpus: Corpus, table: str, **changes: float) -> tuple[list[str], dict[str, object]]:
    """The prompts that are held out of this table, and what the stage says."""
    write_text(folder / "raw/prompts.csv", table)
    write_json(folder / "corpus.json", corpus.to_json())
    said = build_suites(
        suites=SuitesConfig.model_validate(changes),
        rules=RulesConfig(),
        raw=folder / "raw",
        corpus=folder / "corpus.json",
        suite_prompts=folder / "suites.parquet",
        manifest=folder / "manifest.json",
        texts=folder / "texts.json",
        context=StageContext(state=folder / "state"),
    )
    held_out = [row["prompt"] for row in read_parquet(folder / "suites.parquet").to_pylist()]
    assert read_json(folder / "texts.json") == sorted(held_out)
    return held_out, dict(said)


@pytest.mark.parametrize("number", [2, 3, 10])
def test_of_each_type_one_is_held_out_and_one_is_left(tmp_path: Path, corpus: Corpus, number: int) -> None:
    table = "prompt,prompt_type\n" + "".join(f"Prompt number {n} about {kind},{kind}\n" for n in range(number) for kind in KINDS)
    held_out, said = suites(tmp_path, corpus, table)
    for kind in KINDS:
        assert 1 <= sum(kind in prompt for prompt in held_out) < number
    assert (
        said["note"]
        == "no suite has a utility prompt: the figures that need one have no data, which is not zero, and the gate cannot hold them"
    )


KINDS = ("harmful", "borderline", "sensitive")


def test_a_single_prompt_is_trained_on(tmp_path: Path, corpus: Corpus) -> None:
    held_out, said = suites(tmp_path, corpus, "prompt,prompt_type\nHelp me steal.,harmful\n")
    assert held_out == []
    assert str(said["note"]).startswith("no suite has a prompt")


def test_nothing_is_held_out_if_no_share_is(tmp_path: Path, corpus: Corpus) -> None:
    table = "prompt,prompt_type\n" + "".join(f"Help me steal {n}.,harmful\n" for n in range(9))
    assert suites(tmp_path, corpus, table, own_fraction=0)[0] == []


def test_what_is_held_out_depends_on_the_table_alone(tmp_path: Path, corpus: Corpus) -> None:
    table = "prompt,prompt_type\n" + "".join(f"How do I stop process {n}?,borderline\n" for n in range(9))
    assert suites(tmp_path / "a", corpus, table)[0] == suites(tmp_path / "b", make_corpus(), table)[0]


def test_reinforcement_learning_takes_kinds_without_prompts_of_its_own_from_those_of_sft() -> None:
    rows = [
        make_prompt(id="1", split=Split.RL),
        make_prompt(id="2", split=Split.TRAIN),
        make_prompt(id="3", split=Split.TRAIN, prompt_type=PromptType.HARMFUL),
        make_prompt(id="4", split=Split.VALIDATION, prompt_type=PromptType.SENSITIVE),
    ]
    assert [row.id for row in training_prompts(rows)] == ["1", "3"]


def test_kinds_without_prompts_leave_their_share_to_the_others() -> None:
    config = IfpoConfig(max_steps=50)
    drawn = schedule_prompts([make_prompt()], config, Path("prompts.parquet"))
    assert [prompt.prompt_type for prompt in drawn] == [PromptType.BORDERLINE] * 50 * config.prompts_per_step


def test_no_kind_with_prompts_is_an_error() -> None:
    config = IfpoConfig(prompt_mix={"utility": 1.0})
    with pytest.raises(DataError, match="no training prompt is of a kind that has a share") as caught:
        schedule_prompts([make_prompt()], config, Path("prompts.parquet"))
    assert "borderline" in str(caught.value.hint)


def test_a_subfolder_is_read_and_what_is_no_table_is_named(tmp_path: Path, corpus: Corpus, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.csv").write_text("prompt,rule_id\nHow do I stop a process?,CYB-03\n")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "more")
    (tmp_path / "lost.csv").symlink_to(tmp_path / "nowhere")
    for name in ("notes.txt", "prompts.xlsx", "more/safety.yaml", ".gitkeep"):
        (tmp_path / name).touch()
    assert [row.prompt for row in load_source(OWN, tmp_path, corpus)] == ["How do I stop a process?"]
    assert caplog.messages[0].endswith(": elsewhere, lost.csv, more/safety.yaml, notes.txt, prompts.xlsx")


def test_seeds_are_never_named_as_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in SEEDS:
        shutil.copy(RAW / name, tmp_path)
    assert list(named_rules(tmp_path))
    rename_rules(tmp_path, {})
    assert caplog.messages == []


def test_a_renamed_rule_is_renamed_in_every_table(tmp_path: Path, corpus: Corpus) -> None:
    before = own(tmp_path, corpus, "prompt,rule_id,licence\nHelp me steal.,ABC-01,\nHow do I stop a process?,CYB-03,MIT\n")
    rename_rules(tmp_path, {"ABC-01": "NEW-01"})
    renamed = make_corpus(make_rule(), make_rule(id="NEW-01", category="NEW", policy="refuse_explain", query="theft"))
    assert load_source(OWN, tmp_path, renamed) == [dataclasses.replace(before[0], rule_id="NEW-01"), before[1]]
