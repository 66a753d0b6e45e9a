"""Estimate what each GPU stage of a run needs before anything starts: parameters, memory on a GPU, tokens and hours.

Lengths are the longest that the parameters allow, so tokens and hours are upper bounds; docs/gpu.md lists the assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, read_jsonl
from ascl_core.catalogue import dataset, names
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import split_batch
from ascl_core.config.params import Params
from ascl_core.config.sft_data import PUBLISHED, REWRITTEN, SftData
from ascl_core.config.suites import SuiteConfig
from ascl_core.errors import DataError
from ascl_core.sizing import disk
from ascl_core.sizing.devices import Device
from ascl_core.sizing.memory import Memory, engine, sampling, trained, training
from ascl_core.sizing.shape import Shape, find_shape, scratch_shape
from ascl_core.sizing.time import SAMPLING_UTILISATION, TRAINING_UTILISATION, hours, sampling_operations, training_operations
from ascl_core.vocabulary import Mode, PromptType
from tasks.registry.stages import BUILD_SFT, CURATE, EVALUATE, IFPO, SFT, TRAINED, TRAJECTORIES, Artifact, Stage

PROMPT_TOKENS = 512
"""A prompt with its system message and the tool's description."""
_VERDICT_TOKENS = 512
"""A response that a judge reads, with its own instructions and verdict."""
_ARMS = sum(stage.function == SFT.function for stage in TRAINED)
"""The data sets that a teacher writes and SFT trains on."""


@dataclass(frozen=True)
class Need:
    """What one stage needs, or several similar ones in sequence."""

    stage: str
    model: str
    parameters: int
    memory: Memory
    """The peak on each GPU."""
    problem: str
    """Why it does not fit; empty if it does."""
    hint: str
    tokens: float | None
    """An upper bound for all the stages; None until the data from which it follows exist."""
    hours: float | None
    times: int = 1
    """The number of such stages in a run."""
    trained: int = 0
    """How many of the parameters; 0 if nothing is trained."""
    gpus: int = 1


def estimate(root: Path, params: Params, device: Device) -> list[Need]:
    """Return the needs of all stages that put a model on a GPU; `ModelError` if the shape of one is unknown."""
    return [*_teacher(root, params, device), _sft(root, params, device), _ifpo(params, device), _evaluation(root, params, device)]


def base_shape(params: Params) -> Shape:
    """Return the shape of the model that is trained."""
    path = params.base_model.path
    return scratch_shape(params.base_model) if path is None else find_shape(path)


def _name(params: Params) -> str:
    return params.base_model.path or "from scratch"


def _teacher(root: Path, params: Params, device: Device) -> Iterator[Need]:
    config = params.build_sft
    if config.teacher not in ("vllm", "transformers") or config.teacher_model is None:
        return
    shape = find_shape(config.teacher_model)
    memory, problem = _generation(params, device, shape, config.judge.models, config.teacher, rows=16)
    per_type = _counts(root, CURATE.outputs["counts"], "by_prompt_type")
    each = {str(kind): number for kind, number in config.trajectories_per_prompt.items()}
    drafts = None if per_type is None else _ARMS * sum(each[kind] * number for kind, number in per_type.items())
    tokens = None if drafts is None else drafts * params.sft.max_length
    hint = (
        "take a smaller build_sft.teacher_model or judge, raise compute.vllm_memory_share, or serve the teacher: build_sft.teacher openai"
    )
    time = _sampling_hours(shape, tokens, device)
    yield Need(BUILD_SFT.name, config.teacher_model, shape.parameters, memory, problem, hint, tokens, time)


def _sft(root: Path, params: Params, device: Device) -> Need:
    shape, config = base_shape(params), params.sft
    rows, _ = split_batch(config.batch_size, config.micro_batch_size, params.parallel.processes)
    memory = training(shape, config.lora, params.parallel, params.compute, rows=rows, length=config.max_length)
    trained_on = [data for data in SftData if data == config.arm or data.arm.stage != SFT.name]
    steps = [_sft_steps(root, params, data) for data in trained_on]
    tokens = None if None in steps else float(sum(filter(None, steps)) * config.batch_size * config.max_length)
    need = _training_need(params, SFT, config.lora, memory, _overflow(memory, device), tokens, device)
    return replace(need, times=_ARMS)


def _sft_steps(root: Path, params: Params, data: SftData) -> int | None:
    """Return the optimiser steps of SFT on that data; None if they depend on its rows, and their number is not known yet."""
    if params.sft.epochs is None or params.sft.max_steps == 0:
        return params.sft.steps(0)
    try:
        rows: int | None = len(read_jsonl(root / TRAJECTORIES[data].path))
    except DataError:
        rows = _most_rows(params, data)
    return None if rows is None else params.sft.steps(rows)


