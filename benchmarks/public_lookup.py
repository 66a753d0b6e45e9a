"""Measure how often a look-up with a public prompt's own words finds the right rules: `python benchmarks/public_lookup.py`.

It takes every row of those training sources of the profile `small` that have categories but no rules. The look-up gets only the prompt,
unless a line says otherwise:

    found        the best rule is of a category that fits any of the prompt's labels: one label may span several categories of the rules
                 (STAR-1 files drugs, fraud, intrusion and gambling under "illicit / criminal behavior"); the data set's file in
                 `ascl_core/catalogue/` lists them
    found in 3   one of the best three is
    category     the best rule is of the first of these categories, which is the prompt's in training
    of 3         one of the best three is
    hazard       the best rule's category has an MLCommons hazard in common with that first category
    hazard of 3  one of the best three has
    policy       the best rule decides as the data set says
    in category  the best rule of the first category does; otherwise the teacher takes the next that does
    some rule    the category has a rule that does at all
    by its query the teacher's call, with the query of the rule that it takes, brings that rule back first

`--set retrieval.backend=dense --set retrieval.model=FOLDER` measures another backend. `--half` measures one half of the prompts, by
content hash. The ranking was chosen on the half `a`, so the half `b` shows its quality on prompts that had no part in the choice.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ascl_core.catalogue import dataset, names
from ascl_core.config.profiles import resolve_profile
from ascl_core.contracts import Prompt
from ascl_core.data.resolve import resolve
from ascl_core.data.shaped import prompts_with_categories
from ascl_core.evaluation.intervals import proportion
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus, Rule
from ascl_core.rules.index import Indexer
from ascl_core.sft.templated_teacher import TemplatedTeacher

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print the shares of each source with their 95 % intervals (Wilson)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="change a parameter of `small`")
    parser.add_argument("--half", choices=("a", "b"), help="one half of the prompts (default: all)")
    parser.add_argument("--rules", type=Path, default=ROOT / "tests/corpus/rules", help="a folder of rules (default: the frozen ones)")
    given = parser.parse_args()
    params = resolve_profile(ROOT, "small", given.settings)
    corpus = check_folder(given.rules, params.rules).corpus
    assert corpus is not None, "ascl rules check"
    index = Indexer(params.retrieval).index(corpus, params.rules.at)
    print(f"{len(corpus.rules)} rules, {params.retrieval.backend}, index {index.digest[:12]}")
    teacher = TemplatedTeacher(corpus, params.conversation, index.rules)
    for source in params.curate.sources:
        if source.format not in names():
            continue
        rows = list(prompts_with_categories(source, dataset(source.format)))
        prompts = [prompt for prompt in resolve([row for row, _ in rows], corpus, params.rules.at) if prompt.category is not None]
        prompts = [prompt for prompt in prompts if given.half in (None, half_of(prompt))]
        if prompts:
            print(f"{source.name}, {len(prompts)} prompts")
            for name, hits in measure(teacher, prompts, {row.prompt: frozenset(fitting) for row, fitting in rows}).items():
                found = proportion(hits)
                assert found is not None
                print(f"  {name:<13} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")


def half_of(prompt: Prompt) -> str:
    """Return the half that a prompt is in."""
    return "ab"[int(hashlib.sha256(prompt.prompt.encode()).hexdigest(), 16) % 2]


def measure(teacher: TemplatedTeacher, prompts: Sequence[Prompt], fitting: Mapping[str, frozenset[str]]) -> dict[str, list[bool]]:
    """Return hits and misses for each question; `fitting` are the categories that fit each prompt's text."""
    anywhere = [_look_up(teacher, prompt, None, prompt.prompt, 3) for prompt in prompts]
    inside = [_look_up(teacher, prompt, prompt.category, prompt.prompt, 1) for prompt in prompts]
    taken = [(prompt, rule) for prompt in prompts if (rule := teacher.rule_of(prompt)) is not None]
    asked = list(zip(prompts, anywhere, strict=True))
    hazards = {prompt.category: _hazards(teacher.corpus, str(prompt.category)) for prompt in prompts}
    found = [[_hazards(teacher.corpus, rule.category) for rule in rules] for rules in anywhere]
    fits = [[rule.category in fitting[prompt.prompt] for rule in rules] for prompt, rules in asked]
    return {
        "found": [any(each[:1]) for each in fits],
        "found in 3": [any(each) for each in fits],
        "category": [bool(rules) and rules[0].category == prompt.category for prompt, rules in asked],
        "of 3": [prompt.category in {rule.category for rule in rules} for prompt, rules in asked],
        "hazard": [any(hazards[prompt.category] & each for each in sets[:1]) for prompt, sets in zip(prompts, found, strict=True)],
        "hazard of 3": [any(hazards[prompt.category] & each for each in sets) for prompt, sets in zip(prompts, found, strict=True)],
        "policy": [bool(rules) and rules[0].policy.prompt_type is prompt.prompt_type for prompt, rules in asked],
        "in category": [
            bool(rules) and rules[0].policy.prompt_type is prompt.prompt_type for prompt, rules in zip(prompts, inside, strict=True)
        ],
        "some rule": [teacher.rule_of(prompt) is not None for prompt in prompts],
        "by its query": [_look_up(teacher, prompt, rule.category, rule.query, 1) == (rule,) for prompt, rule in taken],
    }


def _hazards(corpus: Corpus, category: str) -> frozenset[str]:
    return frozenset(corpus.categories[category].hazards)


def _look_up(teacher: TemplatedTeacher, prompt: Prompt, category: str | None, query: str, limit: int) -> tuple[Rule, ...]:
    return teacher.index.lookup(category=category, query=query, jurisdiction=prompt.jurisdiction, limit=limit)


if __name__ == "__main__":
    main()
