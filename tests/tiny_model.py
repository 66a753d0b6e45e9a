"""A tiny Qwen3 model for tests: random, or taught in seconds to continue given inputs with given texts."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ascl_core.config.base_model import ScratchConfig
from ascl_core.conversation.template import END, chat_template
from ascl_core.sft.base_model import scratch_model, train_tokenizer

WITH_VLLM = (
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.filterwarnings("ignore"),
)
"""The marks of tests that sample with vLLM. `make test-vllm` runs every file that names them or `BACKENDS`."""
BACKENDS = ["transformers", pytest.param("vllm", marks=WITH_VLLM)]
"""What samples, for tests that hold for each."""
ADDED_TOKENS = (
    *("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|endoftext|>"),
    *("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|call|>", "<|return|>"),
)
"""Control tokens of Llama 3 and gpt-oss, beside those of ChatML."""
_SIZE = ScratchConfig(
    vocab_size=512, hidden_size=64, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=32, intermediate_size=128, max_position=512
)


def make_model(texts: Sequence[str]) -> tuple[Any, Any]:
    """A random model and a tokenizer trained on the texts."""
    tokenizer = train_tokenizer(iter(texts), _SIZE.vocab_size)
    tokenizer.chat_template = chat_template()
    return scratch_model(_SIZE, tokenizer, seed=0), tokenizer


def teach(model: Any, tokenizer: Any, lessons: Sequence[tuple[list[int], str]], max_steps: int = 200) -> None:
    """Train until every input is continued, greedily, with its text and the end token; fails if that does not happen."""
    import torch

    torch.set_num_threads(1)  # two spinning threads on a busy machine are many times slower
    torch.manual_seed(0)
    rows = [(ids, tokenizer.encode(text + END, add_special_tokens=False)) for ids, text in lessons]
    width = max(len(ids) + len(target) for ids, target in rows)
    inputs = torch.full((len(rows), width), tokenizer.pad_token_id)
    labels = torch.full((len(rows), width), -100)
    for row, (ids, target) in enumerate(rows):
        inputs[row, : len(ids) + len(target)] = torch.tensor(ids + target)
        labels[row, len(ids) : len(ids) + len(target)] = torch.tensor(target)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(max_steps):
        loss = model(input_ids=inputs, attention_mask=(inputs != tokenizer.pad_token_id).long(), labels=labels).loss
        if loss.item() < 0.01:
            return
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    raise AssertionError(f"not learned in {max_steps} steps: loss {loss.item():.3f}")


def save(model: Any, tokenizer: Any, folder: Path) -> Path:
    """Write both, as a checkpoint."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
