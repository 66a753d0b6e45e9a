"""Loading prompts from any source: the seeds of this repository, the public data sets in their own formats, any table."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from ascl_core.catalogue import dataset
from ascl_core.config.sources import OWN, ROWS, SourceConfig
from ascl_core.data.raw_prompt import RawPrompt, content_hash
from ascl_core.data.seeds import own_prompts
from ascl_core.data.shaped import shaped_prompts
from ascl_core.data.tables import empty, read_rows
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType

T = TypeVar("T")


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
    for row in rows if source.max_rows is None else choose_rows(rows, source.max_rows, lambda row: row.prompt):
        is_empty = False
        yield row
    if is_empty:
        raise empty(source.path or own, source)


def choose_rows(rows: Iterable[T], count: int, prompt: Callable[[T], str]) -> Iterator[T]:
    """Yield `count` of the rows, chosen by a hash of their prompts, in their order."""
    hashed = ((content_hash(prompt(row), "max_rows"), number, row) for number, row in enumerate(rows))
    chosen = heapq.nsmallest(count, hashed, key=lambda item: item[:2])
    return (row for _, _, row in sorted(chosen, key=lambda item: item[1]))


def _rows(source: SourceConfig, corpus: Corpus) -> Iterator[RawPrompt]:
    rules = {rule.id for rule in corpus.rules}
    for row in read_rows(source, [(name,) for name in (source.prompt_column, source.answer_column) if name]):
        kind, rule = row.text("prompt_type") or source.prompt_type, row.text("rule_id")
        if kind not in set(PromptType):
            raise row.error("no prompt type", value=kind, hint=f"one of {', '.join(PromptType)}")
        if (prompt := row.text(source.prompt_column)) is None:
            raise row.error("prompt is empty", hint="fill it in or drop the row")
        if rule is not None and rule not in rules:
            near = difflib.get_close_matches(rule.upper(), rules, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else "an id of data/rules, or nothing"
            raise row.error("no such rule", column="rule_id", value=rule, hint=hint)
        answer = row.text(source.answer_column) if source.answer_column else None
        yield RawPrompt(
            prompt=prompt,
            prompt_type=PromptType(kind),
            source=source.name,
            licence=source.licence,
            category=row.text("category"),
            rule_id=rule,
            answer=answer,
            answer_kind=row.text("answer_kind") or ("math" if answer else None),
            choices=row.text("choices"),
        )
