"""The stage `curate`: which prompts are trained on, with counts and examples of what each step dropped.

It streams: the sources are loaded shard by shard, what depends on one row alone is found for each shard by itself (on this machine or
on an engine), and one pass in the order of the sources decides which rows stay. What grows with the number of rows is what that pass
remembers of those it kept: a digest of each, and for near-duplicates a signature and the text.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ascl_core.artifacts import parquet_writer, write_json
from ascl_core.config.curate import CurateConfig
from ascl_core.config.engine import EngineConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import PROMPT_SCHEMA, Prompt, StageContext, to_table
from ascl_core.data.near_duplicates import NearDuplicates
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

    `evaluation` holds the prompts of the suites, which none of them may contain. The engine changes no byte of what is written.
    """
    compiled = load_corpus(corpus)
    rows = (row for source in curate.sources for row in stream_source(source, raw, compiled))
    folder = context.state / "shards"
    number = write_raw(context.progress.track(rows, "load prompts"), folder / "raw")
    jobs = [Preparation(shard(folder / "raw", i), shard(folder / "prepared", i), evaluation, curate) for i in range(number)]
    done = context.map(prepare, jobs, engine)
    prepared = list(context.progress.track(done, "prepare shards", number))
    sieve = _Sieve(curate, evaluation_texts(evaluation))
    resolved, result = _Step("resolved against the rules"), _Breakdown()
    with parquet_writer(prompts, PROMPT_SCHEMA) as write:
        for path in context.progress.track(prepared, "choose prompts"):
            some = list(_resolved(sieve.kept(read_prepared(path)), compiled, curate, rules, resolved))
            result.add(some)
            if some:
                write(to_table(some, Prompt))
        sieve.check(raw)
        if not result.rows:
            raise DataError(
                "no prompt has a rule in force", file=corpus, field="rules.at", value=rules.at, hint="check the date and the rules"
            )
    steps = [step.to_json() for step in (*sieve.steps, resolved)]
    write_json(counts, {"steps": steps, **result.to_json()})
    return {"prompts": result.rows, "loaded": sieve.loaded.kept}


@dataclass
class _Step:
    """What one step kept and dropped so far."""

    name: str
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
        by_source = dict(sorted(self.by_source.items()))
        return {"step": self.name, "kept": self.kept, "dropped": self.dropped, "examples": self.examples, "by_source": by_source}


class _Sieve:
    """Which rows stay, in the order in which they come: of two duplicates the earlier one."""

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
        """Those of the next rows that every step keeps."""
        for row in rows:
            self.loaded.keep(row.row)
            if self._passes(row):
                yield row.row

    def check(self, raw: Path) -> None:
        """`DataError` names the first step after which no row was left."""
        if (step := next((step for step in self.steps if not step.kept), None)) is not None:
            hint = "check the sources and the thresholds of `curate`"
            raise DataError("no prompt is left", file=raw, field=step.name, hint=hint)

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
        """Only prompts that one rule decides are compared."""
        if row.signature is None:
            return None
        near = self._near.find(row.row.prompt, row.signature, row.row.rule_id)
        return None if near is None else f"almost {near!r}"

    def _contaminated(self, row: Prepared) -> str | None:
        hit = row.contamination
        return None if hit is None else f"{hit.kind}: {self._evaluation[hit.evaluation]!r}"


class _Breakdown:
    """How many prompts there are of each type, split and source."""

    def __init__(self) -> None:
        self.rows = 0
        self._by: dict[str, Counter[str]] = {name: Counter() for name in ("prompt_type", "split", "source")}

    def add(self, prompts: Sequence[Prompt]) -> None:
        self.rows += len(prompts)
        for name, counter in self._by.items():
            counter.update(str(getattr(prompt, name)) for prompt in prompts)

    def to_json(self) -> dict[str, dict[str, int]]:
        return {f"by_{name}": dict(sorted(counter.items())) for name, counter in self._by.items()}


def _resolved(rows: Iterable[RawPrompt], corpus: Corpus, curate: CurateConfig, rules: RulesConfig, step: _Step) -> Iterator[Prompt]:
    for row in rows:
        variants = resolve([row], corpus, rules.at)
        if not variants:
            step.drop(row, f"rule {row.rule_id} is nowhere in force")
            continue
        step.keep(row, as_many=len(variants))
        split = _split(row, curate)
        yield from (dataclasses.replace(prompt, split=split) for prompt in variants)


def _split(row: RawPrompt, config: CurateConfig) -> Split:
    """By content alone, without the jurisdiction: both sides of a dual-use prompt fall into one split."""
    if content_fraction(row.prompt, "split") < config.validation_fraction:
        return Split.VALIDATION
    return Split.RL if content_fraction(row.family or row.prompt, "rl") < config.rl_fraction else Split.TRAIN
