"""The stage `build_suites`: the prompts that checkpoints are evaluated on and that training data must not contain."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_json, write_json, write_parquet
from ascl_core.catalogue import dataset, names
from ascl_core.config.attacks import NO_ATTACKS, AttacksConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sources import OWN
from ascl_core.config.suites import SuiteConfig, SuitesConfig
from ascl_core.contracts import Prompt, StageContext, to_table
from ascl_core.data.nearest_category import with_categories
from ascl_core.data.raw_prompt import RawPrompt, clean, content_fraction, content_hash
from ascl_core.data.resolve import resolve
from ascl_core.data.seeds import seed_prompts
from ascl_core.data.sources import load_source
from ascl_core.data.table_prompts import own_tables
from ascl_core.errors import DataError
from ascl_core.evaluation.attacks import attack_suites
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.vocabulary import PromptType

METRIC_VERSION = 2
"""The version of the own suites' metrics and of the figures over all suites."""
_OWN = {
    PromptType.HARMFUL: "own-safety",
    PromptType.BORDERLINE: "own-over-refusal",
    PromptType.SENSITIVE: "own-sensitive",
    PromptType.UTILITY: "own-utility",
}
_DUAL_USE = "own-dual-use"


def build_suites(
    *,
    suites: SuitesConfig,
    attacks: AttacksConfig = NO_ATTACKS,
    rules: RulesConfig,
    raw: Path,
    corpus: Path,
    suite_prompts: Path,
    manifest: Path,
    texts: Path,
    context: StageContext,
) -> dict[str, float | int | str]:
    """Write every suite's prompts, and a manifest that describes each suite and names the missing ones with the reason.

    `texts` holds the prompts alone, whether or not a rule that decides them is in force, so that a change of the rules does not change
    it. An attacked prompt contains its plain prompt and needs no entry.
    """
    loaded_corpus = load_corpus(corpus)
    own = _held_out(suites, raw, loaded_corpus)
    prompts = _own_suites(list(with_categories(own, loaded_corpus, rules.at)), loaded_corpus, rules.at)
    prompts += attack_suites(prompts, attacks)
    held_out = {row.prompt for row in own}
    missing: dict[str, str] = {}
    for suite in context.progress.track(suites.external, "load suites"):
        try:
            rows = _external_rows(suite, raw, loaded_corpus, rules.at)
        except DataError as error:
            if suite.required:
                raise
            missing[suite.name] = str(error)
            continue
        prompts.extend(dataclasses.replace(prompt, suite=suite.name) for prompt in resolve(rows, loaded_corpus, rules.at))
        held_out.update(row.prompt for row in rows)
    write_parquet(suite_prompts, to_table(prompts, Prompt))
    described = {"suites": _describe(prompts, suites), "missing": missing, "metric_version": METRIC_VERSION}
    write_json(manifest, {**described, "held_out_attacks": [str(kind) for kind in attacks.held_out]})
    write_json(texts, sorted(held_out))
    return {"suites": len({prompt.suite for prompt in prompts}), "prompts": len(prompts), "missing": len(missing), **_note(prompts)}


def _note(prompts: list[Prompt]) -> dict[str, str]:
    """Return what a person should know: the types without a prompt to evaluate on."""
    present = {prompt.prompt_type for prompt in prompts}
    absent = [str(kind) for kind in PromptType if kind not in present]
    what = "no suite has a prompt" if not present else f"no suite has a {' or '.join(absent)} prompt"
    return {"note": f"{what}: the figures that need one have no data, which is not zero, and the gate cannot hold them"} if absent else {}


def _held_out(suites: SuitesConfig, raw: Path, corpus: Corpus) -> list[RawPrompt]:
    """Return the held-out prompts: of seeds whole families, so that training never sees their actions and objects together.

    Of the prompts in tables that share a rule, or else type and category, at least one is held out and at least one is left, if there are
    two. All of it depends on the files in `raw` alone.
    """
    if not suites.own_fraction:
        return []
    seeds = [row for row in seed_prompts(raw, corpus) if _fraction(row) < suites.own_fraction]
    groups: dict[object, list[RawPrompt]] = defaultdict(list)
    for row in own_tables(raw, corpus):
        groups[row.rule_id or (row.prompt_type, row.category)].append(row)
    tables = [row for members in groups.values() for row in _hold_out(members, suites.own_fraction)]
    return [*seeds, *tables]


def _hold_out(rows: list[RawPrompt], share: float) -> list[RawPrompt]:
    ordered = sorted(_once(rows), key=_fraction)
    number = sum(_fraction(row) < share for row in ordered)
    return ordered[: min(max(number, 1), len(ordered) - 1)]


def _fraction(row: RawPrompt) -> float:
    return content_fraction(row.family or row.prompt, "suite")


def _own_suites(rows: list[RawPrompt], corpus: Corpus, at: date) -> list[Prompt]:
    resolved = resolve(rows, corpus, at)
    return [dataclasses.replace(p, suite=_DUAL_USE if p.dual_use else _OWN[p.prompt_type]) for p in resolved]


def _external_rows(suite: SuiteConfig, raw: Path, corpus: Corpus, at: date) -> list[RawPrompt]:
    rows = _once([dataclasses.replace(row, prompt=clean(row.prompt)) for row in load_source(suite, raw, corpus)])
    if suite.is_own:
        rows = list(with_categories(rows, corpus, at))
    if suite.max_prompts is not None:
        rows = sorted(rows, key=lambda row: content_hash(row.prompt, "max_prompts"))[: suite.max_prompts]
    return rows


def _once(rows: list[RawPrompt]) -> list[RawPrompt]:
    """Return the first row with each prompt, so that no prompt counts twice."""
    first: dict[str, RawPrompt] = {}
    for row in rows:
        first.setdefault(row.prompt, row)
    return list(first.values())


def _describe(prompts: list[Prompt], suites: SuitesConfig) -> dict[str, Any]:
    external = {suite.name: suite for suite in suites.external}
    described = {}
    for name in sorted({str(prompt.suite) for prompt in prompts}):
        members = [prompt for prompt in prompts if prompt.suite == name]
        described[name] = {
            "n": len(members),
            "by_type": dict(sorted(Counter(str(prompt.prompt_type) for prompt in members).items())),
            "sha256": sha256_json([[prompt.id, prompt.prompt, prompt.answer] for prompt in members]),
            "licence": members[0].licence,
            **_provenance(external.get(name)),
        }
    return described


def _provenance(suite: SuiteConfig | None) -> dict[str, Any]:
    """Return a suite's source and the versions of its metric and judge; only figures of the same metric version compare."""
    if suite is None:
        return {"source": "data/raw", "revision": None, "kind": OWN, "format": OWN, "metric_version": METRIC_VERSION, "judge": None}
    known = dataset(suite.format) if suite.format in names() else None
    return {
        "source": suite.path,
        "revision": suite.revision,
        "config": suite.hub_config,
        "split": suite.hub_split,
        "kind": suite.kind,
        "samples": suite.samples,
        "format": suite.format,
        "metric": known.metric if known else None,
        "metric_version": known.metric_version if known else METRIC_VERSION,
        "judge": known.judge if known else None,
    }
