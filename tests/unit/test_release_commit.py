"""The commit of a release, as DVC sees it in a new clone: what a stage has read is there as it was, old and new releases alike verify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ascl_core.artifacts import write_json, write_text
from tasks.registry.stages import CANDIDATE, CHECKPOINT, CORPUS, EVALUATION, RELEASED, REPORT, RL_CORPUS, RULE_INDEX, SFT_CORPUS
from tasks.releases import history
from tasks.releases.content import CARDS
from tasks.releases.verify import verify_release
from tasks.repository import dvc
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY, temporary_worktree
from tests.signed_release import make_keys, sign_release

RESULTS = EVALUATION.outputs["results"].path
PAGE = REPORT.outputs["page"].path
STAGE = f"stages:\n  {CANDIDATE.name}:\n    cmd: 'true'\n    deps: [{RELEASED.path}]\n    outs: [{CHECKPOINT}]\n"


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A repository with a signed release of a run whose one stage read what was released before: nothing."""
    root, keys = tmp_path / "root", tmp_path / "keys"
    for path in (CORPUS.path, SFT_CORPUS.path, RL_CORPUS.path, f"{RULE_INDEX.path}/index.json", f"{CHECKPOINT}/config.json"):
        write_json(root / path, {"of": path})
    for path in (RESULTS, *(f"{PAGE}/{card}" for card in CARDS)):
        write_text(root / path, path)
    write_text(root / RELEASED.path / ".gitignore", "*\n!.gitignore\n")
    write_text(root / ".gitignore", ".ascl/\n.dvc/cache/\n.dvc/tmp/\n.dvc/config.local\n/data/models/\n")
    write_text(root / ".dvc/config", "[core]\n    analytics = false\n    remote = local\n['remote \"local\"']\n    url = ../../store\n")
    write_text(root / "dvc.yaml", STAGE)
    git(root, "init", "--quiet")
    make_keys(root, keys)
    dvc.call(root, "commit", "--force", CANDIDATE.name, hint="")
    dvc.call(root, "push", hint="")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "the run", environment=NOBODY)
    sign_release(root, keys, "0" * 64)
    return root


def changed(root: Path, revision: str) -> dict[str, object]:
    """What DVC calls changed in a new clone at that revision with its data."""
    clone = root.parent / f"clone-{revision.replace('/', '-')}"
    git(root.parent, "clone", "--quiet", "--no-checkout", str(root), str(clone))
    git(clone, "checkout", "--quiet", "--detach", revision)
    dvc.call(clone, "pull", hint="")
    return dict(json.loads(dvc.run(clone, "status", "--json").stdout))


def test_dvc_finds_nothing_changed_in_a_release_and_the_release_in_it_verifies(released: Path) -> None:
    assert verify_release(released, "release/1").record.run == "yes"
    assert changed(released, "release/1") == {}


def test_a_release_that_replaced_what_its_run_had_read_verifies_and_dvc_calls_its_stage_changed(released: Path) -> None:
    """As all did until a release had a folder of its own: the signed files are the same."""
    new = verify_release(released)
    with temporary_worktree(released, new.commit) as worktree:
        git(worktree, "rm", "-r", "--quiet", "--", RELEASED.path)
        git(worktree, "mv", str(new.folder), RELEASED.path)
        tree = git(worktree, "write-tree")
    old = git(released, "commit-tree", tree, "-p", new.record.commit, "-m", "old", environment=NOBODY)
    for ref in ("refs/heads/releases", "refs/tags/release/1"):
        git(released, "update-ref", ref, old)
    before = verify_release(released, "release/1")
    assert (str(before.folder), before.record, before.approvals) == (RELEASED.path, new.record, new.approvals)
    assert history.commits(released) == [old]
    assert changed(released, "release/1") == {CANDIDATE.name: [{"changed deps": {RELEASED.path: "modified"}}]}
