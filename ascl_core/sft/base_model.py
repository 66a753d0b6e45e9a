"""The stage `base_model`: a pretrained model imported as safetensors, or a small decoder from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_jsonl, write_text
from ascl_core.config.base_model import BaseModelConfig, ScratchConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.contracts import StageContext
from ascl_core.conversation.formats import end_ids
from ascl_core.conversation.template import END, SPECIAL_TAGS, render
from ascl_core.errors import ModelError
from ascl_core.generation.load import check_embeddings, check_finite, check_tensors, first_line, load_errors, load_model, load_tokenizer
from ascl_core.generation.packages import PREFIX, packaged_weights
from ascl_core.generation.proof import check_saved
from ascl_core.released import LICENCE
from ascl_core.sft.checkpoint import OWN_LICENCE, generation_config, licence_of
from ascl_core.sft.tool_template import PAD, ensure_tool_template


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
    first, *others = sorted(end_ids(tokenizer), key=lambda one: one != tokenizer.eos_token_id)
    model.config.eos_token_id, model.generation_config.eos_token_id = first, [first, *others] if others else first
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    if base_model.path is not None:  # settings that contradict each other load, but cannot be saved
        model.generation_config = generation_config(model, tokenizer, 1.0)
    model.save_pretrained(base, safe_serialization=True)
    tokenizer.save_pretrained(base)
    check_saved(model.to("cpu"), base, compute.threads)
    write_text(base / LICENCE, OWN_LICENCE if base_model.path is None else licence_of(base_model.path))
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
        special_tokens=[PAD, *SPECIAL_TAGS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False)


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

    loader: Any = AutoModelForCausalLM
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    options: dict[str, Any] = {"quantization_config": GgufConfig(dequantize=True), "dtype": compute.dtype, "output_loading_info": True}
    try:
        model, found = loader.from_pretrained(**where, **options)
        tokenizer: Any = AutoTokenizer.from_pretrained(**where)
    except load_errors() as error:
        raise ModelError(
            f"{file.name} cannot be read: {first_line(error, 300)}", hint="install a package with a GGUF file of a known architecture"
        ) from error
    for part, name in ((model.config, "quantization_config"), (model, "hf_quantizer")):
        if hasattr(part, name):  # or it would be saved as what it no longer is
            delattr(part, name)
    check_tensors(file, found["missing_keys"], found["unexpected_keys"])
    check_finite(file, model)
    check_embeddings(file, model.get_input_embeddings().weight.shape[0], tokenizer)
    tokenizer.clean_up_tokenization_spaces = False
    return model, tokenizer
