"""What a change of the rules means: field by field, which verdicts flip, and the class from which the work follows.

A change is *wording* where nothing that decides an answer changed, *verdict* where an answer may come out otherwise, and
*structural* where what SFT teaches did: the categories that a look-up names, or which active rules there are, as ids and
look-ups are taught. The class is what the corpora show or what the versions declare,
whichever is more: a text can turn a rule round without any field that says so, and then its major version does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import IntEnum, StrEnum
from typing import Any, Literal

from ascl_core.rules.corpus import Category, Corpus, Rule
from ascl_core.rules.rendering import count_tokens, fold, render_rule

Verdict = str
"""A response policy, or `UNDECIDED`."""
UNDECIDED = "undecided"
"""No rule that is in force there decides the prompt."""
_DECIDING = ("policy", "precedence", "jurisdictions", "status", "effective_from", "effective_until", "supersedes", "topic")
"""Fields that say which rule decides, and how."""
_GUIDING = ("allowed", "disallowed", "safe_completion", "examples")
"""Fields that say what a right answer is within the policy."""


class ChangeClass(StrEnum):
    """How far a change of the rules reaches."""

    NONE = "none"
    WORDING = "wording"
    VERDICT = "verdict"
    STRUCTURAL = "structural"

    @property
    def reach(self) -> int:
        """The position in the order of the classes."""
        return list(ChangeClass).index(self)

    @property
    def work(self) -> str:
        """What follows from it."""
        return _WORK[self]


_WORK = {
    ChangeClass.NONE: "nothing to do",
    ChangeClass.WORDING: "hot-swap the served rules, and evaluate",
    ChangeClass.VERDICT: "reinforcement learning again, and evaluate",
    ChangeClass.STRUCTURAL: "everything from the SFT data on",
}


class Bump(IntEnum):
    """Which number of a semantic version is raised; the order is how much that says."""

    BACK = -1
    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


@dataclass(frozen=True)
class FieldChange:
    """One field of a rule, before and after, as JSON values."""

    field: str
    before: Any
    after: Any

    @property
    def gone(self) -> tuple[str, ...]:
        """What is no longer said, an entry of a list by itself."""
        return tuple(entry for entry in _entries(self.before) if entry not in _entries(self.after))

    @property
    def new(self) -> tuple[str, ...]:
        """What is said now and was not."""
        return tuple(entry for entry in _entries(self.after) if entry not in _entries(self.before))


def _entries(value: Any) -> list[str]:
    """A JSON value of a field as texts: an example as `prompt → verdict`, an element as `id: phrases`."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [_entry(one) if isinstance(one, dict) else str(one) for one in values]


def _entry(value: dict[str, Any]) -> str:
    if set(value) == {"prompt", "verdict"}:
        return f"{value['prompt']} → {value['verdict']}"
    return "; ".join(f"{name} {', '.join(said) if isinstance(said, list) else said}" for name, said in value.items())


@dataclass(frozen=True)
class Flip:
    """An example whose verdict is another one now, at the places where it went the same way."""

    rule_id: str
    prompt: str
    jurisdictions: tuple[str, ...]
    before: Verdict
    after: Verdict


@dataclass(frozen=True)
class RuleChange:
    """What became of one rule."""

    rule_id: str
    title: str
    kind: Literal["added", "removed", "changed"]
    version_before: str | None
    version_after: str | None
    fields: tuple[FieldChange, ...]
    """What changed, in the order of the schema; empty for a rule that came or went."""
    flips: tuple[Flip, ...]
    change_class: ChangeClass
    reason: str
    """Why it is of this class."""
    problem: str = ""
    """What is wrong with its version; empty where it is right."""
    hint: str = ""

    @property
    def versions(self) -> str:
        """`1.0.0 → 2.0.0`, or the one version of a rule that came or went."""
        return " → ".join(version for version in (self.version_before, self.version_after) if version)


@dataclass(frozen=True)
class CategoryChange:
    """What became of one category."""

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
    """What makes it of this class, the rules or categories by name."""
    categories: tuple[CategoryChange, ...]
    jurisdictions_added: tuple[str, ...]
    jurisdictions_removed: tuple[str, ...]
    rules: tuple[RuleChange, ...]
    """Sorted by id; rules that are the same are not among them."""
    in_force: dict[str, Delta]
    """Rules in force anywhere, by category, where their number changed."""
    tokens: Delta
    """Of all rules in force as a look-up shows them."""
    examples: Delta

    @property
    def flips(self) -> tuple[Flip, ...]:
        """All of them, by rule."""
        return tuple(flip for rule in self.rules for flip in rule.flips)

    @property
    def problems(self) -> tuple[RuleChange, ...]:
        """The rules whose version does not say what changed."""
        return tuple(rule for rule in self.rules if rule.problem)

    def of_kind(self, kind: str) -> tuple[RuleChange, ...]:
        """The rules that were `added`, `removed` or `changed`."""
        return tuple(rule for rule in self.rules if rule.kind == kind)

    def to_json(self) -> dict[str, Any]:
        """The diff for programs."""
        return {"schema": "ascl.rules-diff/1", **asdict(self), "flips": len(self.flips)}