def _most_rows(params: Params, data: SftData) -> int | None:
    """Return an upper bound of the rows that a teacher will write; None for public sets, and without a mix of fixed size."""
    config, weights = params.build_sft, params.build_sft.mix_weights
    if not weights or config.mix_size is None or data in PUBLISHED:
        return None
    if data not in (SftData.ASCL, *REWRITTEN):  # the same prompts again
        return config.mix_size * max(config.trajectories_per_prompt.values())
    look_ups = params.conversation.max_tool_calls if data is SftData.ASCL and config.samples == "by_turn" else 0
    consulting = sum(weight for (_, mode), weight in weights.items() if mode is Mode.CONSULT) / sum(weights.values())
    return math.ceil(config.mix_size * (1 + look_ups * consulting))


def _ifpo(params: Params, device: Device) -> Need:
    shape, config, parallel, compute = base_shape(params), params.ifpo, params.parallel, params.compute
    rows, passes = split_batch(config.rollouts_per_step, config.micro_batch_size, parallel.processes)
    length = PROMPT_TOKENS + config.max_completion_length
    update = training(shape, config.lora, parallel, compute, rows=rows, length=length)
    beside: dict[str, float] = {"judge": sum(sampling(find_shape(m), compute, rows=16, length=length).total for m in config.judge.models)}
    if config.beta > 0 and config.lora is None:
        beside["reference"] = update.parts["weights"]
    problem = ""
    if config.rollouts == "vllm_colocate":
        vllm = engine(shape, compute, device, config.vllm_memory_share)
        problem = _engine_problem(shape, vllm, "ifpo.vllm_memory_share")
        rollouts = {"vLLM": device.memory * config.vllm_memory_share}
    else:
        rollouts = {"cache": sampling(shape, compute, rows=rows * passes, length=length).parts["cache"]}
    asleep = config.rollouts == "transformers" or config.vllm_sleep  # then rollouts and update take turns
    waiting = Memory({name: size for name, size in update.parts.items() if name not in ("activations", "working copies")})
    both = [update | beside, waiting | beside | rollouts] if asleep else [update | beside | rollouts]
    memory = max(both, key=lambda m: m.total)
    tokens = float(config.max_steps * config.rollouts_per_step * length)
    drawing = hours(sampling_operations(shape, tokens), device, parallel.processes, SAMPLING_UTILISATION)
    return _training_need(params, IFPO, config.lora, memory, problem or _overflow(memory, device), tokens, device, drawing)


def _training_need(
    params: Params,
    stage: Stage,
    lora: LoraConfig | None,
    memory: Memory,
    problem: str,
    tokens: float | None,
    device: Device,
    drawing: float = 0.0,
) -> Need:
    """Return the need of a stage that trains the base model; `drawing` are the hours in which it also samples."""
    shape, gpus = base_shape(params), params.parallel.processes
    hint = _training_hint(params, lora, stage.name)
    time = None if tokens is None else drawing + _training_hours(params, shape, lora, tokens, device)
    own = (_name(params), shape.parameters, memory, problem, hint, tokens, time)
    return Need(stage.name, *own, trained=trained(shape, lora), gpus=gpus)


def _evaluation(root: Path, params: Params, device: Device) -> Need:
    shape, config = base_shape(params), params.evaluate
    length = PROMPT_TOKENS + config.max_new_tokens * (1 + params.conversation.max_tool_calls)
    rows = max(config.batch_size, *(drawn for *_, drawn in _drawings(params)))
    memory, problem = _generation(params, device, shape, config.judge_models, params.compute.backend, rows=rows, length=length)
    responses = _responses(root, params)
    tokens = None if responses is None else float(len(EVALUATE) * responses * length)
    time = _sampling_hours(shape, tokens, device)
    if time is not None and tokens is not None:
        read = tokens / length * _VERDICT_TOKENS
        time += sum(hours(sampling_operations(find_shape(m), read), device, 1, SAMPLING_UTILISATION) for m in config.judge_models)
    hint = "raise compute.vllm_memory_share to at most 0.46 with a judge, lower evaluate.batch_size, or take a smaller judge"
    return Need("evaluate", _name(params), shape.parameters, memory, problem, hint, tokens, time, times=len(EVALUATE))


def _drawings(params: Params) -> Iterator[tuple[float, float, int]]:
    """Yield how prompts of every type are sampled, in the external suites and in the others."""
    for samples in (1, *(suite.samples for suite in params.suites.external)):
        yield from (params.evaluate.sampling_of(kind, samples) for kind in PromptType)


def _responses(root: Path, params: Params) -> int | None:
    """Return the responses of one evaluation from the built suites, else from the sizes in the catalogue; None if one is unknown."""
    manifest = EVALUATE[SFT.name].inputs["suites_manifest"]
    assert isinstance(manifest, Artifact)
    try:
        built = read_json(root / manifest.path)["suites"]
        return sum(_of_built(suite, params) for suite in built.values())
    except (DataError, KeyError, TypeError):
        sizes = [_of_external(suite, params) for suite in params.suites.external]
    return None if params.suites.own_fraction or None in sizes else sum(size for size in sizes if size is not None)


