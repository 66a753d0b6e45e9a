"""Two checkpoints on the same prompts: McNemar's exact test and the paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import pytest

from ascl_core.contracts import EvaluatedRollout
from ascl_core.evaluation.paired import PairedTest, compare, mcnemar
from ascl_core.vocabulary import Harm, PromptType, Refusal
from tests.builders import make_result


def answers(right: Sequence[bool], prefix: str = "p", **changes: object) -> list[EvaluatedRollout]:
    """One borderline prompt for each flag, answered (right) or refused (wrong)."""
    refusal = {True: Refusal.NONE, False: Refusal.FULL}
    return [make_result(**{"prompt_id": f"{prefix}{i}", "refusal": refusal[flag], **changes}) for i, flag in enumerate(right)]


def the_test(candidate: list[EvaluatedRollout], reference: list[EvaluatedRollout]) -> PairedTest:
    (test,) = compare(candidate, reference)
    return test


@pytest.mark.parametrize(("better", "worse"), [(0, 1), (9, 1), (1, 9), (5, 5), (3, 4), (20, 7), (0, 12)])
def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs(better: int, worse: int) -> None:
    n, fewer = better + worse, min(better, worse)
    tail = sum(comb(n, k) for k in range(fewer + 1)) / 2**n
    assert mcnemar(better, worse) == pytest.approx(min(1.0, 2 * tail))


def test_without_a_discordant_pair_nothing_is_shown() -> None:
    assert mcnemar(0, 0) == 1.0


def test_the_difference_is_counted_on_the_common_prompts() -> None:
    # Of ten prompts: both right on 4, only the candidate on 3, only the reference on 1, neither on 2.
    test = the_test(answers([True] * 7 + [False] * 3), answers([True] * 4 + [False] * 3 + [True] + [False] * 2))
    assert (test.metric, test.n, test.better, test.worse) == ("right/borderline", 10, 3, 1)
    assert test.difference == pytest.approx(0.2)
    assert test.low < 0.2 < test.high
    assert test.p_value == mcnemar(3, 1)


def test_the_interval_is_about_that_of_the_normal_distribution() -> None:
    # 400 prompts with differences +1 on 120, -1 on 40, else 0: mean .2, variance .4 - .04 = .36, standard error .6/20.
    candidate = answers([True] * 120 + [False] * 40 + [True] * 240)
    reference = answers([False] * 120 + [True] * 40 + [True] * 240)
    test = the_test(candidate, reference)
    assert (test.low, test.high) == (pytest.approx(0.2 - 1.96 * 0.03, abs=0.01), pytest.approx(0.2 + 1.96 * 0.03, abs=0.01))


def test_prompts_that_only_one_of_them_answered_do_not_count() -> None:
    candidate = answers([True, False]) + answers([True] * 5, prefix="new")
    reference = answers([True, True]) + answers([False] * 5, prefix="old")
    assert the_test(candidate, reference).n == 2


def test_the_same_prompt_in_two_suites_counts_twice() -> None:
    rows = answers([True], suite="a") + answers([True], suite="b")
    assert the_test(rows, rows).n == 2


def test_samples_of_one_prompt_are_one_observation() -> None:
    candidate = [row for sample in range(3) for row in answers([True, sample == 0], sample=sample)]
    reference = [row for sample in range(3) for row in answers([False, True], sample=sample)]
    test = the_test(candidate, reference)
    assert (test.n, test.better, test.worse) == (2, 1, 1)
    assert test.difference == pytest.approx(((1 - 0) + (1 / 3 - 1)) / 2)


def test_order_does_not_matter_and_a_checkpoint_equals_itself() -> None:
    rows = answers([True, False, True])
    test = the_test(rows, rows[::-1])
    assert (test.difference, test.low, test.high, test.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_each_prompt_type_and_dual_use_have_a_test_of_their_own() -> None:
    rows = [
        *answers([True]),
        *answers([True], prompt_type=PromptType.HARMFUL, harm=Harm.UNHARMFUL, dual_use=True),
        *answers([True], prompt_type=PromptType.UTILITY, correct=True),
    ]
    assert {test.metric for test in compare(rows, rows)} == {"right/borderline", "right/harmful", "right/utility", "right/dual_use"}


def test_a_type_that_only_one_of_them_has_is_left_out() -> None:
    assert compare(answers([True]), answers([True], prompt_type=PromptType.SENSITIVE)) == []
    assert compare([], []) == []
