"""The one place that talks to DVC: what is stale and why, recording, fetching, pushing.

Reading is done in this process, under a lock, as DVC's own path locks do not hold between threads. Everything
that changes DVC's state is done by its command line, one at a time, and waits for other processes.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ascl_core.artifacts import read_yaml, write_text
from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.errors import ConfigError, WorkspaceError
from tasks.code import PACKAGE
from tasks.parameters import FILE as PARAMETERS
from tasks.sources import SourceChanges, source_changes
from tasks.stages import Stage

_log = logging.getLogger(__name__)
_THREADS = threading.RLock()
_WORDS = {"modified": "changed", "new": "is new", "deleted": "is missing", "not in cache": "is not in the cache"}
_SHOWN = 3
_LAST_LOCK = Path(".ascl/dvc.lock")


@dataclass(frozen=True)
class Staleness:
    """Why a stage's recorded outputs cannot stand for what it would produce now."""

    reasons: tuple[str, ...]
    """What changed, each in a few words; empty where nothing did."""
    restorable: bool
    """True where only outputs are missing or changed: those that are recorded are still right."""

    def __bool__(self) -> bool:
        return bool(self.reasons)


def ensure(root: Path) -> None:
    """`WorkspaceError` unless the repository has its DVC configuration."""
    if not (root / ".dvc" / "config").is_file():
        raise WorkspaceError("DVC is not set up here", file=root / ".dvc" / "config", mend="git checkout -- .dvc .dvcignore")


def staleness(root: Path, stages: list[Stage], parameters: Mapping[str, Any] | None = None) -> dict[str, Staleness]:
    """For each stage by name why it is stale, compared with `dvc.lock`; looks at nothing upstream of it.

    With `parameters`, those count in place of what `params.yaml` says. Prompt sources count as the parameters name them,
    whether or not `dvc.yaml` names them yet.
    """
    ensure(root)
    with _alone(root):
        found = _status(root, stages)
        recorded = _lock(root)
    now = read_yaml(root / PARAMETERS) or {} if parameters is None else parameters
    params = parse(Params, now, file=root / PARAMETERS)
    sources = {stage.name: source_changes(root, stage, params) for stage in stages}
    return {s.name: _staleness(s, recorded.get(s.name, {}), found.get(s.name, []), now, sources[s.name]) for s in stages}


def record(root: Path, stage: Stage) -> None:
    """Take the stage's outputs into the cache and write them, with its dependencies, to `dvc.lock`."""
    _dvc(root, "commit", "--force", "--quiet", stage.name, mend="check the space and the permissions of .dvc/cache, and run again")


def restore(root: Path, stage: Stage) -> bool:
    """Bring the recorded outputs back from the cache or the remote; False where neither has all of them."""
    for command in ("checkout", "pull"):
        with _alone(root):
            done = _run(root, command, "--force", "--quiet", stage.name)
        if done.returncode == 0 and not staleness(root, [stage])[stage.name]:
            return True
    return False


def bring(root: Path, stages: list[Stage]) -> None:
    """Have the outputs of these stages as `dvc.lock` names them, whatever their code and parameters are now, from the cache or the remote.

    `WorkspaceError` where DVC says that it cannot. It may not say so: whoever relies on the bytes compares their digests.
    """
    names = [stage.name for stage in stages]
    with _alone(root):
        done = _run(root, "checkout", "--force", "--quiet", *names)
    if done.returncode != 0 or not _is_as_locked(root, stages):
        _dvc(root, "pull", "--force", "--quiet", *names, mend="run it where its outputs still are: dvc push, and try again")


def _is_as_locked(root: Path, stages: list[Stage]) -> bool:
    wanted = {path: found for stage in stages for path, found in locked(root, stage, "outs").items()}
    return all((root / path).exists() and md5(root / path) == found for path, found in wanted.items())


def locked(root: Path, stage: Stage, kind: Literal["deps", "outs"]) -> dict[str, str]:
    """The MD5 of what the stage read or wrote when `dvc.lock` was written, by path; of a folder, that of its list of files."""
    return {entry["path"]: str(entry.get("md5")) for entry in _lock(root).get(stage.name, {}).get(kind, ())}


def md5(path: Path) -> str:
    """What DVC calls the MD5 of a file or folder, of its bytes as they are now: no memory of earlier times is asked."""
    from dvc_data.hashfile.hash import hash_file
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.fs import LocalFileSystem

    files = LocalFileSystem()
    if path.is_file():
        return str(hash_file(str(path), files, "md5")[1].value)
    tree = Tree()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            meta, found = hash_file(str(file), files, "md5")
            tree.add(file.relative_to(path).parts, meta, found)
    tree.digest()
    return str(tree.oid)


def push(root: Path) -> None:
    """Copy to the remote what it does not have of what `dvc.lock` names."""
    _dvc(root, "push", "--quiet", mend="check the remote: dvc remote list")


