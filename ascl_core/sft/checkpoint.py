"""The two ends of a training, by one process or several: weights to train, and a checkpoint that needs nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import ParallelConfig, split_batch
from ascl_core.errors import TrainingError
from ascl_core.generation.load import device_of, read_model, save_tokenizer

if TYPE_CHECKING:
    from ascl_core.config.ifpo import IfpoConfig
    from ascl_core.config.sft import SftConfig


def trainer_arguments(
    config: SftConfig | IfpoConfig, rows: int, compute: ComputeConfig, parallel: ParallelConfig, state: Path
) -> dict[str, Any]:
    """Return the arguments that the trainers of both stages share; `rows` is the batch of one step over all processes."""
    on_gpu = device_of(compute) == "cuda"
    micro_batch_size, accumulated = split_batch(rows, config.micro_batch_size, int(os.environ.get("WORLD_SIZE", "1")))
    return {
        "output_dir": str(state),
        "max_steps": config.max_steps,
        "per_device_train_batch_size": micro_batch_size,
        "gradient_accumulation_steps": accumulated,
        "learning_rate": config.learning_rate,
        "save_steps": config.save_steps,
        "save_total_limit": 1,
        "logging_steps": 1,
        "report_to": "none",
        "seed": config.seed,
        "disable_tqdm": True,
        "bf16": on_gpu and compute.dtype == "bfloat16",
        "gradient_checkpointing": on_gpu and parallel.gradient_checkpointing,
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
    }


def is_first_process() -> bool:
    """Return whether this is the process that writes; True without a launcher."""
    return os.environ.get("RANK", "0") == "0"


def trainable_model(path: Path, compute: ComputeConfig, parallel: ParallelConfig, lora: LoraConfig | None) -> Any:
    """Return the model of a checkpoint on the CPU; the trainer moves it, or every process would fill the first GPU.

    On a GPU trained weights are float32 and computed with in `compute.dtype`, as updates would be lost in bfloat16. Frozen ones
    are `compute.dtype`, unless they are sharded: a shard has one dtype.
    """
    frozen = lora is not None and not parallel.shards
    dtype = compute.dtype if frozen or device_of(compute) == "cpu" else "float32"
    return read_model(path, dtype, compute.threads)


def adapter(lora: LoraConfig | None) -> Any:
    """Return peft's description of the matrices; None where every weight is trained."""
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
    """Return the model with the matrices merged in float32, so that the sum is rounded once."""
    import peft

    model = peft.get_peft_model(model, adapter(lora))
    matrices = peft.get_peft_model_state_dict(model, state_dict=state)
    result: Any = peft.set_peft_model_state_dict(model, matrices)
    if result.unexpected_keys or len(matrices) != len(peft.get_peft_model_state_dict(model)):
        raise TrainingError("low-rank matrices were lost between the processes", hint="train with another parallel.strategy")
    return model.merge_and_unload()
