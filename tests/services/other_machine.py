"""A second machine out of this one: another user, home and temporary folder, and nothing of the first machine's files."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_USER, _GROUP = "nobody", "nogroup"


@dataclass(frozen=True)
class OtherMachine:
    """Its home is all that it may write to; `hidden` are the first machine's folders, empty here."""

    home: Path
    hidden: tuple[Path, ...]

    def run(self, command: Sequence[str], variables: Mapping[str, str], status: int = 0) -> str:
        """What a command prints there; fails unless it ends with that status."""
        mounts = [f"mount -t tmpfs -o mode=755 none {shlex.quote(str(folder))}" for folder in self.hidden]
        as_user = f"setpriv --reuid={_USER} --regid={_GROUP} --clear-groups -- {shlex.join(command)}"
        script = " && ".join([*_open_interpreter(), *mounts, f"cd {self.home}", f"exec {as_user}"])
        environment = {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), "TERM": "dumb", "COLUMNS": "200", "LANG": "C.UTF-8"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin"
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", script],
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == status, done.stdout
        return done.stdout


@contextmanager
def other_machine(*hidden: Path) -> Iterator[OtherMachine]:
    """Yield one; the test is skipped where this user cannot become another one."""
    if (
        os.geteuid() != 0
        or shutil.which("setpriv") is None
        or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode
    ):
        pytest.skip("only root can be another user")
    home = Path(tempfile.mkdtemp(prefix="machine-", dir="/tmp"))
    try:
        (home / "tmp").mkdir()
        for folder in (home, home / "tmp"):
            shutil.chown(folder, _USER, _GROUP)
        yield OtherMachine(home, hidden)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _open_interpreter() -> list[str]:
    """The mounts that let another user reach this interpreter where it is in a closed home, of which nothing else is to be seen."""
    base = Path(sys.base_prefix).resolve()
    closed = next((folder for folder in reversed(base.parents) if not folder.stat().st_mode & stat.S_IXOTH), None)
    if closed is None:
        return []
    aside = "$ASIDE"
    return [
        "ASIDE=$(mktemp -d)",
        f"mount --bind {base} {aside}",
        f"mount -t tmpfs -o mode=755 none {closed}",
        f"mkdir -p {base}",
        f"mount --move {aside} {base}",
        f"rmdir {aside}",
    ]
