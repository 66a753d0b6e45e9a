"""Git, by its command line: the one door to git, which behaves the same for every person, machine and hook.

No variable or setting names another repository, index or folder, none changes a byte that is read, and no hook runs.
A refusal by git is an error with git's own reason, never read as "nothing is there".
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ascl_core.artifacts import is_within
from ascl_core.errors import WorkspaceError
from tasks.registry.paths import LOCAL

_OF_THE_PERSON = ("GIT_SSH", "GIT_SSL", "GIT_ASKPASS", "GIT_PROXY", "GIT_HTTP", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
"""Variables that say how git reaches other machines and where its settings are; the others name a repository and are ignored."""
_OTHERS = ("init", "clone")
"""Commands that make another repository."""
_NO = 1
"""The exit status for "no"; other ones are failures."""
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
"""Git asks nothing, takes no lock that it can do without, and answers in English."""
_AS_COMMITTED = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
"""No object and no parent is replaced by another, and the machine has no attributes."""
FILE, EXECUTABLE, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
"""The modes of what a commit holds."""
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.quotePath": "false",
    "core.commitGraph": "false",
    "core.untrackedCache": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "push.gpgSign": "false",
    "push.followTags": "false",
    "fetch.prune": "false",
    "status.showUntrackedFiles": "all",
    "status.relativePaths": "true",
    "submodule.recurse": "false",
    "diff.ignoreSubmodules": "none",
    "color.ui": "false",
    "advice.diverging": "false",
    "advice.graftFileDeprecated": "false",
}
"""Settings of a person that would change what is read, written or run."""
_REASON = re.compile(r"(?:fatal|error): |remote: | ! \[")
_HINTS = {
    "dubious ownership": "the folder belongs to another user: git config --global --add safe.directory {root}",
    "not a git repository": "git init && git add . && git commit, or clone the repository again",
    "shallow": "git fetch --unshallow",
    "bad config": "correct that line of git's configuration",
    "bad numeric config": "correct that line of git's configuration",
    "bad boolean config": "correct that line of git's configuration",
    "unmerged": "resolve the conflict, git add the files, and commit",
    "index.lock": "wait for the other git command, or remove that lock if none runs",
    "No space left on device": "free some space, and run it again",
    "Permission denied": "give yourself permission on the files it names",
    "cannot lock ref": "git branch --list --all; rename the branch that is in the way",
    "object not found": "git fsck, and clone the repository again",
}


def git(
    root: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: str = "",
    timeout_s: float | None = None,
) -> str:
    """Return what `git` prints with these arguments and `given` as its input, in `root` whatever repository the environment names.

    `WorkspaceError` if it fails, or has not ended after `timeout_s`.
    """
    done = _run(root, *arguments, environment=environment, given=given, timeout_s=timeout_s)
    return done.stdout.decode(errors="replace").strip()


def commit_of(root: Path, revision: str) -> str | None:
    """Return the commit that a revision names, 40 hexadecimal digits; None if there is no such revision.

    `WorkspaceError` if git refuses to look, as in a folder that belongs to somebody else.
    """
    if ":" in revision:  # a path in a commit, which git may refuse instead of not finding it
        return None
    done = _run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", may_deny=True)
    return done.stdout.decode().strip() or None


def resolve(root: Path, revision: str) -> str | None:
    """Return the commit that a revision names here, or a branch of that name at `origin`; None if there is neither."""
    return commit_of(root, revision) or commit_of(root, f"refs/remotes/origin/{revision}")


def head_of(root: Path, branch: str) -> str | None:
    """Return the head of a branch, here or at `origin` if that is ahead of it, as in a clone; None if there is neither."""
    here, there = commit_of(root, f"refs/heads/{branch}"), commit_of(root, f"refs/remotes/origin/{branch}")
    return there if here is None or (there and is_ancestor(root, here, there)) else here


def has_remote(root: Path, name: str = "origin") -> bool:
    """Return whether the repository has a remote of that name, such as the one from which it was cloned."""
    return name in git(root, "remote").splitlines()


def short_name(ref: str) -> str:
    """Return what people call a branch or tag, here or at a remote.

    >>> short_name("refs/tags/release/1"), short_name("refs/remotes/origin/runs/r1")
    ('release/1', 'runs/r1')
    """
    return ref.split("/", 3 if ref.startswith("refs/remotes/") else 2)[-1]


@contextmanager
def temporary_index(root: Path) -> Iterator[Mapping[str, str]]:
    """Yield the environment for an index of its own, so that git's real one does not change."""
    with tempfile.TemporaryDirectory(dir=root / LOCAL) as folder:
        yield {"GIT_INDEX_FILE": str(Path(folder) / "index")}


def is_uncommitted(root: Path, path: str) -> bool:
    """Return whether a file has uncommitted changes; an ignored one never has."""
    return bool(git(root, "status", "--porcelain", "--", path))


def list_paths(root: Path, *arguments: str) -> list[str]:
    """Return the paths that git lists with these arguments, one of which is `-z`; they may have any bytes in their names."""
    return [os.fsdecode(name) for name in _run(root, *arguments).stdout.split(b"\0") if name]


def tree(root: Path, commit: str, path: Path | None = None) -> dict[str, tuple[str, str]]:
    """Return the mode and the object of each file, link and submodule of a commit, all or those at or under `path`, by path."""
    listed = list_paths(root, "ls-tree", "-r", "-z", "--full-tree", commit, *(["--", str(path)] if path else []))
    entries = (line.partition("\t") for line in listed)
    return {name: (about.split()[0], about.split()[2]) for about, _, name in entries}