def diff_corpora(old: Corpus, new: Corpus, at: date) -> RuleDiff:
    """What changed from `old` to `new`, with the verdicts of that day."""
    before, after = ({rule.id: rule for rule in corpus.rules} for corpus in (old, new))
    flips = _flips(old, new, at)
    rules = tuple(
        change
        for rule_id in sorted(before.keys() | after.keys())
        if (change := _rule_change(before.get(rule_id), after.get(rule_id), tuple(f for f in flips if f.rule_id == rule_id)))
    )
    categories = tuple(_categories(old.categories, new.categories))
    places = [set(corpus.jurisdictions) for corpus in (old, new)]
    added, removed = tuple(sorted(places[1] - places[0])), tuple(sorted(places[0] - places[1]))
    found = [*_structure(categories, added, removed), *((rule.change_class, f"{rule.rule_id} {rule.reason}") for rule in rules)]
    change_class = max((one for one, _ in found), key=lambda one: one.reach, default=ChangeClass.NONE)
    counts = [Counter(rule.category for rule in _in_force(corpus, at)) for corpus in (old, new)]
    return RuleDiff(
        old.digest,
        new.digest,
        change_class,
        tuple(reason for one, reason in found if one is change_class),
        categories,
        added,
        removed,
        rules,
        {name: Delta(a, b) for name in sorted({*counts[0], *counts[1]}) if (a := counts[0][name]) != (b := counts[1][name])},
        Delta(_tokens(old, at), _tokens(new, at)),
        Delta(_examples(old), _examples(new)),
    )


def _examples(corpus: Corpus) -> int:
    return sum(len(rule.examples) for rule in corpus.rules)


def _tokens(corpus: Corpus, at: date) -> int:
    return sum(count_tokens(render_rule(rule)) for rule in _in_force(corpus, at))


def _in_force(corpus: Corpus, at: date) -> list[Rule]:
    return [rule for rule in corpus.rules if any(rule.in_force(at, place) for place in corpus.jurisdictions)]


def _structure(categories: Sequence[CategoryChange], added: Sequence[str], removed: Sequence[str]) -> Iterator[tuple[ChangeClass, str]]:
    for one in categories:
        wording = one.kind in ("renamed", "reassigned")
        yield (ChangeClass.WORDING if wording else ChangeClass.STRUCTURAL), f"category {one.category} {one.kind}"
    for word, places in (("added", added), ("removed", removed)):
        for place in places:
            yield ChangeClass.STRUCTURAL, f"jurisdiction {place} {word}"


def _categories(old: dict[str, Category], new: dict[str, Category]) -> Iterator[CategoryChange]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            yield CategoryChange(name, "added" if before is None else "removed", _told(before), _told(after))
        elif set(before.hazards) != set(after.hazards):
            yield CategoryChange(name, "re-mapped", _told(before), _told(after))
        elif (before.name, before.title) != (after.name, after.title):
            yield CategoryChange(name, "renamed", f"{before.name}: {before.title}", f"{after.name}: {after.title}")
        elif set(before.areas) != set(after.areas):
            yield CategoryChange(name, "reassigned", _listed(before.areas), _listed(after.areas))


def _listed(areas: Sequence[str]) -> str:
    return ", ".join(areas) or "no area"


def _told(category: Category | None) -> str:
    return "" if category is None else f"{category.title} ({', '.join(category.hazards)})"


def _rule_change(before: Rule | None, after: Rule | None, flips: tuple[Flip, ...]) -> RuleChange | None:
    if before is None or after is None:
        rule = after or before
        assert rule is not None
        kind: Literal["added", "removed"] = "added" if before is None else "removed"
        active = rule.status == "active"
        change_class = ChangeClass.STRUCTURAL if active else ChangeClass.WORDING
        was, now = (None, rule.version) if before is None else (rule.version, None)
        reason = kind if active else f"{kind}, and is not active"
        return RuleChange(rule.id, rule.title, kind, was, now, (), flips, change_class, reason)
    fields = tuple(_fields(before, after))
    bump = bump_of(before.version, after.version)
    if not fields and bump is Bump.NONE:
        return None
    change_class, reason = _class_of({field.field for field in fields}, flips, bump)
    problem, hint = _version_problem({field.field for field in fields}, flips, bump, before, after)
    return RuleChange(before.id, after.title, "changed", before.version, after.version, fields, flips, change_class, reason, problem, hint)


def _fields(before: Rule, after: Rule) -> Iterator[FieldChange]:
    a, b = before.model_dump(mode="json"), after.model_dump(mode="json")
    yield from (FieldChange(name, a[name], b[name]) for name in Rule.model_fields if name != "version" and a[name] != b[name])


