"""Compute what the templates show; the templates only lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

from ascl_core.arms import CANDIDATE
from ascl_core.config.evaluate import EvaluateConfig
from ascl_core.config.report import ReportConfig
from ascl_core.config.sft_data import PUBLISHED
from ascl_core.evaluation.figures import BY_KEY, FIGURES, JUDGED, SHARE
from ascl_core.evaluation.gate import figure_of
from ascl_core.evaluation.measures import plain_rows, right
from ascl_core.evaluation.metrics import rate, rule_figures, to_json
from ascl_core.evaluation.paired import PairedTest, compare
from ascl_core.report import charts, plots
from ascl_core.report.advice import advise, describe_failures
from ascl_core.report.attacks import attack_tables
from ascl_core.report.card_metadata import base_model, data_metadata, model_metadata
from ascl_core.report.charts import series_of
from ascl_core.report.conversations import choose
from ascl_core.report.inputs import RELEASED, Inputs, ReportedArm
from ascl_core.report.wording import KINDS, number, p_value, percent, points, points_interval, share_interval
from ascl_core.rules.diff import RuleChange, diff_corpora
from ascl_core.rules.reach import change
from ascl_core.vocabulary import PromptType

_COLLAPSED = 0.02
"""A consult rate within this of 0 or 1 means that the policy has collapsed to one mode."""
_TILES = ("safety_rate", "over_refusal_strict", "utility", "h_avg", "consult_rate", "tokens_per_answer")


def make_view(inputs: Inputs, config: ReportConfig, at: date, run: str | None = None) -> dict[str, Any]:
    """Return everything that the page and the cards show, by name; rules are compared as they are in force on the day `at`."""
    labels = [arm.label for arm in inputs.arms]
    chart = charts.safety_chart(labels, *([arm.estimate(key) for arm in inputs.arms] for key in ("safety_rate", "over_refusal_strict")))
    suites = suite_figures(inputs.manifest, inputs.arms)
    return {
        "base_model": base_model(inputs.records),
        "model_metadata": Markup(model_metadata(inputs, suites)),
        "data_metadata": Markup(data_metadata(suites)),
        "title": config.title,
        "run": run,
        "change": change(inputs.corpus, inputs.released, at),
        "rules_diff": _rules_diff(inputs, at),
        "inputs": inputs,
        "sentence": sentence(inputs),
        "passed": inputs.decision.get("passed"),
        "criteria": [_criterion(values, inputs.arm(RELEASED)) for values in inputs.decision.get("criteria") or []],
        "advice": advise(describe_failures(inputs.decision.get("criteria") or ()), released=inputs.released is not None, run=run or ""),
        "tiles": [(*BY_KEY[key][:3], [arm.estimate(key) for arm in _compared(inputs)]) for key in _TILES],
        "compared": [arm.label for arm in _compared(inputs)],
        "figures": [(name, kind, meaning, [arm.estimate(key) for arm in inputs.arms]) for key, name, kind, meaning in FIGURES],
        "second_opinion": _second_opinion(inputs.arms),
        "front": [inputs.arms[i].name for i in chart.front],
        "missing": _missing(inputs.arms),
        "cautions": cautions(inputs),
        "safety_svg": chart.svg,
        "not_drawn": chart.not_drawn,
        "arm_legend": charts.legend(labels),
        "training": _training(inputs),
        "consult": _consult(inputs.arms),
        "categories": _categories(inputs),
        "paired": _paired(inputs),
        "rule_board": _rule_board(inputs, at),
        "suites": suites,
        "attacks": attack_tables([arm.metrics for arm in inputs.arms]),
        "curation": _curation(inputs.curation),
        "as_published": [arm for arm in inputs.sft.get("arms") or {} if arm in PUBLISHED],
        "samples": choose(inputs, config.sample_conversations),
        "stages": [_stage(record) for record in inputs.records],
        "packages": _merged(inputs.records, "packages"),
        "machines": _distinct(inputs.records, "machine"),
        "revisions": _distinct(inputs.records, "git"),
        "seeds": _seeds(inputs),
        "judges": _judges(inputs),
        "sampling": _sampling(inputs.records),
        "kinds": KINDS,
    }


def _compared(inputs: Inputs) -> list[ReportedArm]:
    """Return the candidate, what is released if something is, and what the candidate was trained from."""
    return [inputs.candidate, *(arm for arm in inputs.arms if arm.name == RELEASED), inputs.reference]


def _rules_diff(inputs: Inputs, at: date) -> tuple[RuleChange, ...]:
    """Return the rules that differ from those served with the newest release; none before the first one."""
    return diff_corpora(inputs.released.served, inputs.corpus, at).rules if inputs.released else ()


def _second_opinion(arms: Sequence[ReportedArm]) -> list[tuple[str, str, str, list[Any]]]:
    """Return the figures that a judge decides, by the second judge's verdicts; none if no arm has a second judge."""
    if not any(arm.second_opinion for arm in arms):
        return []
    headlines = [arm.second_opinion.get("headline") or {} for arm in arms]
    dual_use = [(arm.second_opinion.get("dual_use") or {}).get("right") for arm in arms]
    figures = [(*BY_KEY[key][1:4], [headline.get(key) for headline in headlines]) for key in JUDGED]
    return [*figures, ("right on dual-use prompts", SHARE, "", dual_use)]


