"""Read the outputs of the earlier stages, grouped by arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ascl_core.arms import CANDIDATE, label_of
from ascl_core.artifacts import read_json, read_jsonl, read_parquet
from ascl_core.contracts import EvaluatedRollout, from_table
from ascl_core.errors import DataError
from ascl_core.rules.corpus import Corpus, load_corpus

REFERENCE = "sft"
"""The checkpoint that the candidate was trained from."""


@dataclass(frozen=True)
class Arm:
    """One trained checkpoint: its training and its responses on the suites."""

    name: str
    metrics: dict[str, Any] = field(default_factory=dict)
    """`metrics.json`; empty if the arm was not evaluated."""
    rows: tuple[EvaluatedRollout, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    """The training parameters, from the head of its log."""
    steps: tuple[dict[str, Any], ...] = ()
    """One mapping of figures a training step, with `step`."""

    @property
    def label(self) -> str:
        """The arm's name on the page."""
        return label_of(self.name, self.config)

    @property
    def headline(self) -> dict[str, Any]:
        """The estimates by key; a figure without data is None or absent."""
        return self.metrics.get("headline") or {}

    def estimate(self, name: str) -> dict[str, Any] | None:
        """Return one headline figure with its interval."""
        return self.headline.get(name)

    def of_type(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return a figure over the prompts of one type, or over the dual-use prompts."""
        group = self.metrics.get("dual_use") if kind == "dual_use" else (self.metrics.get("by_prompt_type") or {}).get(kind)
        return (group or {}).get(name)


@dataclass(frozen=True)
class Inputs:
    """Everything that the report shows."""

    corpus: Corpus
    findings: dict[str, Any]
    manifest: dict[str, Any]
    curation: dict[str, Any]
    sft: dict[str, Any]
    validation: dict[str, Any]
    decision: dict[str, Any]
    arms: tuple[Arm, ...]
    """In the order of the metrics files."""
    records: tuple[dict[str, Any], ...]

    def arm(self, name: str) -> Arm:
        """Return the arm of that name, or an arm without data."""
        return next((arm for arm in self.arms if arm.name == name), Arm(name))

    @property
    def candidate(self) -> Arm:
        """The arm that the gate decided on."""
        return self.arm(CANDIDATE)

    @property
    def reference(self) -> Arm:
        """The arm that the candidate was trained from."""
        return self.arm(REFERENCE)


def read_inputs(
    *,
    corpus: Path,
    findings: Path,
    suites_manifest: Path,
    curation_counts: Path,
    sft_counts: Path,
    validation: Path,
    decision: Path,
    logs: Sequence[Path],
    metrics: Sequence[Path],
    results: Sequence[Path],
    records: Sequence[Path],
) -> Inputs:
    """Read every file; logs belong to arms by file name, metrics and results by the name of their folder."""
    return Inputs(
        corpus=load_corpus(corpus),
        findings=_read_object(findings),
        manifest=_read_object(suites_manifest),
        curation=_read_object(curation_counts),
        sft=_read_object(sft_counts),
        validation=_read_object(validation),
        decision=_read_object(decision),
        arms=_read_arms(logs, metrics, results),
        records=tuple({"stage": path.stem, **_read_object(path)} for path in records),
    )


def _read_arms(logs: Sequence[Path], metrics: Sequence[Path], results: Sequence[Path]) -> tuple[Arm, ...]:
    by_name = {path.parent.name: _read_object(path) for path in metrics}
    rows = {path.parent.name: tuple(from_table(read_parquet(path), EvaluatedRollout, file=path)) for path in results}
    trained = {path.stem: read_jsonl(path) for path in logs}
    names = list(dict.fromkeys([*by_name, *rows, *trained]))
    return tuple(
        Arm(
            name,
            by_name.get(name, {}),
            rows.get(name, ()),
            next((dict(line.get("config") or {}) for line in trained.get(name, []) if "step" not in line), {}),
            tuple(line for line in trained.get(name, []) if "step" in line),
        )
        for name in names
    )


def _read_object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise DataError("expected a JSON object", file=path, value=str(value)[:80], hint="re-run the stage that makes this file")
    return value
