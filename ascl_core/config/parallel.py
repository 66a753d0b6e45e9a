"""Parameters of training with several processes; a separate section, so that they make no data stale."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ascl_core.config.base import Config

Strategy = Literal["ddp", "fsdp2", "zero3"]


class ParallelConfig(Config):
    """How many processes train one model, one per GPU, and what each of them holds; docs/gpu.md."""

    processes: int = Field(default=1, ge=1, le=64)
    """Training processes on this machine, one per GPU; on a CPU they share its cores, with `ddp` only."""
    strategy: Strategy = "ddp"
    """The file under `profiles/accelerate/` for more than one process: `ddp` copies the model, `fsdp2` and `zero3` shard it."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass instead of keeping them; on a GPU only."""

    @property
    def shards(self) -> bool:
        """Whether each process holds only a part of the weights."""
        return self.processes > 1 and self.strategy != "ddp"


ONE_PROCESS = ParallelConfig()
"""Training without a launcher."""


def split_batch(batch: int, micro_batch: int, processes: int) -> tuple[int, int]:
    """Return the rows of one forward pass of a process, and the number of passes for its share of the batch.

    A micro-batch is never larger than that share. `ValueError` if the batch does not divide evenly.

    >>> split_batch(64, 16, 2), split_batch(64, 64, 2)
    ((16, 2), (32, 1))
    """
    share, left = divmod(batch, processes)
    micro_batch = min(micro_batch, share)
    if left or share % micro_batch:
        raise ValueError(f"a batch of {batch} must be a multiple of micro_batch_size x parallel.processes ({micro_batch} x {processes})")
    return micro_batch, share // micro_batch
