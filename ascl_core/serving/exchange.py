"""One request while it is answered: its conversation, token by token, and whoever listens to it."""

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
from ascl_core.serving.splitting import Said, Splitter, TextStream

OnInvalid = Literal["resample", "refuse", "return"]
"""What becomes of a conversation that is not valid: it is sampled once more and then refused, refused at once, or returned."""
FALLBACK = "I'm sorry, but I can't answer that: what I wrote was not a well-formed answer, so it is withheld. Please ask again."
"""What is sent for a conversation that is not valid."""
_ATTEMPTS: dict[OnInvalid, int] = {"resample": 2, "refuse": 1, "return": 1}


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
    """Tokens that the model wrote, in all attempts together."""
    fallback: bool = False
    """Whether the content is the fixed refusal, as what the model wrote was not valid."""


@dataclass(frozen=True)
class Drawing:
    """How an answer is drawn."""

    temperature: float
    """0 is greedy."""
    most_tokens: int
    """Of the whole conversation, thoughts and look-ups included."""
    seed: int | None
    """None is another one for each answer."""

    def again(self) -> Drawing:
        """That of a further attempt: greedy, or with the same seed, it would be the same once more."""
        return replace(self, temperature=self.temperature or 1.0, seed=None if self.seed is None else self.seed + 1)


Event = Said | Outcome | AsclError
Tell = Callable[[Event], None]


class Exchange:
    """A conversation that is told as it goes: what is said, then the outcome or an error, which is the last event.

    It fails closed: unless `on_invalid` is `return`, nothing is told before the conversation has ended and is known to be valid. One
    that is not is sampled once more, or the fixed refusal is told in its stead. An answer that the token budget cuts off is told as
    far as it goes; a thought or a call that it cuts off is not valid.

    Only the thread that samples calls `starts`, `take` and `fail`; any may call
    `cancel`, after which nothing more is told.
    """

    def __init__(
        self,
        conversation: OpenConversation,
        tokenizer: Any,
        drawing: Drawing,
        context_length: int,
        tell: Tell,
        *,
        on_invalid: OnInvalid = "resample",
    ) -> None:
        self.drawing = drawing
        self._context_length = context_length
        self._tell = tell
        self._tokenizer = tokenizer
        self._on_invalid = on_invalid
        self._attempts_left = _ATTEMPTS[on_invalid]
        self._written_before = 0
        self._cancelled = threading.Event()
        self._begin(conversation)

    def _begin(self, conversation: OpenConversation) -> None:
        """An attempt; what an earlier one said is forgotten."""
        self._attempts_left -= 1
        self._splitter = Splitter()
        self._text = TextStream(self._tokenizer)
        self._held: list[Said] = []
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
        """Whether nobody listens any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End it with the next token; one that has ended stays as it is."""
        self._cancelled.set()

    def starts(self) -> bool:
        """Whether there is something to sample, from the start or from where another attempt is wanted; one without room ends here."""
        self.wants_another = False
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
            if self._on_invalid == "return":
                self._tell(piece)
            else:
                self._held.append(piece)

    def _end(self) -> None:
        one = self.conversation
        text = self._tokenizer.decode(one.completion_ids)
        facts = read_rollout(text, finished=one.finished, max_tool_calls=one.max_tool_calls)
        written = _written(one)
        is_fit = self._on_invalid == "return" or facts.valid or is_cut_answer(text, one)
        if not is_fit and self._attempts_left and written:
            self._begin_again(written)
            return
        content = facts.answer if facts.valid else self._last_turn.strip()
        outcome = Outcome(facts, content, self._thoughts.strip(), len(one.input_ids) - written, written + self._written_before)
        if not is_fit:
            self._held = [Said("content", FALLBACK)]
            outcome = replace(outcome, content=FALLBACK, thoughts="", fallback=True)
        for piece in self._held:
            self._tell(piece)
        self._tell(outcome)

    def _begin_again(self, written: int) -> None:
        one = self.conversation
        self._written_before += written
        self.drawing = self.drawing.again()
        self._begin(OpenConversation(prompt_ids=one.prompt_ids, tool=one.tool, max_tool_calls=one.max_tool_calls))
        self.wants_another = True


def is_cut_answer(text: str, conversation: OpenConversation) -> bool:
    """Whether all that is wrong with a conversation is that the token budget ended its answer: with an end there it would be valid."""
    return not conversation.finished and read_rollout(text, finished=True, max_tool_calls=conversation.max_tool_calls).valid


def _written(conversation: OpenConversation) -> int:
    return sum(turn.stop - turn.start for turn in conversation.turns)
