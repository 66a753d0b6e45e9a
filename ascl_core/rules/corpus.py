"""The rule corpus as data: what a rule is, and the compiled corpus that every later stage reads.

Rules are written as YAML under `data/rules/`; `ascl_core.rules.compile` checks and compiles them to one
`corpus.json`, in which each rule carries the SHA-256 of its content and the corpus one digest over all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ascl_core.artifacts import read_json, sha256_json
from ascl_core.config.base import Config, parse
from ascl_core.config.sparse import Sparse
from ascl_core.errors import RuleError, nearest
from ascl_core.vocabulary import RULE_ID, ResponsePolicy

EVERYWHERE = "*"
"""The jurisdiction of a rule that is in force everywhere."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""A name in lower case, such as `see_a_doctor`."""
Phrase = Annotated[str, Field(pattern=r"^[^A-Z]+$")]
"""Words in lower case."""
Severity = Literal["low", "medium", "high", "critical"]


class Element(Config):
    """Something that a safe completion must contain."""

    id: Name
    """A short name of the element, such as `see_a_doctor`."""
    any_of: tuple[Phrase, ...] = Field(min_length=1)
    """One of these phrases must occur in the answer."""


class Example(Config):
    """A prompt, and the response policy that the rule gives it."""

    prompt: str = Field(min_length=1)
    """What a person would ask; a harmful one states a wish, never a method."""
    verdict: ResponsePolicy
    """What the response to it should be."""


class Provenance(Config):
    """Where a rule comes from."""

    author: str
    """Who wrote it."""
    source: str
    """What it is based on, such as a law or a policy of yours, in words."""
    licence: str
    """SPDX id of its licence."""


