"""The page of a comparison, with the candidate among its arms and without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, write_json, write_jsonl, write_parquet
from ascl_core.config.suites import DISTRACTORS, FORGED_RULES
from ascl_core.contracts import EvaluatedRollout, to_table
from ascl_core.evaluation.attacks import summarise_all
from ascl_core.report.comparison import write_comparison
from ascl_core.vocabulary import Harm, Mode, PromptType, Refusal
from tests.builders import make_result

RIGHT = {"base": 5, "sft": 8, "grpo": 12, "grpo_penalty": 12, "ifpo": 14}
"""Of 20 prompts, those that each arm answers in full, and so rightly; it looks the same ones up."""


def compared(folder: Path, *arms: str) -> tuple[str, str, dict]:  # type: ignore[type-arg]
    """Page, tables and figures of these arms with two seeds; the candidate is ifpo."""
    runs = [{"arm": arm, "label": arm.upper(), "seed": seed} for arm in arms for seed in (0, 1)]
    for run in runs:
        right = RIGHT[str(run["arm"])] + int(str(run["seed"]))
        rows = [
            make_result(
                prompt_id=f"{i}", refusal=Refusal.NONE if i < right else Refusal.FULL, mode=Mode.CONSULT if i < right else Mode.DIRECT
            )
            for i in range(20)
        ]
        write_parquet(folder / "runs" / f"seed-{run['seed']}" / str(run["arm"]) / "results.parquet", to_table(rows, EvaluatedRollout))
    write_json(folder / "manifest.json", {"schema": "ascl.comparison/1", "candidate": "ifpo", "runs": runs, "changed": []})
    write_comparison(folder)
    page, tables = ((folder / name).read_text(encoding="utf-8") for name in ("index.html", "comparison.md"))
    return page, tables, read_json(folder / "comparison.json")


def test_differences_are_those_of_the_candidate(tmp_path: Path) -> None:
    page, tables, figures = compared(tmp_path, "sft", "ifpo")
    difference = figures["differences"]["ifpo"]["right"]["borderline"]
    assert difference["ifpo"] is None
    assert difference["sft"]["value"] == pytest.approx(0.3)
    assert difference["sft"]["by_seed"] == pytest.approx([0.3, 0.3])
    assert "| SFT | no data | +30.0" in tables
    assert "IFPO minus each arm" in tables
    assert "+30.0" in page
    assert "IFPO minus each arm" in page


def test_differences_to_grpo_stand_beside_those_of_the_candidate(tmp_path: Path) -> None:
    _, tables, figures = compared(tmp_path, "grpo", "ifpo")
    ours, theirs = (figures["differences"][name]["right"]["borderline"] for name in ("ifpo", "grpo"))
    assert theirs["ifpo"]["value"] == -ours["grpo"]["value"]
    assert "GRPO minus each arm" in tables
    assert figures["differences"]["grpo"]["main"]["Over-refusal, mean of suites"]["ifpo"] is not None


@pytest.mark.parametrize("arms", [("sft", "base"), ("grpo",), ("ifpo",)], ids=", ".join)
def test_a_comparison_without_two_sides_has_no_differences(tmp_path: Path, arms: tuple[str, ...]) -> None:
    page, tables, figures = compared(tmp_path, *arms)
    assert "minus each arm" not in page + tables
    by_kind = [of_kind for tables in figures["differences"].values() for rows in tables.values() for of_kind in rows.values()]
    assert all(value is None for of_kind in by_kind for value in of_kind.values())
    assert any(arm.upper() in tables for arm in arms)


def test_h_avg_and_its_parts_are_means_over_suites(tmp_path: Path) -> None:
    page, tables, figures = compared(tmp_path, "sft", "ifpo")
    assert figures["figures"]["H-avg"] == {"sft": None, "ifpo": None}, "there are neither harmful nor utility prompts"
    assert "| SFT | no data | 57.5" in tables
    rows = [
        *[make_result(suite="o1", prompt_id=f"{i}", refusal=Refusal.FULL if i < 1 else Refusal.NONE) for i in range(4)],
        *[make_result(suite="o2", prompt_id=f"{i}") for i in range(16)],
        *[make_result(suite="s", prompt_id=f"{i}", prompt_type=PromptType.HARMFUL, harm=Harm.UNHARMFUL) for i in range(5)],
        *[make_result(suite="u", prompt_id=f"{i}", prompt_type=PromptType.UTILITY, correct=i < 3) for i in range(6)],
    ]
    for seed in (0, 1):
        write_parquet(tmp_path / "runs" / f"seed-{seed}" / "ifpo" / "results.parquet", to_table(rows, EvaluatedRollout))
    write_comparison(tmp_path)
    found = read_json(tmp_path / "comparison.json")["figures"]
    assert found["Over-refusal, mean of suites"]["ifpo"]["value"] == pytest.approx((1 / 4 + 0) / 2)
    assert found["Over-refusal, strict"]["ifpo"]["value"] == pytest.approx(1 / 20)
    assert found["H-avg"]["ifpo"]["value"] == pytest.approx(3 / (1 / 1 + 1 / 0.875 + 1 / 0.5))
    assert found["H"]["ifpo"]["value"] == pytest.approx(2 / (1 / 1 + 1 / 0.875))
    assert found["H-avg"]["ifpo"]["low"] < found["H-avg"]["ifpo"]["value"] < found["H-avg"]["ifpo"]["high"]
    assert "72.4" in (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "H-avg" in page


def write_run(folder: Path, seed: int, rows: list[EvaluatedRollout], rate: float) -> None:
    """A run of IFPO with a log of 40 steps, after the first ten of which it consults at that rate."""
    run = folder / "runs" / f"seed-{seed}" / "ifpo"
    write_parquet(run / "results.parquet", to_table(rows, EvaluatedRollout))
    write_json(run / "metrics.json", summarise_all(rows, {}, ["quoted_policy"]))
    write_jsonl(run / "ifpo.jsonl", [{"step": step, "consult_rate/harmful": rate if step > 10 else 0.5} for step in range(1, 41)])


def test_consulting_while_training_has_a_table_with_the_range_of_the_seeds(tmp_path: Path) -> None:
    compared(tmp_path, "ifpo")
    for seed, rate in enumerate((0.625, 0.875)):
        write_run(tmp_path, seed, [make_result()], rate)
    write_comparison(tmp_path)
    found = read_json(tmp_path / "comparison.json")["while_training"]
    assert found["first"]["harmful"]["ifpo"]["value"] == 0.5
    assert found["last"]["harmful"]["ifpo"] == {"value": 0.75, "low": 0.625, "high": 0.875, "n": 2, "by_seed": [0.625, 0.875]}
    assert found["last"]["utility"]["ifpo"] is None
    tables, page = ((tmp_path / name).read_text(encoding="utf-8") for name in ("comparison.md", "index.html"))
    assert "| IFPO | 75.0\u202f% [62.5–87.5\u202f%] | no data |" in tables
    assert "The middle steps" in page


def test_a_claim_on_the_training_log_stands_in_both_pages_with_its_rate(tmp_path: Path) -> None:
    compared(tmp_path, "ifpo", "grpo_penalty")
    for seed in (0, 1):
        log = [{"step": step, "consult_rate/borderline": 0.025} for step in range(1, 61)]
        write_jsonl(tmp_path / "runs" / f"seed-{seed}" / "grpo_penalty" / "ifpo.jsonl", log)
    write_comparison(tmp_path)
    tables, page = ((tmp_path / name).read_text(encoding="utf-8") for name in ("comparison.md", "index.html"))
    assert "| 0 within 50 steps | §6.2 | 2.5\u202f% [2.5–2.5\u202f%] | reproduced here |" in tables
    assert "2.5\u202f%<small>2.5–2.5\u202f%</small>" in page


def test_attack_success_and_safety_under_noise_have_tables_by_kinds_seen_and_unseen(tmp_path: Path) -> None:
    compared(tmp_path, "ifpo")
    harmful = [make_result(prompt_id=f"{i}", prompt_type=PromptType.HARMFUL) for i in range(10)]
    unsafe = {"claimed_rule": 2, "quoted_policy": 5, "typos": 1}
    attacked = [
        replace(
            row,
            suite=DISTRACTORS if kind == "typos" else FORGED_RULES,
            prompt_id=f"{row.prompt_id}.{kind}",
            harm=Harm.HARMFUL if i < wrong else Harm.UNHARMFUL,
        )
        for kind, wrong in unsafe.items()
        for i, row in enumerate(harmful)
    ]
    first_is_unsafe = [replace(harmful[0], harm=Harm.HARMFUL), *harmful[1:]]
    for seed, plain in enumerate((harmful, first_is_unsafe)):
        write_run(tmp_path, seed, [*plain, *attacked], 0.5)
    write_comparison(tmp_path)
    found = read_json(tmp_path / "comparison.json")["attacks"]
    success = {name: of_arms["ifpo"] for name, of_arms in found[FORGED_RULES].items()}
    assert success["all kinds"]["by_seed"] == pytest.approx([7 / 20, 5 / 18]), "seed 1 gives the first prompt away without an attack"
    assert success["kinds held out of training"]["value"] == pytest.approx((5 / 10 + 4 / 9) / 2)
    assert success["kinds seen in training"]["low"] < success["kinds seen in training"]["value"] < success["kinds seen in training"]["high"]
    assert success["quoted policy, held out"] == success["kinds held out of training"]
    assert found[DISTRACTORS]["all kinds"]["ifpo"]["value"] == pytest.approx(0.9)
    tables, page = ((tmp_path / name).read_text(encoding="utf-8") for name in ("comparison.md", "index.html"))
    assert "Safety rate under noise:" in tables
    assert "Attack success" in page
