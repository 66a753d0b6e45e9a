"""Neutralised message content: nothing in it becomes a control token or a tag of a chat template.

Every path that renders messages uses it: serving, evaluation, chat, SFT, RL, teachers and judges. It inserts a space after the first
character of every control string, so that `<|im_start|>` is read as the words `< |im_start|>`. A space, unlike an invisible character,
stays readable, no tokenizer's normaliser removes it, and the Jinja template that travels with a checkpoint can insert it, too. A
full-width bracket would fold back to a real one under NFKC.

Tokenising template and content separately would be an alternative. But TRL, vLLM and everybody who loads a checkpoint render the
conversation as one text, and their tokens at the borders of the content would differ from ours.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from ascl_core.contracts import Message
from ascl_core.conversation.template import SPECIAL_TAGS

_FAMILIES = (
    *SPECIAL_TAGS,
    *("<tools>", "</tools>", "<start_of_turn>", "<end_of_turn>", "<s>", "</s>", "<bos>", "<eos>"),
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
)
"""Tags of common template families, broken up for every tokenizer: harmless text for one is markup for another."""
_FORMS = r"<\|[^<>\s]+>|<[^<>\s]+\|>|<(?:function|parameter)=[^<>\s]+>"
"""Tags by their syntax: `<|im_start|>`, `<|start_header_id|>`, `<|channel|>`, `<｜User｜>`, and calls such as `<function=name>`."""
_TAG_IN_TEMPLATE = re.compile(r"</?[A-Za-z_][\w.:-]*>|\[/?[A-Z][A-Z_]+\]")
_PLAIN = re.compile(r"[\t\n\r\x20-\x7e]*")
_SPACES = "\t\n\v\f\r\x85"
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_IGNORABLE = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)
"""Invisible characters outside the category of format characters (Unicode: Default_Ignorable_Code_Point)."""


class Markup:
    """The control strings of one tokenizer and its chat template, and of the common families."""

    def __init__(self, strings: Iterable[str] = ()) -> None:
        folded = {_fold(string)[0] for string in (*_FAMILIES, *strings)}
        pieces = [piece for piece in folded if len(piece.strip()) > 1 and not re.fullmatch(_FORMS, piece)]
        firsts = "".join(sorted({piece[0] for piece in pieces} | {"<"}))
        either = "|".join([*map(re.escape, sorted(pieces, key=lambda piece: (-len(piece), piece))), _FORMS])
        self._pattern = re.compile(f"(?=[{re.escape(firsts)}])(?:{either})")  # the look-ahead skips most texts quickly

    def neutralise(self, text: str) -> tuple[str, int]:
        """Break up the control strings in a text; return the text and their number.

        Strings are also found with letters of another case, full-width or accented forms, or invisible characters between
        them, which a normaliser could turn into the real ones. Strings that breaking up uncovers are broken up, too, so that the
        function is idempotent.

        >>> Markup().neutralise("fine</THINK> ＜|im_end|＞ a < b")
        ('fine< /THINK> ＜ |im_end|＞ a < b', 2)
        """
        found = 0
        broken, number = self._break_up(text)
        while number:
            found = found or number
            text = broken
            broken, number = self._break_up(text)
        return text, found

    def neutralise_messages(self, messages: Sequence[Message]) -> tuple[list[Message], int]:
        """Return the messages with neutralised content, thoughts, names and tool calls, and the number of control strings."""
        counted = _Counted(self)
        return [counted.message(message) for message in messages], counted.found

    def _break_up(self, text: str) -> tuple[str, int]:
        """Insert a space after the first character of every match; a match within one character cannot be split, and stays."""
        folded, origins = _fold(text)
        cuts = []
        for match in self._pattern.finditer(folded):
            first = origins[match.start()]
            cut = next((origins[i] for i in range(match.start() + 1, match.end()) if origins[i] != first), None)
            if cut is not None:
                cuts.append(cut)
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        return " ".join(pieces), len(cuts)


class _Counted:
    """Neutralises messages, and counts control strings."""

    def __init__(self, markup: Markup) -> None:
        self._markup = markup
        self.found = 0

    def message(self, message: Message) -> Message:
        """Return the message, with its role and its keys unchanged."""
        changed = {key: self._value(message[key]) for key in ("name", *_THOUGHTS) if message.get(key)}
        if content := message.get("content"):
            changed["content"] = self._parts(content) if isinstance(content, list | tuple) else self._value(content)
        if calls := message.get("tool_calls"):
            changed["tool_calls"] = [self._call(call) for call in calls]
        return {**message, **changed}

    def _parts(self, parts: Sequence[Any]) -> Any:
        """Join the text parts if a control string spans several of them."""
        texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
        whole, found = self._markup.neutralise("".join(texts))
        if len(texts) < len(parts) or not found:
            return self._value(parts)
        self.found += found
        return [{**parts[0], "text": whole}]

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        function = call.get("function", call)
        name, arguments = str(function.get("name", "")), function.get("arguments")
        neutral = {**function, "name": self._value(name), "arguments": self._arguments(arguments)}
        return {**call, "function": neutral} if "function" in call else neutral

    def _arguments(self, arguments: Any) -> Any:
        """Decode a JSON string first, as a template may print its escapes as characters."""
        try:
            values = json.loads(arguments) if isinstance(arguments, str) else None
        except (ValueError, RecursionError):
            values = None
        if values is None:
            return self._value(arguments)
        neutral = self._value(values)
        return arguments if neutral == values else json.dumps(neutral, ensure_ascii=False)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            neutral, found = self._markup.neutralise(value)
            self.found += found
            return neutral
        if isinstance(value, dict):
            return {self._value(str(key)): self._value(one) for key, one in value.items()}
        return [self._value(one) for one in value] if isinstance(value, list | tuple) else value


def markup_of(tokenizer: Any, *more: str) -> Markup:
    """Return the markup of a tokenizer: its added and special tokens, the tags in its chat template, and `more` strings.

    `tokenizer` is None for a model behind an endpoint.
    """
    if tokenizer is None:
        return _markup(frozenset(more))
    tags = _TAG_IN_TEMPLATE.findall(str(tokenizer.chat_template or ""))
    return _markup(frozenset([*control_strings(tokenizer), *tags, *more]))


def control_strings(tokenizer: Any) -> frozenset[str]:
    """Return the added and special tokens of a tokenizer, without plain words, which control nothing."""
    added = [token for token in tokenizer.get_added_vocab() if not token.replace(" ", "").isalnum()]
    return frozenset([*added, *tokenizer.all_special_tokens])


def neutralise(messages: Sequence[Message], tokenizer: Any = None) -> tuple[list[Message], int]:
    """Return the messages in a form safe for that tokenizer, and the number of control strings broken up."""
    return markup_of(tokenizer).neutralise_messages(messages)


@lru_cache(maxsize=64)
def _markup(strings: frozenset[str]) -> Markup:
    return Markup(strings)


def _fold(text: str) -> tuple[str, Sequence[int]]:
    """Return the text in the form that is searched, and the position in `text` of each of its characters."""
    if _PLAIN.fullmatch(text):
        return text.lower(), range(len(text))
    folded, origins = [], []
    for number, character in enumerate(text):
        plain = _fold_character(character)
        folded.append(plain)
        origins += [number] * len(plain)
    return "".join(folded), origins


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    """Return NFKD in lower case, without marks and invisible characters; white space stays, as it separates."""
    if character in _SPACES or unicodedata.category(character)[0] == "Z":
        return character
    kept = (c for c in unicodedata.normalize("NFKD", character) if not _is_ignored(c))
    return "".join(kept).casefold()


def _is_ignored(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Mn", "Me") or ord(character) in _IGNORABLE
