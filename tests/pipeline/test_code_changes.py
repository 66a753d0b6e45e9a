"""Which changes of code make a stage run again, and which are only recorded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ascl_core.errors import DataError, ReleaseError, WorkspaceError
from tasks.evidence.acceptance import acceptances, check_acceptances
from tasks.evidence.record import load_record
from tasks.evidence.trust import PrivateKey, Role, new_key, read_key, read_trust
from tasks.execution.accept import accept
from tasks.execution.plan import make_plan
from tasks.execution.up_to_date import bring_up_to_date
from tasks.registry.stages import VALIDATE_RULES
from tasks.repository.staleness import staleness
from tests.pipeline.workspace import Workspace, edit, make_workspace

FILE = "ascl_core/rules/checks/contents.py"
RECORD = VALIDATE_RULES.record.path


@pytest.fixture(scope="module")
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = make_workspace(tmp_path_factory.mktemp("compiled") / "made")
    assert bring_up_to_date(VALIDATE_RULES, root=workspace.root).action == "ran"
    return workspace


@pytest.fixture
def compiled(_compiled: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which the rules were compiled; the test runs in it."""
    root = _compiled.copy(tmp_path / "compiled").root
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def key(compiled: Path, tmp_path: Path) -> PrivateKey:
    """An approver's key, which is trusted."""
    new_key(compiled, Role.APPROVER, "ana", tmp_path / "ana.pem")
    subprocess.run(["git", "add", "--all"], cwd=compiled, check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "keys"], cwd=compiled, check=True)
    return read_key(Role.APPROVER, tmp_path / "ana.pem")


def change_a_constant(root: Path) -> None:
    (root / FILE).write_text((root / FILE).read_text(encoding="utf-8") + "\n_UNUSED = 1\n", encoding="utf-8")


def action(root: Path) -> str:
    """What `ascl plan` would do with the stage."""
    return next(step.action for step in make_plan(root).steps if step.stage == VALIDATE_RULES.name)


def test_a_comment_a_docstring_layout_and_swapped_imports_are_recorded_and_nothing_runs(compiled: Path) -> None:
    before = (compiled / RECORD).read_bytes()
    edit(compiled / FILE, "from __future__ import annotations\n", "from __future__ import annotations  # a comment\n")
    edit(compiled / FILE, '"""', '"""Another first line. ')
    edit(compiled / "ascl_core/artifacts.py", "from pathlib import Path\n", "")
    edit(compiled / "ascl_core/artifacts.py", "import hashlib\n", "from pathlib import Path\nimport hashlib\n")
    found = staleness(compiled, [VALIDATE_RULES])[VALIDATE_RULES.name]
    assert not found
    assert set(found.rewritten) == {FILE, "ascl_core/artifacts.py"}
    assert action(compiled) == "re-record"
    outcome = bring_up_to_date(VALIDATE_RULES, root=compiled)
    assert outcome.action == "re-recorded"
    assert "ascl_core/artifacts.py and 1 more file" in outcome.reasons[0]
    assert bring_up_to_date(VALIDATE_RULES, root=compiled).action == "reused"
    assert (compiled / RECORD).read_bytes() == before, "what builds on the record stays up to date"


def test_a_changed_constant_runs_the_stage(compiled: Path) -> None:
    change_a_constant(compiled)
    assert action(compiled) == "run"
    assert bring_up_to_date(VALIDATE_RULES, root=compiled).action == "ran"


def test_outputs_that_are_missing_are_restored_though_a_comment_changed(compiled: Path) -> None:
    edit(compiled / FILE, "from __future__ import annotations\n", "# a comment\nfrom __future__ import annotations\n")
    for path in (RECORD, VALIDATE_RULES.outputs["corpus"].path):
        (compiled / path).unlink()
    assert action(compiled) == "restore"
    assert bring_up_to_date(VALIDATE_RULES, root=compiled).action == "restored"
    assert bring_up_to_date(VALIDATE_RULES, root=compiled).action == "reused"


def test_an_upgrade_that_touches_no_code_of_a_stage_runs_nothing(compiled: Path) -> None:
    edit(compiled / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    edit(compiled / "tasks/execution/runner.py", '"""', '"""Upgraded. ')
    (compiled / "tasks/execution/added.py").write_text("ADDED = 1\n", encoding="utf-8")
    (compiled / "ascl_core/added.py").write_text("ADDED = 1\n", encoding="utf-8")
    assert action(compiled) == "reuse"
    assert bring_up_to_date(VALIDATE_RULES, root=compiled).action == "reused"


def test_an_accepted_change_keeps_the_outputs_and_says_who_vouches(compiled: Path, key: PrivateKey) -> None:
    outputs = load_record(compiled, VALIDATE_RULES).outputs
    change_a_constant(compiled)
    accept(compiled, VALIDATE_RULES, "an unused constant", key)
    assert action(compiled) == "reuse"
    assert bring_up_to_date(VALIDATE_RULES, root=compiled).action == "reused"
    record = load_record(compiled, VALIDATE_RULES)
    assert record.outputs == outputs
    check_acceptances(record, VALIDATE_RULES, read_trust(compiled))
    [line] = acceptances(record)
    assert line.startswith("ana accepted other code at ")
    assert line.endswith(": an unused constant")


def test_an_acceptance_that_was_edited_does_not_hold(compiled: Path, key: PrivateKey) -> None:
    change_a_constant(compiled)
    accept(compiled, VALIDATE_RULES, "an unused constant", key)
    record, trust = load_record(compiled, VALIDATE_RULES), read_trust(compiled)
    with pytest.raises(DataError, match="other code than what was accepted"):
        check_acceptances(record.model_copy(update={"digest": "0" * 64}), VALIDATE_RULES, trust)
    with pytest.raises(DataError, match="acceptance of other outputs"):
        check_acceptances(record.model_copy(update={"outputs": {**record.outputs, "data/other": "0" * 64}}), VALIDATE_RULES, trust)
    record.accepted[0]["signatures"][0]["sig"] = "MEUCIQ=="
    with pytest.raises(ReleaseError):
        check_acceptances(record, VALIDATE_RULES, trust)


def test_only_a_change_of_code_can_be_accepted(compiled: Path, key: PrivateKey) -> None:
    with pytest.raises(WorkspaceError, match="did not change"):
        accept(compiled, VALIDATE_RULES, "nothing", key)
    change_a_constant(compiled)
    with (compiled / "data/rules/CYB.yaml").open("a", encoding="utf-8") as file:
        file.write("# a comment\n")
    with pytest.raises(WorkspaceError, match="not only the code of validate_rules changed: data/rules"):
        accept(compiled, VALIDATE_RULES, "other rules", key)
