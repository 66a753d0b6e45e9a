"""YAML files, read safely and with the line of every value.

Refused before any value is built: files over 5 MB, text that is not UTF-8, anchors and aliases (a few lines of
them can stand for gigabytes), tags, and nesting deeper than any rule needs, which would overflow the C parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.nodes import ScalarNode

from ascl_core.conflicts import CONFLICT, conflict_hint, conflict_line

MAX_FILE_BYTES = 5_000_000
MAX_DEPTH = 16
_TEXT = "tag:yaml.org,2002:str"
_PAIR = re.compile(r"(?<!\\)(?P<before>(?:\\\\)*)\\u(?P<high>d[89ab][0-9a-f]{2})\\u(?P<low>d[c-f][0-9a-f]{2})", re.I)
"""Two surrogates, which are one character in JSON; a backslash before them may itself be escaped."""
Parts = dict[str, "Lines"] | list["Lines"]
Lines = int | tuple[int, Parts]
"""The line of a scalar; or the line of a mapping or list with those of its values, by key as text or by position."""


class YamlProblem(Exception):
    """The reason why a file cannot be read; `line` counts from 1."""

    def __init__(self, code: str, message: str, hint: str, line: int = 1) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.line = code, message, hint, line


@dataclass(frozen=True)
class YamlFile:
    """The values of a file, and the lines that they stand on."""

    values: Any
    lines: Lines

    def line(self, location: tuple[Any, ...]) -> int:
        """Return the line of the value at a path of keys and positions, or of its nearest parent that exists."""
        found = self.lines
        for part in location:
            parts = None if isinstance(found, int) else found[1]
            if isinstance(parts, dict) and str(part) in parts:
                found = parts[str(part)]
            elif isinstance(parts, list) and isinstance(part, int) and part < len(parts):
                found = parts[part]
            else:
                break
        return found if isinstance(found, int) else found[0]


def read_yaml(path: Path) -> YamlFile:
    """Read the one document in the file; raises `YamlProblem`."""
    try:
        return _Reader(_text(path)).read()
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise YamlProblem("yaml_syntax", f"not valid YAML: {problem}", "fix the syntax", mark.line + 1 if mark else 1) from error


def _text(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise YamlProblem("too_large", f"{size:,} bytes, over the {MAX_FILE_BYTES:,} that a rule file may have", "split the file")
        text = path.read_text(encoding="utf-8")
        if (line := conflict_line(text)) is not None:
            raise YamlProblem("merge_conflict", CONFLICT, conflict_hint(path), line)
        return _PAIR.sub(_one_escape, text) if path.suffix.lower() == ".json" else text
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise YamlProblem("encoding", f"not UTF-8: {error.reason}", "save the file as UTF-8", line) from error
    except OSError as error:
        raise YamlProblem("unreadable", f"cannot be read: {error.strerror}", "restore it: git checkout") from error


def _one_escape(pair: re.Match[str]) -> str:
    """Return the escape in YAML of a character that JSON escapes as two surrogates."""
    high, low = int(pair["high"], 16), int(pair["low"], 16)
    return f"{pair['before']}\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08x}"


class _Reader:
    """Builds values and lines in one pass over the events of a file; a large folder of rules has a million.

    What is unsafe or no YAML at all is raised where it stands; what is wrong with a value, only if the rest of the file is neither.
    """

    def __init__(self, text: str) -> None:
        self.yaml = YAML(typ="safe")
        _, self.parser = self.yaml.get_constructor_parser(text)
        self.next = self.parser.get_event
        self.problem: YamlProblem | None = None
        self.depth = 0
        self.typed = _resolvers()
        self.plain: dict[str, Any] = {}

    def read(self) -> YamlFile:
        """Return the one document of the text."""
        found: YamlFile | None = None
        try:
            while type(event := self.next()) is not StreamEndEvent:
                if type(event) is not DocumentStartEvent:
                    continue
                if found is not None:
                    self._note("yaml_syntax", "not valid YAML: but found another document", "fix the syntax", _line(event))
                found = YamlFile(*self._value(self.next()))
        finally:
            self.parser.dispose()
        if self.problem is not None:
            raise self.problem
        if found is None:
            raise YamlProblem("yaml_syntax", "the file is empty", "write it, or delete it")
        return found

    def _note(self, code: str, message: str, hint: str, line: int) -> None:
        """Keep the first problem of a value."""
        self.problem = self.problem or YamlProblem(code, message, hint, line)

    def _value(self, event: Any) -> tuple[Any, Lines]:
        if type(event) is ScalarEvent:
            return self._scalar(event), _line(event)
        if type(event) is AliasEvent or event.anchor or event.ctag is not None:
            _refuse_unsafe(event)
        line = _line(event)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise YamlProblem("yaml_depth", f"nested more than {MAX_DEPTH} deep", "docs/files.md shows the shape of a rule", line)
        values, parts = self._sequence() if type(event) is SequenceStartEvent else self._mapping()
        self.depth -= 1
        return values, (line, parts)

    def _sequence(self) -> tuple[list[Any], Parts]:
        values: list[Any] = []
        parts: list[Lines] = []
        while type(event := self.next()) is not SequenceEndEvent:
            value, lines = self._value(event)
            values.append(value)
            parts.append(lines)
        return values, parts

    def _mapping(self) -> tuple[dict[Any, Any], Parts]:
        values: dict[Any, Any] = {}
        parts: dict[str, Lines] = {}
        while type(event := self.next()) is not MappingEndEvent:
            line = _line(event)
            if type(event) is not ScalarEvent:
                self._value(event)
                self._note("yaml_syntax", "a key must be a plain word", "fix the syntax", line)
                self._value(self.next())
                continue
            if (key := self._scalar(event)) in values:
                self._note("duplicate_key", f"the key {key!r} occurs twice", "keep one of them", line)
            values[key], lines = self._value(self.next())
            parts.setdefault(event.value, line if isinstance(lines, int) else (line, lines[1]))
        return values, parts

    def _scalar(self, event: ScalarEvent) -> Any:
        """Return the value of a scalar: a quoted one is text, a plain one what YAML 1.2 says."""
        if event.anchor or event.ctag is not None:
            _refuse_unsafe(event)
        text: str = event.value
        if not event.implicit[0] or text[:1] not in self.typed:
            return text
        if text not in self.plain:
            self.plain[text] = self._plain(text, event)
        return self.plain[text]

    def _plain(self, text: str, event: ScalarEvent) -> Any:
        tag = next((tag for tag, pattern in self.typed[text[:1]] if pattern.match(text) and tag != _TEXT), None)
        if tag is None:
            return text
        try:
            return self.yaml.constructor.construct_object(ScalarNode(tag, text, event.start_mark, event.end_mark))
        except ValueError as error:  # an impossible date, or a number of thousands of digits
            return self._note("yaml_value", f"not a value: {error}", "correct it, or quote it as text", _line(event))


@lru_cache(maxsize=1)
def _resolvers() -> dict[str, list[Any]]:
    """Return what a plain scalar may be beside text, such as a number or a date: tags with their patterns, by its first character."""
    return dict(YAML(typ="safe").resolver.versioned_resolver)


def _refuse_unsafe(event: Any) -> None:
    if isinstance(event, AliasEvent) or event.anchor:
        raise YamlProblem("yaml_alias", "anchors and aliases are not allowed", "write the value out", _line(event))
    if event.tag:
        raise YamlProblem("yaml_tag", f"the tag {event.tag!r} is not allowed", "write a plain value", _line(event))


def _line(event: Event) -> int:
    line: int = event.start_mark.line
    return line + 1
