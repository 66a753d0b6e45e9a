"""Runs of their own: a worktree each, a commit at the end, and nobody else's files touched."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.params import Params
from ascl_core.config.suites import SuiteConfig, SuitesConfig
from ascl_core.errors import WorkspaceError
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.paths import RUNS
from tasks.registry.sources import source_paths
from tasks.registry.stages import BUILD_SUITES, STAGES, VALIDATE_RULES
from tasks.repository.git import commit_of, git
from tasks.repository.released import RELEASES
from tasks.runs import runs
from tasks.runs.summary import run_summary
from tests.pipeline.workspace import Workspace


@pytest.mark.long
def test_a_run_has_what_was_recorded_and_restores_it_and_ends_as_a_commit(finished: Workspace) -> None:
    root, before = finished.root, finished.snapshot()
    head, status = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")
    run = runs.open_run(root, "first")
    outcomes = [bring_up_to_date(stage, root=run.worktree) for stage in STAGES]
    assert {outcome.action for outcome in outcomes} == {"restored"}, [o for o in outcomes if o.action != "restored"]
    commit = runs.finish_run(root, run, run_summary(run.worktree, outcomes))
    said = runs.read_run(root, "first")
    assert (said["commit"], said["base"], said["checkpoint"]["path"]) == (commit, head, "data/models/ifpo")
    assert said["checkpoint"]["sha256"] == read_json(root / "data/records/ifpo.json")["outputs"]["data/models/ifpo"]
    assert commit_of(root, "runs/first") == commit
    assert "dvc.lock" in git(root, "ls-tree", "-r", "--name-only", commit).splitlines()
    assert (git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain"), finished.snapshot()) == (head, status, before)


def test_a_run_that_was_killed_goes_on_in_its_worktree_and_a_half_made_one_is_made_anew(fresh: Workspace) -> None:
    run = runs.open_run(fresh.root, "again")
    write_json(run.worktree / "data" / "left.json", {"by": "the first attempt"})
    assert (runs.open_run(fresh.root, "again").worktree / "data" / "left.json").exists()
    (run.worktree / ".ascl" / "run.json").unlink()
    again = runs.open_run(fresh.root, "again")
    assert not (again.worktree / "data" / "left.json").exists()
    assert (again.worktree / "data" / "rules").is_dir()


def test_a_run_takes_the_rules_it_is_given_and_what_the_branch_of_releases_says(fresh: Workspace, tmp_path: Path) -> None:
    root = fresh.root
    (root / "data/released/note.txt").write_text("what was released\n")
    write_json(root / "data/released/release.json", {"tag": None})
    fresh.run("git", "add", "--force", "data/released")
    fresh.run("git", "commit", "--quiet", "-m", "a release")
    fresh.run("git", "branch", RELEASES)
    fresh.run("git", "reset", "--quiet", "--hard", "HEAD~1")
    fresh.run("cp", "-r", "data/rules", str(tmp_path / "rules"))
    file = tmp_path / "rules" / "CYB.yaml"
    file.write_text(file.read_text() + "# another line\n")
    run = runs.open_run(root, "rules", rules=tmp_path / "rules")
    assert (run.worktree / "data/rules/CYB.yaml").read_text().endswith("# another line\n")
    assert (run.worktree / "data/released/note.txt").read_text() == "what was released\n"
    assert not (root / "data/released/note.txt").exists()
    bring_up_to_date(VALIDATE_RULES, root=run.worktree)
    commit = runs.finish_run(root, run, {})
    assert "another line" in git(root, "show", f"{commit}:data/rules/CYB.yaml")


def test_a_run_reads_the_public_files_of_the_repository_and_commits_none(fresh: Workspace) -> None:
    root = fresh.root
    run = runs.open_run(root, "public")
    (root / "data/external/xstest").mkdir(parents=True)
    (root / "data/external/xstest/xstest_prompts.csv").write_text("prompt,type\n")
    source = SuiteConfig.model_validate({"format": "xstest", "path": "$ASCL_EXTERNAL_DATA/xstest/xstest_prompts.csv"})
    params = Params(suites=SuitesConfig(external=(source,)))
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("ASCL_EXTERNAL_DATA", raising=False)
        found = [source_paths(folder, BUILD_SUITES, params) for folder in (root, run.worktree)]
    assert found == [("data/external/xstest/xstest_prompts.csv",)] * 2
    assert not git(run.worktree, "status", "--porcelain", "--", "data/external")
    assert "data/external" not in git(root, "ls-tree", "-r", "--name-only", runs.finish_run(root, run, {}))


@pytest.mark.parametrize("name", ["../up", "A", "x y", "-x", "", "a" * 80, "a/b"])
def test_an_id_that_is_no_name_of_a_folder_is_refused(fresh: Workspace, name: str) -> None:
    with pytest.raises(WorkspaceError, match="not a run's id"):
        runs.open_run(fresh.root, name)


def test_a_ref_that_is_none_and_a_run_that_never_ended_are_errors_that_say_what_there_is(fresh: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="no such git revision"):
        runs.open_run(fresh.root, "run", ref="--output=/tmp/x")
    with pytest.raises(WorkspaceError, match="no run of that id has ended") as found:
        runs.read_run(fresh.root, "run")
    assert found.value.hint == "no run has ended yet: ascl run"


def test_old_worktrees_are_collected_but_not_the_newest_nor_one_in_which_somebody_works(fresh: Workspace) -> None:
    root = fresh.root
    for name in ("one", "two", "three"):
        runs.finish_run(root, runs.open_run(root, name), {})
        time.sleep(0.02)
    runs.open_run(root, "open")
    assert runs.collect(root, keep=2) == ["one"]
    with runs.only_process(root, "two"):
        with pytest.raises(WorkspaceError, match="another process works on this run"), runs.only_process(root, "two"):
            pass
        assert sorted(runs.collect(root, keep=0, abandoned_s=0)) == ["open", "three"]
    assert sorted(folder.name for folder in (root / RUNS).iterdir()) == ["two"]
    assert set(runs.ended_runs(root)) == {"one", "two", "three"}
    assert git(root, "worktree", "list").count("\n") == 1, "git has forgotten them, too"
