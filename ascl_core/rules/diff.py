"""The difference between two rule corpora: changed fields, flipped verdicts, and the class that decides what is retrained.

A change is *wording* if nothing changed that decides an answer, *verdict* if an answer may change, and *structural* if what SFT
teaches changed: the categories that a look-up names, or the active rules, whose ids and look-ups are taught. The class is the higher
one of what the corpora show and what the versions declare: a text can reverse a rule without any field that says so, and then its
major version does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import IntEnum, StrEnum
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

from ascl_core.rules.corpus import Category, Corpus, Rule, version_numbers
from ascl_core.rules.rendering import count_tokens, render_rule
from ascl_core.text import counted, fold_line

UNDECIDED = "undecided"
"""The verdict on a prompt that no rule in force decides; all others are response policies."""
_DECISIVE = (
    *("policy", "precedence", "jurisdictions", "status", "effective_from", "effective_until", "supersedes", "topic"),
    *("allowed", "disallowed", "safe_completion", "examples"),
)
"""Fields that decide which rule applies, and what a right answer is."""


class ChangeClass(StrEnum):
    """How far a change of the rules reaches, in ascending order, and the work that follows."""

    work: str
    NONE = "none", "nothing to do"
    WORDING = "wording", "hot-swap the served rules, and evaluate"
    VERDICT = "verdict", "reinforcement learning again, and evaluate"
    STRUCTURAL = "structural", "everything from the SFT data on"

    def __new__(cls, value: str, work: str) -> ChangeClass:
        member = str.__new__(cls, value)
        member._value_, member.work = value, work
        return member

    @property
    def reach(self) -> int:
        """The position in the order of the classes."""
        return list(ChangeClass).index(self)


class Bump(IntEnum):
    """Which number of a semantic version is raised, in order of weight."""

    BACK, NONE, PATCH, MINOR, MAJOR = range(-1, 4)


@dataclass(frozen=True)
class FieldChange:
    """One field of a rule, before and after, as JSON values."""

    field: str
    before: Any
    after: Any

    @property
    def gone(self) -> tuple[str, ...]:
        """The entries that were removed; a field that is no list is one entry."""
        return tuple(entry for entry in _entries(self.before) if entry not in _entries(self.after))

    @property
    def new(self) -> tuple[str, ...]:
        """The entries that were added."""
        return tuple(entry for entry in _entries(self.after) if entry not in _entries(self.before))


def _entries(value: Any) -> list[str]:
    """Return a JSON value of a field as texts: an example as `prompt → verdict`, an element as `id: phrases`."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [_entry(one) if isinstance(one, dict) else str(one) for one in values]


def _entry(value: dict[str, Any]) -> str:
    if set(value) == {"prompt", "verdict"}:
        return f"{value['prompt']} → {value['verdict']}"
    return "; ".join(f"{name} {', '.join(items) if isinstance(items, list) else items}" for name, items in value.items())


@dataclass(frozen=True)
class Flip:
    """An example whose verdict changed, with the jurisdictions in which it changed the same way."""

    rule_id: str
    prompt: str
    jurisdictions: tuple[str, ...]
    before: str
    after: str


@dataclass(frozen=True)
class RuleChange:
    """The change of one rule."""

    rule_id: str
    title: str
    kind: Literal["added", "removed", "changed"]
    version_before: str | None
    version_after: str | None
    fields: tuple[FieldChange, ...]
    """In the order of the schema; empty for a rule that was added or removed."""
    flips: tuple[Flip, ...]
    change_class: ChangeClass
    reason: str
    """Why it is of this class."""
    problem: str = ""
    """What is wrong with its version; empty if nothing is."""
    hint: str = ""

    @property
    def versions(self) -> str:
        """`1.0.0 → 2.0.0`, or the one version of a rule that was added or removed."""
        return " → ".join(version for version in (self.version_before, self.version_after) if version)


