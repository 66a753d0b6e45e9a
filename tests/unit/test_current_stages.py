"""Which stages a run need not ask about again: those that were up to date with everything upstream of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.registry.paths import DVC_LOCK
from tasks.registry.stages import CURATE, STAGES, VALIDATE_RULES, Stage, upstream
from tasks.repository import staleness as module
from tasks.repository.staleness import CURRENT, Staleness, current

NAMES = {stage.name for stage in STAGES}


def current_if(monkeypatch: pytest.MonkeyPatch, root: Path, answers: dict[str, Staleness], stages: list[Stage]) -> frozenset[str]:
    (root / DVC_LOCK).touch()
    monkeypatch.setattr(module, "staleness", lambda _, asked: {stage.name: answers.get(stage.name, CURRENT) for stage in asked})
    return current(root, stages)


def below(stage: Stage) -> set[str]:
    """The stage, and all that read what it makes, directly or through others."""
    found = {stage.name}
    for one in STAGES:
        if any(made.name in found for made in upstream(one).values()):
            found.add(one.name)
    return found


def test_without_a_lock_nothing_is_current_and_nobody_is_asked(tmp_path: Path) -> None:
    assert current(tmp_path, list(STAGES)) == frozenset()


def test_all_stages_are_current_if_none_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_if(monkeypatch, tmp_path, {}, list(STAGES)) == NAMES


@pytest.mark.parametrize(
    "why",
    [
        Staleness(("data/rules changed",), restorable=False),
        Staleness(("data/prompts is missing",), restorable=True),
        Staleness((), restorable=False, rewritten=("ascl_core/errors.py",)),
    ],
)
def test_nothing_below_a_stage_that_must_be_looked_at_is_current(why: Staleness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in (VALIDATE_RULES, CURATE):
        assert current_if(monkeypatch, tmp_path, {stage.name: why}, list(STAGES)) == NAMES - below(stage)


def test_nothing_below_a_stage_that_is_left_out_is_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [stage for stage in STAGES if stage != CURATE]
    assert current_if(monkeypatch, tmp_path, {}, others) == NAMES - below(CURATE)
