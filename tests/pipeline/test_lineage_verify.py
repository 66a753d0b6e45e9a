"""`ascl lineage verify`: one byte that is changed anywhere is found, and named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.artifacts import read_json, read_yaml, sha256_bytes, write_json
from ascl_core.errors import DataError
from flows.cli import app
from tasks.evidence.contents import read_contents
from tasks.lineage.verify import verify
from tasks.registry.stages import CHECKPOINT, EVALUATION, IFPO, STAGES, Artifact
from tasks.repository import cache, dvc_lock
from tests.pipeline.damage import error_of, flip, kept, root, shared
from tests.pipeline.workspace import edit

__all__ = ["root", "shared"]

OUTPUTS = [artifact for stage in STAGES for artifact in (*stage.outputs.values(), stage.record)]


def test_what_a_run_left_holds_and_the_command_says_what_it_looked_at(root: Path) -> None:
    for text in (CHECKPOINT, ".", "data/sft/ascl.jsonl", "data/report"):
        verified = verify(root, text)
        assert verified.statements == len(STAGES)
    assert (verified.stages, verified.judged, verified.release, verified.outside) == (len(STAGES), False, None, ())
    result = CliRunner().invoke(app, ["lineage", "verify"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "verified data/models/ifpo in working tree" in result.output
    assert f"{len(STAGES)} stages" in result.output
    assert "rewards and advantages of 48 rollouts follow from their terms, modes and parameters" in result.output
    assert "evaluation and gate are about these bytes" in result.output


def test_a_record_says_everything_that_somebody_may_ask_later(root: Path) -> None:
    record = read_json(root / IFPO.record.path)
    assert record["schema"] == "ascl.record/2"
    assert set(record["files"][CHECKPOINT]) == {
        str(f.relative_to(root / CHECKPOINT)) for f in (root / CHECKPOINT).rglob("*") if f.is_file()
    }
    assert record["seeds"] == {"ifpo.seed": 0}
    assert (record["gpus"] == []) is (record["gpu_seconds"] == 0)
    corpus = read_json(root / "data/compiled/rl_corpus.json")
    assert record["rules"]["digest"] == corpus["digest"]
    assert set(record["rules"]["rules"]) == {rule["id"] for rule in corpus["rules"]}
    names = {"sft", "curate", "validate_rules"}
    assert record["parents"] == {name: sha256_bytes((root / f"data/records/{name}.json").read_bytes()) for name in names}
    rules = read_json(root / "data/records/validate_rules.json")
    assert "CYB.yaml" in rules["source_files"]["data/rules"]
    assert rules["rules"]["digest"] == read_json(root / "data/compiled/corpus.json")["digest"]


@pytest.mark.parametrize("artifact", OUTPUTS, ids=lambda artifact: artifact.path)
def test_a_byte_that_is_flipped_in_what_a_stage_wrote_is_found_and_the_file_is_named(root: Path, artifact: Artifact) -> None:
    made = root / artifact.path
    file = max(made.rglob("*"), key=lambda f: f.stat().st_size if f.is_file() else -1) if made.is_dir() else made
    with kept(file):
        flip(file)
        error = error_of(root, ".")
    assert error.file == str(file.relative_to(root)), error


@pytest.mark.parametrize(
    "path",
    ["data/rules/CYB.yaml", "data/rules/rules.lock.json", "data/raw/safety.yaml", "data/released/.gitignore", "ascl_core/rl/train.py"],
)
def test_a_byte_that_is_flipped_in_what_people_wrote_is_found_and_the_file_is_named(root: Path, path: str) -> None:
    with kept(root / path):
        flip(root / path)
        assert error_of(root, ".").file == path


def test_a_file_that_is_taken_out_or_put_in_is_named(root: Path) -> None:
    with kept(file := root / CHECKPOINT / "config.json"):
        file.unlink()
        assert "is missing, but the record of ifpo names it" in str(error_of(root, "."))
    file = root / CHECKPOINT / "more.bin"
    file.write_bytes(b"x")
    try:
        assert str(error_of(root, CHECKPOINT)).startswith(f"{CHECKPOINT}/more.bin: is there, but the record of ifpo does not name it")
    finally:
        file.unlink()


def test_two_checkpoints_that_are_swapped_are_found(root: Path) -> None:
    one, other, aside = root / CHECKPOINT, root / "data/models/sft", root / "data/models/aside"

    def swap() -> None:
        one.rename(aside)
        other.rename(one)
        aside.rename(other)

    swap()
    try:
        error = error_of(root, ".")
        assert str(error.file).startswith("data/models/sft/")
        assert str(error_of(root, "data/report").file).startswith("data/")
    finally:
        swap()


def test_a_record_that_is_deleted_is_missed(root: Path) -> None:
    for stage in STAGES:
        with kept(file := root / stage.record.path):
            file.unlink()
            assert error_of(root, "data/evaluation/ifpo/metrics.json" if stage is EVALUATION else ".").file in (
                stage.record.path,
                *(artifact.path for artifact in stage.outputs.values()),
            )


def test_a_number_that_is_edited_in_a_record_is_found_even_where_dvc_takes_it_for_right(root: Path) -> None:
    file = root / EVALUATION.record.path
    lock = root / "dvc.lock"
    with kept(file, lock):
        record = read_json(file)
        record["metrics"]["safety_rate"] = 0.99
        write_json(file, record)
        assert error_of(root, ".").file == EVALUATION.record.path
        before = read_yaml(lock)["stages"]["evaluate_ifpo"]["outs"]
        old = next(out for out in before if out["path"] == EVALUATION.record.path)
        new = rf"md5: {cache.md5(file)}\g<1>size: {file.stat().st_size}"
        text = re.sub(rf"md5: {old['md5']}(\s+)size: \d+", new, lock.read_text())
        lock.write_text(text)
        error = error_of(root, "data/evaluation/ifpo/metrics.json")
        assert "the log has no statement about this record" in str(error)
        assert error.file == EVALUATION.record.path


def test_what_is_edited_in_dvc_lock_is_found(root: Path) -> None:
    lock = root / "dvc.lock"
    entry = dvc_lock.recorded(root)["ifpo"]
    weights = next(out for out in entry["outs"] if out["path"] == CHECKPOINT)
    prompts = next(dep for dep in entry["deps"] if dep["path"] == "data/prompts/prompts.parquet")
    edits: list[tuple[str, str, str]] = [
        (weights["md5"], "ab" * 16 + ".dir", "MD5"),
        (prompts["md5"], "ab" * 16, "MD5"),
        (f"size: {weights['size']}\n", "size: 1\n", "size"),
        ("max_steps: 12\n", "max_steps: 13\n", "the value"),
        ("cmd: exec sh tasks/stage.sh ifpo\n", "cmd: exec sh tasks/stage.sh gate\n", "the command"),
    ]
    for old, new, what in edits:
        with kept(lock):
            edit(lock, old, new)
            assert what in error_of(root, ".").problem
    with kept(lock):
        text = lock.read_text()
        lock.write_text(text[: text.index("\n  gate:") + 1] + text[text.index("\n  report:") + 1 :])
        assert error_of(root, "data/gate/decision.json").file == "dvc.lock"
    with kept(lock, root / ".ascl" / "dvc.lock"):
        text = lock.read_text()
        lock.write_text(text[: text.index("    outs:")])
        assert "was truncated" in str(error_of(root, "."))
    verify(root, ".")


def test_parameters_that_are_edited_are_found(root: Path) -> None:
    with kept(root / "params.yaml"):
        edit(root / "params.yaml", "max_steps: 12\n", "max_steps: 13\n")
        error = error_of(root, ".")
        assert (error.file, error.field) == ("params.yaml", "ifpo.max_steps")


def test_the_md5_of_a_folder_is_what_dvc_says(root: Path) -> None:
    for path in (CHECKPOINT, "data/report", "data/gate/decision.json"):
        made = root / path
        files = {"": made} if made.is_file() else {str(f.relative_to(made)): f for f in made.rglob("*") if f.is_file()}
        seen: list[tuple[int, int]] = []
        content = read_contents({path: files}, lambda done, total, seen=seen: seen.append((done, total)))[path]  # type: ignore[misc]
        assert content.md5 == cache.md5(made)
        assert seen[-1] == (content.size, content.size)


def test_a_damaged_list_of_files_in_the_cache_is_an_error_in_words(tmp_path: Path) -> None:
    file = tmp_path / ".dvc/cache/files/md5/ab/cd.dir"
    file.parent.mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text("")
    for text in ("{", "[1]", "[{}]"):
        file.write_text(text)
        with pytest.raises(DataError, match="is damaged"):
            cache.cached_files(tmp_path, "abcd.dir")
