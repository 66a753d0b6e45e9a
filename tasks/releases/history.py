"""The branch `releases`: each release and each rollback is one commit, and its head is what is released.

It moves by compare-and-swap, to `origin` first where there is one, then here, branch and tag at once: a process that is killed leaves
the release before or the new one, and `synchronise` brings the two repositories together again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ascl_core.errors import ReleaseError, WorkspaceError, nearest
from tasks.registry.paths import COMMITTED_LOG, RELEASE_FOLDER
from tasks.registry.stages import RELEASED
from tasks.repository.git import commit_of, git, has_remote, is_ancestor
from tasks.repository.locking import exclusive, lock_file
from tasks.repository.released import RELEASES, released_commit
from tasks.repository.worktrees import NOBODY

BRANCH = f"refs/heads/{RELEASES}"
TAGS = "refs/tags/release/"
ORIGIN = "origin"
_NONE = "0" * 40
_ANSWERS_S = 20.0
"""How long `origin` may take to say what it has, before something is released."""
_QUICKLY_S = 5.0
"""How long it may take before a command that only reads."""
_FETCHED_S = 120.0
"""How long the releases themselves may take."""
FIRST = "ascl release alone --reason '…', or among several people: ascl approve, then ascl release create"
"""How a first release is made."""


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Wait for the end of another process that releases in this repository, and be the only one."""
    with exclusive(lock_file(root, "releases")):
        yield


def commit_of_tag(root: Path, tag: str) -> str:
    """Return the commit of a release; `ReleaseError` for an unknown tag names the known ones."""
    known = tags(root)
    if tag not in known:
        hint = nearest(tag, known, command="ascl release list") if known else f"nothing is released yet: {FIRST}"
        raise ReleaseError("no such release", value=tag, hint=hint)
    return str(commit_of(root, f"refs/tags/{tag}"))


def tags(root: Path) -> list[str]:
    """Return the tags of all releases, the newest first."""
    listed = git(root, "for-each-ref", "--format=%(refname)", TAGS)
    numbers = [name.removeprefix(TAGS) for name in listed.splitlines()]
    return [f"release/{number}" for number in sorted((int(n) for n in numbers if n.isdecimal()), reverse=True)]


def next_tag(root: Path) -> str:
    """Return the tag after the highest one."""
    return f"release/{int(tags(root)[0].removeprefix('release/')) + 1}" if tags(root) else "release/1"


def commits(root: Path) -> list[str]:
    """Return the commits of all releases and rollbacks, newest first."""
    signed = [f"{folder}/statement.json" for folder in (RELEASE_FOLDER, RELEASED.path)]
    head = released_commit(root)
    return git(root, "rev-list", "--first-parent", head, "--", *signed).splitlines() if head else []


def write_commit(worktree: Path, parents: Sequence[str], message: str, folder: Path = RELEASE_FOLDER) -> str:
    """Commit the release in `folder` and the log of `worktree` on top of the files that are checked out there; no ref moves."""
    git(worktree, "add", "--force", "--all", "--", str(folder), str(COMMITTED_LOG))
    tree = git(worktree, "write-tree")
    return git(worktree, "commit-tree", tree, *(word for parent in parents for word in ("-p", parent)), "-m", message, environment=NOBODY)


def move(root: Path, new: str, old: str | None, *, tag: str | None = None, run: tuple[str, str] | None = None, push: bool = True) -> None:
    """Move the branch from `old` to `new`, with an annotated tag, at `origin` and here.

    `run` is the run's branch and commit, pushed with it. `ReleaseError` if another release came first: then nothing has moved.
    """
    tagged = _tag_object(root, tag, new) if tag else None
    if push and has_remote(root):
        refs = [f"{new}:{BRANCH}"]
        refs += [f"{tagged}:refs/tags/{tag}"] if tagged else []
        refs += [f"{run[1]}:refs/heads/{run[0]}"] if run else []
        _push(root, refs)
    lines = ["start", f"update {BRANCH} {new} {old or _NONE}"]
    lines += [f"create refs/tags/{tag} {tagged}"] if tagged else []
    try:
        git(root, "update-ref", "--stdin", given="\n".join([*lines, "prepare", "commit"]) + "\n")
    except WorkspaceError as error:
        if commit_of(root, BRANCH) == old:
            raise
        hint = "run it again against what is released now: ascl release list"
        raise ReleaseError(
            "another release was made meanwhile, so this one was not", field=RELEASES, value=commit_of(root, BRANCH), hint=hint
        ) from error


