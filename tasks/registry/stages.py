"""The stages: THE definition, from which `dvc.yaml` is rendered and the Prefect tasks are made.

An edge is the same `Artifact` object used as an output of one stage and an input of another, so no path is
written twice. A stage names its function as `"module:function"`, so that this module imports nothing heavy;
the function receives one keyword argument for each section, input and output, and `context`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ascl_core.vocabulary import Arm


@dataclass(frozen=True)
class Artifact:
    """A versioned file or folder, by its path from the root of the repository."""

    path: str
    source: bool = False
    """True where people write it and git versions it; DVC versions all others."""


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
    """Hard limit; the process and all its descendants are ended at it."""
    deterministic: bool = True
    """False where the bits of an output depend on the machine (training and sampling) or on the time."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Keyword arguments that tell instances of one function apart."""
    unmoved: Mapping[str, frozenset[Artifact]] = field(default_factory=dict)
    """Outputs, by name, that stay as they are where nothing but these inputs changed: `ascl plan` relies on it."""
    sources: str | None = None
    """Where the parameters list the prompt sources that it reads, besides its inputs, from anywhere: `SECTION.KEY`."""

    @property
    def record(self) -> Artifact:
        """The record that the runner writes last; versioned with the outputs that it describes."""
        return Artifact(f"data/records/{self.name}.json")

    def input_artifacts(self) -> tuple[Artifact, ...]:
        """Every input, in order, tuples flattened."""
        values = self.inputs.values()
        return tuple(artifact for value in values for artifact in (value if isinstance(value, tuple) else (value,)))


PARALLEL = "parallel"
"""The section of the stages that several processes can train together."""
_LONG_S = 7 * 24 * 3600
"""The limit of stages that run a model: as long as one of a large profile may take. A stage that hangs is seen by its progress."""

RULES = Artifact("data/rules", source=True)
RAW = Artifact("data/raw", source=True)
RELEASED = Artifact("data/released", source=True)

CORPUS = Artifact("data/compiled/corpus.json")
"""The rules of now: they are evaluated and served."""
SFT_CORPUS = Artifact("data/compiled/sft_corpus.json")
"""The rules that the SFT data is made with: the released ones, unless the change is structural."""
RL_CORPUS = Artifact("data/compiled/rl_corpus.json")
"""The rules of reinforcement learning: the released ones, unless a verdict may flip."""
RULE_INDEX = Artifact("data/index")
"""What is searched when rules are evaluated and served: the embeddings of the rules, if there are any, and the index's digest."""
CHANGE = Artifact("data/compiled/change.json")
"""What the rules of now mean, seen from what is released."""
FINDINGS = Artifact("data/compiled/findings.json")
SUITES = Artifact("data/suites/suites.parquet")
SUITES_MANIFEST = Artifact("data/suites/manifest.json")
SUITE_TEXTS = Artifact("data/suites/texts.json")
"""What training data must not contain."""
PROMPTS = Artifact("data/prompts/prompts.parquet")
CURATION_COUNTS = Artifact("data/prompts/counts.json")
VALIDATION = Artifact("data/validation/result.json")
VALIDATION_DOCS = Artifact("data/validation/docs")
TRAJECTORIES = {arm: Artifact(f"data/sft/{arm}.jsonl") for arm in Arm}
SFT_COUNTS = Artifact("data/sft/counts.json")
BASE_MODEL = Artifact("data/models/base")


def _checkpoint(name: str) -> Artifact:
    return Artifact(f"data/models/{name}")


def _log(name: str) -> Artifact:
    return Artifact(f"data/logs/{name}.jsonl")


def _sft(name: str, *arms: Arm) -> Stage:
    return Stage(
        name=name,
        function="ascl_core.sft.train:sft",
        summary=f"fine-tune the base model on the {arms[0]} trajectories",
        sections=("sft", "compute", PARALLEL),
        inputs={"trajectories": tuple(TRAJECTORIES[arm] for arm in arms), "base": BASE_MODEL},
        outputs={"checkpoint": _checkpoint(name), "log": _log(name)},
        timeout_s=_LONG_S,
        deterministic=False,
    )


def checkpoint_of(stage: Stage) -> Artifact:
    """The model that a stage makes, which is the first of its outputs."""
    return next(iter(stage.outputs.values()))


def _evaluate(trained: Stage) -> Stage:
    name = f"evaluate_{trained.name}"
    return Stage(
        name=name,
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
            "results": Artifact(f"data/evaluation/{trained.name}/results.parquet"),
            "metrics": Artifact(f"data/evaluation/{trained.name}/metrics.json"),
        },
        timeout_s=_LONG_S,
        deterministic=False,
    )


