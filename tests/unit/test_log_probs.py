"""Log-probabilities with shared prompts and without padding are those of one forward over whole padded rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ascl_core.cpu import log_probs
from ascl_core.cpu.log_probs import can_share_prompts, completion_log_probs
from tests.tiny_model import make_model

PAD = 0
PROMPTS = ([5, 6, 7, 8, 9], [11, 12], [5, 6, 7])
"""One is the beginning of another: padding alone tells them apart."""


@pytest.fixture(scope="module")
def model() -> Any:
    """A random model in double precision, so that only true differences show."""
    return make_model(["some words to learn a vocabulary from, and a few more of them"])[0].double()


def make_batch(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Ids and mask (B, P + C) of completions of these lengths on the prompts in turn, and which tokens are scored (B, C)."""
    draw = torch.Generator().manual_seed(seed)
    before, width = max(map(len, PROMPTS)), max(lengths)
    ids = torch.full((len(lengths), before + width), PAD)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        prompt = PROMPTS[row % len(PROMPTS)]
        completion = torch.randint(1, 200, (length,), generator=draw)
        ids[row, before - len(prompt) : before + length] = torch.cat([torch.tensor(prompt), completion])
        mask[row, before - len(prompt) : before + length] = 1
    scored = (torch.rand(len(lengths), width, generator=draw) < 0.7) & mask[:, before:].bool()
    return ids, mask, scored


def plainly(model: Any, ids: Tensor, mask: Tensor, scored: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The same by one forward over everything."""
    width = scored.shape[1]
    logits = model(input_ids=ids, attention_mask=mask).logits[:, -width - 1 : -1] / temperature
    values = logits.log_softmax(-1)
    taken = values.gather(2, ids[:, -width:, None])[..., 0]
    return taken * scored, -(values.exp() * values).sum(-1) * scored


def gradient(model: Any, log_probs: Tensor) -> Tensor:
    """The gradient of a weighted sum, all parameters in one row."""
    weights = torch.linspace(-1, 1, log_probs.numel(), dtype=log_probs.dtype).view(log_probs.shape)
    return torch.cat([g.flatten() for g in torch.autograd.grad((log_probs * weights).sum(), list(model.parameters()))])


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("lengths", [[4, 9, 1, 3, 3, 12, 7], [1, 1], [6], list(range(1, 38))], ids=str)
def test_values_and_gradients_are_those_of_one_forward(model: Any, lengths: list[int], temperature: float) -> None:
    ids, mask, scored = make_batch(lengths)
    ours = completion_log_probs(model, ids, mask, scored, temperature)
    theirs = plainly(model, ids, mask, scored, temperature)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)
    mine, other = gradient(model, ours[0]), gradient(model, theirs[0])
    assert (mine - other).norm() < 1e-6 * other.norm(), "the norms of Qwen3 and their gradients are single precision"


def test_logits_that_are_computed_again_change_nothing(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch([4, 9, 1, 3, 3, 12, 7])
    whole = completion_log_probs(model, *batch, 1.0)
    monkeypatch.setattr(log_probs, "_MAX_LOGITS", 5 * model.config.vocab_size)
    cut = completion_log_probs(model, *batch, 1.0)
    torch.testing.assert_close(cut, whole)
    mine, other = gradient(model, cut[0]), gradient(model, whole[0])
    assert (mine - other).norm() < 1e-6 * other.norm()


def test_a_batch_in_which_nothing_is_scored_has_a_gradient_of_zero(model: Any) -> None:
    ids, mask, scored = make_batch([3, 5])
    values, _ = completion_log_probs(model, ids, mask, torch.zeros_like(scored), 1.0)
    assert gradient(model, values).abs().max() == 0


def test_a_rollout_that_is_masked_out_whole_moves_nobody(model: Any) -> None:
    ids, mask, scored = make_batch([4, 6, 5, 3])
    alone = completion_log_probs(model, ids[1:], mask[1:], scored[1:], 1.0)[0]
    mask[0, -6:] = 0
    values = completion_log_probs(model, ids, mask, scored, 1.0)[0]
    assert values[0].abs().max() == 0
    torch.testing.assert_close(values[1:], alone)


def test_models_whose_cache_or_logits_are_not_plain_are_left_to_trl(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_share_prompts(model)
    changes: dict[str, Any] = {
        "layer_types": ["full_attention", "sliding_attention"],
        "logits_scaling": 8.0,
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
    }
    for name, value in changes.items():
        with monkeypatch.context() as changed:
            changed.setattr(model.config, name, value, raising=False)
            assert not can_share_prompts(model), name
