"""The page of a comparison, with the candidate among its arms and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, write_json, write_parquet
from ascl_core.contracts import EvaluatedRollout, to_table
from ascl_core.report.comparison import write_comparison
from ascl_core.vocabulary import Harm, Mode, PromptType, Refusal
from tests.builders import make_result

RIGHT = {"base": 5, "sft": 8, "grpo": 12, "ifpo": 14}
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
