"""What a run would do, and why, without running anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ascl_core.artifacts import read_yaml, to_json
from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.reach import Change, change, released_corpora
from ascl_core.text import some
from tasks.evidence.record import read_record
from tasks.registry.paths import PARAMETERS
from tasks.registry.stages import CORPUS, RELEASED, RULES, STAGES, VALIDATE_RULES, Artifact, Stage, upstream
from tasks.repository import cache, dvc_lock
from tasks.repository.released import released_folder
from tasks.repository.staleness import REWRITTEN, Staleness, staleness

Action = Literal["run", "restore", "re-record", "reuse", "follow"]
SCHEMA = "ascl.plan/1"


@dataclass(frozen=True)
class Step:
    """What a run would do with one stage."""

    stage: str
    action: Action
    """`follow`: it runs if the stages upstream change its inputs, and is reused otherwise."""
    reasons: tuple[str, ...]
    seconds: float | None
    """How long it took the last time; 0 if it would not run, None if it never ran here with these parameters, its own and upstream."""


@dataclass(frozen=True)
class Plan:
    """What a run would do with every stage."""

    steps: tuple[Step, ...]
    """In an order in which they can run."""
    change: Change | None
    """How far the rules differ from the released ones; None if they are those of the last run, or do not compile."""

    @property
    def to_run(self) -> tuple[Step, ...]:
        """The steps that take time."""
        return tuple(step for step in self.steps if step.action in ("run", "follow"))

    @property
    def seconds(self) -> float:
        """The sum of their last times, as far as they are known."""
        return sum(step.seconds or 0.0 for step in self.to_run)

    @property
    def summary(self) -> str:
        """Return in one line how many stages run, follow others, are restored or reused, and how long that takes at most."""
        counts = Counter(step.action for step in self.steps)
        said: dict[Action, str] = {
            "run": f"{{}} of {len(self.steps)} stages would run",
            "follow": "{} run only if these change their inputs",
            "restore": "{} would be restored",
            "re-record": "{} would only be recorded again",
            "reuse": "{} are up to date",
        }
        stages = ", ".join(text.format(counts[action]) for action, text in said.items() if counts[action])
        if not self.to_run:
            return f"nothing would run: {stages}"
        never = sum(step.seconds is None for step in self.to_run)
        known = [f"at most {self.seconds:.0f} s by their last times"] if never < len(self.to_run) else []
        return f"{stages}: {', '.join([*known, *([f'{never} never ran here with these parameters'] if never else [])])}"


def make_plan(
    root: Path,
    force: frozenset[str] = frozenset(),
    parameters: Mapping[str, Any] | None = None,
    rules: Corpus | None = None,
) -> Plan:
    """Return what a run would do; `parameters` replace `params.yaml`, and `rules` those under `data/rules`.

    Changed rules are compiled, and what each stage would read of them is compared with what it read the last time. The current release is
    the head of the branch `releases`, whatever is in `data/released`.
    """
    with released_folder(root) as released:
        given = {**_missing_outputs(root), RELEASED.path: cache.md5(released)}
        stale = staleness(root, list(STAGES), parameters, given)
        corpora = released_corpora(released)
    params = parse(Params, read_yaml(root / PARAMETERS) or {} if parameters is None else parameters, file=root / PARAMETERS)
    compiled = rules or (_compiled(root, params) if stale[VALIDATE_RULES.name] else None)
    found = None if compiled is None else change(compiled, corpora, params.rules.at)
    if rules is not None and found is not None:
        stale[VALIDATE_RULES.name] = _with_other_rules(root, stale[VALIDATE_RULES.name], found)
    expected = _expected(found) if found is not None and (stale[VALIDATE_RULES.name] or VALIDATE_RULES.name in force) else {}
    steps: list[Step] = []
    unsure: dict[Artifact, str] = {}
    recorded, other = dvc_lock.recorded_inputs(root), _with_other_parameters(stale)
    for stage in STAGES:
        step, moved = _step(root, stage, stale[stage.name], stage.name in force, _moved(stage, expected, recorded), unsure, expected)
        if stage.name in other and step.action in ("run", "follow"):
            step = replace(step, seconds=None)
        steps.append(step)
        if step.action in ("run", "follow"):
            sure = {*expected, *(stage.outputs[name] for name, inputs in stage.unmoved.items() if moved and moved <= inputs)}
            unsure |= {artifact: stage.name for artifact in (*stage.outputs.values(), stage.record) if artifact not in sure}
    return Plan(tuple(steps), found)


def _missing_outputs(root: Path) -> dict[str, str]:
    """Return the recorded MD5 of each output that is not here: whoever reads it gets it restored, so that it is no reason to run."""
    return {path: md5 for path, md5 in dvc_lock.md5s(dvc_lock.recorded(root)).items() if not (root / path).exists()}


def _with_other_parameters(stale: Mapping[str, Staleness]) -> set[str]:
    """Return the stages whose last time says nothing, because their parameters, or those of a stage upstream, were others."""
    found: set[str] = set()
    for stage in STAGES:
        if stale[stage.name].other_parameters or any(producer.name in found for producer in upstream(stage).values()):
            found.add(stage.name)
    return found


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON: the class of the change of rules, or null, and every step."""
    found = plan.change
    return {
        "schema": SCHEMA,
        "class": None if found is None else str(found.change_class),
        "reasons": [] if found is None else list(found.reasons),
        "steps": [{**asdict(step), "reasons": list(step.reasons)} for step in plan.steps],
        "total_seconds": round(plan.seconds, 2),
        "never_ran": [step.stage for step in plan.to_run if step.seconds is None],
    }


