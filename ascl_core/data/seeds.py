"""The project's own prompts: seeds in `data/raw/*.yaml`, expanded to frames x actions x objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ascl_core.artifacts import read_yaml
from ascl_core.config.base import Config, parse
from ascl_core.data.raw_prompt import RawPrompt, content_hash
from ascl_core.data.utility import questions
from ascl_core.errors import DataError
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType

SOURCE = "own"


class Seed(Config):
    """One family of prompts about one rule."""

    rule: str
    frames: tuple[str, ...] = Field(min_length=1)
    actions: tuple[str, ...] = Field(min_length=1)
    objects: tuple[str, ...] = Field(min_length=1)
    contrast: str | None = None
    """The key word that it shares with a seed of another verdict."""


class SafetySeeds(Config):
    """`data/raw/safety.yaml`."""

    licence: str
    per_seed: int = Field(ge=1)
    """The most prompts that a seed gives; chosen by content hash."""
    frames: dict[str, tuple[str, ...]]
    """Sentences with `{x}` for action and object."""
    seeds: tuple[Seed, ...] = Field(min_length=1)


class UtilityKind(Config):
    """One kind of question and how many of it."""

    kind: Literal["add", "subtract", "larger", "smaller", "next", "opposite", "choice"]
    count: int = Field(ge=1)
    largest: int = Field(default=10, ge=2, le=1000)
    orders: tuple[tuple[str, ...], ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    sets: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()


class UtilitySeeds(Config):
    """`data/raw/utility.yaml`."""

    licence: str
    frames: dict[str, tuple[str, ...]]
    kinds: tuple[UtilityKind, ...] = Field(min_length=1)


def own_prompts(folder: Path, corpus: Corpus) -> list[RawPrompt]:
    """Return every prompt that the seeds under `folder` expand to, in a fixed order; `DataError` names a bad seed."""
    return [*_safety_prompts(folder / "safety.yaml", corpus), *_utility_prompts(folder / "utility.yaml")]


def _safety_prompts(path: Path, corpus: Corpus) -> Iterator[RawPrompt]:
    values = parse(SafetySeeds, _read(path), file=path)
    rules = {rule.id: rule for rule in corpus.rules}
    for number, seed in enumerate(values.seeds):
        if (rule := rules.get(seed.rule)) is None:
            raise DataError("no such rule", file=path, field=f"seeds[{number}].rule", value=seed.rule, hint="name a rule of data/rules")
        if unknown := [frame for frame in seed.frames if frame not in values.frames]:
            hint = f"one of {', '.join(values.frames)}"
            raise DataError("no such frames", file=path, field=f"seeds[{number}].frames", value=unknown[0], hint=hint)
        frames = [frame for family in seed.frames for frame in values.frames[family]]
        subjects = [f"{action} {thing}" for action, thing in product(seed.actions, seed.objects)]
        families = {_sentence(frame, words): words for frame, words in product(frames, subjects)}
        for prompt in _sample(families, values.per_seed):
            yield RawPrompt(
                prompt,
                rule.policy.prompt_type,
                SOURCE,
                values.licence,
                category=rule.category,
                rule_id=rule.id,
                pair_id=seed.contrast,
                family=families[prompt],
            )


def _utility_prompts(path: Path) -> Iterator[RawPrompt]:
    values = parse(UtilitySeeds, _read(path), file=path)
    for number, spec in enumerate(values.kinds):
        answers: dict[str, tuple[str, str, str | None]] = {}
        for question, answer, kind, choices, family in questions(spec.kind, spec.model_dump()):
            if family not in values.frames:
                raise DataError("no frames for it", file=path, field=f"kinds[{number}]", value=spec.kind, hint=f"add frames.{family}")
            answers.update({_sentence(frame, question): (answer, kind, choices) for frame in values.frames[family]})
        for prompt in _sample(answers, spec.count):
            answer, kind, choices = answers[prompt]
            yield RawPrompt(prompt, PromptType.UTILITY, SOURCE, values.licence, answer=answer, answer_kind=kind, choices=choices)


def _sentence(frame: str, words: str) -> str:
    """Fill in the frame; words in the middle of a sentence lose their capital, except for `I`."""
    if not frame.startswith("{x}") and words.split(" ")[0] != "I":
        words = words[0].lower() + words[1:]
    return frame.replace("{x}", words)


def _sample(prompts: Iterable[str], count: int) -> list[str]:
    """Return at most `count` of the prompts, by content hash, so that a new seed or frame moves few of the others."""
    return sorted(prompts, key=lambda prompt: content_hash(prompt, "seed"))[:count]


def _read(path: Path) -> Any:
    if not path.is_file():
        raise DataError("file does not exist", file=path, hint="restore it: git checkout data/raw")
    return read_yaml(path)
