"""IFPO is TRL's GRPO but for its advantages: the loss and the gradient, the probabilities of rollouts, their masks, messages and logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import chi2_contingency
from trl import GRPOTrainer

from ascl_core.conversation.template import CALL, END, END_CALL, END_THINK, THINK
from ascl_core.cpu import conversing
from ascl_core.cpu.turns import TurnSampler
from ascl_core.generation.load import load_tokenizer
from ascl_core.rl import train, trainer
from ascl_core.rl.trainer import IfpoTrainer
from tests.training.conftest import World

pytestmark = pytest.mark.filterwarnings("ignore")

Sampled = Callable[..., tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture
def sampled(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sampled:
    """One step of IFPO that samples by TRL's loop or by ours: what `_generate` returned, by name, and the step's log."""
    generate = IfpoTrainer._generate

    def run(ours: bool, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        kept: dict[str, Any] = {}

        def keep(self: Any, prompts: Any) -> Any:
            rollouts = generate(self, prompts)
            kept.update(zip(("prompt_ids", "completion_ids", "tool_mask", "messages"), rollouts, strict=False))
            return rollouts

        with monkeypatch.context() as patch:
            patch.setattr(IfpoTrainer, "_generate", keep)
            if not ours:
                patch.setattr(IfpoTrainer, "_samples_turns", lambda self: False)
            [line] = world.ifpo(tmp_path / f"{ours} {len(list(tmp_path.iterdir()))}", max_steps=1, **changes)
        return kept, line

    return run


class StockTrainer(GRPOTrainer):
    """TRL's trainer as it is, which is given the same rewards through a reward function."""

    def __init__(
        self, *, ifpo: Any, scorer: Any, prompts_by_id: Any, editions: Any, rollouts: Any, reward_funcs: Any, **kwargs: Any
    ) -> None:
        def reward(completion_ids: list[list[int]], prompt_id: list[str], **_: Any) -> list[float]:
            texts = self._tokenizer.batch_decode(completion_ids, skip_special_tokens=False)
            finished = [ids[-1] == self._tokenizer.eos_token_id for ids in completion_ids]
            batch = scorer.score([prompts_by_id[i] for i in prompt_id], texts, finished)
            self._metrics["train"]["consult_rate"].append(batch.figures()["consult_rate"])
            return list(batch.rewards)

        super().__init__(reward_funcs=[reward], **kwargs)


def test_plain_grpo_has_the_loss_and_the_gradient_of_trls_own_trainer(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gradients: list[torch.Tensor]
) -> None:
    monkeypatch.setattr(IfpoTrainer, "_samples_turns", lambda self: False)  # the same seed gives the same rollouts
    [ours] = world.ifpo(tmp_path / "ours", rebalance="none", max_steps=1)
    monkeypatch.setattr(trainer, "IfpoTrainer", StockTrainer)
    monkeypatch.setattr(train.RolloutLog, "unjudged", lambda *_: (0, 0))
    monkeypatch.setattr(train.RolloutLog, "publish", lambda *_: 0)
    [theirs] = world.ifpo(tmp_path / "theirs", rebalance="none", max_steps=1)
    for name in ("loss", "reward", "consult_rate", "completions/mean_length"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-6)
    mine, other = gradients
    assert other.norm() > 0.1
    assert (mine - other).norm() < 1e-4 * other.norm()


def test_rollouts_come_with_the_probabilities_of_trls_loop(sampled: Sampled) -> None:
    size = {"prompts_per_step": 4, "group_size": 128, "micro_batch_size": 512}
    ours, theirs = sampled(True, **size)[0], sampled(False, **size)[0]
    cooler = sampled(True, temperature=0.7, **size)[0]
    assert ours["prompt_ids"] == theirs["prompt_ids"]
    for feature in (_mode_by_prompt, _length, _sixth_token):
        of_ours, of_theirs = feature(ours), feature(theirs)
        assert len(set(of_ours)) > 3
        assert _alike(of_ours, of_theirs) > 0.01, feature.__name__
    assert min(_alike(feature(cooler), feature(theirs)) for feature in (_length, _sixth_token)) < 1e-6, "the test tells distributions apart"


