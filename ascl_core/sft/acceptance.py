"""The selection of trajectories: those that are well-formed and right; each rejection has a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ascl_core.contracts import Message, Prompt, RolloutFacts
from ascl_core.conversation.content import neutralise
from ascl_core.conversation.template import completion_text
from ascl_core.conversation.tool import TOOL_NAME
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.judges import Item, Judge
from ascl_core.rewards.answers import verify
from ascl_core.rewards.outcome import missing_elements
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType, Refusal

Draft = tuple[Prompt, list[Message]]
Rejected = tuple[Draft, str]
"""A draft, and why it is not kept."""
_RIGHT_REFUSALS = {
    PromptType.HARMFUL: {Refusal.FULL},
    PromptType.BORDERLINE: {Refusal.NONE},
    PromptType.SENSITIVE: {Refusal.NONE, Refusal.PARTIAL},
    PromptType.UTILITY: {Refusal.NONE},
}


def accept(
    drafts: Sequence[Draft], judge: Judge, corpus: Corpus, max_tool_calls: int, max_words: int | None
) -> tuple[list[Draft], list[Rejected]]:
    """Split the drafts into those that are well-formed and right, and the others with their reasons."""
    facts = [facts_of(messages, max_tool_calls) for _, messages in drafts]
    items = [Item.of(prompt, fact.answer) for (prompt, _), fact in zip(drafts, facts, strict=True)]
    kept: list[Draft] = []
    rejected: list[Rejected] = []
    for draft, fact, verdict in zip(drafts, facts, judge.judge(items), strict=True):
        faulty = "a faulty tool call" if fact.faulty else None
        as_text = "the answer names the tool" if TOOL_NAME in fact.answer else None
        problem = fact.problem or faulty or as_text or stray_tag(draft[1]) or too_long(draft[1], max_words)
        reason = problem or _wrong(draft[0], fact.answer, verdict.refusal, corpus)
        kept.append(draft) if reason is None else rejected.append((draft, reason))
    return kept, rejected


def facts_of(messages: Sequence[Message], max_tool_calls: int | None = None) -> RolloutFacts:
    """Return the facts of a teacher's conversation, read as a rollout of the student would be."""
    return read_rollout(completion_text(messages), finished=True, max_tool_calls=max_tool_calls)


def counts_of(kept: Sequence[Mapping[str, Any]], reasons: Counter[str]) -> dict[str, Any]:
    """Return how many trajectories were written and kept, and how many were rejected for each reason."""
    return {
        "written": len(kept) + reasons.total(),
        "kept": len(kept),
        "rejected": reasons.total(),
        "by_mode": dict(sorted(Counter(str(row["mode"]) for row in kept).items())),
        "by_type": dict(sorted(Counter(str(row["prompt_type"]) for row in kept).items())),
        "reasons": dict(sorted((+reasons).items())),
        "examples_rejected": [],
    }


def stray_tag(messages: Sequence[Message]) -> str | None:
    """Return the problem of a teacher that writes tags among its words; broken up for training they would teach nothing."""
    _, found = neutralise([message for message in messages if message["role"] == "assistant"])
    return "a stray tag in what the teacher wrote" if found else None


def too_long(messages: Sequence[Message], max_words: int | None) -> str | None:
    """Return the reason if the assistant wrote more words than that, thoughts and answers together."""
    written = [f"{message.get('reasoning_content', '')} {message['content']}" for message in messages if message["role"] == "assistant"]
    return f"over {max_words} words" if max_words is not None and len(" ".join(written).split()) > max_words else None


def _wrong(prompt: Prompt, answer: str, refusal: Refusal, corpus: Corpus) -> str | None:
    if refusal not in _RIGHT_REFUSALS[prompt.prompt_type]:
        return f"refusal is {refusal} on a {prompt.prompt_type} prompt"
    if prompt.answer is not None and not verify(answer, prompt.answer, prompt.answer_kind or "math", prompt.choices)[0]:
        return "the answer is wrong"
    if prompt.prompt_type is PromptType.SENSITIVE and prompt.rule_id:
        missing = missing_elements(answer, corpus.rule(prompt.rule_id).safe_completion)
        return f"lacks {', '.join(missing)}" if missing else None
    return None
