"""Publication, cut off at every step there is: what is published is whole, and the next run finishes without computing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import digest, read_json, write_json
from ascl_core.errors import AsclError, ConfigError, StageCrashed, StageError, WorkspaceError, dump_error
from tasks.evidence import log
from tasks.evidence.record import make_record
from tasks.execution import child, runner
from tasks.execution.runner import explain_failure, is_published, run_stage
from tasks.registry.dependencies import read_dependencies
from tasks.registry.paths import SCRATCH
from tasks.registry.stages import PROMPTS, SFT_CORPUS, VALIDATION, VALIDATION_DOCS
from tasks.registry.stages import VALIDATE_DATA as STAGE
from tests.pipeline.workspace import REPOSITORY, write_tiny_params

OLD, NEW = "old", "new"


class Killed(BaseException):
    """The end of the process, at the moment it is raised."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What a stage with a file and a folder as outputs needs: this repository's code, parameters, and its inputs."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "ascl_core").symlink_to(REPOSITORY / "ascl_core")
    write_tiny_params(root)
    for artifact in (SFT_CORPUS, PROMPTS):
        write(root / artifact.path, artifact.path)
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_outputs(under: Path, text: str) -> dict[str, str]:
    """The file and the folder; returns their digests."""
    write(under / VALIDATION.path, text)
    for name in ("index.html", "pages/a.html", f"pages/only-{text}.html"):
        write(under / VALIDATION_DOCS.path / name, text)
    return {artifact.path: digest(under / artifact.path) for artifact in (VALIDATION, VALIDATION_DOCS)}


def work_of(root: Path) -> Path:
    """The scratch folder of a run with the current inputs."""
    return root / SCRATCH / STAGE.name / read_dependencies(root, STAGE).digest[:16]


def record_of(root: Path, outputs: dict[str, str]) -> dict[str, Any]:
    return make_record(root, STAGE, read_dependencies(root, STAGE), outputs, {"rows": 1}, datetime.now(UTC)).dump()


def finish_in_scratch(root: Path) -> dict[str, str]:
    """A run that was killed after its work and before its publication; returns the digests of its outputs."""
    wanted = write_outputs(work_of(root) / child.OUT, NEW)
    write_json(work_of(root) / runner.RECORD, record_of(root, wanted))
    write(work_of(root) / child.STATE / "checkpoint-1/model", "saved")
    return wanted


