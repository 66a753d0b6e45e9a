"""`ascl init`: a new project for your own rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import out, print_line, print_warning
from tasks.repository.git import git
from tasks.repository.new_project import make_project

SOURCE = Path(__file__).parents[2]
"""The repository that holds this code."""
_NEXT = """
Next:
  cd {folder}
  make setup && source .venv/bin/activate   # the environment of the project
  ascl rules check                          # three rules, to be replaced by yours: data/rules
  ascl rules new ABC-01 "What it is about"  # a rule of your own, valid at once
  $EDITOR data/raw/prompts.csv              # your prompts: prompt,prompt_type,rule_id
  ascl rules lock && git add --all && git commit -m "Our rules"
  make run                                  # train, evaluate, decide, report
docs/own-rules.md in it explains each step."""


def init(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, or an empty one.")]) -> None:
    """Make a new project: this code with its history, three small rules and some prompts to start from; nothing is overwritten.

    Example:  ascl init ../our-rules
    """
    given, folder = folder, folder.resolve()
    commit = make_project(SOURCE, folder)
    if git(SOURCE, "status", "--porcelain", "--untracked-files=no"):
        print_warning(f"{SOURCE} has changes that are not committed; the project has the code of commit {commit[:12]}, without them")
    out.print(f"[green]made[/] {folder}, on its branch main; the code is of commit {commit[:12]}")
    print_line("kept: the code, the profiles, dvc.yaml, the pages and the tests")
    print_line("new: data/rules (three rules), data/raw (some prompts), params.yaml (profile tiny)")
    print_line("left behind: our rules and prompts, data/trust, the DVC remote, other branches, tags, what runs made")
    print_line("a later version of the code: git pull upstream main")
    print_line(_NEXT.format(folder=given))
