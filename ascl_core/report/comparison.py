"""The page of a comparison: `python -m ascl_core.report.comparison FOLDER` reads its manifest and writes page, tables and figures."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ascl_core.artifacts import read_json, read_jsonl, read_parquet, write_json, write_text
from ascl_core.contracts import EvaluatedRollout, from_table
from ascl_core.errors import AsclError
from ascl_core.evaluation import seeds
from ascl_core.evaluation.metrics import h_of, is_right
from ascl_core.evaluation.paired import compare
from ascl_core.evaluation.plain import plain_rows
from ascl_core.evaluation.seeds import Combine, Measure, difference_over_seeds, over_seeds
from ascl_core.report import paper_claims, plots
from ascl_core.report.conversations import Step, key_of, steps_of
from ascl_core.report.templates import templates
from ascl_core.report.view import curves, hardly_judged, legend, test_view, undominated
from ascl_core.report.wording import (
    H_AVG,
    KINDS,
    OVER_REFUSAL_OVER_SUITES,
    SAFETY_OVER_SUITES,
    SHARE,
    UTILITY_OVER_SUITES,
    H,
    percent,
)
from ascl_core.rules.change import NEW
from ascl_core.vocabulary import PromptType

_PAGES = {"index.html": "comparison.html.jinja", "comparison.md": "comparison.md.jinja"}
MEAN = "mean"
TURNED = {"forbidden": "now forbidden", "permitted": "now permitted", "new": "forbidden by a new category"}
"""What the rules changed, and how the page calls it."""


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    kind: str
    meaning: str
    measures: tuple[Measure, ...]
    combine: Combine = seeds.itself
    over_suites: bool = False


FIGURES = (
    Figure("Safety rate", SHARE, "unharmful answers to harmful prompts, of those with a verdict; higher is better", (seeds.safe,)),
    Figure("Over-refusal, strict", SHARE, "borderline prompts refused in full or in part; lower is better", (seeds.refused,)),
    Figure("H-avg", SHARE, H_AVG, (seeds.safe, seeds.refused, seeds.solved), h_of, over_suites=True),
    Figure("H", SHARE, H, (seeds.safe, seeds.refused), h_of, over_suites=True),
    Figure("Safety, mean of suites", SHARE, SAFETY_OVER_SUITES, (seeds.safe,), over_suites=True),
    Figure("Over-refusal, mean of suites", SHARE, OVER_REFUSAL_OVER_SUITES, (seeds.refused,), over_suites=True),
    Figure("Utility, mean of suites", SHARE, UTILITY_OVER_SUITES, (seeds.solved,), over_suites=True),
    Figure("Utility", SHARE, "verified answers", (seeds.solved,)),
    Figure("Consult rate", SHARE, "responses that looked the rules up", (seeds.consulted,)),
    Figure("Well-formed", SHARE, "responses whose thoughts and calls are closed and that end in an answer", (seeds.valid,)),
    Figure("Tokens per answer", MEAN, "written by the model itself", (seeds.tokens,)),
)
"""In the order of the table; the first two are the axes of the chart."""
BY_KIND = {"consult": seeds.consulted, "right": seeds.right}
"""What the page says of each kind of prompt."""


@dataclass
class SeededArm:
    """One arm with what it did, by seed."""

    name: str
    label: str
    rows: dict[int, tuple[EvaluatedRollout, ...]] = field(default_factory=dict)
    steps: dict[int, tuple[dict[str, Any], ...]] = field(default_factory=dict)

    def estimate(self, *measures: Measure, combine: Combine = seeds.itself, over_suites: bool = False) -> dict[str, Any] | None:
        """The figure over the arm's seeds."""
        estimate = over_seeds(self.rows, *measures, combine=combine, over_suites=over_suites)
        return None if estimate is None else estimate.to_json()


@dataclass(frozen=True)
class Disagreement:
    """One prompt that two arms answered differently."""

    why: str
    prompt: EvaluatedRollout
    conversations: tuple[tuple[str, EvaluatedRollout, bool, tuple[Step, ...]], ...]
    """Label, response, whether it is right, and what happened in it, of the candidate and of the other arm."""


def write_comparison(folder: Path) -> None:
    """Write the page and the figures from what `manifest.json` names."""
    manifest = read_json(folder / "manifest.json")
    arms = read_arms(folder, "runs", manifest["runs"])
    changed = read_arms(folder, "changed", manifest["changed"])
    view = make_view(arms, changed, str(manifest["candidate"]))
    for name, template in _PAGES.items():
        write_text(folder / name, templates().get_template(template).render(view))
    write_json(folder / "comparison.json", figures(view))


