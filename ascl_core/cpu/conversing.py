"""Conversations sampled to their ends with one cache: decoding and the tool loop together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ascl_core.conversation.tool_loop import OpenConversation
from ascl_core.cpu.decoding import decode

Room = Callable[[OpenConversation], int]
"""Returns how many tokens the next turn of a conversation may have."""


def converse(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[OpenConversation],
    *,
    room: Room,
    ends: Collection[int],
    temperature: float,
    generator: torch.Generator | None,
    top_p: float = 1.0,
) -> None:
    """Continue every conversation to its end; one whose next turn has no room ends there, unfinished.

    A turn ends with one of the token ids `ends`. Temperature, generator and top_p are those of `decode`.
    """
    speaking = [speaker for one in conversations if (speaker := Speaker(one, tokenizer, room, ends)).starts()]
    if speaking:
        inputs = [speaker.conversation.input_ids for speaker in speaking]
        decode(model, inputs, lambda row, token, _: speaking[row].take(token), temperature=temperature, generator=generator, top_p=top_p)


@dataclass
class Speaker:
    """A conversation that is sampled token by token, in the turn that it is in."""

    conversation: OpenConversation
    tokenizer: Any
    room: Room
    ends: Collection[int]
    ids: list[int] = field(default_factory=list)
    """The tokens of the turn so far."""
    most: int = 0
    """The most tokens that the turn may have."""

    def starts(self) -> bool:
        """Return whether there is room for the next turn; a conversation without room ends here, unfinished."""
        self.most = self.room(self.conversation)
        if self.most <= 0:
            self.conversation.take_turn([], self.tokenizer)
        return self.conversation.open

    def take(self, token: int) -> list[int] | None:
        """Append a sampled token; return the tool's answer where the token ended a call, and None where it ended the last turn."""
        self.ids.append(token)
        if token not in self.ends and len(self.ids) < self.most:
            return []
        conversation, ids = self.conversation, self.ids
        read = len(conversation.completion_ids) + len(ids)
        self.ids = []
        conversation.take_turn(ids, self.tokenizer)
        return conversation.completion_ids[read:] if conversation.open and self.starts() else None
