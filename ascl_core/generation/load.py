"""Loading checkpoints: safetensors only, no remote code, and one clear error where a path holds no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ascl_core.config.compute import ComputeConfig
from ascl_core.conversation.content import control_strings
from ascl_core.conversation.hardened import harden, without_prologue
from ascl_core.conversation.template import chat_template
from ascl_core.errors import ModelError
from ascl_core.generation.hub import hub_problem
from ascl_core.generation.shards import check_shards


def device_of(compute: ComputeConfig) -> str:
    """Return `cuda` or `cpu`, as configured; `auto` takes a GPU where there is one."""
    import torch

    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("no GPU is available", field="compute.device", value="cuda", hint="set it to auto or cpu")
    return compute.device if compute.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(path: str | Path, revision: str | None = None) -> Any:
    """Return the tokenizer of a checkpoint; `ModelError` names a path that has none."""
    from transformers import AutoTokenizer

    _check_exists(path, revision)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), revision=revision, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError) as error:
        raise _cannot_load(path, error) from error
    if not tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens):
        raise _cannot_load(path, ValueError("its tokenizer has no words: tokenizer.json is missing or empty"))
    if isinstance(tokenizer.chat_template, str):
        tokenizer.chat_template = without_prologue(tokenizer.chat_template)
    return tokenizer


def save_tokenizer(tokenizer: Any, path: Path) -> None:
    """Write the tokenizer with a chat template that keeps control strings in content from being read as such."""
    own = tokenizer.chat_template
    strings = control_strings(tokenizer)
    if isinstance(own, str) and own != chat_template(strings):
        tokenizer.chat_template = harden(own, strings)
    tokenizer.save_pretrained(path)
    tokenizer.chat_template = own


def load_model(path: str | Path, compute: ComputeConfig, revision: str | None = None) -> Any:
    """Return the model of a checkpoint on its device, whole in every process; `ModelError` names a path that has none."""
    from accelerate.utils import patch_environment

    with patch_environment(FSDP_CPU_RAM_EFFICIENT_LOADING="false"):  # else a judge would be empty in all processes but the first
        return read_model(path, compute.dtype, compute.threads, revision).to(device_of(compute))


def read_model(path: str | Path, dtype: str, threads: int, revision: str | None = None) -> Any:
    """Return the model of a checkpoint on the CPU, and set torch's threads; `ModelError` names a path that has none."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    _check_exists(path, revision)
    torch.set_num_threads(threads)
    try:
        return AutoModelForCausalLM.from_pretrained(
            str(path), revision=revision, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # RuntimeError: config.json does not fit the weights
        raise _cannot_load(path, error) from error


def identity(model: str | Path, revision: str | None = None) -> str:
    """Return the identity of a model: a hub id with its revision, or a folder's name with the digest of its content."""
    from ascl_core.artifacts import digest

    folder = Path(model)
    if folder.is_dir():
        return f"{folder.resolve().name}#{digest(folder)[:12]}"
    return f"{model}@{revision}" if revision else str(model)


def first_line(error: BaseException, limit: int) -> str:
    """Return the first line of an error's message, or the name of its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:limit]


def _check_exists(path: str | Path, revision: str | None) -> None:
    """Raise unless the path is a folder or a model of the hub, which would otherwise be asked for it again and again."""
    check_shards(path)
    if not Path(path).exists() and (problem := hub_problem(path, revision)) is not None:
        raise _cannot_load(path, FileNotFoundError(problem))


def _cannot_load(path: str | Path, error: Exception) -> ModelError:
    hint = "give a folder with config.json, tokenizer and safetensors that fit each other, or a hub id while the hub can be reached"
    return ModelError(f"cannot be loaded: {first_line(error, 300)}", file=path, hint=hint)
