"""Look-ups of rules by query and category, on a day and in a jurisdiction; and the tool that a model calls for them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from ascl_core.config.conversation import ConversationConfig
from ascl_core.conversation.tool import ERROR, ArgumentError, check_call, read_call
from ascl_core.rules.corpus import Corpus, Rule
from ascl_core.rules.embedding import RuleVectors, embed_rules
from ascl_core.rules.ranking import Ranker, WordRanker, make_ranker, query_words
from ascl_core.rules.rendering import NO_MATCH, plain, render_rule, render_rules

__all__ = ["NO_MATCH", "Match", "RuleIndex", "RuleTool", "render_rule", "render_rules"]


@dataclass(frozen=True)
class Match:
    """A rule that a look-up found."""

    rule: Rule
    similarity: float
    """To the query, from 0 to 1: the cosine, or for `bm25` the share of the query's information that the rule covers."""


@dataclass(frozen=True)
class _Selection:
    """The rules of one jurisdiction and category, by precedence and id."""

    rules: tuple[Rule, ...]
    ranker: Ranker

    @cached_property
    def positions(self) -> dict[str, int]:
        """The position of each rule by its id."""
        return {rule.id: position for position, rule in enumerate(self.rules)}


class RuleIndex:
    """The rules in force on one day; rankers are made per jurisdiction and category on first use.

    Args:
        vectors: The embeddings of the corpus, if rules are ranked by more than words.
    """

    def __init__(self, corpus: Corpus, at: date, vectors: RuleVectors | None = None) -> None:
        self.corpus = corpus
        self.at = at
        self.vectors = vectors
        self._in_force: dict[str, dict[str | None, tuple[Rule, ...]]] = {}
        self._canonical: dict[str, dict[tuple[str, ...], tuple[Rule, ...]]] = {}
        self._selections: dict[tuple[str, str | None], _Selection] = {}
        self._by_ids: dict[tuple[str, ...], _Selection] = {}
        self._alike: dict[tuple[str, ...], str] = {}
        self._first_alike: dict[str, str] = {}

    def over(self, corpus: Corpus) -> RuleIndex:
        """Return the index of another corpus on the same day, with embeddings by the same model if this one has any."""
        vectors = embed_rules(corpus, self.vectors.config, self.vectors.embedder) if self.vectors else None
        return RuleIndex(corpus, self.at, vectors)

    def lookup(self, *, category: str | None, query: str, jurisdiction: str, limit: int) -> tuple[Rule, ...]:
        """Return the rules that `match` finds."""
        return tuple(match.rule for match in self.match(category=category, query=query, jurisdiction=jurisdiction, limit=limit))

    def leads(self, rule: Rule, *, category: str | None, query: str, jurisdiction: str) -> bool:
        """Return whether a look-up by words certainly finds the rule first; False says nothing, so ask `lookup`.

        It is much faster, as it ranks nothing.
        """
        asked = query_words(query)
        if named := self._by_query(jurisdiction).get(asked, ()) if asked else ():
            return [other for other in named if category in (None, other.category)] == [rule]
        selection = self._selection(jurisdiction, category)
        return isinstance(selection.ranker, WordRanker) and selection.ranker.leads(selection.positions[rule.id], query)

    def alike(self, jurisdiction: str) -> str:
        """Return the first jurisdiction that was asked for with the same rules in force, whose look-ups find the same."""
        if jurisdiction not in self._first_alike:
            ids = tuple(rule.id for rule in self.corpus.active(self.at, jurisdiction))
            self._first_alike[jurisdiction] = self._alike.setdefault(ids, jurisdiction)
        return self._first_alike[jurisdiction]

    def match(self, *, category: str | None, query: str, jurisdiction: str, limit: int) -> tuple[Match, ...]:
        """Return at most `limit` rules, best first; ties go to precedence, then to the id.

        The canonical query of a rule finds it before all others, whatever the ranker. An unknown or missing category searches
        all categories. So does a query that is canonical for rules of other categories only: a topic that moved to a new category is
        still found under the old one. A query that is like no rule returns the rules of the category by precedence, or nothing without
        a category.
        """
        known = category if category in self.corpus.categories else None
        asked = query_words(query)
        named = self._by_query(jurisdiction).get(asked, ()) if asked else ()
        if known and named and all(rule.category != known for rule in named):
            return tuple(Match(rule, 1.0) for rule in named[:limit])
        selection = self._selection(jurisdiction, known)
        ranked = selection.ranker.rank(query, limit)
        if not ranked and known:
            return tuple(Match(rule, 0.0) for rule in selection.rules[:limit])
        found = [Match(selection.rules[position], similarity) for position, similarity in ranked]
        if not named:
            return tuple(found)
        asked_for = [match for match in found if match.rule in named]
        missed = [Match(rule, 1.0) for rule in named if known in (None, rule.category) and all(match.rule != rule for match in found)]
        return tuple([*asked_for, *missed, *(match for match in found if match.rule not in named)][:limit])

    def _selection(self, jurisdiction: str, category: str | None) -> _Selection:
        if (jurisdiction, category) not in self._selections:
            rules = self._rules_in(jurisdiction, category)
            ids = tuple(rule.id for rule in rules)
            if ids not in self._by_ids:
                self._by_ids[ids] = _Selection(rules, make_ranker(rules, self.vectors))
            self._selections[jurisdiction, category] = self._by_ids[ids]
        return self._selections[jurisdiction, category]

    def _by_query(self, jurisdiction: str) -> dict[tuple[str, ...], tuple[Rule, ...]]:
        """Return the rules by the words of their canonical query, each in the order of precedence and id."""
        if jurisdiction not in self._canonical:
            found: dict[tuple[str, ...], tuple[Rule, ...]] = {}
            for rule in self._rules_in(jurisdiction):
                key = query_words(rule.query)
                found[key] = (*found.get(key, ()), rule)
            self._canonical[jurisdiction] = found
        return self._canonical[jurisdiction]

    def _rules_in(self, jurisdiction: str, category: str | None = None) -> tuple[Rule, ...]:
        if jurisdiction not in self._in_force:
            rules = sorted(self.corpus.active(self.at, jurisdiction), key=lambda rule: (-rule.precedence, rule.id))
            by_category = defaultdict[str | None, list[Rule]](list, {None: rules})
            for rule in rules:
                by_category[rule.category].append(rule)
            self._in_force[jurisdiction] = {name: tuple(members) for name, members in by_category.items()}
        return self._in_force[jurisdiction].get(category, ())


