"""One adapter for each experiment tracker: how a run starts there, takes figures and facts, and ends.

Each package is imported only if its tracker is chosen. Where and as whom it reports follows from its own environment variables; by default
nothing leaves this machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ascl_core.artifacts import to_json

PROJECT = "ascl"
Row = Mapping[str, float]
"""Figures by name."""
_NO_STEP = 0


@dataclass(frozen=True)
class Opening:
    """What a tracker gets when a run starts."""

    name: str
    parameters: Mapping[str, Any]
    """Every parameter by its dotted key."""
    folder: Path
    """Where a tracker that writes files writes them."""

    @property
    def texts(self) -> dict[str, str]:
        """The parameters as texts."""
        return {key: value if isinstance(value, str) else to_json(value, indent=None).strip() for key, value in self.parameters.items()}


class Tracker(Protocol):
    """A run in a tracker."""

    def log(self, source: str, step: int, figures: Row) -> None:
        """Take the figures of one step; `source` is the stage, which each name starts with."""

    def set_tags(self, facts: Mapping[str, str]) -> None:
        """Take facts about the run, such as the digest of its rules."""

    def close(self, *, finished: bool) -> None:
        """End the run; it did not finish if a stage failed."""


class TensorBoard:
    """Event files under `tensorboard/` for `tensorboard --logdir`, written by TensorBoard's own writer, without TensorFlow or torch."""

    def __init__(self, opening: Opening) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(opening.folder / "tensorboard" / opening.name))
        self.set_tags({"parameters": "\n".join(f"    {key}: {value}" for key, value in opening.texts.items())})

    def log(self, source: str, step: int, figures: Row) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for name, value in figures.items():
            self._add(step, scalar_pb(name, value))

    def set_tags(self, facts: Mapping[str, str]) -> None:
        from tensorboard.plugins.text.summary_v2 import text_pb

        for name, text in facts.items():
            self._add(_NO_STEP, text_pb(name, text))

    def close(self, *, finished: bool) -> None:
        self._writer.close()

    def _add(self, step: int, summary: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


class MLflow:
    """A run in the experiment `ascl` of the server that MLFLOW_TRACKING_URI names, else of the database `mlflow.db`."""

    _METRICS, _PARAMETERS = 1000, 100
    """The most that MLflow takes in one request."""

    def __init__(self, opening: Opening) -> None:
        for name, value in {"REQUEST_MAX_RETRIES": "1", "REQUEST_TIMEOUT": "20"}.items():
            os.environ.setdefault(f"MLFLOW_HTTP_{name}", value)
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        opening.folder.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{opening.folder / 'mlflow.db'}")
        known = self._client.get_experiment_by_name(PROJECT)
        experiment = known.experiment_id if known else self._client.create_experiment(PROJECT)
        self._run = self._client.create_run(experiment, run_name=opening.name).info.run_id
        parameters = [Param(key, value) for key, value in opening.texts.items()]
        for start in range(0, len(parameters), self._PARAMETERS):
            self._client.log_batch(self._run, params=parameters[start : start + self._PARAMETERS])
        self._waiting: list[Any] = []

    def log(self, source: str, step: int, figures: Row) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._waiting += [Metric(name, value, now, step) for name, value in figures.items()]
        if len(self._waiting) >= self._METRICS:
            self._send()

    def set_tags(self, facts: Mapping[str, str]) -> None:
        self._send()
        for name, text in facts.items():
            self._client.set_tag(self._run, name, text)

    def close(self, *, finished: bool) -> None:
        self._send()
        self._client.set_terminated(self._run, "FINISHED" if finished else "FAILED")

    def _send(self) -> None:
        while self._waiting:
            self._client.log_batch(self._run, metrics=self._waiting[: self._METRICS])
            del self._waiting[: self._METRICS]


class Wandb:
    """A run in the project `ascl` of Weights & Biases; offline, under `wandb/`, without a key or if WANDB_MODE says so."""

    def __init__(self, opening: Opening) -> None:
        import wandb

        opening.folder.mkdir(parents=True, exist_ok=True)
        mode = os.environ.get("WANDB_MODE") or ("online" if wandb.api.api_key else "offline")
        quiet = wandb.Settings(
            silent=True, console="off", init_timeout=30, disable_git=True, x_disable_stats=True, x_disable_machine_info=True
        )
        project = os.environ.get("WANDB_PROJECT") or PROJECT
        self._run = wandb.init(
            project=project, name=opening.name, config=dict(opening.parameters), dir=str(opening.folder), mode=mode, settings=quiet
        )
        self._sources: set[str] = set()

    def log(self, source: str, step: int, figures: Row) -> None:
        if source not in self._sources:
            self._sources.add(source)
            self._run.define_metric(f"{source}/step", hidden=True)
            self._run.define_metric(f"{source}/*", step_metric=f"{source}/step")
        self._run.log({f"{source}/step": step, **figures})

    def set_tags(self, facts: Mapping[str, str]) -> None:
        self._run.summary.update(dict(facts))

    def close(self, *, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)


class Trackio:
    """A run in the project `ascl` of Trackio, in the Space or server of its own variables, else under `trackio/`."""

    def __init__(self, opening: Opening) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(opening.folder / "trackio"))
        import trackio

        self._run = trackio.init(
            project=PROJECT, name=opening.name, config=dict(opening.parameters), embed=False, auto_log_gpu=False, auto_log_cpu=False
        )

    def log(self, source: str, step: int, figures: Row) -> None:
        self._run.log(dict(figures), step=step)

    def set_tags(self, facts: Mapping[str, str]) -> None:
        self._run.log(dict(facts), step=_NO_STEP)

    def close(self, *, finished: bool) -> None:
        self._run.finish()


OPEN: Mapping[str, Callable[[Opening], Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": Wandb, "trackio": Trackio}