def publish_old(root: Path) -> dict[str, str]:
    """What an earlier run with other inputs published."""
    published = write_outputs(root, OLD)
    write_json(root / STAGE.record.path, record_of(root, published) | {"digest": "other inputs"})
    return published


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Die at the given change of the file system; a removal of a folder dies in its middle. Yields the changes made."""
    made: list[str] = []

    def counted(name: str, change: Callable[..., Any], halfway: Callable[..., Any] = lambda *_, **__: None) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            if len(made) == step:
                halfway(*arguments, **options)
                raise Killed
            made.append(name)
            return change(*arguments, **options)

        return changed

    def remove_half(path: Path, **_: Any) -> None:
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        for file in files[: len(files) // 2 + 1]:
            file.unlink()

    with monkeypatch.context() as patched:
        patched.setattr(runner.os, "replace", counted("replace", os.replace))
        patched.setattr(Path, "rename", counted("rename", Path.rename))
        patched.setattr(runner.shutil, "rmtree", counted("rmtree", shutil.rmtree, remove_half))
        patched.setattr(log, "write_json", counted("record", write_json))
        yield made


@pytest.fixture
def computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def compute(*_: Any) -> None:
        raise AssertionError("it was computed again")

    monkeypatch.setattr(runner, "_compute", compute)


@pytest.mark.usefixtures("computes_nothing")
@pytest.mark.parametrize("replaces", [False, True], ids=["first publication", "over older outputs"])
def test_a_publication_cut_off_anywhere_is_whole_and_is_finished_by_the_next_run(
    root: Path, monkeypatch: pytest.MonkeyPatch, replaces: bool
) -> None:
    for step in count():
        shutil.rmtree(root / "data/validation", ignore_errors=True)
        shutil.rmtree(root / "scratch", ignore_errors=True)
        (root / STAGE.record.path).unlink(missing_ok=True)
        old = publish_old(root) if replaces else {}
        wanted = finish_in_scratch(root)
        with killed_at(step, monkeypatch) as made:
            try:
                run_stage(root, STAGE)
                died = False
            except Killed:
                died = True
        published = {path: digest(root / path) for path in wanted if (root / path).exists()}
        assert all(published[path] in (old.get(path), wanted[path]) for path in published), f"half an output after {made}"
        recorded = read_json(root / STAGE.record.path)["outputs"] if (root / STAGE.record.path).exists() else None
        assert recorded in (None, old, wanted)
        if recorded == wanted:
            assert published == wanted, f"the record was there before its outputs, after {made}"
        run_stage(root, STAGE, unless=lambda: is_published(root, STAGE))
        assert is_published(root, STAGE)
        assert {path: digest(root / path) for path in wanted} == wanted
        if not died:
            break
    assert made.count("replace") == 3, "two outputs, and the record"
    assert not list((root / "scratch" / STAGE.name).iterdir())


def test_what_was_lost_of_a_finished_run_is_computed_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for artifact in (VALIDATION, VALIDATION_DOCS):
        finish_in_scratch(root)
        file = work_of(root) / child.OUT / artifact.path
        shutil.rmtree(file) if file.is_dir() else file.unlink()
        computed: list[bool] = []

        def compute(*_: Any, computed: list[bool] = computed) -> None:
            computed.append(True)
            finish_in_scratch(root)

        with monkeypatch.context() as patched:
            patched.setattr(runner, "_compute", compute)
            run_stage(root, STAGE)
        assert computed == [True]
        assert is_published(root, STAGE)
        shutil.rmtree(root / "data/validation")


@pytest.mark.usefixtures("computes_nothing")
def test_what_other_inputs_left_in_scratch_is_dropped(root: Path) -> None:
    other = work_of(root).with_name("0" * 16)
    write(other / child.STATE / "checkpoint-9/model", "of other inputs")
    finish_in_scratch(root)
    run_stage(root, STAGE)
    assert not other.exists()


def test_outputs_are_published_only_with_a_record_of_just_these_and_of_the_current_inputs(root: Path) -> None:
    assert not is_published(root, STAGE)
    record = record_of(root, write_outputs(root, NEW))
    write_json(root / STAGE.record.path, record)
    assert is_published(root, STAGE)

    for path in ("data/prompts/prompts.parquet", "data/validation/docs/pages/a.html", "data/validation/docs/more.html"):
        before = (root / path).read_text() if (root / path).exists() else None
        write(root / path, "changed")
        assert not is_published(root, STAGE), path
        (root / path).unlink() if before is None else write(root / path, before)
        assert is_published(root, STAGE)

    params = (root / "params.yaml").read_text(encoding="utf-8")
    write(root / "params.yaml", params.replace("min_rows_per_rule: 1.0", "min_rows_per_rule: 1.01"))
    assert not is_published(root, STAGE)
    write(root / "params.yaml", params.replace("max_steps: 900", "max_steps: 901") + "# a comment\n")
    assert is_published(root, STAGE), "the stage reads no other section, and no comments"

    write_json(root / STAGE.record.path, record | {"outputs": {VALIDATION.path: record["outputs"][VALIDATION.path]}})
    assert not is_published(root, STAGE)


def finishing(
    root: Path, outputs: Callable[[Path], Any] = lambda out: write_outputs(out, NEW), status: int | None = 0
) -> Callable[..., int | None]:
    """Instead of `run_supervised`: a child that writes these outputs and ends so."""

    def run(*_: Any, log: Path, **__: Any) -> int | None:
        write(log, "a line\nthe last line\n\n")
        outputs(work_of(root) / child.OUT)
        write_json(work_of(root) / child.METRICS, {"rows": 7})
        return status

    return run


def test_a_run_publishes_its_outputs_and_says_what_made_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run_supervised", finishing(root))
    done = run_stage(root, STAGE, run_id="a run")
    assert done is not None
    assert is_published(root, STAGE)
    record = read_json(root / STAGE.record.path)
    assert record == done.record.dump()
    assert record["metrics"] == {"rows": 7}
    assert record["prefect_run"] == "a run"
    assert record["inputs"] == {artifact.path: digest(root / artifact.path) for artifact in (PROMPTS, SFT_CORPUS)}
    assert record["parameters"].keys() == {"rules", "validate_data"}
    assert done.log.read_text().startswith("a line")


def test_a_function_that_ends_without_an_output_fails_and_publishes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = publish_old(root)
    monkeypatch.setattr(runner, "run_supervised", finishing(root, lambda out: write(out / VALIDATION.path, NEW)))
    with pytest.raises(StageError, match=r"data/validation/docs: validate_data ended without writing it") as caught:
        run_stage(root, STAGE)
    assert str(caught.value.hint).startswith(f"read {root}/.ascl/logs/validate_data/")
    assert {path: digest(root / path) for path in old} == old


def test_what_a_failed_run_wrote_is_not_taken_for_the_next_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and metrics go; what it can resume from stays."""
    write(work_of(root) / child.STATE / "checkpoint-1/model", "saved")
    monkeypatch.setattr(runner, "run_supervised", finishing(root, status=1))
    with pytest.raises(StageError):
        run_stage(root, STAGE)
    seen: list[list[str]] = []

    def run(*_: Any, log: Path, **__: Any) -> int:
        seen.append(sorted(str(path.relative_to(work_of(root))) for path in work_of(root).rglob("*") if path.is_file()))
        write(log, "")
        return 1

    monkeypatch.setattr(runner, "run_supervised", run)
    with pytest.raises(StageError, match="no output"):
        run_stage(root, STAGE)
    assert seen == [["state/checkpoint-1/model"]]


