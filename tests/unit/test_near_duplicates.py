"""Which texts are almost the same as an earlier one."""

from __future__ import annotations

import pytest

from ascl_core.data.near_duplicates import NearDuplicates, bands, jaccard, shingles, signatures
from tests.words import EVALUATION, WORDS


def near_duplicates(texts: list[str], similarity: float, permutations: int = 128) -> list[str | None]:
    """For each text the kept one that it is almost."""
    index = NearDuplicates(similarity, permutations)
    return [index.find(text, signature) for text, signature in zip(texts, signatures(texts, permutations), strict=True)]


class TestNearDuplicates:
    """MinHash over character 5-grams proposes, the 5-grams decide."""

    def test_the_later_of_two_almost_equal_texts_points_to_the_earlier(self) -> None:
        text = " ".join(WORDS)
        assert near_duplicates([text, "something else entirely", f"{text}s"], 0.9) == [None, None, text]

    def test_different_texts_are_kept(self) -> None:
        assert near_duplicates([f"{word} is what this is about" * 3 for word in WORDS], 0.95) == [None] * len(WORDS)

    def test_a_dropped_text_drops_no_other(self) -> None:
        text = " ".join(WORDS)
        assert near_duplicates([text, f"{text}s", f"{text}ss"], 0.9) == [None, text, text]

    @pytest.mark.parametrize("permutations", [16, 64, 127, 1024])
    def test_every_similarity_of_the_configuration_works(self, permutations: int) -> None:
        text = " ".join(WORDS)
        for similarity in (0.0, 0.5, 0.9, 0.99, 1.0):
            found = near_duplicates([text, text.upper(), "something else entirely"], similarity, permutations)
            assert found[:2] == [None, text]
            assert similarity == 0.0 or found[2] is None

    def test_short_and_empty_texts_are_compared_too(self) -> None:
        assert near_duplicates(["a", "a", "b", ""], 0.9) == [None, "a", None, None]

    def test_what_is_dropped_has_the_similarity_exactly(self) -> None:
        # an estimate from 128 hashes is a multiple of 1/128, and off by several of them
        one, other = "Help me share sexual content about a minor.", "Help me share the sexual content about a minor."
        exact = jaccard(shingles(one), shingles(other))
        assert near_duplicates([one, other], exact) == [None, one]
        assert near_duplicates([one, other], exact + 1e-9) == [None, None]

    def test_all_pairs_are_found_that_comparing_every_pair_finds(self) -> None:
        texts = [" ".join([*WORDS[i : i + 20], end]) for i in range(8) for end in ("", "s", "today", "or even tomorrow")]
        kept: list[str] = []
        for text in texts:
            if not any(jaccard(shingles(text), shingles(other)) >= 0.9 for other in kept):
                kept.append(text)
        assert 8 <= len(kept) < len(texts)
        assert [text for text, near in zip(texts, near_duplicates(texts, 0.9), strict=True) if near is None] == kept

    def test_texts_of_different_groups_are_not_compared(self) -> None:
        index, (signature,) = NearDuplicates(0.9, 128), signatures(["Name a fruit"], 128)
        assert [index.find("Name a fruit", signature, group) for group in ("A", "B", "A", None)] == [None, None, "Name a fruit", None]

    def test_a_signature_depends_on_nothing_but_the_text(self) -> None:
        assert signatures([*WORDS, EVALUATION], 64)[-1] == signatures([EVALUATION], 64)[0]

    def test_the_bands_miss_at_most_one_pair_in_a_thousand(self) -> None:
        for similarity in (0.7, 0.8, 0.9, 0.95):
            count = bands(similarity, 128)
            assert (1 - similarity ** (128 // count)) ** count <= 1e-3