@dataclass(frozen=True)
class CategoryChange:
    """The change of one category."""

    category: str
    kind: Literal["added", "removed", "re-mapped", "renamed", "reassigned"]
    """`re-mapped` to other hazards, `reassigned` to other areas."""
    before: str
    after: str


@dataclass(frozen=True)
class Delta:
    """A count before and after."""

    before: int
    after: int


@dataclass(frozen=True)
class RuleDiff:
    """Everything that changed between two corpora."""

    old_digest: str
    new_digest: str
    change_class: ChangeClass
    reasons: tuple[str, ...]
    """The rules and categories that make it of this class."""
    categories: tuple[CategoryChange, ...]
    jurisdictions_added: tuple[str, ...]
    jurisdictions_removed: tuple[str, ...]
    rules: tuple[RuleChange, ...]
    """The rules that changed, sorted by id."""
    in_force: dict[str, Delta]
    """The number of rules in force in any jurisdiction, for each category where it changed."""
    tokens: Delta
    """Of all rules in force as a look-up shows them."""
    examples: Delta

    @property
    def flips(self) -> tuple[Flip, ...]:
        """All flips, by rule."""
        return tuple(flip for rule in self.rules for flip in rule.flips)

    @property
    def problems(self) -> tuple[RuleChange, ...]:
        """The rules whose version does not fit the change."""
        return tuple(rule for rule in self.rules if rule.problem)

    def of_kind(self, kind: str) -> tuple[RuleChange, ...]:
        """Return the rules that were `added`, `removed` or `changed`."""
        return tuple(rule for rule in self.rules if rule.kind == kind)

    def to_json(self) -> dict[str, Any]:
        """Return the diff for programs."""
        return {"schema": "ascl.rules-diff/1", **asdict(self), "flips": len(self.flips)}


def diff_corpora(old: Corpus, new: Corpus, at: date) -> RuleDiff:
    """Compare two corpora; verdicts are those of the given day."""
    before, after = ({rule.id: rule for rule in corpus.rules} for corpus in (old, new))
    flips = _flips(*_touched(old, new), at)
    changes = (_rule_change(before.get(rule_id), after.get(rule_id), flips[rule_id]) for rule_id in sorted(before.keys() | after.keys()))
    rules = tuple(change for change in changes if change is not None)
    categories = tuple(_category_changes(old.categories, new.categories))
    added, removed = sorted({*new.jurisdictions} - {*old.jurisdictions}), sorted({*old.jurisdictions} - {*new.jurisdictions})
    found = [
        *((_class_of_category(category), f"category {category.category} {category.kind}") for category in categories),
        *((ChangeClass.STRUCTURAL, f"jurisdiction {jurisdiction} added") for jurisdiction in added),
        *((ChangeClass.STRUCTURAL, f"jurisdiction {jurisdiction} removed") for jurisdiction in removed),
        *((rule.change_class, f"{rule.rule_id} {rule.reason}") for rule in rules),
    ]
    change_class = max((one for one, _ in found), key=lambda one: one.reach, default=ChangeClass.NONE)
    active = [corpus.active_anywhere(at) for corpus in (old, new)]
    sizes = {content: count_tokens(render_rule(rule)) for content, rule in {rule.sha256: rule for rule in chain(*active)}.items()}
    counts = [Counter(rule.category for rule in rules_in_force) for rules_in_force in active]
    return RuleDiff(
        old.digest,
        new.digest,
        change_class,
        tuple(reason for one, reason in found if one is change_class),
        categories,
        tuple(added),
        tuple(removed),
        rules,
        {name: Delta(a, b) for name in sorted({*counts[0], *counts[1]}) if (a := counts[0][name]) != (b := counts[1][name])},
        Delta(*(sum(sizes[rule.sha256] for rule in rules_in_force) for rules_in_force in active)),
        Delta(*(sum(len(rule.examples) for rule in corpus.rules) for corpus in (old, new))),
    )


