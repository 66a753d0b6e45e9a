"""The parameter forms of the deployments, one model each: filled in by a person, and checked again when the flow starts.

The server checks types, choices and bounds, but whoever starts a run can skip that; so each flow begins with `start`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from prefect.input import RunInput
from pydantic import ConfigDict, Field

from ascl_core.config.base import parse
from flows.form_fields import (
    COMMITTED,
    ArmName,
    Digest,
    Form,
    OptionalRecorded,
    OptionalRuleSource,
    ProfileName,
    Recorded,
    RuleSource,
    RunId,
    Setting,
    StageName,
)
from tasks.deployment.s3_credentials import take_credentials
from tasks.execution.policy import GPU_LIMIT, RetryPolicy

F = TypeVar("F", bound=Form)
Push = Annotated[
    bool,
    Field(
        description="Push the data to the DVC remote, and the branch runs/ID to origin. Otherwise nothing leaves the worker's repository."
    ),
]


def start(form: F) -> tuple[F, Path]:
    """Return the checked form and the repository, with the store's credentials, if there are any, in the environment."""
    form = checked(form)
    take_credentials()
    return form, Path.cwd()


def checked(form: F) -> F:
    """Return the form after every check of its model; `ConfigError` names the field, the value and a hint."""
    return parse(type(form), form.model_dump(warnings=False), file=f"the form of {type(form).__name__.removesuffix('Form').lower()}")


class Limits(Form):
    """How much the run may use, and how often a crashed process is retried."""

    stages_at_a_time: int = Field(default=0, ge=0, le=16, title="Stages in parallel")
    """How many stages may run at the same time; 0: as many as the cores and GPUs allow."""
    minutes: int = Field(default=7 * 24 * 60, ge=1, le=28 * 24 * 60, title="Minutes at most")
    """The run fails after this many minutes, by default a week, and its processes are ended; finished stages are kept."""
    retries: int = Field(default=2, ge=0, le=5)
    """How often a stage is retried if its process crashed, such as on a GPU that failed. A wrong rule or parameter is never retried."""

    @property
    def policy(self) -> RetryPolicy:
        """Return the retries, the GPU limit and the time limit of the stages."""
        return RetryPolicy(retries=self.retries, gpu_limit=GPU_LIMIT, timeout_s=60.0 * self.minutes)


class Training(Form):
    """The parameters of the training."""

    profile: ProfileName = COMMITTED
    """A profile, or params.yaml as it is committed."""
    settings: list[Setting] = Field(default=[], max_length=50, title="Changed parameters")
    """An item each, such as sft.max_steps=100; docs/configuration.md lists them all."""

    @property
    def chosen(self) -> str | None:
        """Return the profile; None for params.yaml as it is committed."""
        return None if self.profile == COMMITTED else self.profile


class RulesToTrain(Form):
    """The rules on which the model is trained."""

    model_config = ConfigDict(title="Rules")

    source: RuleSource = "HEAD"
    """A branch, a tag or a commit, whose data/rules is used, or a prefix such as s3://bucket/rules."""
    digest: Digest = Field(default="", title="Expected digest (set by the watcher)")
    """Leave it empty. The run fails unless the compiled rules have this digest."""
    watched: OptionalRuleSource = Field(default="", title="Watched source (set by the watcher)")
    """Leave it empty. The run is superseded if the watcher has seen newer rules at this source."""


class RetrainForm(Form):
    """Retrain the model on rules, evaluate it, and hold the result at the gate."""

    rules: RulesToTrain = RulesToTrain()
    training: Training = Training()
    force: list[StageName] = Field(default=[], max_length=20, title="Stages to run again")
    """Stages that run although nothing that they depend on changed."""
    push: Push = False
    limits: Limits = Limits()


class EvaluateForm(Form):
    """Evaluate recorded checkpoints, on any rules and suites."""

    checkpoints: list[Recorded] = Field(default=["released"], min_length=1, max_length=500)
    """An item each: a run's id, a release's tag, released, or a path within the repository such as data/models/ifpo."""
    rules: OptionalRecorded = ""
    """The rules to look up: those of a run's id, a release's tag, released, or a commit; empty: each checkpoint's own rules."""
    suites: OptionalRecorded = ""
    """The suites to ask: those of a run's id, a release's tag or released; empty: those of each checkpoint's own run."""
    at_a_time: int = Field(default=1, ge=1, le=8, title="Checkpoints in parallel")
    """How many checkpoints may be evaluated at the same time."""
    push: Push = False
    limits: Limits = Limits()


class PromoteForm(Form):
    """Release the checkpoint of a run that passed the gate, once a named person has approved it."""

    run: RunId = Field(title="Run id")
    """The run to release, such as 20260131-retrain-0a1b2c3d; its report names it."""
    override: bool = Field(default=False, title="Release although the gate did not pass")
    """Two people must sign, and the release records the criteria that failed."""
    push: bool = False
    """Push the checkpoint to the DVC remote, and the branch releases with the new tag to origin. Otherwise the release stays in the
    worker's repository, and ascl release create pushes it later."""
    days: int = Field(default=7, ge=1, le=60, title="Days to wait for the approval")
    """The run fails after this many days without an approval."""


class ApprovalForm(RunInput):
    """The signed approvals, asked for while promote waits; each contains its approver, the reason and the checkpoint's digest."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    approvals: list[str] = Field(min_length=1, max_length=5, title="Signed approvals")
    """The line that ascl approve printed, an item for each person who signed."""


class WatchForm(Form):
    """Check whether rules changed, and start a retraining if they did."""

    source: RuleSource = "HEAD"
    """A branch or a tag, whose data/rules is compared, or a prefix such as s3://bucket/rules."""
    end_older: bool = Field(default=True, title="End older retrainings")
    """Cancel unfinished retrainings of older rules from the same source."""


class CompareForm(Form):
    """Train every arm with several seeds, and write one page of comparison."""

    arms: list[ArmName] = Field(default=[], max_length=20)
    """The arms to compare; none: all of them."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1, max_length=20)
    """Every arm is trained once with each seed."""
    changed_rules: bool = True
    """Evaluate every arm once more under changed rules, without training in between."""
    training: Training = Training()
    push: Push = False
    limits: Limits = Limits()
