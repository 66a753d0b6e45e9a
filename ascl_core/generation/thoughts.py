"""Thoughts in the text of a reply, in the marks of many families of models, from servers that do not separate them."""

from __future__ import annotations

import re

CHANNEL = "<|channel|>"
"""A token of the harmony format, in which the answer's channel can be found only if special tokens are kept."""
_MARK = re.compile(
    r"(?i)[<◁]\|?(?P<end>/|end[_ ](?:of_)?)?(?:\w[\w:]*[:_])?"
    r"(?:think(?:ing)?|thoughts?|reasoning|analysis|reflection|scratchpad|monologue)(?:\s[^<>]*)?\|?[>▷]"
    r"|\[(?P<closes>/)?THINK(?:ING)?\]|<\|channel>thought|(?P<leaves><channel\|>)"
)
"""What opens or ends a thought: `<think>`, `</thinking>`, `[THINK]`, `◁/think▷`, `<|begin_of_thought|>`, `<channel|>` and their like."""
_FINAL = re.compile(r"<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_BARE_ANALYSIS = re.compile(r"\s*analysis(?=[A-Z\"'{<\[])(?:.*assistantfinal|.*)", re.DOTALL)
"""The thought of the harmony format from a server that leaves its special tokens out."""


def answer_of(text: str) -> str:
    """Return the text after any thinking; nothing of a thought that has no end.

    >>> answer_of("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>")
    'Yes.'
    >>> answer_of("<think>Hm.</think> Yes."), answer_of("[THINK]Hm.[/THINK] Yes."), answer_of("analysisHm.assistantfinalYes.")
    (' Yes.', ' Yes.', 'Yes.')
    >>> answer_of("<thinking>Yes."), answer_of("◁think▷Yes."), answer_of("<|channel|>analysis<|message|>Yes.")
    ('', '', '')
    """
    if CHANNEL in text:
        *_, final = _FINAL.split(text)
        return re.split(r"<\|[a-z]+\|>", final)[0] if _FINAL.search(text) else ""
    said = _BARE_ANALYSIS.sub("", text, count=1) if _BARE_ANALYSIS.match(text) else text
    marks = list(_MARK.finditer(said))
    start = max((mark.end() for mark in marks if _ends(mark)), default=0)
    return said[start : min((mark.start() for mark in marks if mark.start() >= start), default=len(said))]


def split_thought(text: str) -> tuple[str, str]:
    """Return the thought with which a reply begins, and the rest; marks further on are part of what is said.

    >>> split_thought("[THINK]Hm.[/THINK] Yes."), split_thought("analysisHm.assistantfinalYes."), split_thought("<thinking>Hm.")
    (('Hm.', ' Yes.'), ('Hm.', 'Yes.'), ('Hm.', ''))
    >>> split_thought("Write <thinking> before it.")
    ('', 'Write <thinking> before it.')
    """
    if bare := _BARE_ANALYSIS.match(text):
        return bare[0].strip().removeprefix("analysis").removesuffix("assistantfinal"), text[bare.end() :]
    opened = _MARK.match(text, len(text) - len(text.lstrip()))
    if opened is None or _ends(opened):
        return "", text
    closed = next(filter(_ends, _MARK.finditer(text, opened.end())), None)
    if closed is None:
        return text[opened.end() :].strip(), ""
    return text[opened.end() : closed.start()].strip(), text[closed.end() :]


def _ends(mark: re.Match[str]) -> bool:
    return bool(mark["end"] or mark["closes"] or mark["leaves"])