def _class_of_category(change: CategoryChange) -> ChangeClass:
    return ChangeClass.WORDING if change.kind in ("renamed", "reassigned") else ChangeClass.STRUCTURAL


def _category_changes(old: dict[str, Category], new: dict[str, Category]) -> Iterator[CategoryChange]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            yield CategoryChange(name, "added" if before is None else "removed", _hazards(before), _hazards(after))
        elif set(before.hazards) != set(after.hazards):
            yield CategoryChange(name, "re-mapped", _hazards(before), _hazards(after))
        elif (before.name, before.title) != (after.name, after.title):
            yield CategoryChange(name, "renamed", f"{before.name}: {before.title}", f"{after.name}: {after.title}")
        elif set(before.areas) != set(after.areas):
            yield CategoryChange(name, "reassigned", _areas(before), _areas(after))


def _hazards(category: Category | None) -> str:
    return "" if category is None else f"{category.title} ({', '.join(category.hazards)})"


def _areas(category: Category) -> str:
    return ", ".join(category.areas) or "no area"


def _rule_change(before: Rule | None, after: Rule | None, flips: Sequence[Flip]) -> RuleChange | None:
    if before is None or after is None:
        rule = after or before
        assert rule is not None
        kind: Literal["added", "removed"] = "added" if before is None else "removed"
        change_class, reason = (
            (ChangeClass.STRUCTURAL, kind) if rule.status == "active" else (ChangeClass.WORDING, f"{kind}, and is not active")
        )
        was, now = (None, rule.version) if before is None else (rule.version, None)
        return RuleChange(rule.id, rule.title, kind, was, now, (), tuple(flips), change_class, reason)
    if before.version == after.version and before.sha256 == after.sha256:
        return None
    a, b = before.model_dump(mode="json"), after.model_dump(mode="json")
    fields = tuple(FieldChange(name, a[name], b[name]) for name in Rule.model_fields if name != "version" and a[name] != b[name])
    bump = bump_of(before.version, after.version)
    names = {field.field for field in fields}
    return RuleChange(
        before.id,
        after.title,
        "changed",
        before.version,
        after.version,
        fields,
        tuple(flips),
        *_class_and_reason(names, flips, bump),
        *_version_problem(names, flips, bump, before, after),
    )


def _class_and_reason(fields: set[str], flips: Sequence[Flip], bump: Bump) -> tuple[ChangeClass, str]:
    if "category" in fields:
        return ChangeClass.STRUCTURAL, "moved to another category"
    if flips:
        return ChangeClass.VERDICT, f"flips the verdict of {counted(len(flips), 'example')}"
    if decisive := [name for name in _DECISIVE if name in fields]:
        return ChangeClass.VERDICT, f"changes {', '.join(decisive)}"
    if bump is Bump.MAJOR:
        return ChangeClass.VERDICT, "declares by its major version that a verdict may flip"
    return ChangeClass.WORDING, f"changes {', '.join(sorted(fields))}" if fields else "has another version and the same content"


def bump_of(before: str, after: str) -> Bump:
    """Return which number was raised between two semantic versions.

    >>> bump_of("1.2.3", "2.0.0").name, bump_of("1.2.3", "1.2.4").name, bump_of("1.2.3", "1.1.9").name
    ('MAJOR', 'PATCH', 'BACK')
    """
    a, b = version_numbers(before), version_numbers(after)
    if b < a:
        return Bump.BACK
    return next((bump for bump, x, y in zip((Bump.MAJOR, Bump.MINOR, Bump.PATCH), a, b, strict=True) if x != y), Bump.NONE)


