"""Loading checkpoints: safetensors only, no remote code, and one clear error where a path holds no model."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ascl_core.artifacts import write_json
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.conversation.content import control_strings
from ascl_core.conversation.formats import end_of_answer
from ascl_core.conversation.hardened import harden, with_opening, without_prologue
from ascl_core.conversation.template import chat_template
from ascl_core.conversation.tool import TOOL_NAME, tool_schema
from ascl_core.errors import ModelError
from ascl_core.generation.hub import hub_problem
from ascl_core.generation.shards import check_shards

_UNBOUNDED = 2**20
_WRAPPERS = {
    "_orig_mod.": "torch.compile",
    "module.": "DistributedDataParallel",
    "_fsdp_wrapped_module.": "FSDP",
    "_checkpoint_wrapped_module.": "activation checkpointing",
    "base_model.model.": "peft",
}
"""What each prefix of a tensor's name is left by."""
TOOLS = "tools.json"
"""The file of a checkpoint with the tools that it was trained with, as `apply_chat_template` and OpenAI's API take them."""


def device_of(compute: ComputeConfig) -> str:
    """Return `cuda` or `cpu`, as configured; `auto` takes a GPU where there is one."""
    import torch

    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("no GPU is available", field="compute.device", value="cuda", hint="set it to auto or cpu")
    return compute.device if compute.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(path: str | Path, revision: str | None = None) -> Any:
    """Return the tokenizer of a checkpoint; `ModelError` names a path that has none.

    Its end token is the one with which its chat template closes an answer. The tokenizers of base models often name another, on which
    generation would never stop.
    """
    from transformers import AutoTokenizer

    _check_exists(path, revision)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), revision=revision, trust_remote_code=False)
    except load_errors() as error:
        raise _cannot_load(path, error) from error
    if isinstance(named := tokenizer.chat_template, dict) and "default" not in named:
        problem = f"its chat templates have the names {', '.join(sorted(named))}, and none is called default"
        raise ModelError(problem, file=path, hint="rename the one to use, in tokenizer_config.json or additional_chat_templates")
    if not tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens):
        raise _cannot_load(path, ValueError("its tokenizer has no words: tokenizer.json is missing or empty"))
    if isinstance(tokenizer.chat_template, str):
        tokenizer.chat_template = without_prologue(tokenizer.chat_template)
    end = end_of_answer(tokenizer)
    if end is not None and end in {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}:
        tokenizer.eos_token = end
    return tokenizer


def save_tokenizer(tokenizer: Any, path: Path, conversation: ConversationConfig | None = None, context_length: int | None = None) -> None:
    """Write the tokenizer with a chat template that keeps control strings in content from being read as such.

    With `conversation` the template opens as in training, and the tool's schema lies beside it; `context_length` is in tokens.
    """
    own, own_length = tokenizer.chat_template, tokenizer.model_max_length
    strings = control_strings(tokenizer)
    if isinstance(own, str) and own != chat_template(strings):
        tokenizer.chat_template = harden(own, strings)
    if isinstance(own, str) and conversation is not None:
        tokenizer.chat_template = with_opening(tokenizer.chat_template, conversation.system_prompt, TOOL_NAME)
        write_json(path / TOOLS, [tool_schema(conversation)])
    if context_length is not None:
        tokenizer.model_max_length = context_length
    tokenizer.save_pretrained(path)
    tokenizer.chat_template, tokenizer.model_max_length = own, own_length


def load_model(path: str | Path, compute: ComputeConfig, revision: str | None = None) -> Any:
    """Return the model of a checkpoint on its device, whole in every process; `ModelError` names a path that has none."""
    from accelerate.utils import patch_environment

    with patch_environment(FSDP_CPU_RAM_EFFICIENT_LOADING="false"):  # else a judge would be empty in all processes but the first
        return read_model(path, compute.dtype, compute.threads, revision).to(device_of(compute))


