"""Decoding with one cache samples what the model says, whatever else is in the batch and however often rows are dropped."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from ascl_core.cpu.decoding import decode, keeps_plain_cache, log_sampling
from ascl_core.cpu.grouped_attention import use_grouped_attention
from tests.tiny_model import make_model

INPUTS = [[5, 6, 7, 8, 9, 10], [11, 12], [5, 6, 7, 8, 9, 10], [5, 6, 7], [11, 12]]
RESULT = [21, 22, 23, 24, 25]
"""Tokens that a row reads where it asks for them."""


@pytest.fixture(scope="module")
def model() -> Any:
    """A random model whose two query heads share one key head, decoding as the generator does."""
    made = make_model(["some words to learn a vocabulary from, and a few more of them"])[0].eval()
    use_grouped_attention(made)
    assert made.config._attn_implementation != "sdpa"
    return made


class Rows:
    """Rows that end after so many sampled tokens; some read a result after their third."""

    def __init__(self, inputs: Sequence[list[int]], lengths: Sequence[int], reading: Sequence[int] = ()) -> None:
        self.lengths, self.reading = lengths, reading
        self.ids = [list(ids) for ids in inputs]
        self.sampled: list[list[tuple[int, float]]] = [[] for _ in inputs]
        """Position and log-probability of each sampled token."""

    def take(self, row: int, token: int, log_prob: float) -> list[int] | None:
        self.sampled[row].append((len(self.ids[row]), log_prob))
        self.ids[row].append(token)
        if len(self.sampled[row]) == self.lengths[row]:
            return None
        if row in self.reading and len(self.sampled[row]) == 3:
            self.ids[row] += RESULT
            return RESULT
        return []


def sample(
    model: Any,
    inputs: Sequence[list[int]],
    lengths: Sequence[int],
    *,
    temperature: float = 1.0,
    seed: int = 0,
    top_p: float = 1.0,
    **named: Any,
) -> Rows:
    """The rows after decoding."""
    rows = Rows(inputs, lengths, **named)
    generator = torch.Generator().manual_seed(seed) if temperature else None
    decode(model, inputs, rows.take, temperature=temperature, generator=generator, top_p=top_p)
    return rows


def wholly(model: Any, ids: list[int], temperature: float = 1.0) -> Tensor:
    """Log-probabilities (T, V) of what follows each token, by one forward without a cache."""
    with torch.inference_mode():
        return (model(input_ids=torch.tensor([ids])).logits[0] / temperature).log_softmax(-1)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probabilities_are_those_of_a_full_forward(model: Any, temperature: float) -> None:
    lengths = [4, 30, 90, 1, 12]
    rows = sample(model, INPUTS, lengths, temperature=temperature, reading=(1, 2))
    for row, ids in enumerate(rows.ids):
        full = wholly(model, ids, temperature)
        assert len(rows.sampled[row]) == lengths[row]
        assert len(ids) == len(INPUTS[row]) + lengths[row] + (len(RESULT) if row in (1, 2) else 0)
        for position, log_prob in rows.sampled[row]:
            assert log_prob == pytest.approx(float(full[position - 1, ids[position]]), abs=1e-4)
    assert rows.ids[2][9:14] == RESULT


def test_greedy_tokens_are_the_likeliest_and_nobody_is_disturbed_by_the_others(model: Any) -> None:
    lengths = [4, 30, 70, 1, 12]
    together = sample(model, INPUTS, lengths, temperature=0.0, reading=(2,))
    for row in range(len(INPUTS)):
        alone = sample(model, [INPUTS[row]], [lengths[row]], temperature=0.0, reading=(0,) if row == 2 else ())
        assert alone.ids[0] == together.ids[row]
        likeliest = wholly(model, together.ids[row]).argmax(-1).tolist()
        assert all(together.ids[row][position] == likeliest[position - 1] for position, _ in together.sampled[row])


def test_the_seed_decides_and_torchs_own_state_is_left_alone(model: Any) -> None:
    before = torch.get_rng_state()
    first, again, other = (sample(model, INPUTS, [20] * 5, seed=seed).ids for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert first[0] != first[2], "equal inputs are drawn apart"
    assert torch.get_rng_state().equal(before)


def test_tokens_come_with_their_probabilities(model: Any) -> None:
    n, temperature = 4000, 0.2  # a random model is close to uniform
    rows = sample(model, [INPUTS[0]] * n, [2] * n, temperature=temperature, seed=3)
    firsts = [ids[len(INPUTS[0])] for ids in rows.ids]
    after_prompt = wholly(model, INPUTS[0], temperature)[-1]
    assert fits(firsts, after_prompt) > 0.01
    usual = max(set(firsts), key=firsts.count)
    seconds = [ids[-1] for ids, first in zip(rows.ids, firsts, strict=True) if first == usual]
    assert len(seconds) > 200
    assert fits(seconds, wholly(model, [*INPUTS[0], usual], temperature)[-1]) > 0.01
    assert fits(seconds, after_prompt) < 1e-6, "the test tells distributions apart"


def test_top_p_draws_from_the_nucleus_alone(model: Any) -> None:
    n, temperature, top_p = 3000, 0.2, 0.6
    rows = sample(model, [INPUTS[0]] * n, [1] * n, temperature=temperature, seed=5, top_p=top_p)
    log_probs = wholly(model, INPUTS[0], temperature)[-1]
    ordered, order = log_probs.exp().sort(descending=True)
    size = int((ordered.cumsum(0) < top_p).sum()) + 1
    assert 1 < size < len(ordered) / 2, "the nucleus is neither one token nor nearly all"
    nucleus = torch.full_like(log_probs, -torch.inf)
    nucleus[order[:size]] = (ordered[:size] / ordered[:size].sum()).log()
    firsts = [ids[-1] for ids in rows.ids]
    assert set(firsts) <= set(order[:size].tolist())
    assert fits(firsts, nucleus) > 0.01
    assert fits(firsts, log_probs) < 1e-6, "all tokens would be drawn otherwise"
    assert rows.sampled[0][0][1] == pytest.approx(float(nucleus[firsts[0]]), abs=1e-4)


def test_an_observer_sees_the_distribution_that_is_drawn_from(model: Any) -> None:
    seen: dict[int, Tensor] = {}
    decode(
        *(model, INPUTS[:2], lambda *_: None),
        temperature=0.6,
        generator=torch.Generator().manual_seed(0),
        observe=lambda row, probs: seen.update({row: probs}),
    )
    for row in (0, 1):
        assert torch.allclose(seen[row].log(), wholly(model, INPUTS[row], 0.6)[-1], atol=1e-4)


def test_a_tiny_top_p_is_greedy(model: Any) -> None:
    drawn, greedy = sample(model, INPUTS, [9] * 5, top_p=1e-6), sample(model, INPUTS, [9] * 5, temperature=0.0)
    assert drawn.ids == greedy.ids


def fits(tokens: list[int], log_probs: Tensor) -> float:
    """The p-value of the tokens under the probabilities; tokens expected fewer than five times count together."""
    expected = log_probs.double().exp() * len(tokens)
    counts = torch.bincount(torch.tensor(tokens), minlength=len(expected)).double()
    common = expected >= 5
    rare = [~common] if expected[~common].sum() > 0 else []
    binned = [torch.cat([values[common], *(values[mask].sum()[None] for mask in rare)]).numpy() for values in (counts, expected)]
    return float(chisquare(binned[0], binned[1] / binned[1].sum() * binned[0].sum()).pvalue)


def test_a_model_with_a_window_reads_a_conversation_again(model: Any) -> None:
    config = copy.deepcopy(model.config)
    config.layer_types, config.use_sliding_window, config.sliding_window = ["sliding_attention", "full_attention"], True, 8
    torch.manual_seed(0)
    windowed = type(model)(config).eval()
    rows = sample(windowed, INPUTS, [4, 30, 20, 1, 12], reading=(1, 2))
    for row, ids in enumerate(rows.ids):
        full = wholly(windowed, ids)
        for position, log_prob in rows.sampled[row]:
            assert log_prob == pytest.approx(float(full[position - 1, ids[position]]), abs=1e-4)


HYBRIDS: dict[str, dict[str, Any]] = {
    "qwen3_5_text": {"layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2, "linear_num_value_heads": 2},
    "mamba": {},
    "rwkv": {},
    "mamba2": {"num_heads": 8, "head_dim": 16},
    "recurrent_gemma": {"num_hidden_layers": 3},
}
PLAIN: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 4},
    "gpt_oss": {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 4, "head_dim": 32},
}


def random_model(kind: str, more: dict[str, Any]) -> Any:
    """A small random model of an architecture."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    options = {"intermediate_size": 96, "initializer_range": 0.3, "bos_token_id": None, "eos_token_id": 7, "pad_token_id": 0}
    return AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**{**sizes, **options, **more})).eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*HYBRIDS, *PLAIN])
def test_every_architecture_samples_what_its_forward_says(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    model = random_model(kind, {**HYBRIDS, **PLAIN}[kind])
    log_sampling(model)
    assert keeps_plain_cache(model) is (kind in PLAIN)
    assert (kind in caplog.text and "transformers' own generate" in caplog.text) is (kind in HYBRIDS)
    for temperature in (0.0, 0.8):
        rows = sample(model, INPUTS, [4, 9, 6, 1, 12], temperature=temperature, reading=(1, 2))
        for row, ids in enumerate(rows.ids):
            full = wholly(model, ids, temperature or 1.0)
            assert len(rows.sampled[row]) == rows.lengths[row], "an end token of the model ends no row"
            for position, log_prob in rows.sampled[row]:
                assert log_prob == pytest.approx(float(full[position - 1, ids[position]]), abs=2e-3)
                assert temperature or ids[position] == int(full[position - 1].argmax())
