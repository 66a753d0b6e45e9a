"""Evaluation prompts in training prompts: equal after normalisation, contained, or with shared n-grams.

One Aho-Corasick automaton (`pyahocorasick`) holds all word sequences of the evaluation prompts, and reads each row once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ascl_core.data.raw_prompt import normalise

T = TypeVar("T")

LONG_NGRAM = 13
"""Length in words of an n-gram that alone proves contamination if shared (GPT-3, arXiv 2005.14165, appendix C)."""
MIN_SHARE = 0.5
"""Share of a prompt's n-grams that must be in the other if they share no long one."""
MIN_CONTAINED_WORDS = 4
"""An evaluation prompt of at least so many words contaminates every row that contains it whole."""
_UNKNOWN = 0
"""The id of all words that no evaluation prompt has."""


@dataclass(frozen=True)
class Contamination:
    """The evaluation prompt found in a row, by index, and how it was found."""

    evaluation: int
    kind: str


@dataclass
class _Sequence:
    """A sequence of words, and the evaluation prompts that it comes from."""

    length: int
    whole: int | None = None
    """The first prompt that equals it."""
    long: int | None = None
    """The first prompt that contains it, if it is a long n-gram."""
    short: list[int] = field(default_factory=list)
    """Every prompt that contains it, if it is an n-gram of the requested length."""


class ContaminationIndex:
    """The evaluation prompts, to be found in rows in time linear in the words of a row.

    A row contains an evaluation prompt if it equals one after normalisation (case, punctuation, white space, Unicode NFKC), contains one
    of at least four words whole, shares a 13-gram of words with one, or shares half of the `ngram`-grams of either; half of its own
    count only if it has at least two.

    >>> index = ContaminationIndex(["what is 2+2"])
    >>> index.find("What is 2 - 2?"), index.find("What is 2 + 2?")
    (None, Contamination(evaluation=0, kind='exact'))
    """

    def __init__(self, evaluation: Sequence[str], ngram: int = 8) -> None:
        import ahocorasick

        self._ngram = ngram
        self._ids: dict[str, int] = {}
        self._sizes: list[int] = []
        self._empty: int | None = None
        sequences: dict[tuple[int, ...], _Sequence] = {}
        for number, text in enumerate(evaluation):
            words = tuple(self._ids.setdefault(word, len(self._ids) + _UNKNOWN + 1) for word in normalise(text).split())
            self._add(words, number, sequences)
        self._automaton = ahocorasick.Automaton(ahocorasick.STORE_ANY, ahocorasick.KEY_SEQUENCE)
        for words, sequence in sequences.items():
            self._automaton.add_word(words, sequence)
        self._automaton.make_automaton()

    def find(self, row: str) -> Contamination | None:
        """Return the first evaluation prompt found in the row, or None."""
        words = normalise(row).split()
        if not words:
            return None if self._empty is None else Contamination(self._empty, "exact")
        ids = tuple(self._ids.get(word, _UNKNOWN) for word in words)
        found: list[_Sequence] = [sequence for _, sequence in self._automaton.iter(ids)] if any(ids) else []
        whole = [(s.length, s.whole) for s in found if s.whole is not None]
        if (number := next((n for length, n in whole if length == len(words)), None)) is not None:
            return Contamination(number, "exact")
        if (number := next((s.long for s in found if s.long is not None), None)) is not None:
            return Contamination(number, f"{LONG_NGRAM}-gram")
        if contained := [(length, n) for length, n in whole if length >= MIN_CONTAINED_WORDS]:
            return Contamination(min(contained, key=lambda pair: pair[0])[1], "contained")
        return self._by_share(words, [s for s in {id(s): s for s in found}.values() if s.short])

    def _add(self, words: tuple[int, ...], number: int, sequences: dict[tuple[int, ...], _Sequence]) -> None:
        def entry(key: tuple[int, ...]) -> _Sequence:
            return sequences.setdefault(key, _Sequence(len(key)))

        grams = set(_ngrams(words, self._ngram))
        self._sizes.append(len(grams))
        if not words:
            self._empty = number if self._empty is None else self._empty
            return
        if (whole := entry(words)).whole is None:
            whole.whole = number
        for gram in _ngrams(words, LONG_NGRAM):
            if (long := entry(gram)).long is None:
                long.long = number
        for gram in grams:
            entry(gram).short.append(number)

    def _by_share(self, words: Sequence[str], found: Sequence[_Sequence]) -> Contamination | None:
        shared = Counter(number for sequence in found for number in sequence.short)
        own = len(set(_ngrams(words, self._ngram)))
        for number, count in sorted(shared.items()):
            if count >= MIN_SHARE * self._sizes[number] or (own >= 2 and count >= MIN_SHARE * own):
                return Contamination(number, f"{self._ngram}-grams")
        return None


def decontaminate(rows: Sequence[str], evaluation: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the indices of the rows to keep, and of the rows to drop, which contain an evaluation prompt (see `ContaminationIndex`).

    >>> decontaminate(["What is 2+2?", "Name a fruit"], ["what is 2 + 2"])
    ([1], [0])
    """
    index = ContaminationIndex(evaluation)
    found = [index.find(row) is not None for row in rows]
    return [i for i, hit in enumerate(found) if not hit], [i for i, hit in enumerate(found) if hit]


def _ngrams(words: Sequence[T], n: int) -> Iterator[tuple[T, ...]]:
    return (tuple(words[i : i + n]) for i in range(len(words) - n + 1))
