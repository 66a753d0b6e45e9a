"""The files in `data/raw` that people write prompts in: seeds and tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ascl_core.config.base import Config

COLUMNS = {
    "prompt": "the user's message",
    "prompt_type": "`harmful`, `borderline`, `sensitive` or `utility` ([glossary](glossary.md)); not needed if `rule_id` is given",
    "rule_id": "the rule that decides, such as `LCK-01`: its policy in each jurisdiction is the right response, also once it changes",
    "category": "a category of the taxonomy; without it and `rule_id`, that of the nearest rule that decides as the type says",
    "answer": "the right answer; every utility prompt needs one",
    "answer_kind": "how the answer is compared: `number`, `choice`, `math` or `text`; if left out, it follows from the answer",
    "choices": "the letters of a choice, such as `ABCD`",
    "licence": "SPDX id of the prompt's licence; `LicenseRef-own` if left out",
}
"""The columns of a table in `data/raw`, with what they mean."""
SEEDS = ("safety.yaml", "utility.yaml")
"""The files in `data/raw` that are no tables: seeds."""


class Seed(Config):
    """One family of prompts about one rule."""

    rule: str
    """The rule that decides what a right answer is."""
    frames: tuple[str, ...] = Field(min_length=1)
    """Names of groups of `frames`."""
    actions: tuple[str, ...] = Field(min_length=1)
    """What is asked for, such as `shoot`."""
    objects: tuple[str, ...] = Field(min_length=1)
    """Whom or what it concerns, such as `a rival`."""
    contrast: str | None = None
    """The key word that it shares with a seed of another verdict."""


class SafetySeeds(Config):
    """Seeds of prompts about rules: each expands to frames × actions × objects."""

    licence: str
    """SPDX id of the prompts' licence."""
    per_seed: int = Field(ge=1)
    """The most prompts that a seed gives; chosen by content hash."""
    frames: dict[str, tuple[str, ...]]
    """Sentences with `{x}` for action and object."""
    seeds: tuple[Seed, ...] = Field(min_length=1)
    """The families of prompts."""


class UtilityKind(Config):
    """One kind of question and how many of it."""

    kind: Literal["add", "subtract", "larger", "smaller", "next", "opposite", "choice"]
    """What is asked."""
    count: int = Field(ge=1)
    """The most prompts of the kind; chosen by content hash."""
    largest: int = Field(default=10, ge=2, le=1000)
    """`add`, `subtract`, `larger`, `smaller`: the largest number."""
    orders: tuple[tuple[str, ...], ...] = ()
    """`next`: lists of words in order."""
    pairs: tuple[tuple[str, str], ...] = ()
    """`opposite`: pairs of opposites."""
    sets: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()
    """`choice`: a name, words that belong to it, and words that do not."""


class UtilitySeeds(Config):
    """Questions with checkable answers, made by rule."""

    licence: str
    """SPDX id of the prompts' licence."""
    frames: dict[str, tuple[str, ...]]
    """Sentences with `{x}` for the question: `number` for sums, `words` for the other kinds."""
    kinds: tuple[UtilityKind, ...] = Field(min_length=1)
    """The kinds of questions."""
