"""The stage `base_model`: a pretrained model imported as safetensors, or a small decoder from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_jsonl
from ascl_core.config.base_model import BaseModelConfig, ScratchConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.contracts import StageContext
from ascl_core.conversation.content import control_strings
from ascl_core.conversation.template import END, SPECIAL_TAGS, START, chat_template, render
from ascl_core.errors import ModelError
from ascl_core.generation.load import load_model, load_tokenizer
from ascl_core.generation.packages import PREFIX, packaged_weights

_PAD = "<|pad|>"
_PADS = (_PAD, "<|endoftext|>", "<pad>", "[PAD]")
"""Tokens for padding where a tokenizer has none or pads with its end of turn; the first that it knows is taken."""


def base_model(
    *, base_model: BaseModelConfig, compute: ComputeConfig, trajectories: tuple[Path, ...], base: Path, context: StageContext
) -> dict[str, float | int | str]:
    """Write the model that training starts from, with a tokenizer whose template can call the tool."""
    context.progress.update("base model", 0, 1)
    if base_model.path is None:
        tokenizer = train_tokenizer(_texts(trajectories), base_model.scratch.vocab_size)
        model = scratch_model(base_model.scratch, tokenizer, base_model.seed)
    else:
        model, tokenizer = _load(base_model.path, base_model.revision, compute)
    ensure_tool_template(tokenizer)
    for config in (model.config, model.generation_config):
        config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    model.save_pretrained(base, safe_serialization=True)
    tokenizer.save_pretrained(base)
    context.progress.update("base model", 1, 1)
    return {"parameters": sum(p.numel() for p in model.parameters()), "vocabulary": len(tokenizer)}


def train_tokenizer(texts: Iterator[str], vocab_size: int) -> Any:
    """Return a byte-level BPE over the texts; digits stand alone and the tags are single tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(r" ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+|\p{N}"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[_PAD, *SPECIAL_TAGS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=_PAD, clean_up_tokenization_spaces=False)


def scratch_model(config: ScratchConfig, tokenizer: Any, seed: int) -> Any:
    """Return a Qwen3-style decoder with random weights; the same seed gives the same weights."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_kv_heads,
            head_dim=config.head_dim,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=config.max_position,
            initializer_range=config.initializer_range,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def ensure_tool_template(tokenizer: Any) -> None:
    """Give the tokenizer our template unless its own renders tool calls and results, and TRL's parser for them.

    With our template a turn ends on its end tag, which must be a token; `ModelError` otherwise. Padding is never the end of a turn, or
    no model would learn to end one.
    """
    from trl.chat_template_utils import is_chat_template_prefix_preserving, qwen3_template, supports_tool_calling

    ours = chat_template(control_strings(tokenizer))
    if not supports_tool_calling(tokenizer) or tokenizer.chat_template == chat_template():
        tokenizer.chat_template = ours
    if tokenizer.chat_template == ours:
        if missing := [tag for tag in (START, END) if tag not in tokenizer.get_vocab()]:
            hint = "take a model that speaks ChatML, or one whose own chat template renders tool calls"
            raise ModelError(f"its tokenizer has no {missing[0]}, and its own chat template has no tools", field="chat_template", hint=hint)
        tokenizer.eos_token = END
        tokenizer.response_template = qwen3_template
        if not is_chat_template_prefix_preserving(tokenizer):
            raise ModelError("the chat template is not prefix-preserving with this tokenizer", field="chat_template")
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        tokenizer.pad_token = next((token for token in _PADS if token in tokenizer.get_vocab()), tokenizer.pad_token or tokenizer.eos_token)


def _texts(paths: tuple[Path, ...]) -> Iterator[str]:
    return (render(row["messages"]) for path in paths for row in read_jsonl(path))


def _load(path: str, revision: str | None, compute: ComputeConfig) -> tuple[Any, Any]:
    try:
        if path.startswith(PREFIX):
            return _load_gguf(packaged_weights(path), compute)
        tokenizer = load_tokenizer(path, revision)
        return load_model(path, compute, revision), tokenizer
    except ModelError as error:
        raise ModelError(error.problem, file="params.yaml", field="base_model.path", value=path, hint=error.hint) from error


def _load_gguf(file: Path, compute: ComputeConfig) -> tuple[Any, Any]:
    """Return the weights of a GGUF file, dequantised, as an ordinary model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(**where, quantization_config=GgufConfig(dequantize=True), dtype=compute.dtype)
        tokenizer: Any = AutoTokenizer.from_pretrained(**where)
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{file.name} cannot be read: {error}", hint="install a package with a GGUF file of a known architecture"
        ) from error
    for part, name in ((model.config, "quantization_config"), (model, "hf_quantizer")):
        if hasattr(part, name):  # or it would be saved as what it no longer is
            delattr(part, name)
    tokenizer.clean_up_tokenization_spaces = False
    return model, tokenizer
