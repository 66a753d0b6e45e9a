"""Why an endpoint refuses a question, by the words of its error: a field that the model does not take, a filter, or the length."""

from __future__ import annotations

import re
from typing import Any

FILTERED, TOO_LONG = "filtered", "too long for the model"
LIMITS = ("max_tokens", "max_completion_tokens")
_ADAPTABLE = (*LIMITS, "temperature", "seed")
"""Fields of a request that some models refuse, and without which the question is still the same."""
_UNSUPPORTED = re.compile(
    r"(?:not|n't) (?:be )?support|unsupported|not permitted|extra_forbidden|unrecogni[sz]ed|unknown|unexpected|deprecated", re.I
)
_WRONG_VALUE = re.compile(r"(?:must|should|can|has to|needs to) (?:only )?be|invalid|range|allowed|only|at (?:least|most)|strictly", re.I)
_MOST = re.compile(
    r"(?:at most|up to|or equal to|<=|≤|(?P<below>less than|below|<)|max(?:imum)?(?: allowed)?(?: value)?(?: of| is)?|limit(?: of| is)?"
    r"|exceeds?|(?:greater|larger|more|higher) than|>|[\[(]\s*\d+\s*,|between \d+ and|from \d+[^\d]{0,16}to)"
    r"[\s:=`'\"\\]*(?P<most>\d+)\b(?!\s*-)",
    re.I,
)
"""The most tokens of an answer that an error says a model gives."""
_OF_THE_PROMPT = re.compile(r"context length|\b(?:prompt|messages)\b", re.I)
STATUSES = (400, 403, 404, 413, 422, 451)
"""Those with which a server refuses one question, or all of them."""
_FILTER_MESSAGE = re.compile(
    r"content[_ -]?(?:filter|policy|management|exists risk|blocked|violat|safety)|moderation|responsible.?ai|flagged"
    r"|safety (?:system|polic)|inappropriate|guardrail|sensitive ?(?:content|information|word)"
    r"|usage guidelines|data_inspection|prohibited content",
    re.I,
)
_LENGTH_MESSAGE = re.compile(
    r"context[_ ](?:length|window|size)|maximum context|too long|too many (?:input )?tokens|above_max_length"
    r"|(?:token|context|input|prompt)[^\"{}]{0,80}exceed|exceed[^\"{}]{0,80}(?:token|context|input|prompt)|inputs?\W+(?:tokens|must have)",
    re.I,
)


def refusal_of(status: int, text: str) -> str | None:
    """Return whether a filter or the length is the reason; None where the error says neither."""
    if status == 451 or _FILTER_MESSAGE.search(text):
        return FILTERED
    return TOO_LONG if status == 413 or _LENGTH_MESSAGE.search(text) else None


def refused_field(text: str, param: str | None, body: dict[str, Any]) -> tuple[str, int | None] | None:
    """Return the field of the request that the error says the model does not take, if the question is the same without it.

    With it, the most that the model takes of a field that is a limit: a limit is lowered, and left out only where there can be none.
    """
    named = [name for name in _ADAPTABLE if name in body and (name == param or re.search(rf"(?<!\w){name}(?!\w)", text))]
    name = param if param in named else next(iter(named), None)
    if name is None or _FILTER_MESSAGE.search(text):
        return None
    if _UNSUPPORTED.search(text):
        return name, None
    if name not in LIMITS:
        return (name, None) if _WRONG_VALUE.search(text) else None
    bounds = [int(found["most"][:9]) - bool(found["below"] or "exclusive" in text) for found in _MOST.finditer(text)]
    most = max((bound for bound in bounds if 0 < bound < body[name]), default=None)
    return None if most is None or _OF_THE_PROMPT.search(text) else (name, most)
