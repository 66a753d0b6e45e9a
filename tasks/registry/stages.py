"""The stages: THE definition, from which `dvc.yaml` is rendered and the Prefect tasks are made.

An edge is the same `Artifact` object used as an output of one stage and an input of another, so no path is
written twice. A stage names its function as `"module:function"`, so that this module imports nothing heavy;
the function receives one keyword argument for each section, input and output, and `context`.

Other modules ask for artifacts and stages by kind (`paths_of`, `Stage.kind`) and keep no lists of names, so a new stage is one entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ascl_core.config.sft_data import FROM_TEACHER, SftData
from ascl_core.errors import ConfigError, nearest


class ArtifactKind(StrEnum):
    """What an artifact contains."""

    RULES = "rules"
    RAW = "raw prompts"
    RELEASE = "release"
    CORPUS = "corpus"
    INDEX = "index"
    PROMPTS = "prompts"
    SUITES = "suites"
    TRAJECTORIES = "trajectories"
    CHECKPOINT = "checkpoint"
    LOG = "log"
    ROLLOUTS = "rollouts"
    """Every rollout of reinforcement learning."""
    RESULTS = "results"
    METRICS = "metrics"
    DECISION = "decision"
    REPORT = "report"
    RECORD = "record"
    SUMMARY = "summary"
    """Counts, findings, manifests and other facts about an artifact of another kind."""

    @property
    def row_id(self) -> tuple[str, ...]:
        """The columns that identify a row; empty if it is not a table."""
        return _ROW_IDS.get(self, ())


DATA_SETS = (ArtifactKind.PROMPTS, ArtifactKind.SUITES, ArtifactKind.TRAJECTORIES)
"""What models are trained and evaluated on."""
_ROW_IDS = {
    ArtifactKind.PROMPTS: ("id",),
    ArtifactKind.SUITES: ("suite", "id"),
    ArtifactKind.TRAJECTORIES: ("id",),
    ArtifactKind.ROLLOUTS: ("step", "group", "sample"),
    ArtifactKind.RESULTS: ("suite", "prompt_id", "sample"),
}


class StageKind(StrEnum):
    """What a stage does."""

    CHECK = "check"
    """It tests its first input."""
    SUITES = "suites"
    TRAINING_DATA = "training data"
    BASE_MODEL = "base model"
    TRAINING = "training"
    EVALUATION = "evaluation"
    """It tests its first input, a checkpoint."""
    DECISION = "decision"
    REPORT = "report"
    OTHER = "other"


@dataclass(frozen=True)
class Artifact:
    """A versioned file or folder, by its path from the root of the repository."""

    path: str
    kind: ArtifactKind = ArtifactKind.SUMMARY
    source: bool = False
    """True if people write it and git versions it; DVC versions all others."""


@dataclass(frozen=True)
class Stage:
    """A pure function from artifacts and parameters to artifacts."""

    name: str
    function: str
    """`"module:function"` in `ascl_core`."""
    summary: str
    """What it does, in one line, for `ascl plan` and the run page."""
    sections: tuple[str, ...]
    """The sections of `params.yaml` that it reads."""
    inputs: Mapping[str, Artifact | tuple[Artifact, ...]]
    outputs: Mapping[str, Artifact]
    timeout_s: int = 3600
    """A hard limit: then the process and all its descendants are ended."""
    deterministic: bool = True
    """False if the bits of an output depend on the machine (training and sampling) or on the time."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Keyword arguments that distinguish stages of one function."""
    unmoved: Mapping[str, frozenset[Artifact]] = field(default_factory=dict)
    """Outputs, by name, that do not change if only these inputs change: `ascl plan` relies on it."""
    sources: str | None = None
    """The parameter that lists the prompt sources that it reads besides its inputs: `SECTION.KEY`."""
    kind: StageKind = StageKind.OTHER

    def __post_init__(self) -> None:
        outputs = [artifact.path for artifact in self.outputs.values()]
        inputs = {artifact.path for artifact in self.input_artifacts()}
        if wrong := [path for path in outputs if path in inputs or outputs.count(path) > 1]:
            hint = "give each output a path of its own"
            raise ConfigError("an output is also an input, or another output", field=f"stage {self.name}", value=wrong[0], hint=hint)

    @property
    def record(self) -> Artifact:
        """The record that the runner writes last; versioned with the outputs that it describes."""
        return Artifact(f"data/records/{self.name}.json", ArtifactKind.RECORD)

    def input_artifacts(self) -> tuple[Artifact, ...]:
        """Return every input, in order, tuples flattened."""
        values = self.inputs.values()
        return tuple(artifact for value in values for artifact in (value if isinstance(value, tuple) else (value,)))


