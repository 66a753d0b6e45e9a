"""A workspace for a test: the code in a new git repository, with frozen rules, and settings that let every real stage run in seconds."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ascl_core.artifacts import read_yaml, write_text
from ascl_core.config.profiles import resolve_profile, to_yaml
from tasks.execution.supervisor import MARK
from tasks.registry.parameters import Origin
from tasks.registry.stages import STAGES, Stage, get_stage
from tasks.repository.new_project import DVC_SETTINGS
from tasks.repository.worktrees import NOBODY
from tests.corpus import RAW, RULES
from tests.settings import without_settings

REPOSITORY = Path(__file__).parents[2]
CODE = ("ascl_core", "tasks", "flows", "tests", "profiles", "requirements")
FILES = ("pyproject.toml", "prefect.yaml", "prefect.toml", ".gitignore", ".dvcignore", ".dvc/plots/arms.json")
SUFFIXES = {".csv", ".py", ".yaml", ".json", ".jsonl", ".jinja", ".html", ".css", ".js", ".lock", ".txt", ".sh"}
SETTINGS = (
    "suites.own_fraction=0.05",
    "attacks.prompts_per_kind=0",
    "build_sft.attack_share={harmful: 0, borderline: 0, sensitive: 0, utility: 0}",
    "ifpo.attack_share=0",
    "base_model.scratch.hidden_size=32",
    "base_model.scratch.intermediate_size=64",
    "base_model.scratch.num_heads=2",
    "base_model.scratch.num_kv_heads=1",
    "base_model.scratch.head_dim=16",
    "build_sft.trajectories_per_prompt={harmful: 1, borderline: 1, sensitive: 1, utility: 1}",
    "sft.max_steps=24",
    "sft.save_steps=4",
    "sft.batch_size=8",
    "sft.micro_batch_size=8",
    "ifpo.max_steps=12",
    "ifpo.save_steps=2",
    "ifpo.prompts_per_step=2",
    "ifpo.group_size=2",
    "ifpo.reward.preset=graded",  # rates malformed rollouts below wrong ones; by the paper's all earn 0 here, and nothing would be learned
    "ifpo.micro_batch_size=4",
    "evaluate.max_new_tokens=8",
)


@dataclass(frozen=True)
class Running:
    """A command that was started."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.file.read_text(encoding="utf-8")

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def end(self, by: signal.Signals) -> None:
        """Send it the signal, and wait for its end."""
        assert self.goes_on, self.output
        self.process.send_signal(by)
        self.process.wait(60)

    def stop(self, within_s: float = 40.0) -> None:
        """Tell it to end, and wait until it has; one that does not is killed with all that it started, and that is a failure."""
        if self.goes_on:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise


