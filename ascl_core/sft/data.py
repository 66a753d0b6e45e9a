"""The stage `build_sft`: trajectories for ASCL and for each baseline, judged before they are kept."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_parquet, sha256_json, write_json, write_jsonl
from ascl_core.config.attacks import NO_ATTACKS, AttacksConfig
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.retrieval import BY_WORDS, RetrievalConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sft_data import FROM_TEACHER, LOADERS, PUBLISHED, REWRITTEN, SftData
from ascl_core.contracts import Prompt, StageContext, Trajectory, from_table
from ascl_core.data.attacks import dress_up
from ascl_core.errors import DataError
from ascl_core.judges import Judge, get_judge
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.editions import editions_of
from ascl_core.rules.index import Indexer
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft.acceptance import Draft, Rejected, accept, counts_of, facts_of
from ascl_core.sft.mixing import mix, mode_of
from ascl_core.sft.published import write_published
from ascl_core.sft.samples import by_turn
from ascl_core.sft.selection import select_prompts
from ascl_core.sft.templated_teacher import Choice, TemplatedTeacher
from ascl_core.vocabulary import AttackKind, Mode, Split

_EXAMPLES = 5


def build_sft(
    *,
    build_sft: BuildSftConfig,
    attacks: AttacksConfig = NO_ATTACKS,
    conversation: ConversationConfig,
    rules: RulesConfig,
    retrieval: RetrievalConfig = BY_WORDS,
    compute: ComputeConfig,
    prompts: Path,
    corpus: Path,
    validation: Path,
    counts: Path,
    context: StageContext,
    **trajectories: Path,
) -> dict[str, float | int | str]:
    """Write the accepted trajectories of each row of `SftData`, one JSON object a line, and how many were rejected and why."""
    loaded_corpus = load_corpus(corpus)
    index = Indexer(retrieval).index(loaded_corpus, rules.at).rules
    training = [p for p in from_table(read_parquet(prompts), Prompt, file=prompts) if p.split is Split.TRAIN]
    sources = {source.data_set: source for source in build_sft.published}
    pure = conversation.model_copy(update={"variant": "pure"})  # public sets first, so that one that cannot be read costs no teacher
    public = {data: write_published(trajectories[data], data, sources, pure, build_sft.max_words) for data in PUBLISHED}
    training, selection = select_prompts(training, build_sft, index, compute, context)
    judge = get_judge(build_sft.judge, compute, index)
    writer = _make_writer(build_sft, loaded_corpus, conversation, index, compute, context.state / "teacher")
    summary: dict[str, Any] = {}
    for data in FROM_TEACHER:
        drafts = list(context.progress.track(writer.drafts(data, training), f"write {data}"))
        kept, rejected = accept(drafts, judge, loaded_corpus, conversation.max_tool_calls, build_sft.max_words)
        edited: dict[str, Any] = {}
        if data is SftData.ASCL:
            kept, rejected, edited = _edit(kept, rejected, build_sft, judge, compute, context)
        if not kept:
            raise DataError("every trajectory was rejected", file=prompts, field=str(data), hint="look at the judge and the teacher")
        dressed = _under_attack(kept, build_sft, attacks.trained)
        rows = [_row(draft, data, writer.name, build_sft.seed) for draft in dressed]
        write_jsonl(trajectories[data], by_turn(rows) if build_sft.samples == "by_turn" else rows)
        under_attack = sum(before[1] != after[1] for before, after in zip(kept, dressed, strict=True))
        summary[data] = {**_summary(drafts, kept, rejected), "under_attack": under_attack, **edited}
        if data is SftData.ASCL:
            policies = {prompt.id: prompt.policy for prompt in training}
            changed = [prompt.policy is not policies[prompt.id] for prompt, _ in kept]
            summary |= {other: _write_rewritten(trajectories[other], other, rows, changed, build_sft) for other in REWRITTEN}
            training = _same_prompts(training, kept) if build_sft.mix else training
    judge.check()
    summary |= {data: written for data, written in public.items() if written}
    names = {"teacher": writer.name, "judge": judge.id, "validation": str(validation.name)}
    write_json(counts, {"arms": summary, **names, **selection})
    return {f"{arm}_kept": summary[arm]["kept"] for arm in summary}


class TemplatedWriter:
    """Drafts of all data sets by the templated teacher."""

    def __init__(self, config: BuildSftConfig, corpus: Corpus, conversation: ConversationConfig, index: RuleIndex) -> None:
        self.config = config
        self.teacher = TemplatedTeacher(corpus, conversation, index)
        self.name = self.teacher.name
        self.now, *self.changed = editions_of(corpus, index, conversation, changed=config.rule_variation > 0)

    def drafts(self, data: SftData, prompts: list[Prompt]) -> Iterator[Draft]:
        """Return each prompt's conversations for that data."""
        for prompt in prompts:
            for repeat in range(self.config.trajectories_per_prompt[prompt.prompt_type]):
                choice = Choice(f"{self.config.seed}\n{repeat}\n{prompt.id}")
                yield from self._conversations(data, prompt, choice)

    def _conversations(self, data: SftData, prompt: Prompt, choice: Choice) -> Iterator[Draft]:
        if data is SftData.DIRECT_REFUSAL:
            yield prompt, self.teacher.refuse_or_answer(prompt, choice)
        elif data is SftData.CONTEXT_DISTILLATION:
            yield prompt, self.teacher.distil(prompt, choice)[0]
        else:
            has_rule = prompt.category is None or self.teacher.rule_of(prompt) is not None
            consults = has_rule and choice.fraction("mode") < self.config.consult_share_of(prompt.prompt_type)
            if consults or prompt.dual_use:
                yield self._consult(prompt, choice)
            if not consults or prompt.dual_use:
                yield prompt, self.teacher.direct(prompt, choice)

    def _consult(self, prompt: Prompt, choice: Choice) -> Draft:
        """Return the conversation, and the prompt as the edition of the rules that it looks up decides it."""
        varies = prompt.rule_id is not None and choice.fraction("rules") < self.config.rule_variation
        edition = self.changed[choice.number("edition") % len(self.changed)] if varies else self.now
        decided = edition.decide(prompt)
        return decided, self.teacher.consult(decided, edition.tool(prompt.jurisdiction), choice)


