"""From trajectories to training samples: whole conversations, or one sample for each assistant turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ascl_core.artifacts import sha256_json
from ascl_core.contracts import Message
from ascl_core.conversation.content import neutralise
from ascl_core.conversation.formats import end_ids, native

LAST_TURN = "last_turn"
"""The value of `loss_on` of a sample in which the last turn alone carries loss; without the key every assistant turn does."""
NO_LOSS = -100
"""The label of a token that carries no loss."""


def by_turn(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one row for each assistant turn of each trajectory: the conversation up to it, with loss on it alone.

    Mode, rules and every other column remain those of the whole trajectory; the id follows from the messages.
    """
    for row in rows:
        messages = list(row["messages"])
        for end, message in enumerate(messages, start=1):
            if message["role"] == "assistant":
                yield {**row, "id": sha256_json([row["arm"], messages[:end]])[:16], "messages": messages[:end], "loss_on": LAST_TURN}


Example = dict[str, list[int]]
"""`input_ids` and `labels` of one sample."""
Schemas = Sequence[dict[str, Any]]


def to_examples(rows: Iterable[Mapping[str, Any]], tokenizer: Any, tools: Schemas | None = None) -> list[Example]:
    """Return `input_ids` and `labels` of each row, rendered by the tokenizer's own template, which marks what the assistant wrote.

    `tools` are the schemas that the opening offers, as in evaluation. A turn's last label is the token that ends generation, also where a
    template marks the white space behind it.
    """
    return [_example(row["messages"], row.get("loss_on") == LAST_TURN, tokenizer, tools) for row in rows]


def _example(messages: Sequence[Message], last_turn: bool, tokenizer: Any, tools: Schemas | None) -> Example:
    shown = native(neutralise(messages, tokenizer)[0], tokenizer)
    options: dict[str, Any] = {"tools": tools, "tokenize": True}
    whole = tokenizer.apply_chat_template(shown, return_dict=True, return_assistant_tokens_mask=True, **options)
    ids, mask = whole["input_ids"], whole["assistant_masks"]
    start = len(tokenizer.apply_chat_template(shown[:-1], add_generation_prompt=True, return_dict=False, **options)) if last_turn else 0
    ends, labels, ended = end_ids(tokenizer), [], False
    for position, (token, marked) in enumerate(zip(ids, mask, strict=True)):
        ended = ended and bool(marked)
        labels.append(token if marked and not ended and position >= start else NO_LOSS)
        ended = ended or (bool(marked) and token in ends)
    return {"input_ids": ids, "labels": labels}
