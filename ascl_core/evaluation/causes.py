"""Why an answer changed: the answers to the same prompts under each pair of old or new rules and old or new weights.

Answers count as the same if they are judged alike, in whatever words. Sampling is greedy (`greedy`), so that no change is luck.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from ascl_core.config.evaluate import EvaluateConfig, SamplingConfig
from ascl_core.contracts import EvaluatedRollout
from ascl_core.vocabulary import PromptType, Refusal

EXAMPLES = 3
"""The most examples of a rule."""
_REFUSALS = {Refusal.NONE: "no refusal", Refusal.PARTIAL: "partial refusal", Refusal.FULL: "full refusal"}


class Cell(StrEnum):
    """One of the four evaluations, by its rules and its weights."""

    OLD = "old rules, old weights"
    RULES = "new rules, old weights"
    WEIGHTS = "old rules, new weights"
    NEW = "new rules, new weights"


class Cause(StrEnum):
    """What changed an answer, as far as changing one thing at a time can show."""

    RULES = "rules"
    """The new rules alone bring the new answer, the new weights alone do not."""
    WEIGHTS = "weights"
    """The other way round."""
    BOTH = "both"
    """Neither alone brings it."""
    EITHER = "either"
    """Each alone brings it."""


Rows = Mapping[Cell, Sequence[EvaluatedRollout]]


def greedy(evaluate: EvaluateConfig) -> EvaluateConfig:
    """Return the parameters of an evaluation with one greedy answer per prompt, judged by its first judge alone."""
    changed = {"samples": 1, "temperature": 0.0, "sampling": SamplingConfig(), "second_judge": None}
    return evaluate.model_copy(update=changed)


def find_causes(rows: Rows) -> dict[str, Any]:
    """Return how many answers differ between the old and the new cell, by cause and by rule, with examples.

    An answer to which the judge gave no verdict in one of the cells has no cause, and is counted in `not_judged`. The rule of an answer is
    the one that decides its prompt; of a prompt without one, those that only one of both answers was shown.
    """
    asked = {cell: {(row.suite, row.prompt_id): row for row in rows[cell]} for cell in Cell}
    shared = [key for key in asked[Cell.OLD] if all(key in asked[cell] for cell in Cell)]
    answers = [{cell: asked[cell][key] for cell in Cell} for key in shared]
    judged = [one for one in answers if all(_outcome(row) is not None for row in one.values())]
    changed = [one for one in judged if _outcome(one[Cell.OLD]) != _outcome(one[Cell.NEW])]
    by_rule = defaultdict[str | None, list[dict[Cell, EvaluatedRollout]]](list)
    for one in changed:
        for rule in _rules(one):
            by_rule[rule].append(one)
    ordered = sorted(by_rule, key=lambda rule: (-len(by_rule[rule]), rule or ""))
    return {
        "prompts": len(answers),
        "not_judged": len(answers) - len(judged),
        "changed": len(changed),
        "causes": _counts(changed),
        "rules": [
            {
                "rule": rule,
                "changed": len(by_rule[rule]),
                "causes": _counts(by_rule[rule]),
                "examples": [_example(one) for one in by_rule[rule][:EXAMPLES]],
            }
            for rule in ordered
        ],
    }


def cause_of(old: str, by_rules: str, by_weights: str, new: str) -> Cause | None:
    """Return the cause by the outcome of each cell; None if old and new are the same.

    >>> cause_of("none", "full", "none", "full"), cause_of("none", "none", "none", "full")
    (<Cause.RULES: 'rules'>, <Cause.BOTH: 'both'>)
    """
    if old == new:
        return None
    if by_rules == new:
        return Cause.EITHER if by_weights == new else Cause.RULES
    return Cause.WEIGHTS if by_weights == new else Cause.BOTH


def _outcome(row: EvaluatedRollout) -> str | None:
    """Return what an answer comes to; None without a verdict."""
    if not row.valid:
        return "malformed"
    if row.prompt_type is PromptType.UTILITY:
        return "right" if row.correct else "wrong"
    return _REFUSALS.get(row.refusal)


def _cause(one: Mapping[Cell, EvaluatedRollout]) -> Cause | None:
    old, by_rules, by_weights, new = (str(_outcome(one[cell])) for cell in Cell)
    return cause_of(old, by_rules, by_weights, new)


def _counts(changed: Sequence[Mapping[Cell, EvaluatedRollout]]) -> dict[str, int]:
    found = Counter(map(_cause, changed))
    return {cause: found[cause] for cause in Cause}


def _rules(one: Mapping[Cell, EvaluatedRollout]) -> list[str | None]:
    """Return the rules for which a changed answer counts; one None if there are none."""
    decides = {row.rule_id for row in one.values() if row.rule_id}
    return [*(decides or set(one[Cell.OLD].consulted) ^ set(one[Cell.NEW].consulted))] or [None]


def _example(one: Mapping[Cell, EvaluatedRollout]) -> dict[str, Any]:
    row = one[Cell.NEW]
    return {
        "suite": row.suite,
        "prompt_id": row.prompt_id,
        "prompt": row.prompt,
        "jurisdiction": row.jurisdiction,
        "cause": _cause(one),
        "answers": {
            cell: {"outcome": _outcome(found), "answer": found.answer, "consulted": list(found.consulted)} for cell, found in one.items()
        },
    }
