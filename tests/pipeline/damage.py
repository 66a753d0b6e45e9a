"""A finished workspace to damage, and what `ascl lineage verify` says of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ascl_core.errors import AsclError
from tasks.lineage.verify import verify
from tests.pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def shared(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace; whoever changes it puts everything back."""
    return _finished.copy(tmp_path_factory.mktemp("verify") / "root").root


@pytest.fixture
def root(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That workspace; the test runs in it."""
    monkeypatch.chdir(shared)
    return shared


@contextmanager
def kept(*files: Path) -> Iterator[None]:
    """What the files are is put back after."""
    before = {file: (file.read_bytes() if file.exists() else None, file.stat().st_mode if file.exists() else 0) for file in files}
    try:
        yield
    finally:
        for file, (content, mode) in before.items():
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.unlink(missing_ok=True)
                file.write_bytes(content)
                file.chmod(mode)


def flip(file: Path, at: int = -2) -> None:
    """Change one bit of one byte, whoever may write it; an empty file gets one."""
    content = bytearray(file.read_bytes() or b"xx")
    content[at] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)


def error_of(root: Path, text: str) -> AsclError:
    """The error of `verify`."""
    with pytest.raises(AsclError) as found:
        verify(root, text)
    return found.value
