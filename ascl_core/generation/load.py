"""Loading checkpoints: safetensors only, no remote code, and one clear error where a path does not hold a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ascl_core.config.compute import ComputeConfig
from ascl_core.errors import ModelError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def device_of(compute: ComputeConfig) -> str:
    """`cuda` or `cpu`, as configured; `auto` takes a GPU where there is one."""
    import torch

    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("no GPU is available", field="compute.device", value="cuda", mend="set it to auto or cpu")
    return compute.device if compute.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(path: str | Path, revision: str | None = None) -> Any:
    """The tokenizer of a checkpoint; `ModelError` names the path otherwise."""
    from transformers import AutoTokenizer

    _check_exists(path)
    try:
        return AutoTokenizer.from_pretrained(str(path), revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _cannot_load(path, error) from error


def load_model(path: str | Path, compute: ComputeConfig, revision: str | None = None) -> Any:
    """The model of a checkpoint on its device; `ModelError` names the path otherwise."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    _check_exists(path)
    torch.set_num_threads(compute.threads)
    dtype = getattr(torch, compute.dtype)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(path), revision=revision, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise _cannot_load(path, error) from error
    return model.to(device_of(compute))


def identity(model: str | Path, revision: str | None = None) -> str:
    """What tells two models apart: a hub id with its revision, or a folder's name with the digest of its content."""
    from ascl_core.artifacts import digest

    folder = Path(model)
    if folder.is_dir():
        return f"{folder.resolve().name}#{digest(folder)[:12]}"
    return f"{model}@{revision}" if revision else str(model)


def _check_exists(path: str | Path) -> None:
    """A path that is no folder must at least look like a hub id, or the hub would be asked for it, slowly."""
    if not Path(path).exists() and not _HUB_ID.fullmatch(str(path)):
        raise _cannot_load(path, FileNotFoundError("no such folder"))


def _cannot_load(path: str | Path, error: Exception) -> ModelError:
    problem = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    mend = "give a folder with config.json, tokenizer and safetensors, or a hub id"
    return ModelError(f"cannot be loaded: {problem}", file=path, mend=mend)
