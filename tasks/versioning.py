"""The one place that talks to DVC: what is stale and why, recording, fetching, pushing.

Reading is done in this process, under a lock, as DVC's own path locks do not hold between threads. Everything
that changes DVC's state is done by its command line, one at a time, and waits for other processes.
"""

from __future__ import annotations

import configparser
import copy
import functools
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from ascl_core.artifacts import parse_yaml, read_yaml, write_text
from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.errors import ConfigError, DataError, StageCrashed, WorkspaceError
from tasks.code import PACKAGE
from tasks.locking import alone
from tasks.parameters import FILE as PARAMETERS
from tasks.parameters import differing
from tasks.remote_check import Fault, fault
from tasks.remotes import SHOWN_IN_CLEAR, Remote, from_environment, read_remote, read_settings, secrets_in_configuration
from tasks.sources import SourceChanges, source_changes
from tasks.stages import Stage

_log = logging.getLogger(__name__)
_THREADS = threading.RLock()
_WORDS = {"modified": "changed", "new": "is new", "deleted": "is missing", "not in cache": "is not in the cache"}
_SHOWN = 3
_LAST_LOCK = Path(".ascl/dvc.lock")
_OWED = Path(".ascl/to-push")
"""There from a recording until a push has sent what was recorded."""
_ATTEMPTS = 4
_WAIT_S = 1.0
_RETRIES = {"AWS_MAX_ATTEMPTS": "3", "AWS_RETRY_MODE": "standard"}


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
        raise WorkspaceError("DVC is not set up here", file=root / ".dvc" / "config", hint="git checkout -- .dvc .dvcignore")


def staleness(
    root: Path, stages: list[Stage], parameters: Mapping[str, Any] | None = None, inputs: Mapping[str, str] | None = None
) -> dict[str, Staleness]:
    """For each stage by name why it is stale, compared with `dvc.lock`; looks at nothing upstream of it.

    With `parameters`, those count in place of what `params.yaml` says, and with `inputs`, MD5 by path, those in place of what lies at
    these paths. Prompt sources count as the parameters name them, whether or not `dvc.yaml` names them yet.
    """
    ensure(root)
    with _alone(root):
        found = _status(root, stages)
        known = _lock(root)
    now = read_yaml(root / PARAMETERS) or {} if parameters is None else parameters
    params = parse(Params, now, file=root / PARAMETERS)
    sources = {stage.name: source_changes(root, stage, params) for stage in stages}
    problems = {s.name: _with_inputs(known.get(s.name, {}), found.get(s.name, []), inputs or {}) for s in stages}
    return {s.name: _staleness(s, known.get(s.name, {}), problems[s.name], now, sources[s.name]) for s in stages}


def recorded(root: Path) -> dict[str, Any]:
    """The stages in `dvc.lock`, read between two recordings; one that was cut off is brought back before."""
    with _alone(root):
        if _is_torn(root / "dvc.lock"):
            _bring_lock_back(root)
        return _lock(root)


def recorded_inputs(root: Path) -> dict[str, dict[str, str]]:
    """MD5 of what each stage, by name, read when it last ran, by path; a stage that never ran is not among them."""
    with _alone(root):
        stages = _lock(root)
    return {name: {dep["path"]: str(dep.get("md5")) for dep in entry.get("deps", ())} for name, entry in stages.items()}


def record(root: Path, stage: Stage) -> None:
    """Take the stage's outputs into the cache and write them, with its dependencies, to `dvc.lock`.

    `WorkspaceError` where the cache did not take all of them, `StageCrashed` where DVC was killed; then `dvc.lock` is as before.
    """
    write_text(root / _OWED, f"{stage.name}\n")
    before = _text(root / "dvc.lock") if (root / "dvc.lock").exists() else None
    done = _run_alone(root, "commit", "--force", stage.name)
    if done.returncode == 0 and "failed to transfer" not in done.stderr:  # of which DVC says nothing in its status
        return
    if before is None:
        (root / "dvc.lock").unlink(missing_ok=True)
    else:
        write_text(root / "dvc.lock", before)
    _heed_full_disk(root, done)
    if done.returncode < 0:
        raise StageCrashed(
            f"dvc commit was {_killed(done)}", field=stage.name, hint="run it again: its outputs are in place, to be recorded"
        )
    hint = "check the space and the permissions of .dvc/cache, and run again"
    raise WorkspaceError(f"dvc commit failed: {_complaint(done)}", file=root / "dvc.yaml", hint=hint)


