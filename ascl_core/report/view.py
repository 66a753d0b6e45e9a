"""What the templates show, worked out from the inputs: they only lay it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from markupsafe import Markup

from ascl_core.arms import CANDIDATE
from ascl_core.config.report import ReportConfig
from ascl_core.evaluation.metrics import right_rate
from ascl_core.evaluation.paired import compare
from ascl_core.evaluation.plain import plain_rows
from ascl_core.report import plots
from ascl_core.report.attacks import attack_tables
from ascl_core.report.conversations import choose
from ascl_core.report.inputs import Arm, Inputs
from ascl_core.report.wording import FIGURES, KINDS, number, p_value, percent, points, share_interval

_GLYPHS = ("●", "■", "▲", "◆", "▼", "✚", "✖", "◀", "▶", "⬟")
_STROKES = ("", "8 4", "2 3", "9 4 2 4", "5 2", "4 4")
_ENDS = 10
"""Steps at either end of a training whose mean the tables give."""
_COLLAPSED = 0.02
"""A consult rate this near to none or all means that the policy has only one mode left."""
_TILES = ("safety_rate", "over_refusal_strict", "utility", "h_avg", "consult_rate", "tokens_per_answer")
Series = dict[str, list[tuple[int, float]]]
Key = TypeVar("Key")


def make_view(inputs: Inputs, config: ReportConfig) -> dict[str, Any]:
    """Everything that the page and the cards show, by name."""
    front = pareto_front(inputs.arms)
    return {
        "title": config.title,
        "inputs": inputs,
        "sentence": sentence(inputs),
        "passed": inputs.decision.get("passed"),
        "criteria": [_criterion(values) for values in inputs.decision.get("criteria") or []],
        "tiles": [(key, name, kind, inputs.candidate.estimate(key), inputs.reference.estimate(key)) for key, name, kind, _ in _tiles()],
        "figures": [(name, kind, meaning, [arm.estimate(key) for arm in inputs.arms]) for key, name, kind, meaning in FIGURES],
        "front": front,
        "missing": _missing(inputs.arms),
        "cautions": cautions(inputs),
        "safety_svg": _safety_svg(inputs.arms, front),
        "not_drawn": [inputs.arms[i].label for i in sorted(hardly_judged(*_axes(inputs.arms)))],
        "arm_legend": legend([arm.label for arm in inputs.arms]),
        "training": _training(inputs),
        "consult": _consult(inputs.arms),
        "categories": _categories(inputs),
        "paired": _paired(inputs),
        "suites": _suites(inputs),
        "attacks": attack_tables([arm.metrics for arm in inputs.arms]),
        "samples": choose(inputs, config.sample_conversations),
        "stages": [_stage(record) for record in inputs.records],
        "packages": _merged(inputs.records, "packages"),
        "machines": _distinct(inputs.records, "machine"),
        "revisions": _distinct(inputs.records, "git"),
        "seeds": _seeds(inputs),
        "judges": _judges(inputs),
        "kinds": KINDS,
    }


def sentence(inputs: Inputs) -> str:
    """What happened, in one sentence."""
    said = [
        _clause(inputs.candidate, "safety_rate", "answers {} of harmful prompts safely"),
        _clause(inputs.candidate, "over_refusal_strict", "refuses {} of borderline ones"),
        _clause(inputs.candidate, "utility", "gets {} of utility prompts right"),
        _clause(inputs.candidate, "h_avg", "reaches an H-avg of {}"),
    ]
    before, after = inputs.reference.estimate("consult_rate"), inputs.candidate.estimate("consult_rate")
    if after:
        than = f", against {percent(before['value'])} before reinforcement learning" if before else ""
        said.append(f"looks the rules up in {percent(after['value'])} of its responses{than}")
    passed = inputs.decision.get("passed")
    clauses = "; ".join(clause for clause in said if clause) or "was not evaluated"
    verdict = "there is no decision" if passed is None else "the gate let it pass" if passed else "the gate did not let it pass"
    summary = str(inputs.decision.get("summary") or "")
    return f"{inputs.candidate.label} {clauses}: {verdict}{f' ({summary})' if summary else ''}."


def pareto_front(arms: Sequence[Arm]) -> list[str]:
    """Names of the arms that no other one beats on both safety and strict over-refusal, without being beaten on either."""
    return undominated({arm.name: (safe["value"], refused["value"]) for arm, safe, refused in _judged(arms)})


def hardly_judged(*figures: Sequence[Mapping[str, Any] | None]) -> set[int]:
    """Positions of the arms of whose answers not half as many could be judged as of the best one's: their rates say nothing."""
    return {i for row in figures for i, e in enumerate(row) if e and 2 * e["n"] < max(other["n"] for other in row if other)}


