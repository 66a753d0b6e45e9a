"""Rules found by meaning, and the index as an artifact: what is opened is what was written, for this corpus and these settings alone."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.retrieval import BY_WORDS, RetrievalConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import StageContext
from ascl_core.errors import ModelError, RuleError
from ascl_core.generation.packages import packaged_folder
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.editions import editions_of
from ascl_core.rules.embedding import embed_rules
from ascl_core.rules.index import Indexer, index_rules
from ascl_core.rules.nearest import NearestRules
from ascl_core.rules.ranking import FusedRanker, MeaningRanker, WordRanker
from ascl_core.serving.corpora import ServedCorpora
from tests.builders import make_corpus, make_rule
from tests.pipeline.damage import flip
from tests.served_model import CORPORA
from tests.tiny_embedder import make_embedder

AT = RulesConfig().at
LOCKS = make_rule(id="NVC-01", category="NVC", title="Lock picking", query="lock picking", keywords=["padlock"], examples=[])
PLANTS = make_rule(id="DRG-01", category="DRG", title="Growing plants", query="plant growing", keywords=["seed"], examples=[])
SERVERS = make_rule(id="CYB-03")
CORPUS = make_corpus(LOCKS, PLANTS, SERVERS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedding model that knows the words of the rules."""
    texts = [f"{rule.title} {rule.text} {rule.query} {' '.join(rule.keywords)}" for rule in CORPUS.rules]
    return make_embedder(tmp_path_factory.mktemp("models") / "embedder", [*texts, "How do I kill a Python process?"])


def settings(model: Path, **changes: object) -> RetrievalConfig:
    """A dense section with that model."""
    return RetrievalConfig.model_validate({"backend": "dense", "model": str(model), "parts": ["query"], **changes})


def found(indexer: Indexer, query: str, corpus: Corpus = CORPUS, folder: Path | None = None, **changes: object) -> list[tuple[str, float]]:
    """Ids and similarities."""
    asked = {"category": None, "jurisdiction": "XA", "limit": 9, **changes}
    return [(match.rule.id, match.similarity) for match in indexer.index(corpus, AT, folder).rules.match(query=query, **asked)]


class Axes:
    """Embeds each known text as an axis, and others as the mean of the axes that they name."""

    identity = "axes"

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def documents(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self.query(text) for text in texts])

    def query(self, text: str) -> np.ndarray:
        vector = np.array([float(known in text) for known in self.texts], dtype=np.float32)
        return vector / max(float(np.linalg.norm(vector)), 1e-9)


@pytest.mark.parametrize("backend", ["dense", "hybrid"])
def test_a_rule_is_found_by_what_a_real_model_says_its_query_means(model: Path, backend: str) -> None:
    indexer = Indexer(settings(model, backend=backend))
    for rule in CORPUS.rules:
        first, *others = found(indexer, rule.query)
        assert first == (rule.id, pytest.approx(1.0, abs=1e-4))
        assert all(0 <= similarity < 1 for _, similarity in others)


@pytest.mark.parametrize("backend", ["bm25", "dense", "hybrid"])
def test_whatever_ranks_the_rules_day_jurisdiction_category_ties_and_moved_topics_count(model: Path, backend: str) -> None:
    here = make_rule(id="CYB-01", jurisdictions=["XB"])
    late = make_rule(id="CYB-02", effective_from=date(2027, 1, 1))
    high, low = make_rule(id="CYB-04", precedence=20), make_rule(id="CYB-03")
    indexer = Indexer(settings(model, backend=backend) if backend != "bm25" else BY_WORDS)
    corpus = make_corpus(here, late, low, high, LOCKS)
    assert [name for name, _ in found(indexer, "system administration", corpus)][:2] == ["CYB-04", "CYB-03"]
    assert "NVC-01" not in dict(found(indexer, "system administration", corpus, category="CYB"))
    assert found(indexer, "lock picking", corpus, category="CYB") == [("NVC-01", 1.0)]


def test_the_canonical_query_of_a_rule_finds_it_first_whatever_its_vectors_say() -> None:
    rules = [
        make_rule(id="CYB-01", title="alpha", query="alpha", examples=[]),
        make_rule(id="CYB-02", title="beta", query="alpha gamma", examples=[]),
    ]
    indexer = Indexer(RetrievalConfig(backend="dense", model="axes", parts=("title",)), Axes("alpha", "beta"))
    for category in (None, "CYB"):
        for limit in (1, 2):
            names = [name for name, _ in found(indexer, "alpha gamma", make_corpus(*rules), category=category, limit=limit)]
            assert names == ["CYB-02", "CYB-01"][:limit]


