"""The log gets a statement where a record is written or comes back, and none where a stage is reused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ascl_core.artifacts import sha256_file
from ascl_core.errors import DataError
from tasks.evidence import log
from tasks.evidence.attestations import record_of
from tasks.execution.up_to_date import bring_up_to_date
from tasks.lineage.verify import verify
from tasks.registry.paths import LOG
from tasks.registry.stages import CORPUS, VALIDATE_RULES
from tests.pipeline.workspace import make_workspace


def test_a_stage_is_logged_when_it_runs_and_when_its_record_is_restored(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "made").root
    file = root / LOG

    def logged() -> list[str]:
        return [record_of(entry.statement) for entry in log.entries(file.read_bytes(), file=LOG)]

    assert bring_up_to_date(VALIDATE_RULES, root=root).action == "ran"
    record = sha256_file(root / VALIDATE_RULES.record.path)
    assert logged() == [record]
    assert bring_up_to_date(VALIDATE_RULES, root=root).action == "reused"
    assert logged() == [record]
    assert verify(root, CORPUS.path).statements == 1

    shutil.rmtree(root / ".ascl")
    (root / VALIDATE_RULES.record.path).unlink()
    assert bring_up_to_date(VALIDATE_RULES, root=root).action == "restored"
    assert logged() == [record]

    file.unlink()
    with pytest.raises(DataError, match="there is no log"):
        verify(root, CORPUS.path)
