"""Figures over seeds: the mean of the seeds, and an interval that grows where seeds differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ascl_core.contracts import EvaluatedRollout
from ascl_core.evaluation import measures
from ascl_core.evaluation.metrics import h_of
from ascl_core.evaluation.seeds import difference_over_seeds, over_seeds
from ascl_core.vocabulary import Harm, PromptType, Refusal
from tests.builders import make_result


def answers(right: int, n: int = 20) -> list[EvaluatedRollout]:
    """Borderline prompts, of which that many were answered in full."""
    return [make_result(prompt_id=f"{i}", refusal=Refusal.NONE if i < right else Refusal.FULL) for i in range(n)]


def harmful(safe: int, n: int = 20) -> list[EvaluatedRollout]:
    """Harmful prompts, of which that many were answered safely."""
    return [
        make_result(
            prompt_id=f"h{i}",
            prompt_type=PromptType.HARMFUL,
            refusal=Refusal.FULL if i < safe else Refusal.NONE,
            harm=Harm.UNHARMFUL if i < safe else Harm.HARMFUL,
        )
        for i in range(n)
    ]


def test_the_mean_of_the_seeds_whatever_their_sizes() -> None:
    estimate = over_seeds({0: answers(10), 1: answers(40, 40)}, measures.refused)
    assert estimate is not None
    assert estimate.by_seed == (0.5, 0.0)
    assert estimate.value == 0.25
    assert estimate.n == 60


def test_seeds_that_differ_widen_the_interval() -> None:
    alike, different = (
        over_seeds({0: answers(10), 1: answers(10)}, measures.refused),
        over_seeds({0: answers(2), 1: answers(18)}, measures.refused),
    )
    assert alike is not None
    assert different is not None
    assert alike.value == different.value == 0.5
    assert different.high - different.low > 1.5 * (alike.high - alike.low)
    assert alike.low < 0.5 < alike.high


def test_answers_to_one_prompt_are_one_observation() -> None:
    repeated = [row for row in answers(10) for _ in range(50)]
    once, often = over_seeds({0: answers(10)}, measures.refused), over_seeds({0: repeated}, measures.refused)
    assert once is not None
    assert often is not None
    assert often.high - often.low == pytest.approx(once.high - once.low, abs=0.03)


def test_no_data_is_none_and_a_seed_without_is_left_out() -> None:
    assert over_seeds({0: answers(3)}, measures.solved) is None
    assert over_seeds({}, measures.right) is None
    estimate = over_seeds({0: answers(10), 1: []}, measures.refused)
    assert estimate is not None
    assert estimate.by_seed == (0.5,)


def test_h_is_of_each_seed_and_its_interval_is_within_0_and_1() -> None:
    rows = {0: harmful(10) + answers(20), 1: harmful(20) + answers(10)}
    estimate = over_seeds(rows, measures.safe, measures.refused, combine=h_of)
    assert estimate is not None
    assert estimate.by_seed == pytest.approx((2 / 3, 2 / 3))
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    none_right = over_seeds({0: harmful(0) + answers(0)}, measures.safe, measures.refused, combine=h_of)
    assert none_right is not None
    assert none_right.value == 0


def test_the_attacks_on_one_prompt_are_drawn_together() -> None:
    attacked = {kind: [replace(row, prompt_id=f"{row.prompt_id}.{kind}") for row in harmful(10)] for kind in ("typos", "fake_system")}
    one, both = (over_seeds({0: rows}, measures.safe) for rows in (attacked["typos"], [row for rows in attacked.values() for row in rows]))
    assert one is not None
    assert both is not None
    assert both.n == 2 * one.n
    assert (both.value, both.low, both.high) == (one.value, one.low, one.high)


def test_over_suites_a_small_suite_weighs_as_much_as_a_large_one() -> None:
    small = [replace(row, suite="small") for row in answers(0, 2)]
    rows = {0: answers(20) + small, 1: answers(10) + small}
    pooled, over_suites = over_seeds(rows, measures.refused), over_seeds(rows, measures.refused, over_suites=True)
    assert pooled is not None
    assert over_suites is not None
    assert pooled.by_seed == pytest.approx((2 / 22, 12 / 22))
    assert over_suites.by_seed == pytest.approx(((0 + 1) / 2, (0.5 + 1) / 2))
    assert over_suites.n == pooled.n == 44
    assert over_seeds({0: answers(20)}, measures.refused, over_suites=True) == over_seeds({0: answers(20)}, measures.refused)


def test_h_avg_is_none_where_a_part_has_no_data() -> None:
    rows = {0: harmful(10) + answers(20)}
    assert over_seeds(rows, measures.safe, measures.refused, measures.solved, combine=h_of, over_suites=True) is None


def test_the_same_rows_give_the_same_interval() -> None:
    rows = {0: answers(7), 1: answers(9)}
    assert over_seeds(rows, measures.right) == over_seeds(rows, measures.right)


class TestDifferences:
    """Ours less theirs, paired by seed and prompt."""

    def test_what_seeds_share_cancels(self) -> None:
        theirs = {seed: answers(right) for seed, right in enumerate((4, 10, 16))}
        ours = {seed: answers(right + 2) for seed, right in enumerate((4, 10, 16))}
        difference = difference_over_seeds(ours, theirs, measures.right)
        assert difference is not None
        assert difference.value == pytest.approx(0.1)
        assert difference.by_seed == pytest.approx((0.1, 0.1, 0.1))
        assert difference.n == 60
        assert difference.low > 0
        a, b = (over_seeds(rows, measures.right) for rows in (ours, theirs))
        assert a is not None
        assert b is not None
        assert a.low < b.high, "of the means apart no difference is seen"
        back = difference_over_seeds(theirs, ours, measures.right)
        assert back is not None
        assert back.value == -difference.value

    def test_an_arm_against_itself_is_0_and_sure_of_it(self) -> None:
        rows = {0: answers(3), 1: answers(8)}
        same = difference_over_seeds(rows, rows, measures.right)
        assert same is not None
        assert (same.low, same.value, same.high) == (0, 0, 0)

    def test_a_figure_of_several_measures_is_made_of_each_side_first(self) -> None:
        theirs, ours = {0: answers(5), 1: answers(6)}, {0: answers(10), 1: answers(12)}
        difference = difference_over_seeds(ours, theirs, measures.right, measures.right, combine=lambda a, b: a * b)
        assert difference is not None
        assert difference.by_seed == pytest.approx((0.5**2 - 0.25**2, 0.6**2 - 0.3**2))
        assert 0 < difference.low < difference.value < difference.high

    def test_seeds_and_prompts_of_one_alone_do_not_count(self) -> None:
        ours, theirs = {0: answers(5), 1: answers(20)}, {0: answers(5, 10), 2: answers(0)}
        difference = difference_over_seeds(ours, theirs, measures.right)
        assert difference is not None
        assert (difference.n, difference.value) == (10, 0)
        assert difference_over_seeds({0: answers(5)}, {1: answers(5)}, measures.right) is None
        assert difference_over_seeds(ours, theirs, measures.solved) is None
