"""Lineage for others, and the parts of a difference that need no run: made of records that a commit holds."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import read_json, sha256_bytes, sha256_json, write_json, write_text
from ascl_core.errors import DataError
from flows.cli import app
from tasks.evidence.statements import verify
from tasks.evidence.trust import Role, new_key, read_trust
from tasks.host.packages import pins
from tasks.lineage.causes import Kind, causes
from tasks.lineage.diff import Metric
from tasks.lineage.export import openlineage
from tasks.lineage.export.pack import PACK, SIGNATURE, SUMS, export_events, export_pack
from tasks.lineage.export.sbom import bill_of_materials
from tasks.lineage.find import find
from tasks.lineage.pairs import Pairs
from tasks.lineage.row_counts import count_rows
from tasks.registry.stages import EVALUATION, IFPO, PROMPTS, RL_CORPUS, SFT, TRAJECTORIES, Stage, checkpoint_of
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY
from tests.builders import make_corpus
from tests.openlineage_schema import problems
from tests.packs import check_pack
from tests.pipeline.damage import flip

CHECKPOINT = checkpoint_of(IFPO).path
LOCK = "numpy==2.3.5\ntorch==2.13.0\n"


def digest_of(text: str) -> str:
    """A SHA-256 that stands for some bytes."""
    return sha256_json(text)


def make_record(stage: Stage, root: Path, content: str = "", read: Mapping[str, str] | None = None, **changed: Any) -> dict[str, Any]:
    """A record of that stage, with outputs that differ by `content`, and inputs as other records have them, but for `read`."""
    record: dict[str, Any] = {
        "schema": "ascl.record/1",
        "stage": stage.name,
        "function": stage.function,
        "inputs": {artifact.path: digest_of(artifact.path) for artifact in stage.input_artifacts()} | dict(read or {}),
        "outputs": {artifact.path: digest_of(artifact.path + content) for artifact in stage.outputs.values()},
        "parameters": {"compute": {"threads": 1}, "ifpo": {"seed": 0, "max_steps": 12}},
        "metrics": {},
        "code": {"digest": digest_of("code"), "files": 1},
        "git": {"revision": git(root, "rev-list", "--max-parents=0", "HEAD"), "dirty": False, "diff": None},
        "packages": {"cpu.lock": sha256_bytes((root / "requirements/cpu.lock").read_bytes())},
        "machine": {"python": "3.11.7", "platform": "Linux", "processor": "x86_64", "cores": 2},
        "started": "2026-11-25T16:15:40+00:00",
        "ended": "2026-11-25T16:16:01+00:00",
        "seconds": 21.03,
        "prefect_run": "f3e86e47-e659-4723-bfa5-42d27a7cb844",
    }
    record |= changed
    return {**record, "digest": sha256_json([record["inputs"], record["parameters"], record["code"]])}


def commit(root: Path, message: str = "change") -> str:
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "-m", message, environment=NOBODY)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose commit `first` holds the records of SFT, reinforcement learning and the evaluation."""
    root = tmp_path / "repository"
    (root / "data/rules").mkdir(parents=True)
    (root / ".dvc").mkdir()
    write_text(root / "pyproject.toml", "")
    write_text(root / "requirements/cpu.lock", LOCK)
    write_text(root / "params.yaml", "# by hand\nifpo: {seed: 0}\n")
    git(root, "init", "--quiet")
    commit(root)
    for stage in (SFT, IFPO, EVALUATION):
        write_json(root / stage.record.path, make_record(stage, root))
    commit(root)
    git(root, "tag", "first")
    return root


def pairs(root: Path, old: str = "first", new: str = "second") -> Pairs:
    return Pairs(find(root, old), find(root, new))


# --- OpenLineage


def test_each_record_gives_a_start_and_a_complete_event_that_the_generated_classes_give_back(root: Path) -> None:
    found = find(root, CHECKPOINT)
    nodes = found.graph.upstream(found.node)
    events = [json.loads(line) for line in openlineage.lines(found.graph, nodes).splitlines()]
    assert [(event["job"]["name"], event["eventType"]) for event in events] == [
        ("sft", "START"),
        ("sft", "COMPLETE"),
        ("ifpo", "START"),
        ("ifpo", "COMPLETE"),
    ]
    assert openlineage.lines(found.graph, nodes) == openlineage.lines(found.graph, nodes), "the same records give the same bytes"
    last = events[-1]
    assert {one["name"]: one["facets"]["version"]["datasetVersion"] for one in last["inputs"]} == found.node.inputs
    assert {one["name"]: one["facets"]["ascl_digests"]["sha256"] for one in last["outputs"]} == found.node.outputs
    assert last["run"]["facets"]["parent"]["run"]["runId"] == "f3e86e47-e659-4723-bfa5-42d27a7cb844"
    assert last["run"]["facets"]["ascl_record"]["record"]["sha256"] == found.node.sha256
    assert last["job"]["facets"]["sourceCodeLocation"]["path"] == "ascl_core/rl/train.py"
    assert (last["run"]["runId"], events[2]["eventTime"]) == (events[2]["run"]["runId"], "2026-11-25T16:15:40+00:00")
    assert [problems(event) for event in events] == [[]] * 4
    assert "$.run.runId" in problems({**last, "run": {**last["run"], "runId": "x"}})[0], "the schema is strict enough to find a wrong id"


