"""The category of a prompt that names neither a rule nor a category: that of the nearest rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import date

from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.ranking import WordRanker
from ascl_core.vocabulary import PromptType


def with_categories(rows: Iterable[RawPrompt], corpus: Corpus, at: date) -> Iterator[RawPrompt]:
    """Yield the rows; one without rule and category gets the category of the rule in force that its words find first (BM25).

    Rules that decide as the row's type says go before all others. A row that has no word in common with a rule stays without a category,
    and so does a utility prompt.
    """
    rules = corpus.active_anywhere(at)
    ranker: WordRanker | None = None
    for row in rows:
        if row.rule_id or row.category or row.prompt_type is PromptType.UTILITY:
            yield row
            continue
        ranker = ranker or WordRanker(rules)
        found = [rules[position] for position, _ in ranker.rank(row.prompt, len(rules))]
        found.sort(key=lambda rule: rule.policy.prompt_type is not row.prompt_type)  # stable: the nearest of each kind stays first
        yield dataclasses.replace(row, category=found[0].category) if found else row
