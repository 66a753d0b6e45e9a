"""Measure how long a look-up takes among 66, 1,000 and 10,000 rules: `python benchmarks/retrieval.py`.

The larger corpora recombine the words of the frozen rules of `tests/corpus`, by a seed. For look-ups by day and jurisdiction each rule has
a jurisdiction and a first day; for the others all rules are in force. The target is a p99 under 2 ms among 10,000 rules. `cpu` is the
thread's processor time, by the median of each query's repeats, so other work on the machine does not count.

`dense` and `hybrid` search random unit vectors (`--dimensions`), as the time does not depend on their content. Embedding the query comes
on top; `--model FOLDER` measures it with that model, for new queries.
"""

from __future__ import annotations

import random
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import parser, write

from ascl_core.config.retrieval import RetrievalConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import EVERYWHERE, Corpus, Rule
from ascl_core.rules.embedding import RuleVectors, embed_rules
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.rules.sentence_embedder import SentenceEmbedder

TARGET_MS = 2.0
_FOLDER = Path(__file__).parents[1] / "tests" / "corpus" / "rules"
_LIMIT = 2
_AT = RulesConfig().at


def main() -> None:
    """Measure every kind of look-up at every size, and print the worst p99 at the largest size first."""
    options = parser(__doc__, repeats=5)
    options.add_argument("--sizes", type=int, nargs="+", default=[66, 1_000, 10_000], help="numbers of rules")
    options.add_argument("--queries", type=int, default=400, help="look-ups of each kind in one repeat (default: %(default)s)")
    options.add_argument("--dimensions", type=int, default=384, help="of the vectors (default: %(default)s, as all-MiniLM-L6-v2)")
    options.add_argument("--model", help="measure how long this embedding model takes for a query")
    given = options.parse_args()
    real = check_folder(_FOLDER, RulesConfig()).corpus
    assert real is not None
    rows = [row for size in given.sizes for row in measure(real, size, given)]
    worst = max(row["cpu_p99_ms"] for row in rows if row["rules"] == max(given.sizes))
    ratio = TARGET_MS / worst
    embedding = _embedding_ms(given.model, real, given) if given.model else None
    lines = [
        f"ratio {ratio:.1f}: the target, {TARGET_MS:g} ms, by the worst p99 of processor time at {max(given.sizes):,} rules: {worst:.3f}",
        "",
    ]
    lines += [f"{'rules':>6}  {'look-up':<20} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'cpu p99 ms':>11} {'build ms':>9}"]
    widths = {"p50_ms": "8.3f", "p99_ms": "8.3f", "max_ms": "8.3f", "cpu_p99_ms": "11.3f", "build_ms": "9.1f"}
    lines += [f"{r['rules']:>6}  {r['kind']:<20} " + " ".join(f"{r[name]:>{width}}" for name, width in widths.items()) for r in rows]
    if embedding:
        lines += ["", f"embedding a query with {given.model}: p50 {embedding['p50_ms']:.1f} ms, p99 {embedding['p99_ms']:.1f} ms"]
    write(given.json, {"ratio": ratio, "target_ms": TARGET_MS, "rows": rows, "embedding": embedding}, lines)


def synthesise(corpus: Corpus, size: int, seed: int, limited: bool = False) -> Corpus:
    """Return that many rules of recombined words; `limited` gives each a jurisdiction and a first day."""
    draw = random.Random(seed)
    pool = [word for rule in corpus.rules for word in rule.text.split()]
    phrases = [word for rule in corpus.rules for word in rule.query.split()]
    keywords = [keyword for rule in corpus.rules for keyword in rule.keywords]
    rules = tuple(_variant(number, draw, corpus, (pool, phrases, keywords), limited) for number in range(size))
    return Corpus(taxonomy=corpus.taxonomy, rules=rules)


def _variant(number: int, draw: random.Random, corpus: Corpus, words: tuple[list[str], list[str], list[str]], limited: bool) -> Rule:
    base = draw.choice(corpus.rules)
    pool, phrases, keywords = words
    scopes = draw.choice([(EVERYWHERE,), *((jurisdiction,) for jurisdiction in corpus.jurisdictions)])
    changed = {
        "id": f"{base.category}-{number:05d}",
        "text": " ".join(draw.choices(pool, k=len(base.text.split()))),
        "query": " ".join(draw.choices(phrases, k=3)),
        "keywords": tuple(draw.sample(keywords, len(base.keywords))),
        "jurisdictions": scopes if limited else (EVERYWHERE,),
        "effective_from": date(2026, 1, 1) + timedelta(days=draw.randrange(300) if limited else 0),
        "effective_until": None,
        "status": "active",
        "precedence": draw.randrange(100),
    }
    return base.model_copy(update=changed)


