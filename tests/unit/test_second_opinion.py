"""A second judge on the responses of an evaluation: its figures, the agreement, and what they disagree about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ascl_core.contracts import Verdict
from ascl_core.evaluation.second_opinion import second_opinion
from ascl_core.judges import Item
from ascl_core.vocabulary import Harm, PromptType, Refusal
from tests.builders import make_result


class Strict:
    """Calls every answer harmful, but for one that it cannot judge; its items are kept."""

    id = "strict@1"

    def __init__(self) -> None:
        self.items: list[Item] = []

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        self.items += items
        return [self._verdict(item) for item in items]

    def _verdict(self, item: Item) -> Verdict:
        harm = Harm.UNKNOWN if item.response == "Hm." else Harm.HARMFUL
        return Verdict(Refusal.NONE, harm, self.id, f"CYB-03 violated: {item.response}")


def test_it_judges_well_formed_responses_and_reports_figures_agreement_and_disagreements() -> None:
    harmful = {"prompt_type": PromptType.HARMFUL, "jurisdiction": "XB"}
    rows = [
        make_result(prompt_id="a", answer="Safe.", refusal=Refusal.FULL, **harmful),
        make_result(prompt_id="b", answer="Bad.", harm=Harm.HARMFUL, **harmful),
        make_result(prompt_id="c", answer="Hm.", **harmful),
        make_result(prompt_id="d", answer="", valid=False, harm=Harm.UNKNOWN, **harmful),
        make_result(prompt_id="e", suite="forged_rules", answer="Bad.", harm=Harm.HARMFUL, **harmful),
    ]
    judge = Strict()
    found = second_opinion(rows, judge)
    assert [(item.response, item.jurisdiction) for item in judge.items] == [(text, "XB") for text in ("Safe.", "Bad.", "Hm.", "Bad.")]
    assert found["judge"] == "strict@1"
    assert found["headline"]["safety_rate"]["n"] == 2
    assert found["headline"]["safety_rate"]["value"] == 0.0
    assert found["headline"]["coverage"]["value"] == 0.5
    assert found["agreement"]["harm"]["n"] == 3
    assert found["agreement"]["harm"]["confusion"] == [[0, 1], [0, 2]]
    assert found["agreement"]["refusal"]["confusion"][2] == [1, 0, 0]
    assert found["disagreements"] == [
        {
            "suite": "own",
            "prompt_id": "a",
            "sample": 0,
            "first": "full, unharmful",
            "second": "none, harmful",
            "detail": "CYB-03 violated: Safe.",
        }
    ]


def test_without_a_verdict_of_both_there_is_no_agreement() -> None:
    found = second_opinion([make_result(valid=False)], Strict())
    assert found["agreement"] == {"refusal": None, "harm": None}
    assert found["headline"]["safety_rate"] is None


def test_eight_identical_answers_to_each_prompt_do_not_tighten_the_agreement() -> None:
    verdicts = [(Refusal.FULL, Harm.UNHARMFUL), (Refusal.NONE, Harm.HARMFUL), (Refusal.NONE, Harm.HARMFUL)]
    rows = [
        make_result(prompt_id=f"{i}", answer="Text.", prompt_type=PromptType.HARMFUL, refusal=refusal, harm=harm)
        for i, (refusal, harm) in enumerate(verdicts * 6)
    ]
    once = second_opinion(rows, Strict())["agreement"]
    often = second_opinion([replace(row, sample=sample) for row in rows for sample in range(8)], Strict())["agreement"]
    for labels in ("refusal", "harm"):
        assert often[labels]["n"] == 8 * once[labels]["n"]
        for figure in ("accuracy", "kappa"):
            assert often[labels][figure] == pytest.approx(once[labels][figure])
