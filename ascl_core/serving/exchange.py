"""One request while it is answered: its conversation, token by token, and the events for its listener."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ascl_core.contracts import RolloutFacts
from ascl_core.conversation.tool_loop import OpenConversation
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.cpu.conversing import Speaker
from ascl_core.errors import AsclError
from ascl_core.serving.splitting import Piece, Splitter, TextStream

OnInvalid = Literal["resample", "refuse", "return"]
"""What to do with a malformed conversation: sample it once more and then refuse, refuse at once, or return it."""
FALLBACK = "I'm sorry, but I can't answer that: what I wrote was not a well-formed answer, so it is withheld. Please ask again."
"""The fixed refusal that replaces a malformed conversation."""
_ATTEMPTS: dict[OnInvalid, int] = {"resample": 2, "refuse": 1, "return": 1}


@dataclass(frozen=True)
class Outcome:
    """How a conversation ended."""

    facts: RolloutFacts
    content: str
    """The answer; of a malformed conversation, the text of its last turn."""
    thoughts: str
    prompt_tokens: int
    """Tokens that the model read: the opening, and what the tool returned."""
    completion_tokens: int
    """Tokens that the model wrote, in all attempts together."""
    fallback: bool = False
    """Whether the content is the fixed refusal."""


@dataclass(frozen=True)
class Drawing:
    """How an answer is sampled."""

    temperature: float
    """0 is greedy."""
    most_tokens: int
    """Of the whole conversation, thoughts and look-ups included."""
    seed: int | None
    """None draws a new seed for each answer."""

    def retry(self) -> Drawing:
        """Return the sampling of a second attempt, which must differ: it is never greedy, and takes the next seed."""
        return replace(self, temperature=self.temperature or 1.0, seed=None if self.seed is None else self.seed + 1)


Event = Piece | Outcome | AsclError
Emit = Callable[[Event], None]


class Exchange:
    """A conversation that emits pieces of text as it goes; the last event is the outcome or an error.

    It fails closed: unless `on_invalid` is `return`, no piece is emitted before the conversation has ended and is known to be valid. A
    malformed one is sampled once more, or replaced by the fixed refusal. An answer that the token budget cuts off is emitted as far as
    it goes; a thought or a call that it cuts off is malformed.

    Only the generating thread calls `starts`, `take` and `fail`; any thread may call `cancel`, after which nothing more is emitted.
    """

    def __init__(
        self,
        conversation: OpenConversation,
        tokenizer: Any,
        drawing: Drawing,
        context_length: int,
        emit: Emit,
        *,
        on_invalid: OnInvalid = "resample",
    ) -> None:
        self.drawing = drawing
        self._context_length = context_length
        self._emit = emit
        self._tokenizer = tokenizer
        self._on_invalid = on_invalid
        self._attempts_left = _ATTEMPTS[on_invalid]
        self._written_before = 0
        self._cancelled = threading.Event()
        self._start_attempt(conversation)

    def _start_attempt(self, conversation: OpenConversation) -> None:
        """Start an attempt, and forget the text of an earlier one."""
        self._attempts_left -= 1
        self._splitter = Splitter()
        self._text = TextStream(self._tokenizer)
        self._held: list[Piece] = []
        self._last_turn = ""
        self._thoughts = ""
        self.wants_another = False
        self.speaker = Speaker(conversation, self._tokenizer, self._room, {self._tokenizer.eos_token_id})

    @property
    def conversation(self) -> OpenConversation:
        """The conversation so far."""
        return self.speaker.conversation

    @property
    def is_cancelled(self) -> bool:
        """Whether the client has gone."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Stop with the next token; an exchange that has ended stays as it is."""
        self._cancelled.set()

    def starts(self) -> bool:
        """Return whether there is something to generate, at first or for another attempt; a conversation without room ends here."""
        self.wants_another = False
        if self.is_cancelled:
            return False
        if not self.speaker.starts():
            self._end()
            return False
        return True

    def take(self, token: int) -> list[int] | None:
        """Add a token, as `Speaker.take` does, and emit its text."""
        if self.is_cancelled:
            return None
        if token not in self.speaker.ends:
            self._add(self._splitter.feed(self._text.push(token)))
        turns = len(self.conversation.turns)
        following = self.speaker.take(token)
        if len(self.conversation.turns) > turns:
            self._add(self._splitter.feed(self._text.rest()))
            self._add(self._splitter.end_turn())
            self._text = TextStream(self._tokenizer)
        if following is None:
            self._end()
        elif following:
            self._last_turn = ""
        return following

    def fail(self, error: AsclError) -> None:
        """Emit an error, the last event."""
        if not self.is_cancelled:
            self._emit(error)

    def _room(self, conversation: OpenConversation) -> int:
        left = self.drawing.most_tokens - _written(conversation)
        return min(left, self._context_length - len(conversation.input_ids))

    def _add(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if piece.kind == "content":
                self._last_turn += piece.text
            else:
                self._thoughts += piece.text
            if self._on_invalid == "return":
                self._emit(piece)
            else:
                self._held.append(piece)

    def _end(self) -> None:
        one = self.conversation
        text = self._tokenizer.decode(one.completion_ids)
        facts = read_rollout(text, finished=one.finished, max_tool_calls=one.max_tool_calls)
        written = _written(one)
        is_sendable = self._on_invalid == "return" or facts.valid or is_cut_answer(text, one)
        if not is_sendable and self._attempts_left and written:
            self._resample(written)
            return
        content = facts.answer if facts.valid else self._last_turn.strip()
        outcome = Outcome(facts, content, self._thoughts.strip(), len(one.input_ids) - written, written + self._written_before)
        if not is_sendable:
            self._held = [Piece("content", FALLBACK)]
            outcome = replace(outcome, content=FALLBACK, thoughts="", fallback=True)
        for piece in self._held:
            self._emit(piece)
        self._emit(outcome)

    def _resample(self, written: int) -> None:
        one = self.conversation
        self._written_before += written
        self.drawing = self.drawing.retry()
        self._start_attempt(OpenConversation(prompt_ids=one.prompt_ids, tool=one.tool, max_tool_calls=one.max_tool_calls))
        self.wants_another = True


def is_cut_answer(text: str, conversation: OpenConversation) -> bool:
    """Return whether a conversation is malformed only because the token budget cut its answer off."""
    return not conversation.finished and read_rollout(text, finished=True, max_tool_calls=conversation.max_tool_calls).valid


def _written(conversation: OpenConversation) -> int:
    return sum(turn.stop - turn.start for turn in conversation.turns)
