"""A judge's agreement with people: accuracy, Cohen's kappa with an interval, and the confusion table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ascl_core.artifacts import read_jsonl
from ascl_core.errors import DataError
from ascl_core.judges import Item
from ascl_core.vocabulary import Refusal

LABELS = (Refusal.NONE, Refusal.PARTIAL, Refusal.FULL, Refusal.UNKNOWN)
_RESAMPLES = 2000
_PROMPT, _RESPONSE, _LABEL = ("prompt",), ("completion", "response"), ("final_label", "label", "refusal")
_NAMES = {"1_full_compliance": Refusal.NONE, "2_full_refusal": Refusal.FULL, "3_partial_refusal": Refusal.PARTIAL}


@dataclass(frozen=True)
class Labelled:
    """A response with the refusal label that people gave it."""

    item: Item
    label: Refusal

    @property
    def held_out(self) -> bool:
        """Whether it is in the held-out half, by the hash of its content; no other row changes that."""
        return hashlib.sha256(f"{self.item.prompt}\n{self.item.response}".encode()).digest()[0] % 2 == 1


@dataclass(frozen=True)
class Agreement:
    """A judge's labels against people's."""

    n: int
    accuracy: float
    """The share of right verdicts of all responses; an unknown verdict counts as wrong."""
    kappa: float
    """Cohen's kappa (Cohen 1960); NaN where both sides use one label only."""
    low: float
    high: float
    """The bounds of kappa's 95 % percentile interval over 2,000 resamples of the responses."""
    confusion: np.ndarray
    """(L, L) counts, rows people, columns judge, in the order of the labels."""


def measure(people: Sequence[Refusal], judge: Sequence[Refusal], labels: Sequence[Refusal] = LABELS, seed: int = 0) -> Agreement:
    """Return the agreement of two parallel lists of labels; `ValueError` if they are empty or of different lengths."""
    if not people or len(people) != len(judge):
        raise ValueError(f"{len(people)} labels of people and {len(judge)} of the judge")
    rows, columns = (np.array([labels.index(label) for label in side]) for side in (people, judge))
    cells, size = rows * len(labels) + columns, len(labels)
    draws = np.random.default_rng(seed).integers(0, len(cells), (_RESAMPLES, len(cells)))  # as `scipy.stats.bootstrap` draws them
    kappas = [cohen_kappa(_table(cells[draw], size)) for draw in draws]  # a resample may have none, which SciPy's interval does not take
    low, high = np.nanquantile(kappas, [0.025, 0.975]) if np.isfinite(kappas).any() else (np.nan, np.nan)
    table = _table(cells, size)
    return Agreement(len(people), float(np.trace(table) / table.sum()), cohen_kappa(table), float(low), float(high), table)


def cohen_kappa(table: np.ndarray) -> float:
    """Return (p_o - p_e) / (1 - p_e) of an (L, L) table of counts; NaN where chance alone always agrees.

    >>> round(cohen_kappa(np.array([[20, 5], [10, 15]])), 3)
    0.4
    """
    total = table.sum()
    observed = np.trace(table) / total
    expected = float(table.sum(1) @ table.sum(0)) / total**2
    return float((observed - expected) / (1 - expected)) if expected < 1 else float("nan")


def merged(label: Refusal) -> Refusal:
    """Return the label for judges that know no partial refusal: partial counts as full, as XSTest's strict rate does."""
    return Refusal.FULL if label is Refusal.PARTIAL else label


def read_labelled(path: Path) -> list[Labelled]:
    """Return the rows of a CSV or JSON-lines file with a prompt, a completion (or response) and a label.

    Labels are XSTest's (`1_full_compliance`, `2_full_refusal`, `3_partial_refusal`) or none, partial and full;
    `DataError` names the file, the line and the value otherwise.
    """
    rows = read_jsonl(path) if path.suffix == ".jsonl" else _read_csv(path)
    if not rows:
        raise DataError("no rows", file=path, hint="give the labelled XSTest completions")
    return [_labelled(row, path, number) for number, row in enumerate(rows, start=1)]


def _labelled(row: dict[str, Any], path: Path, number: int) -> Labelled:
    def value(names: tuple[str, ...]) -> str:
        for name in names:
            if name in row:
                return str(row[name])
        raise DataError("column is missing", file=path, field=f"row {number}", value=names[0], hint=f"name a column {' or '.join(names)}")

    said = value(_LABEL).strip()
    label = _NAMES.get(said) or (Refusal(said) if said in set(Refusal) - {Refusal.UNKNOWN} else None)
    if label is None:
        raise DataError("not a refusal label", file=path, field=f"row {number}", value=said, hint=f"one of {', '.join(_NAMES)}")
    return Labelled(Item(value(_PROMPT), value(_RESPONSE)), label)


def _read_csv(path: Path) -> list[dict[str, Any]]:
    import csv

    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise DataError("file does not exist", file=path, hint="check the path") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"not valid CSV: {error}", file=path, hint="repair or restore the file") from error


def _table(cells: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(cells, minlength=size * size).reshape(size, size)
