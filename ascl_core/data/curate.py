"""The stage `curate`: the prompts to train on, with counts and examples of what each step dropped.

It streams: the sources are loaded shard by shard, features of single rows are computed for each shard separately (on this machine or
on an engine), and one pass in the order of the sources decides which rows stay. Memory grows only with what that pass keeps of each
row that stays: a digest, and for near-duplicates a signature and the text.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ascl_core.artifacts import parquet_writer, write_json
from ascl_core.config.curate import CurateConfig
from ascl_core.config.engine import EngineConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sources import SourceConfig
from ascl_core.contracts import PROMPT_SCHEMA, Prompt, StageContext, to_table
from ascl_core.data.near_duplicates import NearDuplicates
from ascl_core.data.nearest_category import with_categories
from ascl_core.data.raw_prompt import RawPrompt, content_fraction
from ascl_core.data.resolve import resolve
from ascl_core.data.shards import Preparation, Prepared, evaluation_texts, prepare, read_prepared, shard, write_raw
from ascl_core.data.sources import stream_source
from ascl_core.errors import DataError
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.vocabulary import Split

_EXAMPLES = 5


def curate(
    *,
    curate: CurateConfig,
    engine: EngineConfig,
    rules: RulesConfig,
    raw: Path,
    corpus: Path,
    evaluation: Path,
    prompts: Path,
    counts: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Load, clean, de-duplicate, decontaminate, split and resolve the prompts; write them and the counts.

    `evaluation` holds the prompts of the suites, which no training prompt may contain. The engine changes no byte of the output.
    """
    compiled = load_corpus(corpus)
    rows = (row for source in curate.sources for row in _load(source, raw, compiled, rules.at))
    folder = context.state / "shards"
    number = write_raw(context.progress.track(rows, "load prompts"), folder / "raw")
    jobs = [Preparation(shard(folder / "raw", i), shard(folder / "prepared", i), evaluation, curate) for i in range(number)]
    prepared = list(context.progress.track(context.map(prepare, jobs, engine), "prepare shards", number))
    filters = _Filters(curate, evaluation_texts(evaluation))
    resolved = _Step("resolved against the rules")
    totals: dict[str, Counter[str]] = {name: Counter() for name in ("prompt_type", "split", "source")}
    with parquet_writer(prompts, PROMPT_SCHEMA) as write:
        for path in context.progress.track(prepared, "choose prompts"):
            kept = list(_resolved(filters.kept(read_prepared(path)), compiled, curate, rules, resolved))
            for name, counter in totals.items():
                counter.update(str(getattr(prompt, name)) for prompt in kept)
            if kept:
                write(to_table(kept, Prompt))
        filters.check(raw)
        if not resolved.kept:
            problem, hint = "no prompt has a rule in force", "check the date and the rules"
            raise DataError(problem, file=corpus, field="rules.at", value=rules.at, hint=hint)
    steps = [step.to_json() for step in (*filters.steps, resolved)]
    write_json(counts, {"steps": steps, **{f"by_{name}": dict(sorted(counter.items())) for name, counter in totals.items()}})
    return {"prompts": resolved.kept, "loaded": filters.loaded.kept}


def _load(source: SourceConfig, raw: Path, corpus: Corpus, at: date) -> Iterator[RawPrompt]:
    """Yield the prompts of a source; people's own ones have a category as far as a rule is like them."""
    rows = stream_source(source, raw, corpus)
    return with_categories(rows, corpus, at) if source.is_own else rows


@dataclass
class _Step:
    """The number of rows that a step kept and dropped."""

    step: str
    kept: int = 0
    dropped: int = 0
    examples: list[dict[str, str]] = field(default_factory=list)
    by_source: Counter[str] = field(default_factory=Counter)

    def keep(self, row: RawPrompt, as_many: int = 1) -> None:
        self.kept += as_many
        self.by_source[row.source] += as_many

    def drop(self, row: RawPrompt, reason: str) -> None:
        self.dropped += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append({"prompt": row.prompt, "reason": reason})

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "by_source": dict(sorted(self.by_source.items()))}


class _Filters:
    """The steps that drop rows, in order; of two duplicates the earlier one stays."""

    def __init__(self, config: CurateConfig, evaluation: Sequence[str]) -> None:
        self._config, self._evaluation = config, evaluation
        self._sources: dict[bytes, str] = {}
        self._near = NearDuplicates(config.near_duplicate_similarity, config.minhash_permutations)
        self.loaded = _Step("loaded")
        self._filters: tuple[tuple[_Step, Callable[[Prepared], str | None]], ...] = (
            (_Step("length"), self._length),
            (_Step("exact duplicates"), self._exact_duplicate),
            (_Step("near-duplicates"), self._near_duplicate),
            (_Step("decontamination"), self._contaminated),
        )

    @property
    def steps(self) -> tuple[_Step, ...]:
        """Each step with its counts, in order."""
        return (self.loaded, *(step for step, _ in self._filters))

    def kept(self, rows: Iterable[Prepared]) -> Iterator[RawPrompt]:
        """Yield the rows that every step keeps."""
        for row in rows:
            self.loaded.keep(row.row)
            if self._passes(row):
                yield row.row

    def check(self, raw: Path) -> None:
        """Raise a `DataError` that names the first step after which no row was left, if there is one."""
        if (empty := next((step for step in self.steps if not step.kept), None)) is not None:
            raise DataError("no prompt is left", file=raw, field=empty.step, hint="check the sources and the thresholds of `curate`")

    def _passes(self, row: Prepared) -> bool:
        for step, reason_of in self._filters:
            if (reason := reason_of(row)) is not None:
                step.drop(row.row, reason)
                return False
            step.keep(row.row)
        return True

    def _length(self, row: Prepared) -> str | None:
        return None if self._config.fits(row.row.prompt) else f"{len(row.row.prompt)} characters"

    def _exact_duplicate(self, row: Prepared) -> str | None:
        if (source := self._sources.get(row.content)) is not None:
            return f"same as one of {source}"
        self._sources[row.content] = row.row.source
        return None

    def _near_duplicate(self, row: Prepared) -> str | None:
        """Compare only prompts that the same rule decides."""
        near = None if row.signature is None else self._near.find(row.row.prompt, row.signature, row.row.rule_id)
        return None if near is None else f"almost {near!r}"

    def _contaminated(self, row: Prepared) -> str | None:
        hit = row.contamination
        return None if hit is None else f"{hit.kind}: {self._evaluation[hit.evaluation]!r}"


def _resolved(rows: Iterable[RawPrompt], corpus: Corpus, curate: CurateConfig, rules: RulesConfig, step: _Step) -> Iterator[Prompt]:
    for row in rows:
        if variants := resolve([row], corpus, rules.at):
            step.keep(row, as_many=len(variants))
            split = _split(row, curate)
            yield from (dataclasses.replace(prompt, split=split) for prompt in variants)
        else:
            step.drop(row, f"rule {row.rule_id} is nowhere in force")


def _split(row: RawPrompt, config: CurateConfig) -> Split:
    """Choose the split by content and source alone: both jurisdictions of a dual-use prompt fall into one split."""
    if content_fraction(row.prompt, "split") < config.validation_fraction:
        return Split.VALIDATION
    is_for_rl = row.source in config.rl_sources or content_fraction(row.family or row.prompt, "rl") < config.rl_fraction
    return Split.RL if is_for_rl else Split.TRAIN