def read_arms(folder: Path, kind: str, entries: Sequence[Mapping[str, Any]]) -> list[SeededArm]:
    """The arms in the order of the manifest, each with all its seeds."""
    arms: dict[str, SeededArm] = {}
    for entry in entries:
        arm = arms.setdefault(entry["arm"], SeededArm(entry["arm"], entry["label"]))
        place = folder / kind / f"seed-{entry['seed']}" / arm.name
        arm.rows[entry["seed"]] = tuple(plain_rows(from_table(read_parquet(place / "results.parquet"), EvaluatedRollout)))
        log = next(place.glob("*.jsonl"), None)
        if log is not None:
            arm.steps[entry["seed"]] = tuple(line for line in read_jsonl(log) if "step" in line)
    return list(arms.values())


def make_view(arms: Sequence[SeededArm], changed: Sequence[SeededArm], candidate: str) -> dict[str, Any]:
    """Everything that the page shows."""
    table = [(f.name, f.kind, f.meaning, [_figure(f, arm) for arm in arms]) for f in FIGURES]
    by_kind = {
        what: [(KINDS[kind], [arm.estimate(seeds.of_kind(kind, measure)) for arm in arms]) for kind in KINDS]
        for what, measure in BY_KIND.items()
    }
    return {
        "arms": arms,
        "candidate": candidate,
        "seeds": sorted({seed for arm in arms for seed in arm.rows}),
        "table": table,
        "by_kind": by_kind,
        "differences": {
            what: [(KINDS[kind], _differences(arms, candidate, seeds.of_kind(kind, measure))) for kind in KINDS]
            for what, measure in BY_KIND.items()
        },
        "claims": [finding.to_json() for finding in paper_claims.examine({arm.name: arm.rows for arm in arms})],
        "legend": legend([arm.label for arm in arms]),
        "safety_svg": _safety(arms, table[0][3], table[1][3]),
        "not_drawn": [arms[i].label for i in sorted(hardly_judged(table[0][3], table[1][3]))],
        "curves": _curves(arms),
        "paired": [_against(arm, arms, candidate) for arm in arms if arm.name != candidate],
        "changed": _changed(arms, changed),
        "turned": TURNED,
        "disagreements": _disagreements(arms, candidate),
    }


def _figure(figure: Figure, arm: SeededArm) -> dict[str, Any] | None:
    return arm.estimate(*figure.measures, combine=figure.combine, over_suites=figure.over_suites)


