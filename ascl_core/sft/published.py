"""Public sets of prompts with reasoning and answers as SFT data: the baselines STAR-1, STAR-1-mix and SafeChain (paper, section 5).

A row becomes a conversation in our template: the opening, then one turn that thinks and answers. There is no tool in it, so that
`conversation.variant: pure` is what such a model is trained and evaluated with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_json, write_jsonl
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.sft_data import LOADERS, PublicSet, SftData
from ascl_core.config.sources import SourceConfig
from ascl_core.contracts import Prompt, Trajectory
from ascl_core.conversation.template import END_THINK, SPECIAL_TAGS, THINK, answering_turn
from ascl_core.conversation.variants import open_conversation
from ascl_core.data.raw_prompt import clean, prompt_id
from ascl_core.data.row import Row, column_at
from ascl_core.data.sources import choose_rows
from ascl_core.data.tables import read_rows
from ascl_core.errors import DataError
from ascl_core.sft.acceptance import counts_of, too_long
from ascl_core.vocabulary import ANYWHERE, Mode, PromptType, ResponsePolicy

Sample = tuple[str, str, str, PromptType]
"""Prompt, thought, answer and type of one row of a public set; a text that it lacks is empty."""


def write_published(
    path: Path, data: SftData, sources: Mapping[str, SourceConfig], conversation: ConversationConfig, max_words: int | None = None
) -> dict[str, Any]:
    """Write the trajectories of public sets, and return how many rows were kept and rejected, and why; none if a set has no source.

    `sources` says where each of the sets is. Rows with more words than `max_words` are rejected, as those of a teacher are.
    `DataError` names a missing column, or the file of which no row is left.
    """
    if not {one.name for one in data.arm.sets} <= sources.keys():
        write_jsonl(path, [])
        return {}
    read = [row for one in data.arm.sets for row in read_published(data, sources[one.name], one, conversation)]
    fitting = [too_long(row.messages, max_words) or row if isinstance(row, Trajectory) else row for row in read]
    kept = list({row.id: row for row in fitting if isinstance(row, Trajectory)}.values())
    reasons = Counter(row for row in fitting if isinstance(row, str))
    if not kept:
        why = ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3))
        file = sources[data.arm.sets[0].name].path
        raise DataError("no row is left", file=file, value=why, hint="check the file, or raise build_sft.max_words")
    reasons["the same as another row"] = len(read) - reasons.total() - len(kept)
    rows = [asdict(row) for row in kept]
    write_jsonl(path, rows)
    return counts_of(rows, reasons)


def read_published(data: SftData, source: SourceConfig, part: PublicSet, conversation: ConversationConfig) -> Iterator[Trajectory | str]:
    """Yield the trajectory of each row, in their order, or why a row has none; at most `max_rows` rows, by a hash of their prompts."""
    samples: Iterator[Sample] = LOADERS.load(part.loader)(source, part)
    if source.max_rows is not None:
        samples = choose_rows(samples, source.max_rows, lambda sample: sample[0])
    for sample in samples:
        yield _trajectory(data, sample, source, conversation)


def read_columns(source: SourceConfig, part: PublicSet) -> Iterator[Sample]:
    """Yield the rows of a table, by the columns that the set names; `DataError` names a missing one."""
    for row in read_rows(source, [column_at(column) for column in (part.prompt, part.answer, part.reasoning, part.label) if column]):
        yield row.text(part.prompt) or "", *_response(row, part), _type(row, part)


def _trajectory(data: SftData, sample: Sample, source: SourceConfig, conversation: ConversationConfig) -> Trajectory | str:
    written, thought, answer, kind = sample
    text = clean(written)
    if problem := "no prompt" if not text else "no reasoning" if not thought else "no answer" if not answer else None:
        return problem
    if any(tag in thought + answer for tag in SPECIAL_TAGS):
        return "markup in the reasoning or the answer"
    policy = ResponsePolicy.REFUSE_EXPLAIN if kind is PromptType.HARMFUL else ResponsePolicy.COMPLY
    prompt = Prompt(prompt_id(text, ANYWHERE), text, kind, policy, source.name, source.licence, ANYWHERE)
    messages = (*open_conversation(prompt, conversation), answering_turn(thought, answer))
    return Trajectory(
        id=sha256_json([data, list(messages)])[:16],
        prompt_id=prompt.id,
        arm=data,
        mode=Mode.DIRECT,
        prompt_type=kind,
        category=None,
        rule_ids=(),
        messages=messages,
        generator=f"published:{source.name}",
        seed=0,
        source=source.name,
        licence=source.licence,
    )


def _response(row: Row, part: PublicSet) -> tuple[str, str]:
    """Return thought and answer, empty where the row has none."""
    answer = row.text(part.answer) or ""
    if part.reasoning is not None:
        return (row.text(part.reasoning) or "").strip(), answer.strip()
    thought, closed, rest = answer.partition(END_THINK)
    return thought.strip().removeprefix(THINK).strip() if closed else "", rest.strip()


def _type(row: Row, part: PublicSet) -> PromptType:
    if part.label is None:
        return part.prompt_type
    label = row.label(part.label)
    if label not in part.types:
        raise row.error("unknown label", column=part.label, value=label, hint=f"expected one of {', '.join(part.types)}")
    return part.types[label]
