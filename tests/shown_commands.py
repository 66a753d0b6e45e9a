"""The commands that a page shows, in its blocks and within its sentences, and what is wrong with them without running them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ascl_core.arms import ARMS
from ascl_core.config.profiles import resolve_profile
from ascl_core.errors import AsclError
from flows.cli import app
from flows.cli.judges import judge_with
from tests.pages import ROOT, blocks, prose

PROGRAMS = {"ascl", "make", "python", "pytest"}
_SPAN = re.compile(r"`([^`\n]+)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_COMMON_OPTIONS = "benchmarks/side_by_side.py"
_UsageError = typer.BadParameter.__mro__[1]
_PLACEHOLDER = re.compile(r"[A-Z_]+|.*[…$<].*", re.DOTALL)
"""What the reader replaces: RUN, …, $NAME, <commit>."""


@dataclass(frozen=True)
class Shown:
    """One command on a page."""

    words: tuple[str, ...]
    is_whole: bool
    """Whether it could be typed so, as in a block; a sentence may leave out arguments."""

    def __str__(self) -> str:
        return shlex.join(self.words)


def shown(page: str) -> Iterator[Shown]:
    """Yield the commands of `PROGRAMS` on a page."""
    for block in blocks(page):
        for step in block.steps():
            for words in _simple_commands(step.command or ""):
                yield Shown(words, is_whole=True)
    for span in spans(page):
        if " " in span:
            for words in _simple_commands(span):
                yield Shown(words, is_whole=False)


def spans(page: str) -> list[str]:
    """Return what the sentences and tables of a page set as code."""
    return _SPAN.findall(prose(page))


def option_names() -> set[str]:
    """Return every option of every command of `ascl`."""

    def names(command: Any) -> Iterator[str]:
        yield from (name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))
        for inner in getattr(command, "commands", {}).values():
            yield from names(inner)

    return {"--help", *names(_ascl())}


def helps(command: Any = None) -> Iterator[str]:
    """Yield the help of every command of `ascl`."""
    command = command or _ascl()
    yield command.help or ""
    for inner in getattr(command, "commands", {}).values():
        yield from helps(inner)


def _simple_commands(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command of a line of bash, without variables before it and redirections after it."""
    lexer = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    for is_operator, group in groupby(lexer, key=lambda word: set(word) <= set("();<>|&")):
        words = list(group)
        while words and _ASSIGNMENT.match(words[0]):
            del words[0]
        if not is_operator and words and words[0].removeprefix(".venv/bin/") in PROGRAMS:
            yield words[0].removeprefix(".venv/bin/"), *words[1:]


def problem(command: Shown, page: str = "") -> str | None:
    """Return what is wrong with a command of a page; None if nothing is. What it would do is not looked at."""
    program, *words = command.words
    if program == "make":
        return _problem_of_make(words)
    if program in ("python", "pytest"):
        return _problem_of_python(words)
    try:
        found, rest = _command([word for word in words if word != "--debug"])
        if found is None:
            return None
        if isinstance(found, TyperGroup):
            return None if not rest and not command.is_whole else f"{found.name} takes no {rest}"
        return _problem_of_options(found, rest, command.is_whole, page)
    except _UsageError as error:
        return str(error)


def _command(words: Sequence[str]) -> tuple[Any, list[str]]:
    """Return the command or group that the words name, and the words after its name."""
    found = _ascl()
    rest = list(words)
    while isinstance(found, TyperGroup) and rest and not rest[0].startswith("-"):
        inner = found.get_command(typer.Context(found), rest[0])
        if inner is None and _PLACEHOLDER.fullmatch(rest[0]):
            return None, []
        if inner is None:
            raise _UsageError(f"no command {rest[0]!r}")
        found, rest = inner, rest[1:]
    return found, rest


@cache
def _ascl() -> Any:
    return typer.main.get_command(app)


def _problem_of_options(found: TyperCommand, words: list[str], is_whole: bool, page: str) -> str | None:
    context = typer.Context(found)
    try:
        given, extra, _ = found.make_parser(context).parse_args(words)
    except _UsageError as error:
        return None if not is_whole and "requires an argument" in str(error) else str(error)
    if left := [word for word in extra if word not in ("…", "...")]:
        return f"{left} is one argument too many"
    for parameter in found.params:
        value = given.get(parameter.name or "")
        if value is None and parameter.required and is_whole:
            return f"{parameter.name} is missing"
        choices = [getattr(choice, "value", choice) for choice in parameter.type_descriptor.choices or ()]
        for one in value if isinstance(value, list | tuple) else [value]:
            if choices and one is not None and one not in choices and not _PLACEHOLDER.fullmatch(str(one)):
                return f"{one!r} is none of {choices}"
    values = {option: given.get(parameter.name or "") or () for parameter in found.params for option in parameter.opts}
    return _problem_of_values(values, page)


def _problem_of_values(values: Mapping[str, Any], page: str) -> str | None:
    """Return what is wrong with a profile, parameters or arms; an arm may be one that the page itself adds."""
    profile = str(values.get("--profile") or "tiny")
    settings = [one for one in values.get("--set", ()) if not _PLACEHOLDER.fullmatch(one)]
    try:
        if judge := values.get("--judge"):
            judge_with(ROOT, judge, settings)
        elif (settings or profile != "tiny") and not _PLACEHOLDER.fullmatch(profile):
            resolve_profile(ROOT, profile, settings)
    except AsclError as error:
        return str(error)
    names = {arm.name for arm in ARMS}
    unknown = [arm for arm in values.get("--arm", ()) if arm not in names and f'"{arm}"' not in page and not _PLACEHOLDER.fullmatch(arm)]
    return f"no such arms: {unknown}" if unknown else None


def _problem_of_make(words: list[str]) -> str | None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    unknown = [word for word in words if not _ASSIGNMENT.match(word) and word not in targets and not word.startswith("-")]
    return f"no such targets: {unknown}" if unknown else None


def _problem_of_python(words: list[str]) -> str | None:
    """Return whether a script, module or test does not exist, or an option that a script's own parser does not add."""
    if not words:
        return None
    if words[0] == "-m":
        file = ROOT / words[1].replace(".", "/")
        exists = words[1].split(".")[0] not in ("flows", "tasks", "ascl_core", "tests") or file.is_dir() or file.with_suffix(".py").exists()
        return None if exists else f"there is no module {words[1]}"
    scripts = [word.partition("::") for word in words if word.partition("::")[0].endswith((".py", "/"))]
    for path, _, test in scripts:
        if not (ROOT / path).exists():
            return f"{path} does not exist"
        if test and test not in {
            node.name for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
        }:
            return f"{path} has no {test}"
    read = [path for path, _, _ in scripts[:1] if path.startswith("benchmarks/")]
    source = "".join((ROOT / path).read_text(encoding="utf-8") for path in (*read, *([_COMMON_OPTIONS] if read else [])))
    unknown = [
        word for word in words if word.startswith("--") and source and word != "--help" and f'"{word.partition("=")[0]}"' not in source
    ]
    return f"{scripts[0][0]} has no {unknown}" if unknown else None
