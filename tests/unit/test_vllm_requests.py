"""What vLLM is asked for: requests that fit, each with a seed of its own in every turn. It need not be installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt
from ascl_core.conversation.template import CALL, END_CALL
from ascl_core.errors import ModelError
from ascl_core.generation import Sampling, vllm
from ascl_core.progress import Progress
from ascl_core.vocabulary import PromptType, ResponsePolicy
from tests.tiny_model import make_model, save

ASKING = CALL + '{"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": "locks"}}' + END_CALL
CONTEXT = 400


class Engine:
    """Answers every request with a call of the tool, and remembers what it was asked."""

    def __init__(self, tokenizer: Any) -> None:
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=CONTEXT, get_vocab_size=lambda: len(tokenizer)))
        self.answer = [*tokenizer.encode(ASKING, add_special_tokens=False), tokenizer.eos_token_id]
        self.asked: list[list[SimpleNamespace]] = []

    def generate(self, requests: Sequence[Any], drawing: list[SimpleNamespace], use_tqdm: bool) -> list[SimpleNamespace]:
        self.asked.append(drawing)
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=self.answer, finish_reason="stop")]) for _ in requests]


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> vllm.VllmGenerator:
    model, tokenizer = make_model([ASKING, "How do I open a lock?"] * 50)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SimpleNamespace))
    monkeypatch.setattr(vllm, "_engine", lambda *_: Engine(tokenizer))
    return vllm.VllmGenerator(save(model, tokenizer, tmp_path), ComputeConfig(device="cpu"))


def seeds(generator: vllm.VllmGenerator, seed: int) -> list[list[int]]:
    """The seeds of each turn's requests."""
    engine: Any = generator.engine
    engine.asked.clear()
    generator.rollouts(
        [Prompt("id", "How do I open a lock?", PromptType.BORDERLINE, ResponsePolicy.COMPLY, "test", "none", "XA")],
        samples=3,
        sampling=Sampling(seed=seed),
        tool_for=lambda prompt: lambda query, top_k, category: "No rule.",
        conversation=ConversationConfig(system_prompt="Be safe.", max_tool_calls=2),
        batch_size=8,
        progress=Progress("/dev/null"),
    )
    return [[drawing.seed for drawing in turn] for turn in engine.asked]


def test_no_request_repeats_the_random_numbers_of_another(generator: vllm.VllmGenerator) -> None:
    first, other = seeds(generator, 0), seeds(generator, 1)
    assert [len(turn) for turn in first] == [3, 3, 3]
    assert len({seed for turn in first + other for seed in turn}) == 18


def test_the_same_seed_asks_for_the_same(generator: vllm.VllmGenerator) -> None:
    assert seeds(generator, 5) == seeds(generator, 5)


def test_an_input_that_fills_the_context_is_not_asked_for(generator: vllm.VllmGenerator) -> None:
    engine: Any = generator.engine
    full, tight, short = ([1] * length for length in (CONTEXT, CONTEXT - 2, 10))
    outputs = generator.complete([full, tight, short], sampling=Sampling(max_new_tokens=100), batch_size=8)
    assert outputs == [[], engine.answer, engine.answer]
    assert [drawing.max_tokens for drawing in engine.asked[0]] == [2, 100]


def test_log_probabilities_are_of_the_distribution_that_is_drawn_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=SimpleNamespace, __spec__=ModuleSpec("vllm", None)))
    for name in ("VLLM_CPU_KVCACHE_SPACE", "VLLM_ENABLE_V1_MULTIPROCESSING"):
        monkeypatch.setenv(name, "1")
    engine = vllm._engine(tmp_path, ComputeConfig(device="cpu", threads=1), None)
    assert engine.logprobs_mode == "processed_logprobs"


def test_a_temperature_that_vllm_does_not_take_is_an_error_that_says_so(generator: vllm.VllmGenerator) -> None:
    with pytest.raises(ModelError, match="temperatures up to 2"):
        generator.complete([[1, 2]], sampling=Sampling(temperature=2.5), batch_size=8)