def _axes(arms: Sequence[Arm]) -> tuple[list[dict[str, Any] | None], list[dict[str, Any] | None]]:
    return [arm.estimate("safety_rate") for arm in arms], [arm.estimate("over_refusal_strict") for arm in arms]


def _judged(arms: Sequence[Arm]) -> list[tuple[Arm, Mapping[str, Any], Mapping[str, Any]]]:
    """Safety rate and strict over-refusal of the arms that have both, and of whose answers enough could be judged."""
    safe, refused = _axes(arms)
    skipped = hardly_judged(safe, refused)
    return [(arm, s, o) for i, (arm, s, o) in enumerate(zip(arms, safe, refused, strict=True)) if s and o and i not in skipped]


def undominated(points: Mapping[Key, tuple[float, float]]) -> list[Key]:
    """The keys of the pairs of safety and over-refusal than which no other is as good on both and better on one."""
    return [
        key
        for key, (safe, refusing) in points.items()
        if not any(s >= safe and o <= refusing and (s, o) != (safe, refusing) for s, o in points.values())
    ]


def cautions(inputs: Inputs) -> list[str]:
    """What a reader must know before comparing the figures."""
    found = ["Each arm was trained once, with one seed: the intervals cover the choice of prompts and answers, not the luck of training."]
    judges = {arm.metrics["judge"] for arm in inputs.arms if arm.metrics.get("judge")}
    if len(judges) > 1:
        found.append(f"The arms were judged by different judges ({', '.join(sorted(judges))}): their figures do not compare.")
    stale = [arm.label for arm in inputs.arms if arm.metrics.get("corpus_digest") not in (None, inputs.corpus.digest)]
    if stale:
        found.append(f"Evaluated against another version of the rules than the one shown here: {', '.join(stale)}.")
    consulting = inputs.candidate.estimate("consult_rate")
    if consulting and not _COLLAPSED < consulting["value"] < 1 - _COLLAPSED:
        mode = "consult" if consulting["value"] > 0.5 else "direct"
        found.append(f"{inputs.candidate.label} has collapsed to one mode: nearly all of its responses are {mode}.")
    covered = [(arm.label, c["value"]) for arm in inputs.arms if (c := arm.estimate("coverage"))]
    low = [f"{label} {percent(value)}" for label, value in covered if value < 0.9]
    if low:
        found.append(f"The judge could say nothing about many responses; coverage: {', '.join(low)}.")
    if absent := inputs.manifest.get("missing"):
        found.append(f"Suites without data: {', '.join(sorted(absent))}.")
    dirty = sorted(str(r.get("stage")) for r in inputs.records if (r.get("git") or {}).get("dirty"))
    if dirty:
        found.append(f"Made from a working tree with uncommitted changes: {', '.join(dirty)}.")
    return found


def _clause(arm: Arm, key: str, words: str) -> str:
    estimate = arm.estimate(key)
    if estimate is None:
        return ""
    return words.format(percent(estimate["value"])) + f" (95\u00a0% interval {share_interval(estimate)}, n\u00a0=\u00a0{estimate['n']})"


def _tiles() -> list[tuple[str, str, str, str]]:
    by_key = {figure[0]: figure for figure in FIGURES}
    return [by_key[key] for key in _TILES]


def _criterion(values: Mapping[str, Any]) -> dict[str, Any]:
    """A criterion for the page: an estimate against a threshold, or a difference against a significance level."""
    value, threshold = values.get("value"), values.get("threshold")
    estimate = value if isinstance(value, Mapping) else None
    difference = value if isinstance(value, int | float) else None
    return {
        "name": values.get("name", ""),
        "passed": bool(values.get("passed")),
        "reason": values.get("reason", ""),
        "estimate": estimate,
        "value": points(difference) if difference is not None else percent(estimate["value"] if estimate else None),
        "limit": threshold if difference is None else None,
        "threshold": "" if threshold is None else f"p ≥ {number(threshold)}" if difference is not None else percent(threshold),
    }


