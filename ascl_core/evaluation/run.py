"""The stage `evaluate`: sample, judge and measure a checkpoint on every suite."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ascl_core.artifacts import digest, read_json, read_jsonl, read_parquet, sha256_json, write_json, write_jsonl, write_parquet
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.evaluate import EvaluateConfig
from ascl_core.config.retrieval import BY_WORDS, RetrievalConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import EvaluatedRollout, Prompt, Rollout, RolloutFacts, StageContext, Verdict, from_table, to_table
from ascl_core.conversation.content import markup_of
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.evaluation.attacks import summarise_all
from ascl_core.evaluation.metrics import rule_figures, to_json
from ascl_core.evaluation.second_opinion import second_opinion
from ascl_core.generation import Sampling, make_generator
from ascl_core.generation.load import load_tokenizer
from ascl_core.judges import Item, Judge, get_judge
from ascl_core.progress import Progress
from ascl_core.rewards.answers import verify
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.index import Indexer
from ascl_core.rules.retrieval import RuleIndex, RuleTool
from ascl_core.vocabulary import Harm, Refusal


def evaluate(
    *,
    evaluate: EvaluateConfig,
    conversation: ConversationConfig,
    rules: RulesConfig,
    retrieval: RetrievalConfig = BY_WORDS,
    compute: ComputeConfig,
    checkpoint: Path,
    suites: Path,
    suites_manifest: Path,
    corpus: Path,
    index: Path | None = None,
    results: Path,
    metrics: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Write every judged response and the metrics; a suite without data is reported as missing.

    Rules are looked up in the index in the folder `index`; without it, the index is built from the corpus.
    """
    loaded_corpus = load_corpus(corpus)
    prompts = from_table(read_parquet(suites), Prompt, file=suites)
    found = Indexer(retrieval).index(loaded_corpus, rules.at, index)
    tools = {name: RuleTool(found.rules, name, conversation) for name in loaded_corpus.jurisdictions}
    described = read_json(suites_manifest)
    samples = {name: int(values.get("samples") or 1) for name, values in described.get("suites", {}).items()}
    answered = _sample(evaluate, conversation, compute, checkpoint, prompts, samples, tools, found.rules, context)
    judge = get_judge(evaluate.judge, compute, found.rules)
    second = get_judge(evaluate.second_judge, compute, found.rules) if evaluate.second_judge else None
    rows = _judge(answered, judge, conversation.max_tool_calls)
    write_parquet(results, to_table(rows, EvaluatedRollout))
    figures = summarise_all(rows, dict(described["missing"]), described.get("held_out_attacks", ()))
    summary = {
        "neutralised": _neutralised(prompts, checkpoint),
        "judge": judge.id,
        "checkpoint_sha256": digest(checkpoint),
        "corpus_digest": loaded_corpus.digest,
        "index_digest": found.digest,
        "samples": evaluate.samples,
        "variant": conversation.variant,
        **figures,
        "by_rule": _of_rules(loaded_corpus, rules.at, figures["by_rule"]),
        **({"second_judge": second_opinion(rows, second)} if second else {}),
    }
    write_json(metrics, summary)
    judge.check()
    if second:
        second.check()
    shown = ("safety_rate", "over_refusal_strict", "utility", "h_avg", "h", "valid_rate", "consult_rate")
    return {name: round(summary["headline"][name]["value"], 4) for name in shown if summary["headline"][name] is not None}


