"""Evaluation prompts in training prompts: equal after normalisation, contained, or with shared n-grams.

One Aho-Corasick automaton (`pyahocorasick`) holds all word sequences of the evaluation prompts, and reads each row once.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from ascl_core.data.raw_prompt import normalise
from ascl_core.text import HAN, UNSPACED

T = TypeVar("T")
Words = tuple[int, ...]
"""The ids of words."""

LONG_NGRAM = 13
"""Length in words of an n-gram that alone proves contamination if shared (GPT-3, arXiv 2005.14165, appendix C)."""
MIN_SHARE = 0.5
"""Share of a prompt's n-grams that must be in the other if they share no long one."""
MIN_CONTAINED_WORDS = 4
"""An evaluation prompt of at least so many words contaminates every row that contains it whole."""
_UNSPACED, _HAN = re.compile(rf"{UNSPACED}(?:(?!\w){UNSPACED})*"), re.compile(f"[{HAN}]")
_UNKNOWN = 0
"""The id of all words that no evaluation prompt has."""


@dataclass(frozen=True)
class Contamination:
    """The evaluation prompt found in a row, by index, and how it was found."""

    evaluation: int
    kind: str


class ContaminationIndex:
    """The evaluation prompts, to be found in rows in time linear in the words of a row.

    A row contains an evaluation prompt if it equals one after normalisation (case, punctuation, white space, Unicode NFKC), contains one
    of at least four words whole, shares a 13-gram of words with one, or shares half of the `ngram`-grams of either; half of its own
    count only if it has at least two. Every letter of a script without spaces is a word; towards the four, half a word, and two
    thirds if it is a Chinese character.

    >>> index = ContaminationIndex(["what is 2+2"])
    >>> index.find("What is 2 - 2?"), index.find("What is 2 + 2?")
    (None, Contamination(evaluation=0, kind='exact'))
    """

    def __init__(self, evaluation: Sequence[str], ngram: int = 8) -> None:
        import ahocorasick

        self._ngram = ngram
        self._ids: dict[str, int] = {}
        self._sizes: list[int] = []
        """The number of distinct n-grams of each evaluation prompt."""
        self._whole: dict[Words, int] = {}
        """The first evaluation prompt that equals the words."""
        self._contained: set[Words] = set()
        """Those long enough to be found within a row."""
        self._long: dict[Words, int] = {}
        """The first evaluation prompt that contains the long n-gram."""
        self._short: dict[Words, list[int]] = defaultdict(list)
        """Every evaluation prompt that contains the n-gram."""
        for number, text in enumerate(evaluation):
            said = _words(text)
            words = tuple(self._ids.setdefault(word, len(self._ids) + _UNKNOWN + 1) for word in said)
            grams = set(_ngrams(words, ngram))
            self._sizes.append(len(grams))
            self._whole.setdefault(words, number)
            if sum(map(_weight, said)) >= MIN_CONTAINED_WORDS:
                self._contained.add(words)
            for gram in _ngrams(words, LONG_NGRAM):
                self._long.setdefault(gram, number)
            for gram in grams:
                self._short[gram].append(number)
        self._automaton = ahocorasick.Automaton(ahocorasick.STORE_ANY, ahocorasick.KEY_SEQUENCE)
        for words in (self._whole.keys() | self._long.keys() | self._short.keys()) - {()}:
            self._automaton.add_word(words, words)
        self._automaton.make_automaton()

    def find(self, row: str) -> Contamination | None:
        """Return the first evaluation prompt found in the row, or None."""
        text = _words(row)
        words = tuple(self._ids.get(word, _UNKNOWN) for word in text)
        if (number := self._whole.get(words)) is not None:
            return Contamination(number, "exact")
        found: list[Words] = [sequence for _, sequence in self._automaton.iter(words)] if any(words) else []
        if (number := next((self._long[sequence] for sequence in found if sequence in self._long), None)) is not None:
            return Contamination(number, f"{LONG_NGRAM}-gram")
        if contained := [sequence for sequence in found if sequence in self._contained]:
            return Contamination(self._whole[min(contained, key=len)], "contained")
        shared = Counter(number for sequence in dict.fromkeys(found) for number in self._short.get(sequence, ()))
        own = len(set(_ngrams(tuple(text), self._ngram))) if shared else 0
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


def _words(text: str) -> list[str]:
    """Return the normalised words; every letter of a script that puts no spaces between words is one, with its marks."""
    return _UNSPACED.sub(r" \g<0> ", normalise(text)).split()


def _weight(word: str) -> Fraction:
    """Return how many words a word counts as: a letter of a script without spaces is a part of one."""
    return Fraction(2, 3) if _HAN.match(word) else Fraction(1, 2) if _UNSPACED.match(word) else Fraction(1)


def _ngrams(words: tuple[T, ...], n: int) -> Iterator[tuple[T, ...]]:
    return (words[i : i + n] for i in range(len(words) - n + 1))