def test_the_mean_of_a_rules_parts_or_the_best_of_them_counts() -> None:
    rule = make_rule(title="alpha", query="beta", text="alpha and gamma, said at length", examples=[])
    embedder = Axes("alpha", "beta", "gamma")
    config = RetrievalConfig(backend="dense", model="axes", parts=("title", "query"), combine="best")
    assert embed_rules(make_corpus(rule), config, embedder).values.tolist() == [[[1, 0, 0], [0, 1, 0]]]
    assert found(Indexer(config, embedder), "beta", make_corpus(rule)) == [(rule.id, 1.0)]
    mean = config.model_copy(update={"combine": "mean"})
    # the mean of two axes, as a unit vector, has a cosine of 1 / √2 to each of them
    assert found(Indexer(mean, embedder), "alpha only", make_corpus(rule)) == [(rule.id, pytest.approx(0.5**0.5))]
    assert found(Indexer(mean, embedder), "delta", make_corpus(rule)) == []


def test_fusion_adds_the_reciprocal_ranks_of_both_rankings() -> None:
    rules = [
        make_rule(id=f"CYB-0{n}", title=word, query=word, text=f"{word} {'filler ' * 5}", keywords=[], examples=[])
        for n, word in enumerate(("alpha", "beta", "gamma"), start=1)
    ]
    config = RetrievalConfig(backend="hybrid", model="axes", parts=("query",), rank_constant=1, word_weight=0.5)
    embedder = Axes("alpha", "beta", "gamma")
    ranker = FusedRanker(WordRanker(rules), MeaningRanker(embed_rules(make_corpus(*rules), config, embedder).of(rules), embedder), config)
    # words: alpha, beta tie in this order: .5 / 2, .5 / 3; meaning: alpha, beta tie in this order: 1 / 2, 1 / 3
    assert ranker.rank("alpha beta", 3) == [(0, pytest.approx(0.5**0.5)), (1, pytest.approx(0.5**0.5))]
    assert ranker.rank("zebra", 3) == []


