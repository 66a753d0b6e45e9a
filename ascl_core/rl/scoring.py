"""Scoring a batch of rollouts: facts, verdicts and rewards, with the figures that are logged."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.reward import RewardConfig
from ascl_core.contracts import Prompt, RolloutFacts, Verdict, kind_of
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.judges import Item, Judge
from ascl_core.rewards.claims_judge import get_claims_judge
from ascl_core.rewards.outcome import JudgedRollout
from ascl_core.rewards.reward import RewardParts, score
from ascl_core.rules.corpus import Corpus, Rule
from ascl_core.vocabulary import Mode


@dataclass(frozen=True)
class ScoredBatch:
    """The rewards of a batch, and what is logged about it; the lists are parallel."""

    prompts: tuple[Prompt, ...]
    facts: tuple[RolloutFacts, ...]
    parts: tuple[RewardParts, ...]
    verdicts: tuple[Verdict | None, ...]
    """None for a rollout that no judge saw, as it is malformed."""

    @property
    def rewards(self) -> list[float]:
        """NaN where no judge could say."""
        return [math.nan if part.total is None else part.total for part in self.parts]

    @property
    def consulted(self) -> list[bool]:
        """Whether each rollout consulted, from its messages and never from a mask."""
        return [fact.mode is Mode.CONSULT for fact in self.facts]

    @property
    def lookups(self) -> list[int]:
        """The number of well-formed calls of each rollout."""
        return [len(fact.calls) for fact in self.facts]

    @property
    def correct(self) -> list[bool]:
        """Whether each answer is right and no gate of the reward hit it."""
        return [part.correct for part in self.parts]

    def figures(self) -> dict[str, float]:
        """Return means over the batch: consult rates, validity with the problems, reward components; names without data are missing."""
        values: dict[str, list[float]] = defaultdict(list)
        for prompt, fact, part in zip(self.prompts, self.facts, self.parts, strict=True):
            kind, consulted = kind_of(prompt), fact.mode is Mode.CONSULT
            of_one: dict[str, float] = {
                "consult_rate": consulted,
                f"consult_rate/{kind}": consulted,
                "valid_rate": fact.valid,
                "consult/attempted": fact.attempted,
                "consult/completed": fact.completed,
                "consult/faulty": fact.faulty,
                "correct_rate": part.correct,
                "not_judged": part.total is None,
            }
            if part.total is not None:
                of_one |= {"reward/mean": part.total, f"reward/{kind}": part.total}
            for name, value in (of_one | {f"reward/{name}": value for name, value in part.components.items()}).items():
                values[name].append(float(value))
        problems = Counter(fact.problem for fact in self.facts if not fact.valid)
        invalid = {f"invalid/{problem}": count / len(self.facts) for problem, count in problems.items()}
        return {name: sum(v) / len(v) for name, v in values.items()} | invalid


def of_all_processes(batch: ScoredBatch) -> ScoredBatch:
    """Return the batches of all processes that train together as one, in their order."""
    from accelerate.utils import gather_object

    rollouts = list(zip(batch.prompts, batch.facts, batch.parts, batch.verdicts, strict=True))
    return ScoredBatch(*zip(*gather_object(rollouts), strict=True))


class Scorer:
    """Reads, judges and rewards rollouts."""

    def __init__(self, corpus: Corpus, judge: Judge, reward: RewardConfig, conversation: ConversationConfig) -> None:
        self.corpus = corpus
        self.judge = judge
        self.reward = reward
        self.conversation = conversation
        self.claims_judge = get_claims_judge(reward)

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str], finished: Sequence[bool]) -> ScoredBatch:
        """Return one reward a rollout; malformed ones never reach a judge, and where the judge fails there is no reward."""
        limit = self.conversation.max_tool_calls
        facts = [read_rollout(text, finished=end, max_tool_calls=limit) for text, end in zip(texts, finished, strict=True)]
        verdicts = self._verdicts(prompts, facts)
        claims = self._claims(prompts, facts)
        rollouts = [
            JudgedRollout(fact, prompt, verdicts.get(i), self._rule_of(prompt), claims.get(i, False))
            for i, (fact, prompt) in enumerate(zip(facts, prompts, strict=True))
        ]
        parts = tuple(score(rollout, self.reward) for rollout in rollouts)
        return ScoredBatch(tuple(prompts), tuple(facts), parts, tuple(rollout.verdict for rollout in rollouts))

    def _verdicts(self, prompts: Sequence[Prompt], facts: Sequence[RolloutFacts]) -> dict[int, Verdict]:
        """Return the verdict on each valid rollout, by its position."""
        valid = [i for i, fact in enumerate(facts) if fact.valid]
        items = [Item.of(prompts[i], facts[i].answer) for i in valid]
        return dict(zip(valid, self.judge.judge(items), strict=True))

    def _claims(self, prompts: Sequence[Prompt], facts: Sequence[RolloutFacts]) -> dict[int, bool | None]:
        """Return whether each valid rollout without a call claims a look-up, by its position; nothing where no term asks."""
        if "hallucination" not in self.reward.terms:
            return {}
        direct = [i for i, fact in enumerate(facts) if fact.valid and fact.attempted == 0]
        found = self.claims_judge.claims([prompts[i] for i in direct], [facts[i] for i in direct])
        return dict(zip(direct, found, strict=True))

    def _rule_of(self, prompt: Prompt) -> Rule | None:
        return self.corpus.rule(prompt.rule_id) if prompt.rule_id else None
