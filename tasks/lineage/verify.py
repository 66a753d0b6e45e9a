"""Whether the bytes are those that were recorded: everything that an artifact comes from is reckoned anew and compared.

In a fixed order, of which the first thing that does not match is the error:
1. what people wrote, the code, the parameters and the locks of packages, stage by stage;
2. each stage: its record, every file that it wrote, `dvc.lock`, what it read, its code, the records that it builds on;
3. the log: its chain, its statements against the records, its signatures;
4. for a checkpoint that is a candidate: that the evaluation and the gate are about these very bytes, the run's summary, and the release.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_bytes, sha256_json
from ascl_core.errors import AsclError, DataError
from tasks.evidence.attestations import record_of, statement_of
from tasks.evidence.contents import Content, OnBytes
from tasks.evidence.graph import Node
from tasks.evidence.log import COMMITTED, LOG, Entry, entries
from tasks.evidence.record import SCHEMA
from tasks.evidence.statements import APPROVAL, ROLLBACK
from tasks.evidence.statements import verify as verify_signature
from tasks.evidence.trust import Role, Trust, read_trust
from tasks.lineage.evidence import Evidence, collected, is_anywhere, is_people_s
from tasks.lineage.find import CHECKPOINT
from tasks.registry.parameters import FILE as PARAMETERS
from tasks.registry.parameters import differing
from tasks.registry.stages import CORPUS, RELEASED, Stage
from tasks.releases.candidate import DECISION, EVALUATION
from tasks.releases.model_signature import FILE, verify_model
from tasks.releases.verify import Release, verify_commit
from tasks.repository.git import commit_of, show
from tasks.repository.worktrees import LOCK
from tasks.runs.runs import SUMMARY

_METRICS = EVALUATION.outputs["metrics"].path


@dataclass(frozen=True)
class Verified:
    """What was looked at, all of which holds."""

    path: str
    sha256: str
    place: str
    stages: int
    files: int
    size: int
    """Bytes that were read."""
    sources: int
    """Files that people wrote."""
    code: int
    """Files of code."""
    edges: int
    """Inputs that are what another stage wrote."""
    statements: int
    signed: int
    """Of the statements, those that a trusted key signed."""
    made_again: int
    """Records that others build on and that were made again since, with the same outputs."""
    outside: tuple[str, ...]
    """Prompt sources that are not in the commit, so that nobody can look at them there."""
    judged: bool
    """Whether the evaluation and the gate are about these very bytes."""
    release: Release | None
    seconds: float


def verify(root: Path, text: str, on_bytes: OnBytes = lambda done, total: None) -> Verified:
    """Reckon everything anew that what a person names comes from; `DataError` or `ReleaseError` names the first thing that is not right."""
    started = time.monotonic()
    with collected(root, text, on_bytes) as evidence:
        outside = _check_sources(evidence)
        for stage in evidence.stages:
            _check_stage(evidence, stage)
        logged, signed, made_again = _check_log(evidence)
        judged = evidence.is_whole and _check_judged(evidence)
        release = _check_release(evidence) if evidence.is_release else None
        return Verified(
            path=evidence.found.path,
            sha256=evidence.found.sha256,
            place=evidence.place.name,
            stages=len(evidence.nodes),
            files=sum(len(content.files) for content in evidence.contents.values()),
            size=sum(content.size for content in evidence.contents.values()),
            sources=sum(len(evidence.contents[path].files) for path in _written(evidence) if path in evidence.contents),
            code=len(_code(evidence)),
            edges=sum(not is_people_s(path) for node in evidence.nodes for path in node.inputs),
            statements=logged,
            signed=signed,
            made_again=made_again,
            outside=outside,
            judged=judged,
            release=release,
            seconds=time.monotonic() - started,
        )


# --- 1. what people wrote


def _check_sources(evidence: Evidence) -> tuple[str, ...]:
    outside: dict[str, None] = {}
    for node in evidence.nodes:
        entry = evidence.entry(node.stage)
        _check_parameters(evidence, node, entry)
        md5s = {dep["path"]: dep for dep in entry.get("deps", ())}
        for path in evidence.place.code_of(node.stage.name):
            content = _content(evidence, path, f"dvc.lock of {node.stage.name}")
            _same("MD5", content.md5, f"dvc.lock of {node.stage.name}", md5s[path].get("md5"), path)
            _same("size", content.size, f"dvc.lock of {node.stage.name}", md5s[path].get("size"), path)
        for path, sha256 in node.inputs.items():
            if not is_people_s(path):
                continue
            if evidence.place.commit and path not in evidence.contents and is_anywhere(path):
                outside[path] = None
                continue
            content = _content(evidence, path, f"the record of {node.stage.name}")
            _same_files(content, node.record.get("source_files", {}).get(path), path, node.stage)
            _same("SHA-256", content.sha256, f"the record of {node.stage.name}", sha256, path)
            if path in md5s:
                _same("MD5", content.md5, f"dvc.lock of {node.stage.name}", md5s[path].get("md5"), path)
    _check_packages(evidence)
    return tuple(outside)


def _check_parameters(evidence: Evidence, node: Node, entry: Mapping[str, Any]) -> None:
    recorded = (entry.get("params") or {}).get(PARAMETERS, {})
    _same("what dvc.lock has of the sections", sorted(recorded), "the stage", sorted(node.stage.sections), LOCK, node.stage.name)
    for section, values in recorded.items():
        for name, wanted, found in differing(section, values, evidence.parameters.get(section)):
            if str(found) != str(wanted):
                _same("the value", found, f"dvc.lock of {node.stage.name}", wanted, PARAMETERS, name)


def _check_packages(evidence: Evidence) -> None:
    """A record of a commit without changes names the locks of that commit."""
    root, seen = evidence.place.root, {}
    for node in evidence.nodes:
        revision = node.record["git"]["revision"]
        if node.record["git"]["dirty"] or not revision or commit_of(root, revision) is None:
            continue
        for name, sha256 in node.record["packages"].items():
            path = f"requirements/{name}"
            if (revision, path) not in seen:
                seen[revision, path] = sha256_bytes(show(root, revision, Path(path), missing=b""))
            _same(f"SHA-256 in commit {revision[:12]}", seen[revision, path], f"the record of {node.stage.name}", sha256, path)


# --- 2. the stages


def _check_stage(evidence: Evidence, stage: Stage) -> None:
    node = evidence.graph.nodes.get(stage.name)
    if node is None:
        raise DataError(f"the record of {stage.name} is missing", file=stage.record.path, field=_where(evidence), hint=_HINT)
    entry = evidence.entry(stage)
    outs = {out["path"]: out for out in entry.get("outs", ())}
    _same("what dvc.lock has of its outputs", sorted(outs), "the record", sorted([*node.outputs, stage.record.path]), LOCK, stage.name)
    command = re.search(rf"^  {stage.name}:\n(?:    .*\n)*?    cmd: (.*)$", evidence.dvc_yaml, re.MULTILINE)
    _same("the command", entry.get("cmd"), "dvc.yaml", command and command[1], LOCK, stage.name)
    _same("the stage", node.record.get("stage"), "its file", stage.name, stage.record.path)
    for path in (stage.record.path, *node.outputs):
        content = _content(evidence, path, f"the record of {stage.name}")
        _same_files(content, node.record.get("files", {}).get(path), path, stage)
        if path in node.outputs:
            _same("SHA-256", content.sha256, f"the record of {stage.name}", node.outputs[path], path)
        _same("MD5", content.md5, "dvc.lock", outs[path].get("md5"), path)
        _same("size", content.size, "dvc.lock", outs[path].get("size"), path)
        if outs[path]["md5"].endswith(".dir"):
            _same("number of files", len(content.files), "dvc.lock", outs[path].get("nfiles"), path)
    _check_read(evidence, node, entry)
    _check_work(evidence, node, entry)


def _check_read(evidence: Evidence, node: Node, entry: Mapping[str, Any]) -> None:
    """What it read is what another stage wrote."""
    deps = {dep["path"]: dep for dep in entry.get("deps", ())}
    for path, sha256 in node.inputs.items():
        if is_people_s(path):
            continue
        content = _content(evidence, path, f"the record of {node.stage.name}")
        _same("SHA-256", content.sha256, f"{node.stage.name} read it and its record", sha256, path)
        _same("MD5", content.md5, f"{node.stage.name} read it and dvc.lock", deps.get(path, {}).get("md5"), path)
        _same("size", content.size, f"{node.stage.name} read it and dvc.lock", deps.get(path, {}).get("size"), path)


def _check_work(evidence: Evidence, node: Node, entry: Mapping[str, Any]) -> None:
    """The digest of the record follows from what it says, and from the code."""
    record, file = node.record, node.stage.record.path
    code = {path: evidence.contents[path].sha256 for path in evidence.place.code_of(node.stage.name)}
    _same("the digest of the code", sha256_json(code), "the record", record["code"]["digest"], file, "code.digest")
    work = sha256_json([record["function"], node.inputs, code, record["parameters"]])
    _same("the digest of function, inputs, code and parameters", work, "the record", record["digest"], file, "digest")


# --- 3. the log


def _check_log(evidence: Evidence) -> tuple[int, int, int]:
    """How many statements there are, how many of them are signed, and how many records were made again since others built on them."""
    content, file = _log(evidence)
    if not content:
        if any(node.record.get("schema") == SCHEMA for node in evidence.nodes):
            hint = "verify a run or a release, whose commit has its log; ascl run makes one here"
            raise DataError("there is no log", file=file, field=_where(evidence), hint=hint)
        return 0, 0, 0
    trust: Trust | None = None
    logged: dict[str, Entry] = {}
    count = signed = 0
    for entry in entries(content, file=file):
        count += 1
        if entry.envelope["signatures"]:
            trust = trust or read_trust(evidence.place.root)
            _check_signature(entry, trust, file)
            signed += 1
        logged[record_of(entry.statement)] = entry
    for node in evidence.graph.nodes.values():
        one = logged.get(node.sha256)
        if one is None:
            raise DataError("the log has no statement about this record", file=node.stage.record.path, field=str(file), hint=_HINT)
        if one.statement != statement_of(node.record, node.sha256):
            raise DataError(f"says something else than the record of {node.stage.name}", file=file, field=f"line {one.seq + 1}", hint=_HINT)
    return count, signed, _made_again(evidence)


def _check_signature(entry: Entry, trust: Trust, file: Path) -> None:
    try:
        kind = entry.statement.kind
        verify_signature(entry.envelope, trust, kind, Role.APPROVER if kind in (APPROVAL, ROLLBACK) else Role.TRAINER)
    except AsclError as error:
        raise DataError(error.problem, file=file, field=f"line {entry.seq + 1}", value=error.value, hint=error.hint) from None


def _log(evidence: Evidence) -> tuple[bytes, Path]:
    place = evidence.place
    if place.commit is not None:
        return show(place.root, place.commit, COMMITTED, missing=b""), COMMITTED
    return (place.root / LOG).read_bytes() if (place.root / LOG).exists() else b"", LOG


def _made_again(evidence: Evidence) -> int:
    now = {name: node.sha256 for name, node in evidence.graph.nodes.items()}
    built_on = {(name, sha256) for node in evidence.nodes for name, sha256 in node.record.get("parents", {}).items()}
    return sum(now.get(name) != sha256 for name, sha256 in built_on)


# --- 4. what was judged and released


def _check_judged(evidence: Evidence) -> bool:
    """The evaluation and the gate, where there are any, are about the bytes of the checkpoint."""
    checkpoint = evidence.contents[CHECKPOINT].sha256
    if _METRICS in evidence.contents:
        metrics, corpus = _json(evidence, _METRICS), _json(evidence, CORPUS.path)
        _same("the checkpoint that was evaluated", metrics.get("checkpoint_sha256"), CHECKPOINT, checkpoint, _METRICS, "checkpoint_sha256")
        _same("the digest of the rules", metrics.get("corpus_digest"), CORPUS.path, corpus.get("digest"), _METRICS, "corpus_digest")
    if evidence.place.commit is not None:
        said = json.loads(show(evidence.place.root, evidence.place.commit, SUMMARY, missing=b"{}"))
        for field, sha256 in (("checkpoint", checkpoint), ("gate", evidence.contents[DECISION].sha256 if said else "")):
            if field in said:
                _same(f"the {field}", (said[field] or {}).get("sha256"), "its artifact", sha256, str(SUMMARY), f"{field}.sha256")
    return _METRICS in evidence.contents and DECISION in evidence.contents


def _check_release(evidence: Evidence) -> Release:
    """What was signed and approved is these bytes."""
    root, commit = evidence.place.root, str(evidence.place.commit)
    release = verify_commit(root, commit, read_trust(root))
    judged = release.record.judged
    if evidence.is_whole:
        _same("the checkpoint", judged.checkpoint, CHECKPOINT, evidence.contents[CHECKPOINT].sha256, release.tag)
        _same("the gate's decision", judged.decision, DECISION, evidence.contents[DECISION].sha256, release.tag)
        if signature := show(root, commit, Path(RELEASED.path) / FILE, missing=b""):
            verify_model(root, {name: file for name, file in evidence.place.files(CHECKPOINT).items() if file}, signature)
    return release


_HINT = "restore it: ascl pull, or git checkout; or run again what should be trusted"


def _same(what: str, found: object, who: str, wanted: object, file: str, field: str | None = None) -> None:
    if found != wanted:
        raise DataError(f"{what} is {found}, but {who} says {wanted}", file=file, field=field, hint=_HINT)


def _same_files(content: Content, wanted: Mapping[str, str] | None, path: str, stage: Stage) -> None:
    """Each file of a folder is the one that the record names."""
    if wanted is None:
        return
    who = f"the record of {stage.name}"
    for name in sorted({*content.tree, *wanted}):
        if name not in content.tree:
            raise DataError(f"is missing, but {who} names it", file=f"{path}/{name}", hint=_HINT)
        if name not in wanted:
            raise DataError(f"is there, but {who} does not name it", file=f"{path}/{name}", hint=_HINT)
        _same("SHA-256", content.tree[name], who, wanted[name], f"{path}/{name}")


def _content(evidence: Evidence, path: str, who: str) -> Content:
    content = evidence.contents.get(path)
    if content is None:
        raise DataError(f"is missing, but {who} names it", file=path, field=_where(evidence), hint=_HINT)
    return content


def _where(evidence: Evidence) -> str:
    return f"in {evidence.place.name}"


def _json(evidence: Evidence, path: str) -> dict[str, Any]:
    file = evidence.place.files(path)[""]
    values = json.loads(file.read_bytes()) if file else {}
    return values if isinstance(values, dict) else {}


def _written(evidence: Evidence) -> list[str]:
    return list(dict.fromkeys(path for node in evidence.nodes for path in node.inputs if is_people_s(path)))


def _code(evidence: Evidence) -> set[str]:
    return {path for node in evidence.nodes for path in evidence.place.code_of(node.stage.name)}
