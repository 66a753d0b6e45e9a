"""Resolving a prompt against the rules: what a right answer is, in which jurisdiction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
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


def resolve(rows: Sequence[RawPrompt], corpus: Corpus, at: date) -> list[Prompt]:
    """Each raw prompt as one `Prompt`, in a jurisdiction chosen by its content; a dual-use one for every jurisdiction.

    Dual-use is a prompt whose rule has variants that decide differently: its type and policy are those of the
    variant in force there. A prompt whose rule is nowhere in force is left out.
    """
    return [prompt for row in rows for prompt in _resolve_one(row, corpus, at)]


def resolve_again(prompts: Sequence[Prompt], corpus: Corpus, at: date) -> list[Prompt]:
    """Resolved prompts as they are under another corpus, each still of its split; the same ones under the same corpus.

    A prompt stays at its place while a rule decides it there. It may be decided otherwise, at another place or at more of them; one
    whose rule is nowhere in force any more is left out.
    """
    ids = {(prompt.prompt, prompt.jurisdiction): prompt.id for prompt in prompts}
    again: list[Prompt] = []
    for prompt in _first_of_each(prompts):
        found = [prompt] if prompt.rule_id is None else _resolve_one(_raw(prompt), corpus, at, prompt.jurisdiction)
        again.extend(dataclasses.replace(p, id=ids.get((p.prompt, p.jurisdiction), p.id), split=prompt.split) for p in found)
    return again


def _first_of_each(prompts: Sequence[Prompt]) -> Iterable[Prompt]:
    """One row of each text, in their order: a dual-use prompt has one for every place."""
    first: dict[str, Prompt] = {}
    for prompt in prompts:
        first.setdefault(prompt.prompt, prompt)
    return first.values()


def _raw(prompt: Prompt) -> RawPrompt:
    return RawPrompt(**{name: value for name, value in vars(prompt).items() if name in RawPrompt.__dataclass_fields__})


def _resolve_one(row: RawPrompt, corpus: Corpus, at: date, stays: str | None = None) -> list[Prompt]:
    """The prompts that it becomes; of several places where one rule decides it, it `stays` at this one."""
    places = corpus.jurisdictions
    if row.rule_id is None:
        place = places[int(content_fraction(row.prompt, "jurisdiction") * len(places))]
        return [_prompt(row, place, None, dual_use=False)]
    variants = corpus.variants(corpus.rule(row.rule_id))
    deciding = {place: rule for place in places if (rule := _deciding(variants, at, place)) is not None}
    if len({rule.policy.prompt_type for rule in deciding.values()}) > 1:
        return [_prompt(row, place, rule, dual_use=True) for place, rule in deciding.items()]
    if not deciding:
        return []
    place = stays if stays in deciding else sorted(deciding)[int(content_fraction(row.prompt, "jurisdiction") * len(deciding))]
    return [_prompt(row, place, deciding[place], dual_use=False)]


def _deciding(variants: Sequence[Rule], at: date, place: str) -> Rule | None:
    there = [rule for rule in variants if rule.in_force(at, place)]
    return max(there, key=lambda rule: (rule.precedence, rule.id), default=None)


def _prompt(row: RawPrompt, place: str, rule: Rule | None, *, dual_use: bool) -> Prompt:
    prompt_type = rule.policy.prompt_type if rule else row.prompt_type
    return Prompt(
        id=prompt_id(row.prompt, place),
        prompt=row.prompt,
        prompt_type=prompt_type,
        policy=rule.policy if rule else _DEFAULT_POLICY[prompt_type],
        source=row.source,
        licence=row.licence,
        jurisdiction=place,
        category=rule.category if rule else row.category,
        rule_id=rule.id if rule else None,
        dual_use=dual_use,
        answer=row.answer,
        answer_kind=row.answer_kind,
        choices=row.choices,
        pair_id=row.pair_id,
        reference=row.reference,
    )