VALIDATE_RULES = Stage(
    name="validate_rules",
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
    function="ascl_core.data.curate:curate",
    summary="normalise, de-duplicate, decontaminate and split the prompts",
    sections=("curate", "engine", "rules"),
    inputs={"raw": RAW, "corpus": SFT_CORPUS, "evaluation": SUITE_TEXTS},
    outputs={"prompts": PROMPTS, "counts": CURATION_COUNTS},
    sources="curate.sources",
)
VALIDATE_DATA = Stage(
    name="validate_data",
    function="ascl_core.data.expectations:validate_data",
    summary="block the run unless the prompts meet their expectations",
    sections=("validate_data",),
    inputs={"prompts": PROMPTS, "corpus": SFT_CORPUS},
    outputs={"validation": VALIDATION, "docs": VALIDATION_DOCS},
    deterministic=False,  # the data docs carry the time; the result does not
)
BUILD_SFT = Stage(
    name="build_sft",
    function="ascl_core.sft.data:build_sft",
    summary="have the teacher write trajectories for ASCL and for each baseline",
    sections=("build_sft", "attacks", "conversation", "rules", "retrieval", "compute"),
    inputs={"prompts": PROMPTS, "corpus": SFT_CORPUS, "validation": VALIDATION},
    outputs={**{str(arm): artifact for arm, artifact in TRAJECTORIES.items()}, "counts": SFT_COUNTS},
    timeout_s=_LONG_S,
    sources="build_sft.published",
)
BASE = Stage(
    name="base_model",
    function="ascl_core.sft.base_model:base_model",
    summary="import the pretrained base model, or make one from scratch",
    sections=("base_model", "compute"),
    inputs={"trajectories": tuple(TRAJECTORIES[arm] for arm in (Arm.ASCL, Arm.DIRECT_REFUSAL, Arm.CONTEXT_DISTILLATION))},
    outputs={"base": BASE_MODEL},
    timeout_s=_LONG_S,
)
DATA_STAGES = (VALIDATE_RULES, BUILD_SUITES, CURATE, VALIDATE_DATA, BUILD_SFT, BASE, INDEX_RULES)
SFT = _sft("sft", Arm.ASCL, Arm.SURROGATE, Arm.STAR1, Arm.STAR1_MIX, Arm.SAFECHAIN)
SFT_DIRECT_REFUSAL = _sft("sft_direct_refusal", Arm.DIRECT_REFUSAL)
SFT_CONTEXT_DISTILLATION = _sft("sft_context_distillation", Arm.CONTEXT_DISTILLATION)
IFPO = Stage(
    name="ifpo",
    function="ascl_core.rl.train:ifpo",
    summary="sharpen when to consult by reinforcement learning with rebalanced advantages",
    sections=("ifpo", "attacks", "conversation", "rules", "retrieval", "compute", PARALLEL),
    inputs={"checkpoint_in": SFT.outputs["checkpoint"], "prompts": PROMPTS, "corpus": RL_CORPUS},
    outputs={"checkpoint": _checkpoint("ifpo"), "log": _log("ifpo")},
    timeout_s=_LONG_S,
    deterministic=False,
)
CANDIDATE = IFPO
"""The stage whose checkpoint the gate decides about and a release releases."""
CHECKPOINT = checkpoint_of(CANDIDATE).path
TRAINED = (SFT_DIRECT_REFUSAL, SFT_CONTEXT_DISTILLATION, SFT, IFPO)
EVALUATED = (BASE, *TRAINED)
EVALUATE = {stage.name: _evaluate(stage) for stage in EVALUATED}
GATE = Stage(
    name="gate",
    function="ascl_core.evaluation.gate:gate",
    summary="decide whether the checkpoint may be released, with reasons",
    sections=("gate",),
    inputs={
        "metrics": EVALUATE["ifpo"].outputs["metrics"],
        "results": EVALUATE["ifpo"].outputs["results"],
        "released": RELEASED,
    },
    outputs={"decision": Artifact("data/gate/decision.json")},
)
REPORT = Stage(
    name="report",
    function="ascl_core.report.build:report",
    summary="write the report page, the model card and the data card",
    sections=("report",),
    inputs={
        "corpus": CORPUS,
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
    outputs={"page": Artifact("data/report")},
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


def upstream_stages(*stages: Stage) -> list[Stage]:
    """Return these stages and all whose outputs reach them, in an order in which they can run."""
    found: list[Stage] = []
    for stage in reversed(STAGES):
        read = {artifact for one in found for artifact in one.input_artifacts()}
        if stage in stages or read.intersection((*stage.outputs.values(), stage.record)):
            found.append(stage)
    return found[::-1]


def get_stage(name: str) -> Stage:
    """The stage of that name; `ConfigError` names the nearest right one."""
    from ascl_core.errors import ConfigError, nearest

    by_name = {stage.name: stage for stage in STAGES}
    if name not in by_name:
        raise ConfigError("no such stage", field="STAGE", value=name, hint=nearest(name, by_name))
    return by_name[name]
