"""How often a look-up in a public prompt's own words finds the right rules: `python benchmarks/public_lookup.py`.

Over the training sources of the profile `small` that have categories and no rules of their own, every row of them:

    category     the best rule of all categories is of the data set's (first) category
    of 3         one of the best three is
    in category  the best rule of that category decides as the data set says; without it the teacher takes the next that does
    some rule    the category has a rule that does at all
    by its query the teacher's call, with the query of the rule that it takes, brings that rule back first
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ascl_core.config.profiles import resolve_profile
from ascl_core.contracts import Prompt
from ascl_core.data.resolve import resolve
from ascl_core.data.sources import load_source
from ascl_core.evaluation.intervals import proportion
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Rule
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.sft.templated_teacher import TemplatedTeacher

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print the shares of each source with their 95 % intervals (Wilson)."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = resolve_profile(ROOT, "small")
    corpus = check_folder(ROOT / "tests/corpus/rules", params.rules).corpus
    assert corpus is not None, "ascl rules check"
    teacher = TemplatedTeacher(corpus, params.conversation, RuleIndex(corpus, params.rules.at))
    for source in params.curate.sources:
        rows = load_source(source.model_copy(update={"max_rows": None}), ROOT / "tests/corpus/raw", corpus)
        prompts = [p for p in resolve(rows, corpus, params.rules.at) if p.category is not None and p.rule_id is None]
        if prompts:
            print(f"{source.name}, {len(prompts)} prompts")
            for name, hits in measure(teacher, prompts).items():
                found = proportion(hits)
                assert found is not None
                print(f"  {name:<13} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")


def measure(teacher: TemplatedTeacher, prompts: Sequence[Prompt]) -> dict[str, list[bool]]:
    """Hits and misses by what is asked."""
    anywhere = [_look_up(teacher, prompt, None, prompt.prompt, 3) for prompt in prompts]
    inside = [_look_up(teacher, prompt, prompt.category, prompt.prompt, 1) for prompt in prompts]
    taken = [(prompt, rule) for prompt in prompts if (rule := teacher.rule_of(prompt)) is not None]
    return {
        "category": [bool(rules) and rules[0].category == prompt.category for prompt, rules in zip(prompts, anywhere, strict=True)],
        "of 3": [prompt.category in {rule.category for rule in rules} for prompt, rules in zip(prompts, anywhere, strict=True)],
        "in category": [
            bool(rules) and rules[0].policy.prompt_type is prompt.prompt_type for prompt, rules in zip(prompts, inside, strict=True)
        ],
        "some rule": [teacher.rule_of(prompt) is not None for prompt in prompts],
        "by its query": [_look_up(teacher, prompt, rule.category, rule.query, 1) == (rule,) for prompt, rule in taken],
    }


def _look_up(teacher: TemplatedTeacher, prompt: Prompt, category: str | None, query: str, limit: int) -> tuple[Rule, ...]:
    return teacher.index.lookup(category=category, query=query, jurisdiction=prompt.jurisdiction, limit=limit)


if __name__ == "__main__":
    main()
