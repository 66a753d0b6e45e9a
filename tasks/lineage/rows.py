"""Which rows an artifact was made from, and which checkpoints saw a row or a rule: answered from manifests and records, with DuckDB."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from ascl_core.artifacts import digest
from ascl_core.data.raw_prompt import clean, prompt_id
from ascl_core.errors import ConfigError, DataError
from ascl_core.rules.corpus import nearest_rule
from ascl_core.text import some
from ascl_core.vocabulary import Split
from tasks.evidence.graph import Found
from tasks.lineage.database import database, files, insert, rows_of
from tasks.lineage.manifests import BY_PROMPT, ROWS, RULES, folder_of, has_manifest, make_manifest
from tasks.lineage.reads import (
    CHECKPOINTS,
    DATA_SETS,
    EVALUATED_ON,
    EVALUATED_UNDER,
    STARTED_FROM,
    TOKENIZER,
    TRAINED_ON,
    TRAINED_UNDER,
    WRITTEN_UNDER,
    Reads,
)
from tasks.lineage.texts import beginnings
from tasks.registry.stages import IFPO

LEAST = 4
"""The fewest characters of a row's id that are looked up."""
OnProgress = Callable[[str], None]
"""Called with each data set whose manifest is written."""
_SHOWN = 8
_MOST = 10_000
"""The most ids that are read for one prefix."""
_LAST = chr(sys.maxunicode)
DATA_UNDER = "trained on data written under"
_OF_ROWS = [TRAINED_ON, TOKENIZER]
_RELATIONS = {
    "trained_on": TRAINED_ON,
    "tokenizer": TOKENIZER,
    "evaluated_on": EVALUATED_ON,
    "trained_under": TRAINED_UNDER,
    "evaluated_under": EVALUATED_UNDER,
    "written_under": WRITTEN_UNDER,
    "started_from": STARTED_FROM,
    "data_under": DATA_UNDER,
    "rl": IFPO.name,
    "order": [TRAINED_ON, TRAINED_UNDER, DATA_UNDER, EVALUATED_ON, EVALUATED_UNDER, TOKENIZER],
}

# What each checkpoint saw of the table `hits`: itself, through data written under it, or through the checkpoint that it started from.
# Reinforcement learning reads one split of the prompts, the one in `rl_splits`. `fact_…` is the read that says so. A snapshot is named if
# it has the checkpoint and records that read. One that records nothing of how the checkpoint was trained is named, too: that holds wherever
# the checkpoint is. What it was evaluated with does not.
_SAW = """
WITH RECURSIVE seen AS (
    SELECT r.made_sha256, r.made_path, r.stage, r.relation, h.what, r.read_path, r.read_sha256, sum(h.rows) AS rows,
        r.stage AS fact_stage, r.made_sha256 AS fact_made, r.read_path AS fact_path, r.read_sha256 AS fact_sha256
    FROM reads_once r JOIN hits h ON h.sha256 = r.read_sha256
    WHERE r.relation IN ($trained_on, $tokenizer, $evaluated_on, $trained_under, $evaluated_under)
      AND (r.stage <> $rl OR h.split IS NULL OR h.split = coalesce((SELECT split FROM rl_splits WHERE sha256 = h.sha256), h.split))
    GROUP BY ALL
  UNION
    SELECT t.made_sha256, t.made_path, t.stage, $data_under, h.what, t.read_path, t.read_sha256, NULL,
        w.stage, w.made_sha256, w.read_path, w.read_sha256
    FROM reads_once w JOIN hits h ON h.sha256 = w.read_sha256 JOIN reads_once t ON t.read_sha256 = w.made_sha256
    WHERE w.relation = $written_under AND t.relation = $trained_on
  UNION
    SELECT r.made_sha256, r.made_path, s.stage, s.relation, s.what, s.read_path, s.read_sha256, s.rows,
        s.fact_stage, s.fact_made, s.fact_path, s.fact_sha256
    FROM seen s JOIN reads_once r ON r.read_sha256 = s.made_sha256
    WHERE r.relation = $started_from AND s.relation NOT IN ($evaluated_on, $evaluated_under, $tokenizer)
), held AS (
    SELECT DISTINCT s.*, m.commit FROM seen s JOIN reads m ON m.made_sha256 = s.made_sha256
), checked AS (
    SELECT h.*, bool_or(f.read_sha256 = h.fact_sha256) AS recorded
    FROM held h LEFT JOIN reads f
      ON f.commit = h.commit AND f.stage = h.fact_stage AND f.made_sha256 = h.fact_made AND f.read_path = h.fact_path
    GROUP BY ALL
)
SELECT * FROM (
    SELECT made_sha256, made_path, stage, relation, what, read_path, read_sha256, rows, list(DISTINCT n.name ORDER BY n.name) AS snapshots
    FROM checked JOIN named n USING (commit)
    WHERE coalesce(recorded, relation NOT IN ($evaluated_on, $evaluated_under))
    GROUP BY ALL
)
ORDER BY made_path, made_sha256, list_position($order, relation), stage, read_path, read_sha256, what
"""


