"""What a model writes, as it writes it: thoughts and answers apart, and never a piece of a tag or of a tool call among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ascl_core.conversation.template import CALL, END_CALL, END_RESPONSE, END_THINK, RESPONSE, SPECIAL_TAGS, THINK

Kind = Literal["content", "thought"]
_TAG = re.compile("|".join(map(re.escape, SPECIAL_TAGS)))
_BETWEEN = "\n\n"
"""What stands between two passages of one kind."""
_UNFINISHED = "�"


@dataclass(frozen=True)
class Said:
    """A piece of what the model writes."""

    kind: Kind
    text: str


@dataclass
class TextStream:
    """The text of one turn out of its tokens, one by one."""

    tokenizer: Any
    ids: list[int] = field(default_factory=list)
    start: int = 0
    """Where decoding starts: a tokenizer may need the token before to say whether there is a space."""
    said: int = 0
    """How many tokens have been told as text."""

    def push(self, token: int) -> str:
        """The text that is new with this token; empty while a character is not complete."""
        self.ids.append(token)
        before = self.tokenizer.decode(self.ids[self.start : self.said])
        text = self.tokenizer.decode(self.ids[self.start :])
        if len(text) <= len(before) or text.endswith(_UNFINISHED):
            return ""
        self.start, self.said = self.said, len(self.ids)
        return str(text[len(before) :])

    def rest(self) -> str:
        """The text at the end of a turn that ends amid a character."""
        before = self.tokenizer.decode(self.ids[self.start : self.said])
        return str(self.tokenizer.decode(self.ids[self.start :])[len(before) :])


class Splitter:
    """Takes a conversation's text apart, turn by turn, however it is cut into pieces.

    Passages come without the white space around them, and with an empty line between two of a kind. What could become a tag is held
    back until it is one, or is none.
    """

    def __init__(self) -> None:
        self._kind: Kind | None = "content"
        self._outer: Kind | None = "content"
        """What goes on after a tool call."""
        self._held = ""
        self._spaces = ""
        self._begun = False
        self._said: set[Kind] = set()

    def feed(self, text: str) -> Iterator[Said]:
        """What can be told now."""
        self._held += text
        while match := _TAG.search(self._held):
            yield from self._tell(self._held[: match.start()])
            self._held = self._held[match.end() :]
            self._enter(match[0])
        safe = len(self._held) - _possible_tag(self._held)
        yield from self._tell(self._held[:safe])
        self._held = self._held[safe:]

    def end_turn(self) -> Iterator[Said]:
        """What was held back; the next text is another turn's."""
        yield from self._tell(self._held)
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

    def _tell(self, text: str) -> Iterator[Said]:
        if self._kind is None:
            return
        text = self._spaces + text if self._begun else text.lstrip()
        body = text.rstrip()
        self._spaces = text[len(body) :]
        if body:
            between = _BETWEEN if not self._begun and self._kind in self._said else ""
            self._begun = True
            self._said.add(self._kind)
            yield Said(self._kind, between + body)


def _possible_tag(text: str) -> int:
    """How many characters at the end could be the start of a tag."""
    longest = max(map(len, SPECIAL_TAGS)) - 1
    sizes = range(min(longest, len(text)), 0, -1)
    return next((size for size in sizes if any(tag.startswith(text[-size:]) for tag in SPECIAL_TAGS)), 0)
