"""The stage `curate`: which prompts are trained on, with counts and examples of what each step dropped."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, write_json, write_parquet
from ascl_core.config.curate import CurateConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import Prompt, StageContext, to_table
from ascl_core.data.contamination import find_contamination
from ascl_core.data.near_duplicates import find_near_duplicates
from ascl_core.data.raw_prompt import RawPrompt, clean, content_fraction, normalise
from ascl_core.data.resolve import resolve
from ascl_core.data.sources import load_source
from ascl_core.errors import DataError
from ascl_core.rules.corpus import load_corpus
from ascl_core.vocabulary import Split

_EXAMPLES = 5
Reason = str | None
"""Why a row is dropped; None keeps it."""


def decontaminate(rows: Sequence[str], evaluation: Sequence[str], *, ngram: int = 8) -> tuple[list[int], list[int]]:
    """The indices of the rows that are kept, and of those in which an evaluation prompt was found.

    A row is dropped if it equals an evaluation prompt after normalisation (case, punctuation, white space, Unicode
    NFKC), contains one of at least four words whole, shares a 13-gram of words with one, or shares half of the
    `ngram`-grams of either; half of its own count where it has at least two.

    >>> decontaminate(["What is 2 - 2?", "Name a fruit.", "What is 2 + 2?"], ["what is 2+2"])
    ([0, 1], [2])
    >>> decontaminate(["HOW do I kill a Python process", "Name a fruit."], ["How do I kill a Python process?"])
    ([1], [0])
    """
    found = find_contamination(rows, evaluation, ngram)
    return [i for i, hit in enumerate(found) if hit is None], [i for i, hit in enumerate(found) if hit is not None]


def curate(
    *,
    curate: CurateConfig,
    rules: RulesConfig,
    raw: Path,
    corpus: Path,
    evaluation: Path,
    prompts: Path,
    counts: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Load, clean, de-duplicate, decontaminate, split and resolve the prompts; write them and the counts.

    `evaluation` holds the prompts of the suites, which none of them may contain.
    """
    loaded_corpus = load_corpus(corpus)
    rows = [row for source in curate.sources for row in load_source(source, raw, loaded_corpus)]
    held_out = _texts(evaluation)
    steps = [_count("loaded", rows, [])]
    filters: tuple[tuple[str, Callable[[list[RawPrompt]], list[Reason]]], ...] = (
        ("length", lambda rows: _length(rows, curate)),
        ("exact duplicates", _exact_duplicates),
        ("near-duplicates", lambda rows: _near_duplicates(rows, curate)),
        ("decontamination", lambda rows: _contaminated(rows, held_out, curate.contamination_ngram)),
    )
    rows = [dataclasses.replace(row, prompt=clean(row.prompt)) for row in rows]
    for done, (step, reasons_of) in enumerate(filters):
        context.progress.update("curate", done, len(filters), step)
        reasons = reasons_of(rows)
        dropped = [(row, reason) for row, reason in zip(rows, reasons, strict=True) if reason is not None]
        rows = [row for row, reason in zip(rows, reasons, strict=True) if reason is None]
        steps.append(_count(step, rows, dropped))
        if not rows:
            raise DataError("no prompt is left", file=raw, field=step, mend="check the sources and the thresholds of `curate`")
    resolved = [(row, resolve([row], loaded_corpus, rules.at)) for row in rows]
    result = [dataclasses.replace(prompt, split=_split(row, curate)) for row, variants in resolved for prompt in variants]
    left_out = [(row, f"rule {row.rule_id} is nowhere in force") for row, variants in resolved if not variants]
    steps.append(_count("resolved against the rules", result, left_out))
    if not result:
        raise DataError("no prompt has a rule in force", file=corpus, field="rules.at", value=rules.at, mend="check the date and the rules")
    write_parquet(prompts, to_table(result, Prompt))
    write_json(counts, {"steps": steps, **{f"by_{name}": _by(result, name) for name in ("prompt_type", "split", "source")}})
    context.progress.update("curate", len(filters), len(filters))
    return {"prompts": len(result), "loaded": steps[0]["kept"]}


def _texts(path: Path) -> list[str]:
    values = read_json(path)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DataError("expected a list of prompts", file=path, mend="run the stage that makes it: ascl run")
    return values


def _length(rows: list[RawPrompt], config: CurateConfig) -> list[Reason]:
    def reason(row: RawPrompt) -> Reason:
        size = len(row.prompt)
        return None if config.min_chars <= size <= config.max_chars else f"{size} characters"

    return [reason(row) for row in rows]


def _exact_duplicates(rows: list[RawPrompt]) -> list[Reason]:
    first: dict[str, RawPrompt] = {}
    reasons: list[Reason] = []
    for row in rows:
        key = normalise(row.prompt)
        reasons.append(f"same as one of {first[key].source}" if key in first else None)
        first.setdefault(key, row)
    return reasons


def _near_duplicates(rows: list[RawPrompt], config: CurateConfig) -> list[Reason]:
    """Utility prompts are left out: two sums that differ in one digit are different questions."""
    positions = [i for i, row in enumerate(rows) if row.answer is None]
    found = find_near_duplicates([rows[i].prompt for i in positions], config.near_duplicate_similarity, config.minhash_permutations)
    reasons: list[Reason] = [None] * len(rows)
    for position, near in zip(positions, found, strict=True):
        other = rows[positions[near]] if near is not None else None
        if other is not None and other.rule_id == rows[position].rule_id:
            reasons[position] = f"almost {other.prompt!r}"
    return reasons


def _contaminated(rows: list[RawPrompt], evaluation: Sequence[str], ngram: int) -> list[Reason]:
    found = find_contamination([row.prompt for row in rows], evaluation, ngram)
    return [None if hit is None else f"{hit.kind}: {evaluation[hit.evaluation]!r}" for hit in found]


def _split(row: RawPrompt, config: CurateConfig) -> Split:
    """By content alone, without the jurisdiction: both sides of a dual-use prompt fall into one split."""
    if content_fraction(row.prompt, "split") < config.validation_fraction:
        return Split.VALIDATION
    return Split.RL if content_fraction(row.family or row.prompt, "rl") < config.rl_fraction else Split.TRAIN


def _count(step: str, kept: Sequence[RawPrompt | Prompt], dropped: list[tuple[RawPrompt, str]]) -> dict[str, Any]:
    examples = [{"prompt": row.prompt, "reason": reason} for row, reason in dropped[:_EXAMPLES]]
    return {"step": step, "kept": len(kept), "dropped": len(dropped), "examples": examples, "by_source": _by(kept, "source")}


def _by(rows: Sequence[Any], name: str) -> dict[str, int]:
    return dict(sorted(Counter(str(getattr(row, name)) for row in rows).items()))
