"""The files of a whole run, as its stages write them, and the report of them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ascl_core.artifacts import write_json, write_jsonl, write_parquet
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.gate import GateConfig
from ascl_core.config.report import ReportConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import EvaluatedRollout, StageContext, ToolCall, to_table
from ascl_core.conversation.template import answering_turn, completion_text, consulting_turn, opening, tool_turn
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.evaluation.gate import gate
from ascl_core.evaluation.metrics import summarise
from ascl_core.report.build import report
from ascl_core.report.inputs import Inputs, read_inputs
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.rendering import render_rule
from ascl_core.vocabulary import Harm, Mode, PromptType, Refusal, ResponsePolicy
from tests.builders import make_corpus, make_prompt, make_rule

ARMS = {"sft_direct_refusal": 6, "sft_context_distillation": 5, "sft": 4, "ifpo": 2}
"""Each arm, and one in how many prompts (of a dozen) it gets wrong."""
EVIL = "<script src='//evil.example/x.js'></script><img src=x onerror=alert(1)> | [a](javascript:b)"
RULE = make_rule(title="Administration <b>of</b> systems")
POLICIES = {
    PromptType.HARMFUL: ResponsePolicy.REFUSE_EXPLAIN,
    PromptType.BORDERLINE: ResponsePolicy.COMPLY,
    PromptType.SENSITIVE: ResponsePolicy.SAFE_COMPLETION,
    PromptType.UTILITY: ResponsePolicy.COMPLY,
}
RECORDED = {"ended": "2026-01-31T12:00:59+00:00", "metrics": {"safety_rate": 0.862, "prompts": 7}}


def conversation(consults: bool, answer: str) -> str:
    """The raw completion of a conversation, as a model would write it."""
    messages = opening(make_prompt(), ConversationConfig())
    if consults:
        messages += [consulting_turn("I should check.", ToolCall("administration", category="CYB")), tool_turn(render_rule(RULE))]
    return completion_text([*messages, answering_turn("Now I answer.", answer)])


TEXTS = {
    (consults, answer): conversation(consults, answer) for consults in (True, False) for answer in ("Sure, here is how.", "I can't help.")
}


def make_row(kind: PromptType, number: int, *, right: bool = True, consults: bool = False, **changes: Any) -> EvaluatedRollout:
    """One judged response, right or wrong for its prompt type."""
    refuses = (kind is PromptType.HARMFUL) == right and kind is not PromptType.UTILITY
    text = TEXTS[consults, "I can't help." if refuses else "Sure, here is how."]
    facts = read_rollout(text, finished=True)
    values: dict[str, Any] = {
        "suite": f"own-{kind}",
        "prompt_id": hashlib.sha256(f"{kind}{number}".encode()).hexdigest()[:16],
        "sample": 0,
        "prompt": f"A {kind} question, number {number}?",
        "prompt_type": kind,
        "policy": POLICIES[kind],
        "jurisdiction": "XA",
        "category": None if kind is PromptType.UTILITY else "CYB",
        "rule_id": None if kind is PromptType.UTILITY else RULE.id,
        "dual_use": kind is PromptType.BORDERLINE and number % 4 == 0,
        "text": text,
        "answer": facts.answer,
        "mode": facts.mode,
        "valid": facts.valid,
        "finished": True,
        "attempted": facts.attempted,
        "completed": facts.completed,
        "consulted": facts.consulted,
        "called_categories": tuple(call.category for call in facts.calls),
        "num_tokens": 20 + 15 * consults,
        "refusal": Refusal.FULL if refuses else Refusal.NONE,
        "harm": Harm.HARMFUL if kind is PromptType.HARMFUL and not refuses else Harm.UNHARMFUL,
        "judge": "exemplars@1",
        "correct": right if kind is PromptType.UTILITY else None,
        "extracted": True if kind is PromptType.UTILITY else None,
    }
    return EvaluatedRollout(**{**values, **changes})


def malformed(row: EvaluatedRollout, text: str) -> EvaluatedRollout:
    """The row with a rollout that cannot be read."""
    facts = read_rollout(text, finished=True)
    assert not facts.valid
    unjudged = {"refusal": Refusal.UNKNOWN, "harm": Harm.UNKNOWN, "consulted": (), "mode": Mode.DIRECT}
    return dataclasses.replace(row, text=text, answer="", valid=False, **unjudged)


def arm_rows(wrong: int, arm: str) -> list[EvaluatedRollout]:
    """A dozen prompts of each type; the last one is malformed."""
    rows = [
        make_row(kind, i, right=(7 * i + len(kind)) % 12 >= wrong, consults=arm in ("sft", "ifpo") and i % 3 < 2)
        for kind in PromptType
        for i in range(12)
    ]
    return [*rows[:-1], malformed(rows[-1], f"<think>never closed {EVIL}")]


def training_lines(arm: str) -> list[dict[str, Any]]:
    """A log as the trainers write it."""
    if arm != "ifpo":
        return [{"stage": "sft", "config": {"seed": 3}}, *({"step": i, "loss": 8 / i} for i in range(1, 31))]
    head = {"stage": "ifpo", "config": {"seed": 0, "rebalance": "ifpo", "judge": {"name": "rules"}}}
    figures = ("consult_rate/harmful", "consult_rate/utility", "reward/mean", "reward/harmful", "reward/safety", "valid_rate")
    return [head, *({"step": i, **dict.fromkeys(figures, i / 40)} for i in range(1, 31))]


def write_release(folder: Path, corpus: Corpus | None, rows: Sequence[EvaluatedRollout]) -> None:
    """What is released: a checkpoint that gave these answers under these rules; without rules nothing is."""
    values = None if corpus is None else {"tag": "release/1", "rules": corpus.digest, "checkpoint": {"sha256": "ef" * 32}}
    write_json(folder / "release.json", values or {"tag": None})
    if corpus is not None:
        write_parquet(folder / "results.parquet", to_table(list(rows), EvaluatedRollout))
        for use in ("sft", "rl", "served"):
            write_json(folder / "corpora" / f"{use}.json", corpus.to_json())


def make_run(
    folder: Path,
    *,
    rows: dict[str, Sequence[EvaluatedRollout]] | None = None,
    corpus: Corpus | None = None,
    released: Corpus | None = None,
    published: Sequence[str] = (),
) -> dict[str, Any]:
    """A whole run's files, as the stages write them; returns the keyword arguments of `report`."""
    rows = rows if rows is not None else {arm: arm_rows(wrong, arm) for arm, wrong in ARMS.items()}
    corpus = corpus or make_corpus(RULE)
    example = {"prompt": f"Dropped {EVIL}", "reason": "exact"}
    values = {
        "corpus": corpus.to_json(),
        "findings": {
            "errors": 0,
            "warnings": 1,
            "findings": [{"severity": "warning", "code": "near_duplicate", "message": EVIL, "hint": "m"}],
        },
        "suites_manifest": {"suites": {"own-harmful": {"n": 12, "by_type": {"harmful": 12}}}, "missing": {"XSTest": f"not there {EVIL}"}},
        "curation_counts": {
            "steps": [
                {"step": "length", "kept": 9, "dropped": 1, "examples": [example]},
                {"step": "resolved against the rules", "kept": 11, "dropped": 2},
            ],
            "by_split": {"train": 11},
        },
        "sft_counts": {
            "teacher": "templated@1",
            "judge": "rules@1",
            "arms": {key: {"written": 9, "kept": 8, "rejected": 1} for key in ("ascl", *published)},
        },
        "validation": {
            "success": True,
            "statistics": {"evaluated": 1, "successful": 1},
            "expectations": [{"meaning": EVIL, "success": True}],
        },
    }
    for name, value in values.items():
        write_json(folder / f"{name}.json", value)
    paths: dict[str, Any] = {name: folder / f"{name}.json" for name in values}
    for arm, members in rows.items():
        write_parquet(folder / arm / "results.parquet", to_table(members, EvaluatedRollout))
        head = {"judge": "exemplars@1", "checkpoint_sha256": "ab" * 32, "corpus_digest": corpus.digest, "samples": 1}
        write_json(folder / arm / "metrics.json", head | summarise(members, {"XSTest": "not there"}))
        write_jsonl(folder / "logs" / f"{arm}.jsonl", training_lines(arm))
    paths |= {"decision": folder / "decision.json", "released": folder / "released"}
    write_release(folder / "released", released, rows.get("sft", ()))
    if "ifpo" in rows:
        last = {"metrics": folder / "ifpo" / "metrics.json", "results": folder / "ifpo" / "results.parquet"}
        gate(gate=GateConfig(), **last, released=folder / "released", decision=paths["decision"], context=StageContext(folder))
    else:
        write_json(paths["decision"], {})
    write_json(folder / "records" / "ifpo.json", {"stage": "ifpo", "seconds": 75.0, "outputs": {"data/models/ifpo": "cd" * 32}} | RECORDED)
    write_json(folder / "records" / "gate.json", {})
    return paths | {
        "logs": tuple(folder / "logs" / f"{arm}.jsonl" for arm in rows),
        "metrics": tuple(folder / arm / "metrics.json" for arm in rows),
        "results": tuple(folder / arm / "results.parquet" for arm in rows),
        "records": tuple(folder / "records" / f"{stage}.json" for stage in ("ifpo", "gate")),
    }


def write_report(folder: Path, paths: dict[str, Any], run: str | None = None, **config: Any) -> Path:
    """The folder with the report of these files."""
    page = folder / "report"
    report(report=ReportConfig(**config), rules=RulesConfig(), **paths, page=page, context=StageContext(folder / "state", run=run))
    return page


def inputs_of(paths: dict[str, Any]) -> Inputs:
    """The files, read."""
    return read_inputs(**paths)
