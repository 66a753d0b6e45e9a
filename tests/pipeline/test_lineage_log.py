"""The log of statements: a line that is changed, moved, dropped or signed by somebody else is found, and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ascl_core.artifacts import read_json, sha256_bytes
from tasks.evidence import log
from tasks.evidence.attestations import PROVENANCE, record_of, statement_of
from tasks.evidence.record import parse_record
from tasks.evidence.statements import read_statement, sign
from tasks.evidence.trust import Role, new_key, read_key
from tasks.execution.up_to_date import bring_up_to_date
from tasks.lineage.verify import verify
from tasks.registry.paths import LOG
from tasks.registry.stages import CHECKPOINT, GATE, IFPO, STAGES
from tasks.repository.git import git
from tests.pipeline.damage import error_of, flip, kept, root, shared
from tests.pipeline.release_world import commit

__all__ = ["root", "shared"]


def test_each_line_of_the_log_is_bound_to_the_one_before_and_says_what_a_record_says(root: Path) -> None:
    found = list(log.entries((root / LOG).read_bytes(), file=LOG))
    records = {sha256_bytes((root / s.record.path).read_bytes()): s for s in STAGES}
    assert {records[record_of(entry.statement)].name for entry in found} == {s.name for s in STAGES}
    by_stage = {records[record_of(entry.statement)].name: entry.statement for entry in found}
    checkpoint = read_json(root / IFPO.record.path)["outputs"][CHECKPOINT]
    assert by_stage["ifpo"].subjects[CHECKPOINT] == checkpoint
    assert f"{CHECKPOINT}/model.safetensors" in by_stage["ifpo"].subjects
    assert by_stage["evaluate_ifpo"].subjects == {CHECKPOINT: checkpoint}
    assert {by_stage[name].kind for name in ("evaluate_ifpo", "validate_data")} == {"https://in-toto.io/attestation/test-result/v0.1"}
    assert by_stage["gate"].kind == "urn:ascl:gate:1"


def test_provenance_is_what_the_schema_of_slsa_says(root: Path) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2

    statements = [entry.statement for entry in log.entries((root / LOG).read_bytes(), file=LOG) if entry.statement.kind == PROVENANCE]
    assert statements
    for statement in statements:
        json_format.ParseDict(dict(statement.predicate), provenance_pb2.Provenance())


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1"),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "line 4"),
        (lambda lines: [*lines[:3], *lines[4:]], "line 4"),
        (lambda lines: lines[1:], "line 1"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "line 3"),
        (lambda lines: [lines[0].replace(b'"signatures": []', b'"signatures":  []'), *lines[1:]], "line 1"),
        (lambda lines: [*lines[:-1], lines[-1][:-9]], f"line {len(STAGES)}"),
    ],
    ids=["reordered", "reordered amid", "dropped", "first dropped", "repeated", "a space more", "cut off"],
)
def test_a_log_that_is_no_chain_any_more_is_found(root: Path, damage: Callable[[list[bytes]], list[bytes]], where: str) -> None:
    file = root / LOG
    with kept(file):
        file.write_bytes(b"".join(damage(file.read_bytes().splitlines(keepends=True))))
        error = error_of(root, ".")
    assert (error.file, error.field) == (str(LOG), where)


def test_a_byte_that_is_flipped_in_any_line_of_the_log_is_found(root: Path) -> None:
    file = root / LOG
    ends = [at for at, byte in enumerate(file.read_bytes()) if byte == ord("\n")]
    for end in (ends[0], ends[8], ends[-1]):
        for before in (4, 100, 900):
            with kept(file):
                flip(file, end - before)
                error = error_of(root, "data/gate/decision.json")
                assert str(LOG) in (error.file, error.field)


def test_the_last_line_or_all_of_the_log_that_is_gone_is_missed(root: Path) -> None:
    file = root / LOG
    with kept(file):
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
        assert "the log has no statement about this record" in str(error_of(root, "data/report"))
        file.unlink()
        assert "there is no log" in str(error_of(root, "."))


def test_a_line_that_a_kill_cut_off_is_repaired_and_a_damaged_log_stops_nobody(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = root / LOG
    before = file.read_bytes()
    with kept(file):
        file.write_bytes(before[:-700])
        assert log.append_missing(root) == 1
        assert file.read_bytes() == before, "the same record gives the same line"
        assert log.append_missing(root) == 0
        file.write_bytes(b"no line\n" + before)
        assert log.append_missing(root) == 0
        assert "damaged" in caplog.text
        file.unlink()
        file.mkdir()
        assert bring_up_to_date(GATE, root=root).action == "reused"
        file.rmdir()
        monkeypatch.setenv(Role.TRAINER.variable, str(tmp_path / "none.pem"))
        assert log.append_missing(root) == len(STAGES)
        assert "is not signed" in caplog.text


def test_a_statement_that_another_key_signed_is_found(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, keys = root / LOG, {}
    with kept(file, root / "data/trust/keys.yaml"):
        for name, role in (("ci", Role.TRAINER), ("ada", Role.APPROVER), ("eve", Role.TRAINER)):
            new_key(root if name != "eve" else tmp_path / "elsewhere", role, name, tmp_path / "keys" / f"{name}.pem")
            keys[name] = read_key(role, tmp_path / "keys" / f"{name}.pem")
        head = git(root, "rev-parse", "HEAD")
        commit(root, "keys")
        try:
            file.unlink()
            monkeypatch.setenv(Role.TRAINER.variable, str(tmp_path / "keys" / "ci.pem"))
            assert log.append_missing(root) == len(STAGES)
            assert verify(root, ".").signed == len(STAGES)
            whole = file.read_bytes()
            for name, message in (("eve", "not trusted"), ("ada", "has the role approver"), ("ci", "")):
                file.write_bytes(signed_again(whole, 5, name, keys))
                if message:
                    error = error_of(root, ".")
                    assert message in error.problem
                    assert error.field == "line 6"
                else:
                    assert verify(root, ".").signed == len(STAGES)
            lines = whole.splitlines()
            values = json.loads(lines[-1])
            values["envelope"]["signatures"][0]["sig"] = json.loads(lines[0])["envelope"]["signatures"][0]["sig"]
            file.write_bytes(
                b"".join(line + b"\n" for line in lines[:-1]) + log._line(values["seq"], values["previous"], values["envelope"])
            )
            assert "the signature is not ci's" in error_of(root, ".").problem
        finally:
            git(root, "reset", "--quiet", head)
            shutil.rmtree(root / "data/trust")


def signed_again(content: bytes, at: int, name: str, keys: dict[str, object]) -> bytes:
    """The log with one statement signed by another, and a chain that holds."""
    previous, text = None, b""
    for seq, line in enumerate(content.splitlines()):
        envelope = json.loads(line)["envelope"]
        if seq == at:
            envelope = sign(read_statement(envelope), keys[name])  # type: ignore[arg-type]
        made = log._line(seq, previous, envelope)
        previous, text = sha256_bytes(made.removesuffix(b"\n")), text + made
    return text


def test_a_statement_that_says_other_than_its_record_is_found(root: Path) -> None:
    file = root / LOG
    record = read_json(root / IFPO.record.path)
    forged = {**record, "parameters": {**record["parameters"], "ifpo": {}}}
    with kept(file):
        from tasks.evidence.statements import enclose

        sha256 = sha256_bytes((root / IFPO.record.path).read_bytes())
        previous, text = None, b""
        for seq, line in enumerate(file.read_bytes().splitlines()):
            envelope = json.loads(line)["envelope"]
            if record_of(read_statement(envelope)) == sha256:
                envelope = enclose(statement_of(parse_record(json.dumps(forged).encode(), IFPO.record.path), sha256))
            made = log._line(seq, previous, envelope)
            previous, text = sha256_bytes(made.removesuffix(b"\n")), text + made
        file.write_bytes(text)
        assert "says something else than the record of ifpo" in error_of(root, ".").problem
