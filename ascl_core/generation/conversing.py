"""Conversations sampled to their ends with one cache: the decoding of tokens and the tool loop, put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ascl_core.generation.decoding import decode
from ascl_core.generation.tool_loop import OpenConversation

Room = Callable[[OpenConversation], int]
"""How many tokens the next turn of a conversation may have."""


def converse(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[OpenConversation],
    *,
    room: Room,
    ends: Collection[int],
    temperature: float,
    generator: torch.Generator | None,
) -> None:
    """Every conversation to its end; one whose next turn has no room ends there, unfinished.

    A turn ends with one of the token ids `ends`. Temperature and generator are those of `decode`.
    """
    fitting = []
    for conversation in conversations:
        turn = _Turn(conversation, room(conversation))
        if turn.room > 0:
            fitting.append(turn)
        else:
            conversation.take_turn([], tokenizer)

    def take(row: int, token: int, _: float) -> list[int] | None:
        turn = fitting[row]
        turn.ids.append(token)
        return _end(turn, tokenizer, room) if token in ends or len(turn.ids) == turn.room else []

    if fitting:
        inputs = [turn.conversation.input_ids for turn in fitting]
        decode(model, inputs, take, temperature=temperature, generator=generator)


@dataclass
class _Turn:
    """The turn that a conversation is in."""

    conversation: OpenConversation
    room: int
    """The most tokens that it may have."""
    ids: list[int] = field(default_factory=list)


def _end(turn: _Turn, tokenizer: Any, room: Room) -> list[int] | None:
    """Close the turn; the tokens of the tool's answer where the conversation goes on."""
    conversation = turn.conversation
    read = len(conversation.completion_ids) + len(turn.ids)
    conversation.take_turn(turn.ids, tokenizer)
    turn.ids, turn.room = [], room(conversation)
    if conversation.open and turn.room <= 0:
        conversation.take_turn([], tokenizer)
    return conversation.completion_ids[read:] if conversation.open else None
