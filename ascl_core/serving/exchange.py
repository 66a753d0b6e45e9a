"""One request while it is answered: its conversation, token by token, and the events for its listener."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from ascl_core.contracts import RolloutFacts
from ascl_core.conversation.formats import canonical_text, end_ids, opened_thought, read_format
from ascl_core.conversation.tool_loop import OpenConversation
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.cpu.conversing import Speaker
from ascl_core.errors import AsclError
from ascl_core.serving.splitting import Kind, Piece, Splitter, StopFilter, TextStream, cut_before

OnInvalid = Literal["resample", "refuse", "return"]
"""What to do with a malformed conversation: sample it once more and then refuse, refuse at once, or return it."""
FALLBACK = "I'm sorry, but I can't answer that: what I wrote was not a well-formed answer, so it is withheld. Please ask again."
"""The fixed refusal that replaces a malformed conversation."""
_ATTEMPTS: dict[OnInvalid, int] = {"resample": 2, "refuse": 1, "return": 1}


@dataclass(frozen=True)
class Score:
    """A token of an answer."""

    text: str
    log_prob: float
    """Its natural log-probability in the distribution that it was drawn from."""
    top: tuple[tuple[str, float], ...] = ()
    """The most probable tokens there with theirs, the most probable first; none of probability 0."""


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
    scores: tuple[Score, ...] = ()
    """The tokens of the answer, if they were asked for."""


@dataclass(frozen=True)
class Drawing:
    """How an answer is sampled."""

    temperature: float
    """0 is greedy."""
    most_tokens: int
    """Of the whole conversation, thoughts and look-ups included."""
    seed: int | None
    """None draws a new seed for each answer."""
    top_p: float = 1.0
    """Only the fewest most probable tokens that have this probability together are drawn."""
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these texts."""
    with_scores: bool = False
    """Whether the outcome has the log-probabilities of the answer's tokens."""
    num_top: int = 0
    """How many of the most probable tokens it has beside each."""

    def choice(self, number: int) -> Drawing:
        """Return the sampling of one of several answers; each has a seed of its own."""
        return replace(self, seed=self.seed_of(f"choice {number}")) if number else self

    def retry(self) -> Drawing:
        """Return the sampling of a second attempt, which must differ: it is never greedy, and takes another seed."""
        return replace(self, temperature=self.temperature or 1.0, seed=self.seed_of("retry"))

    def seed_of(self, part: object) -> int | None:
        """Return the seed of a part of the answer, in 63 bits: not the next number, with which somebody else's answer may begin."""
        return None if self.seed is None else Random(f"{self.seed} {part}").getrandbits(63)


Ranked = Sequence[tuple[int, float]]
"""Tokens with their log-probabilities, the most probable first."""
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
        self._format = read_format(tokenizer)
        self._on_invalid = on_invalid
        self._attempts_left = _ATTEMPTS[on_invalid]
        self._written_before = 0
        self._cancelled = threading.Event()
        self._start_attempt(conversation)

    def _start_attempt(self, conversation: OpenConversation) -> None:
        """Start an attempt, and forget the text of an earlier one."""
        self._attempts_left -= 1
        self._splitter = Splitter()
        self._stops = StopFilter(self.drawing.stop)
        self._scores: list[Score] = []
        self._held: list[Piece] = []
        self._last_turn = ""
        self._thoughts = ""
        self.wants_another = False
        self.speaker = Speaker(conversation, self._tokenizer, self._room, end_ids(self._tokenizer))
        self._start_turn()

    def _start_turn(self) -> None:
        """Start the text of a turn, which the prompt may have opened with a thought."""
        self._text = TextStream(self._tokenizer)
        self._unread = opened_thought(self._tokenizer) if self._format.streams else ""

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

    def take(self, token: int, log_prob: float = 0.0, top: Ranked = ()) -> list[int] | None:
        """Add a token with its log-probability and the most probable ones, as `Speaker.take` does, and emit its text."""
        if self.is_cancelled:
            return None
        if token not in self.speaker.ends:
            self._unread += self._text.push(token)
            if self.drawing.with_scores:
                ranked = tuple((self._tokenizer.decode([other]), of_other) for other, of_other in top)
                self._scores.append(Score(self._tokenizer.decode([token]), log_prob, ranked))
        turns = len(self.conversation.turns)
        following = self.speaker.take(token)
        ended = len(self.conversation.turns) > turns
        if ended:
            self._unread += self._text.rest()
        if ended and not self._format.streams:
            self._unread = canonical_text(self._tokenizer, self._unread)
        if ended or self._format.streams:
            self._add(self._splitter.feed(self._unread))
            self._unread = ""
        if ended:
            self._add(self._splitter.end_turn())
            self._start_turn()
        if following is None:
            self._end()
        elif following:
            self._send(self._stops.rest(), "content")
            self._stops = StopFilter(self.drawing.stop)
            self._last_turn = ""
            self._scores = []
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
                said = piece.text if self._last_turn else piece.text.lstrip()
                self._send(piece.text.removesuffix(said), "content")  # the empty line between two turns is no part of either
                self._last_turn += piece.text
                self._send(self._stops.feed(said), "content")
            else:
                self._thoughts += piece.text
                self._send(piece.text, "thought")

    def _send(self, text: str, kind: Kind) -> None:
        if text and self._on_invalid == "return":
            self._emit(Piece(kind, text))
        elif text:
            self._held.append(Piece(kind, text))

    def _end(self) -> None:
        one = self.conversation
        text = canonical_text(self._tokenizer, self._tokenizer.decode(one.completion_ids))
        facts = read_rollout(text, finished=one.finished, max_tool_calls=one.max_tool_calls)
        written = _written(one)
        is_sendable = self._on_invalid == "return" or facts.valid or is_cut_answer(text, one)
        if not is_sendable and self._attempts_left and written:
            self._resample(written)
            return
        content = facts.answer if facts.valid else self._last_turn.strip()
        content, is_cut = cut_before(content, self.drawing.stop)
        scores = answer_scores(self._scores, self._format.thought_end, content if is_cut else None) if content else ()
        read, spent = len(one.input_ids) - written, written + self._written_before
        outcome = Outcome(facts, content, self._thoughts.strip(), read, spent, scores=scores)
        self._send(self._stops.rest(), "content")
        if not is_sendable:
            self._held = [Piece("content", FALLBACK)]
            outcome = replace(outcome, content=FALLBACK, thoughts="", fallback=True, scores=())
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


def answer_scores(scores: Sequence[Score], thought_end: str, content: str | None) -> tuple[Score, ...]:
    """Return the scores of the tokens that spell the answer: after the thought, without space around, no more than `content`."""
    written = ""
    answer: list[Score] = []
    for score in scores:
        answer.append(score)
        written = written[-len(thought_end) :] + score.text
        if thought_end in written:
            answer, written = [], ""
    while answer and not answer[0].text.strip():
        answer.pop(0)
    while answer and not answer[-1].text.strip():
        answer.pop()
    if content is None:
        return tuple(answer)
    length, kept = 0, []
    for score in answer:
        if length >= len(content.rstrip()):
            break
        kept.append(score)
        length += len(score.text if kept[1:] else score.text.lstrip())
    return tuple(kept)
