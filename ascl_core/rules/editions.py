"""Editions of the rules to train with: the corpus of today, and changed ones, so that a model reads what a rule says."""

from __future__ import annotations

import dataclasses

from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt
from ascl_core.rules.change import changed_rules
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.retrieval import RuleIndex, RuleTool

_SEEDS = (1, 2, 4, 5)
"""Of the changed editions. Neither they nor their wordings are those that a comparison tests with (seed 0)."""
_SHARE = 0.5


class RuleEdition:
    """One state of the rules: what it decides, and the tool that looks them up."""

    def __init__(self, corpus: Corpus, index: RuleIndex, conversation: ConversationConfig) -> None:
        self.corpus = corpus
        self._tools = {place: RuleTool(index, place, conversation) for place in corpus.jurisdictions}

    def tool(self, jurisdiction: str) -> RuleTool:
        """The tool of that place."""
        return self._tools[jurisdiction]

    def decide(self, prompt: Prompt) -> Prompt:
        """The prompt with the policy of its rule in this edition, and the type that follows from it."""
        if prompt.rule_id is None:
            return prompt
        policy = self.corpus.rule(prompt.rule_id).policy
        return prompt if policy is prompt.policy else dataclasses.replace(prompt, policy=policy, prompt_type=policy.prompt_type)


def editions_of(corpus: Corpus, index: RuleIndex, conversation: ConversationConfig, *, changed: bool) -> tuple[RuleEdition, ...]:
    """The rules of today, and if asked for a few changed corpora after them.

    In a changed one about half of the rules that can flip are flipped (`ascl_core.rules.change`).
    """
    seeds = _SEEDS if changed else ()
    others = [Corpus(taxonomy=corpus.taxonomy, rules=changed_rules(corpus.rules, _SHARE, seed)) for seed in seeds]
    return (RuleEdition(corpus, index, conversation), *(RuleEdition(other, index.over(other), conversation) for other in others))