def test_a_record_that_openlineage_cannot_express_is_one_error(root: Path) -> None:
    write_json(root / IFPO.record.path, make_record(IFPO, root, started="yesterday"))
    with pytest.raises(DataError, match="a record cannot be written as OpenLineage"):
        export_events(root, CHECKPOINT, root.parent / "events")


def test_what_a_newer_record_says_is_in_the_events_and_no_credential_of_the_origin(root: Path) -> None:
    files = {CHECKPOINT: {"model.safetensors": "a" * 64}}
    write_json(root / IFPO.record.path, make_record(IFPO, root, files=files, gpus=["H100"], parents={"sft": "b" * 64}, prefect_run=None))
    git(root, "remote", "add", "origin", "https://user:secret@host/ascl.git")
    text = export_events(root, CHECKPOINT, root.parent / "events").read_text()
    (_, last) = (event for line in text.splitlines() if (event := json.loads(line))["job"]["name"] == "ifpo")
    (checkpoint,) = (one for one in last["outputs"] if one["name"] == CHECKPOINT)
    assert checkpoint["facets"]["ascl_digests"]["files"] == files[CHECKPOINT]
    assert last["run"]["facets"]["ascl_record"]["record"]["parents"] == {"sft": "b" * 64}
    assert "parent" not in last["run"]["facets"]
    assert "secret" not in text
    code = last["job"]["facets"]["sourceCodeLocation"]
    assert code["url"] == f"swh:1:rev:{code['version']};path=/ascl_core/rl/train.py", "the same from every clone"
    assert code["repoUrl"] == "https://***@host/ascl.git"


# --- packages


def test_the_bill_of_materials_is_of_the_lock_that_the_record_names_whatever_the_lock_says_now(root: Path) -> None:
    write_text(root / "requirements/cpu.lock", "numpy==9.9.9\n")
    commit(root)
    bill = json.loads(bill_of_materials(find(root, CHECKPOINT)))
    assert [(one["name"], one["version"], one["purl"]) for one in bill["components"]] == [
        ("numpy", "2.3.5", "pkg:pypi/numpy@2.3.5"),
        ("torch", "2.13.0", "pkg:pypi/torch@2.13.0"),
    ]
    assert bill["metadata"]["component"]["type"] == "machine-learning-model"
    write_json(root / IFPO.record.path, make_record(IFPO, root, packages={"cpu.lock": "0" * 64}))
    with pytest.raises(DataError, match=r"requirements/cpu\.lock: no commit in this clone has the lock"):
        bill_of_materials(find(root, CHECKPOINT))


def test_packages_are_named_with_both_versions_and_a_lock_that_is_not_installed_counts_nothing(root: Path) -> None:
    before = make_record(IFPO, root, installed="cpu.lock")
    write_text(root / "requirements/cpu.lock", "numpy==2.3.6\ntorch==2.13.0\ntyper==0.20\n")
    write_text(root / "requirements/gpu.lock", "vllm==1\n")
    commit(root)
    both = {name: sha256_bytes((root / "requirements" / name).read_bytes()) for name in ("cpu.lock", "gpu.lock")}
    write_json(root / IFPO.record.path, make_record(IFPO, root, "other", packages=both, installed="cpu.lock"))
    commit(root)
    git(root, "tag", "second")
    git(root, "checkout", "--quiet", "--detach", "first")
    write_json(root / IFPO.record.path, before)
    commit(root)
    missing: list[str] = []
    found = [one for one in causes(pairs(root, "HEAD"), missing) if one.kind is Kind.PACKAGE]
    assert [(one.what, one.before, one.after, one.met_by) for one in found] == [
        ("numpy", "2.3.5", "2.3.6", ("ifpo",)),
        ("typer", None, "0.20", ("ifpo",)),
    ]
    assert not missing
    assert pins("# numpy==1\nnumpy [x]\n") == {}


