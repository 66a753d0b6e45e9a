"""Trajectories by ratio: exact shares, the same choice every time, what was short, and baselines on the same prompts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, read_jsonl
from ascl_core.config.base import parse
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.profiles import resolve_profile
from ascl_core.contracts import Prompt
from ascl_core.errors import ConfigError, DataError
from ascl_core.sft.mixing import mix
from ascl_core.vocabulary import Mode, PromptType, ResponsePolicy
from tests.builders import make_prompt
from tests.unit.test_templated_teacher import UTILITY, kept

PAPER = {"harmful_consult": 2.0, "borderline_consult": 3.0, "borderline_direct": 2.0}
HARM = {"prompt_type": PromptType.HARMFUL, "policy": ResponsePolicy.HARD_REFUSE, "rule_id": "CYB-01"}


def make_prompts(harmful: int, borderline: int) -> list[Prompt]:
    """So many prompts of either type."""
    bad = [make_prompt(id=f"a{i:015x}", prompt=f"Get me into server {i}", **HARM) for i in range(harmful)]
    return bad + [make_prompt(id=f"b{i:015x}", prompt=f"How do I restart server {i}?") for i in range(borderline)]


def make_draft(kind: PromptType, mode: Mode, number: int) -> tuple[Prompt, list[dict[str, Any]]]:
    """A draft of that kind; what is written in it does not matter here."""
    roles = ["user", "assistant", "tool", "assistant"] if mode is Mode.CONSULT else ["user", "assistant"]
    return make_prompt(id=f"{number:016x}", prompt_type=kind), [{"role": role, "content": str(number)} for role in roles]


DRAFTS = [
    *(make_draft(PromptType.HARMFUL, Mode.CONSULT, i) for i in range(10)),
    *(make_draft(PromptType.BORDERLINE, Mode.CONSULT, 100 + i) for i in range(50)),
    *(make_draft(PromptType.BORDERLINE, Mode.DIRECT, 200 + i) for i in range(50)),
    *(make_draft(PromptType.UTILITY, Mode.DIRECT, 300 + i) for i in range(50)),
]
WEIGHTS = BuildSftConfig(mix=PAPER).mix_weights


def test_the_scarcest_kind_decides_how_many_there_are_and_is_named() -> None:
    chosen, report = mix(DRAFTS, WEIGHTS, None, seed=0)
    # 10 harmful at weight 2 are 5 units: 5 x 3 = 15 and 5 x 2 = 10 of the others.
    assert Counter(prompt.prompt_type for prompt, _ in chosen) == {PromptType.HARMFUL: 10, PromptType.BORDERLINE: 25}
    assert report["short"] == ["harmful_consult"]
    assert report["kinds"]["borderline_consult"] == {"weight": 3.0, "available": 50, "taken": 15}
    assert report["kinds"]["borderline_direct"]["taken"] == 10


def test_the_papers_numbers() -> None:
    many = [make_draft(*kind, i) for kind, count in zip(WEIGHTS, (1000, 1469, 2000), strict=True) for i in range(count)]
    # 1,469 / 3 = 489.67 units: 979 harmful with a look-up, 1,469 borderline with, 979 without (the paper has 980 : 1,469 : 980).
    _, report = mix(many, WEIGHTS, None, seed=0)
    assert [entry["taken"] for _, entry in sorted(report["kinds"].items())] == [1469, 979, 979]


@pytest.mark.parametrize(
    ("available", "taken", "short"),
    [
        ((1400, 2100, 1400), [1469, 980, 980], []),
        ((980, 1469, 980), [1469, 980, 980], []),
        ((490, 2100, 1400), [734, 490, 490], ["harmful_consult"]),
    ],
)
def test_a_surplus_makes_the_mix_no_larger_than_asked(available: tuple[int, ...], taken: list[int], short: list[str]) -> None:
    config = resolve_profile(Path(__file__).resolve().parents[2], "paper").build_sft
    many = [make_draft(*kind, i) for kind, count in zip(WEIGHTS, available, strict=True) for i in range(count)]
    chosen, report = mix(many, config.mix_weights, config.mix_size, seed=0)
    assert [entry["taken"] for _, entry in sorted(report["kinds"].items())] == taken
    assert (len(chosen), report["short"]) == (sum(taken), short)


def test_the_choice_depends_on_seed_and_content_and_not_on_the_order() -> None:
    chosen = {prompt.id for prompt, _ in mix(DRAFTS, WEIGHTS, None, seed=0)[0]}
    assert {prompt.id for prompt, _ in mix(DRAFTS[::-1], WEIGHTS, None, seed=0)[0]} == chosen
    assert {prompt.id for prompt, _ in mix(DRAFTS, WEIGHTS, None, seed=1)[0]} != chosen
    ids = [prompt.id for prompt, _ in mix(DRAFTS, WEIGHTS, None, seed=0)[0]]
    assert ids == [prompt.id for prompt, _ in DRAFTS if prompt.id in chosen], "in the order of the drafts"


def test_a_kind_of_which_there_is_none_is_an_error() -> None:
    with pytest.raises(DataError, match=r"build_sft\.mix.*harmful_consult"):
        mix(DRAFTS[10:], WEIGHTS, None, seed=0)


@pytest.mark.parametrize("value", [{}, {"harmful_refuse": 1.0}, {"harmful_consult": 0.0}, {"harmful_consult": -1.0}])
def test_a_mix_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="mix"):
        parse(BuildSftConfig, {"mix": value}, file="params.yaml")


def test_the_builder_mixes_and_the_baselines_have_the_same_prompts(tmp_path: Path) -> None:
    rows, counts = kept(tmp_path, [*make_prompts(40, 60), UTILITY], mix=PAPER)
    kinds = Counter(f"{row['prompt_type']}_{row['mode']}" for row in rows)
    taken = {kind: entry["taken"] for kind, entry in counts["mix"]["kinds"].items()}
    assert kinds == taken
    unit = min(entry["available"] / entry["weight"] for entry in counts["mix"]["kinds"].values())
    assert taken == {kind: int(unit * weight + 1e-9) for kind, weight in PAPER.items()}
    assert counts["mix"]["short"]
    assert counts["written"] == 100, "nothing is written for a type that the mix leaves out"
    ids = {row["prompt_id"] for row in rows}
    for arm in ("direct_refusal", "context_distillation", "surrogate"):
        assert {row["prompt_id"] for row in read_jsonl(tmp_path / f"{arm}.jsonl")} == ids
    assert read_json(tmp_path / "counts.json")["arms"]["direct_refusal"]["written"] == len(ids)


def test_borderline_prompts_are_written_in_both_modes_by_the_ratio() -> None:
    config = BuildSftConfig(mix=PAPER)
    assert config.consult_share_of(PromptType.HARMFUL) == 1.0
    assert config.consult_share_of(PromptType.BORDERLINE) == 0.6
    assert BuildSftConfig().consult_share_of(PromptType.BORDERLINE) == 0.5