def test_the_shortlist_of_many_vectors_has_the_nearest_in_it() -> None:
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((400, 96)).astype(np.float32)
    vectors = np.repeat(centres, 15, axis=0) + 0.3 * draw.standard_normal((6000, 96)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = centres[:100] + 0.3 * draw.standard_normal((100, 96)).astype(np.float32)
    for shape in ((6000, 1, 96), (3000, 2, 96)):
        by_rule = vectors.reshape(shape)
        nearest, hits = NearestRules(by_rule), 0
        for query in queries / np.linalg.norm(queries, axis=1, keepdims=True):
            exact = (by_rule @ query).max(axis=1)
            positions, cosines = nearest.near(query, 3)
            assert cosines == pytest.approx(exact[positions], abs=1e-5)
            hits += len(set(np.argsort(-exact)[:3]) & set(positions[np.argsort(-cosines)[:3]]))
        assert hits >= 297, "of 300"


def test_the_index_that_was_written_is_the_one_that_is_opened(model: Path, tmp_path: Path) -> None:
    config = settings(model, parts=("whole", "keywords", "examples"))
    written = Indexer(config).write(CORPUS, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "vectors.safetensors"]
    opened = Indexer(config).index(CORPUS, AT, tmp_path)
    assert opened.digest == written.digest == Indexer(config).index(CORPUS, AT).digest
    assert found(Indexer(config), "kill a process", folder=tmp_path) == found(Indexer(config), "kill a process")


def test_an_index_of_anything_else_is_refused(model: Path, tmp_path: Path) -> None:
    config = settings(model)
    Indexer(config).write(CORPUS, tmp_path)
    other = make_corpus(LOCKS, PLANTS, make_rule(id="CYB-03", precedence=11))
    with pytest.raises(RuleError, match="the index belongs to another corpus"):
        Indexer(config).index(other, AT, tmp_path)
    with pytest.raises(RuleError, match="another retrieval section"):
        Indexer(settings(model, combine="best")).index(CORPUS, AT, tmp_path)
    with pytest.raises(RuleError, match="another retrieval section"):
        Indexer(BY_WORDS).index(CORPUS, AT, tmp_path)
    changed = make_embedder(tmp_path / "changed", [LOCKS.query], seed=1)
    with pytest.raises(RuleError, match="another embedding model"):
        Indexer(settings(changed)).index(CORPUS, AT, tmp_path)
    vectors = tmp_path / "vectors.safetensors"
    flip(vectors)
    with pytest.raises(RuleError, match="another file of vectors"):
        Indexer(config).index(CORPUS, AT, tmp_path)
    vectors.write_bytes(b"no tensors")
    with pytest.raises(RuleError, match="not a file of vectors"):
        Indexer(config).index(CORPUS, AT, tmp_path)


def test_an_index_by_words_has_a_digest_and_no_vectors(tmp_path: Path) -> None:
    write_json(tmp_path / "corpus.json", CORPUS.to_json())
    context = StageContext(state=tmp_path / "state")
    figures = index_rules(retrieval=BY_WORDS, corpus=tmp_path / "corpus.json", index=tmp_path / "index", context=context)
    assert [path.name for path in (tmp_path / "index").iterdir()] == ["manifest.json"]
    manifest = read_json(tmp_path / "index" / "manifest.json")
    assert (manifest["corpus"], manifest["digest"], figures["rules"]) == (CORPUS.digest, figures["digest"], 3)
    write_json(tmp_path / "index" / "manifest.json", {**manifest, "corpus": "0" * 64})
    with pytest.raises(RuleError, match="digest does not match the content"):
        Indexer(BY_WORDS).index(CORPUS, AT, tmp_path / "index")


def test_changed_editions_of_the_rules_are_indexed_by_the_same_model(model: Path) -> None:
    index = Indexer(settings(model)).index(CORPUS, AT).rules
    editions = editions_of(CORPUS, index, ConversationConfig(), changed=True)
    assert len(editions) > 1
    for edition in editions:
        assert edition.tool("XA")("lock picking").startswith("[NVC-01]")


def test_a_server_looks_up_in_the_index_of_its_corpus_and_indexes_what_is_swapped_in(model: Path, tmp_path: Path) -> None:
    config = settings(model)
    given, other = CORPORA["allowed"], CORPORA["forbidden"]
    Indexer(config).write(given, tmp_path / "index")
    corpora = ServedCorpora(given, RulesConfig(), "XA", tmp_path / "memory.json", indexer=Indexer(config), index=tmp_path / "index")
    assert corpora.current.to_json()["index"] == read_json(tmp_path / "index" / "manifest.json")["digest"]
    neighbour = ServedCorpora(given, RulesConfig(), "XA", tmp_path / "memory.json", indexer=Indexer(config), index=tmp_path / "index")
    corpora.swap(other.to_json(), given.digest)
    for server in (corpora, neighbour):
        assert server.current.digest == other.digest
        assert server.current.index.digest == Indexer(config).index(other, AT).digest
    (tmp_path / "memory.json").write_text("{}")
    assert neighbour.current.digest == other.digest, "a damaged memory changes nothing"
    with pytest.raises(RuleError, match="the index belongs to another corpus"):
        ServedCorpora(other, RulesConfig(), "XA", None, indexer=Indexer(config), index=tmp_path / "index")


def test_a_model_inside_a_package_is_unpacked_once(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "carries_an_embedder"
    package.mkdir(parents=True)
    with zipfile.ZipFile(package / "model.zip", "w") as archive:
        for file in sorted(path for path in model.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(model))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = packaged_folder("package:carries_an_embedder")
    assert packaged_folder("package:carries_an_embedder") == folder
    indexer = Indexer(settings(Path("package:carries_an_embedder")))
    assert found(indexer, "lock picking") == found(Indexer(settings(model)), "lock picking")
    for name, problem in (("package:is_not_there", "no such package is installed"), ("package:tests", "carries no zip archive")):
        with pytest.raises(ModelError, match=problem):
            packaged_folder(name)


def test_a_model_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the embedding model cannot be loaded: no such folder[\s\S]*retrieval\.model"):
        Indexer(settings(tmp_path / "nowhere")).index(CORPUS, AT)
    with pytest.raises(ValueError, match="backend dense needs a model"):
        RetrievalConfig(backend="dense")