def test_what_no_commit_has_is_said_and_not_guessed(root: Path) -> None:
    write_json(root / IFPO.record.path, make_record(IFPO, root, "other", read={RL_CORPUS.path: "2" * 64}, packages={"cpu.lock": "1" * 64}))
    commit(root)
    git(root, "tag", "second")
    missing: list[str] = []
    found = list(causes(pairs(root), missing))
    assert [(one.what, one.after) for one in found if one.kind is Kind.PACKAGE] == [("cpu.lock", "1" * 64)]
    assert missing == ["cpu.lock: no commit has the bytes of the record, so no package can be named"]


# --- what reached the end


def test_what_only_a_stage_met_that_gave_the_same_bytes_is_not_live(root: Path) -> None:
    write_json(root / SFT.record.path, make_record(SFT, root, parameters={"ifpo": {"seed": 0, "max_steps": 12}, "compute": {"threads": 2}}))
    other = make_record(IFPO, root, "other", parameters={"compute": {"threads": 1}, "ifpo": {"seed": 7, "max_steps": 12}})
    write_json(root / IFPO.record.path, other)
    write_json(
        root / EVALUATION.record.path,
        make_record(EVALUATION, root, "other", read={CHECKPOINT: other["outputs"][CHECKPOINT]}),
    )
    commit(root)
    git(root, "tag", "second")
    both = pairs(root)
    assert list(both.by_name) == ["sft", "ifpo", "evaluate"]
    assert [both.live(name) for name in both.by_name] == [False, True, True]
    assert [both.distance(name) for name in both.by_name] == [2, 1, 0]
    found = {one.what: one.met_by for one in causes(both, [])}
    assert found == {"compute.threads": ("sft",), "ifpo.seed": ("ifpo",)}


def test_other_bytes_from_the_same_inputs_are_chance(root: Path) -> None:
    write_json(root / IFPO.record.path, make_record(IFPO, root, "other"))
    commit(root)
    git(root, "tag", "second")
    (found,) = causes(pairs(root), [])
    assert (found.kind, found.what, found.description) == (Kind.CHANCE, "ifpo", "other bytes from the same inputs: sampling or rounding")


@pytest.mark.parametrize(
    ("before", "after", "outside"),
    [
        ((0.5, 0.4, 0.6), (0.7, 0.65, 0.75), True),
        ((0.5, 0.4, 0.6), (0.7, 0.45, 0.9), False),  # 0.5 lies in the wider interval
        ((0.5, 0.4, 0.6), (0.55, 0.54, 0.56), False),  # 0.55 lies in the first
        ((0.5, 0.4, 0.6), None, None),
    ],
)
def test_a_difference_is_outside_where_neither_value_lies_in_the_others_interval(
    before: tuple[float, float, float], after: tuple[float, float, float] | None, outside: bool | None
) -> None:
    one, other = (None if one is None else dict(zip(("value", "low", "high"), one, strict=True)) for one in (before, after))
    assert Metric("h", "H", one, other).outside is outside


