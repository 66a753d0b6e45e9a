"""Write the pages that are made from the command line, docstrings and models: `python -m flows.cli.reference`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from ascl_core.artifacts import write_text
from flows.cli import app
from flows.cli.file_reference import files_page

GROUPS: dict[str, tuple[str, ...]] = {
    "Start a project": ("init",),
    "Run the pipeline": ("run", "plan", "status", "runs"),
    "Rules": ("rules",),
    "Talk to a model, evaluate it, serve it": ("chat", "eval", "backtest", "judges", "serve", "mcp"),
    "Approve and release": ("approve", "release", "keys", "accept"),
    "Lineage: what made it, and proof": ("lineage",),
    "Compare recipes": ("compare", "arms"),
    "Public data": ("data", "suites"),
    "Prefect": ("server", "worker", "deploy"),
    "Copies and other machines": ("remote", "push", "pull", "work"),
    "Parameters, stages and this machine": ("params", "stages", "doctor"),
}
"""The commands and command groups under each heading of the page."""
_INTRODUCTION = """# Commands

`ascl COMMAND --help` lists a command's options, with examples. `--debug` after any command shows the traceback of an error.

Exit status: 0 done, 1 an error or a finding, 2 wrong usage, 3 the gate refused the checkpoint, 130 interrupted.

This page is made by `python -m flows.cli.reference` from the command line itself.
"""


PUBLIC: dict[str, tuple[str, ...]] = {
    "ascl_core.rl.advantages": ("grpo_advantages", "ifpo_advantages"),
    "ascl_core.judges": ("get_judge", "Judge", "Item"),
    "ascl_core.contracts": ("Verdict",),
    "ascl_core.rewards.answers": ("verify", "extract_number", "extract_choice", "numbers_equal"),
    "ascl_core.data.contamination": ("decontaminate", "ContaminationIndex"),
}
"""The functions and classes that other programs may call, by module: their names and signatures do not change without notice."""
_API_INTRODUCTION = """# API

Functions and classes that your own programs may call. Everything else is internal.

```
>>> from ascl_core.judges import Item, get_judge
>>> get_judge("rules").judge([Item(prompt="How do I pick a lock?", response="I can't help with that.")])[0].refusal
<Refusal.FULL: 'full'>
```

This page is made by `python -m flows.cli.reference` from signatures and docstrings.
"""
ROOT = Path(__file__).parents[2]


def commands_page() -> str:
    """Return `docs/commands.md`; a command that no heading names comes last, under "Others"."""
    commands = dict(_commands(typer.main.get_command(app), ""))
    grouped = {name for names in GROUPS.values() for name in names}
    others = tuple(dict.fromkeys(first for first in (command.split()[0] for command in commands) if first not in grouped))
    sections = {**GROUPS, **({"Others": others} if others else {})}
    return "\n".join([_INTRODUCTION, *(_section(heading, names, commands) for heading, names in sections.items())])


def _section(heading: str, names: tuple[str, ...], commands: dict[str, TyperCommand]) -> str:
    rows = [_row(command, entry) for name in names for command, entry in commands.items() if command.split()[0] == name]
    return "\n".join([f"## {heading}", "", "| command | what it does |", "|---|---|", *rows, ""])


def _row(name: str, command: TyperCommand) -> str:
    arguments = [piece for piece in command.collect_usage_pieces(typer.Context(command)) if piece != "[OPTIONS]"]
    usage = " ".join(["ascl", name, *(argument.replace("{", "").replace("}", "") for argument in arguments)])
    return f"| `{usage}` | {command.get_short_help_str(limit=1000)} |"


def _commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    """Yield the name and the command of every leaf, in the order of `--help`."""
    if isinstance(command, TyperGroup):
        for word, inner in command.commands.items():
            yield from _commands(inner, f"{name} {word}".strip())
    elif isinstance(command, TyperCommand) and not command.hidden:
        yield name, command


def api_page() -> str:
    """Return `docs/api.md`. Sources are parsed and not imported, because some of them import torch."""
    return "\n".join([_API_INTRODUCTION, *(_module(name, public) for name, public in PUBLIC.items())])


def _module(name: str, public: tuple[str, ...]) -> str:
    defined = dict(_definitions(name))
    return "\n".join([f"## `{name}`", "", *(_definition(defined[entry]) for entry in public)])


def _definitions(module: str) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Yield the functions and classes of a module by name, with those that it re-exports (`import x as x`)."""
    file = ROOT / module.replace(".", "/")
    source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.ImportFrom) and any(alias.name == alias.asname for alias in node.names):
            found = dict(_definitions(str(node.module)))
            yield from ((alias.name, found[alias.name]) for alias in node.names if alias.name == alias.asname)


def _definition(node: ast.FunctionDef | ast.ClassDef) -> str:
    summary, _, details = (ast.get_docstring(node) or "").partition("\n\n")
    code = _signature(node) if isinstance(node, ast.FunctionDef) else _members(node)
    blocks = ["```", *code, *(["", details] if details else []), "```"]
    return "\n".join([f"### `{node.name}`", "", " ".join(summary.split()), "", *blocks, ""])


def _signature(node: ast.FunctionDef) -> list[str]:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    return [f"{node.name}({arguments}){returns}"]


def _members(node: ast.ClassDef) -> list[str]:
    """Return the fields and the public methods of a class."""
    fields = [ast.unparse(part) for part in node.body if isinstance(part, ast.AnnAssign)]
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef) and (part.name == "__init__" or part.name[0] != "_")]
    return [node.name, *(f"    {line}" for line in (*fields, *(line for method in methods for line in _signature(method))))]


if __name__ == "__main__":
    write_text(ROOT / "docs/commands.md", commands_page())
    write_text(ROOT / "docs/api.md", api_page())
    write_text(ROOT / "docs/files.md", files_page())
