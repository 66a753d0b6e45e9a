"""Whether the bytes are those that were recorded: every digest that an artifact comes from is computed again and compared.

The first mismatch in this order is the error:
1. what people wrote, the code, the parameters and the locks of packages, stage by stage;
2. each stage: its record, every file that it wrote, `dvc.lock`, what it read, its code, the records that it builds on;
3. the log: its chain, its statements against the records, its signatures;
4. the rollouts of reinforcement learning: rewards and advantages follow from their terms, modes and parameters;
5. for a candidate checkpoint: its evaluation, its gate and the summary of its run are about these bytes.

`ascl lineage verify` and the creation of a release ask here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_bytes, sha256_json
from ascl_core.errors import AsclError, DataError
from tasks.evidence.acceptance import check_acceptances
from tasks.evidence.attestations import is_statement_of, record_of
from tasks.evidence.collected import Evidence, is_external_source, is_source
from tasks.evidence.contents import Content
from tasks.evidence.graph import Node
from tasks.evidence.log import Entry, entries
from tasks.evidence.record import SCHEMA, SYNTAX
from tasks.evidence.rollouts import check_rollouts
from tasks.evidence.statements import APPROVAL, ROLLBACK
from tasks.evidence.statements import verify as verify_signature
from tasks.evidence.trust import Role, Trust, read_trust
from tasks.registry.parameters import differing
from tasks.registry.paths import COMMITTED_LOG, DVC_LOCK, DVC_YAML, LOG, PARAMETERS, REQUIREMENTS, RUN_SUMMARY
from tasks.registry.stages import CHECKPOINT, CORPUS, DECISION, METRICS, Stage
from tasks.repository.git import commit_of, show

_HINT = "restore it: ascl pull, or git checkout; or run the stage again"


@dataclass(frozen=True)
class Verified:
    """What was compared and holds."""

    path: str
    sha256: str
    snapshot: str
    stages: int
    files: int
    size: int
    """Bytes that were read."""
    sources: int
    """Files that people wrote."""
    code: int
    """Files of code."""
    edges: int
    """Inputs that another stage wrote."""
    statements: int
    signed: int
    """Of the statements, those that a trusted key signed."""
    replaced: int
    """Records that were written again, with the same outputs, after other stages had read those outputs."""
    rollouts: int
    """Rollouts whose rewards and advantages were computed again; 0 if none were kept."""
    outside: tuple[str, ...]
    """Prompt sources that could not be compared, as the commit does not have them."""
    judged: bool
    """Whether the evaluation and the gate are about these bytes."""


def verify(evidence: Evidence) -> Verified:
    """Compare everything; `DataError` or `ReleaseError` names the first mismatch."""
    outside = _check_sources(evidence)
    for stage in evidence.stages:
        _check_stage(evidence, stage)
    statements, signed, replaced = _check_log(evidence)
    rollouts = check_rollouts(evidence)
    judged = evidence.is_whole and _check_judged(evidence)
    contents = evidence.contents
    return Verified(
        path=evidence.found.path,
        sha256=evidence.found.sha256,
        snapshot=evidence.snapshot.name,
        stages=len(evidence.nodes),
        files=sum(len(content.files) for content in contents.values()),
        size=sum(content.size for content in contents.values()),
        sources=sum(len(contents[path].files) for path in evidence.sources if path in contents),
        code=len(evidence.code),
        edges=sum(not is_source(path) for node in evidence.nodes for path in node.inputs),
        statements=statements,
        signed=signed,
        replaced=replaced,
        rollouts=rollouts,
        outside=outside,
        judged=judged,
    )


def _check_sources(evidence: Evidence) -> tuple[str, ...]:
    """Compare sources, code, parameters and locks with the records; return the sources that are not in the commit."""
    outside: dict[str, None] = {}
    for node in evidence.nodes:
        entry, name = evidence.entry(node.stage), node.stage.name
        record, lock = f"the record of {name}", f"dvc.lock of {name}"
        _check_parameters(evidence, node, entry)
        locked = _by_path(entry, "deps")
        for path in evidence.snapshot.code_of(name):
            _check_locked(_content(evidence, path, lock), locked.get(path), lock, path)
        for path, sha256 in node.inputs.items():
            if not is_source(path):
                continue
            if evidence.snapshot.commit and path not in evidence.contents and is_external_source(path):
                outside[path] = None
                continue
            content = _content(evidence, path, record)
            _check_files(content, node.record.source_files.get(path), path, record)
            check_equal("SHA-256", content.sha256, record, sha256, path)
            if path in locked:
                check_equal("MD5", content.md5, lock, locked[path].get("md5"), path)
    _check_packages(evidence)
    return tuple(outside)


def _check_parameters(evidence: Evidence, node: Node, entry: Mapping[str, Any]) -> None:
    recorded = (entry.get("params") or {}).get(PARAMETERS, {})
    check_equal("the sections in dvc.lock", sorted(recorded), "the stage", sorted(node.stage.sections), DVC_LOCK, node.stage.name)
    for section, values in recorded.items():
        for name, wanted, found in differing(section, values, evidence.parameters.get(section)):
            if str(found) != str(wanted):
                check_equal("the value", found, f"dvc.lock of {node.stage.name}", wanted, PARAMETERS, name)


def _check_packages(evidence: Evidence) -> None:
    """Compare the locks in a record that was made from a clean commit with those of the commit."""
    root, digests = evidence.snapshot.root, {}
    for node in evidence.nodes:
        revision = node.record.git.revision
        if node.record.git.dirty or not revision or commit_of(root, revision) is None:
            continue
        for name, sha256 in node.record.packages.items():
            path = f"{REQUIREMENTS}/{name}"
            if (revision, path) not in digests:
                digests[revision, path] = sha256_bytes(show(root, revision, Path(path), missing=b""))
            who = f"the record of {node.stage.name}"
            check_equal(f"SHA-256 in commit {revision[:12]}", digests[revision, path], who, sha256, path)


def _check_stage(evidence: Evidence, stage: Stage) -> None:
    """Compare the outputs of a stage, its inputs and its code with its record and with `dvc.lock`."""
    node, who, record = evidence.graph.nodes.get(stage.name), f"the record of {stage.name}", stage.record.path
    if node is None:
        raise DataError(f"{who} is missing", file=record, field=_where(evidence), hint=_HINT)
    entry = evidence.entry(stage)
    locked = _by_path(entry, "outs")
    check_equal("the outputs in dvc.lock", sorted(locked), "the record", sorted([*node.outputs, record]), DVC_LOCK, stage.name)
    command = re.search(rf"^  {stage.name}:\n(?:    .*\n)*?    cmd: (.*)$", evidence.dvc_yaml, re.MULTILINE)
    check_equal("the command", entry.get("cmd"), DVC_YAML, command and command[1], DVC_LOCK, stage.name)
    check_equal("the stage", node.record.stage, "its file", stage.name, record)
    for path in (record, *node.outputs):
        content = _content(evidence, path, who)
        _check_files(content, node.record.files.get(path), path, who)
        if path in node.outputs:
            check_equal("SHA-256", content.sha256, who, node.outputs[path], path)
        _check_locked(content, locked[path], DVC_LOCK, path)
        if locked[path]["md5"].endswith(".dir"):
            check_equal("number of files", len(content.files), DVC_LOCK, locked[path].get("nfiles"), path)
    _check_read(evidence, node, entry)
    _check_work(evidence, node)


def _check_read(evidence: Evidence, node: Node, entry: Mapping[str, Any]) -> None:
    """Check that what the stage read is what another stage wrote."""
    locked, reader = _by_path(entry, "deps"), node.stage.name
    for path, sha256 in node.inputs.items():
        if not is_source(path):
            content = _content(evidence, path, f"the record of {reader}")
            check_equal("SHA-256", content.sha256, f"{reader} read it and its record", sha256, path)
            _check_locked(content, locked.get(path), f"{reader} read it and dvc.lock", path)


def _check_work(evidence: Evidence, node: Node) -> None:
    """Check that the digest in the record follows from its function, inputs and parameters, and from the code."""
    record, file = node.record, node.stage.record.path
    meanings = evidence.meanings if record.code.form == SYNTAX else {path: one.sha256 for path, one in evidence.contents.items()}
    code = {path: meanings[path] for path in evidence.snapshot.code_of(node.stage.name)}
    check_equal("the digest of the code", sha256_json(code), "the record", record.code.digest, file, "code.digest")
    work = sha256_json([record.function, record.inputs, code, record.parameters])
    check_equal("the digest of function, inputs, code and parameters", work, "the record", record.digest, file, "digest")
    if record.accepted:
        check_acceptances(record, node.stage, read_trust(evidence.snapshot.root))


def _check_log(evidence: Evidence) -> tuple[int, int, int]:
    """Check the log; return how many statements it has, how many are signed, and how many records were replaced after others read them."""
    content, file = _log(evidence)
    if not content:
        if any(node.record.version == SCHEMA for node in evidence.nodes):
            hint = "ascl pull writes it here; or verify a run or a release, whose commit has its log"
            raise DataError("there is no log", file=file, field=_where(evidence), hint=hint)
        return 0, 0, 0
    trust: Trust | None = None
    logged: dict[str, Entry] = {}
    count = signed = 0
    for entry in entries(content, file=file):
        count += 1
        if entry.envelope["signatures"]:
            trust = trust or read_trust(evidence.snapshot.root)
            _check_signature(entry, trust, file)
            signed += 1
        logged[record_of(entry.statement)] = entry
    for node in evidence.graph.nodes.values():
        one = logged.get(node.sha256)
        if one is None:
            raise DataError("the log has no statement about this record", file=node.stage.record.path, field=str(file), hint=_HINT)
        if not is_statement_of(one.statement, node.record, node.sha256):
            raise DataError(f"says something else than the record of {node.stage.name}", file=file, field=f"line {one.seq + 1}", hint=_HINT)
    return count, signed, _num_replaced(evidence)


def _check_judged(evidence: Evidence) -> bool:
    """Check that evaluation, gate and summary, if there are any, are about the checkpoint; return whether the first two exist."""
    made = {path: evidence.contents[path].sha256 for path in (CHECKPOINT, DECISION) if path in evidence.contents}
    digest = evidence.json(CORPUS.path).get("digest") if CORPUS.path in evidence.contents else None
    if METRICS in evidence.contents:
        metrics = evidence.json(METRICS)
        for field, what, path, wanted in (
            ("checkpoint_sha256", "the checkpoint that was evaluated", CHECKPOINT, made[CHECKPOINT]),
            ("corpus_digest", "the digest of the rules", CORPUS.path, digest),
        ):
            check_equal(what, metrics.get(field), path, wanted, METRICS, field)
    for part, key, what, path, wanted in (
        ("checkpoint", "sha256", "the checkpoint", CHECKPOINT, made[CHECKPOINT]),
        ("gate", "sha256", "the gate's decision", DECISION, made.get(DECISION)),
        ("rules", "digest", "the digest of the rules", CORPUS.path, digest),
    ):
        if part in evidence.summary:
            said = evidence.summary[part]
            check_equal(what, said.get(key) if isinstance(said, dict) else said, path, wanted, str(RUN_SUMMARY), f"{part}.{key}")
    return METRICS in evidence.contents and DECISION in made


def _check_signature(entry: Entry, trust: Trust, file: Path) -> None:
    kind = entry.statement.kind
    try:
        verify_signature(entry.envelope, trust, kind, Role.APPROVER if kind in (APPROVAL, ROLLBACK) else Role.TRAINER)
    except AsclError as error:
        raise DataError(error.problem, file=file, field=f"line {entry.seq + 1}", value=error.value, hint=error.hint) from None


def _log(evidence: Evidence) -> tuple[bytes, Path]:
    root, commit = evidence.snapshot.root, evidence.snapshot.commit
    if commit is not None:
        return show(root, commit, COMMITTED_LOG, missing=b""), COMMITTED_LOG
    return (root / LOG).read_bytes() if (root / LOG).exists() else b"", LOG


def _num_replaced(evidence: Evidence) -> int:
    current = {name: node.sha256 for name, node in evidence.graph.nodes.items()}
    read = {(name, sha256) for node in evidence.nodes for name, sha256 in node.record.parents.items()}
    return sum(current.get(name) != sha256 for name, sha256 in read)


def check_equal(what: str, found: object, who: str, wanted: object, file: str, field: str | None = None) -> None:
    """Raise `DataError` unless a value is the recorded one."""
    if found != wanted:
        raise DataError(f"{what} is {found}, but {who} says {wanted}", file=file, field=field, hint=_HINT)


def _check_locked(content: Content, locked: Mapping[str, Any] | None, who: str, path: str) -> None:
    check_equal("MD5", content.md5, who, (locked or {}).get("md5"), path)
    check_equal("size", content.size, who, (locked or {}).get("size"), path)


def _check_files(content: Content, wanted: Mapping[str, str] | None, path: str, who: str) -> None:
    """Check that the files of a folder are those that the record names."""
    if wanted is None:
        return
    for name in sorted({*content.tree, *wanted}):
        if name not in content.tree:
            raise DataError(f"is missing, but {who} names it", file=f"{path}/{name}", hint=_HINT)
        if name not in wanted:
            raise DataError(f"is there, but {who} does not name it", file=f"{path}/{name}", hint=_HINT)
        check_equal("SHA-256", content.tree[name], who, wanted[name], f"{path}/{name}")


def _content(evidence: Evidence, path: str, who: str) -> Content:
    content = evidence.contents.get(path)
    if content is None:
        raise DataError(f"is missing, but {who} names it", file=path, field=_where(evidence), hint=_HINT)
    return content


def _by_path(entry: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    return {item["path"]: item for item in entry.get(kind, ())}


def _where(evidence: Evidence) -> str:
    return f"in {evidence.snapshot.name}"
