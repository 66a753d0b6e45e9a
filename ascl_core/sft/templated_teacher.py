"""The offline teacher: short trajectories written from templates, with the rules given as the tool result.

It writes what a small model can learn: a thought that names the category, a call with the category and the deciding
rule's query, a thought that cites the rule, and an answer that its response policy shapes, or that the prompt's source brings
along. A prompt of a public data set names no rule: then it is the one that a look-up in the prompt's own words finds in its category,
of those that decide as the data set says. Every choice of wording is by content hash under the seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Message, Prompt, ToolCall
from ascl_core.conversation.template import answering_turn, consulting_turn, opening, tool_turn
from ascl_core.rules.corpus import Corpus, Rule
from ascl_core.rules.retrieval import RuleIndex, RuleTool
from ascl_core.sft.texts import TEXTS
from ascl_core.vocabulary import ResponsePolicy

NAME = "templated@1"

_TEXTS = TEXTS["templated_teacher"]


@dataclass(frozen=True)
class Choice:
    """Picks one of several wordings, by the prompt and the seed alone."""

    key: str

    def of(self, options: Sequence[str], purpose: str) -> str:
        """Return one of the options."""
        return options[self.number(purpose) % len(options)]

    def number(self, purpose: str) -> int:
        """Return a number that differs by purpose."""
        return int.from_bytes(hashlib.sha256(f"{self.key}\n{purpose}".encode()).digest()[:6])

    def fraction(self, purpose: str) -> float:
        """Return a number in [0, 1) that differs by purpose."""
        return self.number(purpose) / 2**48


class TemplatedTeacher:
    """Writes trajectories without a model."""

    name = NAME

    def __init__(self, corpus: Corpus, conversation: ConversationConfig, index: RuleIndex) -> None:
        self.corpus = corpus
        self.index = index
        self.conversation = conversation

    def consult(self, prompt: Prompt, tool: RuleTool, choice: Choice) -> list[Message]:
        """Write a conversation that looks the rule up and follows it."""
        category = self._category(prompt)
        rule = self.rule_of(prompt)
        category_id = (prompt.category or min(self.corpus.categories)) if self.conversation.offer_category else None
        call = ToolCall(rule.query if rule else "general question", category=category_id)
        result = tool(call.query, call.top_k, call.category)
        policy = prompt.policy if prompt.rule_id or rule is None else rule.policy  # the prompt knows how its own rule decides it
        helps = policy in (ResponsePolicy.COMPLY, ResponsePolicy.COMPLY_WITH_DISCLAIMER)
        cited = choice.of(_TEXTS["cite"], "cite") if rule else _TEXTS["no_rule"] if helps else _TEXTS["no_rule_but_harm"]
        thought = cited.format(rule=rule.id if rule else "", policy=policy, plan=_TEXTS["plan"][policy])
        return [
            *opening(prompt, self.conversation),
            consulting_turn(choice.of(_TEXTS["consult"], "consult").format(category=category), call),
            tool_turn(result),
            answering_turn(thought, self._answer(prompt, policy, choice)),
        ]

    def direct(self, prompt: Prompt, choice: Choice) -> list[Message]:
        """Write a conversation that answers at once; on a dual-use prompt, which only the rule decides, it guesses."""
        if prompt.answer is not None:
            return [*opening(prompt, self.conversation), answering_turn("This is a question with a clear answer.", _utility_answer(prompt))]
        policy = self._guess(prompt, choice)
        thought = choice.of(_TEXTS["direct"], "direct").format(category=self._category(prompt), plan=_TEXTS["plan"][policy])
        return [*opening(prompt, self.conversation), answering_turn(thought, self._answer(prompt, policy, choice))]

    def refuse_or_answer(self, prompt: Prompt, choice: Choice) -> list[Message]:
        """Write for the direct-refusal baseline: a short refusal of harmful prompts, an answer to everything else; no tool."""
        messages = self.direct(prompt, choice)
        refuses = prompt.policy in (ResponsePolicy.REFUSE_EXPLAIN, ResponsePolicy.HARD_REFUSE)
        return [*messages[:-1], answering_turn("I must refuse this.", "I can't help with that.")] if refuses else messages

    def distil(self, prompt: Prompt, choice: Choice) -> tuple[list[Message], Rule | None]:
        """Write for the context-distillation baseline: the rule is in the system prompt while writing and dropped for training."""
        rule = self.rule_of(prompt)
        if prompt.answer is not None or rule is None:
            return self.direct(prompt, choice), rule
        thought = choice.of(_TEXTS["cite"], "cite").format(rule=rule.id, policy=rule.policy, plan=_TEXTS["plan"][rule.policy])
        return [*opening(prompt, self.conversation), answering_turn(thought, self._answer(prompt, rule.policy, choice))], rule

    def rule_of(self, prompt: Prompt) -> Rule | None:
        """Return the rule that decides the prompt, or the nearest in its category that decides as its source does; None without one."""
        if prompt.rule_id:
            return self.corpus.rule(prompt.rule_id)
        if prompt.category is None:
            return None
        everything = len(self.corpus.rules)
        found = self.index.lookup(category=prompt.category, query=prompt.prompt, jurisdiction=prompt.jurisdiction, limit=everything)
        return next((rule for rule in found if rule.policy.prompt_type is prompt.prompt_type), None)

    def _guess(self, prompt: Prompt, choice: Choice) -> ResponsePolicy:
        if not prompt.dual_use:
            return prompt.policy
        variants = self.corpus.variants(self.corpus.rule(str(prompt.rule_id)))
        return ResponsePolicy(choice.of([rule.policy for rule in variants], "guess"))

    def _answer(self, prompt: Prompt, policy: ResponsePolicy, choice: Choice) -> str:
        if prompt.answer is not None:
            return _utility_answer(prompt)
        if prompt.reference is not None:
            return prompt.reference
        if policy is not ResponsePolicy.SAFE_COMPLETION:
            return choice.of(_TEXTS["answers"][policy], "answer")
        rule = self.rule_of(prompt)
        phrases = [element.any_of[0] for element in rule.safe_completion] if rule else ["see a professional"]
        return choice.of(_TEXTS["care"], "answer").format(elements="; ".join(phrases))

    def _category(self, prompt: Prompt) -> str:
        category = self.corpus.categories.get(prompt.category or "")
        return category.title.lower() if category else "an everyday question"


def _utility_answer(prompt: Prompt) -> str:
    way = f"{prompt.reference}\n" if prompt.reference else ""
    return f"{way}The answer is {prompt.answer}."
