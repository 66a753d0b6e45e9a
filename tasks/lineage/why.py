"""Why an artifact is as it is: whether it is stale, what it was made from, and which change made it be made anew."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl_core.artifacts import parse_yaml, sha256_file, tree_digest
from ascl_core.config.profiles import FOLDER as PROFILES
from ascl_core.config.profiles import resolve_profile
from ascl_core.errors import AsclError, ConfigError
from tasks.evidence.graph import Edge, Found, Node, read_graph
from tasks.evidence.provenance import seeds
from tasks.evidence.snapshot import Place
from tasks.execution.plan import make_plan
from tasks.lineage.causes import CORPORA, revision_of
from tasks.lineage.find import find
from tasks.lineage.snapshots import all_places
from tasks.registry.code import PACKAGE
from tasks.registry.parameters import FILE as PARAMETERS
from tasks.registry.parameters import changed, flat, parse_origin
from tasks.registry.stages import CHANGE, VALIDATE_RULES
from tasks.repository.git import export
from tasks.runs import runs

_SHOWN_FILES = 5


@dataclass(frozen=True)
class Setting:
    """A parameter that is not what its profile says."""

    key: str
    profile: Any
    value: Any


@dataclass(frozen=True)
class Previous:
    """The record of the stage before this one."""

    place: str
    ended: str
    changes: tuple[str, ...]
    """What the stage itself met that was other than then."""


@dataclass(frozen=True)
class Why:
    """Why an artifact is as it is."""

    found: Found
    action: str
    """What `ascl run` would do with its stage; for a commit `stale` or `reuse`, by the commit's own files."""
    reasons: tuple[str, ...]
    """Why, each in a few words."""
    upstream: tuple[tuple[str, tuple[str, ...]], ...]
    """The stages behind it that would run, with why; none is looked for in a commit."""
    inputs: tuple[Edge, ...]
    """What it read directly."""
    code: str
    profile: str
    """The profile of its parameters; or why none can be named."""
    settings: tuple[Setting, ...]
    """Its parameters that the profile says otherwise."""
    rules: str | None
    """The digest of the rules behind it, and what the change to them was; None where it comes from no rules."""
    seeds: dict[str, Any]
    prefect_run: str | None
    run: str | None
    """The run that it is recorded in, as its commit says it."""
    run_reasons: tuple[str, ...]
    """Why that run made it or took it over, as it wrote down then."""
    previous: Previous | None
    also_in: tuple[str, ...]
    """Other places with the same record."""


def why(root: Path, text: str) -> Why:
    """Why what a person means is as it is; `DataError` or `WorkspaceError` where that is nothing or not clear."""
    found = find(root, text)
    record = found.node.record
    action, reasons, upstream = _now(found) if found.place.commit is None else _then(found)
    profile, settings = _settings(found)
    previous, also_in = _others(found)
    run, run_reasons = _run(found)
    return Why(
        *(found, action, reasons, upstream, tuple(found.graph.edges(found.node)), revision_of(found.node), profile, settings),
        *(_rules(found), _seeds(record), record.get("prefect_run"), run, run_reasons, previous, also_in),
    )