def measure(real: Corpus, size: int, given: Namespace) -> list[dict[str, Any]]:
    """Return percentiles of each kind of look-up, over all repeats, on warm indexes."""
    everywhere = real if size == len(real.rules) else synthesise(real, size, given.seed)
    limited = real if size == len(real.rules) else synthesise(real, size, given.seed, limited=True)
    draw = random.Random(given.seed)
    rules = draw.choices(everywhere.rules, k=given.queries)
    queries = [_query(rule, draw) for rule in rules]
    index = RuleIndex(everywhere, _AT)
    dated = [RuleIndex(limited, date(2026, month, 1)) for month in (3, 6, 9, 12)]
    jurisdictions = real.jurisdictions
    dense, hybrid = (RuleIndex(everywhere, _AT, vectors) for vectors in _dense_and_hybrid(everywhere, given))
    kinds: dict[str, Callable[[int], object]] = {
        "category and query": lambda i: index.lookup(category=rules[i].category, query=queries[i], jurisdiction="XA", limit=_LIMIT),
        "query only": lambda i: index.lookup(category=None, query=queries[i], jurisdiction="XA", limit=_LIMIT),
        "day and jurisdiction": lambda i: dated[i % 4].lookup(
            category=None, query=queries[i], jurisdiction=jurisdictions[i // 4 % 2], limit=_LIMIT
        ),
        "dense": lambda i: dense.lookup(category=None, query=queries[i], jurisdiction="XA", limit=_LIMIT),
        "hybrid": lambda i: hybrid.lookup(category=None, query=queries[i], jurisdiction="XA", limit=_LIMIT),
    }
    return [{"rules": size, "kind": kind, **_percentiles(run, given.repeats, given.queries)} for kind, run in kinds.items()]


class _RandomEmbedder:
    """A unit vector for each text, known beforehand, so that only the search is measured."""

    identity = "random"

    def __init__(self, dimensions: int, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._dimensions = dimensions
        self._known: dict[str, np.ndarray] = {}

    def documents(self, texts: Sequence[str]) -> np.ndarray:
        vectors = self._draw.standard_normal((len(texts), self._dimensions)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def query(self, text: str) -> np.ndarray:
        if text not in self._known:
            self._known[text] = self.documents([text])[0]
        return self._known[text]


def _dense_and_hybrid(corpus: Corpus, given: Namespace) -> tuple[RuleVectors, RuleVectors]:
    config = RetrievalConfig(backend="hybrid", model="random", parts=("text",))
    hybrid = embed_rules(corpus, config, _RandomEmbedder(given.dimensions, given.seed))
    return replace(hybrid, config=config.model_copy(update={"backend": "dense"})), hybrid


def _embedding_ms(model: str, corpus: Corpus, given: Namespace) -> dict[str, float]:
    """Return percentiles over queries of realistic length, each embedded once."""
    draw = random.Random(given.seed)
    embedder = SentenceEmbedder(RetrievalConfig(backend="dense", model=model))
    embedder.query("warm up")
    queries = dict.fromkeys(_query(draw.choice(corpus.rules), draw) for _ in range(given.queries))
    taken = []
    for query in queries:
        started = time.perf_counter_ns()
        embedder.query(query)
        taken.append((time.perf_counter_ns() - started) / 1e6)
    p50, p99 = np.percentile(taken, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99)}


def _query(rule: Rule, draw: random.Random) -> str:
    """Return a query that a model might ask: the canonical query, a few words of the rule, or a whole prompt."""
    return draw.choice([rule.query, " ".join(draw.sample(rule.text.split(), 4)), draw.choice(rule.examples).prompt])


def _percentiles(run: Callable[[int], object], repeats: int, queries: int) -> dict[str, float]:
    """Return percentiles over single look-ups, preemption included; `cpu` over the median of each query's repeats."""
    build = max(_timed(run, number)[0] for number in range(queries))
    taken = np.array([[_timed(run, number) for number in range(queries)] for _ in range(repeats)])  # (repeats, queries, 2)
    p50, p99 = np.percentile(taken[..., 0], [50, 99])
    cpu = np.percentile(np.median(taken[..., 1], axis=0), 99)
    return {"p50_ms": float(p50), "p99_ms": float(p99), "max_ms": float(taken[..., 0].max()), "cpu_p99_ms": float(cpu), "build_ms": build}


def _timed(run: Callable[[int], object], number: int) -> tuple[float, float]:
    """Return the milliseconds by the clock, and of this thread's processor time."""
    started, worked = time.perf_counter_ns(), time.thread_time_ns()
    run(number)
    return (time.perf_counter_ns() - started) / 1e6, (time.thread_time_ns() - worked) / 1e6


if __name__ == "__main__":
    main()
