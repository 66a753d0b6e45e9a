"""Several processes that train together: each takes its share of a step, and the step stays what is configured."""

from __future__ import annotations

import os

from ascl_core.errors import ConfigError


def process_count() -> int:
    """How many processes train together; 1 unless a launcher (torchrun, accelerate) started this one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def micro_batches(rows: int, micro_batch_size: int, *, field: str) -> int:
    """Micro-batches that each process accumulates, so that all processes together take `rows` rows a step.

    Raises `ConfigError`, which names `field`, where the rows do not divide into whole micro-batches for each process.
    """
    together = micro_batch_size * process_count()
    if rows % together:
        raise ConfigError(
            f"{rows} rows a step are not whole micro-batches for each of {process_count()} processes",
            field=field,
            value=micro_batch_size,
            mend=f"make {field} times the number of processes a divisor of {rows}",
        )
    return rows // together
