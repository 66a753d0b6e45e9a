"""The embedder of queries and rules: any model that sentence-transformers loads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ascl_core.config.retrieval import RetrievalConfig
from ascl_core.errors import ConfigError, ModelError

_BATCH = 32
_QUERIES = 4096
"""Size of the cache of embedded queries: training repeats the same ones."""


class SentenceEmbedder:
    """A sentence-transformers model; loaded on first use, and safe to use from several threads."""

    def __init__(self, config: RetrievalConfig) -> None:
        self._config = config
        self._one_at_a_time = threading.Lock()  # a fast tokenizer may not be used by two threads at once
        self._embedded = lru_cache(maxsize=_QUERIES)(self._embed_query)

    @cached_property
    def identity(self) -> str:
        """See `Embedder`."""
        from ascl_core.generation.load import identity

        return identity(self._path, self._config.revision)

    def documents(self, texts: Sequence[str]) -> np.ndarray:
        """See `Embedder`."""
        with self._one_at_a_time:
            found = self._model.encode_document(list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)

    def query(self, text: str) -> np.ndarray:
        """See `Embedder`; the last few thousand queries are cached."""
        return self._embedded(text)

    def _embed_query(self, text: str) -> np.ndarray:
        with self._one_at_a_time:
            found = self._model.encode_query(text, prompt=self._config.query_prompt, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)

    @cached_property
    def _path(self) -> str:
        from ascl_core.generation.packages import PREFIX, packaged_folder

        path = str(self._config.model)
        return str(packaged_folder(path)) if path.startswith(PREFIX) else path

    @cached_property
    def _model(self) -> Any:
        from pathlib import Path

        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        from ascl_core.generation.hub import hub_problem

        path, revision = self._path, self._config.revision
        if not Path(path).is_dir() and (problem := hub_problem(path, revision)) is not None:
            raise _cannot_load(path, problem)
        logging.disable_progress_bar()
        try:
            return SentenceTransformer(
                path,
                revision=revision,
                device=self._device,
                trust_remote_code=False,
                truncate_dim=self._config.dimensions,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError, LookupError, TypeError, SafetensorError) as error:
            raise _cannot_load(path, str(error)) from error

    @property
    def _device(self) -> str:
        import torch

        has_gpu = torch.cuda.is_available()
        if self._config.device == "cuda" and not has_gpu:
            raise ConfigError("no GPU is available", field="retrieval.device", value="cuda", hint="set it to auto or cpu")
        return "cuda" if has_gpu and self._config.device != "cpu" else "cpu"


def _cannot_load(path: str, problem: str) -> ModelError:
    first = (problem.strip().splitlines() or ["no reason given"])[0][:300]
    hint = "set retrieval.model to a folder with an embedding model and its safetensors, to a hub id, or to package:NAME"
    return ModelError(f"the embedding model cannot be loaded: {first}", file=path, hint=hint)
