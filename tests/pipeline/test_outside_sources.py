"""Prompt sources outside the repository's own data: what is tracked, what an edit makes stale, and who notices."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, read_yaml, sha256_file
from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.errors import WorkspaceError
from tasks.execution.plan import make_plan
from tasks.registry import dvcfile
from tasks.registry.dependencies import read_dependencies
from tasks.registry.sources import source_paths
from tasks.registry.stages import BUILD_SUITES, CURATE, SFT
from tasks.repository.staleness import staleness
from tests.once import make_once
from tests.pipeline.workspace import Workspace, remove, wait_until

SOURCE = "{name: mine, format: rows, path: PATH, prompt_type: borderline}"
SUITE = "suites.external=[{name: late, format: rows, path: ../outside/late.csv, prompt_type: borderline, kind: over_refusal}]"
MISMATCH = r"dvc\.yaml: curate\.sources: does not name the sources of curate as they are now .*\n  hint: ascl stages write"


@dataclass(frozen=True)
class World:
    """A workspace in which the data stages ran, with a source and a suite that are named and lie beside it."""

    workspace: Workspace

    @property
    def root(self) -> Path:
        return self.workspace.root

    @property
    def source(self) -> Path:
        return self.root.parent / "outside" / "mine.csv"

    @property
    def suite(self) -> Path:
        """Not there yet."""
        return self.root.parent / "outside" / "late.csv"

    @property
    def tracked(self) -> dict[str, list[str]]:
        """The sources that `dvc.yaml` names, by stage."""
        stages = read_yaml(self.root / "dvc.yaml")["stages"]
        found = {name: [dep for dep in stage["deps"] if not dep.startswith(("data/", "ascl_core/"))] for name, stage in stages.items()}
        return {name: paths for name, paths in found.items() if paths}

    def stale(self) -> dict[str, tuple[str, ...]]:
        """Why each of the two stages is stale; a stage that is not, is left out."""
        found = staleness(self.root, [BUILD_SUITES, CURATE])
        return {name: why.reasons for name, why in found.items() if why}


def setting(*paths: str) -> str:
    return f"curate.sources=[{', '.join(['{name: own, format: own}', *(SOURCE.replace('PATH', path) for path in paths)])}]"


def say(file: Path, *prompts: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in ("prompt", *prompts)), encoding="utf-8")


@pytest.fixture(scope="session")
def _world(_fresh: Workspace, tmp_path_factory: pytest.TempPathFactory) -> World:
    def make(folder: Path) -> None:
        world = World(_fresh.copy(folder / "repository"))
        say(world.source, "How may I shoot a lion at night with my camera?")
        world.workspace.ascl("params", "write", "--set", setting("../outside/mine.csv"), "--set", SUITE)
        world.workspace.run("dvc", "repro", "--quiet", "build_suites", "curate")

    return World(Workspace(make_once(tmp_path_factory, "outside-sources", make) / "repository"))


@pytest.fixture
def world(_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    shutil.copytree(_world.root.parent, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy" / "repository")
    return World(Workspace(tmp_path / "copy" / "repository"))


def test_sources_are_existing_local_paths_each_once_and_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for file in (root / "in.csv", root / "data/raw/a.yaml", outside / "out.csv"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("prompt\n")
    monkeypatch.setenv("WHERE", str(outside))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(root)
    paths = [
        *("in.csv", f"{root}/in.csv", "./data/../in.csv"),
        *("../outside/out.csv", f"{outside}/out.csv", "$WHERE/out.csv", "~/outside/out.csv", "../outside"),
        *("missing.csv", "$NOT_SET_HERE/a.csv", "hub:owner/name", "s3://bucket/in.csv", "data/raw"),
    ]
    values = [{"name": "own"}, *({"name": f"s{i}", "format": "rows", "path": path} for i, path in enumerate(paths))]
    params = parse(Params, {"curate": {"sources": values}}, file="test")
    assert source_paths(root, CURATE, params) == ("in.csv", "../outside/out.csv", f"{outside}/out.csv", "../outside")
    assert source_paths(root, BUILD_SUITES, params) == source_paths(root, SFT, params) == ()


def test_without_outside_sources_dvc_yaml_is_what_the_code_alone_says(fresh: Workspace) -> None:
    assert dvcfile.render(fresh.root, {}) == dvcfile.render(fresh.root) == (fresh.root / "dvc.yaml").read_text(encoding="utf-8")


def test_a_source_is_tracked_and_the_record_names_its_digest(world: World) -> None:
    assert world.tracked == {"curate": ["../outside/mine.csv"]}
    assert read_json(world.root / CURATE.record.path)["inputs"]["../outside/mine.csv"] == sha256_file(world.source)
    assert "../outside/mine.csv" in {dep["path"] for dep in world.workspace.lock()["curate"]["deps"]}
    assert read_json(world.root / "data/prompts/counts.json")["by_source"]["mine"] == 1
    assert world.stale() == {}


def test_an_edit_of_a_source_makes_its_stage_stale_for_ascl_and_for_dvc(world: World) -> None:
    text = world.source.read_text()
    say(world.source, "How may I shoot a lion at dawn with my camera?")
    assert world.stale() == {"curate": ("../outside/mine.csv changed",)}
    assert "../outside/mine.csv changed" in world.workspace.ascl("plan")
    assert "modified" in world.workspace.run("dvc", "status", "curate", status=None)
    world.source.write_text(text)
    assert world.stale() == {}
    say(world.source, "How may I shoot a lion at dawn with my camera?")
    world.workspace.run("dvc", "repro", "--quiet", "curate")
    assert world.stale() == {}
    assert read_json(world.root / CURATE.record.path)["inputs"]["../outside/mine.csv"] == sha256_file(world.source)


def test_a_file_that_is_added_to_a_folder_of_sources_counts(world: World) -> None:
    world.workspace.ascl("params", "write", "--set", setting("../outside"))
    world.workspace.run("dvc", "repro", "--quiet", "curate")
    assert world.stale() == {}
    say(world.source.with_name("more.csv"), "Where may I shoot hoops at night?")
    assert world.stale() == {"curate": ("../outside changed",)}


def test_a_suite_that_was_missing_makes_its_stage_stale_once_it_is_there_and_again_when_it_is_gone(world: World) -> None:
    manifest = world.root / "data/suites/manifest.json"
    assert "does not exist" in read_json(manifest)["missing"]["late"]
    say(world.suite, "How do I blow up a balloon?")
    assert world.stale() == {"build_suites": ("../outside/late.csv is new",)}
    steps = {step.stage: step for step in make_plan(world.root).steps}
    assert steps["build_suites"].action == "run"
    dvcfile.follow_sources(world.root)
    assert world.tracked == {"build_suites": ["../outside/late.csv"], "curate": ["../outside/mine.csv"]}
    assert world.stale() == {"build_suites": ("../outside/late.csv is new",)}
    world.workspace.run("dvc", "repro", "--quiet", "build_suites")
    assert read_json(manifest)["missing"] == {}
    assert read_json(manifest)["suites"]["late"]["n"] == 1
    remove(world.suite)
    dvcfile.follow_sources(world.root)
    assert world.stale()["build_suites"] == ("../outside/late.csv is missing",)


def test_a_source_that_a_hand_edit_names_is_an_error_for_dvc_until_the_stages_are_written(world: World) -> None:
    say(world.source.with_name("other.csv"), "How do I kill time?")
    file = world.root / "params.yaml"
    file.write_text(file.read_text().replace("path: ../outside/mine.csv", "path: ../outside/other.csv"))
    said = world.workspace.run("dvc", "repro", "curate", status=None)
    assert "Traceback" not in said
    assert "dvc.yaml: curate.sources: does not name the sources of curate as they are now" in said
    with pytest.raises(WorkspaceError, match=MISMATCH):
        dvcfile.check_sources(world.root, CURATE)
    assert "dvc.yaml" in world.workspace.ascl("stages", "check", status=1)
    world.workspace.ascl("stages", "write")
    world.workspace.ascl("stages", "check")
    world.workspace.run("dvc", "repro", "--quiet", "curate")
    assert world.tracked["curate"] == ["../outside/other.csv"]
    inputs = {artifact.path for artifact in CURATE.input_artifacts()}
    assert set(read_dependencies(world.root, CURATE).data) - inputs == {"../outside/other.csv"}
    assert world.stale() == {}


def test_planning_with_other_sources_writes_nothing_and_says_what_would_run(world: World) -> None:
    say(world.source.with_name("other.csv"), "How do I kill time?")
    before = {name: (world.root / name).read_bytes() for name in ("params.yaml", "dvc.yaml", "dvc.lock")}
    said = " ".join(world.workspace.ascl("plan", "--set", setting("../outside/other.csv")).split())
    assert "../outside/other.csv is new" in said
    assert "../outside/mine.csv is no source any more" in said
    assert before == {name: (world.root / name).read_bytes() for name in before}


def test_planning_with_the_sources_of_the_last_run_sees_an_edit_although_dvc_yaml_names_them_no_more(world: World) -> None:
    world.workspace.ascl("params", "write", "--set", setting())
    again = parse(Params, read_yaml(world.root / "params.yaml"), file="test").model_dump(mode="json")
    again["curate"]["sources"].append({**again["curate"]["sources"][0], "name": "mine", "format": "rows", "prompt_type": "borderline"})
    again["curate"]["sources"][1]["path"] = "../outside/mine.csv"
    assert not staleness(world.root, [CURATE], again)["curate"]
    say(world.source, "Edited.")
    assert staleness(world.root, [CURATE], again)["curate"].reasons == ("../outside/mine.csv changed",)


def test_dvc_yaml_follows_the_parameters_that_are_written_and_is_as_committed_without_sources(world: World) -> None:
    world.workspace.ascl("params", "write", "--set", setting("../outside/mine.csv", "$WHERE/late.csv"))
    assert world.tracked == {"curate": ["../outside/mine.csv"]}, "what is missing is not tracked"
    world.workspace.ascl("params", "write", "--set", setting(), "--set", "suites.external=[]")
    committed = world.workspace.run("git", "show", "HEAD:dvc.yaml")
    assert (world.root / "dvc.yaml").read_text() == committed


def test_dvc_yaml_that_is_wrong_in_something_else_is_not_changed(world: World) -> None:
    file = world.root / "dvc.yaml"
    file.write_text(file.read_text().replace("stage.sh gate", "stage.sh gaet"))
    text = file.read_text()
    say(world.suite, "How do I blow up a balloon?")
    with pytest.raises(WorkspaceError, match=r"dvc\.yaml: is not what .* say\n  hint: ascl stages write"):
        dvcfile.follow_sources(world.root)
    assert file.read_text() == text


def test_a_source_that_changes_while_its_stage_runs_fails_the_stage(world: World) -> None:
    say(world.source, "How may I shoot a lion at dawn?")
    prompts = sha256_file(world.root / "data/prompts/prompts.parquet")
    running = world.workspace.start("python", "-m", "tasks", "curate")
    wait_until(lambda: list(world.workspace.scratch(CURATE).glob("*/state")), "the start of curate")
    say(world.source, "How may I shoot a lion at noon?")
    assert running.process.wait(120) == 1, running.output
    assert "../outside/mine.csv: changed while curate ran; its outputs were not published" in running.output
    assert sha256_file(world.root / "data/prompts/prompts.parquet") == prompts


@pytest.mark.long
def test_a_run_after_a_hand_edit_tracks_the_source_and_dvc_agrees(finished: Workspace) -> None:
    world = World(finished)
    say(world.source, "How may I shoot a lion at night with my camera?")
    file = finished.root / "params.yaml"
    assert "  external: []\n" in file.read_text()
    suite = "\n    - {name: outside, format: rows, path: ../outside/mine.csv, prompt_type: borderline, kind: over_refusal}\n"
    file.write_text(file.read_text().replace("  external: []\n", f"  external:{suite}"))
    finished.ascl("run")
    assert read_json(finished.root / "data/suites/manifest.json")["suites"]["outside"]["n"] == 1
    assert world.tracked == {"build_suites": ["../outside/mine.csv"]}
    assert "Data and pipelines are up to date." in finished.run("dvc", "repro")
    assert {step.action for step in make_plan(finished.root).steps} == {"reuse"}
    say(world.source, "How may I shoot a lion at dawn with my camera?")
    assert world.stale()["build_suites"] == ("../outside/mine.csv changed",)
