"""Every rollout of reinforcement learning as a row: what was asked, looked up and written, its verdict, reward and advantage.

    STATE/rollouts/step-000001.parquet   a file for each step, written once its advantages are known
    rollouts.parquet                     the output: all of them, a row group for each step

A file is written whole or not at all. A training that resumes from a save writes the steps after it again under the same names, so no step
is there twice. Equal rollouts give equal bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from ascl_core.artifacts import parquet_writer, read_parquet, write_parquet
from ascl_core.errors import RuleError, TrainingError
from ascl_core.rl.scoring import ScoredBatch
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.editions import RuleEdition
from ascl_core.vocabulary import Harm, Refusal

Row = dict[str, Any]


def _struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


def _always(**columns: pa.DataType) -> list[pa.Field]:
    """Return columns that no row leaves empty."""
    return [pa.field(name, kind, nullable=False) for name, kind in columns.items()]


_TEXT, _NUMBER, _YES_NO = pa.string(), pa.int32(), pa.bool_()
SCHEMA = pa.schema(
    [
        *_always(step=_NUMBER, group=_NUMBER, sample=_NUMBER),
        *_always(prompt_id=_TEXT, prompt=_TEXT, prompt_type=_TEXT, policy=_TEXT, jurisdiction=_TEXT),
        pa.field("rule_id", _TEXT),
        *_always(edition=_NUMBER, corpus_digest=_TEXT),
        *_always(look_ups=pa.list_(_struct(query=_TEXT, category=_TEXT, top_k=_NUMBER))),
        *_always(rules=pa.list_(_struct(id=_TEXT, version=_TEXT))),
        *_always(text=_TEXT, answer=_TEXT, finished=_YES_NO, valid=_YES_NO),
        pa.field("problem", _TEXT),
        *_always(mode=_TEXT),
        *(pa.field(name, _TEXT) for name in ("refusal", "harm", "judge", "detail")),
        *_always(outcome=_TEXT, correct=_YES_NO, terms=pa.map_(_TEXT, pa.float64())),
        pa.field("reward", pa.float64()),
        *_always(weight=pa.float32(), advantage=pa.float32()),
    ]
)
"""A row for each rollout; docs/lineage-rows.md says what the columns mean. `reward` is null where no judge could say."""


def describe(inputs: Sequence[Mapping[str, Any]], batch: ScoredBatch, texts: Sequence[str], editions: Sequence[RuleEdition]) -> list[Row]:
    """Return the rows of rollouts in their order, without step, group, sample, weight and advantage.

    `inputs` are the rows of the trainer's data set: messages, the prompt's id, and the edition of the rules.
    """
    return list(_rows(inputs, batch, texts, editions))


def _rows(inputs: Sequence[Mapping[str, Any]], batch: ScoredBatch, texts: Sequence[str], editions: Sequence[RuleEdition]) -> Iterator[Row]:
    for given, prompt, fact, part, verdict, text in zip(
        inputs, batch.prompts, batch.facts, batch.parts, batch.verdicts, texts, strict=True
    ):
        edition = int(given["edition"])
        corpus = editions[edition].corpus
        yield {
            "prompt_id": prompt.id,
            "prompt": str(given["prompt"][-1]["content"]),
            "prompt_type": str(prompt.prompt_type),
            "policy": str(prompt.policy),
            "jurisdiction": prompt.jurisdiction,
            "rule_id": prompt.rule_id,
            "edition": edition,
            "corpus_digest": corpus.digest,
            "look_ups": [{"query": call.query, "category": call.category, "top_k": call.top_k} for call in fact.calls],
            "rules": [{"id": rule_id, "version": _version(corpus, rule_id)} for rule_id in fact.consulted],
            "text": text,
            "answer": fact.answer,
            "finished": fact.finished,
            "valid": fact.valid,
            "problem": fact.problem,
            "mode": str(fact.mode),
            "refusal": verdict and str(verdict.refusal),
            "harm": verdict and str(verdict.harm),
            "judge": verdict and verdict.judge,
            "detail": verdict and verdict.detail,
            "outcome": part.outcome,
            "correct": part.correct,
            "terms": list(part.components.items()),
            "reward": part.total,
        }


def _version(corpus: Corpus, rule_id: str) -> str | None:
    """Return the version of a rule; None if there is no such rule, which only a forged result could name."""
    with suppress(RuleError):
        return corpus.rule(rule_id).version
    return None


class RolloutLog:
    """Keeps the rollouts of a training under its state folder; the first process alone writes."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "rollouts"
        self.anew = f"remove {state}, and run again: training then starts anew"
        """The hint where the rollouts cannot be used."""
        self.seconds = 0.0
        """What this process spent on writing."""

    def write(self, step: int, rows: Sequence[Row], weights: Sequence[float], advantages: Sequence[float], group_size: int) -> None:
        """Write the rollouts of a step, counted from 1; groups are contiguous."""
        started = time.monotonic()
        placed = [
            {"step": step, "group": i // group_size, "sample": i % group_size, **row, "weight": weight, "advantage": advantage}
            for i, (row, weight, advantage) in enumerate(zip(rows, weights, advantages, strict=True))
        ]
        write_parquet(self._file(step), pa.Table.from_pylist(placed, schema=SCHEMA))
        self.seconds += time.monotonic() - started

    def publish(self, steps: int, file: Path) -> int:
        """Write the rollouts of all steps to one file, and return their number; `TrainingError` names a step that is missing."""
        started, count = time.monotonic(), 0
        with parquet_writer(file, SCHEMA) as write:
            for table in self._tables(steps):
                write(table)
                count += table.num_rows
        self.seconds += time.monotonic() - started
        return count

    def unjudged(self, steps: int) -> tuple[int, int]:
        """Return how many responses of all steps the judge had no verdict on, and how many it was asked about."""
        columns = ("answer", "refusal", "harm")
        rows = (row for table in self._tables(steps) for row in table.select(columns).to_pylist())
        asked = [row for row in rows if row["refusal"] is not None and row["answer"].strip()]
        return sum(row["refusal"] == Refusal.UNKNOWN and row["harm"] == Harm.UNKNOWN for row in asked), len(asked)

    def _tables(self, steps: int) -> Iterator[pa.Table]:
        for step in range(1, steps + 1):
            if not self._file(step).exists():
                raise TrainingError(f"the rollouts of step {step} are missing", file=self._file(step), hint=self.anew)
            yield read_parquet(self._file(step))

    def _file(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}.parquet"
