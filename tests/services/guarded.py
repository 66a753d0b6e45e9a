"""A finished workspace for the tests of security: its commands see no credentials of this machine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.pipeline.workspace import Workspace

CHECKPOINT = Path("data") / "models" / "ifpo"


@dataclass(frozen=True)
class Guarded(Workspace):
    """A workspace whose commands have these variables, and no credentials of this machine."""

    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """See `Workspace`."""
        kept = {name: value for name, value in super().environment.items() if not name.startswith("AWS_")}
        return {**kept, **self.variables}

    def having(self, **variables: str) -> Guarded:
        """The same with more variables."""
        return replace(self, variables={**self.variables, **variables})


@pytest.fixture(scope="module")
def made(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """The finished workspace in a folder of its own, for tests that leave it as it is."""
    root = _finished.copy(tmp_path_factory.mktemp("security") / "workspace").root
    return Guarded(root, variables={"HF_HUB_OFFLINE": "1"})


@pytest.fixture
def workspace(made: Guarded, tmp_path: Path) -> Guarded:
    """A copy for one test."""
    return replace(made, root=made.copy(tmp_path / "workspace").root)