class Rule(Config):
    """One safety policy."""

    id: str = Field(pattern=f"^{RULE_ID}$")
    """Category and number; never reused."""
    title: str = Field(min_length=3, max_length=80)
    """What it is about, in a few words; the model reads it."""
    category: str
    """Category id of the taxonomy."""
    topic: Name | None = None
    """Shared by rules that are variants of one another by jurisdiction or date."""
    text: str = Field(min_length=20)
    """What the model reads: what to do, in 20 to 35 plain words; with the title at most 80 tokens. Untrusted input to a prompt."""
    policy: ResponsePolicy
    """What the response should be."""
    allowed: tuple[str, ...] = ()
    """What stays allowed under the rule."""
    disallowed: tuple[str, ...] = ()
    """What an answer must not contain."""
    safe_completion: tuple[Element, ...] = ()
    """What an answer under `safe_completion` must contain."""
    examples: tuple[Example, ...] = ()
    """Prompts with the rule's own verdict; one with another verdict shows where the rule ends."""
    severity: Severity
    """How bad it is when the rule is broken."""
    precedence: int = Field(ge=0, le=1000, strict=True)
    """Of two rules that apply, the higher one decides."""
    jurisdictions: tuple[str, ...] = Field(min_length=1)
    """Where the rule is in force; `*` is everywhere."""
    status: Literal["active", "draft", "deprecated", "retired"]
    """Only `active` rules are used."""
    version: str = Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){2}$")
    """Semantic version: major where a verdict may flip, minor where guidance is added, patch for wording."""
    effective_from: date
    """The first day on which it is in force."""
    effective_until: date | None = None
    """The first day on which it is no longer in force."""
    supersedes: tuple[str, ...] = ()
    """Ids of rules that this one replaces; none of them may be in force beside it."""
    see_also: tuple[str, ...] = ()
    """Ids of related rules."""
    keywords: tuple[str, ...] = ()
    """Words and phrases that people use for it; they count in the look-up."""
    query: Phrase = Field(min_length=3, max_length=60)
    """The canonical short search phrase; variants of one topic share it."""
    provenance: Provenance
    """Where it comes from."""

    @cached_property
    def sha256(self) -> str:
        """The identity of the rule's content; the version is left out, so that a change without a bump shows."""
        return sha256_json(self.model_dump(mode="json", exclude={"version"}))

    @property
    def own_examples(self) -> tuple[str, ...]:
        """The prompts whose verdict is the rule's own policy."""
        return tuple(example.prompt for example in self.examples if example.verdict is self.policy)

    def in_force(self, at: date, jurisdiction: str) -> bool:
        """Return whether the rule is active on that day in that jurisdiction."""
        there = EVERYWHERE in self.jurisdictions or jurisdiction in self.jurisdictions
        then = self.effective_from <= at and (self.effective_until is None or at < self.effective_until)
        return self.status == "active" and there and then

    def overlaps(self, other: Rule) -> bool:
        """Return whether both rules are in force on some day in some jurisdiction."""
        there = EVERYWHERE in (*self.jurisdictions, *other.jurisdictions) or not set(self.jurisdictions).isdisjoint(other.jurisdictions)
        starts_in_time = self.effective_until is None or other.effective_from < self.effective_until
        ends_in_time = other.effective_until is None or self.effective_from < other.effective_until
        return there and starts_in_time and ends_in_time and self.status == other.status == "active"


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a semantic version, to compare versions by."""
    return tuple(map(int, version.split(".")))


class Category(Sparse):
    """One category of the taxonomy."""

    optional = ("areas",)

    name: str
    """Its name in code, such as `cybercrime`."""
    title: str
    """Its name for people; the model reads it."""
    hazards: tuple[str, ...] = ()
    """The MLCommons hazards that it covers, `S1` to `S14`; empty if none corresponds."""
    areas: tuple[Name, ...] = ()
    """The areas of the taxonomy that it covers."""


class Taxonomy(Sparse):
    """The categories and the jurisdictions that rules may name, and the areas that they should cover."""

    optional = ("areas",)

    categories: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Category] = Field(min_length=1)
    """Category id, with which the ids of its rules begin, to category."""
    areas: dict[Name, str] = Field(default_factory=dict)
    """Area id to title; empty if coverage by area is not to be checked."""
    jurisdictions: dict[str, str] = Field(min_length=1)
    """Jurisdiction id, such as `XA`, to what people call it."""


class Corpus(Config):
    """The compiled rules, sorted by id."""

    taxonomy: Taxonomy
    rules: tuple[Rule, ...]

    @property
    def categories(self) -> dict[str, Category]:
        """The categories by id."""
        return self.taxonomy.categories

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """The jurisdictions of the taxonomy, sorted."""
        return tuple(sorted(self.taxonomy.jurisdictions))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the taxonomy and every rule's id, version and content."""
        rules = {rule.id: [rule.version, rule.sha256] for rule in self.rules}
        return sha256_json({"taxonomy": self.taxonomy.model_dump(mode="json"), "rules": rules})

    @cached_property
    def _by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    def rule(self, rule_id: str) -> Rule:
        """Return the rule with that id; `RuleError` suggests the nearest one, ignoring case."""
        if rule_id in self._by_id:
            return self._by_id[rule_id]
        hint = nearest_rule(rule_id, self._by_id, "ascl rules list")
        raise RuleError("no such rule", field="rule id", value=rule_id, hint=hint)

    def active(self, at: date, jurisdiction: str) -> tuple[Rule, ...]:
        """Return the rules in force on that day in that jurisdiction, sorted by id."""
        return tuple(rule for rule in self.rules if rule.in_force(at, jurisdiction))

    def active_anywhere(self, at: date) -> tuple[Rule, ...]:
        """Return the rules in force on that day in any jurisdiction, sorted by id."""
        return tuple(rule for rule in self.rules if any(rule.in_force(at, jurisdiction) for jurisdiction in self.jurisdictions))

    def count_by_area(self, at: date) -> dict[str, dict[str, int]]:
        """Return area id to category id to the number of rules in force on that day; an area without rules is empty.

        A category that belongs to several areas counts in each of them.
        """
        counts = Counter(rule.category for rule in self.active_anywhere(at))
        return {
            area: {key: counts[key] for key, category in self.categories.items() if area in category.areas and counts[key]}
            for area in self.taxonomy.areas
        }

    def variants(self, rule: Rule) -> tuple[Rule, ...]:
        """Return all rules of the same topic, itself included."""
        return tuple(other for other in self.rules if other.topic == rule.topic) if rule.topic else (rule,)

    def deciding(self, rule: Rule, at: date) -> dict[str, Rule]:
        """Return by jurisdiction the rule that decides its topic on that day; jurisdictions in which none is in force are left out."""
        variants = self.variants(rule)
        in_force = {name: [one for one in variants if one.in_force(at, name)] for name in self.jurisdictions}
        return {name: max(rules, key=lambda one: (one.precedence, one.id)) for name, rules in in_force.items() if rules}

    def first_decided(self, rule: Rule, at: date) -> str | None:
        """Return the first jurisdiction in which the rule decides its topic on that day; None if others decide it everywhere."""
        return next((name for name, decides in self.deciding(rule, at).items() if decides is rule), None)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `corpus.json`: the corpus, its digest, and a lock of every rule's version and SHA-256."""
        lock = {rule.id: {"version": rule.version, "sha256": rule.sha256} for rule in self.rules}
        return {"digest": self.digest, "lock": lock, **self.model_dump(mode="json")}


def nearest_rule(rule_id: str, known: Collection[str], otherwise: str) -> str:
    """Return the hint for an unknown rule: a known id that is one slip away, or else `otherwise`.

    >>> nearest_rule("acc-10", ["ACC-01", "SAD-01"], "ascl rules list"), nearest_rule("ACC-01", ["SAD-01"], "ascl rules list")
    ("did you mean 'ACC-01'?", 'ascl rules list')
    """
    return nearest(rule_id.upper(), known, otherwise, cutoff=0.8)


def load_corpus(path: Path) -> Corpus:
    """Load a compiled `corpus.json`; `RuleError` if its digest does not match its content."""
    return read_corpus(read_json(path), file=path)


def read_corpus(values: Any, *, file: object) -> Corpus:
    """Parse the content of a `corpus.json`; `RuleError` if its digest does not match its content."""
    if not isinstance(values, dict):
        raise RuleError("expected a compiled corpus", file=file, hint="compile again: ascl run")
    digest = values.get("digest")
    corpus = parse(Corpus, {key: value for key, value in values.items() if key not in ("digest", "lock")}, file=file)
    if corpus.digest != digest:
        raise RuleError("digest does not match the content", file=file, field="digest", value=digest, hint="compile again: ascl run")
    return corpus
