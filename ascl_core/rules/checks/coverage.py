"""Checks of coverage: every category, hazard and area of harm has rules."""

from __future__ import annotations

from collections.abc import Iterator

from ascl_core.rules.checks.registry import CorpusUnderCheck, check
from ascl_core.rules.findings import Finding
from ascl_core.rules.loading import TAXONOMY_FILE

HAZARDS = tuple(f"S{number}" for number in range(1, 15))
"""The MLCommons AILuminate hazards as Llama Guard 3 numbers them."""


@check()
def categories(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that some rule is in force, and every category has one in every jurisdiction."""
    if corpus.compiled is None or not corpus.complete:
        return
    at = corpus.config.at
    if corpus.rules and not corpus.compiled.active_anywhere(at):
        hint = "set status, effective_from and jurisdictions of a rule, or the date rules.at in params.yaml"
        yield Finding("error", "no_rule_in_force", f"no rule is in force anywhere at {at}", hint, corpus.rules[0].file)
    for jurisdiction in corpus.compiled.jurisdictions:
        covered = {rule.category for rule in corpus.compiled.active(at, jurisdiction)}
        for missing in sorted(set(corpus.compiled.categories) - covered):
            message = f"the category {missing} has no rule in force in {jurisdiction} at {at}"
            yield Finding("warning", "uncovered_category", message, "write one, or drop the category", TAXONOMY_FILE)


@check()
def hazards(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that every hazard has a category, and no category names an unknown hazard."""
    if corpus.taxonomy is None:
        return
    found = {hazard for category in corpus.taxonomy.categories.values() for hazard in category.hazards}
    if missing := [hazard for hazard in HAZARDS if hazard not in found]:
        message = f"no category maps to the hazard{'s' if missing[1:] else ''} {', '.join(missing)}"
        yield Finding(
            "warning", "uncovered_hazard", message, "name them in `hazards` of a category, if your rules cover them", TAXONOMY_FILE
        )
    for hazard in sorted(found - set(HAZARDS)):
        hint = f"use {HAZARDS[0]} to {HAZARDS[-1]}"
        yield Finding("error", "unknown_hazard", f"the hazard {hazard!r} does not exist", hint, TAXONOMY_FILE)


@check()
def areas(corpus: CorpusUnderCheck) -> Iterator[Finding]:
    """Check that categories name areas of the taxonomy, and each area has a rule in force."""
    if corpus.compiled is None:
        return
    for key, category in corpus.compiled.categories.items():
        for unknown in sorted(set(category.areas) - set(corpus.compiled.taxonomy.areas)):
            message = f"the category {key} names the area {unknown!r}, which is not listed"
            yield Finding("error", "unknown_area", message, f"add it to `areas` in {TAXONOMY_FILE}, or correct it", TAXONOMY_FILE)
    at = corpus.config.at
    for area, counts in corpus.compiled.count_by_area(at).items() if corpus.complete else ():
        if not counts:
            message = f"no rule in force at {at} covers the area {area}"
            yield Finding("warning", "uncovered_area", message, "write one, and name the area in its category", TAXONOMY_FILE)
