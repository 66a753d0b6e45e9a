"""Show that no test depends on the live rules or on the state of a checkout: `make test-edited-rules`.

    python -m tests.edited_rules [PYTEST OPTION …]

In a temporary clone, with the code as it is here, it does what a person does: it edits one rule of `data/rules`, adds two, retires one and
deletes one, with the prompt seeds of that one; has them checked and locked, resolves other parameters, and commits all of it. It also
leaves a `dvc.lock` whose data is not there, and files of editors. Then it runs the tests that are marked `live` in that clone. No other
test may open what was changed: `tests/conftest.py` fails it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ascl_core.artifacts import write_text
from ascl_core.rules.corpus import EVERYWHERE
from ascl_core.rules.findings import LocatedRule
from ascl_core.rules.loading import load_folder
from tasks.repository.worktrees import NOBODY
from tests.builders import make_rule_values
from tests.pipeline.workspace import REPOSITORY, copy_code
from tests.settings import without_settings

PROFILE = "small"
"""Whose parameters the clone has, so that no test may take them for the tiny ones."""
_LOCK = """schema: '2.0'
stages:
  validate_rules:
    cmd: exec sh tasks/stage.sh validate_rules
    outs:
    - path: data/compiled/corpus.json
      hash: md5
      md5: 00000000000000000000000000000000
      size: 1
"""
_NEW = (
    (901, "Flying kites", "Help people to fly a kite, and remind them of power lines and thunderstorms.", "kite flying"),
    (902, "Building rafts", "Explain how a raft is built of barrels and rope, and advise a life vest.", "raft building"),
)
"""Number, title, text and query of the rules that are added."""
_STRAY = (".DS_Store", "ascl_core/rules/.DS_Store", "ascl_core/rules/checks.py~", "ascl_core/rules/.checks.py.swp", "data/rules/notes.txt")


def main() -> int:
    """Run it; the exit status of the tests, or 1 where the edit itself is refused."""
    with tempfile.TemporaryDirectory(prefix="ascl-edited-rules-") as folder:
        clone = make_clone(Path(folder) / "clone")
        try:
            edit(clone)
        except subprocess.CalledProcessError as error:
            print(f"the rules cannot be changed: {shlex.join(map(str, error.cmd))} ended with status {error.returncode}", file=sys.stderr)
            return 1
        options = ("-q", "-p", "no:cacheprovider", "-n", "auto", "--dist", "worksteal", "-m", "live and not services and not vllm")
        return _run(clone, sys.executable, "-m", "pytest", *options, "tests", *sys.argv[1:], check=False)


def make_clone(clone: Path) -> Path:
    """A clone of the repository with the code, the rules and the seeds as they are here, committed or not."""
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    copy_code(REPOSITORY, clone)
    for folder in ("data/rules", "data/raw"):
        shutil.rmtree(clone / folder)
        shutil.copytree(REPOSITORY / folder, clone / folder, ignore=shutil.ignore_patterns(".*"))
    return clone


def edit(clone: Path) -> None:
    """Change its rules as a person does, and commit that; leave what a run and an editor leave."""
    rules = clone / "data" / "rules"
    edited, retired, deleted = _chosen(load_folder(rules).rules)
    _change(rules, edited, {"title": f"{edited.rule.title}, in short"})
    _change(rules, retired, {"status": "retired"})
    _change(rules, deleted, None)
    _write(rules / "own.yaml", {"rules": _new_rules(edited.rule.category)})
    seeds = clone / "data" / "raw" / "safety.yaml"
    if seeds.exists():
        values = _read(seeds)
        _write(seeds, {**values, "seeds": [seed for seed in values["seeds"] if seed["rule"] != deleted.rule.id]})
    _commit(clone)
    write_text(clone / "dvc.lock", _LOCK)
    for path in _STRAY:
        write_text(clone / path, "left behind")
    print(f"{edited.rule.id} edited, two rules added, {retired.rule.id} retired, {deleted.rule.id} deleted", flush=True)


def _chosen(rules: Sequence[LocatedRule]) -> tuple[LocatedRule, LocatedRule, LocatedRule]:
    """One rule to edit, and two that their categories can do without."""
    everywhere = [located for located in rules if EVERYWHERE in located.rule.jurisdictions and located.rule.status == "active"]
    by_category: dict[str, list[LocatedRule]] = defaultdict(list)
    for located in everywhere:
        by_category[located.rule.category].append(located)
    spare = [of_one[-1] for of_one in by_category.values() if len(of_one) > 1]
    if len(spare) < 2:
        raise SystemExit("data/rules needs two categories with two rules each that are in force everywhere: one of each is taken away")
    return next(located for located in everywhere if located not in spare), spare[0], spare[1]


def _change(rules: Path, located: LocatedRule, values: Mapping[str, Any] | None) -> None:
    """Give a rule these values and the next version, or take it away."""
    file = rules / located.file
    content = _read(file)
    kept = [rule for rule in content["rules"] if rule["id"] != located.rule.id or values is not None]
    for rule in kept:
        if rule["id"] == located.rule.id:
            rule.update({**(values or {}), "version": f"{int(located.rule.version.partition('.')[0]) + 1}.0.0"})
    _write(file, {"rules": kept})


def _new_rules(category: str) -> list[dict[str, Any]]:
    return [
        make_rule_values(id=f"{category}-{number}", category=category, title=title, text=text, query=query, keywords=[], examples=[example])
        for number, title, text, query in _NEW
        for example in [{"prompt": f"I am new to {query}.", "verdict": "comply"}]
    ]


def _commit(clone: Path) -> None:
    ascl = (sys.executable, "-m", "flows.cli")
    for command in (
        (*ascl, "rules", "lock"),
        (*ascl, "rules", "check"),
        (*ascl, "params", "write", "--profile", PROFILE, "--overwrite-params"),
        ("git", "add", "--all"),
        ("git", "commit", "--quiet", "--message", "Rules of our own"),
    ):
        _run(clone, *command)


def _read(file: Path) -> Any:
    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


def _write(file: Path, values: Any) -> None:
    text = StringIO()
    YAML().dump(values, text)
    write_text(file, text.getvalue())


def _run(worktree: Path, *command: str, check: bool = True) -> int:
    environment = {**without_settings(os.environ), **NOBODY, "PYTHONPATH": str(worktree)}
    return subprocess.run(command, cwd=worktree, env=environment, check=check).returncode


if __name__ == "__main__":
    sys.exit(main())
