"""No setting of git, and no attribute of a clone, changes the digest in a record or a byte of an export."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.evidence.provenance import git_state
from tasks.repository.git import export, git
from tasks.repository.worktrees import NOBODY

FILES = {"ascl_core/a.py": b"one\n\ntwo\n", "data/rules/A.yaml": b"a: 1\r\nb: $Id$\n", "kept.txt": b"kept"}
SWITCHES = (
    *("core.autocrlf", "core.safecrlf", "core.fileMode", "core.symlinks", "core.ignoreCase", "core.trustctime", "core.bare"),
    *("core.quotePath", "core.untrackedCache", "core.precomposeUnicode", "core.sparseCheckout", "diff.suppressBlankEmpty", "diff.renames"),
    *("diff.noprefix", "diff.mnemonicPrefix", "diff.relative", "diff.default.binary", "filter.x.required", "status.short", "color.ui"),
)
VALUES = {
    **dict.fromkeys(SWITCHES, ("true", "false")),
    **dict.fromkeys(("filter.x.clean", "filter.x.smudge"), ("tr a-z A-Z", "git cat-file blob HEAD:ascl_core/a.py", "false")),
    **dict.fromkeys(("core.worktree", "core.excludesFile", "core.attributesFile", "diff.orderFile"), ("/tmp", "..", "/dev/null")),
    "core.eol": ("crlf", "lf"),
    "core.checkStat": ("minimal", "default"),
    "core.whitespace": ("cr-at-eol", "-trailing-space"),
    "diff.algorithm": ("histogram", "patience"),
    "diff.context": ("0", "9"),
    "diff.default.xfuncname": ("^one", "x"),
    "diff.ignoreSubmodules": ("all",),
    "status.showUntrackedFiles": ("no", "normal"),
    "tar.umask": ("0077", "user"),
}
SETTINGS = [(key, value) for key, values in VALUES.items() for value in values]
ATTRIBUTES = ("-diff", "binary", "text", "text eol=crlf", "ident", "export-ignore", "export-subst", "filter=x", "diff=default", "-text")
FLAGS = ("--assume-unchanged", "--no-assume-unchanged", "--skip-worktree", "--no-skip-worktree")


@cache
def repository() -> tuple[Path, bytes]:
    """Return a repository with changes in its files, and its configuration."""
    root = Path(mkdtemp()) / "repository"
    git(root.parent, "init", "--quiet", str(root))
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=a", environment=NOBODY)
    (root / "ascl_core/a.py").write_bytes(b"one\n\n2\n")
    (root / "data/rules/A.yaml").chmod(0o755)
    (root / "ascl_core/new.py").write_bytes(b"new\n")
    (root / "new.txt").write_bytes(b"new\n")
    (root / ".git/info").mkdir(exist_ok=True)
    return root, (root / ".git/config").read_bytes()


def read(root: Path) -> tuple[object, ...]:
    with TemporaryDirectory() as into:
        folder = export(root, "HEAD", Path("data"), Path(into))
        return git_state(root), {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(SETTINGS), max_size=4),
    st.lists(st.tuples(st.sampled_from(["*", *FILES, "*.py", "new.txt"]), st.sampled_from(ATTRIBUTES)), max_size=3),
    st.lists(st.sampled_from([*FILES, "*", "new.txt", "new.py", "ascl_core/"]), max_size=2),
    st.lists(st.tuples(st.sampled_from(FLAGS), st.sampled_from(sorted(FILES))), max_size=2),
)
def test_git_settings_change_neither_the_digest_of_a_record_nor_an_export(
    configured: list[tuple[str, str]], attributes: list[tuple[str, str]], excluded: list[str], flags: list[tuple[str, str]]
) -> None:
    root, configuration = repository()
    (root / ".git/config").write_bytes(configuration)
    for file in ("attributes", "exclude"):
        (root / ".git/info" / file).write_text("")
    for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
        git(root, "update-index", flag, *FILES)
    expected = read(root)
    for flag, name in flags:
        git(root, "update-index", flag, name)
    for key, value in configured:
        git(root, "config", key, value)
    (root / ".git/info/attributes").write_text("".join(f"{pattern} {one}\n" for pattern, one in attributes))
    (root / ".git/info/exclude").write_text("".join(f"{pattern}\n" for pattern in excluded))
    assert read(root) == expected