def test_at_a_temperature_near_0_everything_is_the_same_as_with_trls_loop(sampled: Sampled) -> None:
    (ours, line), (theirs, their_line) = sampled(True, temperature=1e-4), sampled(False, temperature=1e-4)
    assert ours == theirs
    assert any(0 in mask for mask in ours["tool_mask"])
    assert line == pytest.approx(their_line, rel=1e-4, abs=1e-6)


def test_log_probabilities_of_sampling_are_those_of_the_trainer(sampled: Sampled, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[tuple[int, float]]] = []
    given: list[torch.Tensor] = []
    decode, generate = conversing.decode, IfpoTrainer._generate_and_score_completions

    def keep_draws(model: Any, inputs: Any, took: Any, **named: Any) -> None:
        first = len(drawn)
        drawn.extend([] for _ in inputs)

        def take(row: int, token: int, log_prob: float) -> Any:
            drawn[first + row].append((token, log_prob))
            return took(row, token, log_prob)

        decode(model, inputs, take, **named)

    def keep_forward(self: Any, inputs: Any) -> Any:
        output = generate(self, inputs)
        ids, mask = (torch.cat([output[f"prompt_{name}"], output[f"completion_{name}"]], 1) for name in ("ids", "mask"))
        width = output["completion_ids"].shape[1]
        with torch.no_grad():
            log_probs, *_ = GRPOTrainer._get_per_token_logps_and_entropies(self, self.model, ids, mask, width)
        learned = (output["completion_mask"] * output["tool_mask"]).bool()
        given.extend(values[here] for values, here in zip(log_probs, learned, strict=True))
        return output

    monkeypatch.setattr(conversing, "decode", keep_draws)
    monkeypatch.setattr(IfpoTrainer, "_generate_and_score_completions", keep_forward)
    monkeypatch.setattr(trainer, "without_idle", lambda batch, *_, **__: batch)
    rollouts, _ = sampled(True, temperature=0.8)
    consulted = 0
    for row, ids in enumerate(rollouts["completion_ids"]):
        written = [token for token, own in zip(ids, rollouts["tool_mask"][row], strict=True) if own]
        if written == [token for token, _ in drawn[row]]:  # all but those with a turn that was not foreseen
            consulted += 0 in rollouts["tool_mask"][row]
            torch.testing.assert_close(given[row], torch.tensor([log_prob for _, log_prob in drawn[row]]), atol=1e-4, rtol=0)
    assert consulted > 0


def _call(**arguments: str) -> str:
    named = ", ".join(f'"{name}": "{value}"' for name, value in arguments.items())
    return f'{CALL}\n{{"name": "consult_safety_rules", "arguments": {{{named}}}}}\n{END_CALL}'


_ASKED = _call(category="CYB", query="accounts")
_THOUGHT = f"{THINK}\nLook.\n{END_THINK}\n\n"
CONVERSATIONS = {
    "no call": ["Four."],
    "a call and an answer": [_THOUGHT + _ASKED, "I may not."],
    "no end": [_THOUGHT + "and so on " * 300],
    "an answer without end": ["1" + _ASKED, "and so on " * 300],
    "a call that is no JSON": [f"2{CALL}\n{{\n{END_CALL}", "Nothing."],
    "a call that is not closed": [f"3{CALL}\n{{", "Nothing."],
    "an unknown tool": ["4" + _ASKED.replace("consult", "insult"), "An error."],
    "a missing argument": ["5" + _call(category="CYB"), "An error."],
    "an argument too many": ["6" + _call(category="CYB", query="accounts", why="so"), "An error."],
    "a call inside an unclosed thought": [f"{THINK}\n7" + _ASKED, "An answer."],
    "a call inside a thought": [f"{THINK}\n8{_ASKED}{END_THINK}\n\nOn.", "An answer."],
    "two calls in a turn": ["9" + _ASKED + "\n" + _ASKED, "An answer."],
    "call after call": ["10" + _ASKED, "a" + _ASKED, "b" + _ASKED, "c" + _ASKED, "An answer."],
    "an empty turn": [""],
    "an empty answer": ["11" + _ASKED, ""],
    "a stray tag": ["12</tool_response>" + _ASKED, "An answer."],
}


