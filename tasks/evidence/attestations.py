"""A record as an in-toto statement: the same record gives the same bytes, so that one can be checked against the other.

| stage | kind | about |
|---|---|---|
| validate_rules, validate_data, evaluate_* | test result v0.1 | what was tested: the rules, the prompts, the checkpoint |
| gate | `urn:ascl:gate:1` | the decision |
| all others | SLSA provenance v1 | every output, and every file of one that is a folder |

The digest of a folder, and that of the code, have algorithms of their own, as no file has that SHA-256; earlier logs called all `sha256`.

https://slsa.dev/spec/v1.0/provenance, https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ascl_core.errors import DataError
from tasks.evidence.record import Record
from tasks.evidence.statements import SHA256, TREE, Statement
from tasks.registry.paths import REQUIREMENTS
from tasks.registry.stages import FOLDERS, STAGES, StageKind

PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
GATE_DECISION = "urn:ascl:gate:1"
BUILD_TYPE = "urn:ascl:stage:1"
"""A stage's function, called with its inputs and the parameters of its sections."""
CODE = "asclCode"
"""The algorithm of the digest of the code: SHA-256 of the digests of all files that a stage imports."""
BUILDER = "urn:ascl:runner:1"
_TESTED = {stage.name: stage.input_artifacts()[0].path for stage in STAGES if stage.kind in (StageKind.CHECK, StageKind.EVALUATION)}
_DECISIONS = {stage.name for stage in STAGES if stage.kind == StageKind.DECISION}
_RECORDS = {stage.name: stage.record.path for stage in STAGES}


def statement_of(record: Record, sha256: str, *, tree: str = TREE) -> Statement:
    """Return the statement of a record whose bytes have that SHA-256; `DataError` if the record does not say what its stage must say.

    `tree` names the algorithm of folders: `sha256` gives the form of earlier logs.
    """
    make = _test_result if record.stage in _TESTED else _decision if record.stage in _DECISIONS else _provenance
    try:
        return replace(make(record, _descriptor(_RECORDS[record.stage], sha256), tree), tree=tree)
    except (KeyError, ValueError) as error:
        raise DataError(f"the record lacks {error}", value=record.stage, hint="run the stage again") from None


def is_statement_of(statement: Statement, record: Record, sha256: str) -> bool:
    """Return whether the statement is that of the record, in the current form or in those of earlier logs."""
    if statement in (statement_of(record, sha256), statement_of(record, sha256, tree=SHA256)):
        return True
    return record.stage in _TESTED and statement == _former_test_result(record, _descriptor(_RECORDS[record.stage], sha256))


def record_of(statement: Statement) -> str:
    """Return the SHA-256 of the record that a statement was made from; empty if it was not made from one."""
    values = statement.predicate
    try:
        if statement.kind == PROVENANCE:
            own = values["runDetails"]["byproducts"][0]
        else:
            own = values["record"] if "record" in values else values["configuration"][0]
        return str(own["digest"]["sha256"])
    except (KeyError, TypeError, IndexError):
        return ""


def _provenance(record: Record, own: Mapping[str, Any], tree: str) -> Statement:
    values = record.dump()
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"stage": record.stage, "function": record.function, "parameters": record.parameters},
            "internalParameters": {name: values.get(name) for name in ("seeds", "machine", "gpus", "installed")},
            "resolvedDependencies": _dependencies(record, tree),
        },
        "runDetails": {
            "builder": {"id": BUILDER},
            "metadata": {
                "invocationId": record.prefect_run or "",
                "startedOn": _rfc3339(record.started),
                "finishedOn": _rfc3339(record.ended),
            },
            "byproducts": [own],
        },
    }
    files = {f"{path}/{name}": sha256 for path, tree in record.files.items() for name, sha256 in tree.items()}
    return _statement(PROVENANCE, record.outputs | files, predicate)


def _test_result(record: Record, own: Mapping[str, Any], tree: str) -> Statement:
    """Return the result with the fields of the specification alone; what else the record says are annotations of its descriptor."""
    tested = _TESTED[record.stage]
    said = {"metrics": record.metrics, "outputs": record.outputs, "time": _rfc3339(record.ended)}
    predicate = {"result": _result(record), "configuration": [{**own, "annotations": said}, *_configuration(record, tree)]}
    return Statement(TEST_RESULT, tested, record.inputs[tested], predicate)


def _former_test_result(record: Record, own: Mapping[str, Any]) -> Statement:
    """Return the result as earlier logs have it, with fields that in-toto's own parsers refuse."""
    tested = _TESTED[record.stage]
    predicate = {
        "result": _result(record),
        "configuration": _configuration(record, SHA256),
        "metrics": record.metrics,
        "outputs": _descriptors(record, record.outputs, SHA256),
        "record": own,
        "time": _rfc3339(record.ended),
    }
    return Statement(TEST_RESULT, tested, record.inputs[tested], predicate)


def _result(record: Record) -> str:
    return "WARNED" if record.metrics.get("warnings") else "PASSED"


def _configuration(record: Record, tree: str) -> list[dict[str, Any]]:
    return [one for one in _dependencies(record, tree) if one.get("name") != _TESTED[record.stage]]


def _decision(record: Record, own: Mapping[str, Any], tree: str) -> Statement:
    predicate = {
        "passed": bool(record.metrics["passed"]),
        "metrics": record.metrics,
        "decidedOn": _descriptors(record, record.inputs, tree),
        "parameters": record.parameters,
        "record": own,
        "time": _rfc3339(record.ended),
    }
    return _statement(GATE_DECISION, record.outputs, predicate)


def _statement(kind: str, subjects: Mapping[str, str], predicate: Mapping[str, Any]) -> Statement:
    (name, sha256), *others = sorted(subjects.items())
    return Statement(kind, name, sha256, predicate, dict(others))


def _dependencies(record: Record, tree: str) -> list[dict[str, Any]]:
    """Return inputs, locks of packages and code as resource descriptors."""
    code: dict[str, Any] = {"name": "code", "digest": {SHA256 if tree == SHA256 else CODE: record.code.digest}}
    if record.git.revision:
        code["digest"]["gitCommit"] = record.git.revision
        code["annotations"] = {"dirty": record.git.dirty, "diff": record.git.diff or ""}
    locks = {f"{REQUIREMENTS}/{name}": sha256 for name, sha256 in record.packages.items()}
    return [*_descriptors(record, record.inputs | locks, tree), code]


def _descriptors(record: Record, digests: Mapping[str, str], tree: str) -> list[dict[str, Any]]:
    folders = FOLDERS | record.source_files.keys()
    return [_descriptor(path, sha256, tree if path in folders else SHA256) for path, sha256 in sorted(digests.items())]


def _descriptor(path: str, sha256: str, algorithm: str = SHA256) -> dict[str, Any]:
    return {"name": path, "digest": {algorithm: sha256}}


def _rfc3339(time: str) -> str:
    return time.replace("+00:00", "Z")
