"""Records: typed in the code, the same bytes on disk, and one clear error for what cannot be read."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ascl_core.artifacts import sha256_bytes, to_json
from ascl_core.errors import DataError
from tasks.evidence.attestations import PROVENANCE, is_statement_of, record_of, statement_of
from tasks.evidence.log import append_missing, entries, write_record
from tasks.evidence.record import UnknownVersion, parse_record, read_record
from tasks.evidence.statements import enclose, read_statement, time_of
from tasks.evidence.trust import Role, new_key
from tasks.registry.paths import COMMITTED_LOG, LOG
from tasks.registry.stages import FOLDERS, IFPO, SFT, STAGES, VALIDATE_RULES, StageKind
from tasks.releases.verify import unsigned_records
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY
from tests.builders import make_corpus, make_prompt, make_rule
from tests.recorded_run import make_recorded_run, write_records

OPTIONAL = {"files", "source_files", "parents", "rules", "seeds", "installed", "gpus", "gpu_seconds"}
"""What records of version 1 do not have."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_recorded_run(tmp_path, make_corpus(make_rule()), [make_prompt()])
    return tmp_path


def content_of(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / SFT.record.path).read_text()))


def of_version_1(values: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in values.items() if key not in OPTIONAL}, "schema": "ascl.record/1"}


@pytest.mark.parametrize("version", [1, 2])
def test_reading_and_writing_a_record_changes_no_byte(root: Path, version: int) -> None:
    values = content_of(root) | {"parameters": {"sft": {"seed": 2**60, "rate": 1.0, "steps": 1}}, "a later key": {"é": None}}
    content = to_json(of_version_1(values) if version == 1 else values).encode()
    record = parse_record(content, "a file")
    assert to_json(record.dump()).encode() == content
    assert (record.parameters["sft"]["seed"], record.machine.python) == (2**60, "3.11.7")


def test_a_record_of_version_1_makes_the_statement_that_its_release_has(root: Path) -> None:
    """Fields that it lacks are null in the statement, as they were when the first releases were signed."""
    content = to_json(of_version_1(content_of(root))).encode()
    statement = statement_of(parse_record(content, "a file"), sha256_bytes(content))
    internal = statement.predicate["buildDefinition"]["internalParameters"]
    assert internal == {"seeds": None, "machine": content_of(root)["machine"], "gpus": None, "installed": None}
    assert record_of(statement) == sha256_bytes(content)


def test_the_package_of_in_toto_reads_the_statement_of_every_stage(root: Path) -> None:
    """It also shows why it does not write them: it turns whole numbers into doubles."""
    from google.protobuf.json_format import MessageToDict, Parse
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    write_records(root, lambda stage, values: values.update(metrics={"passed": True, "steps": 2**60 + 1}))
    for stage in STAGES:
        content = (root / stage.record.path).read_bytes()
        statement = statement_of(parse_record(content, stage.record.path), sha256_bytes(content))
        read = Statement.copy_from_pb(Parse(statement.payload(), statement_pb2.Statement()))
        read.validate()
        assert {one.name: next(iter(one.digest.values())) for one in read.pb.subject} == statement.subjects
        assert {one.name for one in read.pb.subject if "sha256" not in one.digest} == FOLDERS & statement.subjects.keys()
        assert read.pb.predicate_type == statement.kind
        if stage.kind in (StageKind.CHECK, StageKind.EVALUATION):
            result = Parse(to_json(statement.predicate), test_result_pb2.TestResult())
            assert (result.result, result.configuration[0].digest["sha256"]) == ("PASSED", sha256_bytes(content))
        elif stage.kind != StageKind.DECISION:
            made = Parse(to_json(statement.predicate), provenance_pb2.Provenance())
            assert statement.kind == PROVENANCE
            assert made.build_definition.external_parameters["stage"] == stage.name
            assert made.run_details.byproducts[0].digest["sha256"] == sha256_bytes(content)
    assert MessageToDict(Statement([], "kind", {"steps": 2**60 + 1}).pb)["predicate"]["steps"] != 2**60 + 1


def test_a_statement_of_an_earlier_log_is_still_that_of_its_record(root: Path) -> None:
    """Earlier logs call the digests of folders and of code SHA-256."""
    write_records(root, lambda stage, values: values.update(metrics={"passed": True}))
    for stage in STAGES:
        content = (root / stage.record.path).read_bytes()
        record, sha256 = parse_record(content, "a file"), sha256_bytes(content)
        before, now = statement_of(record, sha256, tree="sha256"), statement_of(record, sha256)
        assert is_statement_of(before, record, sha256)
        assert not is_statement_of(replace(before, sha256="0" * 64), record, sha256)
        for statement in (before, now):
            assert read_statement(enclose(statement)).payload() == statement.payload()
        assert b'"ascl' not in before.payload().replace(b'"ascl_core', b"")
    ifpo = statement_of(parse_record((root / IFPO.record.path).read_bytes(), "a file"), "0" * 64)
    *inputs, code = ifpo.predicate["buildDefinition"]["resolvedDependencies"]
    assert code["digest"] == {"asclCode": "0" * 64, "gitCommit": "1" * 40}
    assert {one["name"]: set(one["digest"]) for one in inputs} == {
        "data/compiled/rl_corpus.json": {"sha256"},
        "data/models/sft": {"asclTree"},
        "data/prompts/prompts.parquet": {"sha256"},
        "requirements/cpu.lock": {"sha256"},
    }


