"""Whatever is killed, whenever: nothing of it goes on, nothing is half-written, and the next run gives what an undisturbed one gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ascl_core.artifacts import digest
from ascl_core.errors import StageError
from ascl_core.progress import ProgressEvent
from tasks.execution.runner import run_stage
from tasks.registry.stages import SFT, get_stage
from tests.pipeline.workspace import Workspace, ran, wait_until

WAYS = {
    "flow": ("ascl", "run"),
    "supervisor": (sys.executable, "-m", "tasks", "sft"),
    "dvc": ("dvc", "repro", "--force", "--single-item", "sft"),
}


_MATERIALISES = """
from pathlib import Path
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.stages import get_stage
print(bring_up_to_date(get_stage("{name}"), root=Path.cwd()).action)
"""


def saved(workspace: Workspace, name: str) -> list[Path]:
    """The saves of a trainer that are whole."""
    return list(workspace.scratch(get_stage(name)).glob("*/state/checkpoint-*/trainer_state.json"))


@pytest.mark.parametrize(
    ("what", "by"),
    [
        ("flow", signal.SIGKILL),
        ("supervisor", signal.SIGTERM),
        *(
            pytest.param(what, by, marks=pytest.mark.long)
            for what, by in [("flow", signal.SIGTERM), ("supervisor", signal.SIGKILL), ("dvc", signal.SIGKILL), ("dvc", signal.SIGTERM)]
        ),
    ],
)
def test_a_killed_run_leaves_no_process_and_the_next_one_gives_the_same(finished: Workspace, what: str, by: signal.Signals) -> None:
    recorded = finished.recorded()
    finished.forget("sft")
    running = replace(finished, api_url=None).start(*WAYS[what])
    wait_until(lambda: saved(finished, "sft") or not running.goes_on, "a save")
    running.end(by)
    wait_until(lambda: not finished.processes(), "the end of every process of the stage", 30)
    assert not (finished.root / "data/models/sft").exists()
    assert saved(finished, "sft")
    if what == "flow":
        finished.ascl("run")
        assert "Data and pipelines are up to date." in finished.run("dvc", "status")
    else:
        assert finished.python(_MATERIALISES.format(name="sft")).strip() == "ran"
    assert finished.recorded() == recorded


def test_a_process_that_is_killed_fails_its_stage_and_the_next_run_resumes(finished: Workspace) -> None:
    wanted = digest(finished.root / "data/models/sft")
    finished.forget("sft")

    def kill(event: ProgressEvent) -> None:
        if saved(finished, "sft"):
            for process in finished.processes():
                process.send_signal(signal.SIGKILL)

    with pytest.raises(StageError, match=r"sft was killed by signal 9"):
        run_stage(finished.root, SFT, on_event=kill)
    assert not (finished.root / "data/models/sft").exists()
    assert not (finished.root / SFT.record.path).exists()
    steps: list[int] = []
    assert run_stage(finished.root, SFT, on_event=lambda event: steps.append(event.done)) is not None
    assert min(steps) > 4, "it went on from its save"
    assert digest(finished.root / "data/models/sft") == wanted


@pytest.mark.long
def test_ifpo_resumes(finished: Workspace) -> None:
    recorded = finished.recorded()
    finished.forget("ifpo")
    running = finished.start(sys.executable, "-m", "tasks", "ifpo")
    wait_until(lambda: saved(finished, "ifpo") or not running.goes_on, "a save")
    running.end(signal.SIGKILL)
    assert not (finished.root / "data/models/ifpo").exists()
    assert finished.python(_MATERIALISES.format(name="ifpo")).strip() == "ran"
    assert finished.recorded() == recorded


_DIES_BEFORE_IT_RECORDS = """
import os
from pathlib import Path
from tasks.execution import up_to_date
from tasks.repository import outputs
from tasks.registry.stages import get_stage
outputs.record = lambda *_: os._exit(9)
up_to_date.bring_up_to_date(get_stage("curate"), root=Path.cwd())
"""


def test_a_run_that_dies_before_it_records_is_found_finished(finished: Workspace) -> None:
    recorded = finished.recorded()
    finished.forget("curate")
    finished.python(_DIES_BEFORE_IT_RECORDS, status=9)
    assert "curate" not in finished.lock()
    said = finished.ascl("run")
    assert "its outputs are up to date; DVC had no record" in said
    assert ran(said) == ["report"], "it shows the records, and that of curate is new"
    assert finished.recorded() == recorded


_DIES_AMID_THE_PUBLICATION = """
import os
from pathlib import Path
from tasks.execution import runner
from tasks.registry.stages import get_stage
replace, done = os.replace, []
def once(source, target):
    if "scratch" in str(source) and "/out/" in str(source):
        if done:
            os._exit(9)
        done.append(source)
    replace(source, target)
