"""Editions of the rules for training: the current corpus and changed ones, so that a model learns to read rules, not to memorise them."""

from __future__ import annotations

import dataclasses

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt
from ascl_core.rules.change import changed_rules
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.retrieval import RuleIndex, RuleTool

_SEEDS = (1, 2, 4, 5)
"""Seeds of the changed editions. They and their wordings differ from those that a comparison tests with (seed 0)."""
_SHARE = 0.5


class RuleEdition:
    """One version of the rules, with the policies that it gives to prompts and the tool that looks it up."""

    def __init__(self, corpus: Corpus, index: RuleIndex, conversation: ConversationConfig) -> None:
        self.corpus = corpus
        self._tools = {jurisdiction: RuleTool(index, jurisdiction, conversation) for jurisdiction in corpus.jurisdictions}

    def tool(self, jurisdiction: str) -> RuleTool:
        """Return the tool of that jurisdiction."""
        return self._tools[jurisdiction]

    def decide(self, prompt: Prompt) -> Prompt:
        """Return the prompt with the policy of its rule in this edition, and the type that follows from it."""
        if prompt.rule_id is None:
            return prompt
        policy = self.corpus.rule(prompt.rule_id).policy
        return prompt if policy is prompt.policy else dataclasses.replace(prompt, policy=policy, prompt_type=policy.prompt_type)


def editions_of(corpus: Corpus, index: RuleIndex, conversation: ConversationConfig, *, changed: bool) -> tuple[RuleEdition, ...]:
    """Return the current rules, followed by a few changed corpora if `changed` is set.

    In a changed one about half of the rules that can flip are flipped (`ascl_core.rules.change`).
    """
    seeds = _SEEDS if changed else ()
    others = [Corpus(taxonomy=corpus.taxonomy, rules=changed_rules(corpus.rules, _SHARE, seed)) for seed in seeds]
    return (RuleEdition(corpus, index, conversation), *(RuleEdition(other, index.over(other), conversation) for other in others))