def test_rows_are_counted_by_id_and_content_in_both_formats(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    old = [{"id": "a", "text": "1"}, {"id": "b", "text": "2"}, {"id": "c", "text": "3"}, {"id": "d", "text": "4"}]
    new = [{"id": "d", "text": "4"}, {"id": "b", "text": "other"}, {"id": "e", "text": "5"}, {"id": "a", "text": "1"}]
    for name, rows in (("old", old), ("new", new)):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
        write_text(tmp_path / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for path, ending in ((PROMPTS.path, "parquet"), (next(iter(TRAJECTORIES.values())).path, "jsonl")):
        found = count_rows(tmp_path / f"old.{ending}", tmp_path / f"new.{ending}", path)
        assert (found.added, found.removed, found.changed, found.same) == (1, 1, 1, 2)
        assert found.examples == {"added": ("e",), "removed": ("c",), "changed": ("b",)}
    with pytest.raises(DataError, match=rf"{PROMPTS.path}: its rows cannot be read"):
        count_rows(tmp_path / "old.jsonl", tmp_path / "new.parquet", PROMPTS.path)


# --- the pack


def packed(root: Path, name: str) -> Path:
    export_pack(root, CHECKPOINT, root.parent / name)
    return root.parent / name


def test_a_pack_is_whole_says_what_it_lacks_and_is_the_same_bytes_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(Role.TRAINER.variable, raising=False)
    folder = packed(root, "one/evidence")
    names = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert names >= {"README.md", "openlineage.jsonl", "sbom.cdx.json", "params.yaml", "records/sft.json", "records/ifpo.json", SUMS}
    assert SIGNATURE not in names
    assert "`model_card.md` was not available" in (folder / "README.md").read_text()
    check_pack(folder)
    again = packed(root, "two/evidence")
    assert folder.with_name("evidence.tar").read_bytes() == again.with_name("evidence.tar").read_bytes()
    with tarfile.open(folder.with_name("evidence.tar")) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(f"evidence/{name}" for name in names)
    assert {(entry.mtime, entry.uid, entry.mode) for entry in entries} == {(1795623361, 0, 0o644)}, "2026-11-25T16:16:01Z"
    with pytest.raises(DataError, match=r"evidence\.tar: exists already"):
        packed(root, "one/evidence")
    folder.with_name("evidence.tar").unlink()
    with pytest.raises(DataError, match="evidence: exists already"):
        packed(root, "one/evidence")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["evidence"], "nothing half made is left"


@pytest.mark.parametrize("name", ["records/ifpo.json", "README.md", "sbom.cdx.json"])
def test_one_byte_that_was_changed_or_a_file_more_is_found(root: Path, name: str) -> None:
    folder = packed(root, "evidence")
    flip(folder / name)
    with pytest.raises(DataError, match=f"{name}: SHA-256 is"):
        check_pack(folder)
    flip(folder / name)
    (folder / "more").write_text("")
    with pytest.raises(DataError, match=f"more: SHA-256 is .*, and {SUMS} says None"):
        check_pack(folder)


def test_the_trainers_signature_is_over_the_checksums(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = root.parent / "keys" / "ci.pem"
    new_key(root, Role.TRAINER, "ci", key)
    commit(root)
    monkeypatch.setenv(Role.TRAINER.variable, str(key))
    folder = packed(root, "evidence")
    signed = verify(read_json(folder / SIGNATURE), read_trust(root), PACK, Role.TRAINER)
    assert signed.statement.sha256 == sha256_bytes((folder / SUMS).read_bytes())
    assert signed.statement.predicate["artifact"]["sha256"] == find(root, CHECKPOINT).sha256
    check_pack(folder)
    readme = (folder / "README.md").read_text()
    script = textwrap.dedent(readme.partition("python - <<'END'\n")[2].partition("   END\n")[0])
    ran = subprocess.run([sys.executable, "-I", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.count("signed by")) == (0, 1), ran.stderr
    envelope = read_json(folder / SIGNATURE)
    write_json(folder / SIGNATURE, {**envelope, "payload": base64.b64encode(b"{}").decode()})
    assert subprocess.run([sys.executable, "-I", "-c", script], cwd=folder, capture_output=True, check=False).returncode == 1


def test_a_commit_of_the_pipeline_is_packed_without_keys_as_it_cannot_say_whom_to_trust(root: Path) -> None:
    new_key(root, Role.TRAINER, "ci", root.parent / "keys" / "ci.pem")
    commit(root)
    with_keys = packed(root, "decided")
    assert len(list((with_keys / "keys").iterdir())) == 2
    git(root, "branch", "runs/r1")
    git(root, "checkout", "--quiet", "--detach", "runs/r1")
    tar, missing = export_pack(root, CHECKPOINT, root.parent / "evidence")
    assert "keys" in missing
    assert not (tar.with_suffix("") / "keys").exists()
    check_pack(tar.with_suffix(""))


def test_the_command_writes_events_or_a_pack(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    done = CliRunner().invoke(app, ["lineage", "export", CHECKPOINT, "--into", "../events", "--format", "openlineage"])
    assert done.exit_code == 0, done.output
    assert [file.name for file in (root.parent / "events").iterdir()] == ["openlineage.jsonl"]
    done = CliRunner().invoke(app, ["lineage", "export", "first", "--into", "../pack"])
    assert done.exit_code == 0, done.output
    assert "missing model_card.md" in done.output
    assert f"commit `{git(root, 'rev-parse', 'first')}`" in (root.parent / "pack/README.md").read_text()


def test_rules_that_are_given_are_compared_with_nothing_where_nothing_was_released(root: Path) -> None:
    corpus = make_corpus()
    write_json(root / "data/compiled/corpus.json", corpus.to_json())
    from tasks.registry.stages import VALIDATE_RULES

    write_json(root / VALIDATE_RULES.record.path, make_record(VALIDATE_RULES, root, parameters={"rules": {"at": "2026-11-01"}}))
    text = (packed(root, "evidence") / "rules_diff.md").read_text()
    assert "nothing was released before" in text
    assert all(f"{rule.id} added" in text for rule in corpus.rules)