runner.os.replace = once
runner.run_stage(Path.cwd(), get_stage("sft"))
"""


@pytest.mark.parametrize("forgotten", [pytest.param(True, marks=pytest.mark.long), False])
def test_a_publication_that_was_cut_off_is_finished_without_computing(finished: Workspace, forgotten: bool) -> None:
    """Between the folder of the checkpoint and the log, with old outputs and without any; `test_publication` dies at every step."""
    recorded = finished.recorded()
    if forgotten:
        finished.forget("sft")
    finished.python(_DIES_AMID_THE_PUBLICATION, status=9)
    logs = sorted((finished.root / ".ascl/logs/sft").iterdir())
    if forgotten:
        assert finished.python(_MATERIALISES.format(name="sft")).strip() == "ran"
    else:
        assert run_stage(finished.root, SFT) is not None
    assert sorted((finished.root / ".ascl/logs/sft").iterdir()) == logs, "it was published, not computed again"
    assert finished.recorded() == recorded
    assert not list(finished.scratch(SFT).iterdir())


def test_dvc_killed_while_it_records_does_no_harm(finished: Workspace) -> None:
    recorded = finished.recorded()
    for delay_s in (0.2, 0.5, 0.8):
        finished.forget("curate")
        assert run_stage(finished.root, get_stage("curate")) is not None
        running = finished.start("dvc", "commit", "--force", "curate")
        time.sleep(delay_s)
        running.process.kill()
        running.process.wait()
        assert finished.python(_MATERIALISES.format(name="curate")).splitlines()[-1] == "reused"
        assert finished.recorded() == recorded


_DVC_DIES_AMID_THE_LOCK = """
import io, os
from dvc.cli import main
from dvc.utils.serialize import _yaml
dump = _yaml._dump
def half(data, stream):
    text = io.StringIO()
    dump(data, text)
    stream.write(text.getvalue()[: int({fraction} * len(text.getvalue()))])
    stream.flush()
    os._exit(9)
_yaml._dump = half
main(["commit", "--force", "curate"])
"""


@pytest.mark.parametrize("fraction", [0.5, *(pytest.param(other, marks=pytest.mark.long) for other in (0, 0.01, 0.97))])
def test_dvc_killed_while_it_writes_its_lock_loses_no_record(finished: Workspace, fraction: float) -> None:
    recorded, lock = finished.recorded(), finished.lock()
    assert finished.python(_MATERIALISES.format(name="gate")).strip() == "reused", "the lock as it was is known"
    finished.python(_DVC_DIES_AMID_THE_LOCK.format(fraction=fraction), status=9)
    assert finished.python(_MATERIALISES.format(name="gate")).splitlines()[-1] == "reused"
    assert finished.recorded() == recorded
    assert finished.lock().keys() == lock.keys()


def test_a_lock_that_was_cut_off_between_two_lines_loses_no_record_either(finished: Workspace) -> None:
    recorded, file = finished.recorded(), finished.root / "dvc.lock"
    assert finished.python(_MATERIALISES.format(name="gate")).strip() == "reused", "the lock as it was is known"
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: text.rindex("    outs:\n")], encoding="utf-8")
    assert any("outs" not in entry for entry in finished.lock().values()), "it can still be read"
    assert finished.python(_MATERIALISES.format(name="gate")).splitlines()[-1] == "reused"
    assert finished.recorded() == recorded


def test_two_runs_of_one_stage_are_one_writer_after_the_other(finished: Workspace) -> None:
    wanted = digest(finished.root / "data/prompts/prompts.parquet")
    finished.forget("curate")
    command = (sys.executable, "-c", _MATERIALISES.format(name="curate"))
    both = [finished.start(*command), finished.start(*command)]
    most = 0
    while any(running.goes_on for running in both):
        most = max(most, len({p.pid for p in finished.processes() if "tasks.execution.child" in " ".join(_command(p))}))
        time.sleep(0.02)
    assert sorted(running.output.strip() for running in both) == ["ran", "reused"]
    assert most == 1
    assert digest(finished.root / "data/prompts/prompts.parquet") == wanted


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_code_that_changes_while_a_stage_runs_fails_it_and_publishes_nothing(finished: Workspace) -> None:
    """`test_publication` changes data and parameters."""
    before, path = digest(finished.root / "data/compiled/corpus.json"), "ascl_core/rules/compile.py"
    changed = (finished.root / path).read_text(encoding="utf-8") + "\nCHANGED = 1\n"
    said = finished.python(_EDITS_WHILE_IT_RUNS.format(path=path, changed=changed), status=3)
    assert "changed while validate_rules ran" in said
    assert path in said
    assert digest(finished.root / "data/compiled/corpus.json") == before


_EDITS_WHILE_IT_RUNS = """
import sys
from pathlib import Path
from ascl_core.errors import StageError
from tasks.execution import runner
from tasks.registry.stages import VALIDATE_RULES
supervised = runner.run_supervised
def edit(*arguments, **options):
    status = supervised(*arguments, **options)
    Path({path!r}).write_text({changed!r}, encoding="utf-8")
    return status
runner.run_supervised = edit
try:
    runner.run_stage(Path.cwd(), VALIDATE_RULES)
except StageError as error:
    print(error)
    sys.exit(3)
"""


def test_a_leftover_of_a_killed_supervisor_is_ended_before_anything_starts(finished: Workspace) -> None:
    """Even one in a session of its own, which no signal to a process group reaches."""
    lock = finished.root / ".ascl/locks/gate.lock"
    leftover = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, "ASCL_STAGE_LOCK": str(lock)}, start_new_session=True
    )
    assert run_stage(finished.root, get_stage("gate")) is not None
    assert leftover.poll() is not None