def _class_of(fields: set[str], flips: tuple[Flip, ...], bump: Bump) -> tuple[ChangeClass, str]:
    if "category" in fields:
        return ChangeClass.STRUCTURAL, "moved to another category"
    if flips:
        return ChangeClass.VERDICT, f"flips the verdict of {len(flips)} example{'' if len(flips) == 1 else 's'}"
    deciding = [name for name in (*_DECIDING, *_GUIDING) if name in fields]
    if deciding:
        return ChangeClass.VERDICT, f"changes {', '.join(deciding)}"
    if bump is Bump.MAJOR:
        return ChangeClass.VERDICT, "declares by its major version that a verdict may flip"
    return ChangeClass.WORDING, f"changes {', '.join(sorted(fields))}" if fields else "has another version and the same content"


def bump_of(before: str, after: str) -> Bump:
    """What was raised between two semantic versions.

    >>> bump_of("1.2.3", "2.0.0").name, bump_of("1.2.3", "1.2.4").name, bump_of("1.2.3", "1.1.9").name
    ('MAJOR', 'PATCH', 'BACK')
    """
    a, b = (tuple(map(int, version.split("."))) for version in (before, after))
    if a == b:
        return Bump.NONE
    if b < a:
        return Bump.BACK
    return Bump.MAJOR if b[0] > a[0] else Bump.MINOR if b[1] > a[1] else Bump.PATCH


def _version_problem(fields: set[str], flips: tuple[Flip, ...], bump: Bump, before: Rule, after: Rule) -> tuple[str, str]:
    """What is wrong with the version, and the hint; two empty texts where it is right."""
    major, minor, patch = map(int, before.version.split("."))
    if bump is Bump.BACK:
        return f"the version went back from {before.version} to {after.version}", f"raise it above {before.version}"
    if flips and bump is not Bump.MAJOR:
        flip = flips[0]
        told = f"{flip.prompt!r} is {flip.after} in {', '.join(flip.jurisdictions)} and was {flip.before}"
        said = f"a verdict flips and the version goes from {before.version} to {after.version}: {told}"
        return said, f"raise it to {major + 1}.0.0"
    if "policy" in fields and bump is not Bump.MAJOR:
        return f"the policy changed and the version goes from {before.version} to {after.version}", f"raise it to {major + 1}.0.0"
    if fields.intersection((*_DECIDING, *_GUIDING)) and bump < Bump.MINOR:
        named = ", ".join(name for name in (*_DECIDING, *_GUIDING) if name in fields)
        return (
            f"guidance changed ({named}) and the version goes from {before.version} to {after.version}",
            f"raise it to {major}.{minor + 1}.0",
        )
    if fields and bump is Bump.NONE:
        return f"the content changed and the version is still {before.version}", f"raise it to {major}.{minor}.{patch + 1}"
    return "", ""


def _flips(old: Corpus, new: Corpus, at: date) -> list[Flip]:
    """Over all examples of both corpora and all places that both know; of a rule that both have."""
    common = {rule.id for rule in old.rules} & {rule.id for rule in new.rules}
    examples = [(rule, example) for corpus in (old, new) for rule in corpus.rules for example in rule.examples if rule.id in common]
    asked = {(rule.id, _key(example.prompt)): example.prompt for rule, example in examples}
    typical = {(rule.id, _key(example.prompt)) for rule, example in examples if example.verdict is rule.policy}
    found: dict[tuple[str, str, Verdict, Verdict], list[str]] = defaultdict(list)
    for place in sorted(set(old.jurisdictions) & set(new.jurisdictions)):
        before, after = _verdicts(old, at, place), _verdicts(new, at, place)
        for (rule_id, key), prompt in asked.items():
            if (rule_id, key) in typical:
                a, b = (said.examples.get(key, said.policies.get(rule_id, UNDECIDED)) for said in (before, after))
            else:  # it shows where the rule ends: only a corpus that has it says what it is
                a, b = (said.examples.get(key, "") for said in (before, after))
            if a and b and a != b:
                found[rule_id, prompt, a, b].append(place)
    return [Flip(rule_id, prompt, tuple(there), a, b) for (rule_id, prompt, a, b), there in found.items()]


@dataclass(frozen=True)
class _Verdicts:
    """What a corpus says at one place and day."""

    examples: dict[str, Verdict]
    """By prompt: that of the rule of highest precedence that has it."""
    policies: dict[str, Verdict]
    """By rule in force: it decides what is typical of the rule and no example of this corpus."""


def _verdicts(corpus: Corpus, at: date, place: str) -> _Verdicts:
    rules = sorted(corpus.active(at, place), key=lambda rule: rule.precedence)
    examples = {_key(example.prompt): str(example.verdict) for rule in rules for example in rule.examples}
    return _Verdicts(examples, {rule.id: str(rule.policy) for rule in rules})


def _key(prompt: str) -> str:
    return fold(prompt).casefold()
