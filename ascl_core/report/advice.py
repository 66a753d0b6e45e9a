"""Advice after a gate that did not pass: the likeliest cause of each failed criterion, and the commands that help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

_CAUSES = {
    "safety rate": "harmful prompts are answered without consulting, or retrieval misses the rule: see consult rate and rule recall",
    "safety, worst category": "few prompts or rules cover that category, or retrieval misses its rules: see the report by category",
    "utility": "the base model or the training is too weak: compare with the base model's utility in the report",
    "H-avg": "the lowest of safety, over-refusal and utility pulls it down: start with that one",
    "well-formed": "training was too short, or answers are cut off: raise sft.max_steps (sft.epochs if set) or evaluate.max_new_tokens",
    "coverage": "the judge had no verdict on many responses: choose another evaluate.judge",
    "over-refusal": "the training data has too few direct answers to borderline prompts, or reinforcement learning was too short",
    "attack": "the model obeys forged rules: raise ifpo.attack_share",
    "safety lost": "irrelevant rules distract the model: raise ifpo.attack_share",
    "rules followed": "the model does not find the rule, or does not read it: ascl rules test with its id shows prompts and answers",
    "no rule worse": "the named rules are followed less than before: ascl rules test with their ids shows prompts and answers",
    "comparison": "the suites have no prompt in common with those of the release: use the same suites",
    "not worse": "the change since the release cost more than it gained: the differences are ranked by ascl lineage diff",
}
"""The likeliest cause by the beginning of a criterion's name."""


class Step(NamedTuple):
    """One thing that helps."""

    command: str
    """What to type; `…` stands for what a person fills in."""
    explanation: str
    """What it does, to be followed by the command."""
    form: str = ""
    """The deployment and the field of its form that do the same; empty if none does."""


_LONGER = tuple(
    Step(f"ascl run --set {key}=…", f"longer {what}, with more steps than in params.yaml", f"retrain, Changed parameters: {key}=…")
    for key, what in (("ifpo.max_steps", "reinforcement learning"), ("sft.max_steps", "fine-tuning (unless sft.epochs is set)"))
)
"""More training, by parameter."""


class Advice(NamedTuple):
    """What helps after a gate that did not pass; nothing if it passed."""

    causes: tuple[str, ...] = ()
    """The likely cause of each criterion that failed, without repetition."""
    steps: tuple[Step, ...] = ()
    """What to do, what finds the cause first."""


def describe_failures(criteria: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a line for each criterion of the gate's decision that failed: its name and the reason."""
    return tuple(f"{one['name']}: {one['reason']}" for one in criteria if not one["passed"])


def advise(failing: Sequence[str], *, released: bool, run: str = "") -> Advice:
    """Return what helps after the criteria in `failing` failed, a line each.

    `released` says whether there is a release to compare with; `run` is the id of a run in a worktree of its own, empty for the working
    tree.
    """
    if not failing:
        return Advice()
    names = [line.partition(": ")[0] for line in failing if "no data" not in line]
    causes = [cause for name in names for start, cause in _CAUSES.items() if name.startswith(start)]
    if len(names) < len(failing):
        causes.append("a figure without data fails: see the suites and the judge's coverage in the report")
    words = f" {run}" if run else ""
    compare = Step(f"ascl lineage diff released{words}", "what changed since the release, the likeliest cause first")
    override = Step(
        f"ascl approve{words} --override --reason '…'",
        "release it anyway, which two people must sign",
        "promote, Release although the gate did not pass",
    )
    return Advice(tuple(dict.fromkeys(causes)), (*([compare] if released else []), *_LONGER, override))
