"""The commit of a release in a new clone, by DVC's own commands: its data and stages are up to date, and nothing is left to run."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import sha256_tree
from tasks.registry.paths import COMMITTED_LOG, RELEASE_FOLDER
from tasks.registry.stages import RELEASED
from tasks.releases.rollback import rollback
from tasks.releases.verify import released_over_time, verify_release
from tasks.repository.git import git, list_paths, show
from tasks.repository.released import released_folder, released_tag
from tasks.repository.worktrees import NOBODY, temporary_worktree
from tests.pipeline.release_world import World, _made
from tests.pipeline.test_rollback_and_fetch import after, twice

__all__ = ["_made", "after", "twice"]
UP_TO_DATE = "Data and pipelines are up to date."


@pytest.fixture(scope="module")
def clone(twice: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new clone of a repository that went back to its first release, with that one's data as DVC's remote."""
    folder = tmp_path_factory.mktemp("cloned")
    world = twice.copy(folder / "world")
    rollback(world.root, "release/1", "refuses too much", world.key("ada"))
    git(folder, "clone", "--quiet", str(world.root), "clone")
    dvc(folder / "clone", "remote", "modify", "--local", "local", "url", str(world.root / ".ascl/remote"))
    return folder / "clone"


def dvc(root: Path, *words: str) -> str:
    """What `dvc …` prints, which must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(root), "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("revision", ["release/1", "release/2", "origin/releases", "origin/runs/next"])
def test_who_checks_a_release_out_and_pulls_its_data_has_nothing_to_run(clone: Path, revision: str) -> None:
    git(clone, "checkout", "--quiet", "--detach", revision)
    dvc(clone, "pull")
    assert dvc(clone, "status") == UP_TO_DATE
    assert dvc(clone, "checkout") == ""
    said = dvc(clone, "repro", "--dry")
    assert said.splitlines()[-1] == UP_TO_DATE
    assert "Running stage" not in said
    assert dvc(clone, "status") == UP_TO_DATE
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.parametrize("revision", ["release/1", "release/2", "releases"])
def test_a_release_is_the_commit_of_its_run_with_one_folder_and_its_log(clone: Path, revision: str) -> None:
    root = Path(git(clone, "remote", "get-url", "origin"))
    run = verify_release(root, None if revision == "releases" else revision).record.commit
    added = {path for path in git(root, "diff", "--name-only", run, revision).splitlines() if not path.startswith(f"{RELEASE_FOLDER}/")}
    assert added == {str(COMMITTED_LOG)}


@pytest.mark.parametrize("revision", ["release/1", "release/2", "origin/releases"])
def test_no_file_of_a_release_names_a_folder_of_the_machine_that_made_it(clone: Path, revision: str) -> None:
    root = Path(git(clone, "remote", "get-url", "origin"))
    here = {str(path).encode() for path in (root, root.parents[1], Path.home(), Path(sys.prefix), Path(tempfile.gettempdir()))} - {b"/"}
    found = [(path, folder) for path, content in contents(clone, revision) for folder in here if folder + b"/" in content]
    assert found == []


def contents(clone: Path, revision: str) -> Iterator[tuple[str, bytes]]:
    """Each file of a commit with its content; of what is signed also what was signed, and of a table its rows."""
    git(clone, "checkout", "--quiet", "--detach", revision)
    for path in list_paths(clone, "ls-files", "-z"):
        content = (clone / path).read_bytes()
        if path.endswith(".parquet"):
            yield path, rows(content)
        elif path.startswith("data/") and path.endswith((".json", ".jsonl")):
            yield path, content + b"".join(signed(content))
        elif not path.startswith("tests/"):
            yield path, content


def rows(content: bytes) -> bytes:
    import pyarrow.parquet as pq
    from pyarrow import BufferReader

    return json.dumps(pq.read_table(BufferReader(content)).to_pylist(), default=str).encode()


def signed(content: bytes) -> Iterator[bytes]:
    for line in content.splitlines() if content.startswith(b'{"') else [content]:
        values = json.loads(line)
        payload = values.get("envelope", values).get("payload") if isinstance(values, dict) else None
        yield base64.b64decode(payload or "")


def test_a_release_from_before_it_had_a_folder_of_its_own_still_holds(after: World, tmp_path: Path) -> None:
    """Its signed files stood in `data/released`, instead of those that its run had read; the same bytes, and so the same signatures."""
    root, tag = after.root, "release/2"
    new = verify_release(root, tag)
    with released_folder(root) as folder:
        wanted = sha256_tree(folder)
    old = in_the_old_folder(root, new.commit)
    git(root, "update-ref", "refs/heads/releases", old)
    git(root, "update-ref", f"refs/tags/{tag}", old)
    before = verify_release(root, tag)
    assert (before.folder, before.record, before.approvals) == (Path(RELEASED.path), new.record, new.approvals)
    assert [one.tag for one in released_over_time(root)] == [tag, "release/1"]  # type: ignore[union-attr]
    assert [*changed_by_dvc(root, new.commit)] == []
    assert [*changed_by_dvc(root, old)] == ["validate_rules", "gate", "report"], "what such a commit could not be"
    assert released_tag(root) == tag
    with released_folder(root) as folder:
        assert sha256_tree(folder) == wanted
    back = rollback(root, "release/1", "refuses too much", after.key("ada"))
    forward = rollback(root, tag, "it was the server", after.key("ben"))
    assert (back.folder, forward.folder) == (RELEASE_FOLDER, Path(RELEASED.path))
    assert [one.tag for one in released_over_time(root)] == [tag, "release/1", tag, "release/1"]  # type: ignore[union-attr]


def changed_by_dvc(root: Path, commit: str) -> dict[str, Any]:
    """What `dvc status` says of a commit with its data."""
    with temporary_worktree(root, commit) as worktree:
        dvc(worktree, "checkout", "--quiet")
        return dict(json.loads(dvc(worktree, "status", "--json")))


def in_the_old_folder(root: Path, commit: str) -> str:
    """The release in that commit as it was committed until it got a folder of its own."""
    with temporary_worktree(root, commit) as worktree:
        git(worktree, "rm", "-r", "--quiet", "--", RELEASED.path)
        git(worktree, "mv", str(RELEASE_FOLDER), RELEASED.path)
        made = git(worktree, "write-tree")
    parents = [word for parent in git(root, "rev-parse", f"{commit}^@").splitlines() for word in ("-p", parent)]
    assert show(root, made, Path(RELEASED.path) / "statement.json") == show(root, commit, RELEASE_FOLDER / "statement.json")
    return git(root, "commit-tree", made, *parents, "-m", "old", environment=NOBODY)
