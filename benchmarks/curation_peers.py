"""Compare de-duplication and decontamination with public tools, on the same rows in one run: `python benchmarks/curation_peers.py`.

Near-duplicates: `datasketch` (its MinHash, and its LSH index with the same bands and rows) gets the same shingles as ours. It decides by
its estimate, as in its own examples, and in a second run by the shingles, as ours does. `missed` and `wrong` come from an exact
comparison of every pair of the first rows (`--truth`). Decontamination: datatrove's filter beside ours reduced to 13-grams, and beside
ours with all four rules. datatrove is no dependency: without `pip install datatrove spacy 'xxhash<4'` its side is left out.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from curation_scale import rules
from made_prompts import made_prompts, public_prompts
from side_by_side import Timing, interleave, parser, ratios, write

from ascl_core.data.contamination import LONG_NGRAM, ContaminationIndex
from ascl_core.data.near_duplicates import NearDuplicates, bands, jaccard, shingles, signatures
from ascl_core.data.raw_prompt import normalise

_SIMILARITY, _PERMUTATIONS = 0.9, 128
_BANDS = bands(_SIMILARITY, _PERMUTATIONS)
_HELD_OUT = 2_000


def main() -> None:
    """Run both comparisons, and print the smallest ratio of a peer's time to ours first."""
    options = parser(__doc__, repeats=3)
    options.add_argument("--rows", type=int, default=20_000, help="how many prompts (default: %(default)s)")
    options.add_argument("--truth", type=int, default=4_000, help="rows of which every pair is compared (default: %(default)s)")
    given = options.parse_args()
    public = public_prompts(rules())
    evaluation = public[:: len(public) // _HELD_OUT or 1]
    texts = list(made_prompts(given.rows, public, evaluation, given.seed))
    unique = list({normalise(text): text for text in texts}.values())
    near = _near_duplicates(unique, given.truth, given.repeats)
    found = _contaminated(texts, evaluation, given.repeats)
    worst = min(side["ratio"] for side in (*near, *found) if side["peer"])
    lines = [f"ratio {worst:.1f}: the time of the fastest peer by ours", ""]
    lines += [f"near-duplicates of {len(unique):,} rows at a similarity of {_SIMILARITY}; truth of the first {given.truth:,}"]
    lines += [f"{'':<26} {'ms [min, max]':<28} {'ratio':>6} {'dropped':>8} {'as ours':>8} {'missed':>7} {'wrong':>6}"]
    lines += [
        f"{s['side']:<26} {s['time']:<28} {s['ratio']:>6.1f} {s['dropped']:>8,} {s['as_ours']:>8,} {s['missed']:>7} {s['wrong']:>6}"
        for s in near
    ]
    lines += ["", f"decontamination of {len(texts):,} rows from {len(evaluation):,} evaluation prompts"]
    lines += [f"{'':<26} {'ms [min, max]':<28} {'ratio':>6} {'dropped':>8} {'as ours':>8}"]
    lines += [f"{s['side']:<26} {s['time']:<28} {s['ratio']:>6.1f} {s['dropped']:>8,} {s['as_ours']:>8,}" for s in found]
    write(given.json, {"ratio": worst, "near_duplicates": near, "decontamination": found}, lines)


def _near_duplicates(texts: Sequence[str], truth: int, repeats: int) -> list[dict[str, Any]]:
    sides: dict[str, Callable[[], list[int]]] = {
        "ours": lambda: _ours(texts),
        "datasketch": lambda: _datasketch(texts, exact=False),
        "datasketch, exact": lambda: _datasketch(texts, exact=True),
    }
    dropped = {name: set(run()) for name, run in sides.items()}
    timings = interleave(sides, repeats, warmups=0)
    real = set(_every_pair(texts[:truth]))
    return [
        _side(name, timings, dropped) | {"missed": len(real - rows), "wrong": len({row for row in rows if row < truth} - real)}
        for name, rows in dropped.items()
    ]


def _side(name: str, timings: dict[str, Timing], dropped: dict[str, set[int]], ours: str = "ours") -> dict[str, Any]:
    ratio, _, _ = ratios(timings, ours, name)
    return {
        "side": name,
        "peer": name.startswith("data"),
        "time": str(timings[name]),
        "timing": timings[name].to_json(),
        "ratio": ratio,
        "dropped": len(dropped[name]),
        "as_ours": len(dropped[name] & dropped[ours]),
    }


def _ours(texts: Sequence[str]) -> list[int]:
    index = NearDuplicates(_SIMILARITY, _PERMUTATIONS)
    signed = signatures(texts, _PERMUTATIONS)
    return [i for i, (text, signature) in enumerate(zip(texts, signed, strict=True)) if index.find(text, signature) is not None]


def _datasketch(texts: Sequence[str], *, exact: bool) -> list[int]:
    """Drop near-duplicates by datasketch; the first of each group stays, as with ours."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=_PERMUTATIONS, params=(_BANDS, _PERMUTATIONS // _BANDS))
    sets = [[piece.encode() for piece in shingles(text)] for text in texts]
    signed = MinHash.bulk(sets, num_perm=_PERMUTATIONS, seed=1)
    dropped: list[int] = []
    for i, signature in enumerate(signed):
        near = (jaccard(shingles(texts[i]), shingles(texts[j])) if exact else signed[j].jaccard(signature) for j in index.query(signature))
        if any(similarity >= _SIMILARITY for similarity in near):
            dropped.append(i)
        else:
            index.insert(i, signature)
    return dropped


def _every_pair(texts: Sequence[str]) -> list[int]:
    """Return what is dropped if each row is compared with every kept row before it, by shared shingles in a sparse matrix."""
    from scipy.sparse import csr_array

    sets, ids = [shingles(text) for text in texts], dict[str, int]()
    columns = [ids.setdefault(piece, len(ids)) for pieces in sets for piece in pieces]
    sizes = np.array([len(pieces) for pieces in sets])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    matrix = csr_array((np.ones(len(columns), dtype=np.int32), np.array(columns), offsets), shape=(len(texts), len(ids)))
    kept: list[int] = []
    dropped: list[int] = []
    for i in range(len(texts)):
        shared = (matrix[[i]] @ matrix[kept].T).toarray()[0] if kept else np.zeros(0)
        union = sizes[i] + sizes[kept] - shared
        (dropped if bool(np.any(shared >= _SIMILARITY * union)) else kept).append(i)
    return dropped


def _contaminated(texts: Sequence[str], evaluation: Sequence[str], repeats: int) -> list[dict[str, Any]]:
    sides: dict[str, Callable[[], list[int]]] = {
        f"ours, {LONG_NGRAM}-grams": lambda: _our_rules(texts, evaluation, LONG_NGRAM),
        "ours, every rule": lambda: _our_rules(texts, evaluation, 8),
    }
    if importlib.util.find_spec("datatrove") and importlib.util.find_spec("spacy"):
        sides["datatrove, 13-grams"] = lambda: _datatrove(texts, evaluation)
    dropped = {name: set(run()) for name, run in sides.items()}
    timings = interleave(sides, repeats, warmups=0)
    return [_side(name, timings, dropped, ours=f"ours, {LONG_NGRAM}-grams") for name in sides]


def _our_rules(texts: Sequence[str], evaluation: Sequence[str], ngram: int) -> list[int]:
    index = ContaminationIndex(evaluation, ngram)
    hits = [index.find(text) for text in texts]
    wanted = {f"{LONG_NGRAM}-gram", "exact"} if ngram == LONG_NGRAM else None
    return [i for i, hit in enumerate(hits) if hit is not None and (wanted is None or hit.kind in wanted)]


def _datatrove(texts: Sequence[str], evaluation: Sequence[str]) -> list[int]:
    """Run datatrove's filter on an index of all 13-grams of the evaluation prompts; its own indexer loads tasks of a harness."""
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
    from datatrove.utils.text import ngrams, simplify_text

    with tempfile.TemporaryDirectory() as folder:
        step = NGramsDecontFilter(folder, NGramsDecontConfig(n_grams=LONG_NGRAM))
        words = [step.tokenizer.word_tokenize(simplify_text(text, step.config.norm_config)) for text in evaluation]
        hashes = {step.hash_func(" ".join(gram)) for some in words for gram in ngrams(some, LONG_NGRAM)}
        np.array(sorted(hashes), dtype=step.config.hash_config.np_descr).tofile(Path(folder) / "suites.index.hashes")
        return [i for i, text in enumerate(texts) if step.filter(Document(text=text, id=str(i))) is not True]


if __name__ == "__main__":
    main()
