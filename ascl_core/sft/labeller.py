"""The labeller: a chat model assigns rules or categories of the compiled corpus to the prompts that have none (paper, section 4.1).

It chooses from the rules that are in force in the prompt's jurisdiction and decide as the prompt's source does, so that a label never
turns a harmful prompt into a harmless one. A reply that is not one of the offered ids leaves the prompt as it was, and is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.chat import ChatConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.contracts import Message, Prompt, StageContext
from ascl_core.rules.corpus import Rule
from ascl_core.rules.rendering import plain
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft.batches import Assistant
from ascl_core.sft.replies import read_object
from ascl_core.sft.texts import TEXTS

_VERSION = 1
_NONE = "none"
_INSTRUCTION = TEXTS["labeller"]
_NO_RULE = "(there are none)"


class Labeller:
    """Assigns labels, in batches that are kept."""

    def __init__(self, chat: ChatConfig, config: BuildSftConfig, index: RuleIndex, compute: ComputeConfig, context: StageContext) -> None:
        self.index = index
        self.assistant = Assistant(f"labeller@{_VERSION}", chat, config, compute, context)
        self.progress = context.progress

    def label(self, prompts: Sequence[Prompt]) -> tuple[list[Prompt], dict[str, int | str]]:
        """Return the prompts, labelled where they had no rule and the model found one, and how many got which kind of label."""
        unlabelled = [prompt for prompt in prompts if prompt.rule_id is None and prompt.answer is None]
        inputs = [_INSTRUCTION, self.index.corpus.digest, str(self.index.at)]
        replies = self.assistant.replies(unlabelled, self._conversation, key=vars, seed=lambda prompt: ("label", prompt.id), inputs=inputs)
        counts: Counter[str] = Counter()
        labelled: dict[str, Prompt] = {}
        for prompt, reply in zip(unlabelled, self.progress.track(replies, "label", len(unlabelled)), strict=True):
            labelled[prompt.id], outcome = self._labelled(prompt, reply)
            counts[outcome] += 1
        return [labelled.get(prompt.id, prompt) for prompt in prompts], {"labeller": self.assistant.name, **dict(sorted(counts.items()))}

    def _conversation(self, prompt: Prompt) -> list[Message]:
        titles = {key: plain(self.index.corpus.categories[key].title) for key in self._categories(prompt)}
        rules = [f"{rule.id}: {plain(rule.title)}" for rule in self._rules(prompt)]
        instruction = _INSTRUCTION.format(
            categories="\n".join(f"{key}: {title}" for key, title in titles.items()), rules="\n".join(rules) or _NO_RULE
        )
        return [{"role": "system", "content": instruction}, {"role": "user", "content": prompt.prompt}]

    def _categories(self, prompt: Prompt) -> list[str]:
        """Return the category that the prompt has, or all of them."""
        return [key for key in self.index.corpus.categories if prompt.category in (None, key)]

    def _rules(self, prompt: Prompt) -> list[Rule]:
        """Return the rules in force in the prompt's jurisdiction that decide as the prompt's source does."""
        categories = self._categories(prompt)
        in_force = self.index.corpus.active(self.index.at, prompt.jurisdiction)
        return [rule for rule in in_force if rule.category in categories and rule.policy.prompt_type is prompt.prompt_type]

    def _labelled(self, prompt: Prompt, reply: str) -> tuple[Prompt, str]:
        """Return the prompt with its label, and the kind of label."""
        found = read_object(reply, ("label",))
        if found is None or not isinstance(label := found["label"], str):
            return prompt, "unreadable"
        rule = next((rule for rule in self._rules(prompt) if rule.id == label), None)
        if rule is not None:
            return replace(prompt, rule_id=rule.id, category=rule.category, policy=rule.policy), "rule"
        if label in self._categories(prompt):
            return replace(prompt, category=label), "category"
        return prompt, _NONE if label == _NONE else "unknown"