@pytest.mark.parametrize("budget", [220, 100, 60, 30])
def test_whatever_the_model_writes_is_treated_as_in_trls_loop(
    sampled: Sampled, world: World, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    tokenizer = load_tokenizer(world.root / "taught/model")
    scripts = list(CONVERSATIONS.values())

    def turn(ids: Sequence[int], row: int) -> list[int]:
        """What is written after the ids; the row says which conversation, where nothing was written yet."""
        _, *earlier = tokenizer.decode(ids).split("<|im_start|>assistant\n")
        script = scripts[row] if earlier == [""] else next(turns for turns in scripts if earlier[0].startswith(turns[0] + END))
        return list(tokenizer.encode(script[len(earlier) - 1] + END, add_special_tokens=False))

    def recite(model: Any, inputs: Any, took: Any, **named: Any) -> None:
        for row, ids in enumerate(inputs):
            ids, read = list(ids), [0]
            while read is not None:
                for token in turn(ids, row):
                    read = took(row, token, 0.0)
                    ids += [token, *(read or ())]
                    if read != []:
                        break

    def recite_turn(self: Any, prompt_ids: Any, *rest: Any) -> Any:
        return [turn(ids, row)[: self.generation_config.max_new_tokens] for row, ids in enumerate(prompt_ids)], None

    unforeseen: list[int] = []
    follow = TurnSampler.follow

    def count(self: Any, inputs: Any) -> Any:
        unforeseen.append(sum(tuple(ids) not in self._ahead for ids in inputs))
        return follow(self, inputs)

    monkeypatch.setattr(conversing, "decode", recite)
    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", recite_turn)
    monkeypatch.setattr(TurnSampler, "follow", count)
    monkeypatch.setattr(train, "check_budget", lambda *_: None)
    size = {"prompts_per_step": 1, "group_size": len(scripts), "micro_batch_size": len(scripts), "max_completion_length": budget}
    (ours, line), (theirs, their_line) = sampled(True, **size), sampled(False, **size)
    for name, *both in zip(CONVERSATIONS, *(zip(*found.values(), strict=True) for found in (ours, theirs)), strict=True):
        assert both[0] == both[1], name
    assert line == pytest.approx(their_line, rel=1e-4, abs=1e-6)
    assert all(len(ids) <= budget for ids in ours["completion_ids"])
    if budget == 220:
        assert sum(unforeseen) > 0
        assert line["consult/attempted"] > line["consult/completed"] > 0


def _mode_by_prompt(rollouts: dict[str, Any]) -> list[Any]:
    return [(tuple(ids), 0 in mask) for ids, mask in zip(rollouts["prompt_ids"], rollouts["tool_mask"], strict=True)]


def _length(rollouts: dict[str, Any]) -> list[Any]:
    return [sum(mask) // 4 for mask in rollouts["tool_mask"]]


def _sixth_token(rollouts: dict[str, Any]) -> list[Any]:
    return [ids[5] if len(ids) > 5 else None for ids in rollouts["completion_ids"]]


def _alike(some: list[Any], others: list[Any]) -> float:
    """The p-value of both being of one distribution; values seen fewer than ten times count together."""
    rare = {value for value in (*some, *others) if some.count(value) + others.count(value) < 10}
    names = [*({*some, *others} - rare), "rare"] if rare else list({*some, *others})
    table = [["rare" if value in rare else value for value in values] for values in (some, others)]
    return float(chi2_contingency([[values.count(name) for name in names] for values in table]).pvalue)
