"""The project's own prompts in `data/raw`: tables, and seeds that are expanded to frames x actions x objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from ascl_core.artifacts import read_yaml
from ascl_core.config.base import parse
from ascl_core.config.own_prompts import SEEDS, SafetySeeds, UtilitySeeds
from ascl_core.data.raw_prompt import RawPrompt, content_hash
from ascl_core.data.table_prompts import own_tables
from ascl_core.data.utility import questions
from ascl_core.errors import DataError
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType

SOURCE = "own"


def own_prompts(folder: Path, corpus: Corpus) -> list[RawPrompt]:
    """Return the prompts of every seed and every table in `folder`, in a fixed order; `DataError` names a bad seed or row."""
    return [*seed_prompts(folder, corpus), *own_tables(folder, corpus)]


def seed_prompts(folder: Path, corpus: Corpus) -> list[RawPrompt]:
    """Return every prompt that the seeds in `folder` expand to; a file of seeds that is not there has none."""
    safety, utility = (folder / name for name in SEEDS)
    return [
        *(_safety_prompts(safety, corpus) if safety.is_file() else ()),
        *(_utility_prompts(utility) if utility.is_file() else ()),
    ]


def _safety_prompts(path: Path, corpus: Corpus) -> Iterator[RawPrompt]:
    values = parse(SafetySeeds, read_yaml(path), file=path)
    rules = {rule.id: rule for rule in corpus.rules}
    for number, seed in enumerate(values.seeds):
        if (rule := rules.get(seed.rule)) is None:
            hint = "name a rule of data/rules; or delete the file if its seeds belong to other rules"
            raise DataError("no such rule", file=path, field=f"seeds[{number}].rule", value=seed.rule, hint=hint)
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
    values = parse(UtilitySeeds, read_yaml(path), file=path)
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
