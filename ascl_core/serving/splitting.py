"""Split generated text, while it is generated, into thoughts and answers without tags and tool calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ascl_core.conversation.template import CALL, END_CALL, END_RESPONSE, END_THINK, RESPONSE, SPECIAL_TAGS, THINK

Kind = Literal["content", "thought"]
_TAG = re.compile("|".join(map(re.escape, SPECIAL_TAGS)))
_BETWEEN = "\n\n"
"""Separates two passages of one kind."""
_UNFINISHED = "�"


@dataclass(frozen=True)
class Piece:
    """A piece of generated text."""

    kind: Kind
    text: str


@dataclass
class TextStream:
    """Decodes the tokens of one turn one by one."""

    tokenizer: Any
    ids: list[int] = field(default_factory=list)
    start: int = 0
    """Where decoding starts: a tokenizer may need the previous token to decide whether a space follows it."""
    emitted: int = 0
    """How many tokens have been returned as text."""

    def push(self, token: int) -> str:
        """Add a token and return the new text; empty while a character is incomplete."""
        self.ids.append(token)
        before = self.tokenizer.decode(self.ids[self.start : self.emitted])
        text = self.tokenizer.decode(self.ids[self.start :])
        if len(text) <= len(before) or text.endswith(_UNFINISHED):
            return ""
        self.start, self.emitted = self.emitted, len(self.ids)
        return str(text[len(before) :])

    def rest(self) -> str:
        """Return the remaining text of a turn that ends in the middle of a character."""
        before = self.tokenizer.decode(self.ids[self.start : self.emitted])
        return str(self.tokenizer.decode(self.ids[self.start :])[len(before) :])


class Splitter:
    """Splits a conversation's text turn by turn, however it arrives in pieces.

    Passages are stripped of surrounding white space, with an empty line between two of a kind. Text that could become a tag is held
    back until that is decided.
    """

    def __init__(self) -> None:
        self._kind: Kind | None = "content"
        self._outer: Kind | None = "content"
        """The kind that continues after a tool call."""
        self._held = ""
        self._spaces = ""
        self._begun = False
        self._emitted: set[Kind] = set()

    def feed(self, text: str) -> Iterator[Piece]:
        """Add text, and yield what is decided."""
        self._held += text
        while match := _TAG.search(self._held):
            yield from self._emit(self._held[: match.start()])
            self._held = self._held[match.end() :]
            self._enter(match[0])
        safe = len(self._held) - _possible_start(self._held, SPECIAL_TAGS)
        yield from self._emit(self._held[:safe])
        self._held = self._held[safe:]

    def end_turn(self) -> Iterator[Piece]:
        """Yield what was held back; the next text belongs to the next turn."""
        yield from self._emit(self._held)
        self._held = ""
        self._change("content")
        self._outer = "content"

    def _enter(self, tag: str) -> None:
        if tag in (CALL, RESPONSE):
            self._outer = self._kind or self._outer
            self._change(None)
        elif tag in (END_CALL, END_RESPONSE):
            self._change(self._outer)
        elif tag in (THINK, END_THINK):
            self._change("thought" if tag == THINK else "content")

    def _change(self, kind: Kind | None) -> None:
        self._kind, self._spaces, self._begun = kind, "", False

    def _emit(self, text: str) -> Iterator[Piece]:
        if self._kind is None:
            return
        text = self._spaces + text if self._begun else text.lstrip()
        body = text.rstrip()
        self._spaces = text[len(body) :]
        if body:
            between = _BETWEEN if not self._begun and self._kind in self._emitted else ""
            self._begun = True
            self._emitted.add(self._kind)
            yield Piece(self._kind, between + body)


def _possible_start(text: str, wanted: Sequence[str]) -> int:
    """Return how many characters at the end could start one of the wanted texts."""
    longest = max(map(len, wanted)) - 1
    sizes = range(min(longest, len(text)), 0, -1)
    return next((size for size in sizes if any(one.startswith(text[-size:]) for one in wanted)), 0)


def cut_before(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """Return the text before the first of the stop texts, and whether there is one."""
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


class StopFilter:
    """Passes on text up to the first of the stop texts; what could begin one is held back until that is decided."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self._is_over = False

    def feed(self, text: str) -> str:
        """Add text, and return what is decided."""
        if self._is_over or not self._stops:
            return "" if self._is_over else text
        self._held, self._is_over = cut_before(self._held + text, self._stops)
        if self._is_over:
            return self.rest()
        safe = len(self._held) - _possible_start(self._held, self._stops)
        decided, self._held = self._held[:safe], self._held[safe:]
        return decided

    def rest(self) -> str:
        """Return what was held back."""
        held, self._held = self._held, ""
        return held
