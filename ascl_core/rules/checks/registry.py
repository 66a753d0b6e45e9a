"""The registry of checks, and what a check gets to see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ascl_core.config.rules import RulesConfig
from ascl_core.rules.corpus import Corpus, Taxonomy
from ascl_core.rules.findings import Finding, LocatedRule

RETIRED = "retired"
"""The version in the lock of an id that must not be reused."""


@dataclass(frozen=True)
class CorpusUnderCheck:
    """A folder of rules as far as it could be read."""

    taxonomy: Taxonomy | None
    rules: tuple[LocatedRule, ...]
    config: RulesConfig
    lock: Mapping[str, Mapping[str, str]]
    """Rule id to `version` and `sha256` of the committed lock; a retired id has the version `retired`."""
    complete: bool = True
    """False if a file could not be read: a rule that is absent may then be in that file."""

    @cached_property
    def compiled(self) -> Corpus | None:
        """The corpus, sorted by id; None without a taxonomy."""
        rules = tuple(sorted((located.rule for located in self.rules), key=lambda rule: rule.id))
        return Corpus(taxonomy=self.taxonomy, rules=rules) if self.taxonomy else None


Check = Callable[[CorpusUnderCheck], Iterator[Finding]]
Kind = Literal["corpus", "look_up"]
"""`corpus` checks read the rules alone; `look_up` checks search an index, and run only if there is no error."""
CHECKS: dict[Kind, list[Check]] = defaultdict(list)


def check(kind: Kind = "corpus") -> Callable[[Check], Check]:
    """Register the decorated function as a check."""

    def register(function: Check) -> Check:
        CHECKS[kind].append(function)
        return function

    return register


def run_checks(corpus: CorpusUnderCheck, kind: Kind = "corpus") -> Iterator[Finding]:
    """Return the findings of every check of that kind, in no particular order."""
    return (finding for function in CHECKS[kind] for finding in function(corpus))