def figures(view: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says, for programs."""
    names = [arm.name for arm in view["arms"]]

    def of_arms(tables: Mapping[str, Any]) -> dict[str, Any]:
        return {what: {kind: dict(zip(names, values, strict=True)) for kind, values in rows} for what, rows in tables.items()}

    return {
        "schema": "ascl.comparison/1",
        "seeds": view["seeds"],
        "figures": {name: dict(zip(names, estimates, strict=True)) for name, _, _, estimates in view["table"]},
        "by_kind": of_arms(view["by_kind"]),
        "differences": of_arms(view["differences"]),
        "claims": view["claims"],
        "paired": {entry["name"]: entry["tests"] for entry in view["paired"]},
        "changed_rules": {
            row["name"]: {key: value for key, value in row.items() if key not in ("name", "label")} for row in view["changed"]
        },
    }


def _differences(arms: Sequence[SeededArm], candidate: str, measure: Measure) -> list[dict[str, Any] | None]:
    """The candidate less each arm, in the order of the arms; None for the candidate itself."""
    ours = next((arm for arm in arms if arm.name == candidate), None)
    found = [None if ours in (None, arm) else difference_over_seeds(ours.rows, arm.rows, measure) for arm in arms]
    return [None if estimate is None else estimate.to_json() for estimate in found]


def _safety(arms: Sequence[SeededArm], safe: Sequence[Any], refusing: Sequence[Any]) -> Markup | None:
    known = [(i, s, o) for i, (s, o) in enumerate(zip(safe, refusing, strict=True)) if s and o and i not in hardly_judged(safe, refusing)]
    if not known:
        return None
    front = undominated({i: (s["value"], o["value"]) for i, s, o in known})
    said = "; ".join(f"{arms[i].label}: safety {percent(s['value'])}, over-refusal {percent(o['value'])}" for i, s, o in known)
    drawn = [plots.Point(o, s, i, i in front) for i, s, o in known]
    return Markup(plots.safety_plot(drawn, f"Safety against over-refusal. {said}."))


def _curves(arms: Sequence[SeededArm]) -> list[dict[str, Any]]:
    """Every arm is in every plot, with or without data, so that it has one colour on the whole page."""

    def mean_of(key: str) -> dict[str, list[tuple[int, float]]]:
        return {arm.label: _mean_series(arm, key) for arm in arms}

    consulting = [
        curves(f"consult-{kind}", f"Consult rate while training, {name} prompts", mean_of(f"consult_rate/{kind}"), "consult rate", "share")
        for kind, name in KINDS.items()
    ]
    losses = {label: [] if mean_of("reward/mean")[label] else series for label, series in mean_of("loss").items()}
    return [
        *consulting,
        curves("reward", "Reward while training", mean_of("reward/mean"), "mean reward"),
        curves("loss", "Loss of supervised fine-tuning", losses, "loss on assistant tokens (log)", "log"),
    ]


def _mean_series(arm: SeededArm, key: str) -> list[tuple[int, float]]:
    values: dict[int, list[float]] = defaultdict(list)
    for steps in arm.steps.values():
        for step in steps:
            if isinstance(step.get(key), int | float):
                values[int(step["step"])].append(float(step[key]))
    return [(step, sum(found) / len(found)) for step, found in sorted(values.items())]


def _against(arm: SeededArm, arms: Sequence[SeededArm], candidate: str) -> dict[str, Any]:
    """The paired tests of the candidate against one arm, over the seeds that both have; seeds count as samples of a prompt."""
    ours = next((other for other in arms if other.name == candidate), None)
    common = sorted(ours.rows.keys() & arm.rows.keys()) if ours else []
    if ours is None or not common:
        return {"name": arm.name, "label": arm.label, "tests": []}
    pooled = [[row for seed in common for row in each.rows[seed]] for each in (ours, arm)]
    tests = compare(pooled[0], pooled[1])
    by_seed = [{test.metric: test.difference for test in compare(ours.rows[seed], arm.rows[seed])} for seed in common]
    seen = [{**test_view(test.to_json()), "by_seed": [each.get(test.metric) for each in by_seed]} for test in tests]
    return {"name": arm.name, "label": arm.label, "tests": seen}


def _disagreements(arms: Sequence[SeededArm], candidate: str) -> list[Disagreement]:
    """For each arm one prompt that only the candidate got right and one that only the arm did, where there are such.

    Of the first seed; in the order of a content hash, so that nobody picked.
    """
    ours = next((arm for arm in arms if arm.name == candidate), None)
    if ours is None:
        return []
    seed = min(ours.rows)
    own = {key_of(row): row for row in ours.rows[seed]}
    keys = sorted(own, key=lambda key: hashlib.sha256(repr(key).encode()).digest())
    found: list[Disagreement] = []
    for arm in arms:
        rows = {key_of(row): row for row in arm.rows.get(seed, ())}
        for better, worse in ((ours, arm), (arm, ours)):
            pairs = ((own[key], rows[key]) for key in keys if key in rows and is_right(own[key]) is (better is ours))
            pair = next(((a, b) for a, b in pairs if is_right(b) is not is_right(a) and a.valid and b.valid), None)
            if pair is not None and arm is not ours:
                told = tuple((who.label, row, is_right(row), steps_of(row.text)) for who, row in zip((ours, arm), pair, strict=True))
                found.append(Disagreement(f"{better.label} is right, {worse.label} is wrong", pair[0], told))
    return found


def _changed(arms: Sequence[SeededArm], changed: Sequence[SeededArm]) -> list[dict[str, Any]]:
    """Each arm after the rules changed, on the prompts whose right answer changed with them and on the others."""
    before = {arm.name: arm for arm in arms}
    return [_turned(before[arm.name], arm) for arm in changed if arm.name in before]


def _turned(old: SeededArm, new: SeededArm) -> dict[str, Any]:
    types = {_asked(row): row.prompt_type for rows in old.rows.values() for row in rows}

    def change(row: EvaluatedRollout) -> str:
        if types.get(_asked(row), row.prompt_type) is row.prompt_type:
            return "same"
        return "new" if row.category == NEW else "permitted" if row.prompt_type is PromptType.BORDERLINE else "forbidden"

    def on(measure: Measure, *kinds: str) -> dict[str, Any] | None:
        return new.estimate(lambda row: measure(row) if change(row) in kinds else None)

    turned = {_asked(row) for rows in new.rows.values() for row in rows if change(row) != "same"}
    return {
        "name": new.name,
        "label": new.label,
        "prompts": len(turned),
        "before": old.estimate(lambda row: seeds.right(row) if _asked(row) in turned else None),
        "after": on(seeds.right, *TURNED),
        **{kind: on(seeds.right, kind) for kind in TURNED},
        "consults": on(seeds.consulted, *TURNED),
        "follows": on(lambda row: seeds.right(row) if row.rule_id in row.consulted else None, *TURNED),
        "others": on(seeds.right, "same"),
    }


def _asked(row: EvaluatedRollout) -> tuple[str, str]:
    return row.prompt, row.jurisdiction


def main() -> int:
    """Write the page of the folder that the command line names."""
    try:
        write_comparison(Path(sys.argv[1]))
    except AsclError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
