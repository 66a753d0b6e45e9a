"""Records: typed in the code, the same bytes on disk, and one clear error for what cannot be read."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ascl_core.artifacts import sha256_bytes, to_json
from ascl_core.errors import DataError
from tasks.evidence.attestations import record_of, statement_of
from tasks.evidence.log import LOG, append_missing, entries, write_record
from tasks.evidence.record import UnknownVersion, parse_record, read_record
from tasks.registry.stages import SFT, STAGES
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
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    write_records(root, lambda stage, values: values.update(metrics={"passed": True, "steps": 2**60 + 1}))
    for stage in STAGES:
        content = (root / stage.record.path).read_bytes()
        statement = statement_of(parse_record(content, stage.record.path), sha256_bytes(content))
        read = Statement.copy_from_pb(Parse(statement.payload(), statement_pb2.Statement()))
        read.validate()
        assert {one.name: one.digest["sha256"] for one in read.pb.subject} == statement.subjects
        assert read.pb.predicate_type == statement.kind
    assert MessageToDict(Statement([], "kind", {"steps": 2**60 + 1}).pb)["predicate"]["steps"] != 2**60 + 1


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


def test_a_record_of_another_version_is_not_logged_and_stops_nobody(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / SFT.record.path).write_text(to_json(content_of(root) | {"schema": "ascl.record/9"}))
    with caplog.at_level(logging.WARNING):
        assert append_missing(root) == 0
    assert "unknown version" in caplog.text