def _of_built(suite: Mapping[str, Any], params: Params) -> int:
    by_type = suite.get("by_type") or {PromptType.HARMFUL: suite["n"]}
    samples = int(suite.get("samples") or 1)
    return sum(int(n) * params.evaluate.sampling_of(PromptType(kind), samples)[2] for kind, n in by_type.items())


def _of_external(suite: SuiteConfig, params: Params) -> int | None:
    """Return an upper bound: a suite of several types counts with the most samples of them."""
    size = dataset(suite.format).size if suite.format in names() else None
    known = [number for number in (size, suite.max_prompts, suite.max_rows) if number is not None]
    types = (PromptType.UTILITY,) if suite.kind == "utility" else (PromptType.HARMFUL, PromptType.BORDERLINE)
    samples = max(params.evaluate.sampling_of(kind, suite.samples)[2] for kind in types)
    return min(known) * samples if known else None


def disk_of(params: Params) -> dict[str, float]:
    """Return the bytes on disk by part: every published checkpoint of a run, the saved state of one training, and models from the hub."""
    shape, lora = base_shape(params), (params.sft.lora, params.ifpo.lora)
    judges = [*params.build_sft.judge.models, *params.ifpo.judge.models, *params.evaluate.judge_models]
    teacher = [params.build_sft.teacher_model] if params.build_sft.teacher in ("vllm", "transformers") else []
    hub = {name for name in (params.base_model.path, *teacher, *judges) if name and not Path(name).expanduser().exists()}
    parts = {
        f"{_ARMS + 2} checkpoints": float((_ARMS + 2) * disk.published(shape, params.compute)),
        "the state that training resumes from": float(max(disk.resumable(shape, one) for one in lora)),
        "models from the hub": float(sum(disk.downloaded(find_shape(name)) for name in hub)),
    }
    return {name: size for name, size in parts.items() if size}


def _generation(
    params: Params, device: Device, shape: Shape, judges: tuple[str, ...], backend: str, *, rows: int, length: int = 2048
) -> tuple[Memory, str]:
    """Return the memory of a policy or teacher with its judges, and why that does not fit."""
    compute, share = params.compute, params.compute.vllm_memory_share
    if backend == "vllm":
        memory = engine(shape, compute, device, share)
        problem = _engine_problem(shape, memory, "compute.vllm_memory_share")
    else:
        memory, problem = sampling(shape, compute, rows=rows, length=length), ""
    for name in judges:
        judge = find_shape(name)
        on_vllm = compute.backend == "vllm"
        beside = engine(judge, compute, device, share) if on_vllm else sampling(judge, compute, rows=16, length=length)
        problem = problem or (_engine_problem(judge, beside, "compute.vllm_memory_share") if on_vllm else "")
        memory |= {f"judge {name}": beside.total}
    return memory, problem or _overflow(memory, device)


def _engine_problem(shape: Shape, vllm: Memory, field: str) -> str:
    """Return why vLLM would not start, or "": its cache must hold one conversation of the model's whole context."""
    left, needed = vllm.parts["vLLM cache"], shape.context * shape.cache_per_token()
    return f"{field} leaves vLLM {left / 1e9:.1f} GB for a cache that needs {needed / 1e9:.1f} GB" if left < needed else ""


def _overflow(memory: Memory, device: Device) -> str:
    return (
        "" if memory.fits(device) else f"{memory.total / 1e9:.1f} GB and a reserve are more than the {device.memory_gb} GB of {device.name}"
    )


def _training_hint(params: Params, lora: LoraConfig | None, section: str) -> str:
    micro = f"lower {section}.micro_batch_size"
    if lora is not None or params.parallel.shards:
        return f"{micro}, or take {'more parallel.processes' if params.parallel.shards else 'a smaller model or a larger GPU'}"
    return f"{micro}, set parallel.strategy=fsdp2 with more parallel.processes, or {section}.lora.rank=32"


def _training_hours(params: Params, shape: Shape, lora: LoraConfig | None, tokens: float, device: Device) -> float:
    operations = training_operations(shape, tokens, lora, checkpointing=params.parallel.gradient_checkpointing)
    return hours(operations, device, params.parallel.processes, TRAINING_UTILISATION)


def _sampling_hours(shape: Shape, tokens: float | None, device: Device) -> float | None:
    return None if tokens is None else hours(sampling_operations(shape, tokens), device, 1, SAMPLING_UTILISATION)


def _counts(root: Path, artifact: Artifact | tuple[Artifact, ...], key: str) -> dict[str, int] | None:
    """Return the numbers, by name, in a file that an earlier stage wrote; None if it has not run."""
    assert isinstance(artifact, Artifact)
    try:
        found = read_json(root / artifact.path)[key]
        return {name: int(value) for name, value in found.items()}
    except (DataError, KeyError, TypeError):
        return None
