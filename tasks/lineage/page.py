"""`ascl lineage page`: one HTML file with the graph of a place, its records, rules and rows; it asks no server and nothing else.

The graph, the tables and the differences are in the HTML; the records are JSON in it. Rows and rules are packed in pieces, which the page
opens when somebody searches, so that a million of them do not delay it. All text in it is untrusted: Jinja escapes it, the script puts it
in as text, and the page's policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ascl_core.artifacts import atomic_path
from ascl_core.errors import ConfigError
from ascl_core.evaluation.figures import FIGURES
from ascl_core.report.templates import templates
from tasks.evidence.graph import Found, Graph, Node
from tasks.lineage.diff import Diff, diff
from tasks.lineage.drawing import SIZES, TOLD, State, draw
from tasks.lineage.embedded_rows import LEFT_OUT, Chunk, DataSet, chunks, data_sets, pack
from tasks.lineage.find import commit_in, find
from tasks.registry.stages import CORPUS, EVALUATE, GATE, RELEASED, RL_CORPUS, SFT_CORPUS

SCHEMA = "ascl.lineage-page/1"
PAGES = Path(".ascl") / "lineage" / "pages"
_TEMPLATE, _STYLE, _SCRIPT = "explorer.html.jinja", "explorer.css", "explorer.js"
_CORPORA = {"SFT data": SFT_CORPUS, "reinforcement learning": RL_CORPUS, "evaluation and serving": CORPUS}


@dataclass(frozen=True)
class Written:
    """A page that was written."""

    path: Path
    bytes: int
    rows: int
    """That are in it."""
    left_out: tuple[str, ...]
    """Data sets whose rows are not although they were asked for, with the reason."""


def write_page(root: Path, thing: str, out: Path | None = None, *, compare: str | None = None, rows: bool = True) -> Written:
    """Write the page of what a person means, beside another thing where one is given; with `rows` false, without the rows.

    A run, a release or a commit beside it stands for the artifact of the same path there.
    `ConfigError` where both are in the same place, or `out` is a folder; `DataError` or `WorkspaceError` where one of them is nothing or
    not clear.
    """
    if out is not None and out.is_dir():
        raise ConfigError("is a folder", field="--out", value=str(out), hint=f"name a file in it: {out / 'lineage.html'}")
    now = find(root, thing)
    compare = compare and _same_path_in(root, compare, now)
    before = None if compare is None else find(root, compare)
    if before is not None and before.place == now.place:
        hint = f"give something of another run or release, or ask: ascl lineage diff {compare} {thing}"
        raise ConfigError("is in the same place, so both have the same graph", field="--compare", value=compare, hint=hint)
    sets = data_sets(root, now.graph, embed=rows)
    out = out or root / PAGES / f"{_file_name(now, before)}.html"
    with atomic_path(out) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(_html(now, before, None if compare is None else diff(root, compare, thing), sets, chunks(root, sets)))
    embedded = sum(one.rows or 0 for one in sets if not one.missing)
    return Written(
        out, out.stat().st_size, embedded, tuple(f"{one.path}: {one.missing}" for one in sets if one.missing not in ("", LEFT_OUT))
    )


def _same_path_in(root: Path, other: str, found: Found) -> str:
    is_place = other == "." or (":" not in other and commit_in(root, other) is not None)
    return f"{other}:{found.path}" if is_place else other


def page_data(now: Found, before: Found | None = None) -> dict[str, Any]:
    """What the page says of the graphs: sides are before and now, or now alone."""
    return {"schema": SCHEMA, "sides": [_side(one) for one in (before, now) if one is not None]}


def _side(found: Found) -> dict[str, Any]:
    graph, behind = found.graph, found.graph.behind(found.node)
    nodes = {name: _node(graph, node) for name, node in graph.nodes.items()}
    sources: dict[str, list[str]] = {}
    for node in nodes.values():
        for edge in node["edges"]:
            if edge["producer"] is None and edge["sha256"] not in sources.setdefault(edge["path"], []):
                sources[edge["path"]].append(edge["sha256"])
    return {
        "place": found.place.name,
        "commit": found.place.commit,
        "path": found.path,
        "sha256": found.sha256,
        "stage": found.node.stage.name,
        "behind": [*(node.stage.name for node in behind), *graph.sources(found.node)],
        "nodes": nodes,
        "sources": sources,
    }


def _node(graph: Graph, node: Node) -> dict[str, Any]:
    records = {one.stage.record.path: one for one in graph.nodes.values()}
    edges = []
    for edge in graph.edges(node):
        recorded = records.get(edge.path)
        producer = edge.producer or recorded
        edges.append(
            {
                "path": edge.path,
                "sha256": edge.sha256,
                "producer": producer and producer.stage.name,
                "is_record": recorded is not None,
                "holds": edge.holds and (recorded is None or recorded.sha256 == edge.sha256),
            }
        )
    first = next((artifact.path for artifact in node.stage.outputs.values() if artifact.path in node.outputs), None)
    return {"summary": node.stage.summary, "record": dict(node.record), "sha256": node.sha256, "output": first, "edges": edges}


def rules_of(graph: Graph, sets: list[DataSet]) -> list[dict[str, Any]]:
    """The rules of the corpora of a place, each version once, with what it was for and how many rows of each data set have it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for use, artifact in _CORPORA.items():
        content = graph.place.read(artifact.path) if artifact.path in graph.producers else None
        corpus = json.loads(content) if content is not None else {"rules": [], "lock": {}}
        for rule in corpus["rules"]:
            sha256 = corpus["lock"][rule["id"]]["sha256"]
            fields = {key: rule[key] for key in ("id", "title", "text", "policy", "category", "version", "status")}
            rows = [one.by_rule.get(rule["id"], 0) for one in sets]
            found.setdefault((rule["id"], sha256), {**fields, "sha256": sha256, "used": [], "rows": rows})["used"].append(use)
    return [found[key] for key in sorted(found)]