def _curation(counts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of curation, each with the rows that it added: those that it kept beyond what came in and was not dropped."""
    steps: list[dict[str, Any]] = []
    for step in counts.get("steps") or []:
        came = steps[-1]["kept"] if steps else step["kept"] + step["dropped"]
        steps.append({**step, "added": step["kept"] + step["dropped"] - came})
    return steps


def sentence(inputs: Inputs) -> str:
    """Return the outcome of the run in one sentence."""
    clauses = [
        _clause(inputs.candidate, "safety_rate", "answers {} of harmful prompts safely"),
        _clause(inputs.candidate, "over_refusal_strict", "refuses {} of borderline ones"),
        _clause(inputs.candidate, "utility", "gets {} of utility prompts right"),
        _clause(inputs.candidate, "h_avg", "reaches an H-avg of {}"),
    ]
    before, after = inputs.reference.estimate("consult_rate"), inputs.candidate.estimate("consult_rate")
    if after:
        than = f", compared with {percent(before['value'])} before reinforcement learning" if before else ""
        clauses.append(f"consults the rules in {percent(after['value'])} of its responses{than}")
    passed = inputs.decision.get("passed")
    outcome = "; ".join(filter(None, clauses)) or "was not evaluated"
    verdict = "there is no decision" if passed is None else "the gate passed" if passed else "the gate did not pass"
    summary = str(inputs.decision.get("summary") or "")
    return f"{inputs.candidate.label} {outcome}: {verdict}{f' ({summary})' if summary else ''}."


def cautions(inputs: Inputs) -> list[str]:
    """Return the caveats that a reader needs before comparing the figures."""
    found = ["Each arm was trained once, with one seed: the intervals cover the choice of prompts and answers, not the luck of training."]
    readings = [("The judge", {arm.label: arm.metrics for arm in inputs.arms})]
    readings.append(("The second judge", {arm.label: arm.second_opinion for arm in inputs.arms}))
    for _, metrics in readings:
        judges = {values["judge"] for values in metrics.values() if values.get("judge")}
        if len(judges) > 1:
            found.append(f"The arms were judged by different judges ({', '.join(sorted(judges))}): their figures are not comparable.")
    stale = [arm.label for arm in inputs.arms if arm.metrics.get("corpus_digest") not in (None, inputs.corpus.digest)]
    if stale:
        found.append(f"Evaluated with another version of the rules than the one shown here: {', '.join(stale)}.")
    consulting = inputs.candidate.estimate("consult_rate")
    if consulting and not _COLLAPSED < consulting["value"] < 1 - _COLLAPSED:
        mode = "consult" if consulting["value"] > 0.5 else "direct"
        found.append(f"{inputs.candidate.label} has collapsed to one mode: nearly all of its responses are {mode}.")
    for judge, metrics in readings:
        covered = [(label, c["value"]) for label, values in metrics.items() if (c := (values.get("headline") or {}).get("coverage"))]
        if low := [f"{label} {percent(value)}" for label, value in covered if value < 0.9]:
            found.append(f"{judge} had no verdict on many responses; coverage: {', '.join(low)}.")
    if absent := inputs.manifest.get("missing"):
        found.append(f"Suites without data: {', '.join(sorted(absent))}.")
    dirty = sorted(str(r.get("stage")) for r in inputs.records if (r.get("git") or {}).get("dirty"))
    if dirty:
        found.append(f"Made from a working tree with uncommitted changes: {', '.join(dirty)}.")
    return found


def _clause(arm: ReportedArm, key: str, words: str) -> str:
    estimate = arm.estimate(key)
    if estimate is None:
        return ""
    return words.format(percent(estimate["value"])) + f" (95\u00a0% interval {share_interval(estimate)}, n\u00a0=\u00a0{estimate['n']})"


def _criterion(values: Mapping[str, Any], released: ReportedArm) -> dict[str, Any]:
    """Return a criterion for the page: an estimate against a threshold, or a difference against a significance level."""
    value, threshold = values.get("value"), values.get("threshold")
    estimate = value if isinstance(value, Mapping) else None
    difference = value if isinstance(value, int | float) else None
    return {
        "name": values.get("name", ""),
        "passed": bool(values.get("passed")),
        "reason": values.get("reason", ""),
        "released": figure_of(values.get("name", ""), released.metrics),
        "estimate": estimate,
        "value": points(difference) if difference is not None else percent(estimate["value"] if estimate else None),
        "limit": threshold if difference is None else None,
        "threshold": "" if threshold is None else f"p ≥ {number(threshold)}" if difference is not None else percent(threshold),
    }


def _missing(arms: Sequence[ReportedArm]) -> list[tuple[str, str, list[str]]]:
    """Return each figure or suite without data, the reason, and the arms."""
    found: dict[tuple[str, str], list[str]] = {}
    for arm in arms:
        reasons = dict(arm.metrics.get("missing") or {}) if arm.metrics else {"all figures": "not evaluated"}
        for name, reason in reasons.items():
            found.setdefault((name, reason), []).append(arm.label)
    return [(BY_KEY[name].name if name in BY_KEY else name, reason, labels) for (name, reason), labels in found.items()]


def _training(inputs: Inputs) -> list[dict[str, Any]]:
    """Return the plots over training steps, each with its legend and its table."""
    steps = inputs.candidate.steps
    kinds = dict(KINDS)
    components = sorted(
        {key for step in steps for key in step if key.startswith("reward/")} - {f"reward/{kind}" for kind in (*kinds, "mean")}
    )
    losses = {arm.label: series_of(arm.steps, "loss") for arm in inputs.arms if arm.name != CANDIDATE}
    by_type = {name: series_of(steps, f"consult_rate/{kind}") for kind, name in kinds.items()}
    rewards = {**{name: series_of(steps, f"reward/{kind}") for kind, name in kinds.items()}, "all": series_of(steps, "reward/mean")}
    health = {
        "well-formed": "valid_rate",
        "groups with one mode": "groups/one_mode",
        "groups with one reward": "groups/zero_variance",
        "not judged": "not_judged",
    }
    label = inputs.candidate.label
    return [
        charts.curves("consulting", f"Consult rate per prompt type, {label}", by_type, "consult rate", "share"),
        charts.curves("reward", f"Reward per prompt type, {label}", rewards, "mean reward"),
        charts.curves(
            "components", f"Reward components, {label}", {_plain(k): series_of(steps, k) for k in components}, "mean of the component"
        ),
        charts.curves("health", f"What the groups held, {label}", {k: series_of(steps, v) for k, v in health.items()}, "share", "share"),
        charts.curves("loss", "Loss of supervised fine-tuning", losses, "loss on assistant tokens (log)", "log"),
    ]


def _plain(component: str) -> str:
    return component.removeprefix("reward/").replace("_", " ")


def _consult(arms: Sequence[ReportedArm]) -> dict[str, Any]:
    rates = [(kind, [arm.of_type(kind, "consult_rate") for arm in arms]) for kind in KINDS]
    rates = [(kind, estimates) for kind, estimates in rates if any(estimates)]
    if not rates:
        return {"svg": None, "rows": []}
    rows = "; ".join(
        f"{KINDS[kind]}: " + ", ".join(f"{arm.label} {percent(e['value'])}" for arm, e in zip(arms, estimates, strict=True) if e)
        for kind, estimates in rates
    )
    return {
        "svg": Markup(plots.consult_plot(rates, f"Consult rate per prompt type. {rows}.")),
        "rows": [(KINDS[kind], estimates) for kind, estimates in rates],
    }


def _categories(inputs: Inputs) -> list[tuple[str, str, str, list[dict[str, Any] | None]]]:
    """Return title, kind of figure, id and each arm's safety rate for every category in any arm's metrics."""
    ids = sorted({category for arm in inputs.arms for category in arm.metrics.get("by_category") or {}})
    titles = {key: category.title for key, category in inputs.corpus.categories.items()}
    return [(titles.get(key, key), SHARE, key, [(arm.metrics.get("by_category") or {}).get(key) for arm in inputs.arms]) for key in ids]


def _rule_board(inputs: Inputs, at: date) -> list[dict[str, Any]]:
    """Return how far the candidate follows each rule in force: changed rules first, then the least followed, those without data last."""
    changes = {change.rule_id: change for change in _rules_diff(inputs, at)}
    figures, before = (arm.metrics.get("by_rule") or {} for arm in (inputs.candidate, inputs.arm(RELEASED)))
    no_data = to_json(rule_figures(()))
    board = [
        {
            "rule": rule,
            "change": changes.get(rule.id),
            "released": before.get(rule.id, no_data)["followed"],
            **figures.get(rule.id, no_data),
        }
        for rule in inputs.corpus.active_anywhere(at)
    ]
    return sorted(board, key=lambda row: (row["change"] is None, row["followed"] is None, (row["followed"] or {}).get("value")))


def _paired(inputs: Inputs) -> list[dict[str, Any]]:
    """Return the paired tests against the checkpoint that the candidate was trained from, and against the release if there is one."""
    reference = [test.to_json() for test in compare(plain_rows(inputs.candidate.rows), plain_rows(inputs.reference.rows))]
    release = (inputs.decision.get("released") or {}).get("tag")
    of_kinds = [test for test in inputs.decision.get("paired") or [] if PairedTest(**test).rule_id is None]
    against = [(inputs.reference.label, reference), (f"the release {release}", of_kinds if release else [])]
    return [{"against": name, "tests": [test_view(test) for test in tests]} for name, tests in against if tests]


def test_view(test: Mapping[str, Any]) -> dict[str, Any]:
    """Return a paired test with its texts for the page."""
    kind = str(test["metric"]).removeprefix("right/")
    finding = "unclear" if test["p_value"] >= 0.05 else "better" if test["difference"] > 0 else "worse"
    return {
        **test,
        "kind": KINDS.get(kind, kind),
        "points": points(test["difference"]),
        "interval": points_interval(test),
        "p": p_value(test["p_value"]),
        "finding": finding,
    }


def suite_figures(manifest: Mapping[str, Any], arms: Sequence[ReportedArm]) -> list[dict[str, Any]]:
    """Return each suite of the manifest with each arm's share of right answers, then the missing suites with the reason."""
    described = manifest.get("suites") or {}
    rows = [{"name": name, **values, "right": [_right(arm, name) for arm in arms]} for name, values in sorted(described.items())]
    return rows + [{"name": name, "absent": reason} for name, reason in sorted((manifest.get("missing") or {}).items())]


def _right(arm: ReportedArm, suite: str) -> dict[str, Any] | None:
    estimate = rate([row for row in arm.rows if row.suite == suite], right)
    return None if estimate is None else estimate.to_json()


def _stage(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage's record with every key that the page shows."""
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
        "metrics": dict(_shown(*entry) for entry in (record.get("metrics") or {}).items()),
    }


def _shown(key: str, value: Any) -> tuple[str, Any]:
    """Return name and value of a stage's figure as the other tables show them; counts stay as they are."""
    figure = BY_KEY.get(key)
    return (key, value) if figure is None else (figure.in_sentence, percent(value) if figure.kind == SHARE else number(value))


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
    """Return every stage's seed from the records' parameters, or from the training logs if there are no records."""
    sections = {
        section: values["seed"]
        for record in inputs.records
        for section, values in (record.get("parameters") or {}).items()
        if isinstance(values, Mapping) and "seed" in values
    }
    return sorted(sections.items()) or [(arm.name, arm.config["seed"]) for arm in inputs.arms if "seed" in arm.config]


def _judges(inputs: Inputs) -> list[tuple[str, str]]:
    """Return which judge judged what."""
    training = (inputs.candidate.config.get("judge") or {}).get("name")
    evaluating = sorted({str(arm.metrics["judge"]) for arm in inputs.arms if arm.metrics.get("judge")})
    found = (
        ("evaluation", ", ".join(evaluating)),
        ("second opinion", ", ".join(sorted({str(arm.second_opinion["judge"]) for arm in inputs.arms if arm.second_opinion}))),
        ("reinforcement learning", training),
        ("accepting trajectories", inputs.sft.get("judge")),
    )
    return [(what, str(who)) for what, who in found if who]


def _sampling(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return how answers of each kind were sampled, from the records' parameters; nothing if no record has them."""
    recorded = next((values for record in records if (values := (record.get("parameters") or {}).get("evaluate"))), None)
    if recorded is None:
        return []
    config = EvaluateConfig.model_validate(recorded)
    kinds = (("safety", PromptType.HARMFUL), ("over-refusal", PromptType.BORDERLINE), ("utility", PromptType.UTILITY))
    return [(name, _drawn(*config.sampling_of(kind)[:2])) for name, kind in kinds]


def _drawn(temperature: float, top_p: float) -> str:
    if not temperature:
        return "greedy"
    return f"temperature {temperature:g}" + (f" and top-p {top_p:g}" if top_p < 1 else "")
