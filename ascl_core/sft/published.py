"""Public sets of prompts with reasoning and answers as SFT data: the baselines STAR-1, STAR-1-mix and SafeChain (paper, section 5).

A row becomes a conversation in our template: the opening, then one turn that thinks and answers. There is no tool in it, so that
`conversation.variant: pure` is what such a model is trained and evaluated with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_json, write_jsonl
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.sources import SourceConfig
from ascl_core.contracts import Prompt, Trajectory
from ascl_core.conversation.template import END_THINK, SPECIAL_TAGS, THINK, answering_turn
from ascl_core.conversation.variants import open_conversation
from ascl_core.data.raw_prompt import clean, prompt_id
from ascl_core.data.row import Row
from ascl_core.data.sources import choose_rows
from ascl_core.data.tables import read_rows
from ascl_core.errors import DataError
from ascl_core.sft.acceptance import too_long
from ascl_core.vocabulary import Mode, PromptType, ResponsePolicy

_EVERYWHERE = "ANY"
"""The jurisdiction of prompts that are never looked up."""


@dataclass(frozen=True)
class Published:
    """The columns of one public set."""

    prompt: str
    answer: str
    """The answer; without a reasoning column it starts with the reasoning, up to `</think>`, with or without the tag that opens it."""
    reasoning: str | None = None
    prompt_type: PromptType = PromptType.BORDERLINE
    """The type of every prompt, unless a label says otherwise."""
    label: str | None = None
    types: Mapping[str, PromptType] = field(default_factory=dict)
    """The type for each label."""


SETS: dict[str, Published] = {
    "star1": Published("question", "response", prompt_type=PromptType.HARMFUL),
    "star1_benign": Published("question", "response"),
    "safechain": Published(
        "instruction",
        "response",
        label="label",
        types={
            "vanilla_harmful": PromptType.HARMFUL,
            "adversarial_harmful": PromptType.HARMFUL,
            "vanilla_benign": PromptType.BORDERLINE,
            "adversarial_benign": PromptType.BORDERLINE,
        },
    ),
}
ARMS: dict[str, tuple[str, ...]] = {"star1": ("star1",), "star1_mix": ("star1", "star1_benign"), "safechain": ("safechain",)}
"""The sets that each baseline trains on: 1,000, 1,915 and 40,000 rows."""


def write_published(
    path: Path,
    arm: str,
    sources: Mapping[str, SourceConfig],
    conversation: ConversationConfig,
    max_words: int | None = None,
    shapes: Mapping[str, Published] = SETS,
) -> dict[str, Any]:
    """Write the trajectories of a baseline of `ARMS`, and return how many rows were kept and rejected, and why.

    `sources` says where each of the arm's sets is. Rows with more words than `max_words` are rejected, as those of a teacher are.
    `DataError` names a missing column, or the file of which no row is left.
    """
    read = [row for name in ARMS[arm] for row in read_published(arm, sources[name], shapes[name], conversation)]
    fitting = [too_long(row.messages, max_words) or row if isinstance(row, Trajectory) else row for row in read]
    kept = list({row.id: row for row in fitting if isinstance(row, Trajectory)}.values())
    reasons = Counter(row for row in fitting if isinstance(row, str))
    if not kept:
        why = ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3))
        raise DataError("no row is left", file=sources[ARMS[arm][0]].path, value=why, hint="check the file, or raise build_sft.max_words")
    write_jsonl(path, (asdict(row) for row in kept))
    reasons["the same as another row"] = len(read) - reasons.total() - len(kept)
    return {
        "written": len(read),
        "kept": len(kept),
        "rejected": len(read) - len(kept),
        "by_mode": {str(Mode.DIRECT): len(kept)},
        "by_type": dict(sorted(Counter(str(row.prompt_type) for row in kept).items())),
        "reasons": {reason: count for reason, count in sorted(reasons.items()) if count},
        "examples_rejected": [],
    }


def read_published(arm: str, source: SourceConfig, shape: Published, conversation: ConversationConfig) -> Iterator[Trajectory | str]:
    """Yield the trajectory of each row, in their order, or why a row has none; at most `max_rows` rows, by a hash of their prompts."""
    needed = [(column,) for column in (shape.prompt, shape.answer, shape.reasoning, shape.label) if column]
    rows = read_rows(source, needed)
    if source.max_rows is not None:
        rows = choose_rows(rows, source.max_rows, lambda row: row.text(shape.prompt) or "")
    for row in rows:
        yield _trajectory(arm, row, source, shape, conversation)


def _trajectory(arm: str, row: Row, source: SourceConfig, shape: Published, conversation: ConversationConfig) -> Trajectory | str:
    text = clean(row.text(shape.prompt) or "")
    thought, answer = _response(row, shape)
    if problem := "no prompt" if not text else "no reasoning" if not thought else "no answer" if not answer else None:
        return problem
    if any(tag in thought + answer for tag in SPECIAL_TAGS):
        return "markup in the reasoning or the answer"
    kind = _type(row, shape)
    policy = ResponsePolicy.REFUSE_EXPLAIN if kind is PromptType.HARMFUL else ResponsePolicy.COMPLY
    prompt = Prompt(prompt_id(text, _EVERYWHERE), text, kind, policy, source.name, source.licence, _EVERYWHERE)
    messages = (*open_conversation(prompt, conversation), answering_turn(thought, answer))
    return Trajectory(
        id=sha256_json([arm, list(messages)])[:16],
        prompt_id=prompt.id,
        arm=arm,
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


def _response(row: Row, shape: Published) -> tuple[str, str]:
    """Return thought and answer, empty where the row has none."""
    answer = row.text(shape.answer) or ""
    if shape.reasoning is not None:
        return (row.text(shape.reasoning) or "").strip(), answer.strip()
    thought, closed, rest = answer.partition(END_THINK)
    return thought.strip().removeprefix(THINK).strip() if closed else "", rest.strip()


def _type(row: Row, shape: Published) -> PromptType:
    if shape.label is None:
        return shape.prompt_type
    label = row.label(shape.label)
    if label not in shape.types:
        raise row.error("unknown label", column=shape.label, value=label, hint=f"expected one of {', '.join(shape.types)}")
    return shape.types[label]
