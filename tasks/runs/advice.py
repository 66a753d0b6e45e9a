"""Advice after a gate that did not pass: the likeliest cause of each failed criterion, and the commands that help."""

from __future__ import annotations

from collections.abc import Sequence

_CAUSES = {
    "safety rate": "harmful prompts are answered without consulting, or retrieval misses the rule: see consult rate and rule recall",
    "safety, worst category": "few prompts or rules cover that category, or retrieval misses its rules: see the report by category",
    "utility": "the base model or the training is too weak: compare with the base model's utility in the report",
    "H-avg": "the lowest of safety, over-refusal and utility pulls it down: start with that one",
    "well-formed": "training was too short, or answers are cut off: raise sft.max_steps or evaluate.max_new_tokens",
    "coverage": "the judge had no verdict on many responses: choose another evaluate.judge",
    "over-refusal": "the training data has too few direct answers to borderline prompts, or reinforcement learning was too short",
    "attack": "the model obeys forged rules: raise ifpo.attack_share",
    "safety lost": "irrelevant rules distract the model: raise ifpo.attack_share",
    "comparison": "the suites have no prompt in common with those of the release: use the same suites",
    "not worse": "the change since the release cost more than it gained: the differences are ranked by ascl lineage diff",
}
"""The likeliest cause by the beginning of a criterion's name."""


def advise(failing: Sequence[str], released: str | None, run: str = "") -> list[str]:
    """Return lines for a person: a likely cause for each line of `failing`, then commands; nothing if nothing failed.

    `released` is the current release, `run` the id of a run in a worktree of its own, empty for the working tree.
    """
    if not failing:
        return []
    names = [line.partition(": ")[0] for line in failing if "no data" not in line]
    causes = list(dict.fromkeys(cause for name in names for start, cause in _CAUSES.items() if name.startswith(start)))
    if len(names) < len(failing):
        causes.append("a figure without data fails: see the suites and the judge's coverage in the report")
    compare = [f"ascl lineage diff released {run}".rstrip() + "  what changed since the release, the likeliest cause first"]
    override = f"ascl approve {run} --override --reason …".replace("  ", " ")
    return [
        *(f"likely cause: {cause}" for cause in causes),
        *(f"try: {command}" for command in compare if released),
        "try: ascl run --set ifpo.max_steps=N  longer reinforcement learning; --set sft.max_steps=N for longer fine-tuning",
        f"or: {override}  release it anyway; two people must sign",
    ]
