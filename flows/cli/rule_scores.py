"""The parts of `ascl rules test`: which rules, how their answers are judged, and the table of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_json
from ascl_core.config.evaluate import EvaluateConfig, SamplingConfig
from ascl_core.config.judge import JudgeConfig
from ascl_core.config.params import Params
from ascl_core.errors import ConfigError, shortened
from ascl_core.report.wording import percent, share_interval
from ascl_core.rules.corpus import Corpus, Rule, Severity
from ascl_core.rules.diff import diff_corpora
from ascl_core.text import counted, fold_line
from flows.cli.console import print_line, print_lines, print_table
from flows.cli.watching import Watching
from tasks.execution.adhoc import score_rules
from tasks.registry.paths import SCRATCH
from tasks.registry.stages import EVALUATION

Score = Mapping[str, Any]
"""`ascl_core.evaluation.rule_probes.RuleScore` as JSON values."""
_FEW = 3
"""The most rules for which answers are shown."""
_ANSWERS, _CHARS = 5, 160
"""The most answers that are shown of a rule, and the most characters of each."""


def select_rules(corpus: Corpus, at: date, ids: Sequence[str], severity: Severity | None, released: Corpus | None) -> list[Rule]:
    """Return the rules with these ids, or all in force: of one severity if given, and only those that differ from the released ones."""
    chosen = [corpus.rule(name) for name in dict.fromkeys(ids)] if ids else corpus.active_anywhere(at)
    differing = None if released is None else {rule.rule_id for rule in diff_corpora(released, corpus, at).rules}
    return [rule for rule in chosen if severity in (None, rule.severity) and (differing is None or rule.id in differing)]


def with_judge(params: Params, judge: JudgeConfig, samples: int | None) -> EvaluateConfig:
    """Return the evaluation's parameters with this judge alone and, if given, this number of answers per probe.

    `ConfigError` if the policy is trained against that judge, as judge of answers or of hallucination.
    """
    trained_against = (params.ifpo.judge, params.ifpo.reward.hallucination.judge)
    if any(one is not None and judge.names & one.names for one in trained_against):
        hint = "name another one: ascl judges list"
        raise ConfigError(
            "the policy is trained against this judge, so another one must evaluate", field="--judge", value=judge.name, hint=hint
        )
    changed = params.evaluate.model_copy(update={"judge": judge, "second_judge": None})
    if samples is None:
        return changed
    kinds = {name: kind.model_copy(update={"samples": samples}) for name, kind in changed.sampling}
    return changed.model_copy(update={"samples": samples, "sampling": SamplingConfig(**kinds)})


def measure_rules(
    root: Path, checkpoint: Path, rules: Sequence[Rule], corpus: Corpus, evaluate: EvaluateConfig, *, attacks: bool
) -> list[Score]:
    """Return the scores of the rules, the least followed first; the files go to a folder of these inputs in `scratch/rules-test`."""
    if not rules:
        return []
    ids = [rule.id for rule in rules]
    inputs = [str(checkpoint), corpus.digest, ids, evaluate.model_dump(mode="json"), attacks]
    folder = root / SCRATCH / "rules-test" / sha256_json(inputs)[:16]
    with Watching() as watching, watching.stage(replace(EVALUATION, name="rule tests")) as progressed:
        return list(score_rules(root, checkpoint, ids, corpus, evaluate, folder, progressed, attacks=attacks))


def is_below(score: Score, least: float) -> bool:
    """Return whether the rule is followed in less than that share of the answers; without a probe nothing shows that it is."""
    return score["followed"] is None or score["followed"]["value"] < least


def print_scores(scores: Sequence[Score]) -> None:
    """Print a row for each rule, the least followed first; of a few rules also answers that do not follow them."""
    columns = ("rule", "policy", "n", "followed", "95 % interval", "wrongly refused", "consulted", "found", "no verdict", "title")
    if rows := [_row(score) for score in scores if score["no_probe"] is None]:
        print_table(columns, rows)
    elif not scores:
        print_line("no rule to test")
    print_lines((f"{score['rule_id']}: no probe: {score['no_probe']}" for score in scores if score["no_probe"]), markup=False)
    for score in scores if len(scores) <= _FEW else ():
        if failures := score["failures"]:
            print_line(f"\n{score['rule_id']}: {counted(len(failures), 'answer')} not as the rule asks")
            print_lines((line for failure in failures[:_ANSWERS] for line in _failure_lines(failure)), markup=False)


def _row(score: Score) -> tuple[object, ...]:
    followed, *others = (_share(score[name]) for name in ("followed", "wrongly_refused", "consulted", "found"))
    interval = share_interval(score["followed"])
    return score["rule_id"], score["policy"], score["n"], followed, interval, *others, score["without_verdict"], score["title"]


def _share(estimate: Mapping[str, Any] | None) -> str:
    return percent(estimate["value"] if estimate else None)


def _failure_lines(failure: Mapping[str, Any]) -> tuple[str, str]:
    answer = repr(shortened(fold_line(failure["answer"]), _CHARS)) if failure["answer"] else "malformed"
    return (
        f"  {failure['variation'] or 'example'}, {failure['verdict']}: {shortened(fold_line(failure['prompt']), _CHARS)!r}",
        f"    refusal {failure['refusal']}, harm {failure['harm']}: {answer}",
    )
