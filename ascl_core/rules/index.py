"""The index of a corpus as an artifact: embeddings that are computed once, and a manifest with their origin and a digest.

Evaluation and serving use the same index: both open the folder that `index_rules` wrote, and refuse one that belongs to another corpus
or to another `retrieval` section.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ascl_core.artifacts import atomic_path, read_json, sha256_json, write_json
from ascl_core.config.base import Config, parse
from ascl_core.config.retrieval import RetrievalConfig
from ascl_core.contracts import StageContext
from ascl_core.errors import RuleError
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.embedding import Embedder, RuleVectors, embed_rules
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.rules.sentence_embedder import SentenceEmbedder

MANIFEST, VECTORS = "manifest.json", "vectors.safetensors"
_REBUILD = "index the rules again: ascl run"


class IndexManifest(Config):
    """The origin of an index: its corpus, its model and its vectors."""

    format: Literal["ascl.rule-index/1"] = "ascl.rule-index/1"
    corpus: str
    """The digest of the corpus."""
    retrieval: dict[str, Any]
    """The settings that decide what is found."""
    model: str | None = None
    """The identity of the embedding model; None without one."""
    vectors: str | None = None
    """SHA-256 over the vectors; None without any."""

    @cached_property
    def digest(self) -> str:
        """The identity of the index."""
        return sha256_json(self.model_dump(mode="json"))

    def to_json(self) -> dict[str, Any]:
        """Return the content of `manifest.json`."""
        return {**self.model_dump(mode="json"), "digest": self.digest}


@dataclass(frozen=True)
class CorpusIndex:
    """A corpus that can be searched, and the identity of its index."""

    rules: RuleIndex
    manifest: IndexManifest

    @property
    def digest(self) -> str:
        """The identity of the index."""
        return self.manifest.digest


class Indexer:
    """Makes indexes as one `retrieval` section says; the embedding model is loaded once, and only if it is needed.

    Args:
        config: What ranks the rules.
        embedder: Embeds texts; the configured model if not given.
    """

    def __init__(self, config: RetrievalConfig, embedder: Embedder | None = None) -> None:
        self.config = config
        self._embedder = embedder

    def index(self, corpus: Corpus, at: date, folder: Path | None = None) -> CorpusIndex:
        """Return the index of the corpus on that day, from the folder; without a folder, compute it in memory.

        `RuleError` if the index in the folder is damaged, or belongs to another corpus, model or `retrieval` section.
        """
        vectors = self._embed(corpus) if folder is None else self._load(corpus, folder)
        manifest = self._manifest(corpus, vectors)
        if folder is not None:
            _check_belongs(manifest, folder)
        return CorpusIndex(RuleIndex(corpus, at, vectors), manifest)

    def write(self, corpus: Corpus, folder: Path) -> IndexManifest:
        """Write the index of the corpus to the folder: the vectors, if there are any, then the manifest."""
        from safetensors.numpy import save_file

        vectors = self._embed(corpus)
        manifest = self._manifest(corpus, vectors)
        folder.mkdir(parents=True, exist_ok=True)
        if vectors is not None:
            with atomic_path(folder / VECTORS) as temporary:
                save_file({"vectors": vectors.values}, temporary)
        write_json(folder / MANIFEST, manifest.to_json())
        return manifest

    @cached_property
    def _model(self) -> Embedder:
        return self._embedder or SentenceEmbedder(self.config)

    def _embed(self, corpus: Corpus) -> RuleVectors | None:
        return None if self.config.backend == "bm25" else embed_rules(corpus, self.config, self._model)

    def _load(self, corpus: Corpus, folder: Path) -> RuleVectors | None:
        if self.config.backend == "bm25":
            return None
        ids = tuple(rule.id for rule in corpus.rules)
        return RuleVectors(ids, _read_vectors(folder / VECTORS, corpus), self.config, self._model)

    def _manifest(self, corpus: Corpus, vectors: RuleVectors | None) -> IndexManifest:
        if vectors is None:
            return IndexManifest(corpus=corpus.digest, retrieval={"backend": self.config.backend})
        decisive = self.config.model_dump(mode="json", exclude={"device", "model", "revision"})
        return IndexManifest(corpus=corpus.digest, retrieval=decisive, model=self._model.identity, vectors=vectors.sha256)


def index_rules(*, retrieval: RetrievalConfig, corpus: Path, index: Path, context: StageContext) -> dict[str, float | int | str]:
    """Run the stage `index_rules`: write the index of the compiled rules."""
    loaded_corpus = load_corpus(corpus)
    context.progress.update("index rules", 0, 1)
    manifest = Indexer(retrieval).write(loaded_corpus, index)
    context.progress.update("index rules", 1, 1)
    return {"rules": len(loaded_corpus.rules), "backend": retrieval.backend, "digest": manifest.digest}


def _check_belongs(expected: IndexManifest, folder: Path) -> None:
    path = folder / MANIFEST
    values = read_json(path)
    found = parse(IndexManifest, {key: value for key, value in dict(values).items() if key != "digest"}, file=path)
    if found.digest != values.get("digest"):
        raise RuleError("digest does not match the content", file=path, field="digest", value=values.get("digest"), hint=_REBUILD)
    for field in ("corpus", "retrieval", "model", "vectors"):
        if getattr(found, field) != getattr(expected, field):
            problem = f"the index belongs to another {_WHAT[field]}"
            hint = "set the section retrieval to that of the index, or " + _REBUILD if field in ("retrieval", "model") else _REBUILD
            raise RuleError(problem, file=path, field=field, value=getattr(found, field), hint=hint)


_WHAT = {"corpus": "corpus", "retrieval": "retrieval section", "model": "embedding model", "vectors": "file of vectors"}


def _read_vectors(path: Path, corpus: Corpus) -> np.ndarray:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        values = load_file(path)["vectors"]
    except FileNotFoundError as error:
        raise RuleError("file does not exist", file=path, hint=_REBUILD) from error
    except (SafetensorError, KeyError, OSError, ValueError) as error:
        raise RuleError(f"not a file of vectors: {error}", file=path, hint=_REBUILD) from error
    if values.ndim != 3 or len(values) != len(corpus.rules) or values.dtype != np.float32:
        problem = f"has vectors of shape {values.shape}, and the corpus has {len(corpus.rules)} rules"
        raise RuleError(problem, file=path, hint=_REBUILD)
    return np.asarray(values)