# What the checkpoints among $roots, and those that they started from, read.
_UPSTREAM = """
WITH RECURSIVE models AS (
    SELECT unnest($roots) AS sha256
  UNION
    SELECT r.read_sha256 FROM models m JOIN reads_once r ON r.made_sha256 = m.sha256 WHERE r.relation = $started_from
)
SELECT DISTINCT r.stage, r.relation, r.read_sha256 FROM models m JOIN reads_once r ON r.made_sha256 = m.sha256
WHERE list_contains($relations, r.relation)
"""
_IN_SPLIT = "($split::VARCHAR IS NULL OR split = $split)"
_WITH_RULE = "($rule::VARCHAR IS NULL OR list_contains(rule_ids, $rule))"
_COUNT = f"SELECT sha256, sum(rows) AS rows FROM {{}} WHERE rule_id IS NOT DISTINCT FROM $rule AND {_IN_SPLIT} GROUP BY sha256"
_FIRST = f"SELECT * EXCLUDE (filename) FROM {{}} WHERE {_WITH_RULE} AND {_IN_SPLIT} ORDER BY row_id, prompt_id LIMIT $limit"


@dataclass(frozen=True)
class Saw:
    """A checkpoint and one thing that it saw."""

    checkpoint: str
    """Its SHA-256."""
    path: str
    stage: str
    """The stage that read it: the checkpoint's own, or that of a checkpoint from which it started."""
    relation: str
    """`trained on`, `trained under`, `evaluated on`, …"""
    what: str
    """What it saw, such as `prompt 8e4cdfad`."""
    read_path: str
    read_sha256: str
    rows: int | None
    """How many rows of the data set; None for a corpus."""
    snapshots: tuple[str, ...]
    """Runs and releases that have the checkpoint, and `working tree`."""


@dataclass(frozen=True)
class Answer:
    """Which checkpoints saw a row or a rule."""

    asked: str
    found: list[dict[str, Any]]
    """Of a row: its line in the manifest of each data set. Of a rule: each version of it."""
    checkpoints: list[Saw]
    unavailable: list[str]
    """Data sets and corpora whose bytes are not available here, with the snapshot that names them."""


@dataclass(frozen=True)
class DataSet:
    """A data set from which an artifact was made."""

    path: str
    sha256: str
    uses: tuple[str, ...]
    """How it was used, such as `sft: trained on`."""
    split: str | None
    """The split that was used; None for all rows. Rows of other splits are not counted."""
    rows: int
    with_rule: int | None
    """How many rows have the rule; None unless one was asked for."""


@dataclass(frozen=True)
class Rows:
    """The rows from which an artifact was made."""

    data_sets: list[DataSet]
    rows: list[dict[str, Any]]
    """The first of them, by data set and id; `begins_with` is None if the bytes of the data set are not available here."""
    unavailable: list[str]


def _silent(_: str) -> None:
    """Report no progress."""


