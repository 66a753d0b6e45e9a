"""Areas of harm: how many rules each area of the taxonomy has, by category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date

from ascl_core.rules.corpus import Rule, Taxonomy


def count_by_area(taxonomy: Taxonomy, rules: Iterable[Rule], at: date) -> dict[str, dict[str, int]]:
    """Return area id to category id to the number of rules in force anywhere on that day; an area without rules is empty.

    A category that belongs to several areas counts in each of them.
    """
    in_force = (rule for rule in rules if any(rule.in_force(at, place) for place in taxonomy.jurisdictions))
    counts = Counter(rule.category for rule in in_force)
    return {
        area: {key: counts[key] for key, category in taxonomy.categories.items() if area in category.areas and counts[key]}
        for area in taxonomy.areas
    }
