"""Finding evaluation prompts in training prompts: exact after normalisation, contained, or by shared n-grams."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ascl_core.data.raw_prompt import normalise

LONG_NGRAM = 13
"""Words of one shared n-gram that is enough by itself (GPT-3, arXiv 2005.14165, appendix C)."""
MIN_SHARE = 0.5
"""Share of a prompt's n-grams that must be found in the other where no single long one is shared."""
MIN_CONTAINED_WORDS = 4
"""An evaluation prompt of at least so many words contaminates every row that contains it whole."""


@dataclass(frozen=True)
class Contamination:
    """Why a row is dropped: the index of the evaluation prompt, and how it was found."""

    evaluation: int
    kind: str


def find_contamination(rows: Sequence[str], evaluation: Sequence[str], ngram: int = 8) -> list[Contamination | None]:
    """For each row the first evaluation prompt found in it, or None; linear in the number of words."""
    index = _Index([normalise(text).split() for text in evaluation], ngram)
    return [index.find(normalise(row).split()) for row in rows]


class _Index:
    """The evaluation prompts by their words and n-grams."""

    def __init__(self, evaluation: list[list[str]], ngram: int) -> None:
        self.ngram = ngram
        self.exact: dict[tuple[str, ...], int] = {}
        self.contained: dict[tuple[str, ...], int] = {}
        self.long: dict[tuple[str, ...], int] = {}
        self.short: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self.sizes: list[int] = []
        for number, words in enumerate(evaluation):
            self.exact.setdefault(tuple(words), number)
            if len(words) >= MIN_CONTAINED_WORDS:
                self.contained.setdefault(tuple(words), number)
            for gram in _ngrams(words, LONG_NGRAM):
                self.long.setdefault(gram, number)
            grams = set(_ngrams(words, ngram))
            self.sizes.append(len(grams))
            for gram in sorted(grams):
                self.short[gram].append(number)
        self.contained_lengths = sorted({len(words) for words in self.contained})

    def find(self, words: list[str]) -> Contamination | None:
        if (number := self.exact.get(tuple(words))) is not None:
            return Contamination(number, "exact")
        if (number := _first_shared(words, LONG_NGRAM, self.long)) is not None:
            return Contamination(number, f"{LONG_NGRAM}-gram")
        for length in self.contained_lengths:
            if length <= len(words) and (number := _first_shared(words, length, self.contained)) is not None:
                return Contamination(number, "contained")
        return self._by_share(words)

    def _by_share(self, words: list[str]) -> Contamination | None:
        grams = set(_ngrams(words, self.ngram))
        shared = Counter(number for gram in grams for number in self.short.get(gram, ()))
        for number, count in sorted(shared.items()):
            if count >= MIN_SHARE * self.sizes[number] or (len(grams) >= 2 and count >= MIN_SHARE * len(grams)):
                return Contamination(number, f"{self.ngram}-grams")
        return None


def _ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _first_shared(words: Sequence[str], n: int, index: dict[tuple[str, ...], int]) -> int | None:
    return next((index[gram] for gram in _ngrams(words, n) if gram in index), None)