def _dvc(root: Path, *arguments: str, mend: str) -> None:
    with _alone(root):
        done = _run(root, *arguments)
    if done.returncode != 0:
        raise WorkspaceError(f"dvc {arguments[0]} failed: {_complaint(done)}", file=root / "dvc.yaml", mend=mend)


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["it said nothing"]
    return next((line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")), lines[-1])


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One talk with DVC at a time, among the threads of this process and among processes."""
    lock = root / ".ascl" / "locks" / "dvc.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with _THREADS, open(lock, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _status(root: Path, stages: list[Stage], *, mend: bool = True) -> dict[str, list[Any]]:
    """What DVC finds changed, by stage."""
    try:
        found = _asked([stage.name for stage in stages], root)
    except WorkspaceError:
        if mend and _bring_lock_back(root):
            return _status(root, stages, mend=False)
        raise
    write_text(root / _LAST_LOCK, _text(root / "dvc.lock"))
    return found


def _asked(targets: list[str], root: Path) -> dict[str, list[Any]]:
    """DVC's answer; from a process of its own for another workspace, as DVC resolves paths against the working directory."""
    if root.resolve() != Path.cwd():
        done = _run(root, "status", "--json", *targets)
        if done.returncode != 0:
            raise _unreadable(root, _complaint(done))
        return dict(json.loads(done.stdout))
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with Repo(str(root)) as repo:
            return dict(repo.status(targets=targets))
    except DvcException as error:
        raise _unreadable(root, error) from error


def _unreadable(root: Path, why: object) -> WorkspaceError:
    return WorkspaceError(f"DVC cannot read its state: {why}", file=root / "dvc.lock", mend="git checkout -- dvc.yaml dvc.lock")


def _bring_lock_back(root: Path) -> bool:
    """Put the last readable `dvc.lock` in place of one that is cut off: DVC writes it in place, and may be killed meanwhile."""
    if not (root / _LAST_LOCK).exists() or not _is_torn(root / "dvc.lock"):
        return False
    _log.warning("dvc.lock was cut off, as DVC was killed while it wrote it: the last whole one is back")
    write_text(root / "dvc.lock", _text(root / _LAST_LOCK) or "schema: '2.0'\n")
    return True


def _is_torn(lock: Path) -> bool:
    """Whether `dvc.lock` cannot be read, and not because people's versions of it conflict."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    if "<<<<<<<" in _text(lock):
        return False
    try:
        COMPILED_LOCKFILE_SCHEMA(read_yaml(lock))
    except (ConfigError, Invalid):
        return lock.exists()
    return False


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _lock(root: Path) -> dict[str, Any]:
    path = root / "dvc.lock"
    return (read_yaml(path) or {}).get("stages") or {} if path.exists() else {}


def _staleness(
    stage: Stage, recorded: Mapping[str, Any], problems: list[Any], parameters: Mapping[str, Any], sources: SourceChanges
) -> Staleness:
    if not recorded:
        return Staleness(("it was never run here",), False)
    reasons: list[str] = []
    before = recorded.get("params", {}).get(PARAMETERS, {})
    parameter_reasons = [line for section in stage.sections for line in _differences(section, before.get(section), parameters.get(section))]
    source_reasons = sources.reasons(_changed_dependencies(problems))
    only_outputs = not parameter_reasons and not source_reasons
    for problem in problems:
        changes = problem if isinstance(problem, dict) else {"command": problem}
        for kind, changed in changes.items():
            found = _reasons(stage, kind, changed)
            only_outputs &= kind == "changed outs" or not found
            reasons += found
    reasons += source_reasons + parameter_reasons
    return Staleness(tuple(dict.fromkeys(reasons)), only_outputs and bool(reasons))


def _reasons(stage: Stage, kind: str, changed: Any) -> list[str]:
    """What DVC found, in words, apart from parameters, which are compared value by value, and prompt sources."""
    if kind == "changed outs":
        return [f"{path} {_WORDS.get(change, change)}" for path, change in changed.items()]
    if kind != "changed deps":
        return ["its definition in tasks/stages.py changed"]
    data = {artifact.path for artifact in stage.input_artifacts()}
    reasons = [f"{path} {_WORDS.get(change, change)}" for path, change in changed.items() if path in data]
    code = [path for path in changed if path.startswith(f"{PACKAGE}/")]
    if code:
        more = f" and {len(code) - _SHOWN} more files" if len(code) > _SHOWN else ""
        reasons.append(f"code changed: {', '.join(code[:_SHOWN])}{more}")
    return reasons


def _changed_dependencies(problems: list[Any]) -> list[str]:
    return [path for problem in problems if isinstance(problem, dict) for path in problem.get("changed deps", ())]


def _differences(key: str, before: Any, now: Any) -> list[str]:
    """`sft.max_steps: 600 → 100` for every value that differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        return [line for name in keys for line in _differences(f"{key}.{name}", before.get(name), now.get(name))]
    return [] if before == now else [f"{key}: {before} → {now}"]