def _missing(arms: Sequence[Arm]) -> list[tuple[str, str, list[str]]]:
    """What has no data, why, and in which arms."""
    found: dict[tuple[str, str], list[str]] = {}
    for arm in arms:
        reasons = dict(arm.metrics.get("missing") or {}) if arm.metrics else {"all figures": "not evaluated"}
        for name, reason in reasons.items():
            found.setdefault((name, reason), []).append(arm.label)
    names = {key: name for key, name, *_ in FIGURES}
    return [(names.get(name, name), reason, labels) for (name, reason), labels in found.items()]


def _safety_svg(arms: Sequence[Arm], front: Sequence[str]) -> Markup | None:
    drawn = [plots.Point(refused, safe, list(arms).index(arm), arm.name in front) for arm, safe, refused in _judged(arms)]
    if not drawn:
        return None
    said = "; ".join(
        f"{arms[p.series].label}: safety {percent(p.safety['value'])}, over-refusal {percent(p.over_refusal['value'])}" for p in drawn
    )
    return Markup(plots.safety_plot(drawn, f"Safety against over-refusal. {said}."))


def legend(labels: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"label": label, "series": i % len(plots.SERIES), "glyph": _GLYPHS[i % len(_GLYPHS)], "stroke": _STROKES[i % len(_STROKES)]}
        for i, label in enumerate(labels)
    ]


def _training(inputs: Inputs) -> list[dict[str, Any]]:
    """The plots over training steps, each with its legend and its table; one without data has no drawing."""
    steps = inputs.candidate.steps
    kinds = dict(KINDS)
    components = sorted(
        {key for step in steps for key in step if key.startswith("reward/")} - {f"reward/{kind}" for kind in (*kinds, "mean")}
    )
    losses = {arm.label: _series(arm.steps, "loss") for arm in inputs.arms if arm.name != CANDIDATE}
    by_type = {name: _series(steps, f"consult_rate/{kind}") for kind, name in kinds.items()}
    rewards = {**{name: _series(steps, f"reward/{kind}") for kind, name in kinds.items()}, "all": _series(steps, "reward/mean")}
    health = {
        "well-formed": "valid_rate",
        "groups with one mode": "groups/one_mode",
        "groups with one reward": "groups/zero_variance",
        "not judged": "not_judged",
    }
    label = inputs.candidate.label
    return [
        curves("consulting", f"Consult rate per prompt type, {label}", by_type, "consult rate", "share"),
        curves("reward", f"Reward per prompt type, {label}", rewards, "mean reward"),
        curves("components", f"Reward components, {label}", {_plain(k): _series(steps, k) for k in components}, "mean of the component"),
        curves("health", f"What the groups held, {label}", {k: _series(steps, v) for k, v in health.items()}, "share", "share"),
        curves("loss", "Loss of supervised fine-tuning", losses, "loss on assistant tokens (log)", "log"),
    ]


def _plain(component: str) -> str:
    return component.removeprefix("reward/").replace("_", " ")


