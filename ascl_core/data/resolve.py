"""Resolution of prompts against the rules: the right response in a jurisdiction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date

from ascl_core.contracts import Prompt
from ascl_core.data.raw_prompt import RawPrompt, content_fraction, prompt_id
from ascl_core.rules.corpus import Corpus, Rule
from ascl_core.vocabulary import PromptType, ResponsePolicy

_DEFAULT_POLICY = {
    PromptType.HARMFUL: ResponsePolicy.REFUSE_EXPLAIN,
    PromptType.BORDERLINE: ResponsePolicy.COMPLY,
    PromptType.SENSITIVE: ResponsePolicy.SAFE_COMPLETION,
    PromptType.UTILITY: ResponsePolicy.COMPLY,
}
_KEPT = ("prompt", "source", "licence", "answer", "answer_kind", "choices", "pair_id", "reference")
"""The fields of a raw prompt that no rule changes."""


def resolve(rows: Sequence[RawPrompt], corpus: Corpus, at: date) -> list[Prompt]:
    """Return each raw prompt as one `Prompt`, in a jurisdiction chosen by its content; a dual-use one for every jurisdiction.

    A prompt is dual-use if its rule has variants that decide differently: its type and policy are those of the variant in force
    there. A prompt whose rule is nowhere in force is left out.
    """
    return [prompt for row in rows for prompt in _resolve_one(row, corpus, at)]


def resolve_again(prompts: Sequence[Prompt], corpus: Corpus, at: date) -> list[Prompt]:
    """Resolve prompts again under another corpus, each in its split; under the same corpus they are unchanged.

    A prompt keeps its jurisdiction while a rule decides it there; its policy and the number of its jurisdictions may change. A prompt
    whose rule is no longer in force anywhere is left out.
    """
    ids = {(prompt.prompt, prompt.jurisdiction): prompt.id for prompt in prompts}
    first: dict[str, Prompt] = {}  # a dual-use prompt has a row for every jurisdiction
    for prompt in prompts:
        first.setdefault(prompt.prompt, prompt)
    again: list[Prompt] = []
    for prompt in first.values():
        found = [prompt] if prompt.rule_id is None else _resolve_one(_raw(prompt), corpus, at, prompt.jurisdiction)
        again.extend(dataclasses.replace(p, id=ids.get((p.prompt, p.jurisdiction), p.id), split=prompt.split) for p in found)
    return again


def _raw(prompt: Prompt) -> RawPrompt:
    return RawPrompt(**{name: value for name, value in vars(prompt).items() if name in RawPrompt.__dataclass_fields__})


def _resolve_one(row: RawPrompt, corpus: Corpus, at: date, current: str | None = None) -> list[Prompt]:
    """Return the prompts that a row becomes; if one policy holds in several jurisdictions, the `current` one is preferred."""
    if row.rule_id is None:
        return [_prompt(row, _choose(corpus.jurisdictions, row), None, dual_use=False)]
    deciding = corpus.deciding(corpus.rule(row.rule_id), at)
    if len({rule.policy.prompt_type for rule in deciding.values()}) > 1:
        return [_prompt(row, jurisdiction, rule, dual_use=True) for jurisdiction, rule in deciding.items()]
    if not deciding:
        return []
    jurisdiction = current if current in deciding else _choose(sorted(deciding), row)
    return [_prompt(row, jurisdiction, deciding[jurisdiction], dual_use=False)]


def _choose(jurisdictions: Sequence[str], row: RawPrompt) -> str:
    return jurisdictions[int(content_fraction(row.prompt, "jurisdiction") * len(jurisdictions))]


def _prompt(row: RawPrompt, jurisdiction: str, rule: Rule | None, *, dual_use: bool) -> Prompt:
    prompt_type = rule.policy.prompt_type if rule else row.prompt_type
    return Prompt(
        id=prompt_id(row.prompt, jurisdiction),
        prompt_type=prompt_type,
        policy=rule.policy if rule else _DEFAULT_POLICY[prompt_type],
        jurisdiction=jurisdiction,
        category=rule.category if rule else row.category,
        rule_id=rule.id if rule else None,
        dual_use=dual_use,
        **{name: getattr(row, name) for name in _KEPT},
    )