PARALLEL = "parallel"
"""The section of the stages that several processes can train together."""
_LONG_S = 7 * 24 * 3600
"""The limit of stages that run a model, long enough for a large profile; progress shows whether a stage hangs."""

RULES = Artifact("data/rules", ArtifactKind.RULES, source=True)
RAW = Artifact("data/raw", ArtifactKind.RAW, source=True)
RELEASED = Artifact("data/released", ArtifactKind.RELEASE, source=True)
WRITTEN = frozenset({RULES.path, RAW.path})
"""Folders in which people write, and so their editors and desktops leave files that do not count."""

CORPUS = Artifact("data/compiled/corpus.json", ArtifactKind.CORPUS)
"""The current rules: checkpoints are evaluated and served with them."""
SFT_CORPUS = Artifact("data/compiled/sft_corpus.json", ArtifactKind.CORPUS)
"""The rules that the SFT data is made with: the released ones, unless the change is structural."""
RL_CORPUS = Artifact("data/compiled/rl_corpus.json", ArtifactKind.CORPUS)
"""The rules of reinforcement learning: the released ones, unless a verdict may flip."""
RULE_INDEX = Artifact("data/index", ArtifactKind.INDEX)
"""What is searched when rules are evaluated and served: the embeddings of the rules, if there are any, and the index's digest."""
CHANGE = Artifact("data/compiled/change.json")
"""How far the current rules differ from the released ones."""
FINDINGS = Artifact("data/compiled/findings.json")
SUITES = Artifact("data/suites/suites.parquet", ArtifactKind.SUITES)
SUITES_MANIFEST = Artifact("data/suites/manifest.json")
SUITE_TEXTS = Artifact("data/suites/texts.json")
"""What training data must not contain."""
PROMPTS = Artifact("data/prompts/prompts.parquet", ArtifactKind.PROMPTS)
CURATION_COUNTS = Artifact("data/prompts/counts.json")
VALIDATION = Artifact("data/validation/result.json")
VALIDATION_DOCS = Artifact("data/validation/docs")
TRAJECTORIES = {data: Artifact(f"data/sft/{data}.jsonl", ArtifactKind.TRAJECTORIES) for data in SftData}
SFT_COUNTS = Artifact("data/sft/counts.json")
BASE_MODEL = Artifact("data/models/base", ArtifactKind.CHECKPOINT)


def _checkpoint(name: str) -> Artifact:
    return Artifact(f"data/models/{name}", ArtifactKind.CHECKPOINT)


def _log(name: str) -> Artifact:
    return Artifact(f"data/logs/{name}.jsonl", ArtifactKind.LOG)


def _sft(name: str) -> Stage:
    trained_on = [data for data in SftData if data.arm.stage == name]
    return Stage(
        name=name,
        kind=StageKind.TRAINING,
        function="ascl_core.sft.train:sft",
        summary=f"fine-tune the base model on the {trained_on[0]} trajectories",
        sections=("sft", "conversation", "compute", PARALLEL),
        inputs={"trajectories": tuple(TRAJECTORIES[data] for data in trained_on), "base": BASE_MODEL},
        outputs={"checkpoint": _checkpoint(name), "log": _log(name)},
        timeout_s=_LONG_S,
        deterministic=False,
    )


def checkpoint_of(stage: Stage) -> Artifact:
    """Return the model that a stage makes, which is the first of its outputs."""
    return next(iter(stage.outputs.values()))


def _evaluate(trained: Stage) -> Stage:
    name = f"evaluate_{trained.name}"
    return Stage(
        name=name,
        kind=StageKind.EVALUATION,
        function="ascl_core.evaluation.run:evaluate",
        summary=f"sample and judge the {trained.name} checkpoint on every suite",
        sections=("evaluate", "conversation", "rules", "retrieval", "compute"),
        inputs={
            "checkpoint": checkpoint_of(trained),
            "suites": SUITES,
            "suites_manifest": SUITES_MANIFEST,
            "corpus": CORPUS,
            "index": RULE_INDEX,
        },
        outputs={
            "results": Artifact(f"data/evaluation/{trained.name}/results.parquet", ArtifactKind.RESULTS),
            "metrics": Artifact(f"data/evaluation/{trained.name}/metrics.json", ArtifactKind.METRICS),
        },
        timeout_s=_LONG_S,
        deterministic=False,
    )