@pytest.mark.parametrize(
    ("status", "printed", "kind", "says"),
    [
        (
            None,
            "",
            StageError,
            "validate_data ran out of time and was ended (got '3600 s')\n  hint: run it again: it resumes from its last save",
        ),
        (-9, "one\nOut of memory\n", StageCrashed, "validate_data was killed by signal 9: Out of memory\n"),
        (3, "one\n\n", StageError, "validate_data ended with status 3: one\n"),
        (1, "OSError: [Errno 28] No space left on device: 'x'", WorkspaceError, "no space left on the disk\n  hint: free some space"),
    ],
)
def test_an_end_is_explained_by_its_status_and_its_last_line(
    tmp_path: Path, status: int | None, printed: str, kind: type[AsclError], says: str
) -> None:
    write(tmp_path / "log", printed)
    error = explain_failure(STAGE, status, tmp_path, tmp_path / "log")
    assert type(error) is kind
    assert says in str(error)


def test_an_error_that_the_function_raised_is_raised_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raised = ConfigError("is too small", file="params.yaml", field="sft.max_steps", value=0, hint="raise it")
    dump_error(raised, tmp_path / child.ERROR)
    error = explain_failure(STAGE, raised.exit_status, tmp_path, tmp_path / "log")
    assert type(error) is ConfigError
    assert str(error) == str(raised)
    assert str(raised) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "no space left on the disk"),
        (errno.EDQUOT, "no space left on the disk"),
        (errno.EACCES, "Permission denied"),
        (errno.EROFS, "Read-only file system"),
    ],
)
@pytest.mark.usefixtures("computes_nothing")
def test_a_disk_that_fails_in_a_publication_is_one_error_and_loses_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    old, wanted = publish_old(root), finish_in_scratch(root)

    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number), "data/validation")

    with monkeypatch.context() as patched:
        patched.setattr(runner.os, "replace", fail)
        with pytest.raises(WorkspaceError, match=says) as caught:
            run_stage(root, STAGE)
    assert caught.value.file == "data/validation"
    assert caught.value.hint
    assert digest(root / VALIDATION.path) == old[VALIDATION.path]
    run_stage(root, STAGE)
    assert {path: digest(root / path) for path in wanted} == wanted


@pytest.mark.parametrize(
    ("path", "change", "named"),
    [
        (PROMPTS.path, (PROMPTS.path, "changed"), PROMPTS.path),
        ("params.yaml", ("min_rows_per_rule: 1.0", "min_rows_per_rule: 1.01"), "validate_data"),
    ],
)
def test_what_moved_while_it_ran_is_named_and_nothing_is_published(
    root: Path, monkeypatch: pytest.MonkeyPatch, path: str, change: tuple[str, str], named: str
) -> None:
    old, work = publish_old(root), work_of(root)
    text = (root / path).read_text(encoding="utf-8").replace(*change)

    def run(*_: Any, **__: Any) -> int:
        write_outputs(work / child.OUT, NEW)
        write_json(work / child.METRICS, {})
        write(root / path, text)
        return 0

    monkeypatch.setattr(runner, "run_supervised", run)
    with pytest.raises(StageError, match="changed while validate_data ran; its outputs were not published") as caught:
        run_stage(root, STAGE)
    assert caught.value.file == named
    assert {output: digest(root / output) for output in old} == old
    assert not (work / runner.RECORD).exists(), "and nothing takes it for finished later"
