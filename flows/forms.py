"""The parameter forms of the deployments, one model each: what a person fills in, and what its flow checks again when it starts.

The server checks types, choices and bounds, but whoever starts a run can tell it to skip that; so each flow begins with `checked`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from pydantic import ConfigDict, Field

from ascl_core.config.base import parse
from flows.form_fields import ArmName, Digest, Form, Name, OptionalSource, Revision, RulesPlace, RunId, Setting, Source, WatchedPlace
from tasks.execution.policy import GPU_LIMIT, Policy

F = TypeVar("F", bound=Form)


def checked(form: F) -> F:
    """The form, with every check of its model run once more; `ConfigError` names the field, the value and a hint."""
    return parse(type(form), form.model_dump(warnings=False), file=f"the form of {type(form).__name__.removesuffix('Form').lower()}")


class StageName(StrEnum):
    """The stages that a person may want to run again although nothing changed."""

    VALIDATE_RULES = "validate_rules"
    BUILD_SUITES = "build_suites"
    CURATE = "curate"
    BUILD_SFT = "build_sft"
    SFT = "sft"
    IFPO = "ifpo"
    EVALUATE_IFPO = "evaluate_ifpo"
    GATE = "gate"
    REPORT = "report"


class Limits(Form):
    """How much the run may use, and what happens where a process crashes."""

    stages_at_a_time: int = Field(default=0, ge=0, le=16)
    """How many stages may run at the same time; 0: as many as the cores and GPUs carry."""
    minutes: int = Field(default=7 * 24 * 60, ge=1, le=28 * 24 * 60)
    """After so many minutes, a week if not changed, whatever still runs is ended, and the run fails; what was finished is kept."""
    retries: int = Field(default=2, ge=0, le=5)
    """How often a stage is tried again whose process crashed, such as on a GPU that failed. A wrong rule or parameter is never retried."""

    @property
    def policy(self) -> Policy:
        """What the stages are held to."""
        return Policy(retries=self.retries, gpu_limit=GPU_LIMIT, timeout_s=60.0 * self.minutes)


class Training(Form):
    """With which parameters the model is trained."""

    profile: Name = ""
    """A file under profiles/, such as tiny; empty: params.yaml as it is committed."""
    settings: list[Setting] = Field(default=[], max_length=50)
    """Changed parameters, an item each, such as sft.max_steps=100; docs/configuration.md lists them all."""


class RulesToTrain(Form):
    """Which rules the model is trained on."""

    model_config = ConfigDict(title="Rules")

    place: RulesPlace = "HEAD"
    """A branch, a tag or a commit, whose data/rules is taken, or a prefix such as s3://bucket/rules."""
    digest: Digest = ""
    """For the watcher; leave it empty. The digest that the compiled rules must have, or the run fails."""
    watched: WatchedPlace = ""
    """For the watcher; leave it empty. Where it saw these rules: the run gives way if newer ones were seen there since."""


class RetrainForm(Form):
    """Retrain the model on rules, evaluate it, and hold the result at the gate."""

    rules: RulesToTrain = RulesToTrain()
    training: Training = Training()
    code: Revision = "HEAD"
    """The commit, branch or tag whose code and parameters are used."""
    force: list[StageName] = Field(default=[], max_length=20)
    """Stages to run although nothing that they depend on changed."""
    limits: Limits = Limits()


class EvaluateForm(Form):
    """Evaluate recorded checkpoints, on any rules and suites."""

    checkpoints: list[Source] = Field(default=["released"], min_length=1, max_length=500)
    """An item each: a run's id, a release's tag, released, or a path within the repository such as data/models/ifpo."""
    rules: OptionalSource = ""
    """Whose rules a look-up finds: a run's id, a release's tag, released, or a commit; empty: those each checkpoint was trained with."""
    suites: OptionalSource = ""
    """Whose suites are asked: a run's id, a release's tag or released; empty: those of each checkpoint's own run."""
    at_a_time: int = Field(default=1, ge=1, le=8)
    """How many checkpoints may be evaluated at the same time."""
    limits: Limits = Limits()


class PromoteForm(Form):
    """Release the checkpoint of a run that passed the gate, once a named person has approved it."""

    run: RunId
    """The id of the run to release, as its report gives it, such as 20260131-retrain-0a1b2c3d."""
    override: bool = False
    """Release although the gate did not pass: two persons must sign, and the criteria that failed are recorded with the release."""
    days: int = Field(default=7, ge=1, le=60)
    """How many days the run waits for the approval before it fails."""


class WatchForm(Form):
    """Look whether rules changed, and have the model retrained if so."""

    place: RulesPlace = "HEAD"
    """What is watched: a branch or a tag, for its data/rules, or a prefix such as s3://bucket/rules."""
    end_older: bool = True
    """End retrainings of older rules from the same place that have not finished."""


class CompareForm(Form):
    """Train every arm with several seeds, and write one page of comparison."""

    arms: list[ArmName] = Field(default=[], max_length=20)
    """The arms to compare; none: all of them."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1, max_length=20)
    """Every arm is trained once with each of them."""
    changed_rules: bool = True
    """Ask every arm once more after rules were flipped, with no training in between."""
    training: Training = Training()
    code: Revision = "HEAD"
    """The commit, branch or tag whose code and parameters are used."""
    limits: Limits = Limits()
