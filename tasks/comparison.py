"""The comparison: which arms there are, the workspaces in which they run, and what they leave for the page."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ascl_core.artifacts import write_json
from ascl_core.config.params import Params, merge
from ascl_core.errors import ConfigError, StageError
from ascl_core.rules.change import write_changed_rules
from tasks.stages import BASE, EVALUATE, IFPO, RAW, RULES, SFT, SFT_CONTEXT_DISTILLATION, SFT_DIRECT_REFUSAL, Stage
from tasks.supervisor import OnEvent, only_supervisor, run_supervised
from tasks.workspaces import open_workspace

FOLDER = Path("data") / "comparison"
CHANGED_SHARE = 0.5
"""Share of the plain rules that can flip, and do, where the rules change."""
_PAGE_TIMEOUT_S = 900


@dataclass(frozen=True)
class ComparedArm:
    """One way to train the model, or not to."""

    name: str
    label: str
    trained: Stage
    rebalance: str | None = None
    """`ifpo.rebalance`, where it is trained by reinforcement learning."""


ARMS = (
    ComparedArm("base", "Base model", BASE),
    ComparedArm("sft_direct_refusal", "Direct refusal", SFT_DIRECT_REFUSAL),
    ComparedArm("sft_context_distillation", "Context distillation", SFT_CONTEXT_DISTILLATION),
    ComparedArm("sft", "ASCL, SFT", SFT),
    ComparedArm("grpo", "ASCL + GRPO", IFPO, "none"),
    ComparedArm("ada_grpo", "ASCL + Ada-GRPO", IFPO, "reward"),
    ComparedArm("ifpo", "ASCL + IFPO", IFPO, "ifpo"),
    ComparedArm("ifpo_all", "ASCL + IFPO, all", IFPO, "all"),
    ComparedArm("ifpo_balanced", "ASCL + IFPO, balanced", IFPO, "balanced"),
    ComparedArm("ifpo_within_mode", "ASCL + IFPO, within mode", IFPO, "within_mode"),
)
START = next(arm for arm in ARMS if arm.trained is SFT)
"""What reinforcement learning starts from."""
CANDIDATE = "ifpo"
CHANGED = ("sft_direct_refusal", "sft_context_distillation", "sft", "grpo", "ifpo")
"""The arms that are asked again after the rules changed, with no training in between."""


@dataclass(frozen=True)
class Place:
    """Where one arm runs with one seed."""

    arm: ComparedArm
    seed: int
    root: Path

    @property
    def evaluation(self) -> Stage:
        """The stage that evaluates what the arm trained."""
        return EVALUATE[self.arm.trained.name]


def arms_named(names: Sequence[str]) -> tuple[ComparedArm, ...]:
    """The arms of these names, in the order of the table; all of them for no name; `ConfigError` for one that is none."""
    known = [arm.name for arm in ARMS]
    if unknown := [name for name in names if name not in known]:
        raise ConfigError("no such arm", field="--arm", value=unknown[0], mend=f"one of {', '.join(known)}")
    return tuple(arm for arm in ARMS if not names or arm.name in names)


def open_arm(root: Path, arm: ComparedArm, seed: int, tree: str, params: Params) -> Place:
    """The workspace of the arm: one a seed for all that SFT alone makes, and one more for each way of reinforcement learning."""
    name = f"seed-{seed}" + (f"-{arm.name}" if arm.rebalance else "")
    return Place(arm, seed, open_workspace(root, name, tree, _with_seed(params, seed, arm.rebalance)))


def open_changed_rules(root: Path, tree: str, params: Params) -> Path:
    """The workspace with the changed rules, in which they are compiled and the suites are made anew."""
    place = open_workspace(root, "changed-rules", tree, params)
    for written in (RULES, RAW):  # anew, as those that are there may be changed already
        shutil.rmtree(place / written.path)
        shutil.copytree(root / written.path, place / written.path)
    write_changed_rules(place / RULES.path, place / RAW.path / "safety.yaml", CHANGED_SHARE)
    return place


def open_changed(root: Path, place: Place, tree: str, params: Params) -> Place:
    """A workspace beside that of the arm, in which its checkpoint is asked again under the changed rules."""
    name = f"changed-seed-{place.seed}-{place.arm.name}"
    return Place(place.arm, place.seed, open_workspace(root, name, tree, _with_seed(params, place.seed, place.arm.rebalance)))


def gather(root: Path, places: Iterable[Place], folder: str) -> list[dict[str, object]]:
    """Copy what each place measured to `data/comparison`, and return what the page must know of it."""
    gathered: list[dict[str, object]] = []
    for place in places:
        target = root / FOLDER / folder / f"seed-{place.seed}" / place.arm.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        files = {name: artifact.path for name, artifact in place.evaluation.outputs.items()}
        if folder == "runs" and "log" in place.arm.trained.outputs:
            files["log"] = place.arm.trained.outputs["log"].path
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
        raise StageError(f"the page of the comparison could not be written (status {status})", file=log, mend=f"read {log}")
    return folder / "index.html"


def _with_seed(params: Params, seed: int, rebalance: str | None) -> Params:
    changes: dict[str, object] = {section: {"seed": seed} for section in ("sft", "ifpo", "evaluate")}
    values = merge(params.model_dump(mode="json"), changes)
    return Params.model_validate(values if rebalance is None else merge(values, {"ifpo": {"rebalance": rebalance}}))
