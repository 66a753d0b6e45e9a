"""Make any number of realistic prompts: public prompts with words of others in them, copies, near-copies and held-out ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from ascl_core.config.sources import SourceConfig
from ascl_core.data.locations import DEFAULT_EXTERNAL_DATA
from ascl_core.data.sources import load_source
from ascl_core.rules.corpus import Corpus

_PUBLIC = ("gsm8k", "star1", "mitre_frr", "xstest")
_EXCHANGED = 0.4
"""Share of a public prompt's words that are another's."""
_COPY, _NEAR_COPY, _HELD_OUT = 0.05, 0.10, 0.01
_COPIED_FROM = 1_000
"""A copy is one of the last so many prompts."""


def public_prompts(corpus: Corpus) -> list[str]:
    """Return the prompts of the public files under `$ASCL_EXTERNAL_DATA`."""
    sources = [SourceConfig(name=name, format=name, path=f"$ASCL_EXTERNAL_DATA/{name}") for name in _PUBLIC]
    return [row.prompt for source in sources for row in load_source(source, Path(DEFAULT_EXTERNAL_DATA), corpus)]


def made_prompts(count: int, public: list[str], evaluation: list[str], seed: int) -> Iterator[str]:
    """Yield prompts, of which about 5 % copy another, 10 % nearly copy one, and 1 % contain an evaluation prompt."""
    rng, recent = random.Random(seed), [public[0]]
    words = " ".join(public).split()
    for _ in range(count):
        kind = rng.random()
        if kind < _COPY:
            prompt = f"  {rng.choice(recent).upper()}!"
        elif kind < _COPY + _NEAR_COPY:
            prompt = f"{rng.choice(recent)} {rng.choice(words)}"
        elif kind < _COPY + _NEAR_COPY + _HELD_OUT:
            prompt = f"{rng.choice(words)} {rng.choice(evaluation)} {rng.choice(words)}"
        else:
            own = rng.choice(public).split()
            prompt = " ".join(rng.choice(words) if rng.random() < _EXCHANGED else word for word in own)
            recent = [*recent[-_COPIED_FROM:], prompt] if len(recent) > 2 * _COPIED_FROM else recent
            recent.append(prompt)
        yield prompt


def write_rows(path: Path, prompts: Iterator[str]) -> None:
    """Write a source of the format `rows`; every tenth row is a utility prompt."""
    with path.open("w", encoding="utf-8") as file:
        for number, prompt in enumerate(prompts):
            utility = {"prompt_type": "utility", "answer": "1"} if number % 10 == 0 else {"prompt_type": "borderline", "category": "CYB"}
            file.write(json.dumps({"prompt": prompt, **utility}) + "\n")