def checkpoints_of_row(root: Path, row: str, *, fetch: bool = False, on_progress: OnProgress = _silent) -> Answer:
    """Return which checkpoints saw the row with that id or prefix of an id; a prompt's id stands for its trajectories, too.

    `DataError` if no data set has it, or if several ids have the prefix, which it lists.
    """
    if len(row) < LEAST:
        raise ConfigError(f"too short: give at least {LEAST} characters of the id", field="--row", value=row, hint="ascl lineage rows X")
    with _opened(root, fetch, on_progress) as known:
        return known.row(row, known.with_prefix(row))


def checkpoints_of_text(root: Path, text: str, *, fetch: bool = False, on_progress: OnProgress = _silent) -> Answer:
    """Return which checkpoints saw the prompt with that text, in any jurisdiction; punctuation and case do not count.

    `DataError` if no data set has it.
    """
    with _opened(root, fetch, on_progress) as known:
        ids = [prompt_id(clean(text), jurisdiction) for jurisdiction in known.reads.jurisdictions()]
        return known.row(text, [line for one in ids for line in known.with_prefix(one)])


def checkpoints_of_rule(root: Path, rule: str, *, fetch: bool = False, on_progress: OnProgress = _silent) -> Answer:
    """Return which checkpoints were trained or evaluated on rows with that rule, or under a corpus that has it.

    `ConfigError` names the nearest rule if this one is unknown.
    """
    with _opened(root, fetch, on_progress) as known:
        return known.rule(known.checked_rule(rule))


def upstream_rows(
    root: Path, found: Found, rule: str | None, *, limit: int, fetch: bool = False, on_progress: OnProgress = _silent
) -> Rows:
    """Return the data sets from which an artifact was made, how many rows they have, how many with the rule, and the first of those.

    For a checkpoint: what it and those it started from were trained on. For a data set: itself. For anything else: what the checkpoints
    upstream were trained and evaluated on.
    """
    with _opened(root, fetch, on_progress) as known:
        itself = found.path in CHECKPOINTS | DATA_SETS
        relations = _OF_ROWS if itself else [*_OF_ROWS, EVALUATED_ON]
        upstream = {
            sha256: path for node in found.graph.upstream(found.node) for path, sha256 in node.outputs.items() if path in CHECKPOINTS
        }
        roots = {found.sha256: found.path} if itself else upstream
        return known.upstream(roots, relations, None if rule is None else known.checked_rule(rule), limit)


@contextmanager
def _opened(root: Path, fetch: bool, on_progress: OnProgress) -> Iterator[_Known]:
    with database(root) as connection:
        yield _Known(root, connection, fetch, on_progress)


