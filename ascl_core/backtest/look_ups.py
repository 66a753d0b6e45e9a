"""The pass without a model: which rules a look-up with the user's own words finds, under the old and under the new rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ascl_core.backtest.traffic import Request
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.rendering import render_rule
from ascl_core.rules.retrieval import RuleIndex

Lines = dict[str, str]
"""What the model would read of each found rule, by id, best first."""


@dataclass(frozen=True)
class LookedUp:
    """A request, and what is found for it."""

    request: Request
    old: Lines
    new: Lines

    @property
    def is_changed(self) -> bool:
        """Whether the model would read something else: other rules, other words of them, or another order."""
        return list(self.old.items()) != list(self.new.items())

    @property
    def rules(self) -> frozenset[str]:
        """The rules that came, went, were worded anew, or moved."""
        differing = frozenset(rule for rule, _ in self.old.items() ^ self.new.items())
        return differing or frozenset(rule for rule, other in zip(self.old, self.new, strict=True) if rule != other)


def look_up(requests: Sequence[Request], old: RuleIndex, new: RuleIndex, limit: int) -> list[LookedUp]:
    """Return what is found for each request, at most `limit` rules each, in all categories."""
    return [LookedUp(request, *(_found(request, index, limit) for index in (old, new))) for request in requests]


def differing_rules(old: Corpus, new: Corpus) -> frozenset[str]:
    """Return the rules that only one corpus has, or that the model would read in other words."""
    before, after = ({(rule.id, render_rule(rule)) for rule in corpus.rules} for corpus in (old, new))
    return frozenset(rule for rule, _ in before ^ after)


def _found(request: Request, index: RuleIndex, limit: int) -> Lines:
    found = index.lookup(category=None, query=request.prompt, jurisdiction=request.jurisdiction, limit=limit)
    return {rule.id: render_rule(rule) for rule in found}
