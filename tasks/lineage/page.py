"""`ascl lineage page`: one HTML file with the graph of a snapshot, its records, rules and rows; it needs no server and no network.

The graph, the tables and the differences are in the HTML; the records are JSON in it. Rows and rules are packed in pieces, which the page
opens when somebody searches, so that a million of them do not delay it. All text in it is untrusted: Jinja escapes it, the script
inserts it as text, and the page's policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ascl_core.artifacts import atomic_path
from ascl_core.errors import ConfigError
from ascl_core.evaluation.figures import FIGURES
from ascl_core.released import RELEASE_FILE
from ascl_core.report.templates import templates
from ascl_core.text import counted
from tasks.evidence.graph import Found, Graph, Node
from tasks.lineage.diff import Diff, diff
from tasks.lineage.drawing import DESCRIPTIONS, SIZES, State, draw
from tasks.lineage.embedded_rows import LEFT_OUT, Chunk, DataSet, chunks, data_sets, pack
from tasks.lineage.find import find, snapshot_named
from tasks.registry.paths import PAGES
from tasks.registry.stages import CORPUS, DECISION, METRICS, RL_CORPUS, SFT_CORPUS

SCHEMA = "ascl.lineage-page/2"
_TEMPLATE, _SCRIPT = "explorer.html.jinja", "explorer.js"
_CORPORA = {"SFT data": SFT_CORPUS, "reinforcement learning": RL_CORPUS, "evaluation and serving": CORPUS}


@dataclass(frozen=True)
class Written:
    """A page that was written."""

    path: Path
    bytes: int
    rows: int
    """Rows in the page."""
    left_out: tuple[str, ...]
    """Data sets whose rows were asked for and are not in the page, with the reason."""


def write_page(root: Path, thing: str, out: Path | None = None, *, compare: str | None = None, rows: bool = True) -> Written:
    """Write the page of the artifact that a person names, beside another if `compare` names one; with `rows` false, without the rows.

    If `compare` is a run, a release or a commit, it stands for the artifact of the same path there.
    `ConfigError` if both are in the same snapshot, or `out` is a folder; `DataError` or `WorkspaceError` if a name is unknown or ambiguous.
    """
    if out is not None and out.is_dir():
        raise ConfigError("is a folder", field="--out", value=str(out), hint=f"name a file in it: {out / 'lineage.html'}")
    now = find(root, thing)
    if compare and (compare == "." or (":" not in compare and snapshot_named(root, compare))):
        compare = f"{compare}:{now.path}"
    before = find(root, compare) if compare else None
    if before is not None and before.snapshot == now.snapshot:
        hint = f"give something of another run or release, or ask: ascl lineage diff {compare} {thing}"
        raise ConfigError("is in the same snapshot, so both have the same graph", field="--compare", value=compare, hint=hint)
    sets = data_sets(root, now.graph, embed=rows)
    out = out or root / PAGES / f"{_file_name(now, before)}.html"
    with atomic_path(out) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(_html(now, before, diff(root, compare, thing) if compare else None, sets, chunks(root, sets)))
    embedded = sum(one.rows or 0 for one in sets if not one.missing)
    left_out = tuple(f"{one.path}: {one.missing}" for one in sets if one.missing not in ("", LEFT_OUT))
    return Written(out, out.stat().st_size, embedded, left_out)


def page_data(now: Found, before: Found | None = None) -> dict[str, Any]:
    """Return what the page contains about the graphs; its sides are before and now, or now alone."""
    return {"schema": SCHEMA, "sides": [_side(one) for one in (before, now) if one is not None]}


def _side(found: Found) -> dict[str, Any]:
    graph = found.graph
    nodes = {name: _node(graph, node) for name, node in graph.nodes.items()}
    sources: dict[str, list[str]] = {}
    for node in nodes.values():
        for edge in node["edges"]:
            if edge["producer"] is None and edge["sha256"] not in sources.setdefault(edge["path"], []):
                sources[edge["path"]].append(edge["sha256"])
    return {
        **found.to_json(),
        "stage": found.node.stage.name,
        "upstream": [*(node.stage.name for node in graph.upstream(found.node)), *graph.sources(found.node)],
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
    return {"summary": node.stage.summary, "record": node.record.dump(), "sha256": node.sha256, "output": first, "edges": edges}


def rules_of(graph: Graph, sets: list[DataSet]) -> list[dict[str, Any]]:
    """Return each version of each rule in the snapshot's corpora, with its use and how many rows of each data set have it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for use, artifact in _CORPORA.items():
        corpus = (graph.snapshot.json(artifact.path) if artifact.path in graph.producers else None) or {"rules": [], "lock": {}}
        for rule in corpus["rules"]:
            sha256 = corpus["lock"][rule["id"]]["sha256"]
            fields = {key: rule[key] for key in ("id", "title", "text", "policy", "category", "version", "status")}
            rows = [one.by_rule.get(rule["id"], 0) for one in sets]
            found.setdefault((rule["id"], sha256), {**fields, "sha256": sha256, "used": [], "rows": rows})["used"].append(use)
    return [found[key] for key in sorted(found)]


