"""Long work in batches: each finished batch is kept in a file, so that a killed run continues after the last of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ascl_core.artifacts import read_json, sha256_json, write_json
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.chat import ChatConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.contracts import Message, StageContext
from ascl_core.generation import Sampling
from ascl_core.generation.chat_model import ChatModel, make_chat

T = TypeVar("T")
_SEED_BYTES = 4


@dataclass(frozen=True)
class Batches:
    """A folder of finished batches."""

    folder: Path
    size: int
    """Items of one batch."""

    def run(self, items: Sequence[T], work: Callable[[Sequence[T]], list[Any]], *, key: Callable[[T], Any], inputs: Any) -> Iterator[Any]:
        """Yield the result of every item, in order; `work` is called only for batches that are not in the folder.

        Results, keys and inputs are JSON values. A batch is found again by its keys and by `inputs`, which is everything else that
        its results follow from: the model, the sampling, the instructions.
        """
        digest = sha256_json(inputs)
        for start in range(0, len(items), self.size):
            batch = items[start : start + self.size]
            file = self.folder / f"{sha256_json([digest, [key(item) for item in batch]])}.json"
            if not file.exists():
                write_json(file, work(batch))
            yield from read_json(file)


class Assistant:
    """A chat model beside the teacher, asked in batches that are kept."""

    def __init__(self, name: str, chat: ChatConfig, config: BuildSftConfig, compute: ComputeConfig, context: StageContext) -> None:
        """Take its name with a version, such as `labeller@1`; the batches are kept in a folder of that name without the version."""
        self.seed = config.seed
        self.sampling = Sampling(chat.temperature, chat.max_new_tokens)
        self.model: ChatModel = make_chat(chat, compute)
        self.name = f"{name}:{self.model.name}"
        self.batches = Batches(context.state / name.partition("@")[0], config.batch_size)

    def replies(
        self,
        items: Sequence[T],
        conversation: Callable[[T], list[Message]],
        *,
        key: Callable[[T], Any],
        seed: Callable[[T], Sequence[Any]],
        inputs: Sequence[Any],
    ) -> Iterator[str]:
        """Yield the reply to the conversation about each item; `seed` gives what its sampling seed follows from, `inputs` see `Batches`."""

        def ask(batch: Sequence[T]) -> list[str]:
            seeds = [seed_of(self.seed, *seed(item)) for item in batch]
            replies = self.model.replies([conversation(item) for item in batch], sampling=self.sampling, seeds=seeds)
            return [str(reply["content"]) for reply in replies]

        return self.batches.run(
            items, ask, key=key, inputs=[self.name, *inputs, self.sampling.temperature, self.sampling.max_new_tokens, self.seed]
        )


def seed_of(*parts: Any) -> int:
    """Return a sampling seed below 2^31 that follows from the parts alone, such as a configured seed and the id of a prompt.

    >>> seed_of(0, "a") == seed_of(0, "a") != seed_of(0, "b")
    True
    """
    return int.from_bytes(hashlib.sha256(sha256_json(list(parts)).encode()).digest()[:_SEED_BYTES]) >> 1
