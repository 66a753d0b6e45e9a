"""Sampling with vLLM: every open conversation in one call; vLLM batches them, and its prefix cache keeps what they share."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import torch

from ascl_core.config.compute import ComputeConfig
from ascl_core.conversation.formats import end_ids
from ascl_core.conversation.tool_loop import OpenRollout
from ascl_core.errors import ModelError
from ascl_core.generation import Generator, Sampling
from ascl_core.generation.load import check_embeddings, device_of, first_line, load_tokenizer

_CPU_CACHE_GIB = "1"
_HOTTEST = 2.0
"""vLLM's own limit."""
_ON_CPU: dict[str, Any] = {"enforce_eager": True, "enable_chunked_prefill": False}
"""A prompt that is read in parts rewinds its request's random numbers, which vLLM cannot do on a CPU."""
_UNREADABLE = "llvmlite.binding.ffi"
"""An attribute of this module has an own `__dict__`, at which vLLM 0.31 fails when it looks through all modules for its CPU kernels."""


class VllmGenerator(Generator):
    """One checkpoint in a vLLM engine of this process."""

    def __init__(self, checkpoint: str | Path, compute: ComputeConfig, revision: str | None = None) -> None:
        self.tokenizer = load_tokenizer(checkpoint, revision)
        self.engine = _engine(checkpoint, compute, revision)
        check_embeddings(checkpoint, self.engine.llm_engine.model_config.get_vocab_size(), self.tokenizer)
        self.context_length: int = self.engine.llm_engine.model_config.max_model_len

    def _converse(self, opened: list[OpenRollout], sampling: Sampling, batch_size: int) -> Iterator[None]:
        seeds = _seeds(sampling)
        while waiting := [one for one in opened if one.open]:
            turns = self._continue([one.input_ids for one in waiting], sampling, seeds)
            for one, ids in zip(waiting, turns, strict=True):
                one.take_turn(ids, self.tokenizer)
            yield

    def complete(
        self, inputs: Sequence[list[int]], *, sampling: Sampling, batch_size: int, seeds: Sequence[int] | None = None
    ) -> list[list[int]]:
        """See `Generator`; vLLM decides on batches itself."""
        return self._continue(inputs, sampling, _seeds(sampling) if seeds is None else seeds)

    def _continue(self, inputs: Sequence[list[int]], sampling: Sampling, seeds: Random | Sequence[int]) -> list[list[int]]:
        """Return the turns that follow; each input has its own seed, so that equal inputs differ and no turn repeats random numbers."""
        if sampling.temperature > _HOTTEST:
            hint = "lower it, or set compute.backend to transformers"
            raise ModelError(f"vLLM samples at temperatures up to {_HOTTEST:g}", field="temperature", value=sampling.temperature, hint=hint)
        outputs: list[list[int]] = [[] for _ in inputs]
        fitting = [i for i, ids in enumerate(inputs) if len(ids) < self.context_length]
        requests = [{"prompt_token_ids": inputs[i]} for i in fitting]
        seed_of = {i: seeds.getrandbits(63) if isinstance(seeds, Random) else seeds[i] for i in fitting}
        drawing = [self._sampling_params(len(inputs[i]), seed_of[i], sampling) for i in fitting]
        results = self.engine.generate(requests, drawing, use_tqdm=False) if requests else []
        for i, result in zip(fitting, results, strict=True):
            outputs[i] = self._with_end(result.outputs[0])
        return outputs

    def _sampling_params(self, input_length: int, seed: int, sampling: Sampling) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=min(sampling.max_new_tokens, self.context_length - input_length),
            seed=seed,
            stop_token_ids=sorted(end_ids(self.tokenizer)),
            detokenize=False,
        )

    def _with_end(self, output: Any) -> list[int]:
        """Return the ids, closed by the end token if the model ended its turn."""
        ids = list(output.token_ids)
        ended = output.finish_reason == "stop" and not end_ids(self.tokenizer) & {*ids[-1:]}
        return [*ids, self.tokenizer.eos_token_id] if ended else ids


def _seeds(sampling: Sampling) -> Random:
    return Random(str(sampling.seed))  # of a number its sign would be ignored


def _engine(checkpoint: str | Path, compute: ComputeConfig, revision: str | None) -> Any:
    on_cpu = device_of(compute) == "cpu"
    if on_cpu:
        torch.set_num_threads(compute.threads)  # vLLM forbids it once the engine has started
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", _CPU_CACHE_GIB)
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    if importlib.util.find_spec("vllm") is None:
        hint = "install the vllm extra, or set it to transformers"
        raise ModelError("vLLM is not installed", field="compute.backend", value="vllm", hint=hint)
    from vllm import LLM

    options: dict[str, Any] = _ON_CPU if on_cpu else {"gpu_memory_utilization": compute.vllm_memory_share}
    try:
        with _hidden(_UNREADABLE):
            return LLM(
                model=str(checkpoint),
                revision=revision,
                dtype=compute.dtype,
                trust_remote_code=False,
                load_format="safetensors",
                logprobs_mode="processed_logprobs",  # of the distribution that a token is drawn from
                **options,
            )
    except (OSError, ValueError, RuntimeError) as error:
        hint = "give a folder with config.json, tokenizer and safetensors, or a hub id; free memory if it ran out"
        raise ModelError(f"cannot be loaded by vLLM: {first_line(error, 300)}", file=checkpoint, hint=hint) from error


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Keep a module that is already imported, such as by bm25s or by an engine before this one, out of `sys.modules`."""
    module = sys.modules.pop(name, None)
    try:
        yield
    finally:
        if module is not None:
            sys.modules[name] = module