def _step(
    root: Path,
    stage: Stage,
    stale: Staleness,
    forced: bool,
    moved: tuple[Artifact, ...],
    unsure: Mapping[Artifact, str],
    expected: Mapping[Artifact, str],
) -> tuple[Step, frozenset[Artifact]]:
    """Return what would be done, and the inputs that are certain to change, if they are the only reason."""
    upstream = list(dict.fromkeys(unsure[artifact] for artifact in stage.input_artifacts() if artifact in unsure))
    other = tuple(reason for reason in stale.reasons if not _is_about(reason, (*unsure, *expected)))
    reasons = ("asked for",) if forced else (*(f"{artifact.path} would change" for artifact in moved), *other)
    if forced or moved or (reasons and not stale.restorable):
        action: Action = "run"
    elif upstream:
        action, reasons = "follow", (f"follows {', '.join(upstream)}", *reasons)
    else:
        action = "restore" if reasons else "re-record" if stale.rewritten else "reuse"
        reasons = reasons or ((REWRITTEN.format(some(stale.rewritten, 1, noun="file")),) if stale.rewritten else ())
    took = 0.0 if action in ("reuse", "re-record", "restore") else _last_seconds(root, stage)
    alone = frozenset() if forced or other or upstream else frozenset(moved)
    return Step(stage.name, action, reasons or ("nothing that it depends on changed",), took), alone


def _is_about(reason: str, artifacts: Iterable[Artifact]) -> bool:
    """Return whether the reason is only that one of these inputs is missing or will be made again."""
    return any(reason.startswith(f"{artifact.path} ") for artifact in artifacts)


def _compiled(root: Path, params: Params) -> Corpus | None:
    """Return the rules under `data/rules`; None if they do not compile, which the stage reports."""
    folder = root / RULES.path
    return check_folder(folder, params.rules).corpus if folder.is_dir() else None


def _with_other_rules(root: Path, stale: Staleness, found: Change) -> Staleness:
    """Return why `validate_rules` would run if `data/rules` had those rules."""
    reasons = tuple(reason for reason in stale.reasons if not _is_about(reason, [RULES]))
    path = root / CORPUS.path
    if not path.is_file() or cache.md5_bytes(path.read_bytes()) != _expected(found)[CORPUS]:
        reasons = (f"other rules: corpus {found.corpora.served.digest[:12]}", *reasons)
    return replace(stale, reasons=reasons, restorable=stale.restorable and reasons == stale.reasons)


def _expected(found: Change) -> dict[Artifact, str]:
    """Return DVC's MD5 of what `validate_rules` would write for these rules."""
    return {VALIDATE_RULES.outputs[name]: cache.md5_bytes(to_json(content).encode()) for name, content in found.files().items()}


def _moved(stage: Stage, expected: Mapping[Artifact, str], recorded: Mapping[str, Mapping[str, str]]) -> tuple[Artifact, ...]:
    """Return the inputs that would differ from those of its last run; none if it never ran."""
    before = recorded.get(stage.name)
    if before is None:
        return ()
    return tuple(a for a in stage.input_artifacts() if a in expected and before.get(a.path) != expected[a])


def _last_seconds(root: Path, stage: Stage) -> float | None:
    """Return how long its last run took, by its record, here or in the cache."""
    here, md5 = root / stage.record.path, dvc_lock.md5s(dvc_lock.recorded(root)).get(stage.record.path)
    file = here if here.is_file() or md5 is None else cache.cached_files(root, md5).get("")
    record = read_record(file) if file else None
    return None if record is None else record.seconds
