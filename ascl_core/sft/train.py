"""The stage `sft`: TRL's `SFTTrainer`, loss on assistant turns only, resumable."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_jsonl, write_jsonl
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.parallel import ONE_PROCESS, ParallelConfig
from ascl_core.config.sft import SftConfig
from ascl_core.contracts import StageContext
from ascl_core.conversation.token_ids import offered_tools
from ascl_core.errors import DataError, TrainingError
from ascl_core.generation.load import load_tokenizer
from ascl_core.sft.callbacks import TrainingLog, train
from ascl_core.sft.checkpoint import adapter, is_first_process, publish, trainable_model, trainer_arguments
from ascl_core.sft.samples import to_examples

_CONVERSATION = ConversationConfig()


def sft(
    *,
    sft: SftConfig,
    conversation: ConversationConfig = _CONVERSATION,
    compute: ComputeConfig,
    parallel: ParallelConfig = ONE_PROCESS,
    trajectories: tuple[Path, ...],
    base: Path,
    checkpoint: Path,
    log: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Fine-tune `base` on the trajectories; the first process writes the checkpoint and one log line a step.

    `sft.arm` names one of several files of trajectories; a single file needs no name. With no steps the base model is published unchanged.
    """
    from datasets import Dataset
    from transformers.trainer_utils import set_seed

    from ascl_core.sft.trainer import SupervisedTrainer

    config = sft.model_dump(mode="json")
    if sft.max_steps == 0:
        if is_first_process():
            shutil.copytree(base, checkpoint)
            write_jsonl(log, TrainingLog("sft", config, 0, context).lines)
        return {"steps": 0}
    [lessons] = trajectories if len(trajectories) == 1 else [path for path in trajectories if path.stem == sft.arm]
    set_seed(sft.seed)
    tokenizer = load_tokenizer(base)
    rows = read_jsonl(lessons)
    examples = to_examples(rows, tokenizer, offered_tools(conversation))
    _check_lengths(rows, examples, sft.max_length, lessons)
    if not rows:
        hint = "build_sft.published says where a public set is"
        raise DataError("there are no trajectories", file=lessons, field="sft.arm", value=sft.arm, hint=hint)
    steps = sft.steps(len(rows))
    training_log = TrainingLog("sft", config, steps, context)
    arguments = _arguments(sft, steps, compute, parallel, context.state)  # before the model, whose shards they may decide
    trainer = SupervisedTrainer(
        model=trainable_model(base, compute, parallel, sft.lora),
        args=arguments,
        train_dataset=Dataset.from_list(examples),
        processing_class=tokenizer,
        peft_config=adapter(sft.lora),
        callbacks=[training_log],
    )
    training_log.quieten(trainer)
    started = time.monotonic()
    train(trainer, context.state)
    loss = training_log.last("loss")
    if loss is None or not math.isfinite(loss):
        raise TrainingError("the loss is not a number", field="sft.learning_rate", value=sft.learning_rate, hint="lower it")
    opening = conversation if conversation.variant == "ascl" else None  # the baselines of public sets are trained without a system message
    publish(trainer, tokenizer, base, sft.lora, compute, checkpoint, opening)
    if trainer.is_world_process_zero():
        write_jsonl(log, training_log.lines)
    return {"loss": loss, "steps": steps, "trajectories": len(rows), "train_seconds": round(time.monotonic() - started, 1)}


def _arguments(config: SftConfig, steps: int, compute: ComputeConfig, parallel: ParallelConfig, state: Path) -> Any:
    from trl import SFTConfig

    return SFTConfig(
        **trainer_arguments(config, steps, config.batch_size, compute, parallel, state),
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_steps,
        adam_beta2=config.adam_beta2,
        weight_decay=config.weight_decay,
        max_length=config.max_length,
        data_seed=config.seed,
        dataset_num_proc=None,
    )


def _check_lengths(rows: list[dict[str, Any]], examples: list[dict[str, list[int]]], max_length: int, path: Path) -> None:
    for number, (row, example) in enumerate(zip(rows, examples, strict=True), start=1):
        size = len(example["input_ids"])
        if size > max_length:
            shown = json.dumps(next(message["content"] for message in row["messages"] if message["role"] == "user"))[:80]
            raise DataError(
                f"conversation has {size} tokens, over sft.max_length {max_length}",
                file=path,
                field=f"line {number}",
                value=shown,
                hint="raise sft.max_length, or lower curate.max_chars or build_sft.max_words; a cut conversation would teach to stop early",
            )