VALIDATE_RULES = Stage(
    name="validate_rules",
    kind=StageKind.CHECK,
    function="ascl_core.rules.compile:validate_rules",
    summary="check the rule corpus, compile it, and say how far a change of it reaches",
    sections=("rules",),
    inputs={"rule_files": RULES, "released": RELEASED},
    outputs={"corpus": CORPUS, "findings": FINDINGS, "sft_corpus": SFT_CORPUS, "rl_corpus": RL_CORPUS, "change": CHANGE},
)
INDEX_RULES = Stage(
    name="index_rules",
    function="ascl_core.rules.index:index_rules",
    summary="make the index in which evaluation and serving look the rules up",
    sections=("retrieval",),
    inputs={"corpus": CORPUS},
    outputs={"index": RULE_INDEX},
    deterministic=False,  # embeddings differ in their last bits between processors
)
BUILD_SUITES = Stage(
    name="build_suites",
    kind=StageKind.SUITES,
    function="ascl_core.evaluation.suites:build_suites",
    summary="hold out the project's own suites and load the external ones",
    sections=("suites", "attacks", "rules"),
    inputs={"raw": RAW, "corpus": CORPUS},
    outputs={"suite_prompts": SUITES, "manifest": SUITES_MANIFEST, "texts": SUITE_TEXTS},
    unmoved={"texts": frozenset({CORPUS})},
    sources="suites.external",
)
CURATE = Stage(
    name="curate",
    kind=StageKind.TRAINING_DATA,
    function="ascl_core.data.curate:curate",
    summary="normalise, de-duplicate, decontaminate and split the prompts",
    sections=("curate", "engine", "rules"),
    inputs={"raw": RAW, "corpus": SFT_CORPUS, "evaluation": SUITE_TEXTS},
    outputs={"prompts": PROMPTS, "counts": CURATION_COUNTS},
    sources="curate.sources",
)
VALIDATE_DATA = Stage(
    name="validate_data",
    kind=StageKind.CHECK,
    function="ascl_core.data.expectations:validate_data",
    summary="block the run unless the prompts meet their expectations",
    sections=("validate_data", "rules"),
    inputs={"prompts": PROMPTS, "corpus": SFT_CORPUS},
    outputs={"validation": VALIDATION, "docs": VALIDATION_DOCS},
    deterministic=False,  # the data docs carry the time; the result does not
)
BUILD_SFT = Stage(
    name="build_sft",
    kind=StageKind.TRAINING_DATA,
    function="ascl_core.sft.data:build_sft",
    summary="have the teacher write trajectories for ASCL and for each baseline",
    sections=("build_sft", "attacks", "conversation", "rules", "retrieval", "compute"),
    inputs={"prompts": PROMPTS, "corpus": SFT_CORPUS, "validation": VALIDATION},
    outputs={**{str(data): artifact for data, artifact in TRAJECTORIES.items()}, "counts": SFT_COUNTS},
    timeout_s=_LONG_S,
    sources="build_sft.published",
)
BASE = Stage(
    name="base_model",
    kind=StageKind.BASE_MODEL,
    function="ascl_core.sft.base_model:base_model",
    summary="import the pretrained base model, or make one from scratch",
    sections=("base_model", "compute"),
    inputs={"trajectories": tuple(TRAJECTORIES[data] for data in FROM_TEACHER)},
    outputs={"base": BASE_MODEL},
    timeout_s=_LONG_S,
)
DATA_STAGES = (VALIDATE_RULES, BUILD_SUITES, CURATE, VALIDATE_DATA, BUILD_SFT, BASE, INDEX_RULES)
SFT, *_OWN_SFT = (_sft(name) for name in dict.fromkeys(data.arm.stage for data in SftData))
ROLLOUTS = Artifact("data/rollouts/ifpo.parquet", ArtifactKind.ROLLOUTS)
IFPO = Stage(
    name="ifpo",
    kind=StageKind.TRAINING,
    function="ascl_core.rl.train:ifpo",
    summary="sharpen when to consult by reinforcement learning with rebalanced advantages",
    sections=("ifpo", "attacks", "conversation", "rules", "retrieval", "compute", PARALLEL),
    inputs={"checkpoint_in": SFT.outputs["checkpoint"], "prompts": PROMPTS, "corpus": RL_CORPUS},
    outputs={"checkpoint": _checkpoint("ifpo"), "log": _log("ifpo"), "rollouts": ROLLOUTS},
    timeout_s=_LONG_S,
    deterministic=False,
)
CANDIDATE = IFPO
"""The stage whose checkpoint the gate decides about and a release releases."""
CHECKPOINT = checkpoint_of(CANDIDATE).path
TRAINED = (*_OWN_SFT, SFT, IFPO)
EVALUATED = (BASE, *TRAINED)
EVALUATE = {stage.name: _evaluate(stage) for stage in EVALUATED}
EVALUATION = EVALUATE[CANDIDATE.name]
METRICS = EVALUATION.outputs["metrics"].path
GATE = Stage(
    name="gate",
    kind=StageKind.DECISION,
    function="ascl_core.evaluation.gate:gate",
    summary="decide whether the checkpoint may be released, with reasons",
    sections=("gate",),
    inputs={
        "metrics": EVALUATION.outputs["metrics"],
        "results": EVALUATION.outputs["results"],
        "released": RELEASED,
    },
    outputs={"decision": Artifact("data/gate/decision.json", ArtifactKind.DECISION)},
)
DECISION = GATE.outputs["decision"].path
REPORT = Stage(
    name="report",
    kind=StageKind.REPORT,
    function="ascl_core.report.build:report",
    summary="write the report page, the model card and the data card",
    sections=("report", "rules"),
    inputs={
        "corpus": CORPUS,
        "released": RELEASED,
        "findings": FINDINGS,
        "suites_manifest": SUITES_MANIFEST,
        "curation_counts": CURATION_COUNTS,
        "sft_counts": SFT_COUNTS,
        "validation": VALIDATION,
        "logs": tuple(trained.outputs["log"] for trained in TRAINED),
        "metrics": tuple(stage.outputs["metrics"] for stage in EVALUATE.values()),
        "results": tuple(stage.outputs["results"] for stage in EVALUATE.values()),
        "decision": GATE.outputs["decision"],
        "records": tuple(stage.record for stage in (*DATA_STAGES, *TRAINED, *EVALUATE.values(), GATE)),
    },
    outputs={"page": Artifact("data/report", ArtifactKind.REPORT)},
    deterministic=False,
)

