"""What is stale and why, as `dvc status` and the record of a stage's last run say.

Reading is done in this process, under a lock, as DVC's own path locks do not hold between threads.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_yaml, sha256_json, to_json, write_text
from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.errors import StageCrashed, WorkspaceError
from ascl_core.text import some
from tasks.registry.code import PACKAGE, code_digests
from tasks.registry.parameters import differing
from tasks.registry.paths import DVC_LOCK, DVC_YAML, LAST_DVC_LOCK, PARAMETERS
from tasks.registry.sources import SourceChanges, source_changes
from tasks.registry.stages import Stage, upstream
from tasks.repository import cache, dvc, dvc_lock
from tasks.repository.remotes import read_settings

_WORDS = {"modified": "changed", "new": "is new", "deleted": "is missing", "not in cache": "is not in the cache"}
_VALUE_CHARS = 80
REWRITTEN = "only comments, docstrings, formatting or the order of imports changed in {}"


@dataclass(frozen=True)
class Staleness:
    """Why a stage's recorded outputs are not what it would produce now."""

    reasons: tuple[str, ...]
    """What changed, each in a few words; empty if nothing did."""
    restorable: bool
    """True if only outputs are missing or changed: the recorded ones are still right."""
    rewritten: tuple[str, ...] = ()
    """The files of code of which only comments, docstrings, formatting or the order of imports changed: no reason to run the stage, but
    `dvc.lock` names their old bytes."""
    other_parameters: bool = False
    """Whether its parameters are not those of its last run."""

    def __bool__(self) -> bool:
        return bool(self.reasons)


CURRENT = Staleness((), restorable=False)


def current(root: Path, stages: list[Stage]) -> frozenset[str]:
    """Return the names of these stages that are up to date, as is everything upstream of them; raises what `staleness` does.

    Until somebody changes a file, a run would reuse all of them. DVC reads `dvc.lock` once for this, and not once for each stage.
    """
    if not (root / DVC_LOCK).exists():
        return frozenset()
    stale = staleness(root, stages)
    found: set[str] = set()
    for stage in stages:
        if stale[stage.name] == CURRENT and all(made.name in found for made in upstream(stage).values()):
            found.add(stage.name)
    return frozenset(found)


def staleness(
    root: Path, stages: list[Stage], parameters: Mapping[str, Any] | None = None, inputs: Mapping[str, str] | None = None
) -> dict[str, Staleness]:
    """Return for each stage, by name, why it is stale compared with `dvc.lock`, without regard to the stages upstream of it.

    `parameters` replace those in `params.yaml`, and `inputs`, MD5 by path, the files at these paths. The prompt sources are those that the
    parameters name, whether or not `dvc.yaml` names them yet.
    """
    dvc.require_configured(root)
    with dvc.one_at_a_time(root):
        found = _status(root, stages)
        known = dvc_lock.read_stages(root)
    now = read_yaml(root / PARAMETERS) or {} if parameters is None else parameters
    params = parse(Params, now, file=root / PARAMETERS)
    sources = {stage.name: source_changes(root, stage, params) for stage in stages}
    problems = {s.name: _with_inputs(s, known.get(s.name, {}), found.get(s.name, []), inputs or {}) for s in stages}
    rewritten = {s.name: _rewritten(root, s, known.get(s.name, {}), problems[s.name]) for s in stages}
    return {
        s.name: _staleness(s, known.get(s.name, {}), _without(problems[s.name], rewritten[s.name]), now, sources[s.name], rewritten[s.name])
        for s in stages
    }


def _rewritten(root: Path, stage: Stage, recorded: Mapping[str, Any], problems: list[Any]) -> tuple[str, ...]:
    """Return the files of code whose bytes changed if the code means what it meant when the stage ran; none otherwise."""
    files = tuple(path for path in _changed_dependencies(problems) if path.startswith(f"{PACKAGE}/"))
    return files if files and _recorded_code(root, stage, recorded) == sha256_json(code_digests(root, stage)) else ()


def _recorded_code(root: Path, stage: Stage, recorded: Mapping[str, Any]) -> str | None:
    """Return the digest of the code in the record that `dvc.lock` names, from the worktree or the cache; None if neither has it."""
    md5 = dvc_lock.md5s({stage.name: recorded}).get(stage.record.path)
    if md5 is None:
        return None
    file = root / stage.record.path
    found = file if file.is_file() and cache.md5(file) == md5 else cache.cached_files(root, md5).get("")
    try:
        return str(json.loads(found.read_bytes())["code"]["digest"]) if found else None
    except (ValueError, KeyError, TypeError):
        return None


def _status(root: Path, stages: list[Stage], *, repair: bool = True) -> dict[str, list[Any]]:
    """Return what DVC finds changed, by stage."""
    dvc_lock.refuse_conflicts(root)
    if repair and dvc_lock.lacks_outputs(dvc_lock.read_text(root / DVC_LOCK)):
        dvc_lock.restore_lock(root)
    try:
        found = _dvc_status(stages, root)
    except WorkspaceError:
        if repair and dvc_lock.restore_lock(root):
            return _status(root, stages, repair=False)
        raise
    write_text(root / LAST_DVC_LOCK, dvc_lock.read_text(root / DVC_LOCK))
    return found


