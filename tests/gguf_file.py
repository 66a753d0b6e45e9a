"""A package with a tiny Llama in a GGUF file, as such packages are: importing it fails, so that nobody does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ascl_core.conversation.template import END, SPECIAL_TAGS, START
from ascl_core.sft.base_model import train_tokenizer

WIDTH, HEADS, KV_HEADS, INNER, CONTEXT = 64, 2, 1, 96, 256
_NORMAL, _CONTROL = 1, 3


def write_package(folder: Path, name: str, texts: list[str], without: tuple[str, ...] = ()) -> Path:
    """The package `name` in `folder`, with a tokenizer trained on the texts, tags in `without` left out; the GGUF file in it."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    file = package / "weights.gguf"
    _write(file, json.loads(train_tokenizer(iter(texts), 400).backend_tokenizer.to_str()), without)
    return file


def _write(file: Path, tokenizer: dict[str, Any], without: tuple[str, ...]) -> None:
    from gguf import GGUFWriter

    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    tokens = [f"[{number}]" if token in without else token for number, token in enumerate(vocabulary)]
    writer = GGUFWriter(str(file), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL if token in SPECIAL_TAGS or token.startswith("<|") else _NORMAL for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(vocabulary.index(START))
    writer.add_eos_token_id(vocabulary.index(END))
    writer.add_pad_token_id(vocabulary.index(END))
    writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")
    for name, shape in _shapes(len(tokens)).items():
        writer.add_tensor(name, _values(name, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _shapes(vocab_size: int) -> dict[str, tuple[int, ...]]:
    """The tensors by name, with rows and columns as torch has them."""
    kv = WIDTH // HEADS * KV_HEADS
    block = {
        "attn_norm": (WIDTH,),
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (kv, WIDTH),
        "attn_v": (kv, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_norm": (WIDTH,),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    return {
        "token_embd.weight": (vocab_size, WIDTH),
        "output_norm.weight": (WIDTH,),
        **{f"blk.0.{name}.weight": shape for name, shape in block.items()},
    }


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Seeded by the tensor's size; norms are 1."""
    values = np.ones(shape) if "norm" in name else np.random.default_rng(int(np.prod(shape))).normal(0, 0.1, shape)
    return values.astype(np.float32)
