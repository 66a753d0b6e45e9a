"""Which checkpoint was made from which data set, rules and checkpoint, in every snapshot: one table, made from the records.

    .ascl/lineage/index-1/reads.parquet     by commit; a commit never changes, so its records are read once
                         /corpora.parquet   the rules of every corpus that a record names

The records of the working tree are read each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from ascl_core.artifacts import sha256_bytes
from tasks.evidence.graph import Graph, Node, read_graph
from tasks.evidence.snapshot import Snapshot
from tasks.lineage.database import dump, insert, load, rows_of
from tasks.lineage.find import all_snapshots
from tasks.registry import stages
from tasks.registry.paths import LINEAGE
from tasks.registry.stages import BASE, STAGES, ArtifactKind, StageKind, paths_of

INDEX = LINEAGE / "index-1"
DATA_SETS = frozenset(paths_of(*stages.DATA_SETS))
CORPORA = frozenset(paths_of(ArtifactKind.CORPUS))
CHECKPOINTS = frozenset(paths_of(ArtifactKind.CHECKPOINT))

TRAINED_ON, TRAINED_UNDER, STARTED_FROM = "trained on", "trained under", "started from"
TOKENIZER = "tokenizer made from"
EVALUATED_ON, EVALUATED_UNDER = "evaluated on", "evaluated under"
WRITTEN_FROM, WRITTEN_UNDER = "written from", "written under"
_WORKING_TREE = ""
"""Stands for the commit of the working tree."""
_EVALUATES = {stage.name for stage in STAGES if stage.kind == StageKind.EVALUATION}
_TRAINS = {stage.name for stage in STAGES if stage.kind == StageKind.TRAINING}
_WRITES = {stage.name for stage in STAGES if stage.kind == StageKind.TRAINING_DATA}


@dataclass(frozen=True)
class Read:
    """One input of a checkpoint or of a data set."""

    commit: str
    stage: str
    """The stage that read it."""
    made_path: str
    made_sha256: str
    relation: str
    """How it was used, such as `trained on`; an evaluation belongs to the checkpoint that it evaluated."""
    read_path: str
    read_sha256: str


class Reads:
    """All inputs in all snapshots, as the tables of a database.

    reads (the fields of `Read`), named (commit, name), corpora (sha256, rule_id, version, rule_sha256, jurisdictions)
    """

    def __init__(self, root: Path, connection: DuckDBPyConnection) -> None:
        self.connection = connection
        self.snapshots: dict[str, list[Snapshot]] = {}
        for snapshot in all_snapshots(root):
            self.snapshots.setdefault(snapshot.commit or _WORKING_TREE, []).append(snapshot)
        text = ", ".join(f"{field.name} VARCHAR" for field in fields(Read))
        connection.execute(f"CREATE TABLE reads ({text}); CREATE TABLE named (commit VARCHAR, name VARCHAR)")
        connection.execute(
            "CREATE TABLE corpora (sha256 VARCHAR, rule_id VARCHAR, version VARCHAR, rule_sha256 VARCHAR, jurisdictions VARCHAR[])"
        )
        self._load_reads(root / INDEX / "reads.parquet")
        insert(connection, "named", [(commit, one.name) for commit, known in self.snapshots.items() for one in known])
        connection.execute("DELETE FROM reads WHERE commit NOT IN (SELECT commit FROM named)")
        self.unavailable: list[str] = []
        """Corpora that records name and whose bytes are neither here nor in the cache."""
        self._load_corpora(root / INDEX / "corpora.parquet")

    def data_sets(self) -> list[tuple[str, str, list[str]]]:
        """Return the SHA-256, path and commits of each data set that a record names."""
        return self._named(DATA_SETS)

    def file(self, commit: str, path: str, *, fetch: bool = False) -> Path | None:
        """Return where a file of that commit is; None if it is not available here."""
        return self.snapshots[commit][0].files(path, fetch=fetch).get("")

    def name(self, commit: str) -> str:
        """Return what a person calls the snapshot."""
        return self.snapshots[commit][0].name

    def jurisdictions(self) -> list[str]:
        """Return the jurisdictions of all corpora that a record names."""
        return [row["name"] for row in rows_of(self.connection, "SELECT DISTINCT unnest(jurisdictions) AS name FROM corpora ORDER BY 1")]

    def _load_reads(self, file: Path) -> None:
        load(self.connection, "reads", file)
        known = {row["commit"] for row in rows_of(self.connection, "SELECT DISTINCT commit FROM reads")}
        graphs = {commit: read_graph(found[0]) for commit, found in self.snapshots.items() if commit not in known}
        whole = [read for commit, graph in graphs.items() if commit != _WORKING_TREE and _is_whole(graph) for read in reads_of(graph)]
        if whole:
            insert(self.connection, "reads", map(astuple, whole))
            dump(self.connection, "reads", file)
        kept = {read.commit for read in whole}
        insert(self.connection, "reads", (astuple(r) for commit, graph in graphs.items() if commit not in kept for r in reads_of(graph)))

    def _load_corpora(self, file: Path) -> None:
        load(self.connection, "corpora", file)
        known = {row["sha256"] for row in rows_of(self.connection, "SELECT DISTINCT sha256 FROM corpora")}
        found: list[tuple[Any, ...]] = []
        for sha256, path, commits in self._named(CORPORA):
            if sha256 in known:
                continue
            contents = (self.snapshots[commit][0].read(path) for commit in commits)
            content = next((c for c in contents if c is not None and sha256_bytes(c) == sha256), None)
            if content is None:
                self.unavailable.append(f"{path} of {self.name(commits[0])}")
            else:
                found += _rules(sha256, json.loads(content))
        if found:
            insert(self.connection, "corpora", found)
            dump(self.connection, "corpora", file)

    def _named(self, paths: frozenset[str]) -> list[tuple[str, str, list[str]]]:
        query = """SELECT read_sha256, read_path, list(DISTINCT commit ORDER BY commit) FROM reads
                   WHERE list_contains($paths, read_path) GROUP BY read_sha256, read_path ORDER BY ALL"""
        return self.connection.execute(query, {"paths": sorted(paths)}).fetchall()


def reads_of(graph: Graph) -> Iterator[Read]:
    """Yield the inputs of every checkpoint and data set in a snapshot."""
    commit = graph.snapshot.commit or _WORKING_TREE
    for node in graph.nodes.values():
        for path, sha256 in node.inputs.items():
            relation = _relation(node, path)
            for made_path, made_sha256 in _made(node).items() if relation else ():
                yield Read(commit, node.stage.name, made_path, made_sha256, relation, path, sha256)


def _relation(node: Node, path: str) -> str:
    """Return how the stage used an input; empty unless that is rows, rules or weights."""
    name, is_data, is_rules = node.stage.name, path in DATA_SETS, path in CORPORA
    if name == BASE.name:
        from_scratch = node.record.parameters.get("base_model", {}).get("path") is None
        return TOKENIZER if is_data and from_scratch else ""
    if name in _TRAINS:
        return TRAINED_ON if is_data else TRAINED_UNDER if is_rules else STARTED_FROM if path in CHECKPOINTS else ""
    on, under = (EVALUATED_ON, EVALUATED_UNDER) if name in _EVALUATES else (WRITTEN_FROM, WRITTEN_UNDER) if name in _WRITES else ("", "")
    return on if is_data else under if is_rules else ""


def _made(node: Node) -> Mapping[str, str]:
    """Return the checkpoints and data sets that the record is about."""
    about = node.inputs if node.stage.name in _EVALUATES else node.outputs
    wanted = CHECKPOINTS if node.stage.name not in _WRITES else DATA_SETS
    return {path: sha256 for path, sha256 in about.items() if path in wanted}


def _is_whole(graph: Graph) -> bool:
    """Return whether every record that the snapshot's `dvc.lock` names was available."""
    return all(stage.name in graph.nodes for stage in STAGES if stage.record.path in graph.snapshot.md5s)


def _rules(sha256: str, corpus: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    jurisdictions = sorted(corpus["taxonomy"]["jurisdictions"])
    return [(sha256, rule_id, entry["version"], entry["sha256"], jurisdictions) for rule_id, entry in corpus["lock"].items()]
