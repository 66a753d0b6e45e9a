"""Loading prompts from any source: this repository's seeds, the public data sets in their own shapes, any table."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.catalogue import dataset
from ascl_core.config.sources import OWN, ROWS, SourceConfig
from ascl_core.data.raw_prompt import RawPrompt, content_hash
from ascl_core.data.row import as_text
from ascl_core.data.seeds import own_prompts
from ascl_core.data.shaped import shaped_prompts
from ascl_core.data.tables import empty, read_table
from ascl_core.errors import DataError
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType

if TYPE_CHECKING:
    import pandas as pd


def load_source(source: SourceConfig, own: Path, corpus: Corpus) -> list[RawPrompt]:
    """Every prompt of one source, in file order, at most `max_rows` by content hash; an empty source is an error."""
    rows = own_prompts(own, corpus) if source.format == OWN else list(_read(source, corpus))
    if not rows:
        raise empty(source.path or own, source)
    if source.max_rows is not None and len(rows) > source.max_rows:
        chosen = sorted(rows, key=lambda row: content_hash(row.prompt, "max_rows"))[: source.max_rows]
        kept = {id(row) for row in chosen}
        rows = [row for row in rows if id(row) in kept]
    return rows


def _read(source: SourceConfig, corpus: Corpus) -> Iterator[RawPrompt]:
    return _rows(source, corpus) if source.format == ROWS else shaped_prompts(source, dataset(source.format))


def _column(table: pd.DataFrame, name: str, source: SourceConfig) -> list[Any]:
    if name not in table.columns:
        raise DataError("column is missing", file=source.path, field=name, mend=f"the columns are {', '.join(map(str, table.columns))}")
    return table[name].tolist()


def _rows(source: SourceConfig, corpus: Corpus) -> Iterator[RawPrompt]:
    table = read_table(source)
    prompts = _column(table, source.prompt_column, source)
    answers = _column(table, source.answer_column, source) if source.answer_column else [None] * len(prompts)
    records = table.to_dict("records")
    rules = {rule.id for rule in corpus.rules}
    for number, (prompt, answer, record) in enumerate(zip(prompts, answers, records, strict=True), start=1):
        kind = as_text(record.get("prompt_type")) or source.prompt_type
        if kind not in set(PromptType):
            raise DataError("no prompt type", file=source.path, field=f"row {number}", value=kind, mend=f"one of {', '.join(PromptType)}")
        if as_text(prompt) is None:
            raise DataError("prompt is empty", file=source.path, field=f"row {number}", mend="fill it in or drop the row")
        if (rule := as_text(record.get("rule_id"))) is not None and rule not in rules:
            near = difflib.get_close_matches(rule.upper(), rules, n=1, cutoff=0.4)
            mend = f"did you mean {near[0]}?" if near else "an id of data/rules, or nothing"
            raise DataError("no such rule", file=source.path, field=f"row {number}, rule_id", value=rule, mend=mend)
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
