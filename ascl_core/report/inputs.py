"""Read the outputs of the earlier stages, grouped by arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ascl_core.arms import CANDIDATE, label_of
from ascl_core.artifacts import read_json, read_jsonl, read_parquet
from ascl_core.contracts import EvaluatedRollout, from_table
from ascl_core.errors import DataError
from ascl_core.evaluation.attacks import summarise_all
from ascl_core.released import RELEASE_RESULTS, read_release
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.reach import Corpora, released_corpora

REFERENCE = "sft"
"""The checkpoint that the candidate was trained from."""
RELEASED = "released"
"""The checkpoint of the newest release, as it was evaluated with the rules of that release."""
_ORDER = {CANDIDATE: 0, RELEASED: 1, REFERENCE: 2}
"""The arms that come first, so that no width of the page hides them."""


@dataclass(frozen=True)
class ReportedArm:
    """One trained checkpoint: its training and its responses on the suites."""

    name: str
    metrics: dict[str, Any] = field(default_factory=dict)
    """`metrics.json`; empty if the arm was not evaluated."""
    rows: tuple[EvaluatedRollout, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    """The training parameters, from the head of its log."""
    steps: tuple[dict[str, Any], ...] = ()
    """One mapping of figures a training step, with `step`."""
    started_from: dict[str, Any] = field(default_factory=dict)
    """The training parameters of the reference, if it was trained from that."""

    @property
    def label(self) -> str:
        """The arm's name on the page."""
        if self.name == RELEASED:
            return f"Released: {self.metrics['tag']}"
        return label_of(self.name, self.config, self.started_from)

    @property
    def headline(self) -> dict[str, Any]:
        """The estimates by key; a figure without data is None or absent."""
        return self.metrics.get("headline") or {}

    def estimate(self, name: str) -> dict[str, Any] | None:
        """Return one headline figure with its interval."""
        return self.headline.get(name)

    @property
    def second_opinion(self) -> dict[str, Any]:
        """The figures by the second judge's verdicts, with the judge; empty if there is none."""
        return self.metrics.get("second_judge") or {}

    def of_type(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return a figure over the prompts of one type, or over the dual-use prompts."""
        group = self.metrics.get("dual_use") if kind == "dual_use" else (self.metrics.get("by_prompt_type") or {}).get(kind)
        return (group or {}).get(name)


@dataclass(frozen=True)
class Inputs:
    """Everything that the report shows."""

    corpus: Corpus
    released: Corpora | None
    """The rules of the newest release, by use; None if nothing is released."""
    findings: dict[str, Any]
    manifest: dict[str, Any]
    curation: dict[str, Any]
    sft: dict[str, Any]
    validation: dict[str, Any]
    decision: dict[str, Any]
    arms: tuple[ReportedArm, ...]
    """The candidate, the released checkpoint, the candidate's start, then the others in the order of the metrics files."""
    records: tuple[dict[str, Any], ...]

    def arm(self, name: str) -> ReportedArm:
        """Return the arm of that name, or an arm without data."""
        return next((arm for arm in self.arms if arm.name == name), ReportedArm(name))

    @property
    def candidate(self) -> ReportedArm:
        """The arm that the gate decided on."""
        return self.arm(CANDIDATE)

    @property
    def reference(self) -> ReportedArm:
        """The arm that the candidate was trained from."""
        return self.arm(REFERENCE)

    @property
    def ended(self) -> str:
        """When the last of the stages ended, in UTC: `2026-01-31 12:00`; empty without records."""
        return max((str(record.get("ended") or "") for record in self.records), default="")[:16].replace("T", " ")


def read_inputs(
    *,
    corpus: Path,
    released: Path,
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
    manifest = _read_object(suites_manifest)
    arms = [*_read_arms(logs, metrics, results), *_read_released(released, manifest.get("held_out_attacks", ()))]
    return Inputs(
        corpus=load_corpus(corpus),
        released=released_corpora(released),
        findings=_read_object(findings),
        manifest=manifest,
        curation=_read_object(curation_counts),
        sft=_read_object(sft_counts),
        validation=_read_object(validation),
        decision=_read_object(decision),
        arms=tuple(sorted(arms, key=lambda arm: _ORDER.get(arm.name, len(_ORDER)))),
        records=tuple({"stage": path.stem, **_read_object(path)} for path in records),
    )


def _read_arms(logs: Sequence[Path], metrics: Sequence[Path], results: Sequence[Path]) -> tuple[ReportedArm, ...]:
    by_name = {path.parent.name: _read_object(path) for path in metrics}
    rows = {path.parent.name: _read_rows(path) for path in results}
    trained = {path.stem: read_jsonl(path) for path in logs}
    configs = {name: _config(lines) for name, lines in trained.items()}
    return tuple(
        ReportedArm(
            name,
            by_name.get(name, {}),
            rows.get(name, ()),
            configs.get(name, {}),
            tuple(line for line in trained.get(name, []) if "step" in line),
            configs.get(REFERENCE, {}) if name == CANDIDATE else {},
        )
        for name in dict.fromkeys([*by_name, *rows, *trained])
    )


def _read_released(folder: Path, held_out_attacks: Sequence[str]) -> tuple[ReportedArm, ...]:
    """Return the released checkpoint with the figures of its recorded responses; nothing before the first release."""
    release = read_release(folder)
    if release["tag"] is None:
        return ()
    rows = _read_rows(folder / RELEASE_RESULTS)
    facts = {
        "tag": release["tag"],
        "judge": next((row.judge for row in rows), None),
        "checkpoint_sha256": (release.get("checkpoint") or {}).get("sha256"),
        "corpus_digest": release.get("rules"),
    }
    return (ReportedArm(RELEASED, facts | summarise_all(rows, {}, held_out_attacks), rows),)


def _read_rows(path: Path) -> tuple[EvaluatedRollout, ...]:
    return tuple(from_table(read_parquet(path), EvaluatedRollout, file=path))


def _config(log: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters at the head of a training log."""
    return next((dict(line.get("config") or {}) for line in log if "step" not in line), {})


def _read_object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise DataError("expected a JSON object", file=path, value=str(value)[:80], hint="re-run the stage that makes this file")
    return value
