"""What a backtest says: counts over all requests and for each rule, examples, and the rows of changed answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ascl_core.backtest.look_ups import LookedUp
from ascl_core.backtest.replay import Answer, Replayed
from ascl_core.backtest.traffic import Traffic
from ascl_core.vocabulary import Refusal

DIRECTIONS = ("refusal_to_help", "help_to_refusal")
EXAMPLES = 3
_NO_RULE = ""
"""The rule of a changed answer that no rule explains."""


def summarise(traffic: Traffic, looked_up: Sequence[LookedUp], replayed: Sequence[Replayed], differing: frozenset[str]) -> dict[str, Any]:
    """Return the figures. Every count is of recorded requests; `distinct` and `replayed` count each prompt once in a jurisdiction."""
    changed = [one for one in replayed if one.is_changed]
    return {
        "forms": traffic.forms,
        "requests": _count(looked_up),
        "distinct": len(looked_up),
        "not_consented": traffic.not_consented,
        "without_text": traffic.without_text,
        "redacted": traffic.redacted,
        "look_ups_changed": _count([one for one in looked_up if one.is_changed]),
        "replayed": len(replayed),
        "answers_changed": _count([one.looked_up for one in changed]),
        **{name: _count([one.looked_up for one in changed if one.direction == name]) for name in DIRECTIONS},
        "not_judged": _count([one.looked_up for one in replayed if Refusal.UNKNOWN in (one.old.refusal, one.new.refusal)]),
        "tokens": sum(one.old.num_tokens + one.new.num_tokens for one in replayed),
        "rules": list(_by_rule(looked_up, changed, differing)),
    }


def changed_rows(replayed: Sequence[Replayed], differing: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield a row for each changed answer, in the order of the requests."""
    for one in replayed:
        if one.is_changed:
            yield {**_example(one), "rules": sorted(one.rules(differing))}


def _by_rule(looked_up: Sequence[LookedUp], changed: Sequence[Replayed], differing: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield the figures of each rule, those with the most changed answers first; a request counts for each of its rules."""
    found: dict[str, list[LookedUp]] = defaultdict(list)
    answers: dict[str, list[Replayed]] = defaultdict(list)
    for one in looked_up:
        for rule in one.rules:
            found[rule].append(one)
    for replay in changed:
        for rule in replay.rules(differing) or {_NO_RULE}:
            answers[rule].append(replay)
    rows = [_of_rule(rule, found[rule], answers[rule]) for rule in sorted({*found, *answers})]
    yield from sorted(rows, key=lambda row: (-row["answers_changed"], -row["look_ups_changed"]))


def _of_rule(rule: str, found: Sequence[LookedUp], answers: Sequence[Replayed]) -> dict[str, Any]:
    telling = sorted(answers, key=lambda one: (one.direction is None, -one.looked_up.request.number))
    return {
        "rule": rule or None,
        "look_ups_changed": _count(found),
        "answers_changed": _count([one.looked_up for one in answers]),
        **{name: _count([one.looked_up for one in answers if one.direction == name]) for name in DIRECTIONS},
        "examples": [_example(one) for one in telling[:EXAMPLES]],
    }


def _example(one: Replayed) -> dict[str, Any]:
    request = one.looked_up.request
    return {
        "id": request.id,
        "prompt": request.prompt,
        "jurisdiction": request.jurisdiction,
        "requests": request.number,
        "change": one.direction,
        "old": _side(one.old, one.looked_up.old),
        "new": _side(one.new, one.looked_up.new),
    }


def _side(answer: Answer, found: dict[str, str]) -> dict[str, Any]:
    return {"answer": answer.text, "refusal": str(answer.refusal), "consulted": list(answer.consulted), "found": list(found)}


def _count(looked_up: Sequence[LookedUp]) -> int:
    return sum(one.request.number for one in looked_up)
