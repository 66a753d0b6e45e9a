"""Phrase lists as data: regular expressions in a YAML file, made of named parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_yaml


def load_phrases(path: Path, flags: re.RegexFlag = re.NOFLAG) -> dict[str, Any]:
    """Return the compiled expressions of a file by name, a tuple where it has a list.

    Line ends are no part of an expression, and `<name>` stands for the expression of that name further up.
    """
    texts: dict[str, str] = {}

    def expand(text: str) -> str:
        return re.sub(r"<([a-z_]+)>", lambda match: texts[match[1]], text.replace("\n", ""))

    phrases: dict[str, Any] = {}
    for name, value in read_yaml(path).items():
        if isinstance(value, list):
            phrases[name] = tuple(re.compile(expand(text), flags) for text in value)
        else:
            texts[name] = expand(value)
            phrases[name] = re.compile(texts[name], flags)
    return phrases
