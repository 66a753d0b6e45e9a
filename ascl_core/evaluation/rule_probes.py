"""Probes of rules: prompts made of the rules' own examples, and how far the answers to them follow each rule.

An example and its variations are one cluster in the intervals, as their answers depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from ascl_core.artifacts import read_parquet, write_json, write_parquet
from ascl_core.contracts import EvaluatedRollout, Prompt, from_table, to_table
from ascl_core.data.attacks import attacked, kind_of_attack
from ascl_core.data.raw_prompt import prompt_id
from ascl_core.evaluation import measures
from ascl_core.evaluation.intervals import Estimate
from ascl_core.evaluation.metrics import rule_figures
from ascl_core.rules.corpus import Corpus, Example, Rule
from ascl_core.vocabulary import AttackKind, Harm, PromptType, Refusal

SUITE = "rule-probes"


@dataclass(frozen=True)
class Failure:
    """An answer that does not follow the rule."""

    prompt: str
    variation: str | None
    """The kind of noise or attack; None for the example as it is."""
    verdict: str
    """The response policy that the example asks for."""
    answer: str
    """Empty if the response is malformed."""
    refusal: Refusal
    harm: Harm


@dataclass(frozen=True)
class RuleScore:
    """How far a checkpoint follows one rule; a figure without an answer that counts is None, never 0 or 1."""

    rule_id: str
    title: str
    policy: str
    severity: str
    n: int
    """The number of answers."""
    followed: Estimate | None
    """The share of answers that are right for the example's verdict, as the evaluation measures `right`."""
    wrongly_refused: Estimate | None
    """Of the answers to examples that must not be refused, and that have a verdict: the share that is refused."""
    consulted: Estimate | None
    """The share of answers that looked rules up."""
    found: Estimate | None
    """Of those: the share that was shown this rule."""
    without_verdict: int
    """The number of answers that the judge could not judge, malformed ones included; none of them counts as followed."""
    no_probe: str | None
    """Why there is no probe; None if there is one."""
    failures: tuple[Failure, ...]


def make_probes(rules: Iterable[Rule], corpus: Corpus, at: date, *, attacks: bool = False) -> tuple[list[Prompt], dict[str, str]]:
    """Return the probes of the rules, and rule id to reason for each rule that has none.

    A probe is an example, as it is or with noise (`ascl_core.data.attacks`) around it; with `attacks`, examples to be refused are also
    attacked. It is asked in the first jurisdiction in which the rule decides. The same rules give the same probes.
    """
    probes: list[Prompt] = []
    missing: dict[str, str] = {}
    for rule in rules:
        jurisdiction = corpus.first_decided(rule, at)
        if jurisdiction is None:
            missing[rule.id] = f"not in force on {at}, or another rule of its topic decides"
        elif not rule.examples:
            missing[rule.id] = "the rule has no examples"
        else:
            probes += [probe for example in rule.examples for probe in _variations(_probe(rule, example, jurisdiction), attacks=attacks)]
    return probes, missing


def write_probes(rules: Sequence[Rule], corpus: Corpus, at: date, suites: Path, manifest: Path, *, attacks: bool) -> dict[str, str]:
    """Write the probes as the suites of an evaluation; return rule id to reason for each rule that has none."""
    probes, missing = make_probes(rules, corpus, at, attacks=attacks)
    write_parquet(suites, to_table(probes, Prompt))
    write_json(manifest, {"suites": {}, "missing": {}})
    return missing


def write_scores(rules: Sequence[Rule], results: Path, missing: dict[str, str], scores: Path) -> None:
    """Write the scores of the rules from the results of that evaluation."""
    rows = from_table(read_parquet(results), EvaluatedRollout, file=results)
    write_json(scores, [asdict(score) for score in score_rules(rules, rows, missing)])


def score_rules(rules: Iterable[Rule], rows: Sequence[EvaluatedRollout], missing: dict[str, str]) -> list[RuleScore]:
    """Return the score of each rule from the judged answers to its probes: the least followed first, rules without a probe last."""
    scores = [_score(rule, [row for row in rows if row.rule_id == rule.id], missing.get(rule.id)) for rule in rules]
    return sorted(scores, key=lambda score: (score.followed is None, score.followed.value if score.followed else 0.0, score.rule_id))


def _probe(rule: Rule, example: Example, jurisdiction: str) -> Prompt:
    return Prompt(
        id=prompt_id(f"{rule.id} {example.prompt}", jurisdiction),
        prompt=example.prompt,
        prompt_type=example.verdict.prompt_type,
        policy=example.verdict,
        source=rule.provenance.source,
        licence=rule.provenance.licence,
        jurisdiction=jurisdiction,
        category=rule.category,
        rule_id=rule.id,
        suite=SUITE,
    )


def _variations(probe: Prompt, *, attacks: bool) -> list[Prompt]:
    kinds = [kind for kind in AttackKind if not kind.is_forgery or (attacks and probe.prompt_type is PromptType.HARMFUL)]
    return [probe, *(attacked(probe, kind, SUITE) for kind in kinds)]


def _score(rule: Rule, rows: Sequence[EvaluatedRollout], no_probe: str | None) -> RuleScore:
    return RuleScore(
        rule_id=rule.id,
        title=rule.title,
        policy=str(rule.policy),
        severity=rule.severity,
        n=len(rows),
        **rule_figures(rows),
        without_verdict=sum(not measures.covered(row) for row in rows),
        no_probe=no_probe,
        failures=tuple(_failure(row) for row in rows if not measures.right(row)),
    )


def _failure(row: EvaluatedRollout) -> Failure:
    kind = kind_of_attack(row.prompt_id)
    return Failure(row.prompt, None if kind is None else str(kind), str(row.policy), row.answer, row.refusal, row.harm)
