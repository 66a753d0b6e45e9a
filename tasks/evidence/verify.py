"""Whether what stages left behind is what was recorded: everything is reckoned anew and compared.

In a fixed order, of which the first thing that does not match is the error:
1. what people wrote, the code, the parameters and the locks of packages, stage by stage;
2. each stage: its record, every file that it wrote, `dvc.lock`, what it read, its code, the records that it builds on;
3. the log: its chain, its statements against the records, its signatures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_bytes, sha256_json
from ascl_core.errors import AsclError, DataError
from tasks.evidence.acceptance import FIELD, check_acceptances
from tasks.evidence.attestations import record_of, statement_of
from tasks.evidence.collected import Evidence, is_anywhere, is_people_s
from tasks.evidence.contents import Content
from tasks.evidence.graph import Node
from tasks.evidence.log import COMMITTED, LOG, Entry, entries
from tasks.evidence.record import SCHEMA, SYNTAX
from tasks.evidence.statements import APPROVAL, ROLLBACK
from tasks.evidence.statements import verify as verify_signature
from tasks.evidence.trust import Role, Trust, read_trust
from tasks.registry.parameters import FILE as PARAMETERS
from tasks.registry.parameters import differing
from tasks.registry.stages import Stage
from tasks.repository.dvc_lock import LOCK
from tasks.repository.git import commit_of, show

_HINT = "restore it: ascl pull, or git checkout; or run again what should be trusted"


def check_sources(evidence: Evidence) -> tuple[str, ...]:
    outside: dict[str, None] = {}
    for node in evidence.nodes:
        entry = evidence.entry(node.stage)
        _check_parameters(evidence, node, entry)
        md5s = {dep["path"]: dep for dep in entry.get("deps", ())}
        for path in evidence.place.code_of(node.stage.name):
            content = _content(evidence, path, f"dvc.lock of {node.stage.name}")
            same("MD5", content.md5, f"dvc.lock of {node.stage.name}", md5s[path].get("md5"), path)
            same("size", content.size, f"dvc.lock of {node.stage.name}", md5s[path].get("size"), path)
        for path, sha256 in node.inputs.items():
            if not is_people_s(path):
                continue
            if evidence.place.commit and path not in evidence.contents and is_anywhere(path):
                outside[path] = None
                continue
            content = _content(evidence, path, f"the record of {node.stage.name}")
            _same_files(content, node.record.get("source_files", {}).get(path), path, node.stage)
            same("SHA-256", content.sha256, f"the record of {node.stage.name}", sha256, path)
            if path in md5s:
                same("MD5", content.md5, f"dvc.lock of {node.stage.name}", md5s[path].get("md5"), path)
    _check_packages(evidence)
    return tuple(outside)


def _check_parameters(evidence: Evidence, node: Node, entry: Mapping[str, Any]) -> None:
    recorded = (entry.get("params") or {}).get(PARAMETERS, {})
    same("what dvc.lock has of the sections", sorted(recorded), "the stage", sorted(node.stage.sections), LOCK, node.stage.name)
    for section, values in recorded.items():
        for name, wanted, found in differing(section, values, evidence.parameters.get(section)):
            if str(found) != str(wanted):
                same("the value", found, f"dvc.lock of {node.stage.name}", wanted, PARAMETERS, name)


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
            same(f"SHA-256 in commit {revision[:12]}", seen[revision, path], f"the record of {node.stage.name}", sha256, path)


def check_stage(evidence: Evidence, stage: Stage) -> None:
    node = evidence.graph.nodes.get(stage.name)
    if node is None:
        raise DataError(f"the record of {stage.name} is missing", file=stage.record.path, field=_where(evidence), hint=_HINT)
    entry = evidence.entry(stage)
    outs = {out["path"]: out for out in entry.get("outs", ())}
    same("what dvc.lock has of its outputs", sorted(outs), "the record", sorted([*node.outputs, stage.record.path]), LOCK, stage.name)
    command = re.search(rf"^  {stage.name}:\n(?:    .*\n)*?    cmd: (.*)$", evidence.dvc_yaml, re.MULTILINE)
    same("the command", entry.get("cmd"), "dvc.yaml", command and command[1], LOCK, stage.name)
    same("the stage", node.record.get("stage"), "its file", stage.name, stage.record.path)
    for path in (stage.record.path, *node.outputs):
        content = _content(evidence, path, f"the record of {stage.name}")
        _same_files(content, node.record.get("files", {}).get(path), path, stage)
        if path in node.outputs:
            same("SHA-256", content.sha256, f"the record of {stage.name}", node.outputs[path], path)
        same("MD5", content.md5, "dvc.lock", outs[path].get("md5"), path)
        same("size", content.size, "dvc.lock", outs[path].get("size"), path)
        if outs[path]["md5"].endswith(".dir"):
            same("number of files", len(content.files), "dvc.lock", outs[path].get("nfiles"), path)
    _check_read(evidence, node, entry)
    _check_work(evidence, node, entry)


def _check_read(evidence: Evidence, node: Node, entry: Mapping[str, Any]) -> None:
    """What it read is what another stage wrote."""
    deps = {dep["path"]: dep for dep in entry.get("deps", ())}
    for path, sha256 in node.inputs.items():
        if is_people_s(path):
            continue
        content = _content(evidence, path, f"the record of {node.stage.name}")
        same("SHA-256", content.sha256, f"{node.stage.name} read it and its record", sha256, path)
        same("MD5", content.md5, f"{node.stage.name} read it and dvc.lock", deps.get(path, {}).get("md5"), path)
        same("size", content.size, f"{node.stage.name} read it and dvc.lock", deps.get(path, {}).get("size"), path)


def _check_work(evidence: Evidence, node: Node, entry: Mapping[str, Any]) -> None:
    """The digest of the record follows from what it says, and from the code."""
    record, file = node.record, node.stage.record.path
    by_meaning = record["code"].get("form") == SYNTAX
    code = {
        path: evidence.meanings[path] if by_meaning else evidence.contents[path].sha256 for path in evidence.place.code_of(node.stage.name)
    }
    same("the digest of the code", sha256_json(code), "the record", record["code"]["digest"], file, "code.digest")
    work = sha256_json([record["function"], node.inputs, code, record["parameters"]])
    same("the digest of function, inputs, code and parameters", work, "the record", record["digest"], file, "digest")
    if record.get(FIELD):
        check_acceptances(record, node.stage, read_trust(evidence.place.root))


def check_log(evidence: Evidence) -> tuple[int, int, int]:
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


def same(what: str, found: object, who: str, wanted: object, file: str, field: str | None = None) -> None:
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
        same("SHA-256", content.tree[name], who, wanted[name], f"{path}/{name}")


def _content(evidence: Evidence, path: str, who: str) -> Content:
    content = evidence.contents.get(path)
    if content is None:
        raise DataError(f"is missing, but {who} names it", file=path, field=_where(evidence), hint=_HINT)
    return content


def written(evidence: Evidence) -> list[str]:
    return list(dict.fromkeys(path for node in evidence.nodes for path in node.inputs if is_people_s(path)))


def code_files(evidence: Evidence) -> set[str]:
    return {path for node in evidence.nodes for path in evidence.place.code_of(node.stage.name)}


def _where(evidence: Evidence) -> str:
    return f"in {evidence.place.name}"
