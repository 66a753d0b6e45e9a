"""The stage `evaluate`: sample, judge and measure a checkpoint on every suite."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ascl_core.artifacts import digest, read_json, read_jsonl, read_parquet, sha256_json, write_json, write_jsonl, write_parquet
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.evaluate import EvaluateConfig
from ascl_core.config.retrieval import BY_WORDS, RetrievalConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import EvaluatedRollout, Prompt, Rollout, RolloutFacts, StageContext, Verdict, from_table, to_table
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.evaluation.metrics import summarise
from ascl_core.generation import Sampling
from ascl_core.generation.backends import make_generator
from ascl_core.judges import Item, Judge, get_judge
from ascl_core.progress import Progress
from ascl_core.rewards.answers import verify
from ascl_core.rules.corpus import load_corpus
from ascl_core.rules.index import Indexer
from ascl_core.rules.retrieval import RuleTool
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

    The rules are looked up in the index in the folder `index`; without one it is made here, from the corpus.
    """
    loaded_corpus = load_corpus(corpus)
    prompts = from_table(read_parquet(suites), Prompt, file=suites)
    found = Indexer(retrieval).index(loaded_corpus, rules.at, index)
    tools = {place: RuleTool(found.rules, place, conversation) for place in loaded_corpus.jurisdictions}
    rollouts = _sample(evaluate, conversation, compute, checkpoint, prompts, tools, context)
    judge = get_judge(evaluate.judge, compute)
    rows = _judge(prompts, rollouts, judge, conversation.max_tool_calls)
    write_parquet(results, to_table(rows, EvaluatedRollout))
    summary = {
        "judge": judge.id,
        "checkpoint_sha256": digest(checkpoint),
        "corpus_digest": loaded_corpus.digest,
        "index_digest": found.digest,
        "samples": evaluate.samples,
        **summarise(rows, dict(read_json(suites_manifest)["missing"])),
    }
    write_json(metrics, summary)
    shown = ("safety_rate", "over_refusal_strict", "h", "utility", "valid_rate", "consult_rate")
    return {name: round(summary["headline"][name]["value"], 4) for name in shown if summary["headline"][name] is not None}


def _sample(
    config: EvaluateConfig,
    conversation: ConversationConfig,
    compute: ComputeConfig,
    checkpoint: Path,
    prompts: list[Prompt],
    tools: dict[str, RuleTool],
    context: StageContext,
) -> list[Rollout]:
    """The rollouts, prompt-major, in batches that are kept in the state folder, so that a killed evaluation goes on."""
    rollouts: list[Rollout] = []
    generator = None
    per_batch = max(1, config.batch_size // config.samples)
    for number, start in enumerate(range(0, len(prompts), per_batch)):
        batch = prompts[start : start + per_batch]
        kept = context.state / f"rollouts-{number:05d}-{sha256_json([p.id for p in batch])[:12]}.jsonl"
        if kept.exists():
            rollouts.extend(Rollout(**row) for row in read_jsonl(kept))
        else:
            generator = generator or make_generator(checkpoint, compute)
            sampled = generator.rollouts(
                batch,
                samples=config.samples,
                sampling=Sampling(config.temperature, config.max_new_tokens, config.seed + number),
                tool_for=lambda prompt: tools[prompt.jurisdiction],
                conversation=conversation,
                batch_size=config.batch_size,
                progress=Progress(os.devnull),
            )
            write_jsonl(kept, (vars(rollout) for rollout in sampled))
            rollouts.extend(sampled)
        context.progress.update("generate", min(start + per_batch, len(prompts)), len(prompts))
    return rollouts


def _judge(prompts: Sequence[Prompt], rollouts: Sequence[Rollout], judge: Judge, max_tool_calls: int) -> list[EvaluatedRollout]:
    """Each rollout with its verdict; malformed ones never reach the judge, and count as not judged."""
    samples = len(rollouts) // len(prompts)
    asked = [prompt for prompt in prompts for _ in range(samples)]
    facts = [read_rollout(r.text, finished=r.finished, max_tool_calls=max_tool_calls) for r in rollouts]
    valid = [i for i, fact in enumerate(facts) if fact.valid]
    verdicts = dict(zip(valid, judge.judge([Item(asked[i].prompt, facts[i].answer, asked[i].prompt_type) for i in valid]), strict=True))
    unjudged = Verdict(Refusal.UNKNOWN, Harm.UNKNOWN, judge.id, "malformed")
    return [
        _row(prompt, rollout, fact, verdicts.get(i, unjudged))
        for i, (prompt, rollout, fact) in enumerate(zip(asked, rollouts, facts, strict=True))
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
