"""Serving with vLLM: its engine is stepped here, so that requests can join and leave after any token."""

from __future__ import annotations

import secrets
from itertools import count
from pathlib import Path
from typing import Any

from ascl_core.config.compute import ComputeConfig
from ascl_core.generation.vllm import VllmGenerator
from ascl_core.serving.engine import Waiting, model_failure
from ascl_core.serving.exchange import Exchange


class VllmBackend:
    """See `Backend`."""

    def __init__(self, checkpoint: str | Path, compute: ComputeConfig, batch_size: int) -> None:
        generator = VllmGenerator(checkpoint, compute)
        self.tokenizer = generator.tokenizer
        self.context_length = generator.context_length
        self.batch_size = batch_size
        self._engine: Any = generator.engine.llm_engine
        self._running: dict[str, Exchange] = {}
        self._number = count()

    def serve(self, waiting: Waiting) -> None:
        """See `Backend`."""
        try:
            while self._admit(waiting):
                self._abort_cancelled()
                if self._running:
                    self._step()
        except Exception as error:  # the engine is dead: no exchange may wait for it
            for one in self._running.values():
                one.fail(model_failure(error))
            raise

    def _admit(self, waiting: Waiting) -> bool:
        """Take waiting exchanges as far as there is room; return whether there is anything to do."""
        new = waiting.take(self.batch_size - len(self._running), wait=not self._running)
        for one in new:
            if one.starts():
                self._add(one)
        return bool(new or self._running)

    def _add(self, one: Exchange) -> None:
        """Request the next turn; the conversation before it is in vLLM's prefix cache."""
        name = f"turn-{next(self._number)}"
        try:
            self._engine.add_request(name, {"prompt_token_ids": one.conversation.input_ids}, self._params(one))
        except (ValueError, RuntimeError) as error:
            one.fail(model_failure(error))
        else:
            self._running[name] = one

    def _params(self, one: Exchange) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        seed = secrets.randbits(63) if one.drawing.seed is None else (one.drawing.seed + len(one.conversation.turns)) % 2**63
        return SamplingParams(
            temperature=one.drawing.temperature,
            max_tokens=one.speaker.most,
            seed=seed,
            stop_token_ids=[self.tokenizer.eos_token_id],
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )

    def _step(self) -> None:
        for output in self._engine.step():
            one = self._running.get(output.request_id)
            if one is not None:
                self._take(output, one)

    def _take(self, output: Any, one: Exchange) -> None:
        made, end = output.outputs[0], self.tokenizer.eos_token_id
        tokens = [*made.token_ids]
        if output.finished and made.finish_reason == "stop" and tokens[-1:] != [end]:
            tokens.append(end)
        following: list[int] | None = []
        for token in tokens:
            following = one.take(token)
            if following is None or following:
                break
        if output.finished or following is None:
            del self._running[output.request_id]
        if one.is_cancelled:
            return
        if following or (one.wants_another and one.starts()):
            self._add(one)

    def _abort_cancelled(self) -> None:
        if gone := [name for name, one in self._running.items() if one.is_cancelled]:
            self._engine.abort_request(gone)
            for name in gone:
                del self._running[name]
