"""The two ends of a training, by one process or several: weights to train, and a checkpoint that needs nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.artifacts import write_text
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import ParallelConfig, split_batch
from ascl_core.errors import ConfigError, TrainingError, nearest
from ascl_core.generation.load import context_length, device_of, read_model, save_tokenizer
from ascl_core.generation.proof import ROUNDED, SAME, check_saved, difference, sample_logits
from ascl_core.released import LICENCE

if TYPE_CHECKING:
    from ascl_core.config.conversation import ConversationConfig
    from ascl_core.config.ifpo import IfpoConfig
    from ascl_core.config.sft import SftConfig

OWN_LICENCE = "Model weights: Apache License, Version 2.0\nhttps://www.apache.org/licenses/LICENSE-2.0\n"
"""The licence of weights that were trained from scratch."""


def trainer_arguments(
    config: SftConfig | IfpoConfig, steps: int, rows: int, compute: ComputeConfig, parallel: ParallelConfig, state: Path
) -> dict[str, Any]:
    """Return the arguments that the trainers of both stages share; `rows` is the batch of one step over all processes."""
    on_gpu = device_of(compute) == "cuda"
    micro_batch_size, accumulated = split_batch(rows, config.micro_batch_size, int(os.environ.get("WORLD_SIZE", "1")))
    return {
        "output_dir": str(state),
        "max_steps": steps,
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
    model = read_model(path, dtype, compute.threads)
    if lora is not None:
        _check_targets(model, lora)
    return model


def _check_targets(model: Any, lora: LoraConfig) -> None:
    """Raise unless every named module exists, is one that can be adapted, and shares its weight with no other."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    modules = dict(model.named_modules())
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = (embedding, head) if head is not None and head.weight is embedding.weight else ()
    able = {name.rpartition(".")[2] for name, module in modules.items() if isinstance(module, nn.Linear | Conv1D) and module not in tied}
    for target in lora.target_modules:
        found = [module for name, module in modules.items() if name == target or name.endswith(f".{target}")]
        where: dict[str, Any] = {"field": "lora.target_modules", "value": target}
        if not found:
            raise ConfigError("the model has no such module", **where, hint=nearest(target, able))
        if any(module in tied for module in found):
            problem = "embedding and head of this model are one weight, and a matrix beside one of them cannot be merged into it"
            raise ConfigError(problem, **where, hint=f"leave it out; linear layers of this model: {', '.join(sorted(able))}")
        if not all(isinstance(module, nn.Linear | nn.Embedding | Conv1D) for module in found):
            raise ConfigError("is no linear layer", **where, hint=f"linear layers of this model: {', '.join(sorted(able))}")


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


def publish(
    trainer: Any,
    tokenizer: Any,
    start: Path,
    lora: LoraConfig | None,
    compute: ComputeConfig,
    checkpoint: Path,
    conversation: ConversationConfig | None = None,
    temperature: float = 1.0,
) -> None:
    """Write the trained model in `compute.dtype`, low-rank matrices merged into the weights of `start`, and its tokenizer.

    Loaded elsewhere it opens a `conversation` as in training, and samples with that `temperature` from its whole distribution.
    Every process must call it, as shards are gathered; the first one writes. `TrainingError` if what is written does not compute what was
    trained.
    """
    import torch

    trained = sample_logits(trainer.model_wrapped)
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.is_world_process_zero():
        model = read_model(start, "float32" if lora else compute.dtype, compute.threads)
        model = _whole(model, state) if lora is None else _merged(model, state, lora)
        _check_same("gathered", trained, sample_logits(model), SAME if compute.dtype == "float32" else ROUNDED)
        model.generation_config = generation_config(model, tokenizer, temperature)
        model.to(getattr(torch, compute.dtype)).save_pretrained(checkpoint)
        save_tokenizer(tokenizer, checkpoint, conversation, context_length(model))
        write_text(checkpoint / LICENCE, licence_of(start))
        check_saved(model, checkpoint, compute.threads)
    trainer.accelerator.wait_for_everyone()


def _check_same(done: str, before: Any, after: Any, most: float) -> None:
    if (apart := difference(before, after)) > most:
        problem = f"the weights are not the trained ones once they are {done}: logits differ by {apart:.2g} of their spread"
        raise TrainingError(problem, hint="train without lora, or with another parallel.strategy")


def generation_config(model: Any, tokenizer: Any, temperature: float) -> Any:
    """Return how the model is sampled elsewhere; the defaults of transformers would leave out all but the 50 most probable tokens."""
    from transformers import GenerationConfig

    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {"do_sample": False}
    known = model.generation_config.eos_token_id  # may be several, where any of them ends an answer
    ends = {"eos_token_id": tokenizer.eos_token_id if known is None else known, "pad_token_id": tokenizer.pad_token_id}
    return GenerationConfig(bos_token_id=model.config.bos_token_id, **ends, **sampling)


def licence_of(start: str | Path) -> str:
    """Return the licence of the model that training started from, which holds for what is trained from it."""
    for name in (LICENCE, "LICENSE", "LICENSE.md"):
        if (Path(start) / name).is_file():
            return (Path(start) / name).read_text(encoding="utf-8")
    return f"The weights were trained from {start}, whose licence holds for them. It is not among the files of that model.\n"


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
    beside = sample_logits(model)
    merged = model.merge_and_unload()
    _check_same("merged", beside, sample_logits(merged), SAME)
    return merged
