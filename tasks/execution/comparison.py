"""The comparison: its arms, the worktrees in which they run, and the figures for its page."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ascl_core.arms import CANDIDATE, INSTRUCT_MODEL, Arm, arms_that_run, get_arm
from ascl_core.artifacts import write_json
from ascl_core.config.base import parse
from ascl_core.config.params import Params, merge
from ascl_core.config.sft_data import PUBLIC_SETS
from ascl_core.data.renaming import rename_rules
from ascl_core.errors import ConfigError, StageError
from ascl_core.rules.change import write_changed_rules
from tasks.execution.supervisor import OnEvent, supervise
from tasks.host.interpreter import stage_python
from tasks.registry.paths import COMPARISON
from tasks.registry.stages import EVALUATE, RAW, RULES, ArtifactKind, Stage, get_stage
from tasks.repository.worktrees import open_worktree

CHANGED_SHARE = 0.5
"""The share of the plain rules that flip if the rules change."""
_PAGE_TIMEOUT_S = 900
_NEEDED = {
    INSTRUCT_MODEL: "a base model that follows instructions (base_model.path)",
    **{name: f"the public set {name} (build_sft.published)" for name in PUBLIC_SETS},
}


@dataclass(frozen=True)
class ArmRun:
    """One arm with one seed, and the worktree in which it runs."""

    arm: Arm
    seed: int
    root: Path

    @property
    def trained(self) -> Stage:
        """The stage whose checkpoint the arm is."""
        return get_stage(self.arm.stage)

    @property
    def evaluation(self) -> Stage:
        """The stage that evaluates what the arm trained."""
        return EVALUATE[self.arm.stage]


def arms_named(names: Sequence[str], params: Params) -> tuple[Arm, ...]:
    """Return the arms of these names in the order of the table; without names, all that the parameters can train."""
    asked = {get_arm(name).name for name in names}
    able = arms_that_run(_available(params))
    if unable := asked - {arm.name for arm in able}:
        missing = get_arm(min(unable)).needs - _available(params)
        hint = "set it; --profile small has such a model" if INSTRUCT_MODEL in missing else "set it"
        raise ConfigError(f"the arm needs {_NEEDED[min(missing)]}", field="--arm", value=min(unable), hint=hint)
    return tuple(arm for arm in able if not asked or arm.name in asked)


def _available(params: Params) -> set[str]:
    """Return what the parameters offer of the things that arms may need."""
    published = {source.data_set for source in params.build_sft.published}
    return published | ({INSTRUCT_MODEL} if params.base_model.path is not None else set())


def open_arm(root: Path, arm: Arm, seed: int, tree: str, params: Params) -> ArmRun:
    """Open the worktree of the arm: all arms that keep the profile's parameters share one a seed, and each other arm has its own."""
    name = f"seed-{seed}" + (f"-{arm.name}" if arm.settings else "")
    return ArmRun(arm, seed, open_worktree(root, name, tree, _of_arm(params, seed, arm)))


def open_changed_rules(root: Path, tree: str, params: Params) -> Path:
    """Open the worktree in which the changed rules are compiled and their suites are built."""
    worktree = open_worktree(root, "changed-rules", tree, params)
    for written in (RULES, RAW):  # again, as an earlier comparison may have changed them
        shutil.rmtree(worktree / written.path)
        shutil.copytree(root / written.path, worktree / written.path)
    rename_rules(worktree / RAW.path, write_changed_rules(worktree / RULES.path, CHANGED_SHARE).moved)
    return worktree


def open_changed(root: Path, arm_run: ArmRun, tree: str, params: Params) -> ArmRun:
    """Open the worktree in which the arm's checkpoint is evaluated under the changed rules."""
    name = f"changed-seed-{arm_run.seed}-{arm_run.arm.name}"
    return ArmRun(arm_run.arm, arm_run.seed, open_worktree(root, name, tree, _of_arm(params, arm_run.seed, arm_run.arm)))


def gather(root: Path, arm_runs: Iterable[ArmRun], folder: str) -> list[dict[str, object]]:
    """Copy the results of each arm to `data/comparison`, and return the entries of the page's manifest."""
    gathered: list[dict[str, object]] = []
    for arm_run in arm_runs:
        target = root / COMPARISON / folder / f"seed-{arm_run.seed}" / arm_run.arm.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        logs = [artifact for artifact in arm_run.trained.outputs.values() if artifact.kind == ArtifactKind.LOG and folder == "runs"]
        for artifact in (*arm_run.evaluation.outputs.values(), *logs):
            shutil.copy(arm_run.root / artifact.path, target / Path(artifact.path).name)
        gathered.append({"arm": arm_run.arm.name, "label": arm_run.arm.label, "seed": arm_run.seed})
    return gathered


def write_page(root: Path, runs: list[dict[str, object]], changed: list[dict[str, object]], on_event: OnEvent) -> Path:
    """Write the page from the gathered results, and return its path."""
    folder = root / COMPARISON
    write_json(folder / "manifest.json", {"schema": "ascl.comparison/1", "candidate": CANDIDATE, "runs": runs, "changed": changed})
    command = [stage_python(), "-m", "ascl_core.report.comparison", str(folder)]
    status, log = supervise(command, root=root, name="comparison", folder=folder, timeout_s=_PAGE_TIMEOUT_S, on_event=on_event)
    if status != 0:
        raise StageError(f"the page of the comparison could not be written (status {status})", file=log, hint=f"read {log}")
    return folder / "index.html"


def _of_arm(params: Params, seed: int, arm: Arm) -> Params:
    seeded: dict[str, object] = {section: {"seed": seed} for section in ("sft", "ifpo", "evaluate")}
    return parse(Params, merge(merge(params.model_dump(mode="json"), seeded), arm.values), file=f"arm {arm.name}")
