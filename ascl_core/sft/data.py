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
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import Message, Prompt, StageContext, Trajectory, from_table
from ascl_core.conversation.content import neutralise
from ascl_core.conversation.template import completion_text
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.data.attacks import dress_up
from ascl_core.errors import DataError
from ascl_core.judges import Item, Judge, get_judge
from ascl_core.rewards.answers import verify
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.editions import editions_of
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft.templated_teacher import Choice, TemplatedTeacher
from ascl_core.vocabulary import Arm, AttackKind, Mode, PromptType, Refusal, Split

_EXAMPLES = 5
_RIGHT_REFUSALS = {
    PromptType.HARMFUL: {Refusal.FULL},
    PromptType.BORDERLINE: {Refusal.NONE},
    PromptType.SENSITIVE: {Refusal.NONE, Refusal.PARTIAL},
    PromptType.UTILITY: {Refusal.NONE},
}
Draft = tuple[Prompt, list[Message]]


def build_sft(
    *,
    build_sft: BuildSftConfig,
    attacks: AttacksConfig = NO_ATTACKS,
    conversation: ConversationConfig,
    rules: RulesConfig,
    compute: ComputeConfig,
    prompts: Path,
    corpus: Path,
    validation: Path,
    ascl: Path,
    direct_refusal: Path,
    context_distillation: Path,
    counts: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Write each arm's accepted trajectories, one JSON object a line, and how many were rejected and why."""
    loaded_corpus = load_corpus(corpus)
    training = [p for p in from_table(read_parquet(prompts), Prompt, file=prompts) if p.split is Split.TRAIN]
    index = RuleIndex(loaded_corpus, rules.at)
    judge = get_judge(build_sft.judge, compute)
    writer = _make_writer(build_sft, loaded_corpus, conversation, index, compute)
    summary: dict[str, Any] = {}
    for arm, path in ((Arm.ASCL, ascl), (Arm.DIRECT_REFUSAL, direct_refusal), (Arm.CONTEXT_DISTILLATION, context_distillation)):
        plain = list(context.progress.track(writer.drafts(arm, training), f"write {arm}"))
        drafts = _under_attack(plain, build_sft, attacks.trained)
        kept, rejected = _filter(drafts, judge, loaded_corpus, conversation.max_tool_calls, build_sft.max_words)
        if not kept:
            raise DataError("every trajectory was rejected", file=prompts, field=str(arm), mend="look at the judge and the teacher")
        write_jsonl(path, (_row(draft, arm, writer.name, build_sft.seed) for draft in kept))
        dressed = sum(before[1] != after[1] for before, after in zip(plain, drafts, strict=True))
        summary[arm] = {**_summary(drafts, kept, rejected), "under_attack": dressed}
    write_json(counts, {"arms": summary, "teacher": writer.name, "judge": judge.id, "validation": str(validation.name)})
    return {f"{arm}_kept": values["kept"] for arm, values in summary.items()}


class TemplatedWriter:
    """Drafts of every arm by the templated teacher."""

    def __init__(self, config: BuildSftConfig, corpus: Corpus, conversation: ConversationConfig, index: RuleIndex) -> None:
        self.config = config
        self.teacher = TemplatedTeacher(corpus, conversation, index)
        self.name = self.teacher.name
        self.now, *self.changed = editions_of(corpus, index, conversation, changed=config.rule_variation > 0)

    def drafts(self, arm: Arm, prompts: list[Prompt]) -> Iterator[Draft]:
        """Each prompt's conversations for that arm."""
        for prompt in prompts:
            for repeat in range(self.config.trajectories_per_prompt[prompt.prompt_type]):
                choice = Choice(f"{self.config.seed}\n{repeat}\n{prompt.id}")
                yield from self._conversations(arm, prompt, choice)

    def _conversations(self, arm: Arm, prompt: Prompt, choice: Choice) -> Iterator[Draft]:
        if arm is Arm.DIRECT_REFUSAL:
            yield prompt, self.teacher.refuse_or_answer(prompt, choice)
        elif arm is Arm.CONTEXT_DISTILLATION:
            yield prompt, self.teacher.distil(prompt, choice)[0]
        else:
            has_rule = prompt.category is None or self.teacher.rule_of(prompt) is not None
            consults = has_rule and choice.fraction("mode") < self.config.consult_share[prompt.prompt_type]
            if consults or prompt.dual_use:
                yield self._consult(prompt, choice)
            if not consults or prompt.dual_use:
                yield prompt, self.teacher.direct(prompt, choice)

    def _consult(self, prompt: Prompt, choice: Choice) -> Draft:
        """The conversation, and the prompt as the edition of the rules that it looks up decides it."""
        varies = prompt.rule_id is not None and choice.fraction("rules") < self.config.rule_variation
        edition = self.changed[choice.number("edition") % len(self.changed)] if varies else self.now
        decided = edition.decide(prompt)
        return decided, self.teacher.consult(decided, edition.tool(prompt.jurisdiction), choice)


def _under_attack(drafts: list[Draft], config: BuildSftConfig, kinds: Sequence[AttackKind]) -> list[Draft]:
    """A share of the drafts with a forgery or noise in the request; no teacher sees it, and so none can fall for it."""
    written: Counter[str] = Counter()
    dressed: list[Draft] = []
    for prompt, messages in drafts:
        key = f"{config.seed}\n{written[prompt.id]}\n{prompt.id}"
        written[prompt.id] += 1
        dressed.append((prompt, dress_up(messages, key, config.attack_share[prompt.prompt_type], kinds)))
    return dressed


def _make_writer(config: BuildSftConfig, corpus: Corpus, conversation: ConversationConfig, index: RuleIndex, compute: ComputeConfig) -> Any:
    if config.teacher == "templated":
        return TemplatedWriter(config, corpus, conversation, index)
    from ascl_core.sft.model_teacher import ModelWriter

    return ModelWriter(config, corpus, conversation, index, compute)


def _filter(
    drafts: list[Draft], judge: Judge, corpus: Corpus, max_tool_calls: int, max_words: int | None
) -> tuple[list[Draft], list[tuple[Draft, str]]]:
    """The drafts that are well-formed and right, and the others with the reason."""
    facts = [read_rollout(completion_text(messages), finished=True, max_tool_calls=max_tool_calls) for _, messages in drafts]
    items = [Item(prompt.prompt, fact.answer, prompt.prompt_type) for (prompt, _), fact in zip(drafts, facts, strict=True)]
    kept, rejected = [], []
    for draft, fact, verdict in zip(drafts, facts, judge.judge(items), strict=True):
        reason = (
            fact.problem or _marked_up(draft[1]) or _too_long(draft[1], max_words) or _wrong(draft[0], fact.answer, verdict.refusal, corpus)
        )
        kept.append(draft) if reason is None else rejected.append((draft, reason))
    return kept, rejected


def _marked_up(messages: list[Message]) -> str | None:
    """A teacher that writes tags where only words belong; they would be broken up for training, and teach nothing worth learning."""
    _, found = neutralise([message for message in messages if message["role"] == "assistant"])
    return "a stray tag in what the teacher wrote" if found else None


def _too_long(messages: list[Message], max_words: int | None) -> str | None:
    written = [f"{message.get('reasoning_content', '')} {message['content']}" for message in messages if message["role"] == "assistant"]
    return f"over {max_words} words" if max_words is not None and len(" ".join(written).split()) > max_words else None


def _wrong(prompt: Prompt, answer: str, refusal: Refusal, corpus: Corpus) -> str | None:
    if refusal not in _RIGHT_REFUSALS[prompt.prompt_type]:
        return f"refusal is {refusal} on a {prompt.prompt_type} prompt"
    if prompt.answer is not None and not verify(answer, prompt.answer, prompt.answer_kind or "math", prompt.choices)[0]:
        return "the answer is wrong"
    if prompt.prompt_type is PromptType.SENSITIVE and prompt.rule_id:
        missing = [e.id for e in corpus.rule(prompt.rule_id).safe_completion if not any(p in answer.lower() for p in e.any_of)]
        return f"lacks {', '.join(missing)}" if missing else None
    return None


def _row(draft: Draft, arm: Arm, generator: str, seed: int) -> dict[str, Any]:
    prompt, messages = draft
    facts = read_rollout(completion_text(messages), finished=True)
    trajectory = Trajectory(
        id=sha256_json([arm, messages])[:16],
        prompt_id=prompt.id,
        arm=arm,
        mode=facts.mode,
        prompt_type=prompt.prompt_type,
        category=prompt.category,
        rule_ids=facts.consulted if arm is Arm.ASCL else ((prompt.rule_id,) if prompt.rule_id and arm is Arm.CONTEXT_DISTILLATION else ()),
        messages=tuple(messages),
        generator=generator,
        seed=seed,
        source=prompt.source,
        licence=prompt.licence,
    )
    return dataclasses.asdict(trajectory)


def _summary(drafts: list[Draft], kept: list[Draft], rejected: list[tuple[Draft, str]]) -> dict[str, Any]:
    modes = Counter(str(Mode.CONSULT if any(m["role"] == "tool" for m in messages) else Mode.DIRECT) for _, messages in kept)
    return {
        "written": len(drafts),
        "kept": len(kept),
        "rejected": len(rejected),
        "by_mode": dict(sorted(modes.items())),
        "by_type": dict(sorted(Counter(str(prompt.prompt_type) for prompt, _ in kept).items())),
        "reasons": dict(sorted(Counter(reason for _, reason in rejected).items())),
        "examples_rejected": [{"prompt": draft[0].prompt, "reason": reason} for draft, reason in rejected[:_EXAMPLES]],
    }
