"""Loading prompts from any source: the seeds of this repository, the public data sets in their own formats, any table."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.catalogue import dataset
from ascl_core.config.sources import OWN, ROWS, SourceConfig
from ascl_core.data.raw_prompt import RawPrompt, content_hash
from ascl_core.data.row import as_text
from ascl_core.data.seeds import own_prompts
from ascl_core.data.shaped import shaped_prompts
from ascl_core.data.tables import empty, read_tables
from ascl_core.errors import DataError
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType

if TYPE_CHECKING:
    import pandas as pd


def load_source(source: SourceConfig, own: Path, corpus: Corpus) -> list[RawPrompt]:
    """Return all prompts of `stream_source`."""
    return list(stream_source(source, own, corpus))


def stream_source(source: SourceConfig, own: Path, corpus: Corpus) -> Iterator[RawPrompt]:
    """Yield the prompts of one source, in file order, at most `max_rows` by content hash; an empty source is an error.

    In memory are the rows of one table at a time, and those that `max_rows` takes.
    """
    if source.format == OWN:
        rows = iter(own_prompts(own, corpus))
    else:
        rows = _rows(source, corpus) if source.format == ROWS else shaped_prompts(source, dataset(source.format))
    is_empty = True
    for row in rows if source.max_rows is None else _chosen(rows, source.max_rows):
        is_empty = False
        yield row
    if is_empty:
        raise empty(source.path or own, source)


def _chosen(rows: Iterable[RawPrompt], count: int) -> Iterator[RawPrompt]:
    hashed = ((content_hash(row.prompt, "max_rows"), number, row) for number, row in enumerate(rows))
    chosen = heapq.nsmallest(count, hashed, key=lambda item: item[:2])
    return (row for _, _, row in sorted(chosen, key=lambda item: item[1]))


def _rows(source: SourceConfig, corpus: Corpus) -> Iterator[RawPrompt]:
    rules, before = {rule.id for rule in corpus.rules}, 0
    for table in read_tables(source):
        yield from _rows_of(table, source, rules, before)
        before += len(table)


def _column(table: pd.DataFrame, name: str, source: SourceConfig) -> list[Any]:
    if name not in table.columns:
        raise DataError("column is missing", file=source.path, field=name, hint=f"the columns are {', '.join(map(str, table.columns))}")
    return table[name].tolist()


def _rows_of(table: pd.DataFrame, source: SourceConfig, rules: Collection[str], before: int) -> Iterator[RawPrompt]:
    """Yield the prompts of one table, which follows `before` rows."""
    prompts = _column(table, source.prompt_column, source)
    answers = _column(table, source.answer_column, source) if source.answer_column else [None] * len(prompts)
    records = table.to_dict("records")
    for number, (prompt, answer, record) in enumerate(zip(prompts, answers, records, strict=True), start=before + 1):
        kind = as_text(record.get("prompt_type")) or source.prompt_type
        if kind not in set(PromptType):
            raise DataError("no prompt type", file=source.path, field=f"row {number}", value=kind, hint=f"one of {', '.join(PromptType)}")
        if as_text(prompt) is None:
            raise DataError("prompt is empty", file=source.path, field=f"row {number}", hint="fill it in or drop the row")
        if (rule := as_text(record.get("rule_id"))) is not None and rule not in rules:
            near = difflib.get_close_matches(rule.upper(), rules, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else "an id of data/rules, or nothing"
            raise DataError("no such rule", file=source.path, field=f"row {number}, rule_id", value=rule, hint=hint)
        yield RawPrompt(
            prompt=str(prompt),
            prompt_type=PromptType(kind),
            source=source.name,
            licence=source.licence,
            category=as_text(record.get("category")),
            rule_id=rule,
            answer=as_text(answer),
            answer_kind=as_text(record.get("answer_kind")) or ("math" if as_text(answer) else None),
            choices=as_text(record.get("choices")),
        )
