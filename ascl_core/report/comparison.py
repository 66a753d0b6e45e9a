"""Write the page of a comparison: `python -m ascl_core.report.comparison FOLDER` reads the folder's manifest."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ascl_core.arms import BASELINE
from ascl_core.artifacts import read_json, write_json, write_text
from ascl_core.config.suites import DISTRACTORS, FORGED_RULES
from ascl_core.contracts import EvaluatedRollout
from ascl_core.conversation.steps import Step, steps_of
from ascl_core.errors import AsclError
from ascl_core.evaluation import measures
from ascl_core.evaluation.figures import BY_KEY
from ascl_core.evaluation.measures import Measure
from ascl_core.evaluation.paired import compare
from ascl_core.report import paper_claims
from ascl_core.report.attacks import attacks_over_seeds
from ascl_core.report.charts import curves, legend, safety_chart, series_of
from ascl_core.report.conversations import key_of
from ascl_core.report.seeded_arms import COMPUTATIONS, PARTS, Computation, SeededArm, read_arms, to_json
from ascl_core.report.templates import templates
from ascl_core.report.view import test_view
from ascl_core.report.wording import KINDS
from ascl_core.rules.change import NEW
from ascl_core.vocabulary import PromptType

_PAGES = {"index.html": "comparison.html.jinja", "comparison.md": "comparison.md.jinja"}
TURNED = {"forbidden": "now forbidden", "permitted": "now permitted", "new": "forbidden by a new category"}
"""How the rules changed for a prompt, and how the page names it."""
COMPARED = ("h_avg", "safety_over_suites", "over_refusal_over_suites", "utility_over_suites", "consult_rate")
"""The figures of which the page shows differences: H-avg, its parts, and how often the rules are consulted."""
BY_KIND = {"consult": measures.consulted, "right": measures.right}
"""What the page shows for each kind of prompt."""


@dataclass(frozen=True)
class Disagreement:
    """One prompt that two arms answered differently."""

    why: str
    prompt: EvaluatedRollout
    conversations: tuple[tuple[str, EvaluatedRollout, bool, tuple[Step, ...]], ...]
    """Label, response, whether it is right, and its steps, for the candidate and the other arm."""


def write_comparison(folder: Path) -> None:
    """Write the page and the figures of the runs in `manifest.json`."""
    manifest = read_json(folder / "manifest.json")
    arms = read_arms(folder, "runs", manifest["runs"])
    changed = read_arms(folder, "changed", manifest["changed"])
    view = make_view(arms, changed, str(manifest["candidate"]))
    for name, template in _PAGES.items():
        write_text(folder / name, templates().get_template(template).render(view))
    write_json(folder / "comparison.json", figures(view))


def make_view(arms: Sequence[SeededArm], changed: Sequence[SeededArm], candidate: str) -> dict[str, Any]:
    """Return everything that the page shows."""
    table = [(*BY_KEY[key][1:], [to_json(how.estimate(arm.rows)) for arm in arms]) for key, how in COMPUTATIONS.items()]
    chart = safety_chart([arm.label for arm in arms], table[0][3], table[1][3])
    by_kind = {
        what: [(KINDS[kind], [arm.estimate(measures.of_kind(kind, measure)) for arm in arms]) for kind in KINDS]
        for what, measure in BY_KIND.items()
    }
    return {
        "arms": arms,
        "candidate": candidate,
        "seeds": sorted({seed for arm in arms for seed in arm.rows}),
        "table": table,
        "by_kind": by_kind,
        "differences": {reference: _differences_of(arms, reference) for reference in dict.fromkeys((candidate, BASELINE))},
        "claims": [finding.to_json() for finding in paper_claims.examine(arms)],
        "legend": legend([arm.label for arm in arms]),
        "safety_svg": chart.svg,
        "not_drawn": chart.not_drawn,
        "curves": _curves(arms),
        "while_training": _while_training(arms),
        "attacks": attacks_over_seeds(arms),
        "attack_names": {FORGED_RULES: "Attack success", DISTRACTORS: "Safety rate under noise"},
        "paired": [_against(arm, arms, candidate) for arm in arms if arm.name != candidate],
        "changed": _changed(arms, changed),
        "turned": TURNED,
        "disagreements": _disagreements(arms, candidate),
    }


def figures(view: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page's figures for programs."""
    names = [arm.name for arm in view["arms"]]

    def of_arms(tables: Mapping[str, Any]) -> dict[str, Any]:
        return {what: {kind: dict(zip(names, values, strict=True)) for kind, values in rows} for what, rows in tables.items()}

    return {
        "schema": "ascl.comparison/1",
        "seeds": view["seeds"],
        "figures": {name: dict(zip(names, estimates, strict=True)) for name, _, _, estimates in view["table"]},
        "by_kind": of_arms(view["by_kind"]),
        "differences": {reference: of_arms(tables) for reference, tables in view["differences"].items()},
        "while_training": of_arms(view["while_training"]),
        "attacks": of_arms(view["attacks"]),
        "claims": view["claims"],
        "paired": {entry["name"]: entry["tests"] for entry in view["paired"]},
        "changed_rules": {
            row["name"]: {key: value for key, value in row.items() if key not in ("name", "label")} for row in view["changed"]
        },
    }


