"""Why an artifact is as it is: whether it is stale, what it was made from, and which change caused it to be made again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import parse_yaml, sha256_file, tree_digest
from ascl_core.config.profiles import FOLDER as PROFILES
from ascl_core.config.profiles import resolve_profile
from ascl_core.errors import AsclError, ConfigError
from ascl_core.text import some
from tasks.evidence.graph import Found, Node, read_graph
from tasks.evidence.provenance import seeds
from tasks.evidence.snapshot import Snapshot
from tasks.execution.plan import make_plan
from tasks.lineage.causes import CORPORA
from tasks.lineage.find import all_snapshots, find
from tasks.registry.code import PACKAGE
from tasks.registry.parameters import changed, flat, parse_origin
from tasks.registry.paths import PARAMETERS, RUN_SUMMARY
from tasks.registry.stages import CHANGE, VALIDATE_RULES
from tasks.repository import cache
from tasks.repository.git import export

_SHOWN_FILES = 5
_Upstream = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Setting:
    """A parameter that differs from its profile."""

    key: str
    profile: Any
    value: Any


@dataclass(frozen=True)
class Previous:
    """The record of the stage before this one."""

    snapshot: str
    ended: str
    changes: tuple[str, ...]
    """What changed for the stage itself since then."""


@dataclass(frozen=True)
class Why:
    """Why an artifact is as it is."""

    found: Found
    action: str
    """What `ascl run` would do with its stage; for a commit `stale` or `reuse`, by the commit's own files."""
    reasons: tuple[str, ...]
    """Why, each in a few words."""
    upstream: _Upstream
    """The stages upstream that would run, with the reasons; empty for a commit."""
    profile: str
    """The profile of its parameters; or why it is unknown."""
    settings: tuple[Setting, ...]
    """Its parameters that differ from the profile."""
    rules: str | None
    """The digest of the rules upstream, and how they had changed; None if it comes from no rules."""
    seeds: dict[str, Any]
    run: str | None
    """The run that it is recorded in, by the run's own account."""
    run_reasons: tuple[str, ...]
    """Why that run made or reused it, by the run's own account."""
    previous: Previous | None
    also_in: tuple[str, ...]
    """Other snapshots with the same record."""


def why(root: Path, text: str) -> Why:
    """Return why the artifact that a person names is as it is; `DataError` or `WorkspaceError` if the name is unknown or ambiguous."""
    found = find(root, text)
    record = found.node.record
    action, reasons, upstream = _in_working_tree(found) if found.snapshot.commit is None else _in_commit(found)
    profile, settings = _settings(found)
    previous, also_in = _others(found)
    run, run_reasons = _run(found)
    return Why(
        found=found,
        action=action,
        reasons=reasons,
        upstream=upstream,
        profile=profile,
        settings=settings,
        rules=_rules(found),
        seeds=dict(record.seeds or seeds(record.parameters)),
        run=run,
        run_reasons=run_reasons,
        previous=previous,
        also_in=also_in,
    )


def _in_working_tree(found: Found) -> tuple[str, tuple[str, ...], _Upstream]:
    """Return action, reasons and stages upstream as `ascl plan` sees them."""
    upstream = {node.stage.name for node in found.graph.upstream(found.node)} - {found.node.stage.name}
    steps = {step.stage: step for step in make_plan(found.snapshot.root).steps}
    step = steps[found.node.stage.name]
    stale = tuple((name, one.reasons) for name, one in steps.items() if name in upstream and one.action in ("run", "restore"))
    return step.action, step.reasons, stale


def _in_commit(found: Found) -> tuple[str, tuple[str, ...], _Upstream]:
    """Return whether the files of the commit are those that the record names."""
    reasons = tuple(_differing(found))
    return ("stale", reasons, ()) if reasons else ("reuse", ("everything that it depends on is the same in the commit",), ())


def _differing(found: Found) -> Iterator[str]:
    snapshot, node = found.snapshot, found.node
    for edge in found.graph.edges(node):
        if edge.producer is None and (sha256 := _source_digest(snapshot, edge.path)) not in (None, edge.sha256):
            yield f"{edge.path} differs: {str(sha256)[:12]}"
        elif not edge.holds:
            yield f"{edge.path} is not what {edge.producer.stage.name if edge.producer else 'people'} wrote"
    current = parse_yaml((snapshot.read(PARAMETERS) or b"").decode(), file=PARAMETERS) or {}
    now, then = flat(dict(current)), flat(node.record.parameters)
    yield from (f"{key} changed: {then[key]} → {now[key]}" for key in sorted(then.keys() & now.keys()) if then[key] != now[key])
    code = snapshot.code_of(node.stage.name)
    if code and snapshot.commit:
        with tempfile.TemporaryDirectory() as folder:
            export(snapshot.root, snapshot.commit, Path(PACKAGE), Path(folder))
            yield from (
                f"{path} changed"
                for path, md5 in sorted(code.items())
                if not (file := Path(folder) / path).is_file() or cache.md5(file) != md5
            )