def _of_rules(corpus: Corpus, at: date, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of each rule that decides anything, with its severity; without a prompt of the suites all are None."""
    no_data = to_json(rule_figures(()))
    deciding = (rule for rule in corpus.active_anywhere(at) if corpus.first_decided(rule, at))
    return {rule.id: {"severity": rule.severity, **figures.get(rule.id, no_data)} for rule in deciding}


@dataclass(frozen=True)
class _Group:
    """Prompts with the same sampling parameters, by their positions among all prompts."""

    temperature: float
    top_p: float
    samples: int
    positions: tuple[int, ...]


def _groups(config: EvaluateConfig, prompts: Sequence[Prompt], suite_samples: Mapping[str, int]) -> list[_Group]:
    """Return the prompts grouped by sampling parameters, in the order of first occurrence."""
    positions: dict[tuple[float, float, int], list[int]] = defaultdict(list)
    for position, prompt in enumerate(prompts):
        positions[config.sampling_of(prompt.prompt_type, suite_samples.get(str(prompt.suite), 1))].append(position)
    return [_Group(*drawing, tuple(members)) for drawing, members in positions.items()]


def _neutralised(prompts: Sequence[Prompt], checkpoint: Path) -> dict[str, int]:
    """Return the number of control strings in each suite's prompts; the model reads them as plain text."""
    markup = markup_of(load_tokenizer(checkpoint))
    found = Counter({str(prompt.suite): 0 for prompt in prompts})
    for prompt in prompts:
        found[str(prompt.suite)] += markup.neutralise(prompt.prompt)[1]
    return dict(sorted(found.items()))


def _sample(
    config: EvaluateConfig,
    conversation: ConversationConfig,
    compute: ComputeConfig,
    checkpoint: Path,
    prompts: Sequence[Prompt],
    suite_samples: Mapping[str, int],
    tools: Mapping[str, RuleTool],
    index: RuleIndex,
    context: StageContext,
) -> list[tuple[Prompt, Rollout]]:
    """Return each prompt with each of its rollouts, in the order of the prompts.

    Finished batches are kept in the state folder, so that a killed evaluation resumes.
    """
    rollouts: dict[int, list[Rollout]] = {}
    generator = None
    for number, (group, positions) in enumerate(_batches(_groups(config, prompts, suite_samples), config.batch_size)):
        batch = [prompts[position] for position in positions]
        kept = context.state / f"rollouts-{number:05d}-{sha256_json([p.id for p in batch])[:12]}.jsonl"
        if kept.exists():
            sampled = [Rollout(**row) for row in read_jsonl(kept)]
        else:
            generator = generator or make_generator(checkpoint, compute)
            sampled = generator.rollouts(
                batch,
                samples=group.samples,
                sampling=Sampling(group.temperature, config.max_new_tokens, config.seed + number, group.top_p),
                tool_for=lambda prompt: tools[prompt.jurisdiction],
                conversation=conversation,
                batch_size=config.batch_size,
                progress=Progress(os.devnull),
                rules=index,
            )
            write_jsonl(kept, (vars(rollout) for rollout in sampled))
        rollouts.update((position, sampled[i * group.samples : (i + 1) * group.samples]) for i, position in enumerate(positions))
        context.progress.update("generate", len(rollouts), len(prompts))
    return [(prompt, rollout) for position, prompt in enumerate(prompts) for rollout in rollouts[position]]


def _batches(groups: Iterable[_Group], batch_size: int) -> Iterator[tuple[_Group, tuple[int, ...]]]:
    """Yield the positions of each group in batches of at most `batch_size` conversations, and at least one prompt."""
    for group in groups:
        prompts = max(1, batch_size // group.samples)
        for start in range(0, len(group.positions), prompts):
            yield group, group.positions[start : start + prompts]


def _judge(answered: Sequence[tuple[Prompt, Rollout]], judge: Judge, max_tool_calls: int) -> list[EvaluatedRollout]:
    """Return each rollout with its verdict; malformed ones never reach the judge and count as not judged."""
    facts = [read_rollout(r.text, finished=r.finished, max_tool_calls=max_tool_calls) for _, r in answered]
    valid = [i for i, fact in enumerate(facts) if fact.valid]
    items = [Item.of(answered[i][0], facts[i].answer) for i in valid]
    verdicts = dict(zip(valid, judge.judge(items), strict=True))
    unjudged = Verdict(Refusal.UNKNOWN, Harm.UNKNOWN, judge.id, "malformed")
    return [
        _row(prompt, rollout, fact, verdicts.get(i, unjudged))
        for i, ((prompt, rollout), fact) in enumerate(zip(answered, facts, strict=True))
    ]


def _row(prompt: Prompt, rollout: Rollout, facts: RolloutFacts, verdict: Verdict) -> EvaluatedRollout:
    correct, extracted = None, None
    if prompt.answer is not None:
        correct, extracted = (
            verify(facts.answer, prompt.answer, prompt.answer_kind or "math", prompt.choices) if facts.valid else (False, False)
        )
    return EvaluatedRollout(
        suite=str(prompt.suite),
        prompt_id=prompt.id,
        sample=rollout.sample,
        prompt=prompt.prompt,
        prompt_type=prompt.prompt_type,
        policy=prompt.policy,
        jurisdiction=prompt.jurisdiction,
        category=prompt.category,
        rule_id=prompt.rule_id,
        dual_use=prompt.dual_use,
        text=rollout.text,
        answer=facts.answer,
        mode=facts.mode,
        valid=facts.valid,
        finished=facts.finished,
        attempted=facts.attempted,
        completed=facts.completed,
        consulted=facts.consulted,
        called_categories=tuple(call.category for call in facts.calls),
        num_tokens=rollout.num_tokens,
        refusal=verdict.refusal,
        harm=verdict.harm,
        judge=verdict.judge,
        correct=correct,
        extracted=extracted,
    )