def _rules_and_versions(rules: list[dict[str, Any]]) -> str:
    """Return how many rules these versions are of, and how many versions, if a rule has more than one."""
    number = len({rule["id"] for rule in rules})
    text = counted(number, "rule")
    return f"{text} in {len(rules)} versions" if len(rules) > number else text


def _html(now: Found, before: Found | None, differences: Diff | None, sets: list[DataSet], packed: Iterator[Chunk]) -> Iterator[str]:
    from jinja2 import ChoiceLoader, PackageLoader

    environment = templates()
    environment.loader = ChoiceLoader([PackageLoader("tasks.lineage", "explorer"), environment.loader])
    data = page_data(now, before)
    rules = rules_of(now.graph, sets)
    script = environment.loader.get_source(environment, _SCRIPT)[0]
    values = {
        "title": "Lineage: " + " beside ".join(one.snapshot.name for one in (now, before) if one),
        "data": data,
        "now": data["sides"][-1],
        "before": data["sides"][0] if before else None,
        "drawing": draw(data["sides"]),
        "sizes": SIZES,
        "state": State,
        "descriptions": DESCRIPTIONS,
        "facts": _facts(now),
        "differences": differences,
        "figures": FIGURES,
        "broken": _broken(data["sides"][-1]),
        "sets": sets,
        "packed": packed,
        "rules_counted": _rules_and_versions(rules),
        "rules": pack(rules),
        "script": Markup(script),
        "script_sha256": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    yield from environment.get_template(_TEMPLATE).generate(values)


def _broken(side: Mapping[str, Any]) -> list[str]:
    """Return a line for each edge where other bytes were read than written, and for each source of which two versions were read."""
    edges = [(name, edge) for name, node in side["nodes"].items() for edge in node["edges"] if not edge["holds"]]
    lines = [f"{name} read another {edge['path']} than {edge['producer']} wrote" for name, edge in edges]
    return lines + [f"{path} was read in {len(versions)} versions" for path, versions in side["sources"].items() if len(versions) > 1]


def _facts(found: Found) -> dict[str, Any]:
    """Return the tiles at the top: release and approvals, gate, figures, cost."""
    graph = found.graph
    records = [node.record for node in graph.nodes.values()]
    gpu_seconds = [record.gpu_seconds for record in records]
    release = graph.snapshot.json(f"{graph.snapshot.release_folder}/{RELEASE_FILE}") if found.snapshot.commit else None
    of_this = release and release.get("checkpoint", {}).get("sha256") in {one.sha256 for one in graph.artifacts()}
    return {
        "release": release if of_this else None,
        "gate": graph.snapshot.json(DECISION),
        "headline": (graph.snapshot.json(METRICS) or {}).get("headline", {}),
        "seconds": sum(record.seconds for record in records),
        "gpu_seconds": None if None in gpu_seconds else sum(filter(None, gpu_seconds)),
        "revisions": sorted({record.git.label() for record in records}),
    }


def _file_name(now: Found, before: Found | None) -> str:
    return "-beside-".join(re.sub(r"[^A-Za-z0-9.-]+", "-", one.snapshot.name) for one in (now, before) if one)
