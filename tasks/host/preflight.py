"""What this machine must have before the first expensive step: each check says what it found and how to fix it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import psutil

from ascl_core.config.params import Params, load_params
from ascl_core.config.sources import OWN, SourceConfig
from ascl_core.data.locations import expand, hub_id, is_url
from ascl_core.errors import AsclError, ConfigError, DataError, ModelError, WorkspaceError
from ascl_core.generation.hub import hub_problem
from ascl_core.generation.packages import PREFIX, packaged_archive, packaged_weights
from tasks.host.engine_check import engine_problem
from tasks.host.gpus import gpus
from tasks.repository.check import Check
from tasks.repository.remotes import SHOWN_IN_CLEAR, read_remote, secrets_in_configuration

_GIB = 1 << 30
MIN_DISK_GIB = 0.5
ENOUGH_DISK_GIB = 5.0
ENOUGH_MEMORY_GIB = 3.0


def blocking(root: Path, params: Params) -> list[Check]:
    """The checks without which a run cannot end well; quick enough to run before every one."""
    return [_git(root), remote_check(root), _disk(root), _writable(root), *_of_params(params)]


def every(root: Path) -> list[Check]:
    """All checks, for `ascl doctor`."""
    try:
        params: Params | None = load_params(root / "params.yaml")
        parameters = Check("params.yaml", "ok", "every key is known and in range")
    except AsclError as error:
        params, parameters = None, Check("params.yaml", "error", error.problem, str(error))
    of_params = _of_params(params) if params else []
    machine = [_python(), _packages(root), _cores(), _memory(), _gpu(), _port()]
    return [*machine, _git(root), _dvc(root), remote_check(root), _disk(root), _writable(root), parameters, *of_params]


def require(root: Path, params: Params) -> None:
    """Raise `WorkspaceError` for the first thing that a run needs and this machine lacks."""
    for check in blocking(root, params):
        if check.level == "error":
            raise WorkspaceError(check.found, field=check.name, hint=check.hint)


def stages_at_a_time(params: Params) -> int:
    """How many stages this machine carries side by side: one on a GPU; without, as many as the cores have threads and processes for."""
    if gpus() and params.compute.device != "cpu":
        return 1
    return max(1, (os.cpu_count() or 1) // (params.compute.threads * params.parallel.processes))


def require_now(root: Path) -> None:
    """`require`, with the parameters that are in `params.yaml`."""
    require(root, load_params(root / "params.yaml"))


def _of_params(params: Params) -> list[Check]:
    return [*_compute(params), *_engine(params), *_model(params), *_sources(params)]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Check("python", "ok" if fits else "error", version, "" if fits else "use Python 3.11 or 3.12")


def _packages(root: Path) -> Check:
    lock = root / "requirements" / ("gpu.lock" if gpus() else "cpu.lock")
    if not lock.exists():
        return Check("packages", "warning", f"no lock at {lock}", "restore it: git checkout")
    wanted = dict(line.split("==") for line in lock.read_text().splitlines() if "==" in line and ";" not in line)
    wrong = sorted(f"{name} {_installed(name)} instead of {version}" for name, version in wanted.items() if not _matches(name, version))
    if wrong:
        return Check("packages", "warning", f"{len(wrong)} differ from {lock.name}: {', '.join(wrong[:3])}", "make setup")
    return Check("packages", "ok", f"{len(wanted)} as in {lock.name}")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _matches(name: str, version: str) -> bool:
    installed = _installed(name)
    return installed is not None and installed.partition("+")[0] == version.partition("+")[0]


def _cores() -> Check:
    cores = os.cpu_count() or 1
    return Check("cores", "ok" if cores > 1 else "warning", str(cores), "" if cores > 1 else "training will be slow")


def _memory() -> Check:
    available = psutil.virtual_memory().available / _GIB
    enough = available >= ENOUGH_MEMORY_GIB
    return Check("memory", "ok" if enough else "warning", f"{available:.1f} GiB free", "" if enough else "close other programs")


def _gpu() -> Check:
    found = gpus()
    return Check("gpu", "ok", f"{len(found)} x {found[0]}" if found else "none; the tiny profile needs none")


def _port() -> Check:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
        return Check("port", "ok", "127.0.0.1 can be listened on")
    except OSError as error:
        return Check("port", "error", f"127.0.0.1 cannot be listened on: {error}", "set PREFECT_API_URL to a server elsewhere")


def _git(root: Path) -> Check:
    if shutil.which("git") is None:
        return Check("git", "error", "git is not installed", "install git")
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    if head.returncode != 0:
        reason = head.stderr.strip().splitlines()[0] if head.stderr.strip() else "no commit"
        return Check(
            "git", "error", f"{root} is no git repository with a commit: {reason}", "git init && git add . && git commit, or clone anew"
        )
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=False).stdout
    count = len(changed.splitlines())
    if count:
        return Check(
            "git", "warning", f"{head.stdout.strip()}, and {count} files not committed", "commit them, so that the record names them"
        )
    return Check("git", "ok", head.stdout.strip())


def _dvc(root: Path) -> Check:
    if importlib.util.find_spec("dvc") is None:
        return Check("dvc", "error", "DVC is not installed", "make setup")
    if not (root / ".dvc" / "config").exists():
        return Check("dvc", "error", f"{root / '.dvc' / 'config'} is missing", "git checkout -- .dvc .dvcignore")
    return Check("dvc", "ok", importlib.metadata.version("dvc"))


def remote_check(root: Path) -> Check:
    """Whether a remote is configured, and no credentials with it; asks nobody."""
    if secrets := secrets_in_configuration(root):
        return Check("remote", "error", SHOWN_IN_CLEAR.format("; ".join(map(str, secrets))), secrets[0].hint)
    try:
        remote = read_remote(root)
    except ConfigError as error:
        return Check("remote", "error", f"{error.field or error.file}: {error.problem}", error.hint or "")
    return (
        Check("remote", "ok", str(remote))
        if remote
        else Check("remote", "warning", "none configured", "ascl remote set s3://BUCKET/PREFIX")
    )


def _disk(root: Path) -> Check:
    free = shutil.disk_usage(root).free / _GIB
    if free < MIN_DISK_GIB:
        return Check(
            "disk",
            "error",
            f"{free:.2f} GiB free at {root}, {MIN_DISK_GIB} GiB are needed",
            "free some space: ascl runs collect; dvc gc --workspace --all-branches --all-tags",
        )
    level: Literal["ok", "warning"] = "ok" if free >= ENOUGH_DISK_GIB else "warning"
    return Check("disk", level, f"{free:.1f} GiB free", "" if level == "ok" else "larger profiles need more")


def _writable(root: Path) -> Check:
    for folder in (root, root / "data", root / ".ascl", root / ".dvc" / "cache"):
        if folder.exists():
            try:
                with tempfile.NamedTemporaryFile(dir=folder):
                    pass
            except OSError as error:
                return Check(
                    "write permission",
                    "error",
                    f"cannot write to {folder}: {error.strerror}",
                    f"give yourself write permission on {folder}",
                )
    return Check("write permission", "ok", "the repository can be written to")


def _compute(params: Params) -> Iterator[Check]:
    count, compute, parallel = len(gpus()), params.compute, params.parallel
    on_gpu = count > 0 and compute.device != "cpu"
    if compute.device == "cuda" and not count:
        yield Check("compute.device", "error", "params.yaml asks for a GPU (cuda) and there is none", "set compute.device to auto or cpu")
    if on_gpu and parallel.processes > count:
        found = f"params.yaml asks for {parallel.processes} processes, a GPU each, and there are {count}"
        yield Check("parallel.processes", "error", found, f"set parallel.processes to at most {count}")
    if parallel.shards and not on_gpu:
        found = f"params.yaml asks for {parallel.strategy}, which shards a model over GPUs, and there is none"
        yield Check("parallel.strategy", "error", found, "set parallel.strategy to ddp, or parallel.processes to 1")
    if parallel.shards and parallel.strategy == "zero3" and importlib.util.find_spec("deepspeed") is None:
        found = "params.yaml asks for zero3 and DeepSpeed is not installed"
        yield Check("parallel.strategy", "error", found, "set parallel.strategy to fsdp2, or: pip install deepspeed")
    if params.ifpo.rollouts == "vllm_colocate" and not on_gpu:
        found = "params.yaml asks for vLLM beside the trainer, which needs a GPU"
        yield Check("ifpo.rollouts", "error", found, "set ifpo.rollouts to transformers")
    asked = (compute.backend, params.build_sft.teacher, params.ifpo.rollouts.partition("_")[0])
    if "vllm" in asked and importlib.util.find_spec("vllm") is None:
        yield Check(
            "vllm",
            "error",
            "params.yaml asks for vLLM and it is not installed",
            "install the vllm extra, or set compute.backend, build_sft.teacher and ifpo.rollouts to transformers",
        )


def _engine(params: Params) -> Iterator[Check]:
    if (problem := engine_problem(params.engine)) is not None:
        yield Check(f"params.yaml: {problem.field}", "error", f"{problem.value}: {problem.problem}", problem.hint or "")


def _model(params: Params) -> Iterator[Check]:
    named = [("base_model.path", params.base_model.path, params.base_model.revision)]
    if params.build_sft.teacher != "openai":  # an endpoint has names of its own
        named.append(("build_sft.teacher_model", params.build_sft.teacher_model, params.build_sft.teacher_revision))
    for key, chat in (("labeller", params.build_sft.labeller), ("purifier", params.build_sft.purifier)):
        if chat is not None and chat.backend != "openai":
            named.append((f"build_sft.{key}.model", chat.model, chat.revision))
    named.append(("retrieval.model", params.retrieval.model, params.retrieval.revision))
    for field, path, revision in named:
        if path is None:
            continue
        if field in _PACKAGED and path.startswith(PREFIX):
            yield from _packaged(field, path)
        elif not Path(path).expanduser().exists() and (problem := hub_problem(path, revision)) is not None:
            hint = "give a local folder, package:NAME, or a hub id while the hub can be reached"
            yield Check(f"params.yaml: {field}", "error", f"model {path!r} does not exist: {problem}", hint)


_PACKAGED: dict[str, Callable[[str], Path]] = {"base_model.path": packaged_weights, "retrieval.model": packaged_archive}
"""How the model of a parameter is found inside an installed package."""


def _packaged(field: str, path: str) -> Iterator[Check]:
    try:
        _PACKAGED[field](path)
    except ModelError as error:
        yield Check(f"params.yaml: {field}", "error", f"model {path!r} is not there: {error.problem}", error.hint or "")


def _sources(params: Params) -> Iterator[Check]:
    wanted: list[tuple[str, SourceConfig, bool]] = [(f"curate.sources {s.name}", s, True) for s in params.curate.sources]
    wanted += [(f"suites.external {s.name}", s, s.required) for s in params.suites.external]
    for field, source, required in wanted:
        if (problem := _source_problem(source)) is not None:
            yield Check(f"params.yaml: {field}", "error" if required else "warning", *problem)


def _source_problem(source: SourceConfig) -> tuple[str, str] | None:
    """What is wrong with where a source is read from, and the hint; nothing where only the stage can tell."""
    if source.path is None:
        return None if source.format == OWN else ("needs a path", "give `path`")
    try:
        place = expand(source.path)
    except DataError as error:
        return f"{error.file}: {error.problem}", error.hint or ""
    if hub_id(place) is not None:
        pinned = source.revision is not None
        return None if pinned else (f"{place} has no pinned revision", "give `revision`, the commit that its page shows; or a local path")
    if is_url(place) or Path(place).exists():
        return None
    return f"{place} does not exist", "check the path, or set ASCL_EXTERNAL_DATA to the folder with the external data"