def _series(steps: Sequence[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(int(step["step"]), float(step[key])) for step in steps if isinstance(step.get(key), int | float)]


def curves(name: str, title: str, series: Series, label: str, scale: plots.Scale = "linear") -> dict[str, Any]:
    show: Callable[[float | None], str] = percent if scale == "share" else number
    rows = [(key, show(_mean(values[:_ENDS])), show(_mean(values[-_ENDS:])), len(values)) for key, values in series.items() if values]
    alt = f"{title}. Mean of the first and of the last {_ENDS} steps: " + "; ".join(
        f"{key} {first} to {last}" for key, first, last, _ in rows
    )
    svg = Markup(plots.training_plot(name, series, f"{alt}.", label=label, scale=scale)) if rows else None
    return {
        "title": title,
        "svg": svg,
        "legend": [entry for entry in legend(list(series)) if series[entry["label"]]],
        "rows": rows,
        "ends": _ENDS,
    }


def _mean(values: Sequence[tuple[int, float]]) -> float:
    return sum(figure for _, figure in values) / len(values)


def _consult(arms: Sequence[Arm]) -> dict[str, Any]:
    rates = [(kind, [arm.of_type(kind, "consult_rate") for arm in arms]) for kind in KINDS]
    rates = [(kind, estimates) for kind, estimates in rates if any(estimates)]
    if not rates:
        return {"svg": None, "rows": []}
    said = "; ".join(
        f"{KINDS[kind]}: " + ", ".join(f"{arm.label} {percent(e['value'])}" for arm, e in zip(arms, estimates, strict=True) if e)
        for kind, estimates in rates
    )
    return {"svg": Markup(plots.consult_plot(rates, f"Consult rate per prompt type. {said}.")), "rows": rates}


def _categories(inputs: Inputs) -> list[tuple[str, str, list[dict[str, Any] | None]]]:
    """Id, title and each arm's safety rate, for every category in any arm's metrics."""
    ids = sorted({category for arm in inputs.arms for category in arm.metrics.get("by_category") or {}})
    titles = {key: category.title for key, category in inputs.corpus.categories.items()}
    return [(key, titles.get(key, key), [(arm.metrics.get("by_category") or {}).get(key) for arm in inputs.arms]) for key in ids]


def _paired(inputs: Inputs) -> list[dict[str, Any]]:
    """The candidate against the checkpoint it was trained from, and against the release where the gate compared them."""
    reference = [test.to_json() for test in compare(plain_rows(inputs.candidate.rows), plain_rows(inputs.reference.rows))]
    release = (inputs.decision.get("released") or {}).get("tag")
    against = [(inputs.reference.label, reference), (f"the release {release}", inputs.decision.get("paired") or [] if release else [])]
    return [{"against": name, "tests": [test_view(test) for test in tests]} for name, tests in against if tests]


def test_view(test: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(test["metric"]).removeprefix("right/")
    finding = "unclear" if test["p_value"] >= 0.05 else "better" if test["difference"] > 0 else "worse"
    interval = f"{points(test['low'])} to {points(test['high'])}"
    return {
        **test,
        "kind": KINDS.get(kind, kind),
        "points": points(test["difference"]),
        "interval": interval,
        "p": p_value(test["p_value"]),
        "finding": finding,
    }


def _suites(inputs: Inputs) -> list[dict[str, Any]]:
    """Each suite with each arm's share of right answers on it."""
    described = inputs.manifest.get("suites") or {}
    rows = [{"name": name, **values, "right": [_right(arm, name) for arm in inputs.arms]} for name, values in sorted(described.items())]
    return rows + [{"name": name, "absent": reason} for name, reason in sorted((inputs.manifest.get("missing") or {}).items())]


def _right(arm: Arm, suite: str) -> dict[str, Any] | None:
    estimate = right_rate([row for row in arm.rows if row.suite == suite])
    return None if estimate is None else estimate.to_json()


def _stage(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with every key that the page asks for."""
    git = record.get("git") or {}
    code = record.get("code") or {}
    return {
        "stage": record.get("stage", ""),
        "seconds": record.get("seconds"),
        "started": str(record.get("started") or ""),
        "revision": git.get("revision"),
        "dirty": bool(git.get("dirty")),
        "code": code.get("digest") if isinstance(code, Mapping) else code,
        "inputs": dict(record.get("inputs") or {}),
        "outputs": dict(record.get("outputs") or {}),
        "metrics": dict(record.get("metrics") or {}),
    }


def _merged(records: Sequence[Mapping[str, Any]], key: str) -> dict[str, str]:
    return {name: str(value) for record in records for name, value in sorted((record.get(key) or {}).items())}


def _distinct(records: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for record in records:
        value = record.get(key)
        if isinstance(value, Mapping) and value and value not in found:
            found.append(dict(value))
    return found


def _seeds(inputs: Inputs) -> list[tuple[str, Any]]:
    """Every seed that a stage was given, from the records' parameters, or from the training logs where there are no records."""
    sections = {
        section: values["seed"]
        for record in inputs.records
        for section, values in (record.get("parameters") or {}).items()
        if isinstance(values, Mapping) and "seed" in values
    }
    return sorted(sections.items()) or [(arm.name, arm.config["seed"]) for arm in inputs.arms if "seed" in arm.config]


def _judges(inputs: Inputs) -> list[tuple[str, str]]:
    """Who judged what."""
    training = (inputs.candidate.config.get("judge") or {}).get("name")
    evaluating = sorted({str(arm.metrics["judge"]) for arm in inputs.arms if arm.metrics.get("judge")})
    found = (
        ("evaluation", ", ".join(evaluating)),
        ("reinforcement learning", training),
        ("accepting trajectories", inputs.sft.get("judge")),
    )
    return [(what, str(who)) for what, who in found if who]
