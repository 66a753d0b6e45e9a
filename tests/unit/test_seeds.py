"""The project's own prompts: what seeds expand to, that the answers are right, and how a bad seed is named."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ascl_core.artifacts import sha256_json
from ascl_core.config.suites import SuitesConfig
from ascl_core.data.raw_prompt import RawPrompt, content_fraction
from ascl_core.data.seeds import own_prompts
from ascl_core.errors import AsclError
from ascl_core.rewards.answers import verify
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType
from tests.builders import make_corpus, make_rule
from tests.corpus import RAW, frozen_corpus

SEED: dict[str, Any] = {"rule": "CYB-03", "frames": ["how"], "actions": ["kill", "stop"], "objects": ["a process", "a server"]}
SAFETY: dict[str, Any] = {"licence": "MIT", "per_seed": 36, "frames": {"how": ["How do I {x}?", "Tell me how to {x}."]}, "seeds": [SEED]}
UTILITY: dict[str, Any] = {
    "licence": "MIT",
    "frames": {"number": ["What is {x}?"], "words": ["{x}?"]},
    "kinds": [{"kind": "add", "largest": 2, "count": 9}],
}


def write(folder: Path, safety: Any = SAFETY, utility: Any = UTILITY) -> Path:
    for name, values in (("safety.yaml", safety), ("utility.yaml", utility)):
        with open(folder / name, "w", encoding="utf-8") as file:
            YAML(typ="safe").dump(values, file)
    return folder


def expand(folder: Path, corpus: Corpus | None = None, **files: Any) -> list[RawPrompt]:
    return own_prompts(write(folder, **files), corpus or make_corpus())


def utility(folder: Path, **kind: Any) -> dict[str, str | None]:
    """The questions of one kind, with their answers."""
    rows = expand(folder, utility={**UTILITY, "kinds": [{"count": 1000, **kind}]})
    return {row.prompt: row.answer for row in rows if row.prompt_type is PromptType.UTILITY}


@cache
def shipped() -> tuple[tuple[RawPrompt, ...], Corpus]:
    """The frozen prompts and rules."""
    corpus = frozen_corpus()
    return tuple(own_prompts(RAW, corpus)), corpus


def test_a_seed_is_frames_times_actions_times_objects(tmp_path: Path) -> None:
    prompts = {row.prompt for row in expand(tmp_path) if row.rule_id}
    things = [f"{action} {thing}" for action in ("kill", "stop") for thing in ("a process", "a server")]
    assert prompts == {frame for thing in things for frame in (f"How do I {thing}?", f"Tell me how to {thing}.")}


def test_the_rule_decides_type_and_category(tmp_path: Path) -> None:
    corpus = make_corpus(make_rule(policy="hard_refuse", examples=[]))
    row = expand(tmp_path, corpus, safety={**SAFETY, "seeds": [{**SEED, "contrast": "kill"}]})[0]
    assert (row.prompt_type, row.category, row.rule_id, row.pair_id) == (PromptType.HARMFUL, "CYB", "CYB-03", "kill")
    assert (row.source, row.licence) == ("own", "MIT")


def test_a_sentence_has_one_capital(tmp_path: Path) -> None:
    seed = {**SEED, "frames": ["any"], "actions": ["My boss"], "objects": ["is ill"]}
    frames = {"any": ["{x}.", "Please help: {x}."]}
    rows = expand(tmp_path, safety={**SAFETY, "frames": frames, "seeds": [seed]})
    assert {row.prompt for row in rows if row.rule_id} == {"My boss is ill.", "Please help: my boss is ill."}


def test_of_many_sentences_some_are_taken_by_content(tmp_path: Path) -> None:
    seed = {**SEED, "objects": [f"thing {i}" for i in range(60)]}
    taken = [row.prompt for row in expand(tmp_path, safety={**SAFETY, "per_seed": 20, "seeds": [seed]}) if row.rule_id]
    assert len(set(taken)) == 20
    more = {**seed, "objects": [*seed["objects"], "thing 60"]}
    after = [row.prompt for row in expand(tmp_path, safety={**SAFETY, "per_seed": 20, "seeds": [more]}) if row.rule_id]
    assert len(set(taken) & set(after)) >= 17


def test_sums_and_differences_are_right_and_never_negative(tmp_path: Path) -> None:
    for kind, operation in (("add", int.__add__), ("subtract", int.__sub__)):
        questions = utility(tmp_path, kind=kind, largest=9)
        assert len(questions) == {"add": 81, "subtract": 45}[kind]
        for question, answer in questions.items():
            a, b = map(int, re.findall(r"\d+", question))
            assert int(str(answer)) == operation(a, b) >= 0


def test_comparisons_are_right(tmp_path: Path) -> None:
    for kind, best in (("larger", max), ("smaller", min)):
        questions = utility(tmp_path, kind=kind, largest=5)
        assert len(questions) == 20
        assert all(int(str(answer)) == best(map(int, re.findall(r"\d+", question))) for question, answer in questions.items())


def test_orders_are_asked_both_ways(tmp_path: Path) -> None:
    assert utility(tmp_path, kind="next", orders=[["one", "two", "three"]]) == {
        "What comes after one?": "two",
        "What comes before two?": "one",
        "What comes after two?": "three",
        "What comes before three?": "two",
    }


def test_opposites_are_asked_both_ways(tmp_path: Path) -> None:
    assert utility(tmp_path, kind="opposite", pairs=[["hot", "cold"]]) == {
        "What is the opposite of hot?": "cold",
        "What is the opposite of cold?": "hot",
    }


def test_of_a_choice_the_right_letter_stands_at_the_member(tmp_path: Path) -> None:
    questions = utility(tmp_path, kind="choice", sets=[["animal", ["dog", "cat"], ["table", "river", "shirt"]]])
    assert len(questions) == 2 * 3 * 3
    for question, answer in questions.items():
        options = dict(re.findall(r"([ABC])\) (\w+)", question))
        assert options[str(answer)] in ("dog", "cat")
        assert sum(option in ("dog", "cat") for option in options.values()) == 1


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown rule": ({"safety": {**SAFETY, "seeds": [SEED, {**SEED, "rule": "CYB-99"}]}}, "seeds[1].rule"),
    "unknown frames": ({"safety": {**SAFETY, "seeds": [{**SEED, "frames": ["how", "why"]}]}}, "seeds[0].frames"),
    "no seeds": ({"safety": {**SAFETY, "seeds": []}}, "seeds"),
    "seed without objects": ({"safety": {**SAFETY, "seeds": [{**SEED, "objects": []}]}}, "seeds.0.objects"),
    "misspelt key": ({"safety": {**SAFETY, "seeds": [{**SEED, "object": ["x"]}]}}, "seeds.0.object"),
    "unknown kind": ({"utility": {**UTILITY, "kinds": [{"kind": "multiply", "count": 1}]}}, "kinds.0.kind"),
    "missing frames of utility": ({"utility": {**UTILITY, "frames": {"words": ["{x}?"]}}}, "kinds[0]"),
}


@pytest.mark.parametrize(("files", "field"), BAD.values(), ids=BAD)
def test_a_bad_seed_is_named_with_its_file_and_place(tmp_path: Path, files: dict[str, Any], field: str) -> None:
    with pytest.raises(AsclError) as caught:
        expand(tmp_path, **files)
    assert caught.value.file == str(tmp_path / f"{next(iter(files))}.yaml")
    assert caught.value.field == field
    assert caught.value.hint


@pytest.mark.parametrize("name", ["safety.yaml", "utility.yaml"])
def test_a_file_that_is_not_there_has_no_seeds(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    everything = own_prompts(tmp_path, make_corpus())
    (tmp_path / name).unlink()
    rest = own_prompts(tmp_path, make_corpus())
    assert rest
    assert {row.prompt for row in rest} < {row.prompt for row in everything}


class TestShipped:
    """The prompts of this repository."""

    def test_every_prompt_type_and_category_has_prompts(self) -> None:
        rows, corpus = shipped()
        assert {row.prompt_type for row in rows} == set(PromptType)
        assert {row.category for row in rows if row.category} == set(corpus.categories)

    def test_no_prompt_stands_for_two_rules(self) -> None:
        rules: dict[str, set[str]] = {}
        for row in shipped()[0]:
            if row.rule_id:
                rules.setdefault(row.prompt.casefold(), set()).add(row.rule_id)
        assert {prompt: ids for prompt, ids in rules.items() if len(ids) > 1} == {}

    def test_every_gold_answer_verifies_and_is_not_in_the_frame(self) -> None:
        for row in shipped()[0]:
            if row.prompt_type is PromptType.UTILITY:
                assert row.answer is not None
                assert row.answer_kind is not None
                assert verify(f"The answer is {row.answer}.", row.answer, row.answer_kind, row.choices) == (True, True)

    def test_contrast_pairs_have_a_harmful_and_another_side(self) -> None:
        sides: dict[str, set[bool]] = {}
        for row in shipped()[0]:
            if row.pair_id and row.pair_id in row.prompt.casefold():
                sides.setdefault(row.pair_id, set()).add(row.prompt_type is PromptType.HARMFUL)
        assert sides
        assert {pair for pair, found in sides.items() if found != {True, False}} == set()

    def test_what_the_suites_ask_for_is_asked_for_in_no_training_prompt(self) -> None:
        rows = [row for row in shipped()[0] if row.rule_id]
        held_out = {row.prompt for row in rows if content_fraction(str(row.family), "suite") < SuitesConfig().own_fraction}
        families = {row.family for row in rows if row.prompt in held_out}
        assert len(families) > 100
        assert not [row.prompt for row in rows if row.prompt not in held_out and row.family in families]
        assert all(str(row.family)[1:] in row.prompt for row in rows)

    def test_expanding_twice_gives_the_same_prompts_in_the_same_order(self) -> None:
        rows, corpus = shipped()
        again = own_prompts(RAW, corpus)
        assert sha256_json([vars(row) for row in again]) == sha256_json([vars(row) for row in rows])
