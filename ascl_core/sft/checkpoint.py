"""Where training starts and what it leaves: weights to train, by one process or several, and a checkpoint that needs nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import ParallelConfig
from ascl_core.errors import TrainingError
from ascl_core.generation.load import device_of, read_model, save_tokenizer


def processes() -> int:
    """How many processes the launcher started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def on_device(compute: ComputeConfig, parallel: ParallelConfig) -> dict[str, Any]:
    """The trainer's arguments that depend on the device."""
    on_gpu = device_of(compute) == "cuda"
    return {
        "bf16": on_gpu and compute.dtype == "bfloat16",
        "gradient_checkpointing": on_gpu and parallel.gradient_checkpointing,
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
    }


def trainable_model(path: Path, compute: ComputeConfig, parallel: ParallelConfig, lora: LoraConfig | None) -> Any:
    """The model of a checkpoint for a trainer, which places it: read before that, every process would fill the first GPU.

    On a GPU trained weights are float32 and computed with in `compute.dtype`, as updates would be lost in bfloat16. Frozen ones
    are `compute.dtype`, unless they are sharded: a shard has one dtype.
    """
    frozen = lora is not None and not parallel.shards
    dtype = compute.dtype if frozen or device_of(compute) == "cpu" else "float32"
    return read_model(path, dtype, compute.threads)


def adapter(lora: LoraConfig | None) -> Any:
    """peft's description of the matrices; None where every weight is trained."""
    if lora is None:
        return None
    import peft

    return peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) or "all-linear",
        task_type="CAUSAL_LM",
    )


def publish(trainer: Any, tokenizer: Any, start: Path, lora: LoraConfig | None, compute: ComputeConfig, checkpoint: Path) -> None:
    """Write the trained model in `compute.dtype`, low-rank matrices merged into the weights of `start`, and its tokenizer.

    Every process must call it, as shards are gathered; the first one writes.
    """
    import torch

    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.is_world_process_zero():
        model = read_model(start, "float32" if lora else compute.dtype, compute.threads)
        model = _whole(model, state) if lora is None else _merged(model, state, lora)
        model.to(getattr(torch, compute.dtype)).save_pretrained(checkpoint)
        save_tokenizer(tokenizer, checkpoint)
    trainer.accelerator.wait_for_everyone()


def _whole(model: Any, state: dict[str, Any]) -> Any:
    missing, unknown = model.load_state_dict(state, strict=False)
    if lost := {*missing, *unknown} - {*model.all_tied_weights_keys}:
        raise TrainingError("weights were lost between the processes", field=sorted(lost)[0], hint="train with another parallel.strategy")
    return model


def _merged(model: Any, state: dict[str, Any], lora: LoraConfig) -> Any:
    """Merged in float32, so that the sum is rounded once."""
    import peft

    model = peft.get_peft_model(model, adapter(lora))
    matrices = peft.get_peft_model_state_dict(model, state_dict=state)
    result: Any = peft.set_peft_model_state_dict(model, matrices)
    if result.unexpected_keys or len(matrices) != len(peft.get_peft_model_state_dict(model)):
        raise TrainingError("low-rank matrices were lost between the processes", hint="train with another parallel.strategy")
    return model.merge_and_unload()
