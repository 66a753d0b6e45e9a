"""Check what this machine needs before the first expensive step: each check says what it found and how to fix it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil

from ascl_core.config.params import Params, load_params
from ascl_core.config.sources import OWN, SourceConfig
from ascl_core.data.locations import EXTERNAL, expand, hub_id, is_url, locate, pin_hint
from ascl_core.data.public import PublicSet, missing, public_sets
from ascl_core.errors import AsclError, ConfigError, DataError, ModelError, WorkspaceError
from ascl_core.generation.hub import hub_problem
from ascl_core.generation.packages import PREFIX, packaged_archive, packaged_weights
from tasks.host import interpreter
from tasks.host.engine_check import engine_problem
from tasks.host.gpus import gpus
from tasks.host.packages import pins, public
from tasks.host.tracker import tracker_check
from tasks.host.written_check import written_checks
from tasks.registry.parameters import changed
from tasks.registry.paths import DATA, DVC_CONFIG, LOCAL, PARAMETERS, REQUIREMENTS
from tasks.registry.stages import STAGES
from tasks.repository.cache import cache_folder
from tasks.repository.git_checks import git_checks, path_check
from tasks.repository.remote_check import Check
from tasks.repository.remotes import CLEARTEXT, read_remote, secrets_in_configuration
from tasks.repository.staleness import staleness

_GIB = 1 << 30
MIN_DISK_GIB = 0.5
ENOUGH_DISK_GIB = 5.0
ENOUGH_MEMORY_GIB = 3.0


def blocking_checks(root: Path, params: Params) -> list[Check]:
    """Return the checks that a stage must pass; they are quick enough to run before every one."""
    stages = _interpreter()
    machine = [path_check(root), *git_checks(root), remote_check(root), _disk(root), _writable(root), tracker_check(), stages]
    return machine if stages.level == "error" else [*machine, *_of_params(params)]


def all_checks(root: Path) -> list[Check]:
    """Return all checks, for `ascl doctor`."""
    try:
        params: Params | None = load_params(root / PARAMETERS)
        parameters = Check(PARAMETERS, "ok", "every key is known and in range")
    except AsclError as error:
        params, parameters = None, Check(PARAMETERS, "error", error.problem, str(error))
    stages = _interpreter()
    of_params = _of_params(params) if params and stages.level == "ok" else []
    machine = [_python(), stages, _packages(root), _cores(), _memory(), _gpu(), _port()]
    repository = [path_check(root), *git_checks(root), _dvc(root), remote_check(root)]
    data = [_disk(root), _writable(root), tracker_check(), *written_checks(root)]
    return [*machine, *repository, *data, parameters, *of_params, _state(root)]


def require(root: Path, params: Params | None = None, *, all_stages: bool = True) -> None:
    """Raise `WorkspaceError` for the first check that fails with these parameters, or with those in `params.yaml`.

    The rules and prompts that people write are checked for `all_stages`; a single stage may read neither.
    """
    written = written_checks(root) if all_stages else ()
    for check in (*blocking_checks(root, params or load_params(root / PARAMETERS)), *written):
        if check.level == "error":
            raise WorkspaceError(check.found, field=check.name, hint=check.hint)


def stages_at_a_time(params: Params) -> int:
    """Return how many stages may run in parallel: one on a GPU, else as many as the cores have threads and processes for."""
    if gpus() and params.compute.device != "cpu":
        return 1
    return max(1, (os.cpu_count() or 1) // (params.compute.threads * params.parallel.processes))


def _of_params(params: Params) -> list[Check]:
    return [*_compute(params), *_engine(params), *_model(params), *source_checks(params)]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Check("python", "ok" if fits else "error", version, "" if fits else "use Python 3.11 or 3.12")


def _interpreter() -> Check:
    """Check the interpreter of the stages; what else they need is asked of it."""
    try:
        interpreter.require()
        return Check("interpreter of the stages", "ok", interpreter.stage_python())
    except WorkspaceError as error:
        return Check(interpreter.VARIABLE, "error", f"{error.value}: {error.problem}", error.hint or "")


def _packages(root: Path) -> Check:
    lock = root / REQUIREMENTS / ("gpu.lock" if gpus() else "cpu.lock")
    if not lock.exists():
        return Check("packages", "warning", f"no lock at {lock}", "restore it: git checkout")
    wanted = public(pins("\n".join(line for line in lock.read_text(encoding="utf-8").splitlines() if ";" not in line)))
    here = public(interpreter.this_interpreter().packages)
    wrong = [f"{name} {found} instead of {version}" for name, version, found in changed(wanted, here) if version]
    if wrong:
        return Check("packages", "warning", f"{len(wrong)} differ from {lock.name}: {', '.join(wrong[:3])}", "make setup")
    return Check("packages", "ok", f"{len(wanted)} as in {lock.name}")


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
        return Check("port", "error", f"127.0.0.1 cannot be listened on: {error}", "set PREFECT_API_URL to another server")


def _dvc(root: Path) -> Check:
    if importlib.util.find_spec("dvc") is None:
        return Check("dvc", "error", "DVC is not installed", "make setup")
    if not (root / DVC_CONFIG).exists():
        return Check("dvc", "error", f"{root / DVC_CONFIG} is missing", "git checkout -- .dvc .dvcignore")
    return Check("dvc", "ok", importlib.metadata.version("dvc"))


def remote_check(root: Path) -> Check:
    """Check that a remote is configured without credentials, without connecting to it."""
    if secrets := secrets_in_configuration(root):
        return Check("remote", "error", CLEARTEXT.format("; ".join(map(str, secrets))), secrets[0].hint)
    try:
        remote = read_remote(root)
    except ConfigError as error:
        return Check("remote", "error", error.finding, error.hint or "")
    return (
        Check("remote", "ok", str(remote))
        if remote
        else Check("remote", "warning", "none configured", "ascl remote set s3://BUCKET/PREFIX")
    )


def _state(root: Path) -> Check:
    """Check that the state of the stages can be read, as `ascl status` and every run do first."""
    try:
        stale = staleness(root, list(STAGES))
    except AsclError as error:
        return Check("state", "error", error.finding, error.hint or "")
    except Exception as error:  # of any library that reads it: whatever it is, a run would end in it
        return Check("state", "error", f"cannot be read: {type(error).__name__}: {error}", "ascl status --debug")
    return Check("state", "ok", f"{sum(not one for one in stale.values())} of {len(stale)} stages are up to date")


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
    folders = [root, root / DATA, root / LOCAL]
    with suppress(ConfigError):  # of which the check of the remote says what is wrong
        cache = cache_folder(root)
        folders.append(next(folder for folder in (cache, *cache.parents) if folder.exists()))
    for folder in folders:
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
    if parallel.shards and parallel.strategy == "zero3" and not interpreter.has_module("deepspeed"):
        found = "params.yaml asks for zero3 and DeepSpeed is not installed"
        yield Check("parallel.strategy", "error", found, "set parallel.strategy to fsdp2, or: pip install deepspeed")
    if params.ifpo.rollouts == "vllm_colocate" and not on_gpu:
        found = "params.yaml asks for vLLM beside the trainer, which needs a GPU"
        yield Check("ifpo.rollouts", "error", found, "set ifpo.rollouts to transformers")
    asked = (compute.backend, params.build_sft.teacher, params.ifpo.rollouts.partition("_")[0])
    if "vllm" in asked and not interpreter.has_module("vllm"):
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
    if params.build_sft.teacher != "openai":  # an endpoint has its own names
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
"""Functions that find a model inside an installed package, by parameter."""


def _packaged(field: str, path: str) -> Iterator[Check]:
    try:
        if interpreter.is_own():
            _PACKAGED[field](path)
        elif not interpreter.has_module(path.removeprefix(PREFIX)):
            raise ModelError("its package is not installed where stages run", hint=f"install it there: {interpreter.stage_python()}")
    except ModelError as error:
        yield Check(f"params.yaml: {field}", "error", f"model {path!r} cannot be used: {error.problem}", error.hint or "")


def source_checks(params: Params, profile: str | None = None) -> Iterator[Check]:
    """Yield a check for the public data sets that are missing here, and for each other source that a run could not read."""
    sets = public_sets(params)
    if (check := public_data(sets, profile)) is not None:
        yield check
    reported = {id(one.source) for one in missing(sets) if not one.reads_hub}
    wanted: list[tuple[str, SourceConfig, bool]] = [(f"curate.sources {s.name}", s, True) for s in params.curate.sources]
    wanted += [(f"build_sft.published {s.name}", s, True) for s in params.build_sft.published]
    wanted += [(f"suites.external {s.name}", s, s.required) for s in params.suites.external]
    for field, source, required in wanted:
        if id(source) not in reported and (problem := _source_problem(source)) is not None:
            found, hint = problem
            so = "a run needs it" if required else "a run would report this suite as missing"
            yield Check(f"params.yaml: {field}", "error" if required else "warning", f"{found}; {so}", hint)


def public_data(sets: list[PublicSet], profile: str | None = None) -> Check | None:
    """Return the check of the public data sets that are missing here and are not read from the hub, with the command that gets them."""
    absent = [one for one in missing(sets) if not one.reads_hub]
    if not absent:
        return None
    required = any(one.required for one in absent)
    named = ", ".join(sorted({one.source.format for one in absent}))
    so = "a run needs them" if required else "a run would report these suites as missing"
    hint = f"ascl data fetch{f' --profile {profile}' if profile else ''}, or set ASCL_EXTERNAL_DATA to a folder that has them"
    return Check("public data", "error" if required else "warning", f"not in {expand(EXTERNAL)}: {named}; {so}", hint)


def _source_problem(source: SourceConfig) -> tuple[str, str] | None:
    """Return what is wrong with the path of a prompt source, and the hint; None if it is right or only the stage can know."""
    if source.path is None:
        return None if source.format == OWN else ("needs a path", "give `path`")
    try:
        location = str(locate(source))
    except DataError as error:
        return f"{error.file}: {error.problem}", error.hint or ""
    if hub_id(location) is not None:
        return None if source.revision is not None else (f"{location} has no pinned revision", pin_hint(source))
    if is_url(location) or Path(location).exists():
        return None
    return f"{location} does not exist", "check the path"
