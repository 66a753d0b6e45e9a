"""Gold answers are tried when they are loaded: one that would count as wrong itself makes every response wrong."""

from __future__ import annotations

from ascl_core.data.raw_prompt import clean
from ascl_core.data.row import Row
from ascl_core.rewards.answers import ANSWER_KINDS, kind_of, verify


def checked_kind(row: Row, gold: str, kind: str | None, choices: str | None, column: str | None) -> str:
    """Return the kind of a gold answer, an error unless the answer counts as right when it is given as a response.

    Without a kind it follows from the answer; what is no mathematics after all is text.
    """
    if kind is not None and kind not in ANSWER_KINDS:
        raise row.error("no kind of answer", column="answer_kind", value=kind, hint=f"one of {', '.join(ANSWER_KINDS)}, or nothing")
    kinds = [kind] if kind else [kind_of(gold, choices), "text"]
    for found in kinds:
        if clean(gold) and verify(gold, gold, found, choices)[0]:
            return found
    kind = kinds[0]
    hint = f"one letter of {choices or 'ABCDE'}" if kind == "choice" else "write the final answer alone, or give it another answer_kind"
    raise row.error(f"as an answer of kind {kind}, the gold answer would count as wrong itself", column=column, value=gold, hint=hint)
