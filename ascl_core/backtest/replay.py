"""The pass with a model: the same requests to the same checkpoint, once with the old rules and once with the new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ascl_core.backtest.look_ups import LookedUp
from ascl_core.backtest.redaction import redact
from ascl_core.backtest.traffic import Request
from ascl_core.config.params import Params
from ascl_core.contracts import Prompt, Verdict
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.generation import Generator, Sampling
from ascl_core.judges import Item, Judge
from ascl_core.progress import Progress
from ascl_core.rules.retrieval import RuleIndex, RuleTool
from ascl_core.vocabulary import Harm, PromptType, Refusal, ResponsePolicy


@dataclass(frozen=True)
class Answer:
    """A replayed answer, judged."""

    text: str
    """Without personal data; empty if the answer was not well-formed."""
    consulted: tuple[str, ...]
    """Ids of the rules that the model looked up."""
    refusal: Refusal
    num_tokens: int


@dataclass(frozen=True)
class Replayed:
    """A request with its answer under the old and under the new rules."""

    looked_up: LookedUp
    old: Answer
    new: Answer

    @property
    def is_changed(self) -> bool:
        """Whether the answer is another one, or judged differently."""
        return (self.old.text, self.old.refusal) != (self.new.text, self.new.refusal)

    @property
    def direction(self) -> str | None:
        """`help_to_refusal` or `refusal_to_help`; None for neither. A partial refusal answers a part, and so counts as help."""
        refused = [answer.refusal is Refusal.FULL for answer in (self.old, self.new)]
        if Refusal.UNKNOWN in (self.old.refusal, self.new.refusal) or refused[0] == refused[1]:
            return None
        return "refusal_to_help" if refused[0] else "help_to_refusal"

    def rules(self, differing: frozenset[str]) -> frozenset[str]:
        """Return the rules that explain a change: of the look-up pass, and of `differing` or of one side those that the model read."""
        before, after = set(self.old.consulted), set(self.new.consulted)
        return self.looked_up.rules | (before ^ after) | ((before | after) & differing)


def answer(requests: Sequence[Request], generator: Generator, index: RuleIndex, judge: Judge, params: Params) -> list[Answer]:
    """Return the answer to each request with the rules of the index: greedy, so that a changed answer is the rules' doing, not luck's."""
    config, conversation = params.evaluate, params.conversation
    tools = {name: RuleTool(index, name, conversation) for name in {request.jurisdiction for request in requests}}
    rollouts = generator.rollouts(
        [_prompt(request) for request in requests],
        samples=1,
        sampling=Sampling(0.0, config.max_new_tokens, config.seed),
        tool_for=lambda prompt: tools[prompt.jurisdiction],
        conversation=conversation,
        batch_size=config.batch_size,
        progress=Progress(),
        rules=index,
    )
    facts = [read_rollout(one.text, finished=one.finished, max_tool_calls=conversation.max_tool_calls) for one in rollouts]
    asked = [(request, fact) for request, fact in zip(requests, facts, strict=True) if fact.valid]
    items = [Item(request.prompt, fact.answer, jurisdiction=request.jurisdiction) for request, fact in asked]
    verdicts = dict(zip((request.id for request, _ in asked), judge.judge(items), strict=True))
    unjudged = Verdict(Refusal.UNKNOWN, Harm.UNKNOWN, judge.id, "malformed")
    return [
        Answer(redact(fact.answer), fact.consulted, verdicts.get(request.id, unjudged).refusal, one.num_tokens)
        for request, fact, one in zip(requests, facts, rollouts, strict=True)
    ]


def _prompt(request: Request) -> Prompt:
    """Return the request as a prompt; of its type, policy, source and licence, nothing is known and nothing is read."""
    return Prompt(request.id, request.prompt, PromptType.BORDERLINE, ResponsePolicy.COMPLY, "traffic", "", request.jurisdiction)