def _source_digest(snapshot: Snapshot, path: str) -> str | None:
    """Return the SHA-256 of a source; None if the snapshot does not have it."""
    if "://" in path or Path(path).is_absolute():
        return None
    tree = {name: sha256_file(file) for name, file in snapshot.files(path).items() if file}
    return tree_digest(tree) if tree else None


def _settings(found: Found) -> tuple[str, tuple[Setting, ...]]:
    """Return the profile and the parameters that differ from it."""
    origin = parse_origin((found.snapshot.read(PARAMETERS) or b"").decode(errors="replace").partition("\n")[0])
    if origin is None:
        return "unknown: params.yaml was edited by hand", ()
    try:
        defaults = flat(_profile(found.snapshot, origin.profile))
    except AsclError as error:
        return f"{origin.profile}, which cannot be read as it was: {error.problem}", ()
    values = flat(found.node.record.parameters)
    return origin.profile, tuple(
        Setting(key, defaults[key], values[key]) for key in values if defaults.get(key, values[key]) != values[key]
    )


def _profile(snapshot: Snapshot, name: str) -> dict[str, Any]:
    """Return the parameters of a profile in that snapshot."""
    if snapshot.commit is None:
        return resolve_profile(snapshot.root, name).model_dump(mode="json")
    if not snapshot.files(PROFILES):
        raise ConfigError("the commit has no profiles", file=PROFILES)
    with tempfile.TemporaryDirectory() as folder:
        export(snapshot.root, snapshot.commit, Path(PROFILES), Path(folder))
        return resolve_profile(Path(folder), name).model_dump(mode="json")


def _rules(found: Found) -> str | None:
    upstream = {node.stage.name: node for node in found.graph.upstream(found.node)}
    paths = [path for path in CORPORA if any(path in node.inputs or path in node.outputs for node in upstream.values())]
    digest = next(filter(None, (_corpus_digest(found, path, upstream) for path in paths)), None)
    change = found.snapshot.json(CHANGE.path) if digest else None
    return f"{digest}, a change of the class {change['class']}" if change else digest


def _corpus_digest(found: Found, path: str, upstream: dict[str, Node]) -> str | None:
    content = found.snapshot.json(path)
    if content is not None:
        return str(content["digest"])
    node = upstream.get(VALIDATE_RULES.name)
    return None if node is None else str(node.record.metrics.get("digest"))


def _run(found: Found) -> tuple[str | None, tuple[str, ...]]:
    """Return the run in whose commit the artifact is, and what it did with the stage."""
    summary = found.snapshot.json(str(RUN_SUMMARY)) if found.snapshot.commit else None
    if summary is None:
        return None, ()
    steps = [step for step in summary.get("stages", ()) if step.get("stage") == found.node.stage.name]
    reasons = tuple(f"{step['action']}: {reason}" for step in steps for reason in _informative(step.get("reasons", ())))
    flow = f", flow run {summary['flow_run']}" if summary.get("flow_run") else ""
    return f"{summary.get('id')}{flow}", reasons


def _informative(reasons: list[str]) -> list[str]:
    """Drop missing outputs if there is another reason: in the new worktree of a run they are always missing."""
    return [reason for reason in reasons if not reason.endswith(" is missing")] or list(reasons)


def _others(found: Found) -> tuple[Previous | None, tuple[str, ...]]:
    """Return the newest earlier record of the stage, and which other snapshots have this record."""
    ended, also_in = found.node.record.ended, []
    earlier: list[tuple[Snapshot, Node]] = []
    for snapshot in all_snapshots(found.snapshot.root):
        node = read_graph(snapshot).nodes.get(found.node.stage.name)
        if node is None or (snapshot.name, snapshot.commit) == (found.snapshot.name, found.snapshot.commit):
            continue
        if node.sha256 == found.node.sha256:
            also_in.append(snapshot.name)
        elif node.record.ended < ended:
            earlier.append((snapshot, node))
    if not earlier:
        return None, tuple(also_in)
    snapshot, node = max(earlier, key=lambda one: one[1].record.ended)
    return Previous(snapshot.name if snapshot.commit else ".", node.record.ended, tuple(_changes(snapshot, node, found))), tuple(also_in)


def _changes(snapshot: Snapshot, old: Node, found: Found) -> Iterator[str]:
    new = found.node
    for path, _, _ in changed(old.inputs, new.inputs):
        producer = found.graph.producers.get(path)
        yield f"{path} changed{f', by {producer.stage.name}' if producer else ''}"
    for key, was, now in changed(flat(old.record.parameters), flat(new.record.parameters)):
        yield f"{key} was {was}, and is {now}"
    files = [path for path, _, _ in changed(snapshot.code_of(old.stage.name), found.snapshot.code_of(new.stage.name))]
    comparable = old.record.code.form == new.record.code.form
    if old.record.code.digest != new.record.code.digest and (files or comparable):
        yield f"code changed: {some(files, _SHOWN_FILES) or 'files unknown'}"
    if old.record.digest == new.record.digest:
        yield "nothing that it depends on changed: it was run with --force, or its outputs were lost"