def _under_attack(drafts: list[Draft], config: BuildSftConfig, kinds: Sequence[AttackKind]) -> list[Draft]:
    """Return the drafts, a share of them with a forgery or noise in the request, which no teacher has seen."""
    written: Counter[str] = Counter()
    dressed: list[Draft] = []
    for prompt, messages in drafts:
        key = f"{config.seed}\n{written[prompt.id]}\n{prompt.id}"
        written[prompt.id] += 1
        dressed.append((prompt, dress_up(messages, key, config.attack_share[prompt.prompt_type], kinds)))
    return dressed


def _make_writer(
    config: BuildSftConfig, corpus: Corpus, conversation: ConversationConfig, index: RuleIndex, compute: ComputeConfig, folder: Path
) -> Any:
    if config.teacher == "templated":
        return TemplatedWriter(config, corpus, conversation, index)
    from ascl_core.sft.model_teacher import ModelWriter

    return ModelWriter(config, corpus, conversation, index, compute, folder)


def _edit(
    kept: list[Draft], rejected: list[Rejected], config: BuildSftConfig, judge: Judge, compute: ComputeConfig, context: StageContext
) -> tuple[list[Draft], list[Rejected], dict[str, Any]]:
    """Purify and mix ASCL's drafts as configured; what is kept, what is rejected, and the report of the mix."""
    if config.purifier is not None:
        from ascl_core.sft.purifier import Purifier

        kept, failed = Purifier(config.purifier, config, judge, compute, context).purify(kept)
        rejected = rejected + failed
    if not config.mix or not kept:
        return kept, rejected, {}
    kept, report = mix(kept, config.mix_weights, config.mix_size, config.seed)
    return kept, rejected, {"mix": report}


def _same_prompts(prompts: list[Prompt], kept: list[Draft]) -> list[Prompt]:
    """Return the prompts of the mix, so that the baselines learn from no others."""
    ids = {prompt.id for prompt, _ in kept}
    return [prompt for prompt in prompts if prompt.id in ids]


def _write_rewritten(
    path: Path, data: SftData, rows: Sequence[dict[str, Any]], changed: Sequence[bool], config: BuildSftConfig
) -> dict[str, Any]:
    """Write ASCL's trajectories as that data rewrites them, and return how many; `changed` are those that follow a changed rule."""
    rewrite = LOADERS.load(str(data.arm.rewrite))
    kept, reasons = [], Counter[str]()
    for row, follows_change in zip(rows, changed, strict=True):
        match rewrite(row, follows_change):
            case str() as reason:
                reasons[reason] += 1
            case messages:
                identity = sha256_json([data, messages])[:16]
                kept.append({**row, "id": identity, "arm": str(data), "mode": str(mode_of(messages)), "messages": messages})
    has_turns = any(row["mode"] == Mode.CONSULT for row in kept)
    write_jsonl(path, by_turn(kept) if has_turns and config.samples == "by_turn" else kept)
    return counts_of(kept, reasons)


def _row(draft: Draft, data: SftData, generator: str, seed: int) -> dict[str, Any]:
    prompt, messages = draft
    facts = facts_of(messages)
    trajectory = Trajectory(
        id=sha256_json([data, messages])[:16],
        prompt_id=prompt.id,
        arm=data,
        mode=facts.mode,
        prompt_type=prompt.prompt_type,
        category=prompt.category,
        rule_ids=facts.consulted or ((prompt.rule_id,) if prompt.rule_id and data is SftData.CONTEXT_DISTILLATION else ()),
        messages=tuple(messages),
        generator=generator,
        seed=seed,
        source=prompt.source,
        licence=prompt.licence,
    )
    return dataclasses.asdict(trajectory)


def _summary(drafts: list[Draft], kept: list[Draft], rejected: list[Rejected]) -> dict[str, Any]:
    rows = [{"mode": mode_of(messages), "prompt_type": prompt.prompt_type} for prompt, messages in kept]
    examples = [{"prompt": draft[0].prompt, "reason": reason} for draft, reason in rejected[:_EXAMPLES]]
    return {**counts_of(rows, Counter(reason for _, reason in rejected)), "written": len(drafts), "examples_rejected": examples}