STAGES: tuple[Stage, ...] = (
    *DATA_STAGES,
    *TRAINED,
    *EVALUATE.values(),
    GATE,
    REPORT,
)
"""Every stage, in an order in which they can run."""
_PRODUCERS = {artifact: stage for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)}


def upstream(stage: Stage) -> dict[Artifact, Stage]:
    """Return each input that another stage makes, with that stage: the order in which stages run follows from it."""
    return {artifact: _PRODUCERS[artifact] for artifact in stage.input_artifacts() if artifact in _PRODUCERS}


FOLDERS = frozenset(
    artifact.path
    for stage in STAGES
    for artifact in (*stage.input_artifacts(), *stage.outputs.values())
    if "." not in artifact.path.rpartition("/")[2]
)
"""The artifacts that are folders: their digest is that of the sorted JSON of their files' digests, not of any file's bytes."""


def paths_of(*kinds: ArtifactKind) -> dict[str, ArtifactKind]:
    """Return the kind of every artifact of these kinds by its path, in the order of the stages that read or write it."""
    known = (one for stage in STAGES for one in (*stage.input_artifacts(), *stage.outputs.values(), stage.record))
    return {artifact.path: artifact.kind for artifact in known if artifact.kind in kinds}


def upstream_stages(*stages: Stage) -> list[Stage]:
    """Return these stages and all whose outputs reach them, in an order in which they can run."""
    found: list[Stage] = []
    for stage in reversed(STAGES):
        read = {artifact for one in found for artifact in one.input_artifacts()}
        if stage in stages or read.intersection((*stage.outputs.values(), stage.record)):
            found.append(stage)
    return found[::-1]


def get_stage(name: str) -> Stage:
    """Return the stage of that name; `ConfigError` names the nearest known one."""
    by_name = {stage.name: stage for stage in STAGES}
    if name not in by_name:
        raise ConfigError("no such stage", field="STAGE", value=name, hint=nearest(name, by_name, command="ascl stages list"))
    return by_name[name]
