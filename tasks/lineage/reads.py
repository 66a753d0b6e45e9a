"""Which checkpoint was made from which data set, rules and checkpoint, in every place: one table, from what records name.

    .ascl/lineage/index-1/reads.parquet     by commit; a commit never changes, so its records are read once
                         /corpora.parquet   the rules of every corpus that one of them names

The records of the working tree are read each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl_core.artifacts import sha256_bytes
from tasks.evidence.graph import Graph, Node, read_graph
from tasks.evidence.snapshot import Place
from tasks.lineage.database import FOLDER, insert, keep, load, rows_of
from tasks.lineage.snapshots import all_places
from tasks.registry.stages import (
    BASE,
    BUILD_SFT,
    CORPUS,
    CURATE,
    EVALUATE,
    PROMPTS,
    RL_CORPUS,
    SFT_CORPUS,
    STAGES,
    SUITES,
    TRAINED,
    TRAJECTORIES,
    checkpoint_of,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

INDEX = FOLDER / "index-1"
DATA_SETS = frozenset({PROMPTS.path, SUITES.path, *(artifact.path for artifact in TRAJECTORIES.values())})
CORPORA = frozenset({CORPUS.path, SFT_CORPUS.path, RL_CORPUS.path})
CHECKPOINTS = frozenset(checkpoint_of(stage).path for stage in (BASE, *TRAINED))

TRAINED_ON, TRAINED_UNDER, STARTED_FROM = "trained on", "trained under", "started from"
TOKENIZER = "tokenizer made from"
EVALUATED_ON, EVALUATED_UNDER = "evaluated on", "evaluated under"
WRITTEN_FROM, WRITTEN_UNDER = "written from", "written under"
_NOW = ""
"""Stands for the commit of the working tree."""
_EVALUATES = {stage.name for stage in EVALUATE.values()}
_TRAINS = {stage.name for stage in TRAINED}
_WRITES = {stage.name for stage in (CURATE, BUILD_SFT)}


@dataclass(frozen=True)
class Read:
    """One thing that went into a model or a data set."""

    commit: str
    stage: str
    """Whose record says it."""
    made_path: str
    made_sha256: str
    relation: str
    """What it did to what it read, such as `trained on`; an evaluation counts to the checkpoint that it evaluated."""
    read_path: str
    read_sha256: str


class Reads:
    """All that is known, as the tables of a database.

    reads (the fields of `Read`), named (commit, name), corpora (sha256, rule_id, version, rule_sha256, jurisdictions)
    """

    def __init__(self, root: Path, connection: DuckDBPyConnection) -> None:
        self.connection = connection
        self.places: dict[str, list[Place]] = {}
        for place in all_places(root):
            self.places.setdefault(place.commit or _NOW, []).append(place)
        text = ", ".join(f"{field.name} VARCHAR" for field in fields(Read))
        connection.execute(f"CREATE TABLE reads ({text}); CREATE TABLE named (commit VARCHAR, name VARCHAR)")
        connection.execute(
            "CREATE TABLE corpora (sha256 VARCHAR, rule_id VARCHAR, version VARCHAR, rule_sha256 VARCHAR, jurisdictions VARCHAR[])"
        )
        self._load_reads(root / INDEX / "reads.parquet")
        insert(connection, "named", [(commit, place.name) for commit, known in self.places.items() for place in known])
        connection.execute("DELETE FROM reads WHERE commit NOT IN (SELECT commit FROM named)")
        self.not_at_hand: list[str] = []
        """Corpora that records name and whose bytes are neither here nor in the cache."""
        self._load_corpora(root / INDEX / "corpora.parquet")

    def data_sets(self) -> list[tuple[str, str, list[str]]]:
        """SHA-256, path and commits of each data set that a record names."""
        return self._named(DATA_SETS)

    def file(self, commit: str, path: str, *, fetch: bool = False) -> Path | None:
        """Where a file is, as that commit has it; None where it is not at hand."""
        return self.places[commit][0].files(path, fetch=fetch).get("")

    def name(self, commit: str) -> str:
        """What a person calls it."""
        return self.places[commit][0].name

    def jurisdictions(self) -> list[str]:
        """Where conversations take place, by any corpus that a record names."""
        return [row["place"] for row in rows_of(self.connection, "SELECT DISTINCT unnest(jurisdictions) AS place FROM corpora ORDER BY 1")]

    def _load_reads(self, file: Path) -> None:
        load(self.connection, "reads", file)
        known = {row["commit"] for row in rows_of(self.connection, "SELECT DISTINCT commit FROM reads")}
        graphs = {commit: read_graph(self.places[commit][0]) for commit in self.places if commit not in known}
        whole = [read for commit, graph in graphs.items() if commit != _NOW and _is_whole(graph) for read in reads_of(graph)]
        if whole:
            insert(self.connection, "reads", map(astuple, whole))
            keep(self.connection, "reads", file)
        kept = {read.commit for read in whole}
        insert(self.connection, "reads", (astuple(r) for commit, graph in graphs.items() if commit not in kept for r in reads_of(graph)))

    def _load_corpora(self, file: Path) -> None:
        load(self.connection, "corpora", file)
        known = {row["sha256"] for row in rows_of(self.connection, "SELECT DISTINCT sha256 FROM corpora")}
        found: list[tuple[Any, ...]] = []
        for sha256, path, commits in self._named(CORPORA):
            if sha256 in known:
                continue
            contents = (self.places[commit][0].read(path) for commit in commits)
            content = next((c for c in contents if c is not None and sha256_bytes(c) == sha256), None)
            if content is None:
                self.not_at_hand.append(f"{path} of {self.name(commits[0])}")
            else:
                found += _rules(sha256, json.loads(content))
        if found:
            insert(self.connection, "corpora", found)
            keep(self.connection, "corpora", file)

    def _named(self, paths: frozenset[str]) -> list[tuple[str, str, list[str]]]:
        query = """SELECT read_sha256, read_path, list(DISTINCT commit ORDER BY commit) FROM reads
                   WHERE list_contains($paths, read_path) GROUP BY read_sha256, read_path ORDER BY ALL"""
        return self.connection.execute(query, {"paths": sorted(paths)}).fetchall()


def reads_of(graph: Graph) -> Iterator[Read]:
    """What the records of a place say."""
    commit = graph.place.commit or _NOW
    for node in graph.nodes.values():
        for path, sha256 in node.inputs.items():
            relation = _relation(node, path)
            for made_path, made_sha256 in _made(node).items() if relation else ():
                yield Read(commit, node.stage.name, made_path, made_sha256, relation, path, sha256)


def _relation(node: Node, path: str) -> str:
    """What the record's stage did to what it read; empty where it is no matter of rows, rules or weights."""
    kind = "data" if path in DATA_SETS else "rules" if path in CORPORA else "weights" if path in CHECKPOINTS else ""
    name = node.stage.name
    if name == BASE.name:
        scratch = node.record.get("parameters", {}).get("base_model", {}).get("path") is None
        return TOKENIZER if kind == "data" and scratch else ""
    if name in _TRAINS:
        return {"data": TRAINED_ON, "rules": TRAINED_UNDER, "weights": STARTED_FROM}.get(kind, "")
    if name in _EVALUATES:
        return {"data": EVALUATED_ON, "rules": EVALUATED_UNDER}.get(kind, "")
    return {"data": WRITTEN_FROM, "rules": WRITTEN_UNDER}.get(kind, "") if name in _WRITES else ""


def _made(node: Node) -> Mapping[str, str]:
    """Checkpoints and data sets that the record is about."""
    about = node.inputs if node.stage.name in _EVALUATES else node.outputs
    wanted = CHECKPOINTS if node.stage.name not in _WRITES else DATA_SETS
    return {path: sha256 for path, sha256 in about.items() if path in wanted}


def _is_whole(graph: Graph) -> bool:
    """Whether every record that the place's `dvc.lock` names was at hand."""
    return all(stage.name in graph.nodes for stage in STAGES if stage.record.path in graph.place.md5s)


def _rules(sha256: str, corpus: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    places = sorted(corpus["taxonomy"]["jurisdictions"])
    return [(sha256, rule_id, entry["version"], entry["sha256"], places) for rule_id, entry in corpus["lock"].items()]
