"""Serving with vLLM: its engine is stepped here, so that requests can join and leave after any token."""

from __future__ import annotations

import math
import secrets
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

from ascl_core.config.compute import ComputeConfig
from ascl_core.conversation.formats import end_ids
from ascl_core.generation.vllm import VllmGenerator
from ascl_core.serving.engine import Waiting, model_failure
from ascl_core.serving.exchange import Exchange, Ranked


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
        from vllm.inputs import tokens_input

        name = f"turn-{next(self._number)}"
        try:
            # Tokens alone would be taken for a raw prompt, which vLLM renders again and warns about.
            self._engine.add_request(name, tokens_input(one.conversation.input_ids), self._params(one))
        except (ValueError, RuntimeError) as error:
            one.fail(model_failure(error))
        else:
            self._running[name] = one

    def _params(self, one: Exchange) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        seed = one.drawing.seed_of(len(one.conversation.turns))
        return SamplingParams(
            temperature=one.drawing.temperature,
            top_p=one.drawing.top_p,
            logprobs=one.drawing.num_top if one.drawing.with_scores else None,
            max_tokens=one.speaker.most,
            seed=secrets.randbits(63) if seed is None else seed,
            stop_token_ids=sorted(end_ids(self.tokenizer)),
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )

    def _step(self) -> None:
        for output in self._engine.step():
            one = self._running.get(output.request_id)
            if one is not None:
                self._take(output, one)

    def _take(self, output: Any, one: Exchange) -> None:
        made = output.outputs[0]
        tokens = [*made.token_ids]
        if output.finished and made.finish_reason == "stop" and not end_ids(self.tokenizer) & {*tokens[-1:]}:
            tokens.append(self.tokenizer.eos_token_id)
        following: list[int] | None = []
        for token, step in zip_longest(tokens, made.logprobs or ()):
            following = one.take(int(token), *_scores(step, token, one.drawing.num_top))
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


def _scores(step: Any, token: int, most: int) -> tuple[float, Ranked]:
    """Return a token's log-probability and the most probable tokens, of one of vLLM's steps; 0 and none without a step.

    A step also has the drawn token, whatever its rank.
    """
    if step is None:
        return 0.0, ()
    ordered = sorted(step.items(), key=lambda item: item[1].rank)
    return step[token].logprob, [(other, one.logprob) for other, one in ordered[:most] if one.logprob > -math.inf]