def restore(root: Path, stage: Stage) -> bool:
    """Bring the recorded outputs back from the cache or the remote; False where neither has all of them."""
    if _run_alone(root, "checkout", "--force", stage.name).returncode == 0 and not staleness(root, [stage])[stage.name]:
        return True
    try:
        _transfer(root, "pull", "--force", stage.name, attempts=1)
    except WorkspaceError as error:
        _log.warning("%s is not restored: %s", stage.name, error.problem)
        return False
    return not staleness(root, [stage])[stage.name]


def fetch_recorded(root: Path, commit: str, path: str, into: Path) -> Path:
    """Bring the file or folder `path`, as that commit's `dvc.lock` records it, under `into`; from the cache, else from the remote."""
    target = into / path
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    hint = "fetch it from the remote that has it: dvc remote list"
    _dvc(root, "get", "--quiet", "--rev", commit, "--out", str(target), ".", path, hint=hint)
    return target


def cached_files(root: Path, md5: str) -> dict[str, Path | None]:
    """Where the cache has the files of an output of that MD5, by their path in it (a file's own is `""`); None for one that it lacks.

    Empty where the output is a folder and the cache lacks the list of its files.
    """
    if not md5.endswith(".dir"):
        return {"": _cached(root, md5)}
    listing = _cached(root, md5)
    try:
        entries = json.loads(listing.read_bytes()) if listing else []
        return {str(entry["relpath"]): _cached(root, str(entry["md5"])) for entry in entries}
    except (ValueError, KeyError, TypeError):
        raise DataError("the list of files of an output is damaged", file=listing, hint="remove it, and ascl pull") from None


def _cached(root: Path, md5: str) -> Path | None:
    folder = os.path.normpath(root.resolve() / ".dvc" / read_settings(root).get("cache", {}).get("dir", "cache"))
    path = Path(folder) / "files" / "md5" / md5[:2] / md5[2:]
    return path if path.is_file() else None


def bring(root: Path, stages: list[Stage]) -> None:
    """Have the outputs of these stages as `dvc.lock` names them, whatever their code and parameters are now, from the cache or the remote.

    `WorkspaceError` where DVC says that it cannot. It may not say so: whoever relies on the bytes compares their digests.
    """
    names = [stage.name for stage in stages]
    with _alone(root):
        done = _run(root, "checkout", "--force", "--quiet", *names)
    if done.returncode != 0 or not _is_as_locked(root, stages):
        _dvc(root, "pull", "--force", "--quiet", *names, hint="run it where its outputs still are: dvc push, and try again")


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


