"""Rows of a real run: each is in a manifest, and each that was trained on is found again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import digest, read_json, read_jsonl, read_parquet
from ascl_core.config.sft_data import SftData
from ascl_core.contracts import Prompt, from_table
from flows.cli import app
from flows.cli.console import out
from tasks.lineage.find import find
from tasks.lineage.rows import checkpoints_of_row, checkpoints_of_rule, upstream_rows
from tasks.registry.stages import CURATION_COUNTS, IFPO, PROMPTS, RL_CORPUS, SFT, SUITES, TRAJECTORIES, checkpoint_of
from tasks.repository.git import git
from tasks.runs import runs
from tests.pipeline.workspace import Workspace


def asked(*words: str) -> str:
    """What `ascl lineage …` prints."""
    result = CliRunner().invoke(app, ["lineage", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_rows_of_a_real_run_are_found_from_both_ends(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    root = finished.root
    monkeypatch.setattr(out, "_width", 300)
    run = runs.open_run(root, "once-more")
    runs.finish_run(root, run, {})
    behind = upstream_rows(root, find(root, checkpoint_of(IFPO).path), None, limit=10**6)
    assert behind.unavailable == []
    by_path = {one.path: one for one in behind.data_sets}
    assert by_path[TRAJECTORIES[SftData.ASCL].path].rows == len(read_jsonl(root / TRAJECTORIES[SftData.ASCL].path))
    _reinforcement_learning_was_given_its_own_prompts(root, {row["row_id"] for row in behind.rows if row["path"] == PROMPTS.path})
    _rows_know_what_they_passed(root, behind.rows)
    _some_rows_are_found(root, behind.rows)
    _rules_are_found(root)
    _commands_say_it(root)


def _reinforcement_learning_was_given_its_own_prompts(root: Path, rows: set[str]) -> None:
    from ascl_core.rl.train import training_prompts

    prompts = from_table(read_parquet(root / PROMPTS.path), Prompt)
    assert rows == {prompt.id for prompt in training_prompts(prompts)}


def _rows_know_what_they_passed(root: Path, rows: list[dict[str, object]]) -> None:
    steps = [step["step"] for step in read_json(root / CURATION_COUNTS.path)["steps"]][1:]
    passed = {row["kept"] for row in rows if row["path"] == PROMPTS.path}
    assert passed == {", ".join(steps), ", ".join(step for step in steps if step != "near-duplicates")}


def _some_rows_are_found(root: Path, rows: list[dict[str, object]]) -> None:
    for path, stage in ((PROMPTS.path, IFPO), (TRAJECTORIES[SftData.ASCL].path, SFT)):
        of_path = [str(row["row_id"]) for row in rows if row["path"] == path]
        for row in of_path[:: len(of_path) // 4]:
            saw = {(one.checkpoint, one.stage) for one in checkpoints_of_row(root, row).checkpoints if one.relation == "trained on"}
            assert (digest(root / checkpoint_of(IFPO).path), stage.name) in saw
            assert all(one.snapshots == ("once-more", "working tree") for one in checkpoints_of_row(root, row).checkpoints)
    held_out = read_parquet(root / SUITES.path)["id"].to_pylist()[0]
    assert {one.relation for one in checkpoints_of_row(root, held_out).checkpoints} == {"evaluated on"}


def _rules_are_found(root: Path) -> None:
    consulted = [rule for row in read_jsonl(root / TRAJECTORIES[SftData.ASCL].path) for rule in set(row["rule_ids"])]
    rules = sorted(read_json(root / RL_CORPUS.path)["lock"])
    for rule in (max(rules, key=consulted.count), min(rules, key=consulted.count)):
        found = [
            one.rows
            for one in checkpoints_of_rule(root, rule).checkpoints
            if (one.path, one.relation, one.what) == (checkpoint_of(SFT).path, "trained on", "consulted")
        ]
        assert found == ([consulted.count(rule)] if rule in consulted else [])


def _commands_say_it(root: Path) -> None:
    consulted = {rule for row in read_jsonl(root / TRAJECTORIES[SftData.ASCL].path) for rule in row["rule_ids"]}
    some = sorted(consulted)[0]
    answer = json.loads(asked("rows", "data/sft/ascl.jsonl", "--rule", some, "--json", "--limit", "1"))
    row = answer["rows"][0]["row_id"]
    assert "trained on, by sft" in asked("checkpoints", "--row", row)
    assert "once-more, working tree" in asked("checkpoints", "--rule", some)
    assert "no data: no row of these data sets has" in asked("rows", "data/sft/direct_refusal.jsonl", "--rule", some)
    git(root, "branch", "-D", "--quiet", "runs/once-more")
    assert "once-more" not in asked("checkpoints", "--rule", some)
