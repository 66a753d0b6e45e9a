"""What a record says as an in-toto statement: the same record gives the same bytes, so that one can be checked against the other.

| stage | kind | about |
|---|---|---|
| validate_rules, validate_data, evaluate_* | test result v0.1 | what was tested: the rules, the prompts, the checkpoint |
| gate | `urn:ascl:gate:1` | the decision |
| all others | SLSA provenance v1 | every output, and every file of one that is a folder |

https://slsa.dev/spec/v1.0/provenance, https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ascl_core.errors import DataError
from tasks.evidence.statements import Statement
from tasks.registry.stages import EVALUATE, GATE, PROMPTS, RULES, STAGES, VALIDATE_DATA, VALIDATE_RULES

PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
GATE_DECISION = "urn:ascl:gate:1"
BUILD_TYPE = "urn:ascl:stage:1"
"""A stage's function, called with its inputs and the parameters of its sections."""
BUILDER = "urn:ascl:runner:1"
_TESTED = {
    VALIDATE_RULES.name: RULES.path,
    VALIDATE_DATA.name: PROMPTS.path,
    **{stage.name: next(iter(stage.input_artifacts())).path for stage in EVALUATE.values()},
}
_RECORDS = {stage.name: stage.record.path for stage in STAGES}
Record = Mapping[str, Any]


def statement_of(record: Record, sha256: str) -> Statement:
    """The statement that a record is, whose bytes have that SHA-256; `DataError` where the record lacks what it must say."""
    try:
        make = _test_result if record["stage"] in _TESTED else _decision if record["stage"] == GATE.name else _provenance
        return make(record, _described(_RECORDS[record["stage"]], sha256))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"the record does not say what it must: {error}", value=record.get("stage"), hint="run the stage again") from None


def record_of(statement: Statement) -> str:
    """SHA-256 of the record behind a statement; empty where it has none."""
    said = statement.predicate
    try:
        return str((said["runDetails"]["byproducts"][0] if statement.kind == PROVENANCE else said["record"])["digest"]["sha256"])
    except (KeyError, TypeError, IndexError):
        return ""


def _provenance(record: Record, described: Mapping[str, Any]) -> Statement:
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"stage": record["stage"], "function": record["function"], "parameters": record["parameters"]},
            "internalParameters": {name: record.get(name) for name in ("seeds", "machine", "gpus", "installed")},
            "resolvedDependencies": _made_from(record),
        },
        "runDetails": {
            "builder": {"id": BUILDER},
            "metadata": {
                "invocationId": record.get("prefect_run") or "",
                "startedOn": _time(record["started"]),
                "finishedOn": _time(record["ended"]),
            },
            "byproducts": [described],
        },
    }
    return _about(PROVENANCE, _with_files(record), predicate)


def _test_result(record: Record, described: Mapping[str, Any]) -> Statement:
    tested = _TESTED[record["stage"]]
    predicate = {
        "result": "WARNED" if record["metrics"].get("warnings") else "PASSED",
        "configuration": [one for one in _made_from(record) if one.get("name") != tested],
        "metrics": record["metrics"],
        "outputs": [_described(path, sha256) for path, sha256 in sorted(record["outputs"].items())],
        "record": described,
        "time": _time(record["ended"]),
    }
    return Statement(TEST_RESULT, tested, record["inputs"][tested], predicate)


def _decision(record: Record, described: Mapping[str, Any]) -> Statement:
    predicate = {
        "passed": bool(record["metrics"]["passed"]),
        "metrics": record["metrics"],
        "decidedOn": [_described(path, sha256) for path, sha256 in sorted(record["inputs"].items())],
        "parameters": record["parameters"],
        "record": described,
        "time": _time(record["ended"]),
    }
    return _about(GATE_DECISION, record["outputs"], predicate)


def _about(kind: str, subjects: Mapping[str, str], predicate: Mapping[str, Any]) -> Statement:
    (name, sha256), *others = sorted(subjects.items())
    return Statement(kind, name, sha256, predicate, dict(others))


def _with_files(record: Record) -> dict[str, str]:
    """The outputs, and the files of those that are folders, by path."""
    inside = {f"{path}/{name}": sha256 for path, tree in record.get("files", {}).items() for name, sha256 in tree.items()}
    return {**record["outputs"], **inside}


def _made_from(record: Record) -> list[dict[str, Any]]:
    """Inputs, code and locks of packages, as resource descriptors."""
    git = record["git"]
    code: dict[str, Any] = {"name": "code", "digest": {"sha256": record["code"]["digest"]}}
    if git["revision"]:
        code["digest"]["gitCommit"] = git["revision"]
        code["annotations"] = {"dirty": git["dirty"], "diff": git["diff"] or ""}
    locks = {f"requirements/{name}": sha256 for name, sha256 in record["packages"].items()}
    return [*(_described(path, sha256) for path, sha256 in sorted({**record["inputs"], **locks}.items())), code]


def _described(path: str, sha256: str) -> dict[str, Any]:
    return {"name": path, "digest": {"sha256": sha256}}


def _time(text: str) -> str:
    """A time of a record in the form of RFC 3339 that in-toto asks for."""
    return text.replace("+00:00", "Z")
