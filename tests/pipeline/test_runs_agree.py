"""A flow run, `dvc repro` and a second run agree on what there is to do, and on what comes out."""

from __future__ import annotations

import re

import pytest
from safetensors.torch import load_file

from ascl_core.artifacts import read_json, sha256_file
from tasks.execution.plan import make_plan
from tasks.registry.stages import STAGES
from tests.pipeline.workspace import Workspace, remove


def test_after_a_flow_run_dvc_repro_runs_nothing(finished: Workspace) -> None:
    before, lock = finished.snapshot(), sha256_file(finished.root / "dvc.lock")
    said = finished.run("dvc", "repro")
    assert "Data and pipelines are up to date." in said
    assert "Running stage" not in said
    assert finished.snapshot() == before
    assert sha256_file(finished.root / "dvc.lock") == lock
    assert "Data and pipelines are up to date." in finished.run("dvc", "status")


def test_a_second_run_reuses_every_stage_says_why_writes_nothing_and_asks_to_commit_the_record_until_it_is(finished: Workspace) -> None:
    before = finished.snapshot()
    said = finished.ascl("run")
    reused = re.findall(
        r"^reused +(\w+) .* nothing that it depends on changed since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$", said, re.MULTILINE
    )
    assert sorted(reused) == sorted(stage.name for stage in STAGES)
    assert f"0 of {len(STAGES)} stages ran" in said
    assert finished.snapshot() == before
    *_, report, lock = said.rstrip().splitlines()
    assert report == "report: data/report/index.html"
    assert lock == "dvc.lock records this run: which inputs gave which outputs. Commit it with your changes: git add dvc.lock && git commit"
    finished.run("git", "add", "dvc.lock")
    finished.run("git", "commit", "--quiet", "-m", "a run")
    assert "dvc.lock" not in finished.ascl("run")


@pytest.mark.long
def test_dvc_repro_alone_gives_what_a_flow_run_gives(finished: Workspace, fresh: Workspace) -> None:
    """Every stage, those that train included: on one machine with one thread they are deterministic."""
    fresh.run("dvc", "repro")
    assert fresh.recorded() == finished.recorded()
    assert {stage.name for stage in STAGES} == set(fresh.lock())
    assert {step.action for step in make_plan(fresh.root).steps} == {"reuse"}, "the flow finds DVC's own run to be up to date"


def test_training_trained(finished: Workspace) -> None:
    base, sft = (load_file(finished.root / f"data/models/{name}/model.safetensors") for name in ("base", "sft"))
    assert all(not base[name].equal(sft[name]) for name in base if "proj" in name)


@pytest.mark.long
def test_a_lost_output_comes_back_from_the_cache_and_without_one_from_the_remote(finished: Workspace) -> None:
    recorded = finished.recorded()
    remove(finished.root / "data/models/sft")
    assert re.search(r"^restored +sft ", finished.ascl("run"), re.MULTILINE)
    remove(finished.root / "data/models/sft")
    remove(finished.root / ".dvc/cache")
    said = finished.ascl("run")
    assert re.findall(r"^restored +(\w+) ", said, re.MULTILINE) == ["sft"], said
    assert f"0 of {len(STAGES)} stages ran" in said
    assert finished.recorded() == recorded


@pytest.mark.long
def test_without_a_cache_and_a_remote_outputs_that_are_there_are_kept_and_a_lost_one_is_made_again(finished: Workspace) -> None:
    recorded = finished.recorded()
    for lost in (".dvc/cache", ".ascl/remote", "data/compiled/corpus.json"):
        remove(finished.root / lost)
    said = finished.ascl("run")
    assert re.findall(r"^ran +(\w+) ", said, re.MULTILINE) == ["validate_rules", "report"], said
    assert "its outputs are up to date; DVC had no record" in said
    assert finished.recorded() == recorded
    assert "Data and pipelines are up to date." in finished.run("dvc", "status")
    assert len(list((finished.root / ".dvc/cache/files/md5").glob("*/*"))) > len(STAGES), "the cache is full again"


def test_a_record_beside_every_output_names_what_made_it(finished: Workspace) -> None:
    head = finished.run("git", "rev-parse", "HEAD").strip()
    for stage in STAGES:
        record = read_json(finished.root / stage.record.path)
        assert record["git"] == {"revision": head, "dirty": False, "diff": None}
        assert set(record["outputs"]) == {artifact.path for artifact in stage.outputs.values()}
        assert set(record["inputs"]) == {artifact.path for artifact in stage.input_artifacts()}
        assert set(record["parameters"]) == set(stage.sections)
