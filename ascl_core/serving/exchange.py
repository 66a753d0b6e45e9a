"""One request while it is answered: its conversation, token by token, and whoever listens to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ascl_core.contracts import RolloutFacts
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.errors import AsclError
from ascl_core.generation.conversing import Speaker
from ascl_core.generation.tool_loop import OpenConversation
from ascl_core.serving.splitting import Said, Splitter, TextStream


@dataclass(frozen=True)
class Outcome:
    """How a conversation ended."""

    facts: RolloutFacts
    content: str
    """The answer; of a conversation that is not valid, what the model wrote for one in its last turn."""
    thoughts: str
    prompt_tokens: int
    """Tokens that were read: the opening, and what the tool returned."""
    completion_tokens: int
    """Tokens that the model wrote."""


@dataclass(frozen=True)
class Drawing:
    """How an answer is drawn."""

    temperature: float
    """0 is greedy."""
    most_tokens: int
    """Of the whole conversation, thoughts and look-ups included."""
    seed: int | None
    """None is another one for each answer."""


Event = Said | Outcome | AsclError
Tell = Callable[[Event], None]


class Exchange:
    """A conversation that is told as it goes: what is said, then the outcome or an error, which is the last event.

    Only the thread that samples calls `starts`, `take` and `fail`; any may call
    `cancel`, after which nothing more is told.
    """

    def __init__(self, conversation: OpenConversation, tokenizer: Any, drawing: Drawing, context_length: int, tell: Tell) -> None:
        self.drawing = drawing
        self._context_length = context_length
        self._tell = tell
        self._tokenizer = tokenizer
        self._splitter = Splitter()
        self._text = TextStream(tokenizer)
        self._last_turn = ""
        self._thoughts = ""
        self._cancelled = threading.Event()
        self.speaker = Speaker(conversation, tokenizer, self._room, {tokenizer.eos_token_id})

    @property
    def conversation(self) -> OpenConversation:
        """The conversation so far."""
        return self.speaker.conversation

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody listens any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End it with the next token; one that has ended stays as it is."""
        self._cancelled.set()

    def starts(self) -> bool:
        """Whether there is something to sample; an exchange without room ends here."""
        if self.is_cancelled:
            return False
        if not self.speaker.starts():
            self._end()
            return False
        return True

    def take(self, token: int) -> list[int] | None:
        """See `Speaker.take`; what the token says is told."""
        if self.is_cancelled:
            return None
        if token not in self.speaker.ends:
            self._say(self._splitter.feed(self._text.push(token)))
        turns = len(self.conversation.turns)
        following = self.speaker.take(token)
        if len(self.conversation.turns) > turns:
            self._say(self._splitter.feed(self._text.rest()))
            self._say(self._splitter.end_turn())
            self._text = TextStream(self._tokenizer)
        if following is None:
            self._end()
        elif following:
            self._last_turn = ""
        return following

    def fail(self, error: AsclError) -> None:
        """Tell of an error, the last event."""
        if not self.is_cancelled:
            self._tell(error)

    def _room(self, conversation: OpenConversation) -> int:
        left = self.drawing.most_tokens - _written(conversation)
        return min(left, self._context_length - len(conversation.input_ids))

    def _say(self, pieces: Iterable[Said]) -> None:
        for piece in pieces:
            if piece.kind == "content":
                self._last_turn += piece.text
            else:
                self._thoughts += piece.text
            self._tell(piece)

    def _end(self) -> None:
        one = self.conversation
        text = self._tokenizer.decode(one.completion_ids)
        facts = read_rollout(text, finished=one.finished, max_tool_calls=one.max_tool_calls)
        written = _written(one)
        content = facts.answer if facts.valid else self._last_turn.strip()
        self._tell(Outcome(facts, content, self._thoughts.strip(), len(one.input_ids) - written, written))


def _written(conversation: OpenConversation) -> int:
    return sum(turn.stop - turn.start for turn in conversation.turns)