class _Known:
    """All records and manifests, in one database."""

    def __init__(self, root: Path, connection: DuckDBPyConnection, fetch: bool, on_progress: OnProgress) -> None:
        self.root, self.connection = root, connection
        self.reads = Reads(root, connection)
        self.paths: dict[str, str] = {}
        """Data sets with a manifest, by SHA-256."""
        self.unavailable = list(self.reads.unavailable)
        self.named: dict[str, list[tuple[str, str]]] = {}
        """The commits and paths of each data set, by SHA-256."""
        for sha256, path, commits in self.reads.data_sets():
            self.named.setdefault(sha256, []).extend((commit, path) for commit in commits)
        for sha256, where in self.named.items():
            if has_manifest(root, sha256) or self._make(sha256, where, fetch, on_progress):
                self.paths[sha256] = where[0][1]
            else:
                self.unavailable.append(f"{where[0][1]} of {self.reads.name(where[0][0])}")
        connection.execute("CREATE TABLE reads_once AS SELECT DISTINCT * EXCLUDE (commit) FROM reads")
        connection.execute("CREATE TABLE hits (sha256 VARCHAR, split VARCHAR, what VARCHAR, rows BIGINT)")
        connection.execute("CREATE TABLE rl_splits (sha256 VARCHAR, split VARCHAR)")

    def with_prefix(self, text: str) -> list[dict[str, Any]]:
        """Return manifest lines whose row id or prompt id is the text, or else starts with it; `DataError` if several ids do."""
        span = {"low": text, "high": text + _LAST, "most": _MOST}
        query = "SELECT sha256, row_id, {0} AS id FROM {{}} WHERE {0} >= $low AND {0} < $high ORDER BY id, row_id LIMIT $most"
        both = self._query(ROWS, query.format("row_id"), span) + self._query(BY_PROMPT, query.format("prompt_id"), span)
        exact = [line for line in both if line["id"] == text] or both
        ids = sorted({line["id"] for line in exact})
        if len(ids) > 1:
            raise DataError("several rows have an id with this prefix", field="--row", value=text, hint=f"one of: {some(ids, _SHOWN)}")
        wanted = sorted({line["row_id"] for line in exact})
        lines = "SELECT * EXCLUDE (filename) FROM {} WHERE row_id IN (SELECT unnest($ids)) AND $id IN (row_id, prompt_id) ORDER BY row_id"
        return self._query(ROWS, lines, {"ids": wanted, "id": ids[0]}, {line["sha256"] for line in exact}) if ids else []

    def row(self, asked: str, found: list[dict[str, Any]]) -> Answer:
        """Return which checkpoints saw these lines of manifests."""
        if not found:
            raise DataError("no row of any data set has this id", field="row", value=asked, hint=self._hint("ascl lineage rows X"))
        hits = [(line["sha256"], line["split"], _what(line), 1) for line in found]
        return self._answer(asked, found, hits)

    def checked_rule(self, rule: str) -> str:
        """Return the rule's id; `ConfigError` if it is unknown."""
        known = {line["rule_id"] for line in rows_of(self.connection, "SELECT DISTINCT rule_id FROM corpora")}
        if rule in known or self._query(RULES, "SELECT sha256 FROM {} WHERE rule_id = $rule LIMIT 1", {"rule": rule}):
            return rule
        hint = nearest_rule(rule, sorted(known), self._hint("ascl rules list"))
        raise ConfigError("no corpus and no row has this rule", field="--rule", value=rule, hint=hint)

    def rule(self, rule: str) -> Answer:
        """Return which checkpoints saw the rule."""
        values = {"rule": rule}
        counts = self._query(RULES, "SELECT sha256, split, rules_are, rows FROM {} WHERE rule_id = $rule ORDER BY ALL", values)
        query = "SELECT sha256, version, rule_sha256 FROM corpora WHERE rule_id = $rule ORDER BY ALL"
        versions = rows_of(self.connection, query, values)
        hits = [(line["sha256"], line["split"], line["rules_are"], line["rows"]) for line in counts]
        hits += [(line["sha256"], None, f"version {line['version']}, sha256 {line['rule_sha256'][:12]}", None) for line in versions]
        found = {(line["version"], line["rule_sha256"]): line for line in versions}
        return self._answer(rule, [{"version": version, "sha256": sha256} for version, sha256 in sorted(found)], hits)

    def upstream(self, roots: dict[str, str], relations: list[str], rule: str | None, limit: int) -> Rows:
        """Return the rows from which these checkpoints and data sets were made."""
        uses: dict[str, set[tuple[str, str]]] = {sha256: set() for sha256, path in roots.items() if path in DATA_SETS}
        for line in rows_of(self.connection, _UPSTREAM, {"roots": list(roots), "started_from": STARTED_FROM, "relations": relations}):
            uses.setdefault(line["read_sha256"], set()).add((line["stage"], line["relation"]))
        sets: list[DataSet] = []
        rows: list[dict[str, Any]] = []
        for sha256 in sorted(uses.keys() & self.paths.keys(), key=lambda sha256: (self.paths[sha256], sha256)):
            split = self.rl_split(sha256) if {stage for stage, _ in uses[sha256]} == {IFPO.name} else None
            values = {"split": split, "rule": rule}
            total, having = self._count(sha256, {**values, "rule": None}), self._count(sha256, values)
            used = tuple(f"{stage}: {relation}" for stage, relation in sorted(uses[sha256]))
            sets.append(DataSet(self.paths[sha256], sha256, used, split, total, having if rule else None))
            if limit > len(rows):
                rows += self._with_texts(sha256, self._query(ROWS, _FIRST, {**values, "limit": limit - len(rows)}, {sha256}))
        return Rows(sets, rows, self.unavailable)

    def rl_split(self, sha256: str) -> str:
        """Return the split of prompts that reinforcement learning reads: its own, or without one that of SFT."""
        return str(Split.RL if self._count(sha256, {"rule": None, "split": Split.RL}) else Split.TRAIN)

    def _count(self, sha256: str, values: dict[str, Any]) -> int:
        return sum(int(line["rows"]) for line in self._query(RULES, _COUNT, values, {sha256}))

    def _answer(self, asked: str, found: list[dict[str, Any]], hits: list[tuple[Any, ...]]) -> Answer:
        insert(self.connection, "hits", hits)
        read_by_rl = {hit[0] for hit in hits if hit[1] is not None}
        insert(self.connection, "rl_splits", [(sha256, self.rl_split(sha256)) for sha256 in sorted(read_by_rl)])
        lines = rows_of(self.connection, _SAW, _RELATIONS)
        return Answer(asked, found, [_saw(line) for line in lines], self.unavailable)

    def _query(self, name: str, query: str, values: dict[str, Any], only: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Query the manifests' tables of that name; each line has the SHA-256 and the path of its data set."""
        folders = [folder_of(self.root, sha256) for sha256 in sorted(self.paths if only is None else only)]
        tables = [folder / name for folder in folders if name != BY_PROMPT or (folder / name).exists()]
        if not tables:
            return []
        table = "(SELECT *, parse_path(filename)[-2] AS sha256 FROM read_parquet($files, filename = true))"
        found = rows_of(self.connection, query.format(table), {**values, "files": files(tables)})
        return [{**line, "path": self.paths[line["sha256"]]} for line in found]

    def _with_texts(self, sha256: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return these rows of a data set with the beginnings of their prompts."""
        found = next(self._files(sha256, self.named[sha256], fetch=False), None) if rows else None
        texts = beginnings(self.root, *found[:2], {row["row_id"] for row in rows}) if found else {}
        return [{**row, "begins_with": texts.get(row["row_id"])} for row in rows]

    def _files(self, sha256: str, where: Sequence[tuple[str, str]], *, fetch: bool) -> Iterator[tuple[Path, str, str]]:
        """Yield the files that have the bytes of a data set, each with its path in the commit, and the commit."""
        for commit, path in where:
            file = self.reads.file(commit, path, fetch=fetch)
            if file is not None and digest(file) == sha256:
                yield file, path, commit

    def _make(self, sha256: str, where: Sequence[tuple[str, str]], fetch: bool, on_progress: OnProgress) -> bool:
        """Write the manifest of a data set from any snapshot that has its bytes; return False if none has."""
        for fetched in (False, True) if fetch else (False,):
            for file, path, commit in self._files(sha256, where, fetch=fetched):
                on_progress(f"{path} of {self.reads.name(commit)}")
                make_manifest(self.root, sha256, file, path)
                return True
        return False

    def _hint(self, default: str) -> str:
        return f"not searched, as not available here: {', '.join(self.unavailable)}; --fetch gets them" if self.unavailable else default


def _what(line: dict[str, Any]) -> str:
    split = f", split {line['split']}" if line["split"] else ""
    return f"trajectory {line['row_id']}" if line["row_id"] != line["prompt_id"] else f"prompt {line['row_id']}{split}"


def _saw(line: dict[str, Any]) -> Saw:
    rows = None if line["rows"] is None else int(line["rows"])
    values = {name: line[name] for name in ("stage", "relation", "what", "read_path", "read_sha256")}
    return Saw(checkpoint=line["made_sha256"], path=line["made_path"], rows=rows, snapshots=tuple(line["snapshots"] or ()), **values)