def _now(found: Found) -> tuple[str, tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """As `ascl plan` sees it in the working tree."""
    behind = {node.stage.name for node in found.graph.behind(found.node)} - {found.node.stage.name}
    steps = {step.stage: step for step in make_plan(found.place.root).steps}
    step = steps[found.node.stage.name]
    stale = tuple((name, one.reasons) for name, one in steps.items() if name in behind and one.action in ("run", "restore"))
    return step.action, step.reasons, stale


def _then(found: Found) -> tuple[str, tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Whether the files of the commit are those that the record names."""
    reasons = tuple(_differing(found))
    return ("stale", reasons, ()) if reasons else ("reuse", ("nothing that it depends on is otherwise in the commit",), ())


def _differing(found: Found) -> Iterator[str]:
    place, node = found.place, found.node
    for edge in found.graph.edges(node):
        if edge.producer is None and (there := _digest(place, edge.path)) not in (None, edge.sha256):
            yield f"{edge.path} is another one: {str(there)[:12]}"
        elif not edge.holds:
            yield f"{edge.path} is not what {edge.producer.stage.name if edge.producer else 'people'} wrote"
    now, then = flat(_parameters(place)), flat(node.record["parameters"])
    yield from (f"{key} changed: {then[key]} → {now[key]}" for key in sorted(then.keys() & now.keys()) if then[key] != now[key])
    listed = place.code_of(node.stage.name)
    if listed and place.commit:
        with tempfile.TemporaryDirectory() as folder:
            export(place.root, place.commit, Path(PACKAGE), Path(folder))
            yield from (f"{path} changed" for path, md5 in sorted(listed.items()) if _md5(Path(folder) / path) != md5)


def _digest(place: Place, path: str) -> str | None:
    """SHA-256 of what people wrote, as records have it; None where the place does not have it."""
    if "://" in path or Path(path).is_absolute():
        return None
    files = place.files(path)
    tree = {name: sha256_file(file) for name, file in files.items() if file}
    return tree_digest(tree) if tree else None


def _md5(file: Path) -> str | None:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() if file.is_file() else None


def _parameters(place: Place) -> dict[str, Any]:
    return dict(parse_yaml((place.read(PARAMETERS) or b"").decode(), file=PARAMETERS) or {})


def _settings(found: Found) -> tuple[str, tuple[Setting, ...]]:
    place, values = found.place, flat(found.node.record["parameters"])
    first = (place.read(PARAMETERS) or b"").decode(errors="replace").partition("\n")[0]
    origin = parse_origin(first)
    if origin is None:
        return "none is named: params.yaml was edited by hand", ()
    try:
        defaults = flat(_profile(place, origin.profile))
    except AsclError as error:
        return f"{origin.profile}, which cannot be read as it was: {error.problem}", ()
    differing = [key for key in values if key in defaults and defaults[key] != values[key]]
    return origin.profile, tuple(Setting(key, defaults[key], values[key]) for key in differing)


def _profile(place: Place, name: str) -> dict[str, Any]:
    """The parameters that a profile gave at that place."""
    if place.commit is None:
        return resolve_profile(place.root, name).model_dump(mode="json")
    if not place.files(PROFILES):
        raise ConfigError("the commit has no profiles", file=PROFILES)
    with tempfile.TemporaryDirectory() as folder:
        export(place.root, place.commit, Path(PROFILES), Path(folder))
        return resolve_profile(Path(folder), name).model_dump(mode="json")


def _rules(found: Found) -> str | None:
    behind = {node.stage.name: node for node in found.graph.behind(found.node)}
    paths = [path for path in CORPORA if any(path in node.inputs or path in node.outputs for node in behind.values())]
    digests = [_corpus_digest(found, path, behind) for path in paths]
    if not any(digests):
        return None
    change = found.place.read(CHANGE.path)
    told = f", a change of the class {json.loads(change)['class']}" if change else ""
    return f"{next(digest for digest in digests if digest)}{told}"


def _corpus_digest(found: Found, path: str, behind: dict[str, Node]) -> str | None:
    content = found.place.read(path)
    if content is not None:
        return str(json.loads(content)["digest"])
    node = behind.get(VALIDATE_RULES.name)
    return None if node is None else str(node.record["metrics"].get("digest"))


def _seeds(record: Any) -> dict[str, Any]:
    return dict(record.get("seeds") or seeds(record["parameters"]))


def _run(found: Found) -> tuple[str | None, tuple[str, ...]]:
    content = found.place.read(str(runs.SUMMARY)) if found.place.commit else None
    if content is None:
        return None, ()
    said = json.loads(content)
    steps = [step for step in said.get("stages", ()) if step.get("stage") == found.node.stage.name]
    told = tuple(f"{step['action']}: {reason}" for step in steps for reason in _telling(step.get("reasons", ())))
    flow = f", flow run {said['flow_run']}" if said.get("flow_run") else ""
    return f"{said.get('id')}{flow}", told


def _telling(reasons: list[str]) -> list[str]:
    """Without that outputs were not there, where there is another reason: in a run's new worktree they never are."""
    return [reason for reason in reasons if not reason.endswith(" is missing")] or list(reasons)


def _others(found: Found) -> tuple[Previous | None, tuple[str, ...]]:
    """The newest earlier record of the stage, and where this very record is, too."""
    stage, before, same = found.node.stage.name, None, []
    for place in all_places(found.place.root):
        graph = read_graph(place)
        node = graph.nodes.get(stage)
        if node is None or (place.name, place.commit) == (found.place.name, found.place.commit):
            continue
        if node.sha256 == found.node.sha256:
            same.append(place.name)
        elif node.record["ended"] < found.node.record["ended"] and (before is None or node.record["ended"] > before[1].record["ended"]):
            before = place, node
    if before is None:
        return None, tuple(same)
    place, node = before
    return Previous(place.name if place.commit else ".", node.record["ended"], tuple(_changes(place, node, found))), tuple(same)


def _changes(place: Place, old: Node, found: Found) -> Iterator[str]:
    new = found.node
    for path in sorted({*old.inputs, *new.inputs}):
        if old.inputs.get(path) != new.inputs.get(path):
            producer = found.graph.producers.get(path)
            yield f"{path} was another one{f', by {producer.stage.name}' if producer else ''}"
    for key, was, now in changed(flat(old.record["parameters"]), flat(new.record["parameters"])):
        yield f"{key} was {was}, and is {now}"
    if old.record["code"]["digest"] != new.record["code"]["digest"]:
        files = place.code_of(old.stage.name), found.place.code_of(new.stage.name)
        others = [path for path, _, _ in changed(*files)]
        more = f" and {len(others) - _SHOWN_FILES} more" if len(others) > _SHOWN_FILES else ""
        yield f"code was another one: {', '.join(others[:_SHOWN_FILES]) or 'files unknown'}{more}"
    if old.record["digest"] == new.record["digest"]:
        yield "nothing that it depends on was otherwise: it was asked for, or its outputs were lost"