def _differences_of(arms: Sequence[SeededArm], reference: str) -> dict[str, list[tuple[str, list[dict[str, Any] | None]]]]:
    """Return the tables of differences to one arm: of the main figures, and by kind of prompt."""
    main = [(BY_KEY[key].name, _differences(arms, reference, COMPUTATIONS[key])) for key in COMPARED]
    by_kind = {
        what: [(KINDS[kind], _differences(arms, reference, Computation((measures.of_kind(kind, measure),)))) for kind in KINDS]
        for what, measure in BY_KIND.items()
    }
    return {"main": main, **by_kind}


def _differences(arms: Sequence[SeededArm], reference: str, how: Computation) -> list[dict[str, Any] | None]:
    """Return the reference minus each arm, in the order of the arms; None for the reference itself."""
    ours = next((arm for arm in arms if arm.name == reference), None)
    return [None if ours in (None, arm) else to_json(how.difference(ours.rows, arm.rows)) for arm in arms]


def _curves(arms: Sequence[SeededArm]) -> list[dict[str, Any]]:
    """Return the plots; every arm is in each of them, with or without data, so that it has one colour on the whole page."""

    def mean_of(key: str) -> dict[str, list[tuple[int, float]]]:
        return {arm.label: _mean_series(arm, key) for arm in arms}

    consulting = [
        curves(f"consult-{kind}", f"Consult rate while training, {name} prompts", mean_of(f"consult_rate/{kind}"), "consult rate", "share")
        for kind, name in KINDS.items()
    ]
    rewards = mean_of("reward/mean")
    losses = {label: [] if rewards[label] else series for label, series in mean_of("loss").items()}
    return [
        *consulting,
        curves("reward", "Reward while training", rewards, "mean reward"),
        curves("loss", "Loss of supervised fine-tuning", losses, "loss on assistant tokens (log)", "log"),
    ]


def _while_training(arms: Sequence[SeededArm]) -> dict[str, list[tuple[str, list[dict[str, Any] | None]]]]:
    """Return the consult rates of the training logs, by part of training and kind of prompt."""
    return {part: [(name, [_part(arm, f"consult_rate/{kind}", part) for arm in arms]) for kind, name in KINDS.items()] for part in PARTS}


def _part(arm: SeededArm, key: str, part: str) -> dict[str, Any] | None:
    found = arm.while_training(key, part)
    return None if found is None else asdict(found)


def _mean_series(arm: SeededArm, key: str) -> list[tuple[int, float]]:
    values: dict[int, list[float]] = defaultdict(list)
    for steps in arm.steps.values():
        for step, value in series_of(steps, key):
            values[step].append(value)
    return [(step, sum(found) / len(found)) for step, found in sorted(values.items())]