def _dvc_status(stages: list[Stage], root: Path) -> dict[str, list[Any]]:
    """Return DVC's answer; from another process for another worktree, as DVC resolves paths against the working directory.

    DVC parses `dvc.yaml` and `dvc.lock` once for each target, so that several stages are asked for by their file.
    """
    targets = [stages[0].name] if len(stages) == 1 else [DVC_YAML]
    if root.resolve() != Path.cwd():
        done = dvc.run(root, "status", "--json", *targets)
        if done.returncode < 0:
            raise StageCrashed(f"dvc status was {dvc.killed(done)}", file=root, hint="run it again")
        if done.returncode != 0:
            raise _unreadable(root, dvc.error_line(done))
        return dict(json.loads(done.stdout))
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # below that it draws progress bars
    try:
        with Repo(str(root)) as repo:
            return dict(repo.status(targets=targets))
    except DvcException as error:
        raise _unreadable(root, error) from error


def _unreadable(root: Path, why: object) -> WorkspaceError:
    """Return the error for a state that DVC cannot read; `ConfigError` if it is DVC's configuration that is wrong."""
    read_settings(root)
    return WorkspaceError(f"DVC cannot read its state: {why}", file=root / DVC_LOCK, hint="git checkout -- dvc.yaml dvc.lock")


def _with_inputs(stage: Stage, recorded: Mapping[str, Any], problems: list[Any], inputs: Mapping[str, str]) -> list[Any]:
    """Return what DVC would find changed if the stage's inputs had these MD5s."""
    read = dvc_lock.md5s({stage.name: recorded}, "deps")
    changed = {path: "modified" for path, md5 in read.items() if inputs.get(path, md5) != md5}
    kept = _without(problems, read.keys() & inputs.keys())
    return [*kept, {"changed deps": changed}] if changed else kept


def _without(problems: list[Any], dependencies: Collection[str]) -> list[Any]:
    """Return what DVC found changed apart from these dependencies."""
    others = [
        {**p, "changed deps": {path: word for path, word in p["changed deps"].items() if path not in dependencies}}
        if isinstance(p, dict) and "changed deps" in p
        else p
        for p in problems
    ]
    return [problem for problem in others if not isinstance(problem, dict) or any(problem.values())]


def _staleness(
    stage: Stage,
    recorded: Mapping[str, Any],
    problems: list[Any],
    parameters: Mapping[str, Any],
    sources: SourceChanges,
    rewritten: tuple[str, ...],
) -> Staleness:
    if not recorded:
        return Staleness(("it was never run here",), False)
    reasons: list[str] = []
    before = recorded.get("params", {}).get(PARAMETERS, {})
    other = [one for section in stage.sections for one in differing(section, before.get(section), parameters.get(section))]
    parameter_reasons = [_change(key, was, now) for key, was, now in other]
    source_reasons = sources.reasons(_changed_dependencies(problems))
    only_outputs = not parameter_reasons and not source_reasons
    for problem in problems:
        changes = problem if isinstance(problem, dict) else {"command": problem}
        for kind, changed in changes.items():
            found = _reasons(stage, kind, changed)
            only_outputs &= kind == "changed outs" or not found
            reasons += found
    reasons += source_reasons + parameter_reasons
    return Staleness(tuple(dict.fromkeys(reasons)), only_outputs and bool(reasons), rewritten, bool(parameter_reasons))


def _change(key: str, was: Any, now: Any) -> str:
    before, after = in_words(was), in_words(now)
    return f"{key}: {before}, with other settings" if before == after else f"{key}: {before} → {after}"


def in_words(value: Any) -> str:
    """Return a parameter's value in words on one line, without the middle of a long one.

    Each entry of a list with a `format`, `name` or `path` is called by that.

    >>> in_words([{"format": "xstest", "samples": 1}, {"format": "own"}])
    'xstest, own'
    >>> in_words({"rank": 32, "dropout": None})
    'rank 32, dropout not set'
    """
    if value is None or value == "":
        return "not set"
    if isinstance(value, list):
        text = ", ".join(map(_called, value)) or "none"
    elif isinstance(value, dict):
        text = ", ".join(f"{key} {in_words(one)}" for key, one in value.items()) or "none"
    else:
        text = value if isinstance(value, str) else to_json(value, indent=None).strip()
    return text if len(text) <= _VALUE_CHARS else f"{text[: _VALUE_CHARS // 2]} … {text[-_VALUE_CHARS // 2 :]}"


def _called(entry: Any) -> str:
    known = [entry[key] for key in ("format", "name", "path") if entry.get(key)] if isinstance(entry, dict) else []
    return in_words(known[0] if known else entry)


def _reasons(stage: Stage, kind: str, changed: Any) -> list[str]:
    """Return what DVC found, in words, except for parameters, which are compared value by value, and prompt sources."""
    if kind == "changed outs":
        return [f"{path} {_WORDS.get(change, change)}" for path, change in changed.items()]
    if kind != "changed deps":
        return ["its definition in tasks/registry/stages.py changed"]
    data = {artifact.path for artifact in stage.input_artifacts()}
    reasons = [f"{path} {_WORDS.get(change, change)}" for path, change in changed.items() if path in data]
    code = [path for path in changed if path.startswith(f"{PACKAGE}/")]
    return [*reasons, f"code changed: {some(code, 1, noun='file')}"] if code else reasons


def _changed_dependencies(problems: list[Any]) -> list[str]:
    return [path for problem in problems if isinstance(problem, dict) for path in problem.get("changed deps", ())]
