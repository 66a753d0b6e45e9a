"""Tiny random models of the families whose tool format the project trains, each with the chat template that TRL ships for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trl.chat_template_utils as templates

from ascl_core.sft.base_model import train_tokenizer
from tests.tiny_model import ADDED_TOKENS

TEMPLATES = {
    "qwen3": templates.qwen3_chat_template,
    "qwen2.5": templates.qwen2_5_chat_template,
    "qwen3-2507": templates.qwen3_instruct_2507_chat_template,
    "qwen3.5": templates.qwen3_5_think_chat_template,
    "qwen3.5-nothink": templates.qwen3_5_nothink_chat_template,
    "llama3.1": templates.llama3_1_chat_template,
    "gpt-oss": templates.gptoss_chat_template,
}
FORMATS = {"qwen3.5": "xml", "qwen3.5-nothink": "xml", "llama3.1": "llama", "gpt-oss": "harmony"}
"""The format of each family that does not speak Hermes."""
REFUSED = (
    *("deepseekv3", "diffusion_gemma", "gemma4", "gemma4_v2", "gemma4_v3", "gemma4_v4", "gemma4_v5", "glm4moe"),
    *("lfm2_v2", "lfm2_2_5", "lfm2_2_5_v2", "lfm2_2_5_vl", "muse_glimmer"),
)
"""Tool templates of TRL whose calls do not read back."""
_TYPES = {"qwen3.5": "qwen3_5_text", "qwen3.5-nothink": "qwen3_5_text", "llama3.1": "llama", "gpt-oss": "gpt_oss"}
_MORE: dict[str, dict[str, Any]] = {
    "qwen3_5_text": {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 16, "linear_value_head_dim": 16},
    "gpt_oss": {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 64},
}


def make_family_tokenizer(template: str, texts: Sequence[str]) -> Any:
    """A tokenizer with that chat template and the control tokens of every family, whose end token is not the template's."""
    tokenizer = train_tokenizer(iter([*texts] * 3), 700)
    tokenizer.add_special_tokens({"additional_special_tokens": [*ADDED_TOKENS]})
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token = "<|begin_of_text|>", "<|endoftext|>", "<|endoftext|>"
    tokenizer.chat_template = template
    return tokenizer


def make_family(name: str, texts: Sequence[str]) -> tuple[Any, Any]:
    """A random model of the family's architecture, and its tokenizer."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    tokenizer, kind = make_family_tokenizer(TEMPLATES[name], texts), _TYPES.get(name, "qwen3")
    torch.manual_seed(0)
    config = CONFIG_MAPPING[kind](
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        intermediate_size=128,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        layer_types=["linear_attention", "full_attention"] if kind == "qwen3_5_text" else None,
        **_MORE.get(kind, {}),
    )
    return AutoModelForCausalLM.from_config(config), tokenizer