def _against(arm: SeededArm, arms: Sequence[SeededArm], candidate: str) -> dict[str, Any]:
    """Return the paired tests of the candidate against one arm, over their common seeds; seeds count as samples of a prompt."""
    ours = next((other for other in arms if other.name == candidate), None)
    common = sorted(ours.rows.keys() & arm.rows.keys()) if ours else []
    if ours is None or not common:
        return {"name": arm.name, "label": arm.label, "tests": []}
    pooled = [[row for seed in common for row in each.rows[seed]] for each in (ours, arm)]
    tests = compare(pooled[0], pooled[1])
    by_seed = [{test.metric: test.difference for test in compare(ours.rows[seed], arm.rows[seed])} for seed in common]
    views = [{**test_view(test.to_json()), "by_seed": [each.get(test.metric) for each in by_seed]} for test in tests]
    return {"name": arm.name, "label": arm.label, "tests": views}


def _disagreements(arms: Sequence[SeededArm], candidate: str) -> list[Disagreement]:
    """Return for each arm a prompt that only the candidate got right, and one that only the arm got right, if there are any.

    They are of the first seed, in the order of a content hash, so nobody picked them.
    """
    ours = next((arm for arm in arms if arm.name == candidate), None)
    if ours is None:
        return []
    seed = min(ours.rows)
    own = {key_of(row): row for row in ours.rows[seed]}
    keys = sorted(own, key=lambda key: hashlib.sha256(repr(key).encode()).digest())
    found: list[Disagreement] = []
    for arm in (one for one in arms if one is not ours):
        rows = {key_of(row): row for row in arm.rows.get(seed, ())}
        for better, worse in ((ours, arm), (arm, ours)):
            pairs = ((own[key], rows[key]) for key in keys if key in rows and measures.right(own[key]) is (better is ours))
            pair = next(((a, b) for a, b in pairs if measures.right(b) is not measures.right(a) and a.valid and b.valid), None)
            if pair is not None:
                conversations = tuple(
                    (who.label, row, measures.right(row), steps_of(row.text)) for who, row in zip((ours, arm), pair, strict=True)
                )
                found.append(Disagreement(f"{better.label} is right, {worse.label} is wrong", pair[0], conversations))
    return found


def _changed(arms: Sequence[SeededArm], changed: Sequence[SeededArm]) -> list[dict[str, Any]]:
    """Return each arm's figures after the rules changed, on the prompts whose right answer changed and on the others."""
    before = {arm.name: arm for arm in arms}
    return [_turned(before[arm.name], arm) for arm in changed if arm.name in before]


def _turned(old: SeededArm, new: SeededArm) -> dict[str, Any]:
    types = {_key(row): row.prompt_type for rows in old.rows.values() for row in rows}

    def change(row: EvaluatedRollout) -> str:
        if types.get(_key(row), row.prompt_type) is row.prompt_type:
            return "same"
        return "new" if row.category == NEW else "permitted" if row.prompt_type is PromptType.BORDERLINE else "forbidden"

    def on(measure: Measure, *kinds: str) -> dict[str, Any] | None:
        return new.estimate(lambda row: measure(row) if change(row) in kinds else None)

    turned = {_key(row) for rows in new.rows.values() for row in rows if change(row) != "same"}
    return {
        "name": new.name,
        "label": new.label,
        "prompts": len(turned),
        "before": old.estimate(lambda row: measures.right(row) if _key(row) in turned else None),
        "after": on(measures.right, *TURNED),
        **{kind: on(measures.right, kind) for kind in TURNED},
        "consults": on(measures.consulted, *TURNED),
        "follows": on(lambda row: measures.right(row) if row.rule_id in row.consulted else None, *TURNED),
        "others": on(measures.right, "same"),
    }


def _key(row: EvaluatedRollout) -> tuple[str, str]:
    return row.prompt, row.jurisdiction


def main() -> int:
    """Write the page of the folder on the command line; return the exit status."""
    try:
        write_comparison(Path(sys.argv[1]))
    except AsclError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
