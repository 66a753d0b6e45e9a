"""What differs behind two runs: the likeliest reason first, and what provably had no effect last; and why an artifact was made."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import digest, read_json, read_parquet
from flows.cli import app
from tasks.deployment import pages
from tasks.execution.up_to_date import bring_up_to_date
from tasks.lineage.diff import Diff, diff
from tasks.lineage.export.pack import export_pack
from tasks.lineage.why import why
from tasks.registry.paths import RUNS
from tasks.registry.stages import DATA_STAGES, DECISION, EVALUATION, GATE, IFPO, PROMPTS, SFT, checkpoint_of
from tasks.repository.params_file import write_params
from tasks.runs import runs
from tasks.runs.summary import run_summary
from tests.once import make_once
from tests.openlineage_schema import problems
from tests.packs import check_pack
from tests.pipeline.test_rule_changes import edit
from tests.pipeline.workspace import Workspace

pytestmark = [pytest.mark.timeout(1800), pytest.mark.long]
STAGES = (*DATA_STAGES, SFT, IFPO, EVALUATION, GATE)
CHECKPOINT = checkpoint_of(IFPO).path
TUNED = (
    "ifpo.max_steps=2",
    "ifpo.seed=7",
    "curate.near_duplicate_similarity=0.9001",
    "validate_data.min_rows_per_rule=1.01",
    "gate.min_utility=0.4",
)
OTHER_RULES_AND_ROWS = ("ifpo.max_steps=2", "sft.max_steps=8")


@dataclass(frozen=True)
class World:
    """A repository with its own last run, and two runs of their own: `tuned` has other parameters, `changed` a rule and a row as well."""

    root: Path


@pytest.fixture(scope="session")
def world(_finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(make_once(tmp_path_factory, "two-runs", lambda folder: make_runs(_finished.copy(folder / "root").root)) / "root")


def make_runs(root: Path) -> None:
    for name, settings in (("tuned", TUNED), ("changed", OTHER_RULES_AND_ROWS)):
        run = runs.open_run(root, name)
        if name == "changed":
            edit(Workspace(run.worktree), ("version: 1.0.0", "version: 2.0.0"), ("comply_with_disclaimer", "refuse_explain"))
            rows = run.worktree / "data/raw/utility.yaml"
            rows.write_text(rows.read_text(encoding="utf-8").replace("largest: 6, count: 144", "largest: 6, count: 143"), encoding="utf-8")
        write_params(run.worktree, None, list(settings))
        outcomes = [bring_up_to_date(stage, root=run.worktree) for stage in STAGES]
        runs.finish_run(root, run, run_summary(run.worktree, outcomes))


def described(found: Diff) -> list[tuple[str, str]]:
    return [(str(one.cause.kind), one.cause.what) for one in found.ranked]


def test_parameters_come_before_the_seed_and_what_reached_nothing_is_without_effect(world: World) -> None:
    found = diff(world.root, ".", "tuned")
    assert described(found) == [("parameter", "ifpo.max_steps"), ("seed", "ifpo.seed")]
    assert [(one.distance, one.through) for one in found.ranked] == [(1, ("ifpo",))] * 2
    assert {(one.cause.what, one.cause.before, one.cause.after) for one in found.without} == {
        ("curate.near_duplicate_similarity", 0.9, 0.9001),
        ("validate_data.min_rows_per_rule", 1.0, 1.01),
        ("gate.min_utility", 0.5, 0.4),
        *((one.cause.what, one.cause.before, one.cause.after) for one in found.without if one.cause.what == "git revision"),
    }
    whys = {one.cause.what: one.why for one in found.without}
    assert whys["curate.near_duplicate_similarity"].startswith("curate gave the same bytes: data/prompts/")
    assert whys["gate.min_utility"] == "the gate comes after the evaluation"
    assert not found.missing


def test_the_figures_are_those_of_both_evaluations(world: World) -> None:
    found = diff(world.root, ".", "tuned")
    tuned = world.root / RUNS / "tuned"
    metrics = [read_json(root / EVALUATION.outputs["metrics"].path)["headline"] for root in (world.root, tuned)]
    assert {one.key: (one.before, one.after) for one in found.metrics} == {
        key: (metrics[0][key], metrics[1][key]) for key in {one.key for one in found.metrics}
    }
    results = [read_parquet(root / EVALUATION.outputs["results"].path).to_pylist() for root in (world.root, tuned)]
    rows = [{(row["suite"], row["prompt_id"], row["sample"]): row for row in one} for one in results]
    assert found.answers is not None
    assert found.answers.changed == sum(rows[0][key] != rows[1][key] for key in rows[0])
    assert found.answers.same == sum(rows[0][key] == rows[1][key] for key in rows[0])


def test_a_rule_that_flips_a_verdict_comes_first_then_parameters_rows_and_what_people_wrote(world: World) -> None:
    found = diff(world.root, ".", "changed")
    kinds = [kind for kind, _ in described(found)]
    assert kinds == sorted(kinds, key=["rule", "parameter", "rows", "source"].index)
    assert described(found)[:3] == [("rule", "NVC-03"), ("parameter", "ifpo.max_steps"), ("parameter", "sft.max_steps")]
    rule = found.ranked[0].cause
    assert (rule.before, rule.after, rule.description, rule.weight) == ("1.0.0", "2.0.0", "flips the verdict of 2 examples", 2)
    assert {"ifpo", "curate", "evaluate"} <= set(rule.met_by)
    assert [one.cause.details for one in found.ranked if one.cause.kind == "source"] == [("changed: utility.yaml",)]
    (prompts,) = (one.cause for one in found.ranked if one.cause.what == PROMPTS.path)
    rows = [
        {row["id"]: row for row in read_parquet(root / PROMPTS.path).to_pylist()} for root in (world.root, worktree_of(world, "changed"))
    ]
    counts = (
        len(rows[1].keys() - rows[0].keys()),
        len(rows[0].keys() - rows[1].keys()),
        sum(rows[0][key] != rows[1][key] for key in rows[0].keys() & rows[1].keys()),
    )
    assert prompts.weight == sum(counts) > 0
    assert prompts.description.startswith("{} added, {} removed, {} changed, ".format(*counts))


def worktree_of(world: World, name: str) -> Path:
    return world.root / RUNS / name


def test_nothing_differs_from_itself_and_a_stage_that_one_side_lacks_comes_first(world: World) -> None:
    same = diff(world.root, "tuned", "tuned")
    assert (same.ranked, same.without, same.missing) == ((), (), ())
    assert same.answers is not None
    assert same.answers.total == 0
    found = diff(world.root, "data/compiled/corpus.json", CHECKPOINT)
    assert {kind for kind, _ in described(found)} == {"stage"}
    assert found.metrics == ()


def test_what_is_unavailable_is_named_and_the_rest_compared(world: World, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(world.root, root, symlinks=True)
    md5 = next(out["md5"] for out in recorded(root, "tuned", "evaluate_ifpo") if out["path"].endswith("results.parquet"))
    file = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    file.chmod(0o644)
    file.unlink()
    found = diff(root, ".", "tuned")
    assert found.answers is None
    assert found.missing == ("data/evaluation/ifpo/results.parquet: its bytes are not available here, so no answer can be compared",)
    assert described(found) == [("parameter", "ifpo.max_steps"), ("seed", "ifpo.seed")]


def recorded(root: Path, run: str, stage: str) -> list[dict[str, str]]:
    from ascl_core.artifacts import parse_yaml
    from tasks.repository.git import git

    return list(parse_yaml(git(root, "show", f"runs/{run}:dvc.lock"))["stages"][stage]["outs"])


def test_the_command_prints_both_groups_and_json_for_programs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.root)
    shown = CliRunner().invoke(app, ["lineage", "diff", ".", "tuned"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0, shown.output
    likely, without = shown.output.split("Without effect\n")
    assert "  1. parameter ifpo.max_steps: 12 → 2  through ifpo\n  2. seed ifpo.seed: 0 → 7  through ifpo" in likely
    assert "parameter gate.min_utility: 0.5 → 0.4  the gate comes after the evaluation" in without
    found = json.loads(CliRunner().invoke(app, ["lineage", "diff", ".", "tuned", "--json"]).output)
    assert (found["schema"], [one["what"] for one in found["changes"]]) == ("ascl.lineage-diff/2", ["ifpo.max_steps", "ifpo.seed"])
    assert found["b"]["sha256"] == digest(worktree_of(world, "tuned") / CHECKPOINT)


def test_why_says_what_a_run_changed_since_the_record_before(world: World) -> None:
    found = why(world.root, "tuned")
    assert (found.action, found.upstream) == ("reuse", ())
    assert found.previous is not None
    assert (found.previous.snapshot, found.previous.changes) == (".", ("ifpo.max_steps was 12, and is 2", "ifpo.seed was 0, and is 7"))
    assert {"ran: ifpo.max_steps: 12 → 2", "ran: ifpo.seed: 0 → 7"} <= set(found.run_reasons)
    assert (found.profile, found.seeds) == ("tiny", {"ifpo.seed": 7})
    assert ("ifpo.max_steps", 60, 2) in {(one.key, one.profile, one.value) for one in found.settings}
    assert found.rules == f"{read_json(world.root / 'data/compiled/corpus.json')['digest']}, a change of the class structural"
    assert why(world.root, "tuned:data/compiled/corpus.json").also_in == ("working tree",)


def test_why_says_that_the_working_tree_is_stale_and_what_is_behind_it(finished: Workspace) -> None:
    assert why(finished.root, CHECKPOINT).action == "reuse"
    finished.ascl("params", "write", "--set", "ifpo.seed=3", "--set", "curate.min_chars=4")
    found = why(finished.root, CHECKPOINT)
    assert found.action in ("run", "follow")
    assert "ifpo.seed: 0 → 3" in found.reasons
    assert ("curate", ("curate.min_chars: 3 → 4",)) in found.upstream
    shown = CliRunner().invoke(app, ["lineage", "why", CHECKPOINT], env={"COLUMNS": "300"})
    assert "upstream, curate: curate.min_chars: 3 → 4" in shown.output


def test_a_pack_of_a_whole_run_lacks_nothing_and_has_the_evaluation_and_the_gate(finished: Workspace, tmp_path: Path) -> None:
    tar, missing = export_pack(finished.root, CHECKPOINT, tmp_path / "evidence")
    folder = tar.with_suffix("")
    assert missing == ()
    check_pack(folder)
    records = {file.stem for file in (folder / "records").iterdir()}
    assert records == {stage.name for stage in STAGES}
    assert (folder / "evaluation/gate/decision.json").read_bytes() == (finished.root / DECISION).read_bytes()
    lines = (folder / "openlineage.jsonl").read_text().splitlines()
    assert len(lines) == 2 * len(STAGES)
    for line in lines:
        assert problems(json.loads(line)) == []
    rows = {one["name"]: one for one in json.loads(lines[-5])["inputs"] + json.loads(lines[-1])["inputs"]}
    assert rows["data/evaluation/ifpo/results.parquet"]["inputFacets"]["inputStatistics"]["rowCount"] > 0


def test_the_card_of_another_checkpoint_is_in_no_pack(world: World, tmp_path: Path) -> None:
    """The run made no report: the one that its commit knows is of the working tree's checkpoint."""
    _, missing = export_pack(world.root, "tuned", tmp_path / "evidence")
    assert missing == ("model_card.md", "data_card.md")


def test_the_page_of_a_flow_run_shows_the_record_and_the_graph(world: World) -> None:
    page = pages.lineage(runs.Run("tuned", worktree_of(world, "tuned"), ""), "c" * 40)
    assert digest(worktree_of(world, "tuned") / CHECKPOINT) in page
    assert re.search(r"^\| ifpo \| [-\d]+ [:\d]+ \| .*\bsft\b", page, re.MULTILINE), "the stages upstream are a table, which Prefect draws"
    assert "ascl lineage verify tuned" in page