def test_a_test_result_of_an_earlier_log_is_still_that_of_its_record(root: Path) -> None:
    write_records(root, lambda stage, values: values.update(metrics={"errors": 0}))
    content = (root / VALIDATE_RULES.record.path).read_bytes()
    record, sha256 = parse_record(content, "a file"), sha256_bytes(content)
    now = statement_of(record, sha256)
    own, *configuration = statement_of(record, sha256, tree="sha256").predicate["configuration"]
    said = own["annotations"]
    outputs = [{"name": path, "digest": {"sha256": digest}} for path, digest in sorted(said["outputs"].items())]
    earlier = {
        "result": "PASSED",
        "configuration": configuration,
        "metrics": said["metrics"],
        "outputs": outputs,
        "record": {"name": own["name"], "digest": own["digest"]},
        "time": said["time"],
    }
    before = replace(now, predicate=earlier)
    for statement in (now, before):
        assert is_statement_of(statement, record, sha256)
        assert (record_of(statement), time_of(statement).isoformat()) == (sha256, record.ended)
    assert not is_statement_of(replace(before, predicate={**earlier, "result": "WARNED"}), record, sha256)


def test_an_unknown_version_is_one_error_that_names_the_file_and_the_versions(root: Path) -> None:
    file = root / SFT.record.path
    file.write_text(to_json(content_of(root) | {"schema": "ascl.record/9"}))
    with pytest.raises(UnknownVersion, match=r"unknown version .* ascl\.record/1, ascl\.record/2 \(got 'ascl\.record/9'\)") as caught:
        read_record(file)
    assert (caught.value.file, caught.value.field) == (str(file), "schema")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"outputs": None}, "outputs"),
        ({"seconds": "long"}, "seconds"),
        ({"git": {"revision": None, "diff": None}}, "git.dirty"),
        ({"inputs": {"data/x": 3}}, "inputs.data/x"),
    ],
)
def test_a_record_with_a_wrong_field_is_an_error_that_names_it_and_is_no_record_to_go_by(
    root: Path, change: dict[str, Any], field: str
) -> None:
    file = root / SFT.record.path
    file.write_text(to_json(content_of(root) | change))
    with pytest.raises(DataError, match="is no whole record") as caught:
        parse_record(file.read_bytes(), file)
    assert (caught.value.file, caught.value.field) == (str(file), field)
    assert read_record(file) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"{}", b"\xff", b'{"schema": null}'])
def test_what_is_torn_is_no_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "record.json").write_bytes(content)
    assert read_record(tmp_path / "record.json") is None
    assert read_record(tmp_path / "no.json") is None


def test_a_record_cannot_be_changed(root: Path) -> None:
    record = read_record(root / SFT.record.path)
    assert record is not None
    with pytest.raises(ValidationError, match="frozen"):
        record.seconds = 1.0  # type: ignore[misc]


def test_who_writes_a_record_logs_it_with_all_that_the_log_lacks_and_once(root: Path) -> None:
    write_records(root, lambda stage, values: values.update(metrics={"passed": True}))
    record = read_record(root / SFT.record.path)
    assert record is not None
    write_record(root, SFT, record)
    logged = [record_of(entry.statement) for entry in entries((root / LOG).read_bytes(), file=LOG)]
    assert sha256_bytes((root / SFT.record.path).read_bytes()) in logged
    assert append_missing(root) == 0
    write_record(root, SFT, record.model_copy(update={"prefect_run": "again"}))
    last = list(entries((root / LOG).read_bytes(), file=LOG))[-1]
    assert (last.seq, last.statement.predicate["runDetails"]["metadata"]["invocationId"]) == (len(logged), "again")


def test_a_release_counts_the_records_that_no_key_signed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(Role.TRAINER.variable, raising=False)

    def counted() -> tuple[int, int]:
        (root / COMMITTED_LOG).write_bytes((root / LOG).read_bytes())
        git(root, "add", "--force", str(COMMITTED_LOG))
        git(root, "commit", "--quiet", "-m", "a run", environment=NOBODY)
        return unsigned_records(root, "HEAD")

    write_records(root, lambda stage, values: values.update(metrics={"passed": True}))
    append_missing(root)
    assert counted() == (len(STAGES), len(STAGES))
    new_key(root, Role.TRAINER, "ci", root.parent / "ci.pem")
    monkeypatch.setenv(Role.TRAINER.variable, str(root.parent / "ci.pem"))
    write_records(root, lambda stage, values: values.update(metrics={"passed": True}, prefect_run="again"))
    append_missing(root)
    assert counted() == (len(STAGES), 2 * len(STAGES))


def test_a_record_of_another_version_is_not_logged_and_stops_nobody(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / SFT.record.path).write_text(to_json(content_of(root) | {"schema": "ascl.record/9"}))
    with caplog.at_level(logging.WARNING):
        assert append_missing(root) == 0
    assert "unknown version" in caplog.text