def unmerged(root: Path) -> list[str]:
    """Return the paths with a merge conflict, sorted."""
    listed = git(root, "ls-files", "--unmerged", "-z", "--full-name").split("\0")
    return sorted({line.partition("\t")[2] for line in listed if line})


def is_ancestor(root: Path, older: str, newer: str) -> bool:
    """Return whether `older` is an ancestor of `newer`, or `newer` itself; `WorkspaceError` where a shallow clone cannot know."""
    found = _run(root, "merge-base", "--is-ancestor", older, newer, may_deny=True).returncode == 0
    if not found and git(root, "rev-parse", "--is-shallow-repository") == "true":
        raise WorkspaceError("the clone is shallow, so the history of a commit is unknown", file=root, hint="git fetch --unshallow")
    return found


def show(root: Path, commit: str, path: Path, *, missing: bytes | None = None) -> bytes:
    """Return the bytes of a file at that commit, or `missing` if it is not there; without `missing`, `WorkspaceError`."""
    if missing is not None and not git(root, "ls-tree", commit, "--", str(path)):
        return missing
    return _run(root, "cat-file", "blob", f"{commit}:{path}").stdout


def own_environment() -> dict[str, str]:
    """Return this process's environment without what names a repository, for git and for what calls it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_OF_THE_PERSON)}


def export(root: Path, commit: str, path: Path, into: Path) -> Path:
    """Write the folder or file `path` as of that commit under `into`, the committed bytes whatever attributes say; return its new path.

    `WorkspaceError` if the commit does not have it, or if a link leads out of `into`.
    """
    entries = {name: entry for name, entry in tree(root, commit, path).items() if entry[0] != SUBMODULE}
    if not entries:
        raise WorkspaceError(
            "no such file or folder in the commit", file=path, field=commit, hint=f"git ls-tree {commit} lists what it has"
        )
    modes = {name: mode for name, (mode, _) in entries.items()}
    contents = dict(zip(entries, _contents(root, [blob for _, blob in entries.values()]), strict=True))
    for name, content in contents.items():
        _refuse_escape(name, os.fsdecode(content) if modes[name] == LINK else None, into, path, commit)
    for name in sorted(contents, key=lambda name: modes[name] == LINK):  # links last, so that nothing is written through one
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if modes[name] == LINK:
            target.symlink_to(os.fsdecode(contents[name]))
        else:
            target.write_bytes(contents[name])
            target.chmod(0o755 if modes[name] == EXECUTABLE else 0o644)
    return into / path


def _contents(root: Path, blobs: Iterable[str]) -> Iterator[bytes]:
    """Yield the bytes of each blob; `WorkspaceError` if the repository lacks one."""
    answers = io.BytesIO(_run(root, "cat-file", "--batch", given="".join(f"{blob}\n" for blob in blobs)).stdout)
    for header in answers:
        blob, *found = header.decode().split()
        if found[0] != "blob":
            raise _refusal(root, "cat-file", f"error: object not found - {blob}")
        yield answers.read(int(found[1]))
        answers.read(1)


def _refuse_escape(name: str, link: str | None, into: Path, path: Path, commit: str) -> None:
    """Check that a file of a commit, and the target of a link, lie inside `into`; `WorkspaceError` if not."""
    targets = [(into / name).parent, *([] if link is None else [(into / name).parent / link])]
    if (link and Path(link).is_absolute()) or not all(is_within(target, into) for target in targets):
        problem = f"a link leads out of the repository: {name}"
        raise WorkspaceError(problem, file=path, field=commit, hint="commit the file itself instead of a link")


def _run(
    root: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: str = "",
    timeout_s: float | None = None,
    may_deny: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run git; `WorkspaceError` if it fails, for which with `may_deny` the status for "no" does not count."""
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    own = {**own_environment(), **_QUIET, **_AS_COMMITTED, **(environment or {})}
    if (root / ".git").exists() and arguments[0] not in _OTHERS:
        own["GIT_WORK_TREE"] = str(root.absolute())  # whatever core.worktree and core.bare say
    try:
        done = subprocess.run(
            ["git", *settings, *arguments], cwd=root, env=own, capture_output=True, check=False, input=given.encode(), timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        problem = f"git {arguments[0]} had no answer after {timeout_s:.0f} s"
        raise WorkspaceError(problem, file=root, hint="git remote -v, and check that it can be reached") from None
    except FileNotFoundError:
        raise WorkspaceError("git is not installed", hint="install git 2.30 or newer") from None
    if done.returncode != 0 and not (may_deny and done.returncode == _NO):
        raise _refusal(root, arguments[0], done.stderr.decode(errors="replace"))
    return done


def _refusal(root: Path, command: str, output: str) -> WorkspaceError:
    """Return the error with git's reason, a server's included, and how to fix it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reasons = [line.removeprefix("remote:").strip() for line in lines if _REASON.match(line) or line.startswith("! [")] or lines[-1:]
    reason = "; ".join(dict.fromkeys(filter(None, reasons[:4]))) or "no message"
    hint = next((hint for sign, hint in _HINTS.items() if sign in output), "git status, and fix what it says")
    return WorkspaceError(f"git {command} failed: {reason}", file=root, hint=hint.format(root=root))
