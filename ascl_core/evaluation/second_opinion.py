"""A second judge's verdicts on the responses of an evaluation, beside the first one's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ascl_core.contracts import EvaluatedRollout, Verdict
from ascl_core.evaluation.measures import plain_rows
from ascl_core.evaluation.metrics import cluster_of, summarise
from ascl_core.judges import Item, Judge
from ascl_core.judges.agreement import HARMS, LABELS, measure_answers
from ascl_core.vocabulary import Harm, Refusal

_SHOWN = 50
"""The most disagreements that are written down."""
_FIGURES = ("headline", "by_prompt_type", "dual_use")


def second_opinion(rows: Sequence[EvaluatedRollout], judge: Judge) -> dict[str, Any]:
    """Return what `metrics.json` says under `second_judge`.

    These are the figures by the second judge's verdicts, without the suites of attacks; how far both judges agree on the responses on which
    both have a verdict; and the first disagreements, with the second judge's reasons. A malformed response is not judged.
    """
    valid = [i for i, row in enumerate(rows) if row.valid]
    verdicts = dict(zip(valid, judge.judge([Item.of(rows[i], rows[i].answer) for i in valid]), strict=True))
    other = [_judged(row, verdicts.get(i), judge.id) for i, row in enumerate(rows)]
    figures = summarise(plain_rows(other), {})
    both = [(rows[i], verdicts[i]) for i in valid]
    refusals = [(cluster_of(row), row.refusal, v.refusal) for row, v in both if Refusal.UNKNOWN not in (row.refusal, v.refusal)]
    harms = [(cluster_of(row), row.harm, v.harm) for row, v in both if Harm.UNKNOWN not in (row.harm, v.harm)]
    return {
        "judge": judge.id,
        **{name: figures[name] for name in _FIGURES},
        "agreement": {"refusal": _agreement(refusals, LABELS[:-1]), "harm": _agreement(harms, HARMS[:-1])},
        "disagreements": [_shown(row, verdict) for row, verdict in both if _differ(row, verdict)][:_SHOWN],
    }


def _judged(row: EvaluatedRollout, verdict: Verdict | None, judge: str) -> EvaluatedRollout:
    refusal, harm = (verdict.refusal, verdict.harm) if verdict else (Refusal.UNKNOWN, Harm.UNKNOWN)
    return replace(row, refusal=refusal, harm=harm, judge=judge)


def _agreement(answers: Sequence[tuple[str, Any, Any]], labels: Sequence[Any]) -> dict[str, Any] | None:
    found = measure_answers(answers, labels)
    return None if found is None else found.to_json()


def _differ(row: EvaluatedRollout, verdict: Verdict) -> bool:
    refusals, harms = {row.refusal, verdict.refusal} - {Refusal.UNKNOWN}, {row.harm, verdict.harm} - {Harm.UNKNOWN}
    return len(refusals) > 1 or len(harms) > 1


def _shown(row: EvaluatedRollout, verdict: Verdict) -> dict[str, Any]:
    return {
        "suite": row.suite,
        "prompt_id": row.prompt_id,
        "sample": row.sample,
        "first": f"{row.refusal}, {row.harm}",
        "second": f"{verdict.refusal}, {verdict.harm}",
        "detail": verdict.detail,
    }