def read_model(path: str | Path, dtype: str, threads: int, revision: str | None = None) -> Any:
    """Return the model of a checkpoint on the CPU, and set torch's threads.

    `ModelError` names a path that has none, the first tensor that is missing, left over or not finite, and too few embeddings for its
    tokenizer.
    """
    import torch
    from transformers import AutoModelForCausalLM

    _check_exists(path, revision)
    torch.set_num_threads(threads)
    loader: Any = AutoModelForCausalLM
    options = {"dtype": getattr(torch, dtype), "use_safetensors": True, "trust_remote_code": False, "output_loading_info": True}
    try:
        model, found = loader.from_pretrained(str(path), revision=revision, **options)
    except load_errors() as error:
        raise _cannot_load(path, error) from error
    if os.environ.get("LOCAL_RANK", "0") == "0":  # with FSDP the other processes load nothing
        check_tensors(path, found["missing_keys"], found["unexpected_keys"])
        check_finite(path, model)
    check_embeddings(path, model.get_input_embeddings().weight.shape[0], load_tokenizer(path, revision))
    return model


def context_length(model: Any) -> int:
    """Return how many tokens the model reads at most; a state has no positions, so it has no limit."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or _UNBOUNDED)


def check_tensors(path: str | Path, missing: Collection[str], left_over: Collection[str]) -> None:
    """Raise unless the checkpoint's tensors are those of the model: one that is missing would be random, and one left over unused."""
    if not missing and not left_over:
        return
    example, kind = (min(missing), "missing") if missing else (min(left_over), "left over")
    problem = f"{len(missing)} tensors of the model are missing, and {len(left_over)} of the checkpoint are left over"
    hint = f"{example} is {kind}; save the model again as its architecture in config.json names its tensors"
    prefix = next((prefix for prefix in _WRAPPERS for name in left_over if name.startswith(prefix)), None)
    if prefix is not None:
        hint = f"remove {prefix!r} in front of the tensors' names: {_WRAPPERS[prefix]} leaves it there unless the model is unwrapped first"
    raise ModelError(problem, file=path, hint=hint)


def check_finite(path: str | Path, model: Any) -> None:
    """Raise if a weight is NaN or infinite: every output would be, too."""
    for name, tensor in model.named_parameters():
        if tensor.numel() and tensor.is_floating_point() and tensor.element_size() > 1 and not all(x.isfinite() for x in tensor.aminmax()):
            raise ModelError(f"{name} has a value that is NaN or infinite", file=path, hint="restore the weights, or train them again")


def check_embeddings(path: str | Path, rows: int, tokenizer: Any) -> None:
    """Raise if the tokenizer has a token for which the model has no embedding."""
    tokens = max(tokenizer.get_vocab().values()) + 1
    if tokens > rows:
        hint = "take the tokenizer that belongs to the weights, or resize the embeddings to it (resize_token_embeddings) and save both"
        raise ModelError(f"the model has {rows} embeddings, and its tokenizer {tokens} tokens", file=path, hint=hint)


def identity(model: str | Path, revision: str | None = None) -> str:
    """Return the identity of a model: a hub id with its revision, or a folder's name with the digest of its content."""
    from ascl_core.artifacts import digest

    folder = Path(model)
    if folder.is_dir():
        return f"{folder.resolve().name}#{digest(folder)[:12]}"
    return f"{model}@{revision}" if revision else str(model)


def load_errors() -> tuple[type[Exception], ...]:
    """Return what transformers raises where files are missing or broken, do not fit each other, or need a package for quantised weights."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    of_values = (ValueError, RuntimeError, LookupError, TypeError, AttributeError, ArithmeticError)
    return (OSError, ImportError, *of_values, StrictDataclassError, SafetensorError)


def first_line(error: BaseException, limit: int) -> str:
    """Return the first line of an error's message, with the next one after a colon, or the name of its type where it has none."""
    first, *others = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join([first, *(line.strip() for line in others[:1] if first.endswith(":"))])[:limit]


def _check_exists(path: str | Path, revision: str | None) -> None:
    """Raise unless the path is a folder or a model of the hub, which would otherwise be asked for it again and again."""
    check_shards(path)
    if (adapter := Path(path) / "adapter_config.json").exists():
        elsewhere = "is an adapter: the weights that it adapts are elsewhere, and not in the checkpoint's digest"
        raise ModelError(elsewhere, file=adapter, hint="merge it into its base model (peft: merge_and_unload), and save the whole model")
    if not Path(path).exists() and (problem := hub_problem(path, revision)) is not None:
        raise _cannot_load(path, FileNotFoundError(problem))


def _cannot_load(path: str | Path, error: Exception) -> ModelError:
    hint = "give a folder with config.json, tokenizer and safetensors that fit each other, or a hub id while the hub can be reached"
    return ModelError(f"cannot be loaded: {first_line(error, 300)}", file=path, hint=hint)
