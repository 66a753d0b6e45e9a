"""The comparison: which arms there are, the workspaces in which they run, and what they leave for the page."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ascl_core.arms import CANDIDATE, Arm, arms_that_run, get_arm
from ascl_core.artifacts import write_json
from ascl_core.config.base import parse
from ascl_core.config.params import Params, merge
from ascl_core.errors import ConfigError, StageError
from ascl_core.rules.change import write_changed_rules
from tasks.execution.supervisor import OnEvent, only_supervisor, run_supervised
from tasks.registry.stages import EVALUATE, RAW, RULES, Stage, get_stage
from tasks.repository.worktrees import open_workspace

FOLDER = Path("data") / "comparison"
CHANGED_SHARE = 0.5
"""Share of the plain rules that can flip, and do, where the rules change."""
_PAGE_TIMEOUT_S = 900
_NEEDED = {
    "instruct_model": "a base model that follows instructions (base_model.path)",
    **{name: f"the public set {name} (build_sft.published)" for name in ("star1", "star1_benign", "safechain")},
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
    """Return the arms of these names in the order of the table, or without names all that the parameters can train."""
    asked = {get_arm(name).name for name in names}
    able = arms_that_run(_available(params))
    if unable := asked - {arm.name for arm in able}:
        missing = get_arm(min(unable)).needs - _available(params)
        hint = "--profile small has it, or set it"
        raise ConfigError(f"the arm needs {_NEEDED[min(missing)]}", field="--arm", value=min(unable), hint=hint)
    return tuple(arm for arm in able if not asked or arm.name in asked)


def _available(params: Params) -> set[str]:
    """What the parameters offer of what an arm may need."""
    published = {source.format for source in params.build_sft.published}
    return published | ({"instruct_model"} if params.base_model.path is not None else set())


def open_arm(root: Path, arm: Arm, seed: int, tree: str, params: Params) -> ArmRun:
    """Open the workspace of the arm: one a seed for all that keep the profile's parameters, and one for each that changes some."""
    name = f"seed-{seed}" + (f"-{arm.name}" if arm.settings else "")
    return ArmRun(arm, seed, open_workspace(root, name, tree, _of_arm(params, seed, arm)))


def open_changed_rules(root: Path, tree: str, params: Params) -> Path:
    """The workspace with the changed rules, in which they are compiled and the suites are made anew."""
    place = open_workspace(root, "changed-rules", tree, params)
    for written in (RULES, RAW):  # anew, as those that are there may be changed already
        shutil.rmtree(place / written.path)
        shutil.copytree(root / written.path, place / written.path)
    write_changed_rules(place / RULES.path, place / RAW.path / "safety.yaml", CHANGED_SHARE)
    return place


def open_changed(root: Path, place: ArmRun, tree: str, params: Params) -> ArmRun:
    """A workspace beside that of the arm, in which its checkpoint is asked again under the changed rules."""
    name = f"changed-seed-{place.seed}-{place.arm.name}"
    return ArmRun(place.arm, place.seed, open_workspace(root, name, tree, _of_arm(params, place.seed, place.arm)))


def gather(root: Path, places: Iterable[ArmRun], folder: str) -> list[dict[str, object]]:
    """Copy what each place measured to `data/comparison`, and return what the page must know of it."""
    gathered: list[dict[str, object]] = []
    for place in places:
        target = root / FOLDER / folder / f"seed-{place.seed}" / place.arm.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        files = {name: artifact.path for name, artifact in place.evaluation.outputs.items()}
        if folder == "runs" and "log" in place.trained.outputs:
            files["log"] = place.trained.outputs["log"].path
        for path in files.values():
            shutil.copy(place.root / path, target / Path(path).name)
        gathered.append({"arm": place.arm.name, "label": place.arm.label, "seed": place.seed})
    return gathered


def write_page(root: Path, runs: list[dict[str, object]], changed: list[dict[str, object]], on_event: OnEvent) -> Path:
    """Have the page written from what was gathered; returns its path."""
    folder = root / FOLDER
    write_json(folder / "manifest.json", {"schema": "ascl.comparison/1", "candidate": CANDIDATE, "runs": runs, "changed": changed})
    lock, log = root / ".ascl" / "locks" / "comparison.lock", root / ".ascl" / "logs" / "comparison.log"
    with only_supervisor(lock, wait_s=_PAGE_TIMEOUT_S):
        status = run_supervised(
            [sys.executable, "-m", "ascl_core.report.comparison", str(folder)],
            lock=lock,
            cwd=root,
            log=log,
            progress=folder / "progress.jsonl",
            timeout_s=_PAGE_TIMEOUT_S,
            on_event=on_event,
        )
    if status != 0:
        raise StageError(f"the page of the comparison could not be written (status {status})", file=log, hint=f"read {log}")
    return folder / "index.html"


def _of_arm(params: Params, seed: int, arm: Arm) -> Params:
    seeded: dict[str, object] = {section: {"seed": seed} for section in ("sft", "ifpo", "evaluate")}
    return parse(Params, merge(merge(params.model_dump(mode="json"), seeded), arm.values), file=f"arm {arm.name}")
