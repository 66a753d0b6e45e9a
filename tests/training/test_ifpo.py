"""IFPO on TRL's `GRPOTrainer`: the advantages that replace TRL's, what carries loss, what is logged, and how it ends."""

from __future__ import annotations

import math
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOTrainer

from ascl_core.config.base import parse
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.contracts import Prompt
from ascl_core.conversation.template import END
from ascl_core.conversation.tool import ERROR
from ascl_core.conversation.trajectory import read_calls
from ascl_core.errors import ConfigError, DataError, TrainingError
from ascl_core.generation.load import load_tokenizer
from ascl_core.rl import train, trainer
from ascl_core.rl.advantages import grpo_advantages, ifpo_advantages, mode_weights
from ascl_core.rl.scoring import ScoredBatch, Scorer
from ascl_core.rl.trainer import IfpoTrainer
from ascl_core.rules.corpus import load_corpus
from ascl_core.rules.rendering import NO_MATCH, render_rule
from ascl_core.vocabulary import PromptType
from tests.builders import make_prompt
from tests.training.conftest import IFPO, World, make_prompts, stop_once_at, weights_of

pytestmark = pytest.mark.filterwarnings("ignore")
GROUP = IFPO["group_size"]


@dataclass
class Step:
    """What one step sampled and what was made of it; lists and tensors are by rollout."""

    prompt_ids: list[str]
    looked_up: torch.Tensor
    """Whether a tool result is among the rollout's messages, TRL's own account of it, and the call that it answers is well-formed."""
    rewards: torch.Tensor
    correct: torch.Tensor
    output: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps of the training that the test runs; no rollout is left out of them."""
    seen: list[Step] = []
    score, generate = IfpoTrainer._calculate_rewards, IfpoTrainer._generate_and_score_completions

    def keep_scores(self: Any, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> torch.Tensor:
        rewards = score(self, inputs, prompts, completions, completion_ids_list)
        turns = [text.split(END)[0] for text in self._tokenizer.batch_decode(completion_ids_list)]
        answered = [any(message["role"] == "tool" for message in messages) for messages in completions]
        looked_up = torch.tensor([had and bool(read_calls(turn)) for had, turn in zip(answered, turns, strict=True)])
        seen.append(Step([row["prompt_id"] for row in inputs], looked_up, rewards[:, 0].clone(), torch.tensor(self._scored.correct)))
        return rewards

    def keep_output(self: Any, inputs: Any) -> dict[str, Any]:
        output = generate(self, inputs)
        seen[-1].output = {name: value.clone() for name, value in output.items() if isinstance(value, torch.Tensor)}
        return output

    monkeypatch.setattr(IfpoTrainer, "_calculate_rewards", keep_scores)
    monkeypatch.setattr(IfpoTrainer, "_generate_and_score_completions", keep_output)
    monkeypatch.setattr(trainer, "without_idle", lambda batch, *_, **__: batch)
    return seen


Formula = Callable[[Step], torch.Tensor]
"""The advantages that a step is to have."""


def _formula(strategy: str, **options: Any) -> Formula:
    def advantages(step: Step) -> torch.Tensor:
        return ifpo_advantages(step.rewards, step.looked_up, GROUP, rebalance=strategy, correct=step.correct, **options)

    return advantages


BOUNDED = {"tau": 2.0, "min_weight": 0.9, "max_weight": 1.2}
FORMULAS: dict[str, tuple[dict[str, Any], Formula]] = {
    "none": ({"rebalance": "none"}, _formula("none")),
    "default": ({}, lambda step: ifpo_advantages(step.rewards, step.looked_up, GROUP)),
    "clipped": (BOUNDED, _formula("ifpo", **BOUNDED)),
    "efficient": ({"rebalance": "conditional", "efficiency_weight": 0.5}, _formula("conditional", efficiency_weight=0.5)),
}
"""Each option that training hands on; what each strategy makes of them is a matter of `ifpo_advantages` alone."""


@pytest.mark.parametrize(("changes", "formula"), FORMULAS.values(), ids=FORMULAS)
def test_training_uses_the_advantages_of_the_groups_it_sampled(
    world: World, tmp_path: Path, steps: list[Step], changes: dict[str, Any], formula: Formula
) -> None:
    world.ifpo(tmp_path, **changes)
    assert len(steps) == IFPO["max_steps"]
    for step in steps:
        assert [step.prompt_ids[i] for i in range(0, 16, GROUP) for _ in range(GROUP)] == step.prompt_ids, "groups are contiguous"
        torch.testing.assert_close(step.output["advantages"], formula(step))
    plain = torch.cat([grpo_advantages(step.rewards, GROUP) for step in steps])
    assert plain.abs().max() > 0.5
    rebalanced = not torch.cat([step.output["advantages"] for step in steps]).allclose(plain)
    assert rebalanced == (changes.get("rebalance") != "none"), "the groups of this test are such that rebalancing shows"


def test_the_tool_results_get_no_gradient_and_every_turn_of_the_assistant_does(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[dict[str, torch.Tensor], torch.Tensor]] = []
    loss, log_probabilities = IfpoTrainer._compute_loss, IfpoTrainer._get_per_token_logps_and_entropies

    def keep_batch(self: Any, model: Any, inputs: Any) -> Any:
        seen.append((inputs, torch.empty(0)))
        return loss(self, model, inputs)

    def keep_log_probabilities(self: Any, *arguments: Any, **named: Any) -> Any:
        logps, *others = log_probabilities(self, *arguments, **named)
        logps.retain_grad()
        seen[-1] = (seen[-1][0], logps)
        return logps, *others

    monkeypatch.setattr(IfpoTrainer, "_compute_loss", keep_batch)
    monkeypatch.setattr(IfpoTrainer, "_get_per_token_logps_and_entropies", keep_log_probabilities)
    world.ifpo(tmp_path, max_steps=1)
    tokenizer = load_tokenizer(world.root / "taught/model")
    results = [render_rule(rule) for rule in load_corpus(world.root / "corpus.json").rules] + [NO_MATCH, ERROR]
    consulted = 0
    for batch, logps in seen:
        assert logps.grad is not None
        for row in range(len(logps)):
            ids, there = batch["completion_ids"][row], batch["completion_mask"][row].bool()
            taught = logps.grad[row] != 0
            text, learned, left = (tokenizer.decode(ids[mask]) for mask in (there, taught, there & ~taught))
            if batch["advantages"][row] == 0:
                assert learned == ""
                continue
            looked_up = "<tool_response>" in text
            consulted += looked_up
            assert "<tool_response>" not in learned
            assert not any(result in learned for result in results)
            assert looked_up == any(result in left for result in results)
            assert learned.count("<|im_end|>") == text.count("<|im_start|>assistant") + 1
    assert consulted > 0


def test_what_is_logged_is_what_was_sampled(world: World, tmp_path: Path, steps: list[Step]) -> None:
    lines = world.ifpo(tmp_path)
    types = {prompt.id: str(prompt.prompt_type) for prompt in world.prompts}
    for line, step in zip(lines, steps, strict=True):
        looked_up = step.looked_up.float()
        assert line["consult_rate"] == pytest.approx(float(looked_up.mean()))
        for kind in set(types.values()):
            of_kind = torch.tensor([types[prompt_id] == kind for prompt_id in step.prompt_ids])
            assert (f"consult_rate/{kind}" in line) == (f"reward/{kind}" in line) == bool(of_kind.any()), "no data is no figure"
            if of_kind.any():
                assert line[f"consult_rate/{kind}"] == pytest.approx(float(looked_up[of_kind].mean()))
                assert line[f"reward/{kind}"] == pytest.approx(float(step.rewards[of_kind].mean()))
        assert line["reward/mean"] == pytest.approx(float(step.rewards.mean()))
        assert {f"reward/{term}" for term in IfpoConfig().reward.terms} <= set(line)
        assert line["correct_rate"] == pytest.approx(float(step.correct.float().mean()))
        weights = mode_weights(step.rewards, step.looked_up, GROUP)
        assert (line["weights/mean"], line["weights/max"]) == pytest.approx((float(weights.mean()), float(weights.max())))
        modes = step.looked_up.reshape(-1, GROUP).float().mean(1)
        assert line["groups/one_mode"] == pytest.approx(float(((modes == 0) | (modes == 1)).float().mean()))
        assert {"valid_rate", "not_judged", "groups/zero_variance", "entropy", "loss", "grad_norm"} <= set(line)
    assert 0 < lines[0]["consult_rate"] < 1


def test_only_prompts_of_the_mix_are_sampled(world: World, tmp_path: Path, steps: list[Step]) -> None:
    world.ifpo(tmp_path, prompt_mix={"harmful": 1.0, "borderline": 0.0}, max_steps=1)
    types = {prompt.id: str(prompt.prompt_type) for prompt in world.prompts}
    assert {types[prompt_id] for step in steps for prompt_id in step.prompt_ids} == {"harmful"}


def test_a_run_that_was_killed_after_its_last_save_trains_no_further(world: World, tmp_path: Path) -> None:
    before = world.ifpo(tmp_path)
    kept = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    shutil.rmtree(tmp_path / "model")
    (tmp_path / "log.jsonl").unlink()
    assert world.ifpo(tmp_path) == before
    assert {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()} == kept


def test_a_save_that_was_cut_off_is_passed_over_and_the_run_resumes_to_the_same_bits(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    wanted = world.ifpo(straight, max_steps=4)
    with stop_once_at(3, monkeypatch):
        world.ifpo(resumed, max_steps=4)
    (resumed / "state/checkpoint-4").mkdir()
    assert world.ifpo(resumed, max_steps=4) == wanted
    before, after = weights_of(straight), weights_of(resumed)
    assert all(before[name].equal(after[name]) for name in before)


def test_another_seed_trains_otherwise(world: World, tmp_path: Path) -> None:
    """That the same seed gives the same bits is what every test of resuming asserts."""
    first, other = (world.ifpo(tmp_path / str(seed), seed=seed, max_steps=1) for seed in (0, 1))
    assert first != other


@pytest.mark.parametrize("loss", ["token_mean", "sequence_mean"])
def test_leaving_rollouts_without_advantage_out_changes_neither_loss_nor_gradient(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gradients: list[torch.Tensor], loss: str
) -> None:
    size = {"max_steps": 1, "prompts_per_step": 8, "group_size": 4, "micro_batch_size": 8, "loss": loss}
    [left_out] = world.ifpo(tmp_path / "left-out", **size)
    monkeypatch.setattr(trainer, "without_idle", lambda batch, *_, **__: batch)
    [kept] = world.ifpo(tmp_path / "kept", **size)
    assert kept["groups/zero_variance"] > 0, "there were such rollouts"
    without, with_all = gradients
    assert with_all.norm() > 0.01
    assert (without - with_all).norm() < 1e-4 * with_all.norm()
    assert left_out["loss"] == pytest.approx(kept["loss"], rel=1e-3, abs=1e-6)
    assert abs(kept["loss"]) > 1e-4, "the loss of this test is not 0 by symmetry"
    assert left_out["reward/mean"] == kept["reward/mean"]


def test_the_token_mean_is_over_all_tokens_of_the_step_whatever_the_micro_batches(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gradients: list[torch.Tensor]
) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    generate = IfpoTrainer._generate_and_score_completions

    def keep(self: Any, inputs: Any) -> dict[str, Any]:
        output = generate(self, inputs)
        seen.append({name: value.clone() for name, value in output.items() if isinstance(value, torch.Tensor)})
        return output

    monkeypatch.setattr(IfpoTrainer, "_generate_and_score_completions", keep)
    monkeypatch.setattr(trainer, "without_idle", lambda batch, *_, **__: batch)
    [together] = world.ifpo(tmp_path / "together", max_steps=1, micro_batch_size=16)
    [apart] = world.ifpo(tmp_path / "apart", max_steps=1, micro_batch_size=2)
    mask = seen[0]["completion_mask"] * seen[0]["tool_mask"]
    # On the policy that sampled, the ratio of every token is 1: the loss is minus the mean over tokens of their rollout's advantage.
    by_hand = -float((mask * seen[0]["advantages"][:, None]).sum() / mask.sum())
    assert together["loss"] == pytest.approx(by_hand, rel=1e-3, abs=1e-5)
    assert apart["loss"] == pytest.approx(by_hand, rel=1e-3, abs=1e-5)
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()
    by_rollout = -float(((mask * seen[0]["advantages"][:, None]).sum(1) / mask.sum(1)).mean())
    assert abs(by_rollout - by_hand) > 1e-3, "the lengths of this test are such that the two means differ"


def test_the_learning_rate_warms_up_and_falls_on_a_cosine(world: World, tmp_path: Path) -> None:
    lines = world.ifpo(tmp_path / "cosine", max_steps=10, prompts_per_step=1, warmup_ratio=0.2, learning_rate=1e-3)
    rates = [line["learning_rate"] for line in lines]
    # Two steps of warm-up from 0, then (1 + cos(pi t / 8)) / 2 of the peak for t = 0 to 7.
    wanted = [0.0, 0.5, *((1 + math.cos(math.pi * t / 8)) / 2 for t in range(8))]
    assert rates == pytest.approx([1e-3 * share for share in wanted], abs=1e-9)
    constant = world.ifpo(tmp_path / "constant", max_steps=2, prompts_per_step=1, schedule="constant", learning_rate=1e-3)
    assert [line["learning_rate"] for line in constant] == pytest.approx([1e-3, 1e-3])


def test_a_trl_that_scores_elsewhere_stops_training(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IfpoTrainer, "_calculate_rewards", GRPOTrainer._calculate_rewards)
    with pytest.raises(TrainingError, match="TRL"):
        world.ifpo(tmp_path, max_steps=1)


def test_a_tool_result_that_cannot_fit_is_an_error_before_training(world: World, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"ifpo\.max_completion_length") as caught:
        world.ifpo(tmp_path, max_completion_length=100)
    assert "raise it to at least" in str(caught.value)


def make_schedule(**changes: Any) -> tuple[list[str], list[str]]:
    """The kinds and the ids of the prompts that IFPO draws from twelve plain and six dual-use ones."""
    dual_use = [make_prompt(id=f"dual-{number}", dual_use=True) for number in range(6)]
    config = IfpoConfig.model_validate({"max_steps": 500, "prompts_per_step": 4, "micro_batch_size": 32, **changes})
    drawn = train.schedule_prompts([*make_prompts(), *dual_use], config, Path("prompts.parquet"))
    return [train.kind_of(prompt) for prompt in drawn], [prompt.id for prompt in drawn]


def test_prompts_are_drawn_by_their_shares_and_each_kind_is_used_evenly() -> None:
    mix = {"harmful": 3.0, "dual_use": 1.0, "utility": 0.0}
    kinds, ids = make_schedule(prompt_mix=mix)
    assert len(kinds) == 2000
    assert set(kinds) == {"harmful", "dual_use"}
    assert kinds.count("harmful") / len(kinds) == pytest.approx(0.75, abs=0.04)
    uses = Counter(prompt_id for prompt_id in ids if prompt_id.startswith("dual-"))
    assert max(uses.values()) - min(uses.values()) <= 1
    assert make_schedule(prompt_mix=mix) == (kinds, ids)


def test_a_kind_without_prompts_is_left_out_and_it_is_an_error_if_no_kind_has_any() -> None:
    kinds, _ = make_schedule(prompt_mix={"sensitive": 1.0, "utility": 1.0})
    assert set(kinds) == {"utility"}
    with pytest.raises(DataError, match=r"ifpo\.prompt_mix"):
        make_schedule(prompt_mix={"sensitive": 1.0})
    assert {str(prompt.prompt_type) for prompt in make_prompts()} == {str(kind) for kind in PromptType} - {"sensitive"}


class TestRuleVariation:
    """Groups that live under a changed edition of the rules."""

    def test_a_share_of_the_groups_draws_one_of_the_changed_editions(self) -> None:
        config = IfpoConfig(rule_variation=0.4)
        drawn = train.schedule_editions(2000, 5, config)
        assert set(drawn) == {0, 1, 2, 3, 4}
        assert drawn.count(0) / len(drawn) == pytest.approx(0.6, abs=0.04)
        assert train.schedule_editions(2000, 5, config) == drawn
        assert train.schedule_editions(2000, 5, IfpoConfig(rule_variation=0.4, seed=1)) != drawn
        assert set(train.schedule_editions(50, 1, IfpoConfig())) == {0}

    def test_the_tool_and_the_reward_are_those_of_the_edition(self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        scored: list[tuple[Prompt, str]] = []
        score = Scorer.score

        def watched(self: Scorer, prompts: Sequence[Prompt], texts: Sequence[str], finished: Sequence[bool]) -> ScoredBatch:
            scored.extend(zip(prompts, texts, strict=True))
            return score(self, prompts, texts, finished)

        monkeypatch.setattr(Scorer, "score", watched)
        world.ifpo(tmp_path, rule_variation=1.0)
        asked = {prompt.id: prompt.policy for prompt in make_prompts()}
        turned = [(prompt, text) for prompt, text in scored if prompt.policy is not asked[prompt.id]]
        assert turned
        assert all(prompt.prompt_type is prompt.policy.prompt_type for prompt, _ in turned)
        own = re.compile(r"\[(CYB-\d\d)\] (\w+):")
        named = [(found[2], str(prompt.policy)) for prompt, text in turned for found in own.finditer(text) if found[1] == prompt.rule_id]
        assert named
        assert all(said == policy for said, policy in named)


def test_the_reference_of_the_kl_term_is_the_sft_checkpoint(world: World, tmp_path: Path) -> None:
    first, second = world.ifpo(tmp_path, beta=0.1)
    assert first["kl"] == pytest.approx(0.0, abs=1e-6)
    assert second["kl"] > 1e-6


BAD = {
    "rollouts that do not divide": ({"micro_batch_size": 5}, "ifpo", "multiple of micro_batch_size"),
    "a strategy that is not there": ({"rebalance": "positive"}, "ifpo.rebalance", "'one_sided'"),
    "a group of one": ({"group_size": 1}, "ifpo.group_size", "greater than or equal to 2"),
    "a cap under 1": ({"max_weight": 0.5}, "ifpo.max_weight", "greater than or equal to 1"),
    "a kind of prompt that is not there": ({"prompt_mix": {"harmfull": 1.0}}, "ifpo.prompt_mix.harmfull", "'harmful'"),
    "a mix of nothing": ({"prompt_mix": {"harmful": 0.0}}, "ifpo", "at least one kind"),
    "a misspelt key": ({"max_step": 1}, "ifpo.max_step", "did you mean 'max_steps'?"),
    "a lower bound over 1": ({"min_weight": 1.5}, "ifpo.min_weight", "less than or equal to 1"),
    "a negative exponent": ({"tau": -0.5}, "ifpo.tau", "greater than or equal to 0"),
    "a loss that is not there": ({"loss": "token"}, "ifpo.loss", "'token_mean'"),
    "a bonus for repeated look-ups": (
        {"reward": {"repeated_lookup": {"cost": -0.1}}},
        "ifpo.reward.repeated_lookup.cost",
        "greater than or equal to 0",
    ),
}


@pytest.mark.parametrize(("changes", "field_name", "says"), BAD.values(), ids=BAD)
def test_a_bad_parameter_is_named(changes: dict[str, Any], field_name: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(IfpoConfig, {**IFPO, **changes}, file="params.yaml", section="ifpo")
    assert (caught.value.file, caught.value.field) == ("params.yaml", field_name)
    assert says in str(caught.value)
