"""From trajectories to training samples: whole conversations, or one sample for each assistant turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ascl_core.artifacts import sha256_json

LAST_TURN = "last_turn"
"""The value of `loss_on` of a sample in which the last turn alone carries loss; without the key every assistant turn does."""


def by_turn(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one row for each assistant turn of each trajectory: the conversation up to it, with loss on it alone.

    Mode, rules and every other column remain those of the whole trajectory; the id follows from the messages.
    """
    for row in rows:
        messages = list(row["messages"])
        for end, message in enumerate(messages, start=1):
            if message["role"] == "assistant":
                yield {**row, "id": sha256_json([row["arm"], messages[:end]])[:16], "messages": messages[:end], "loss_on": LAST_TURN}


def to_examples(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows as TRL reads them: `messages`, or `prompt` and `completion` where the last turn alone carries loss."""
    rows = list(rows)
    if not any(row.get("loss_on") == LAST_TURN for row in rows):
        return [{"messages": _plain(row["messages"])} for row in rows]
    split = [_plain(row["messages"]) for row in rows]
    return [{"prompt": messages[:-1], "completion": messages[-1:]} for messages in split]


def messages_of(example: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the whole conversation of an example."""
    return list(example["messages"] if "messages" in example else example["prompt"] + example["completion"])


def _plain(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give every message the same keys, so that Arrow infers one schema."""
    keys = ("role", "content", "reasoning_content", "tool_calls", "name")
    return [{key: message.get(key) for key in keys} for message in messages]