def listing_md5(md5s: Mapping[str, str]) -> str:
    """What DVC calls the MD5 of a folder, of the MD5 of each of its files by path: that of the list of them."""
    listed = [{"md5": md5s[path], "relpath": path} for path in sorted(md5s)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def fetch_to_cache(root: Path, paths: Collection[str]) -> None:
    """Bring these recorded outputs from the remote into the cache, and into no working tree; `WorkspaceError` where it has not all."""
    _transfer(root, "fetch", *sorted(paths))


def fetch(root: Path, paths: Collection[str]) -> None:
    """Have the recorded outputs at these paths in place, from the cache or the remote, whatever lies there now; runs no stage.

    What is not recorded is left alone. `WorkspaceError` where neither has one of them.
    """
    ensure(root)
    known = {out["path"] for entry in recorded(root).values() for out in entry.get("outs", ())} if paths else set()
    wanted = sorted(known.intersection(paths))
    if not wanted:
        return
    done = _run_alone(root, "checkout", "--force", *wanted)
    _heed_full_disk(root, done)
    if done.returncode != 0:
        _transfer(root, "pull", "--force", *wanted)


def push(root: Path) -> int:
    """Copy to the remote what it does not have of what `dvc.lock` names; how many files that were.

    Tries again where the connection failed. `WorkspaceError` names the remote and what is wrong; what is made stays, and the
    next push sends the rest.
    """
    owed = _stamp(root / _OWED)
    moved = _transfer(root, "push")
    if _stamp(root / _OWED) == owed:
        (root / _OWED).unlink(missing_ok=True)
    return moved


def owes_push(root: Path) -> bool:
    """Whether something was recorded that no push has sent since."""
    return (root / _OWED).exists()


def pull(root: Path, *, force: bool = False) -> int:
    """Bring everything that `dvc.lock` names from the remote into the cache and into place; how many files came.

    Without `force`, `WorkspaceError` where a file would be lost that is in no cache.
    """
    return _transfer(root, "pull", *(["--force"] if force else []))


def use_remote(root: Path, remote: Remote, *, shared: bool = False) -> None:
    """Make the remote the one of this machine, or with `shared` that of everybody who has the repository."""
    ensure(root)
    level = [] if shared else ["--local"]
    settings = {f"remote.{remote.name}.{name}": value for name, value in remote.settings.items()}
    _run_alone(root, "remote", "remove", *level, remote.name)
    for name, value in (*settings.items(), ("core.remote", remote.name)):
        _dvc(root, "config", *level, name, value, hint="read .dvc/config and .dvc/config.local")


def share(root: Path, place: Path) -> None:
    """Have `place`, another working tree, use the cache and the remotes of `root`, relative ones by where they are."""
    local, settings = configparser.ConfigParser(interpolation=None), read_settings(root)
    for section, values in settings.items():
        if section.startswith("remote "):
            url = values.get("url", "")
            local[f"'{section}'"] = values if "://" in url else {**values, "url": os.path.normpath(root.resolve() / ".dvc" / url)}
    local["core"] = {"remote": remote} if (remote := settings.get("core", {}).get("remote")) else {}
    local["cache"] = {"dir": os.path.normpath(root.resolve() / ".dvc" / settings.get("cache", {}).get("dir", "cache"))}
    if named := from_environment():
        local[f"'remote \"{named.name}\"'"], local["core"] = named.settings, {"remote": named.name}
    text = StringIO()
    local.write(text)
    write_text(place / ".dvc" / "config.local", text.getvalue())


def follow_environment(root: Path) -> None:
    """Have DVC use the remote that the environment names, where it names one; it is written down for this machine."""
    named = from_environment()
    if named and named != read_remote(root, environment=False):
        use_remote(root, named)


def _transfer(root: Path, command: str, *arguments: str, attempts: int = _ATTEMPTS) -> int:
    """Push or pull, again where the remote does not answer or the connection broke; how many files moved."""
    ensure(root)
    follow_environment(root)
    if secrets := secrets_in_configuration(root):
        raise WorkspaceError(SHOWN_IN_CLEAR.format(secrets[0].key), file=root / secrets[0].file, hint=secrets[0].hint)
    remote = read_remote(root)
    if remote is None:
        raise WorkspaceError(f"there is no remote to {command} with", file=root / ".dvc", hint="ascl remote set s3://BUCKET/PREFIX")
    for attempt in range(attempts):
        if attempt:
            time.sleep(_WAIT_S * 2 ** (attempt - 1))
        found, done = fault(remote), None
        if found is None:
            done = _run_alone(root, command, *arguments)
            _heed_full_disk(root, done)
            if done.returncode == 0:
                return _moved(done.stdout)
            found = fault(remote)
        if found is not None and not found.passing:
            break
    raise _untransferred(command, remote, found, done)


def _untransferred(command: str, remote: Remote, found: Fault | None, done: subprocess.CompletedProcess[str] | None) -> WorkspaceError:
    problem = found.problem if found else _complaint(done) if done else "it did not answer"
    kept = "what was made is kept here, and the rest goes with: ascl push" if command == "push" else "then again: ascl pull"
    hint = f"{found.hint if found else 'ascl remote check'}; {kept}"
    return WorkspaceError(f"the {command} failed: {problem}", file=remote, hint=hint)


def _moved(said: str) -> int:
    """How many files a push or a pull has moved, as DVC says it."""
    return sum(int(number) for number in re.findall(r"(\d+) files? (?:pushed|fetched)", said))


def _dvc(root: Path, *arguments: str, hint: str) -> None:
    done = _run_alone(root, *arguments)
    if done.returncode != 0:
        _heed_full_disk(root, done)
        raise WorkspaceError(f"dvc {arguments[0]} failed: {_complaint(done)}", file=root / "dvc.yaml", hint=hint)


def _heed_full_disk(root: Path, done: subprocess.CompletedProcess[str]) -> None:
    """`WorkspaceError` where the disk was full; what DVC left half written is removed."""
    if "No space left on device" not in done.stderr and "Disk quota exceeded" not in done.stderr:
        return
    for half in re.findall(r"-> '([^']+\.tmp)'", done.stderr):
        Path(half).unlink(missing_ok=True)
    hint = "free some space (ascl runs collect; dvc gc --workspace --all-branches --all-tags), and run again: what was finished is kept"
    raise WorkspaceError(f"no space left on the disk: dvc {done.args[4]} stopped", file=root / ".dvc" / "cache", hint=hint)


def _run_alone(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with _alone(root):
        return _run(root, *arguments)


def _stamp(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def _killed(done: subprocess.CompletedProcess[str]) -> str:
    return f"killed by signal {-done.returncode}"


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"it was {_killed(done)}"
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["it said nothing"]
    return next((line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")), lines[-1])


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    environment = {**_RETRIES, **os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One talk with DVC at a time, among the threads of this process and among processes."""
    with _THREADS, alone(root / ".ascl" / "locks" / "dvc.lock"):
        yield


def _status(root: Path, stages: list[Stage], *, repair: bool = True) -> dict[str, list[Any]]:
    """What DVC finds changed, by stage."""
    if repair and _lacks_outputs(_text(root / "dvc.lock")):
        _bring_lock_back(root)
    try:
        found = _asked([stage.name for stage in stages], root)
    except WorkspaceError:
        if repair and _bring_lock_back(root):
            return _status(root, stages, repair=False)
        raise
    write_text(root / _LAST_LOCK, _text(root / "dvc.lock"))
    return found


def _asked(targets: list[str], root: Path) -> dict[str, list[Any]]:
    """DVC's answer; from a process of its own for another workspace, as DVC resolves paths against the working directory."""
    if root.resolve() != Path.cwd():
        done = _run(root, "status", "--json", *targets)
        if done.returncode < 0:
            raise StageCrashed(f"dvc status was {_killed(done)}", file=root, hint="run it again")
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
    return WorkspaceError(f"DVC cannot read its state: {why}", file=root / "dvc.lock", hint="git checkout -- dvc.yaml dvc.lock")


def _bring_lock_back(root: Path) -> bool:
    """Put the last readable `dvc.lock` in place of one that is cut off: DVC writes it in place, and may be killed meanwhile."""
    if not (root / _LAST_LOCK).exists() or not _is_torn(root / "dvc.lock"):
        return False
    _log.warning("dvc.lock was cut off, as DVC was killed while it wrote it: the last whole one is back")
    write_text(root / "dvc.lock", _text(root / _LAST_LOCK) or "schema: '2.0'\n")
    return True


def _is_torn(lock: Path) -> bool:
    """Whether `dvc.lock` is not whole, and not because people's versions of it conflict."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    if "<<<<<<<" in _text(lock):
        return False
    if _lacks_outputs(_text(lock)):
        return True
    try:
        COMPILED_LOCKFILE_SCHEMA(copy.deepcopy(_parsed(lock.read_text(encoding="utf-8"), str(lock))))
    except (ConfigError, Invalid, OSError, UnicodeDecodeError):
        return lock.exists()
    return False


def _lacks_outputs(text: str) -> bool:
    """Whether a stage in a `dvc.lock` has no outputs, which all of ours have: it was cut off between two lines, and can still be read."""
    return len(re.findall(r"^  [\w-]+:$", text, re.MULTILINE)) != len(re.findall(r"^    outs:$", text, re.MULTILINE))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _lock(root: Path) -> dict[str, Any]:
    path = root / "dvc.lock"
    return stages_in(path.read_text(encoding="utf-8"), file=path) if path.exists() else {}


def stages_in(lock: str, *, file: object = "dvc.lock") -> dict[str, Any]:
    """What the text of a `dvc.lock` says of each stage; `ConfigError` where it is none."""
    return copy.deepcopy((_parsed(lock, str(file)) or {}).get("stages") or {})


@functools.lru_cache(maxsize=4)
def _parsed(lock: str, file: str) -> Any:
    """Reading it takes a second for a few thousand lines, and one command reads it several times."""
    return parse_yaml(lock, file=file)


def _with_inputs(recorded: Mapping[str, Any], problems: list[Any], inputs: Mapping[str, str]) -> list[Any]:
    """What DVC would find changed if these inputs, MD5 by path, lay where the stage reads them."""
    read = {dep["path"]: str(dep.get("md5")) for dep in recorded.get("deps", ()) if dep["path"] in inputs}
    others = [
        {**p, "changed deps": {path: word for path, word in p["changed deps"].items() if path not in read}}
        if isinstance(p, dict) and "changed deps" in p
        else p
        for p in problems
    ]
    changed = {path: "modified" for path, md5 in read.items() if md5 != inputs[path]}
    kept = [problem for problem in others if not isinstance(problem, dict) or any(problem.values())]
    return [*kept, {"changed deps": changed}] if changed else kept


def _staleness(
    stage: Stage, recorded: Mapping[str, Any], problems: list[Any], parameters: Mapping[str, Any], sources: SourceChanges
) -> Staleness:
    if not recorded:
        return Staleness(("it was never run here",), False)
    reasons: list[str] = []
    before = recorded.get("params", {}).get(PARAMETERS, {})
    other = [one for section in stage.sections for one in differing(section, before.get(section), parameters.get(section))]
    parameter_reasons = [f"{key}: {was} → {now}" for key, was, now in other]
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