def synchronise(root: Path, answers_s: float = _ANSWERS_S) -> None:
    """Fetch the releases of `origin`, if there is one, and bring the branch here up to them, as `catch_up` does."""
    refs = (f"+{BRANCH}:refs/remotes/{ORIGIN}/{RELEASES}", f"{TAGS}*:{TAGS}*")
    asked = has_remote(root) and git(root, "ls-remote", ORIGIN, BRANCH, timeout_s=answers_s)
    try:
        if asked:
            git(root, "fetch", "--quiet", "--no-tags", ORIGIN, *refs, timeout_s=_FETCHED_S)
    finally:  # a tag that another release has here stops the fetch, and catch_up says why
        catch_up(root)


def catch_up(root: Path) -> None:
    """Move the branch here to what was last fetched from `origin`, if that is ahead; `ReleaseError` if the two have diverged."""
    here, there = commit_of(root, BRANCH), commit_of(root, f"refs/remotes/{ORIGIN}/{RELEASES}")
    if there and there != here:
        if here is None or is_ancestor(root, here, there):
            git(root, "update-ref", BRANCH, there, here or _NONE)
        elif not is_ancestor(root, there, here):
            hint = "decide which of them counts, and set the branch releases here or at origin to it"
            raise ReleaseError("the releases here and at origin have diverged", field=RELEASES, value=there, hint=hint)


def refresh(root: Path) -> str | None:
    """Fetch the releases before a command reads them; return a line of notice if the answer may be old, or is of this repository only."""
    try:
        synchronise(root, _QUICKLY_S)
    except ReleaseError as error:
        return f"{error.problem}, and what follows is of this repository: {error.hint}"
    except WorkspaceError as error:
        return f"origin cannot be reached: what follows is as of {_last_fetch(root)} ({error.problem})"
    return None


def _last_fetch(root: Path) -> str:
    """Return when this repository last fetched from `origin`, or was cloned from it."""
    for name in ("FETCH_HEAD", "packed-refs", "config"):
        file = root / git(root, "rev-parse", "--git-path", name)
        if file.exists():
            return f"{datetime.fromtimestamp(file.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC"
    return "an unknown time"


def complete(root: Path, commit: str, tag: str, run: tuple[str, str], *, push: bool = True) -> None:
    """Finish what comes after the branch moved: the tag here; the branch, the tag and the run's branch at `origin`."""
    if commit_of(root, f"refs/tags/{tag}") is None:
        git(root, "update-ref", f"refs/tags/{tag}", _tag_object(root, tag, commit), _NONE)
    if push and has_remote(root):
        refs = [f"{released_commit(root)}:{BRANCH}", f"refs/tags/{tag}:refs/tags/{tag}", f"{run[1]}:refs/heads/{run[0]}"]
        _push(root, refs)


def _push(root: Path, refs: Sequence[str]) -> None:
    try:
        git(root, "push", "--quiet", "--atomic", ORIGIN, *refs)
    except WorkspaceError as error:
        hint = "see git push origin releases; if another release came first, evaluate against it; without --push the release stays here"
        raise ReleaseError(f"origin refused the push, so nothing is released: {error.problem}", field=ORIGIN, hint=hint) from error


def _tag_object(root: Path, tag: str, commit: str) -> str:
    who = f"{NOBODY['GIT_AUTHOR_NAME']} <{NOBODY['GIT_AUTHOR_EMAIL']}> {int(time.time())} +0000"
    return git(root, "mktag", given=f"object {commit}\ntype commit\ntag {tag}\ntagger {who}\n\n{tag}\n")
