"""Bad input and a bad machine: one error that names what is wrong and a hint, no traceback, and nothing made before is lost."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.stages import BUILD_SFT, GATE, VALIDATE_RULES
from tests.namespace import in_namespace
from tests.pipeline.workspace import Workspace, remove


def fails(workspace: Workspace, *command: str, names: tuple[str, ...]) -> str:
    """What the command says; it fails with one error that has a hint and names these, and what was made is as it was."""
    before = workspace.snapshot()
    said = workspace.run(*command, status=1)
    assert "Traceback" not in said, said
    assert len(re.findall(r"^(?:\x1b\[[\d;]*m)*error:", said, re.MULTILINE)) == 1, said
    assert "hint:" in said, said
    flat = re.sub(r"\s+", " ", said)
    for name in names:
        assert name in flat, said
    assert workspace.snapshot() == before
    return said


def test_a_malformed_rule_file(finished: Workspace) -> None:
    file = finished.root / "data/rules/CYB.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "  - id: [CYB-99\n", encoding="utf-8")
    fails(finished, "ascl", "run", names=("data/rules", "CYB.yaml:"))
    said = finished.ascl("rules", "check", status=1)
    assert re.search(r"CYB\.yaml:\d+", said), said


def test_a_rule_with_an_unknown_policy(finished: Workspace) -> None:
    file = finished.root / "data/rules/CYB.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("policy: comply\n", "policy: complie\n", 1), encoding="utf-8")
    fails(finished, "ascl", "run", names=("CYB.yaml", "complie"))


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("  max_steps: 24", "  max_stepz: 24", ("params.yaml", "sft.max_stepz", "did you mean 'max_steps'?")),
        ("  max_steps: 24", "  max_steps: many", ("params.yaml", "sft.max_steps", "many")),
        ("  max_steps: 24", "  max_steps: -1", ("params.yaml", "sft.max_steps", "-1")),
        ("sft:\n", "sft: [\n", ("params.yaml", "line")),
    ],
)
def test_a_bad_params_file(finished: Workspace, old: str, new: str, names: tuple[str, ...]) -> None:
    file = finished.root / "params.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    fails(finished, "ascl", "run", names=names)
    assert re.match(r"error: \S*params\.yaml: ", finished.run("python", "-m", "tasks", "sft", status=None))


def with_source(workspace: Workspace, path: str) -> None:
    """Add a source of prompts to the parameters."""
    source = f"{{name: mine, format: rows, path: {path}, prompt_type: borderline}}"
    workspace.ascl("params", "write", "--set", f"curate.sources=[{{name: own, format: own}}, {source}]")


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        pytest.param("rows.parquet", b"PAR1 this is no parquet file PAR1", ("rows.parquet",), marks=pytest.mark.long),
        pytest.param("rows.jsonl", b"", ("rows.jsonl", "no prompts"), marks=pytest.mark.long),
        ("rows.jsonl", b'{"prompt": "a prompt"}\n{"prompt": \n', ("rows.jsonl", "line 2")),
        pytest.param("rows.csv", b"question\nWhat is it?\n", ("rows.csv", "prompt"), marks=pytest.mark.long),
    ],
)
def test_a_bad_source(finished: Workspace, name: str, content: bytes, names: tuple[str, ...]) -> None:
    (finished.root / name).write_bytes(content)
    with_source(finished, name)
    fails(finished, "ascl", "run", names=names)


def test_a_missing_source(finished: Workspace) -> None:
    with_source(finished, "nowhere/rows.jsonl")
    fails(finished, "ascl", "run", names=("nowhere/rows.jsonl",))


def test_a_produced_file_that_was_damaged_comes_back(finished: Workspace) -> None:
    recorded = finished.recorded()
    file = finished.root / "data/prompts/prompts.parquet"
    file.unlink()
    file.write_bytes(b"PAR1")
    said = finished.ascl("run")
    assert re.search(r"^restored +curate ", said, re.MULTILINE), said
    assert finished.recorded() == recorded
    assert file.stat().st_size > 1000


@pytest.mark.parametrize("content", ["{", "{}", "[]"])
def test_a_damaged_record_is_no_record(finished: Workspace, content: str) -> None:
    recorded = finished.recorded()
    (finished.root / GATE.record.path).unlink()
    (finished.root / GATE.record.path).write_text(content, encoding="utf-8")
    if content == "{":
        assert re.search(r"^gate +stale", finished.ascl("status"), re.MULTILINE)
    assert bring_up_to_date(GATE, root=finished.root).action == "restored"
    assert finished.recorded() == recorded


def test_a_server_that_does_not_answer(finished: Workspace) -> None:
    fails(replace(finished, api_url="http://127.0.0.1:9/api"), "ascl", "run", names=("PREFECT_API_URL", "http://127.0.0.1:9/api"))


def test_a_lock_that_cannot_be_opened(finished: Workspace) -> None:
    remove(finished.root / ".ascl/locks/gate.lock")
    (finished.root / ".ascl/locks/gate.lock").mkdir()
    fails(finished, "python", "-m", "tasks", "gate", names=("gate.lock",))


def test_a_missing_model_path(finished: Workspace) -> None:
    finished.ascl("params", "write", "--set", "base_model.path=./nowhere/model")
    fails(finished, "ascl", "run", names=("./nowhere/model", "base_model.path"))


def test_a_missing_checkpoint(finished: Workspace) -> None:
    fails(finished, "ascl", "eval", "nowhere", names=("nowhere",))
    fails(finished, "ascl", "chat", "nowhere/at/all", "--prompt", "Hello", names=("nowhere/at/all",))


def test_without_a_git_repository(finished: Workspace) -> None:
    shutil.rmtree(finished.root / ".git")
    fails(finished, "ascl", "run", names=("git",))


def test_without_the_dvc_configuration(finished: Workspace) -> None:
    remove(finished.root / ".dvc/config")
    fails(finished, "ascl", "run", names=(".dvc/config",))


def test_a_dvc_lock_of_two_people(finished: Workspace) -> None:
    lock = finished.root / "dvc.lock"
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text(encoding='utf-8')}=======\n>>>>>>> other\n", encoding="utf-8")
    fails(finished, "ascl", "run", names=("dvc.lock",))


@pytest.mark.long
def test_a_full_disk_while_a_stage_works(finished: Workspace) -> None:
    recorded = finished.recorded()
    finished.forget("build_sft")
    (finished.root / "scratch").mkdir(exist_ok=True)
    command = in_namespace("mount -t tmpfs -o size=300k none scratch", "python -m tasks build_sft")
    fails_without_outputs(finished, command, names=("no space left on the disk", "free some space"))
    assert bring_up_to_date(BUILD_SFT, root=finished.root).action == "ran"
    assert finished.recorded() == recorded


@pytest.mark.long
def test_a_full_disk_while_outputs_are_recorded(finished: Workspace) -> None:
    recorded = finished.recorded()
    finished.forget("build_sft")
    remove(finished.root / ".dvc/cache")
    (finished.root / ".dvc/cache").mkdir()
    command = in_namespace("mount -t tmpfs -o size=100k none .dvc/cache", "ascl run")
    said = finished.run(*command, status=1)
    assert "Traceback" not in said
    assert "hint:" in said
    finished.ascl("run")
    assert finished.recorded() == recorded


@pytest.mark.parametrize("folder", ["data", *(pytest.param(name, marks=pytest.mark.long) for name in ("scratch", ".ascl"))])
def test_no_permission_to_write(finished: Workspace, folder: str) -> None:
    recorded = finished.recorded()
    finished.forget("validate_rules")
    (finished.root / "scratch").mkdir(exist_ok=True)
    command = in_namespace(f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}", "ascl run")
    fails_without_outputs(finished, command, names=(str(finished.root / folder),))
    assert bring_up_to_date(VALIDATE_RULES, root=finished.root).action in ("ran", "reused")
    assert finished.recorded() == recorded


def fails_without_outputs(workspace: Workspace, command: tuple[str, ...], names: tuple[str, ...]) -> None:
    """As `fails`; what else the command made before it failed may stay."""
    said = workspace.run(*command, status=1)
    assert "Traceback" not in said, said
    assert "error:" in said, said
    assert "hint:" in said, said
    for name in names:
        assert name in re.sub(r"\s+", " ", said), said


def test_debug_shows_the_traceback(finished: Workspace) -> None:
    assert "Traceback" not in finished.ascl("run", "--set", "sft.max_steps=many", status=1)
    assert "Traceback" in finished.ascl("run", "--set", "sft.max_steps=many", "--debug", status=1)
