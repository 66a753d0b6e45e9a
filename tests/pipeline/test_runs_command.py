"""`ascl runs`: what goes on, what was left, how the others ended, and old worktrees removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import write_text
from flows.cli import app
from tasks.registry.stages import REPORT
from tasks.repository.dvc_config import use_remote
from tasks.repository.dvc_lock import recorded
from tasks.repository.git import commit_of, git, head_of
from tasks.repository.remotes import make_remote
from tasks.runs import runs
from tasks.runs.survey import survey
from tests.services.store_world import make_store_world

GATE = {"passed": False, "summary": "1 of 2 criteria failed", "failing": ["safety [low]: 0.1 < 0.9"]}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository with two runs: one that ended, one that did not."""
    made = make_store_world(tmp_path / "one").root
    write_text(made / "pyproject.toml", "")
    write_text(made / "data/rules/x.yaml", "rules: []\n")
    write_text(made / "data/released/release.json", '{"tag": null}\n')
    git(made, "add", "--all")
    git(
        made,
        "commit",
        "--quiet",
        "-m",
        "rules",
        environment={f"GIT_{w}_{n}": "a" for w in ("AUTHOR", "COMMITTER") for n in ("NAME", "EMAIL")},
    )
    use_remote(made, make_remote(str(tmp_path / "store")))
    runs.finish_run(made, runs.open_run(made, "ended"), {"gate": GATE, "rules": {"digest": "d" * 64}})
    runs.open_run(made, "goes-on")
    monkeypatch.chdir(made)
    return made


def asked(*words: str) -> str:
    """What `ascl runs …` prints."""
    result = CliRunner().invoke(app, ["runs", *words], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_a_list_says_what_runs_what_waits_and_how_the_others_ended(root: Path) -> None:
    assert [(run.id, run.state, run.gate) for run in survey(root)] == [("goes-on", "open", ""), ("ended", "ended", "not passed")]
    with runs.only_process(root, "goes-on"):
        assert [run.state for run in survey(root)] == ["running", "ended"]
    assert "not passed" in asked("list")
    said = asked("show", "ended")
    assert "gate: not passed: 1 of 2 criteria failed" in said
    assert "safety [low]: 0.1 < 0.9" in said


def test_worktrees_are_collected_and_the_list_still_knows_the_run(root: Path) -> None:
    assert "1 worktree removed: ended" in asked("collect", "--keep", "0")
    assert [run.id for run in survey(root)] == ["goes-on", "ended"]
    assert "2 worktrees removed" not in asked("collect", "--days", "0")


def test_the_report_of_a_run_comes_back_where_its_worktree_was_collected(root: Path) -> None:
    import yaml

    from tasks.registry.stages import Stage
    from tasks.repository import outputs

    report = REPORT.outputs["page"]
    write_text(root / "dvc.yaml", yaml.safe_dump({"stages": {"report": {"cmd": "false", "outs": [report.path]}}}))
    write_text(root / ".gitignore", "/data/models\n/data/report\n.ascl\n")
    run = runs.open_run(root, "with-report")
    for name in ("dvc.yaml", ".gitignore"):
        write_text(run.place / name, (root / name).read_text())
    write_text(run.place / report.path / "index.html", "<p>the report</p>")
    outputs.record(run.place, Stage(name="report", function="x:y", summary="", sections=(), inputs={}, outputs={"page": report}))
    runs.finish_run(root, run, {})
    runs.collect(root, keep=0)
    assert not run.place.exists()
    assert (runs.open_report(root, "with-report") / "index.html").read_text() == "<p>the report</p>"


def test_a_clone_finds_runs_and_releases_at_origin_and_takes_what_is_newer(root: Path, tmp_path: Path) -> None:
    git(root, "branch", "releases", "runs/ended")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(root), str(clone))
    assert runs.ended_runs(clone) == ["ended"]
    assert runs.read_run(clone, "ended")["gate"] == GATE
    assert head_of(clone, "releases") == commit_of(root, "releases")
    git(clone, "branch", "releases", "origin/main")
    assert head_of(clone, "releases") == commit_of(root, "releases"), "origin has more than the branch here"
    git(root, "branch", "--force", "releases", "main")
    git(clone, "fetch", "--quiet", "origin")
    git(clone, "branch", "--force", "releases", commit_of(root, "runs/ended") or "")
    assert head_of(clone, "releases") == commit_of(root, "runs/ended"), "the branch here has more than origin"
    assert runs.open_run(clone, "of-a-run", ref="runs/ended").base == commit_of(root, "runs/ended")
    assert recorded(clone) == {}
