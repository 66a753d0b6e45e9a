"""Bytes on one GPU, part by part: training by each strategy, vLLM, and generation by transformers.

N processes, P parameters, T of them trained. Trained weights are float32 (4 bytes) and computed with in bfloat16 (2 bytes);
AdamW keeps two float32 values of each. Logits are never whole: TRL computes log-probabilities in chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import ParallelConfig
from ascl_core.sizing.devices import Device
from ascl_core.sizing.shape import Shape

RESERVE = 0.08
"""Share of a GPU that is left for the CUDA context, NCCL's buffers and fragmentation."""
_MASTER, _ADAM = 4, 8
BYTES = {"bfloat16": 2, "float32": 4}
"""Bytes of one value, by `compute.dtype`."""


@dataclass(frozen=True)
class Memory:
    """The memory of one GPU, in bytes by part."""

    parts: dict[str, float]

    @property
    def total(self) -> float:
        """Bytes."""
        return sum(self.parts.values())

    def fits(self, device: Device) -> bool:
        """Return whether it leaves the reserve."""
        return self.total <= device.memory * (1 - RESERVE)

    def __or__(self, other: dict[str, float]) -> Memory:
        return Memory({**self.parts, **{name: size for name, size in other.items() if size}})


def trained(shape: Shape, lora: LoraConfig | None) -> int:
    """Return T: all parameters, or those of the low-rank matrices."""
    return shape.parameters if lora is None else shape.lora(lora.rank, lora.target_modules)


def training(
    shape: Shape, lora: LoraConfig | None, parallel: ParallelConfig, compute: ComputeConfig, *, rows: int, length: int, on_gpu: bool = True
) -> Memory:
    """Return the memory of training with micro-batches of `rows` conversations of `length` tokens.

    One process or DDP holds everything; FSDP2 and ZeRO-3 hold 1/N, and the two blocks that are gathered at a time with the
    embedding and the head.
    """
    adapted = trained(shape, lora)
    added = adapted if lora else 0
    width = BYTES[compute.dtype]
    shards = parallel.processes if parallel.shards else 1
    frozen = width if lora and not parallel.shards else _MASTER
    weights = (shape.parameters * frozen + added * _MASTER) / shards
    gathered: float = 0
    if parallel.shards:
        gathered = width * (2 * shape.block + shape.embedding * (1 if shape.tied else 2))
    elif width < _MASTER:
        gathered = width * adapted  # autocast keeps a bfloat16 copy of float32 weights through the pass
    buckets = adapted * _MASTER if parallel.processes > 1 and not parallel.shards else 0  # what DDP averages
    stream = _MASTER if lora is None and not parallel.shards else width  # an embedding in float32 begins it
    checkpointing = parallel.gradient_checkpointing and on_gpu
    return Memory(
        {
            "weights": weights,
            "working copies": gathered,
            "gradients": adapted * _MASTER / shards + buckets,
            "optimizer": adapted * _ADAM / shards,
            "activations": rows * length * activations_per_token(shape, width, stream, checkpointing=checkpointing),
        }
    )


def activations_per_token(shape: Shape, width: int, stream: int, *, checkpointing: bool) -> int:
    """Return bytes that the backward pass needs of one token; `stream` bytes a value of the residual stream, `width` of all others.

    A block keeps its two inputs and their norms (4 H), queries, keys and values before and after norm and rotation and what attention
    gives (4 of each head), and gate, up, activation and product of the MLP (4 of its width). With checkpointing: the input of each block
    (H), and one whole block, while it is computed again.
    """
    heads = 4 * (shape.heads + shape.kv_heads) * shape.head_dim
    block = stream * 4 * shape.hidden + width * (heads + 4 * shape.mlp)
    return shape.layers * stream * shape.hidden + block if checkpointing else shape.layers * block


def engine(shape: Shape, compute: ComputeConfig, device: Device, share: float) -> Memory:
    """Return the memory of a vLLM engine: weights, and a cache in the rest of its share, which is negative where weights exceed it."""
    weights = shape.parameters * BYTES[compute.dtype]
    return Memory({"vLLM weights": weights, "vLLM cache": device.memory * share - weights})


def sampling(shape: Shape, compute: ComputeConfig, *, rows: int, length: int) -> Memory:
    """Return the memory of generation by transformers: weights, and the cache of `rows` conversations of `length` tokens."""
    width = BYTES[compute.dtype]
    return Memory({"weights": shape.parameters * width, "cache": rows * length * shape.cache_per_token(width)})