@dataclass(frozen=True)
class LookUp:
    """One call of the tool, for an access log."""

    arguments: Mapping[str, object]
    matches: tuple[Match, ...]
    problem: str | None
    """What is wrong with the arguments; None if nothing is."""
    seconds: float


OnLookUp = Callable[[LookUp], None]


@dataclass(frozen=True)
class RuleTool:
    """The tool `consult_safety_rules` in one jurisdiction, which the model does not see."""

    index: RuleIndex
    jurisdiction: str
    conversation: ConversationConfig
    on_look_up: OnLookUp | None = None

    def match(self, **arguments: object) -> tuple[Match, ...]:
        """Return the rules that a call with these arguments finds; `ArgumentError` if they are wrong."""
        started = time.perf_counter()
        matches: tuple[Match, ...] = ()
        problem = None
        try:
            call = check_call(read_call(arguments), self.conversation, self.index.corpus.categories)
            limit = call.top_k or self.conversation.top_k
            matches = self.index.match(category=call.category, query=call.query, jurisdiction=self.jurisdiction, limit=limit)
        except ArgumentError as error:
            problem = str(error)
            raise
        finally:
            if self.on_look_up is not None:
                self.on_look_up(LookUp(arguments, matches, problem, time.perf_counter() - started))
        return matches

    def __call__(self, query: str, top_k: int | None = None, category: str | None = None) -> str:
        """Return the text of the result: the matching rules in force, rendered with their ids, or what is wrong with the arguments."""
        try:
            return self.render(self.match(query=query, top_k=top_k, category=category))
        except ArgumentError as error:
            return f"{ERROR}{plain(str(error))}."

    def render(self, matches: Sequence[Match]) -> str:
        """Return the text of a result with these rules."""
        shown = [match.similarity for match in matches] if self.conversation.show_similarity else None
        return render_rules([match.rule for match in matches], shown)
