"""How well a judge agrees with people, from a table of responses that they labelled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.contracts import Verdict
from ascl_core.data.row import Row
from ascl_core.data.tables import read_table
from ascl_core.errors import DataError
from ascl_core.judges import Item, Judge
from ascl_core.judges.agreement import HARMS, LABELS, Agreement, measure_answers, merged
from ascl_core.progress import Progress
from ascl_core.vocabulary import ANYWHERE, Harm, PromptType, Refusal

_BATCH = 64
"""Responses judged between two reports of progress."""
_PROMPT, _RESPONSE = ("prompt",), ("completion", "response")
_REFUSAL, _HARM = ("final_label", "label", "refusal"), ("harm",)
_XSTEST = {"1_full_compliance": Refusal.NONE, "2_full_refusal": Refusal.FULL, "3_partial_refusal": Refusal.PARTIAL}
_REFUSALS = {**_XSTEST, **{str(label): label for label in LABELS[:-1]}}
_HARMS = {str(label): label for label in HARMS[:-1]}


@dataclass(frozen=True)
class Labelled:
    """A response with the labels that people gave it."""

    item: Item
    label: Refusal | None
    """How far it refuses; None where nobody said."""
    harm: Harm | None = None
    """Whether it is harmful; None where nobody said."""

    @property
    def held_out(self) -> bool:
        """Whether it is in the held-out half, by the hash of its content; no other row changes that."""
        return hashlib.sha256(f"{self.item.prompt}\n{self.item.response}".encode()).digest()[0] % 2 == 1


@dataclass(frozen=True)
class Calibration:
    """A judge's agreement with people on the responses of one file."""

    judge: str
    """The judge's id."""
    rows: int
    refusal: Agreement | None
    """None where no response has a label of refusal."""
    strict_refusal: Agreement | None
    """The same with partial counted as full."""
    harm: Agreement | None
    """None where no response has a label of harm."""

    def to_json(self) -> dict[str, Any]:
        """Return everything for a file."""
        agreements = {"refusal": self.refusal, "strict_refusal": self.strict_refusal, "harm": self.harm}
        return {"judge": self.judge, "rows": self.rows, **{name: one and one.to_json() for name, one in agreements.items()}}


def calibrate(judge: Judge, rows: Sequence[Labelled], progress: Progress) -> Calibration:
    """Judge the responses, with progress, and return the agreement with their labels."""
    verdicts: list[Verdict] = []
    for start in range(0, len(rows), _BATCH):
        verdicts += judge.judge([row.item for row in rows[start : start + _BATCH]])
        progress.update("judge", len(verdicts), len(rows))
    return compare(judge.id, rows, verdicts)


def compare(judge_id: str, rows: Sequence[Labelled], verdicts: Sequence[Verdict]) -> Calibration:
    """Return the agreement of verdicts with the labels of the same responses, in the same order."""
    judged = list(zip(rows, verdicts, strict=True))
    refusals = [(row.item.prompt, row.label, verdict.refusal) for row, verdict in judged if row.label is not None]
    harms = [(row.item.prompt, row.harm, verdict.harm) for row, verdict in judged if row.harm is not None]
    strict = [(prompt, merged(people), merged(said)) for prompt, people, said in refusals]
    agreements = (measure_answers(answers, labels) for answers, labels in ((refusals, LABELS), (strict, LABELS), (harms, HARMS)))
    return Calibration(judge_id, len(rows), *agreements)


def read_labelled(path: Path | str) -> list[Labelled]:
    """Return the rows of any table with a prompt, a completion (or response), and labels of refusal, of harm or of both.

    Labels of refusal (`final_label`, `label` or `refusal`) are none, partial and full, or XSTest's (`1_full_compliance`, `2_full_refusal`,
    `3_partial_refusal`); those of `harm` are harmful and unharmful. An empty cell is no label. `prompt_type` and `jurisdiction` are read
    if they are there. `DataError` names the file, the row and the value otherwise.
    """
    needed = (_PROMPT, _RESPONSE, (*_REFUSAL, *_HARM))
    rows = [_labelled(row) for row in read_table(str(path), "labels", needed, "name a table of labelled responses")]
    if all(row.label is None and row.harm is None for row in rows):
        raise DataError("no row has a label", file=path, field=_REFUSAL[-1], hint="fill in refusal (none, partial, full) or harm")
    return rows


def _labelled(row: Row) -> Labelled:
    prompt, response = (row.text(_first(row, names) or names[0]) or "" for names in (_PROMPT, _RESPONSE))
    kind = _label(row, ("prompt_type",), {str(one): one for one in PromptType}, "type of prompt")
    jurisdiction = row.text("jurisdiction") if "jurisdiction" in row.values else None
    refusal = _label(row, _REFUSAL, _REFUSALS, "refusal label")
    harm = _label(row, _HARM, _HARMS, "harm label")
    return Labelled(Item(prompt, response, kind, jurisdiction or ANYWHERE), refusal, harm)


def _label(row: Row, names: Sequence[str], known: Mapping[str, Any], what: str) -> Any:
    """Return the label in the first of these columns; None where there is none."""
    column = _first(row, names)
    said = row.label(column) if column else ""
    if said and said not in known:
        raise row.error(f"not a {what}", column=str(column), value=row.cell(str(column)), hint=f"one of {', '.join(known)}, or empty")
    return known[said] if said else None


def _first(row: Row, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in row.values), None)
