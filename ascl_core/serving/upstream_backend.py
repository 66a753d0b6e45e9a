"""Serving with vLLM's own server: each turn is a stream of token ids from there, so that requests can join and leave at any token."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import openai

from ascl_core.conversation.formats import end_ids
from ascl_core.errors import ModelError
from ascl_core.serving.engine import Waiting, model_failure
from ascl_core.serving.exchange import Exchange, Ranked
from ascl_core.serving.upstream import Upstream

_PROVEN_S = 60.0
"""How long a proof counts: the server may be restarted with another checkpoint."""
_POLL_S = 0.1
"""How often streams are looked through for those whose client has gone."""
_LEAST = -9999.0
"""The log-probability that vLLM gives to tokens without a probability."""
_NEUTRAL = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""What else changes what is drawn, and what vLLM would take from the checkpoint's `generation_config.json`."""


class UpstreamBackend:
    """See `Backend`."""

    def __init__(self, upstream: Upstream, batch_size: int) -> None:
        self.tokenizer = upstream.tokenizer
        self.context_length = upstream.context_length
        self.batch_size = batch_size
        self._upstream = upstream
        self._ends = sorted(end_ids(self.tokenizer))
        self._proof: asyncio.Task[float] | None = None
        """The last proof, and the time when it ended."""

    @property
    def has_log_probs(self) -> bool:
        """See `Backend`; it may be started again with another setting."""
        return self._upstream.has_log_probs

    def serve(self, waiting: Waiting) -> None:
        """See `Backend`."""
        asyncio.run(self._serve(waiting))

    async def _serve(self, waiting: Waiting) -> None:
        running: dict[asyncio.Task[None], Exchange] = {}
        free = asyncio.Semaphore(self.batch_size)

        def ended(task: asyncio.Task[None]) -> None:
            del running[task]
            free.release()

        async def end_cancelled() -> None:
            while True:
                await asyncio.sleep(_POLL_S)
                for task in [task for task, one in running.items() if one.is_cancelled]:
                    task.cancel()

        watcher = asyncio.create_task(end_cancelled())
        while await free.acquire() and (taken := await asyncio.to_thread(waiting.take, 1)):
            task = asyncio.create_task(self._answer(taken[0]))
            running[task] = taken[0]
            task.add_done_callback(ended)
        await asyncio.gather(*running, return_exceptions=True)
        watcher.cancel()
        await self._upstream.streams.close()

    async def _answer(self, one: Exchange) -> None:
        """Sample a conversation to its end, more than once if it wants that."""
        try:
            await self._prove()
            while one.starts():
                while await self._sample_turn(one):
                    pass
                if not one.wants_another:
                    break
        except (openai.OpenAIError, ModelError, json.JSONDecodeError) as error:
            self._proof = None
            one.fail(self._upstream.failure(error))
        except Exception as error:
            one.fail(model_failure(error))

    async def _prove(self) -> None:
        """Wait for a proof that is not too old; exchanges that wait for the same one share its failure."""
        if self._proof is None or (self._proof.done() and time.monotonic() - self._proof.result() > _PROVEN_S):
            self._proof = asyncio.create_task(self._check())
        await asyncio.shield(self._proof)

    async def _check(self) -> float:
        await asyncio.to_thread(self._upstream.check)
        return time.monotonic()

    async def _sample_turn(self, one: Exchange) -> bool:
        """Sample a turn, and return whether another follows; `openai.OpenAIError` if the stream ends too soon."""
        following: list[int] | None = []
        stream: openai.AsyncStream[object] = await self._upstream.streams.post(
            "/completions", body=self._body(one), cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]
        )
        async with stream:
            async for chunk in stream:
                for token, log_prob, top in _tokens(chunk, one.drawing.num_top):
                    following = one.take(token, log_prob, top) if following == [] else following
        if following == []:
            raise openai.OpenAIError("a stream ended before the turn")
        return following is not None

    def _body(self, one: Exchange) -> dict[str, Any]:
        """Return the request for the next turn; the conversation before it is in vLLM's prefix cache."""
        drawing = one.drawing
        seed = drawing.seed_of(len(one.conversation.turns))
        sampling = {"temperature": drawing.temperature, "top_p": drawing.top_p, "seed": secrets.randbits(63) if seed is None else seed}
        ends = {"max_tokens": one.speaker.most, "stop_token_ids": self._ends, "ignore_eos": True}  # no other token ends a turn
        form = {"stream": True, "return_token_ids": True, "return_tokens_as_token_ids": True}
        scores = {"logprobs": drawing.num_top} if drawing.with_scores else {}
        return {"model": self._upstream.model, "prompt": one.conversation.input_ids, **sampling, **_NEUTRAL, **ends, **form, **scores}


def _tokens(chunk: Any, most: int) -> Iterator[tuple[int, float, Ranked]]:
    """Yield the tokens of a chunk, each with its log-probability and the most probable ones; 0 and none without them."""
    try:
        for choice in chunk["choices"]:
            scores = choice.get("logprobs") or {}
            for position, token in enumerate(choice.get("token_ids") or ()):
                if not scores:
                    yield int(token), 0.0, ()
                    continue
                ranked = [(int(other.removeprefix("token_id:")), score) for other, score in scores["top_logprobs"][position].items()]
                ranked = sorted((one for one in ranked if one[1] > _LEAST), key=lambda one: -one[1])[:most]
                yield int(token), scores["token_logprobs"][position], ranked
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise openai.OpenAIError(f"a chunk is none of vLLM's: {type(error).__name__}") from None
