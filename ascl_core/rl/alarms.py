"""Failures of reinforcement learning that no error shows: logged as warnings at each step, and counted over the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from ascl_core.errors import TrainingError
from ascl_core.judges import Judge
from ascl_core.sft.callbacks import TrainingLog

LOST_SHARE = 0.05
"""The share of attempted consultations that may come to nothing."""
SILENT_STEPS = 3
"""Steps in a row in which the judge may say nothing at all."""
_NAMES = ("lost_consultations", "nothing_valid", "silent_judge")
_logger = logging.getLogger(__name__)


def alarms_of(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the alarms that the figures of one step raise: names and messages.

    >>> list(alarms_of({"valid_rate": 0.75, "not_judged": 0.75, "consult/attempted": 0.5, "consult/completed": 0.5}))
    ['silent_judge']
    """
    if "valid_rate" not in figures:
        return {}
    valid, unjudged = figures["valid_rate"], figures.get("not_judged", 0.0)
    attempted, completed = figures.get("consult/attempted", 0.0), figures.get("consult/completed", 0.0)
    lost, nothing_valid, silent = _NAMES
    raised = {}
    if attempted - completed > LOST_SHARE * attempted:
        counts = f"{attempted:.2f} consultations attempted per rollout, {completed:.2f} completed"
        raised[lost] = f"{counts}: malformed calls, or results that do not fit"
    if valid == 0:
        raised[nothing_valid] = f"no rollout is valid, so nothing can be learned: {_reasons(figures)}"
    elif unjudged >= valid:
        raised[silent] = f"the judge gave no verdict on any of the valid rollouts ({100 * unjudged:.0f} % of all)"
    return raised


class Alarms(TrainerCallback):
    """Logs each step's alarms, and ends a run whose judge has fallen silent; it goes after the `TrainingLog` that it reads."""

    def __init__(self, log: TrainingLog, judge: Judge) -> None:
        self.log = log
        self.judge = judge

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Log the step's alarms; `TrainingError` once the judge has said nothing for `SILENT_STEPS` steps in a row."""
        raised = alarms_of(logs or {})
        for text in raised.values() if state.is_world_process_zero else ():
            _logger.warning("step %d: %s", state.global_step, text)
        latest = [line for _, line in sorted(self.log.steps.items())][-SILENT_STEPS:]
        if "silent_judge" in raised and sum("silent_judge" in alarms_of(line) for line in latest) == SILENT_STEPS:
            raise TrainingError(
                f"the judge has given no verdict for {SILENT_STEPS} steps, up to step {state.global_step}: nothing is learned",
                field="ifpo.judge",
                value=self.judge.id,
                hint="the log says why; repair the judge or choose another, and run again",
            )

    def counts(self) -> dict[str, int]:
        """Return how many steps raised each alarm, those before a kill included."""
        raised = [alarms_of(line) for line in self.log.steps.values()]
        return {f"alarms/{name}": sum(name in names for names in raised) for name in _NAMES}


def _reasons(figures: Mapping[str, Any]) -> str:
    shares = {name.removeprefix("invalid/"): share for name, share in figures.items() if name.startswith("invalid/")}
    return ", ".join(f"{reason} ({100 * share:.0f} %)" for reason, share in sorted(shares.items(), key=lambda item: -item[1])[:3])
