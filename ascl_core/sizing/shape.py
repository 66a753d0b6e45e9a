"""The shape of a decoder, and how many parameters it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, read_yaml
from ascl_core.config.base_model import BaseModelConfig
from ascl_core.errors import ModelError

_QWEN3, _QWEN2 = "qwen3", "qwen2"
_KNOWN_TYPES = (_QWEN3, _QWEN2, "llama", "mistral")
_TABLE = Path(__file__).with_name("shapes.yaml")


@dataclass(frozen=True)
class Shape:
    """A dense decoder with grouped-query attention and a gated MLP; all sizes are numbers of values."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    """Width of the MLP."""
    tied: bool
    """Whether the head is the embedding."""
    context: int
    """The most tokens of one conversation."""
    query_norms: bool = False
    """Whether queries and keys are normalised (Qwen3)."""
    biases: bool = False
    """Whether queries, keys and values have biases (Qwen2)."""

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of the linear layers of one block: query, key, value, output, gate, up, down."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = ((self.hidden, queries), (self.hidden, keys), (self.hidden, keys), (queries, self.hidden))
        return (*attention, (self.hidden, self.mlp), (self.hidden, self.mlp), (self.mlp, self.hidden))

    @property
    def block(self) -> int:
        """Parameters of one block."""
        biases = (self.heads + 2 * self.kv_heads) * self.head_dim * self.biases
        return sum(a * b for a, b in self.linears) + 2 * self.hidden + 2 * self.head_dim * self.query_norms + biases

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, or of an untied head."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters.

        >>> known_shape("Qwen/Qwen3-8B").parameters
        8190735360
        """
        return self.layers * self.block + self.hidden + self.embedding * (1 if self.tied else 2)

    @property
    def multiplied(self) -> int:
        """Parameters that a token is multiplied with: all but an embedding that is only looked up; a tied one is the head."""
        return self.layers * self.block + self.hidden + self.embedding

    def lora(self, rank: int, target_modules: tuple[str, ...] = ()) -> int:
        """Return parameters of low-rank matrices beside the linear layers of every block, or beside those with these names."""
        named = zip(("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), self.linears, strict=True)
        return self.layers * sum(rank * (a + b) for name, (a, b) in named if not target_modules or name in target_modules)

    def cache_per_token(self, bytes_per_value: int = 2) -> int:
        """Return bytes of keys and values of one token in every block.

        >>> known_shape("Qwen/Qwen3-8B").cache_per_token()
        147456
        """
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_value


def shape_from_config(config: Mapping[str, Any], file: object = None) -> Shape:
    """Return the shape that a `config.json` describes; `ModelError` for a kind of model that is not known here."""
    kind = config.get("model_type")
    if kind not in _KNOWN_TYPES:
        raise ModelError(
            "its memory cannot be estimated", file=file, field="model_type", value=kind, hint=f"known: {', '.join(_KNOWN_TYPES)}"
        )
    try:
        heads = int(config["num_attention_heads"])
        return Shape(
            vocabulary=int(config["vocab_size"]),
            hidden=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or config["hidden_size"] // heads),
            mlp=int(config["intermediate_size"]),
            tied=bool(config.get("tie_word_embeddings", False)),
            context=int(config["max_position_embeddings"]),
            query_norms=kind == _QWEN3,
            biases=kind == _QWEN2,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"its shape cannot be read: {error}", file=file, hint="give the config.json of the model") from error


def scratch_shape(base: BaseModelConfig) -> Shape:
    """Return the shape of the model from scratch, if its vocabulary is full."""
    size = base.scratch
    return Shape(
        vocabulary=size.vocab_size,
        hidden=size.hidden_size,
        layers=size.num_layers,
        heads=size.num_heads,
        kv_heads=size.num_kv_heads,
        head_dim=size.head_dim,
        mlp=size.intermediate_size,
        tied=True,
        context=size.max_position,
        query_norms=True,
    )


def known_shape(name: str) -> Shape:
    """Return the shape of a model by its hub id; `ModelError` says how to add an unknown one."""
    table = _table()
    if name not in table:
        hint = f"download it, and give the folder with its config.json; known by name: {', '.join(table)}"
        raise ModelError("its shape is not known", field="model", value=name, hint=hint)
    return table[name]


def find_shape(name: str) -> Shape:
    """Return the shape of a local model by its `config.json`, or else of a known one by its name."""
    file = Path(name).expanduser() / "config.json"
    return shape_from_config(read_json(file), file) if file.is_file() else known_shape(name)


@cache
def _table() -> dict[str, Shape]:
    return {name: shape_from_config(config, _TABLE) for name, config in read_yaml(_TABLE).items()}