def _version_problem(fields: set[str], flips: Sequence[Flip], bump: Bump, before: Rule, after: Rule) -> tuple[str, str]:
    """Return what is wrong with the version, and the hint; two empty texts if nothing is."""
    major, minor, patch = version_numbers(before.version)
    goes = f"the version goes from {before.version} to {after.version}"
    decisive = ", ".join(name for name in _DECISIVE if name in fields)
    if bump is Bump.BACK:
        return f"the version went back from {before.version} to {after.version}", f"raise it above {before.version}"
    if flips and bump is not Bump.MAJOR:
        flip = flips[0]
        verdicts = f"{flip.prompt!r} is {flip.after} in {', '.join(flip.jurisdictions)} and was {flip.before}"
        return f"a verdict flips and {goes}: {verdicts}", f"raise it to {major + 1}.0.0"
    if "policy" in fields and bump is not Bump.MAJOR:
        return f"the policy changed and {goes}", f"raise it to {major + 1}.0.0"
    if decisive and bump < Bump.MINOR:
        return f"guidance changed ({decisive}) and {goes}", f"raise it to {major}.{minor + 1}.0"
    if fields and bump is Bump.NONE:
        return f"the content changed and the version is still {before.version}", f"raise it to {major}.{minor}.{patch + 1}"
    return "", ""


def _touched(old: Corpus, new: Corpus) -> tuple[Corpus, Corpus]:
    """Return both corpora with only the rules that differ, and those that share an example with one: no verdict of the others can flip."""
    differing = {rule_id for rule_id, _ in {(rule.id, rule.sha256) for rule in old.rules} ^ {(rule.id, rule.sha256) for rule in new.rules}}
    examples = {_key(one.prompt) for rule in chain(old.rules, new.rules) if rule.id in differing for one in rule.examples}

    def part_of(corpus: Corpus) -> Corpus:
        rules = (r for r in corpus.rules if r.id in differing or any(_key(one.prompt) in examples for one in r.examples))
        return Corpus(taxonomy=corpus.taxonomy, rules=tuple(rules))

    return part_of(old), part_of(new)


def _flips(old: Corpus, new: Corpus, at: date) -> dict[str, list[Flip]]:
    """Return the flips by rule id: of the examples of rules that both corpora have, in jurisdictions that both have."""
    common = {rule.id for rule in old.rules} & {rule.id for rule in new.rules}
    examples = [(rule, example) for corpus in (old, new) for rule in corpus.rules for example in rule.examples if rule.id in common]
    prompts = {(rule.id, _key(example.prompt)): example.prompt for rule, example in examples}
    typical = {(rule.id, _key(example.prompt)) for rule, example in examples if example.verdict is rule.policy}
    found: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for jurisdiction in sorted(set(old.jurisdictions) & set(new.jurisdictions)):
        verdicts = [_verdicts(corpus, at, jurisdiction) for corpus in (old, new)]
        for (rule_id, key), prompt in prompts.items():
            # A typical prompt follows the policy of its rule. One at the border of a rule is known only to a corpus that has it.
            is_typical = (rule_id, key) in typical
            a, b = (by_prompt.get(key, by_rule.get(rule_id, UNDECIDED) if is_typical else "") for by_prompt, by_rule in verdicts)
            if a and b and a != b:
                found[rule_id, prompt, a, b].append(jurisdiction)
    flips: dict[str, list[Flip]] = defaultdict(list)
    for (rule_id, prompt, a, b), jurisdictions in found.items():
        flips[rule_id].append(Flip(rule_id, prompt, tuple(jurisdictions), a, b))
    return flips


def _verdicts(corpus: Corpus, at: date, jurisdiction: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the verdict on each example, by the rule of highest precedence that has it, and the policy of each rule in force."""
    rules = sorted(corpus.active(at, jurisdiction), key=lambda rule: rule.precedence)
    examples = {_key(example.prompt): str(example.verdict) for rule in rules for example in rule.examples}
    return examples, {rule.id: str(rule.policy) for rule in rules}


@lru_cache(maxsize=1 << 17)  # asked for each jurisdiction and corpus
def _key(prompt: str) -> str:
    return fold_line(prompt).casefold()
