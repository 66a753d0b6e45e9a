"""The demonstration, `make demo`: one rule of each class changes, and the system does the rest, on real servers that it starts itself.

    python -m tests.demo [--folder DIR] [--profile tiny]

It works in a repository of its own under DIR (a temporary folder if not given), with a model so small that every real stage takes seconds;
its gate says no, so two people sign an override. With `--profile tiny` it is the tiny profile, and takes much longer. What is shown is the
way, not the figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from tasks.runs.runs import read_run
from tests.pipeline.test_rule_changes import add, edit, reword
from tests.pipeline.workspace import Workspace, make_workspace, wait_until
from tests.services.prefect_server import Deployed, started
from tests.services.s3_server import BUCKET, s3_server

PEOPLE = ("ada", "ben")
"""Who approve: a model that was trained for seconds passes no gate, and its no is overridden by two people only."""
REASON = "shown in the demonstration"
out = Console(highlight=False, soft_wrap=True)
_WIDTH = 150


@dataclass
class Account:
    """What happened, for the table at the end."""

    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, what: str, change_class: str, ran: list[str], ended: str) -> None:
        """One line of the table."""
        evaluated = [stage for stage in ran if stage.startswith("evaluate_")]
        others = [stage for stage in ran if stage not in evaluated]
        self.rows.append((what, change_class, ", ".join([*others, *([f"{len(evaluated)} × evaluate"] if evaluated else [])]) or "-", ended))

    def show(self) -> None:
        """Print the table."""
        table = Table("what changed", "class", "stages that ran", "how it ended")
        for row in self.rows:
            table.add_row(*row)
        Console(highlight=False, width=_WIDTH).print(table)


class Demo:
    """A repository with a server, a worker and a store of its own."""

    def __init__(self, workspace: Workspace, server: Deployed, keys: Path) -> None:
        self.workspace, self.server, self.keys, self.account = workspace, server, keys, Account()

    def retrain(self, what: str, change_class: str) -> str:
        """Start `retrain` as the UI does, wait for its end, and account for it; the id of its run."""
        out.print(f"\n[bold]{what}[/]: retrain starts")
        flow_run = self.server.wait(self.server.start("retrain/retrain", {"push": True}))
        assert flow_run["state_name"] in ("Gate: passed", "Gate: not passed"), self.server.logs(flow_run["id"])
        run_id = next(
            name
            for name in self.workspace.run("git", "for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/runs").split()
            if name.endswith(flow_run["id"][:8])
        )
        stages = read_run(self.workspace.root, run_id)["stages"]
        ran = [stage["stage"] for stage in stages if stage["action"] == "ran"]
        for stage in stages:
            out.print(f"  {stage['action']:<9}{stage['stage']:<34}{'; '.join(stage['reasons'])[:90]}")
        self.account.add(what, change_class, ran, flow_run["state_name"])
        return run_id

    def promote(self, run_id: str) -> str:
        """Have the run released: `promote` waits, people sign, their approvals go into its form; what it says at the end."""
        override = not read_run(self.workspace.root, run_id)["gate"]["passed"]
        flow_run = self.server.start("promote/promote", {"run": run_id, "override": override, "push": True})
        self.server.wait(flow_run, "PAUSED")
        people = PEOPLE if override else PEOPLE[:1]
        values = {"approvals": [sign(self.workspace, run_id, self.keys / f"{name}.pem", override=override) for name in people]}
        self.server.ask("POST", f"/flow_runs/{flow_run}/resume", {"run_input": values})
        message = str(self.server.wait(flow_run, "COMPLETED")["state"]["message"])
        out.print(f"  {message}")
        return message

    def change(self, make: Callable[[Workspace], None]) -> None:
        """Edit a rule, lock and commit it, as a person does, and say what it means."""
        make(self.workspace)
        self.workspace.ascl("rules", "lock")
        self.workspace.run("git", "commit", "--quiet", "-am", "a rule changed")
        out.print(self.workspace.ascl("rules", "diff", "HEAD~1", "HEAD").strip())


def sign(workspace: Workspace, run_id: str, key: Path, *, override: bool) -> str:
    """The approval that `ascl approve` prints."""
    options = ["--override"] if override else []
    said = workspace.ascl("approve", run_id, "--yes", "--reason", REASON, "--key", str(key), *options)
    return said.strip().splitlines()[-1]


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a new folder for everything; it stays")
    parser.add_argument("--profile", choices=("seconds", "tiny"), default="seconds", help="how large the model is")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="ascl-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        with _demo(folder.resolve(), options.profile) as demo:
            _show(demo)
            out.print()
            demo.account.show()
            out.print(demo.workspace.ascl("release", "list").strip())
            out.print(f"{time.monotonic() - started:.0f} s")
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def _show(demo: Demo) -> None:
    first = demo.retrain("nothing yet: the first model", "none released")
    demo.promote(first)

    demo.change(reword)
    demo.retrain("the wording of NVC-03", "wording")
    with _served(demo) as url:
        said = demo.workspace.ascl("rules", "swap", "--url", url)
        out.print(said.strip())
        demo.account.add("the same, where it is served", "wording", [], "swapped without a restart: " + said.strip().splitlines()[-1])

    demo.change(lambda there: edit(there, ("version: 1.0.1", "version: 2.0.0"), ("comply_with_disclaimer", "refuse_explain")))
    demo.retrain("NVC-03 forbids what it allowed", "verdict")

    demo.change(add)
    last = demo.retrain("a new rule, NVC-90", "structural")
    message = demo.promote(last)
    demo.account.add("the release of the last run", "", [], message)


def trust(workspace: Workspace, keys: Path) -> None:
    """Keys for the trainer and for those who approve, committed."""
    for role, name in (("trainer", "trainer"), *(("approver", name) for name in PEOPLE)):
        workspace.ascl("keys", "new", "--role", role, "--name", name, "--file", str(keys / f"{name}.pem"))
    workspace.run("git", "add", "--all")
    workspace.run("git", "commit", "--quiet", "-m", "Trust these keys")


@contextmanager
def _demo(folder: Path, profile: str) -> Iterator[Demo]:
    out.print(f"a repository of its own in {folder}")
    workspace = _repository(folder / "repository", profile)
    keys = folder / "keys"
    trust(workspace, keys)
    (folder / "s3").mkdir()
    with s3_server(folder / "s3") as store:
        os.environ.update(store.environment)
        workspace.ascl("remote", "set", f"s3://{BUCKET}/demo", "--endpoint", store.url, "--region", "us-east-1")
        out.print(workspace.ascl("remote", "check").strip())
        with _prefect(workspace, keys / "trainer.pem") as server:
            yield Demo(server.workspace, server, keys)


def _repository(root: Path, profile: str) -> Workspace:
    workspace = make_workspace(root)
    if profile == "tiny":
        workspace.ascl("params", "write", "--profile", "tiny", "--overwrite-params")
        workspace.run("git", "commit", "--quiet", "-am", "The tiny profile")
    return workspace


@contextmanager
def _prefect(workspace: Workspace, trainer_key: Path) -> Iterator[Deployed]:
    """`ascl server`, `ascl deploy` and `ascl worker`."""
    with started(workspace) as server:
        out.print(server.workspace.ascl("deploy").strip())
        with server.worker(trainer_key=trainer_key):
            yield server


@contextmanager
def _served(demo: Demo) -> Iterator[str]:
    """`ascl serve` with the released checkpoint and the rules that it was released with."""
    checkpoint = demo.keys.parent / "released"
    demo.workspace.ascl("release", "fetch", "--into", str(checkpoint))
    corpus = demo.keys.parent / "corpus.json"
    corpus.write_text(demo.workspace.run("git", "show", "releases:data/release/corpora/served.json"), encoding="utf-8")
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with demo.workspace.running("ascl", "serve", str(checkpoint), "--corpus", str(corpus), "--port", str(port)) as started:
        wait_until(lambda: _answers(f"{url}/health"), f"ascl serve: {started.output}", 240.0)
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