def _html(now: Found, before: Found | None, differences: Diff | None, sets: list[DataSet], packed: Iterator[Chunk]) -> Iterator[str]:
    from jinja2 import ChoiceLoader, PackageLoader

    environment = templates()
    environment.loader = ChoiceLoader([PackageLoader("tasks.lineage", "explorer"), environment.loader])
    data = page_data(now, before)
    rules = rules_of(now.graph, sets)
    script = environment.loader.get_source(environment, _SCRIPT)[0]
    values = {
        "title": f"Lineage: {now.place.name}" if before is None else f"Lineage: {now.place.name} beside {before.place.name}",
        "data": data,
        "now": data["sides"][-1],
        "before": data["sides"][0] if before else None,
        "drawing": draw(data["sides"]),
        "sizes": SIZES,
        "state": State,
        "told": TOLD,
        "facts": _facts(now),
        "differences": differences,
        "figures": FIGURES,
        "broken": _broken(data["sides"][-1]),
        "sets": sets,
        "packed": packed,
        "num_rules": len(rules),
        "rules": pack(rules),
        "script": Markup(script),
        "script_sha256": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    yield from environment.get_template(_TEMPLATE).generate(values)


def _broken(side: Mapping[str, Any]) -> list[str]:
    """Each edge at which the bytes that were read are not those that were written, and each source of which two versions were read."""
    edges = [(name, edge) for name, node in side["nodes"].items() for edge in node["edges"] if not edge["holds"]]
    read = [f"{name} read another {edge['path']} than {edge['producer']} wrote" for name, edge in edges]
    return read + [f"{path} was read in {len(versions)} versions" for path, versions in side["sources"].items() if len(versions) > 1]


def _facts(found: Found) -> dict[str, Any]:
    """What stands at the top: release and people, gate, figures, cost."""
    graph = found.graph
    records = [node.record for node in graph.nodes.values()]
    return {
        "release": _release(found),
        "gate": _json(found, GATE.outputs["decision"].path),
        "headline": (_json(found, EVALUATE["ifpo"].outputs["metrics"].path) or {}).get("headline", {}),
        "seconds": sum(record.get("seconds", 0) for record in records),
        "gpu_seconds": sum(record["gpu_seconds"] for record in records) if all("gpu_seconds" in record for record in records) else None,
        "revisions": sorted({str(record["git"]["revision"]) + (" + changes" if record["git"]["dirty"] else "") for record in records}),
    }


def _release(found: Found) -> dict[str, Any] | None:
    """What `release.json` says, where it is about the place's checkpoint."""
    record = _json(found, f"{RELEASED.path}/release.json") if found.place.commit else None
    made = {sha256 for _, sha256, _ in found.graph.artifacts()}
    return record if record and record.get("checkpoint", {}).get("sha256") in made else None


def _json(found: Found, path: str) -> dict[str, Any] | None:
    content = found.place.read(path)
    return None if content is None else dict(json.loads(content))


def _file_name(now: Found, before: Found | None) -> str:
    return "-beside-".join(re.sub(r"[^A-Za-z0-9.-]+", "-", one.place.name) for one in (now, before) if one)