@dataclass(frozen=True)
class Workspace:
    """One repository on disk, and what tests do with it."""

    root: Path
    api_url: str | None = None
    """A Prefect server that runs already; without one, every `ascl run` starts its own."""

    @property
    def environment(self) -> dict[str, str]:
        """Run this workspace's code, with the interpreter of the tests."""
        ours = without_settings(os.environ)
        kept = {name: value for name, value in ours.items() if not name.startswith(("ASCL", "PREFECT", "PYTEST"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
        server = {"PREFECT_API_URL": self.api_url} if self.api_url else {}
        return {
            **kept,
            **NOBODY,
            **server,
            "PATH": path,
            "PYTHONPATH": str(self.root),
            "SHELL": "/bin/sh",
            "TERM": "dumb",
            "COLUMNS": "200",
        }

    def start(self, *command: str) -> Running:
        """Start a command of the workspace in a session of its own."""
        handle, name = tempfile.mkstemp(suffix=".out", dir=self.root.parent)
        process = subprocess.Popen(
            command, cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True
        )
        os.close(handle)
        return Running(process, Path(name))

    def run(self, *command: str, status: int | None = 0) -> str:
        """What a command prints; fails unless it ends with that status."""
        running = self.start(*command)
        ended = running.process.wait(timeout=1500)
        assert status is None or ended == status, running.output
        return running.output

    @contextmanager
    def running(self, *command: str) -> Iterator[Running]:
        """A command that goes on until the block ends; fails where it does not end when it is asked to."""
        running = self.start(*command)
        try:
            yield running
        finally:
            running.stop()

    def ascl(self, *arguments: str, status: int | None = 0) -> str:
        """What `ascl …` prints."""
        return self.run("ascl", *arguments, status=status)

    def python(self, code: str, status: int | None = 0) -> str:
        """What a piece of Python prints."""
        return self.run(sys.executable, "-c", code, status=status)

    def recorded(self) -> dict[str, str]:
        """MD5 of every output in `dvc.lock`, by path, without those that tell times: records, logs, report, data docs."""
        return {out["path"]: out["md5"] for entry in self.lock().values() for out in entry["outs"] if not out["path"].startswith(_TIMED)}

    def lock(self) -> dict[str, Any]:
        """The stages in `dvc.lock`."""
        return dict((read_yaml(self.root / "dvc.lock") or {}).get("stages", {}))

    def forget(self, *names: str) -> None:
        """Make these stages never have run: no outputs, no record, nothing in `dvc.lock`."""
        content = read_yaml(self.root / "dvc.lock")
        for name in names:
            del content["stages"][name]
            for artifact in (*get_stage(name).outputs.values(), get_stage(name).record):
                remove(self.root / artifact.path)
        import yaml

        write_text(self.root / "dvc.lock", yaml.safe_dump(content, sort_keys=False))

    def scratch(self, stage: Stage) -> Path:
        """Where a stage works."""
        return self.root / "scratch" / stage.name

    def processes(self) -> list[psutil.Process]:
        """What runs of a stage of this workspace, in whatever session."""
        return marked_with(MARK, f"{self.root}/")

    def copy(self, root: Path, api_url: str | None = None) -> Workspace:
        """The same workspace in another folder."""
        shutil.copytree(self.root, root, symlinks=True)
        return Workspace(root, api_url)

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Inode and time of change of every file that a stage has written, and of `dvc.lock`."""
        paths = [self.root / "dvc.lock", *(artifact_path(self.root, stage) for stage in STAGES)]
        files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
        return {str(file): (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


_TIMED = ("data/records/", "data/report", "data/logs/", "data/validation/docs")


def edit(file: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text, which must be there."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def ran(said: str) -> list[str]:
    """Return the stages that ran, by what `ascl run` printed."""
    return re.findall(r"^ran +(\w+) ", said, re.MULTILINE)


def artifact_path(root: Path, stage: Stage) -> Path:
    """The folder or file of a stage's first output."""
    return root / next(iter(stage.outputs.values())).path


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_workspace(root: Path, checkout: Path = REPOSITORY) -> Workspace:
    """A repository with the code of the checkout and nothing else of it, committed; nothing has run.

    What a workspace consists of:

    - the code as it is in the working tree, committed or not: the files under `CODE` with a suffix of `SUFFIXES`, and `FILES`.
      Hidden files, caches, and what editors and merges leave behind are no code;
    - the frozen rules and prompt seeds of `tests/corpus` as `data/rules` and `data/raw`, and no release;
    - DVC's settings as a new clone has them, a `params.yaml` resolved from the profile `tiny` and `SETTINGS`, and a `dvc.yaml` to match.

    So neither rules, data, parameters, `dvc.lock`, remotes, keys and releases of the checkout nor stray files in it reach a test.
    """
    copy_code(checkout, root)
    shutil.copytree(RULES, root / "data/rules")
    shutil.copytree(RAW, root / "data/raw")
    write_text(root / "data/released/.gitignore", "*\n!.gitignore\n")
    write_text(root / ".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
    write_text(root / ".dvc/config", DVC_SETTINGS)
    write_text(root / "README.md", "# A workspace of the tests\n")
    write_tiny_params(root, SETTINGS)
    workspace = Workspace(root)
    workspace.ascl("stages", "write")
    workspace.run("git", "init", "--quiet")
    workspace.run("git", "add", "--all")
    workspace.run("git", "commit", "--quiet", "-m", "start")
    return workspace


def copy_code(checkout: Path, root: Path) -> None:
    """Copy the code of a checkout, as `make_workspace` says."""
    files = [Path(folder) / name for top in CODE for folder, _, names in os.walk(checkout / top) for name in names]
    for file in (*files, *(checkout / name for name in FILES)):
        path = file.relative_to(checkout)
        is_code = file.suffix in SUFFIXES and not any(part.startswith((".", "__pycache__")) for part in path.parts)
        if is_code or str(path) in FILES:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, root / path)


def write_tiny_params(root: Path, settings: Sequence[str] = ()) -> None:
    """Write `params.yaml` there: the profile `tiny` with these settings."""
    write_text(root / "params.yaml", to_yaml(resolve_profile(REPOSITORY, "tiny", settings), str(Origin("tiny", tuple(settings)))))


def marked_with(variable: str, value: str) -> list[psutil.Process]:
    """The living processes whose environment has the variable with a value that begins so."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            found_value = process.environ().get(variable)
            if found_value is not None and found_value.startswith(value) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until(holds: Callable[[], Any], what: str, timeout_s: float = 120.0) -> None:
    """Wait until something holds; fails with `what` where it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s:.0f} s"
        time.sleep(0.01)
