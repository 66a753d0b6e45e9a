"""YAML files, read safely and with the line of every value.

Refused before any value is built: files over 5 MB, text that is not UTF-8, anchors and aliases (a few lines of
them can stand for gigabytes), tags, and nesting deeper than any rule needs, which would overflow the C parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_FILE_BYTES = 5_000_000
MAX_DEPTH = 16


class YamlProblem(Exception):
    """The reason why a file cannot be read; `line` counts from 1."""

    def __init__(self, code: str, message: str, hint: str, line: int = 1) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.line = code, message, hint, line


@dataclass(frozen=True)
class YamlFile:
    """The values of a file, and the nodes with their lines."""

    values: Any
    root: Node

    def line(self, location: tuple[Any, ...]) -> int:
        """Return the line of the value at a path of keys and positions, or of its nearest parent that exists."""
        node, line = self.root, _line(self.root)
        for part in location:
            if (found := _child(node, part)) is None:
                break
            line, node = found
        return line


def read_yaml(path: Path) -> YamlFile:
    """Read the one document in the file; raises `YamlProblem`."""
    text = _text(path)
    try:
        _refuse_unsafe(text)
        yaml = YAML(typ="safe")
        root = yaml.compose(text)
        if root is None:
            raise YamlProblem("yaml_syntax", "the file is empty", "write it, or delete it")
        return YamlFile(_construct(root, yaml), root)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise YamlProblem("yaml_syntax", f"not valid YAML: {problem}", "fix the syntax", mark.line + 1 if mark else 1) from error


def _text(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise YamlProblem("too_large", f"{size:,} bytes, over the {MAX_FILE_BYTES:,} that a rule file may have", "split the file")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise YamlProblem("encoding", f"not UTF-8: {error.reason}", "save the file as UTF-8", line) from error
    except OSError as error:
        raise YamlProblem("unreadable", f"cannot be read: {error.strerror}", "restore it: git checkout") from error


def _refuse_unsafe(text: str) -> None:
    depth = 0
    for event in YAML(typ="safe").parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise YamlProblem("yaml_alias", "anchors and aliases are not allowed", "write the value out", line)
        if getattr(event, "tag", None):
            raise YamlProblem("yaml_tag", f"the tag {event.tag!r} is not allowed", "write a plain value", line)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YamlProblem("yaml_depth", f"nested more than {MAX_DEPTH} deep", "see README.md for the shape of a rule", line)


def _construct(node: Node, yaml: YAML) -> Any:
    if isinstance(node, MappingNode):
        return _construct_mapping(node, yaml)
    if isinstance(node, SequenceNode):
        return [_construct(item, yaml) for item in node.value]
    try:
        return yaml.constructor.construct_object(node)
    except ValueError as error:  # an impossible date, or a number of thousands of digits
        raise YamlProblem("yaml_value", f"not a value: {error}", "correct it, or quote it as text", _line(node)) from error


def _construct_mapping(node: MappingNode, yaml: YAML) -> dict[Any, Any]:
    values: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, ScalarNode):
            raise YamlProblem("yaml_syntax", "a key must be a plain word", "fix the syntax", _line(key_node))
        key = _construct(key_node, yaml)
        if key in values:
            raise YamlProblem("duplicate_key", f"the key {key!r} occurs twice", "keep one of them", _line(key_node))
        values[key] = _construct(value_node, yaml)
    return values


def _child(node: Node, part: Any) -> tuple[int, Node] | None:
    if isinstance(node, MappingNode):
        return next(((_line(key), value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return _line(node.value[part]), node.value[part]
    return None


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
