"""Verdicts kept in an SQLite file, so that no response is judged twice by the same version of a judge.

The key is the SHA-256 of judge id with version, prompt and response; for a judge that reads the rules, of the jurisdiction, too. An unknown
verdict is not kept: the next run may do better.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ascl_core.artifacts import sha256_json
from ascl_core.contracts import Verdict
from ascl_core.errors import JudgeError
from ascl_core.judges import Item, Judge
from ascl_core.vocabulary import Harm, Refusal

_SCHEMA = "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, refusal TEXT NOT NULL, harm TEXT NOT NULL, detail TEXT NOT NULL)"
_CHUNK = 64
"""Responses judged between two writes: what an interrupted run loses at most."""
_LOCK_TIMEOUT_S = 60.0


class VerdictCache:
    """A file of verdicts; each write is one transaction, and several processes may share the file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def get(self, keys: Sequence[str], judge_id: str) -> dict[str, Verdict]:
        """Return the verdicts kept under these keys."""
        if not self.path.exists():
            return {}
        with self._open() as database:
            rows = (database.execute("SELECT * FROM verdicts WHERE key = ?", (key,)).fetchone() for key in keys)
            return {row[0]: Verdict(Refusal(row[1]), Harm(row[2]), judge_id, row[3]) for row in rows if row is not None}

    def put(self, verdicts: dict[str, Verdict]) -> None:
        """Keep the verdicts that say something, all or none of them."""
        known = {key: v for key, v in verdicts.items() if v.refusal is not Refusal.UNKNOWN or v.harm is not Harm.UNKNOWN}
        if known:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as database, database:
                rows = [(key, str(v.refusal), str(v.harm), v.detail) for key, v in known.items()]
                database.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_LOCK_TIMEOUT_S)) as database:
                with database:
                    database.execute(_SCHEMA)
                yield database
        except (sqlite3.Error, ValueError) as error:
            hint = "delete the file; it is only a cache"
            raise JudgeError(f"the verdict cache cannot be used: {error}", file=self.path, hint=hint) from error


class CachedJudge:
    """A judge with a cache in front.

    Args:
        judge: The judge that is asked for what the cache lacks.
        path: The file of the cache.
        by_jurisdiction: Whether the verdict depends on the jurisdiction of the conversation.
    """

    def __init__(self, judge: Judge, path: str | Path, *, by_jurisdiction: bool = False) -> None:
        self.inner = judge
        self.cache = VerdictCache(path)
        self.by_jurisdiction = by_jurisdiction

    @property
    def id(self) -> str:
        """The inner judge's."""
        return self.inner.id

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict an item; equal items are judged once."""
        judge_id = self.id
        keys = [verdict_key(judge_id, item, by_jurisdiction=self.by_jurisdiction) for item in items]
        known = self.cache.get(keys, judge_id)
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in known}
        pending = list(missing.items())
        for start in range(0, len(pending), _CHUNK):
            chunk = pending[start : start + _CHUNK]
            verdicts = dict(zip((key for key, _ in chunk), self.inner.judge([item for _, item in chunk]), strict=True))
            self.cache.put(verdicts)
            known |= verdicts
        return [known[key] for key in keys]


def verdict_key(judge_id: str, item: Item, *, by_jurisdiction: bool = False) -> str:
    """Return the SHA-256 of the judge's id with its version, the prompt, the response and, if it counts, the jurisdiction."""
    return sha256_json([judge_id, item.prompt, item.response, *([item.jurisdiction] if by_jurisdiction else [])])
