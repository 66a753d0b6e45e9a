"""Loading prompts from any source: the seeds and tables in `data/raw`, the public data sets in their own formats, any table."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from ascl_core.catalogue import dataset
from ascl_core.config.sources import OWN, ROWS, SourceConfig
from ascl_core.config.suites import SuiteConfig
from ascl_core.data.raw_prompt import RawPrompt, content_hash
from ascl_core.data.seeds import own_prompts
from ascl_core.data.shaped import shaped_prompts
from ascl_core.data.table_prompts import no_own_prompts, table_prompts
from ascl_core.data.tables import empty
from ascl_core.rules.corpus import Corpus

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
        rows = (
            table_prompts(source, corpus, needs_answers=isinstance(source, SuiteConfig))
            if source.format == ROWS
            else shaped_prompts(source, dataset(source.format))
        )
    is_empty = True
    for row in rows if source.max_rows is None else choose_rows(rows, source.max_rows, lambda row: row.prompt):
        is_empty = False
        yield row
    if is_empty:
        raise no_own_prompts(own) if source.format == OWN else empty(source.path, source)


def choose_rows(rows: Iterable[T], count: int, prompt: Callable[[T], str]) -> Iterator[T]:
    """Yield `count` of the rows, chosen by a hash of their prompts, in their order."""
    hashed = ((content_hash(prompt(row), "max_rows"), number, row) for number, row in enumerate(rows))
    chosen = heapq.nsmallest(count, hashed, key=lambda item: item[:2])
    return (row for _, _, row in sorted(chosen, key=lambda item: item[1]))
